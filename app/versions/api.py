"""Publishing the criteria, and published versions, as JSON."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from app.accounts.access import CurrentPerson
from app.accounts.models import Person
from app.criteria import reading
from app.criteria.models import CriteriaVersion
from app.database import LARGEST_KEY
from app.labels.access import Sight
from app.projects.access import AnnotatorProject, ExpertProject
from app.versions.foreseeing import Effect
from app.versions.labelled_images import find_labelled_images
from app.versions.moving import Moved
from app.versions.publishing import preview, publish
from app.versions.schemas import (
    ChangedOut,
    DimensionMovedOut,
    LabelledImageOut,
    LabelledImagesOut,
    MovedOut,
    PreviewOut,
    ProblemOut,
    PublicationIn,
    SideOut,
    SuccessionOut,
    TouchedOut,
    VersionContentOut,
    VersionOut,
    VersionsOut,
)
from app.versions.taking_back import take_back
from app.web.dependencies import Db
from taxonomy.tree import Polarity

router = APIRouter(prefix="/api/v1/projects/{project}/criteria", tags=["criteria"])


def _version(version: CriteriaVersion, by: str | None) -> dict[str, Any]:
    return {
        "number": version.number,
        "sha256": version.sha256,
        "note": version.note,
        "working_revision": version.working_revision,
        "by": by,
        "published_at": version.published_at,
    }


def _publisher(db: Session, version: CriteriaVersion) -> str | None:
    person = db.get(Person, version.published_by) if version.published_by else None
    return person.name if person else None


@router.get("/preview", response_model=PreviewOut)
def api_preview_publication(db: Db, project: AnnotatorProject) -> PreviewOut:
    """Checks, differences to the version that stands, and the labels they touch."""
    found = preview(db, project)
    return PreviewOut(
        working_revision=found.working_revision,
        can_publish=found.can_publish,
        problems=[ProblemOut.model_validate(each) for each in found.problems],
        changes=[ChangedOut.model_validate(each) for each in found.changes],
        touched=[
            TouchedOut(
                kind=each.kind,
                num_changes=each.num_changes,
                proposed=each.labels.proposed,
                confirmed=each.labels.confirmed,
                rejected=each.labels.rejected,
                effect=each.effect,
            )
            for each in found.touched
        ],
        moved=[_moved(each) for each in found.moved],
        dimensions_moved=[
            DimensionMovedOut.model_validate(each) for each in found.dimensions_moved
        ],
        succession=[_succession(each) for each in found.succession],
    )


def _succession(each: Effect) -> SuccessionOut:
    return SuccessionOut.model_validate(
        {
            "kind": each.kind,
            "old": [node.key for node in each.old],
            "new": [node.key for node in each.new],
            "proposed": each.labels.proposed,
            "confirmed": each.labels.confirmed,
            "rejected": each.labels.rejected,
            "images": each.num_images,
            "disputed": each.num_disputed,
            "sentence": each.sentence,
        }
    )


@router.get("/nodes/{key}/images", response_model=LabelledImagesOut)
def api_list_images_of_node(
    key: str,
    db: Db,
    project: AnnotatorProject,
    sight: Sight,
    polarity: Polarity | None = None,
    state: Literal["proposed", "confirmed", "rejected"] | None = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_KEY)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> LabelledImagesOut:
    """The images with labels of a pair, or of any pair below a dimension; of one side or state where asked.
    Also of a pair that was replaced but not yet published.
    """
    _, found = find_labelled_images(
        db,
        project,
        key,
        polarity=polarity,
        state=state,
        after=after,
        limit=limit + 1,
        suggestions=sight,
    )
    return LabelledImagesOut(
        items=[
            LabelledImageOut(
                id=each.image.id,
                name=each.image.name,
                labels=[f"{side} {how}" for side, how, _ in each.labels],
            )
            for each in found[:limit]
        ],
        next=found[limit - 1].image.id if len(found) > limit else None,
    )


def _moved(moved: Moved) -> MovedOut:
    return MovedOut(
        part="name" if moved.part == "name" else "definition",
        text=moved.text,
        source=SideOut(key=moved.source.key, polarity=moved.source.polarity),
        target=SideOut(key=moved.target.key, polarity=moved.target.polarity),
        now=moved.now,
        labels=moved.num_labels,
        choice=moved.choice,
        sentence=moved.sentence,
    )


@router.get("/versions", response_model=VersionsOut)
def api_list_criteria_versions(
    db: Db,
    project: AnnotatorProject,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> VersionsOut:
    """Published versions, newest first."""
    found = reading.find_versions(db, project, before=before, limit=limit + 1)
    return VersionsOut(
        items=[VersionOut.model_validate(_version(*each)) for each in found[:limit]],
        next=found[limit - 1][0].number if len(found) > limit else None,
    )


@router.post("/versions", status_code=201, response_model=VersionOut)
def api_publish_criteria(
    body: PublicationIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> VersionOut:
    """Publish the working criteria; 422 with the faults in `problems` where checks fail.

    409 where names went to other attributes while labels stand: `names_moved` says what becomes of them.
    """
    version = publish(
        db,
        project,
        note=body.note,
        by=person,
        based_on=body.based_on,
        names_moved=body.names_moved,
    )
    return VersionOut.model_validate(_version(version, person.name))


@router.post("/versions/{number}/take-back", status_code=201, response_model=VersionOut)
def api_take_back_version(
    number: int,
    db: Db,
    project: ExpertProject,
    person: CurrentPerson,
    names_moved: Literal["keep", "follow"] | None = None,
) -> VersionOut:
    """Take the last version back by a new one, with its labels; what it added is retired.

    409 where it is not the last, or where the criteria were changed since.
    """
    version = take_back(db, project, number, by=person, names_moved=names_moved)
    return VersionOut.model_validate(_version(version, person.name))


@router.get("/versions/{number}", response_model=VersionContentOut)
def api_get_criteria_version(number: int, db: Db, project: AnnotatorProject) -> VersionContentOut:
    """A published version with its whole tree."""
    version = reading.get_version(db, project, number)
    return VersionContentOut.model_validate(
        {
            **_version(version, _publisher(db, version)),
            "criteria": json.loads(version.content),
        }
    )
