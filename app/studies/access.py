"""Loads a study through its project, with what it asks, and holds it and a participant still."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from app.criteria.models import CriteriaVersion
from app.criteria.reading import version_criteria
from app.errors import Conflict, NotFound
from app.participants import access
from app.participants.instruments import Instrument
from app.participants.models import Participant
from app.projects.models import Project
from app.studies.models import Study, StudyDimension


@dataclass(frozen=True, slots=True)
class Asked:
    """A root dimension that participants compare images by, in the words of the study's criteria version."""

    key: str
    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class StudyCriteria:
    """The criteria version that a study is made under, and what it asks, in tree order."""

    number: int
    sha256: str
    dimensions: tuple[Asked, ...]


def get_study(db: Session, project: Project, study_id: int, *, lock: bool = False) -> Study:
    """A study of this project. `lock` makes those who change it wait for one another.

    Raises NotFound for another project's study too.
    """
    found = select(Study).where(Study.id == study_id, Study.project_id == project.id)
    if lock:
        found = found.with_for_update().execution_options(populate_existing=True)
    study = db.scalar(found)
    if study is None:
        raise NotFound(f"There is no study {study_id} in this project.")
    return study


def get_study_criteria(db: Session, study: Study) -> StudyCriteria:
    """What a study asks, in the words of its criteria version."""
    version = db.scalars(
        select(CriteriaVersion)
        .where(CriteriaVersion.id == study.version_id)
        .options(defer(CriteriaVersion.content))
    ).one()
    tree = version_criteria(version)
    keys = db.scalars(
        select(StudyDimension.root_key)
        .where(StudyDimension.study_id == study.id)
        .order_by(StudyDimension.position)
    )
    nodes = [tree.dimension(key) for key in keys]
    asked = tuple(Asked(each.key, each.name, each.definition) for each in nodes)
    return StudyCriteria(version.number, version.sha256, asked)


def instrument(study: Study) -> Instrument:
    """The study as its participants' room knows it."""
    return Instrument(study_id=study.id)


def hold(db: Session, participant: Participant, *, alone: bool = False) -> Study:
    """Lock the study and the participant against being closed, revoked or finished meanwhile.

    `alone` also makes the participant's own requests wait for one another. Raises Conflict where
    the study is closed, NotFound where the link was revoked in this moment.
    """
    study = db.scalars(
        select(Study)
        .where(Study.id == participant.study_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).one()
    access.hold(db, participant, alone=alone)
    if study.state == "closed":
        raise Conflict(
            "This study is closed, so no more answers are taken.",
            hint="What you answered before is kept. Thank you.",
        )
    return study
