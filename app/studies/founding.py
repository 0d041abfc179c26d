"""Makes a study: what it asks, under which criteria version. Its images come afterwards."""

from dataclasses import asdict, dataclass

from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.reading import current_version, version_criteria
from app.errors import Conflict, Invalid
from app.participants.notices import tidy_notice, write_notice
from app.projects.models import Project
from app.studies.access import instrument
from app.studies.models import Study, StudyDimension
from method.saved_texts import one_line

NAME_LENGTH = 120
MOST_PROMPTS = 10_000
MOST_SEED = 2**31 - 1
MOST_PERCENT = 50
MOST_JUDGES = 100


@dataclass(frozen=True, slots=True)
class Design:
    """How many prompts are drawn with which seed, whether "no difference" is an answer, and how many of the pairs,
    in percent, are shown as the same image twice and once more with the sides changed.
    """

    seed: int
    prompts: int = 150
    has_ties: bool = True
    identical_percent: int = 0
    repeated_percent: int = 0
    judges: int | None = None
    prompts_each: int | None = None


def create_study(
    db: Session, project: Project, *, name: str, design: Design, notice: str, by: Person | None
) -> Study:
    """A draft without images, which asks about the root dimensions of the current criteria version.

    Raises Invalid with the field for values that make no sense, Conflict where nothing is published yet.
    """
    name, notice = one_line(name), tidy_notice(notice)
    _refuse_nonsense(name, design)
    version = current_version(db, project)
    if version is None:
        raise Conflict(
            "A study asks about the root dimensions of published criteria, and none are published yet.",
            hint="Publish the criteria first.",
        )
    tree = version_criteria(version)
    in_use = {tree.root_of(pair.key).key for pair in tree.active_pairs()}
    study = Study(
        project_id=project.id,
        name=name,
        version_id=version.id,
        created_by=by.id if by else None,
        **asdict(design),
    )
    db.add(study)
    db.flush()
    roots = [each.key for each in tree.dimensions if each.key in in_use]
    db.execute(
        insert(StudyDimension),
        [
            {"study_id": study.id, "root_key": key, "position": position}
            for position, key in enumerate(roots, start=1)
        ],
    )
    write_notice(db, instrument(study), notice, by=by)
    return study


def _refuse_nonsense(name: str, design: Design) -> None:
    if not 1 <= len(name) <= NAME_LENGTH:
        raise Invalid(f"Please give a name of up to {NAME_LENGTH} characters.", field="name")
    for field, least, most in (
        ("prompts", 1, MOST_PROMPTS),
        ("seed", 0, MOST_SEED),
        ("identical_percent", 0, MOST_PERCENT),
        ("repeated_percent", 0, MOST_PERCENT),
    ):
        if not least <= getattr(design, field) <= most:
            raise Invalid(f"This has to be from {least:,} to {most:,}.", field=field)
    _refuse_sharing(design)
    if design.identical_percent and not design.has_ties:
        raise Invalid(
            "Of the same image twice only “no difference” is right.",
            field="identical_percent",
            hint="Let participants say “no difference”, or show no such pairs.",
        )


def _refuse_sharing(design: Design) -> None:
    if design.judges is None and design.prompts_each is None:
        return
    if design.judges is None or not 1 <= design.judges <= MOST_JUDGES:
        raise Invalid(
            f"Say how many participants judge each pair, 1 to {MOST_JUDGES}.", field="judges"
        )
    if design.prompts_each is None or not 1 <= design.prompts_each <= design.prompts:
        raise Invalid(
            f"Say how many of the {design.prompts} prompts each participant judges.",
            field="prompts_each",
        )
