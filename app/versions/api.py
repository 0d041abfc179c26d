"""Publishing the criteria, and published versions, as JSON."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from app.accounts.access import CurrentPerson
from app.accounts.models import Person
from app.criteria import importing, reading, uploads
from app.criteria.editions import NewerEdition, find_newer_edition, get_newer_edition
from app.criteria.models import CriteriaVersion
from app.criteria.schemas import FILE_BYTES, FileIn
from app.database import LARGEST_KEY
from app.labels.access import Sight
from app.labels.showing import note_told
from app.projects.access import AnnotatorProject, ExpertProject
from app.projects.models import Project
from app.versions.comparing import Which, compare_versions
from app.versions.importing import foresee_labels, import_criteria
from app.versions.labelled_images import find_labelled_images
from app.versions.moving import Moved
from app.versions.publishing import preview, publish
from app.versions.schemas import (
    ChangedByBothOut,
    ChangedOut,
    ComparisonOut,
    DimensionMovedOut,
    EditionIn,
    EditionOut,
    ForeseenChangeOut,
    ForeseenOut,
    ForeseenProblemOut,
    LabelledImageOut,
    LabelledImagesOut,
    MovedOut,
    PreviewOut,
    ProblemOut,
    PublicationIn,
    SideOut,
    VersionContentOut,
    VersionOut,
    VersionsOut,
    show_succession,
    show_touched,
)
from app.versions.taking_back import take_back
from app.web.dependencies import Db, takes_up_to
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
        touched=[show_touched(each) for each in found.touched],
        moved=[_moved(each) for each in found.moved],
        dimensions_moved=[
            DimensionMovedOut.model_validate(each) for each in found.dimensions_moved
        ],
        succession=[show_succession(each) for each in found.succession],
    )


@router.get("/nodes/{key}/images", response_model=LabelledImagesOut)
def api_list_images_of_node(
    key: str,
    db: Db,
    project: AnnotatorProject,
    sight: Sight,
    person: CurrentPerson,
    polarity: Polarity | None = None,
    state: Literal["proposed", "confirmed", "rejected", "unsure"] | None = None,
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
    if sight and state != "confirmed":
        note_told(db, [each.image.id for each in found[:limit]], person)
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


@router.get("/compare", response_model=ComparisonOut)
def api_compare_criteria(
    db: Db,
    project: AnnotatorProject,
    old: Annotated[int, Query(ge=1, le=LARGEST_KEY)],
    new: Which = "working",
) -> ComparisonOut:
    """What differs between two published versions, node by node, or up to the working criteria."""
    return ComparisonOut.model_validate(compare_versions(db, project, old, new))


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


@router.post("/import/preview", response_model=ForeseenOut, dependencies=[takes_up_to(FILE_BYTES)])
def api_preview_criteria_import(body: FileIn, db: Db, project: ExpertProject) -> ForeseenOut:
    """What putting a file in the place of the working criteria would change; changes nothing.

    422 with every fault of the file in `problems`.
    """
    new = uploads.read_upload(db, project, body.file, body.read())
    return _foreseen(db, project, importing.foresee(db, project, new))


def _foreseen(db: Db, project: Project, found: importing.Foreseen) -> ForeseenOut:
    labels = foresee_labels(db, project, found)
    return ForeseenOut(
        based_on=found.based_on,
        changes=[ForeseenChangeOut.model_validate(each) for each in found.changes],
        problems=[ForeseenProblemOut.model_validate(each) for each in found.problems],
        touched=[show_touched(each) for each in labels.touched],
        succession=[show_succession(each) for each in labels.succession],
    )


@router.get("/edition", response_model=EditionOut)
def api_get_edition(
    db: Db,
    project: ExpertProject,
    theirs: Annotated[list[str], Query(max_length=5000)] = [],  # noqa: B006
) -> EditionOut:
    """Whether a newer edition of the shipped criteria is there, and what taking it over would change."""
    newer = find_newer_edition(db, project, theirs)
    if newer is None:
        return EditionOut(edition=None, newest=None, foreseen=None)
    return _edition(db, project, newer)


def _edition(db: Db, project: Project, newer: NewerEdition) -> EditionOut:
    return EditionOut(
        edition=newer.number,
        newest=newer.newest,
        foreseen=_foreseen(db, project, importing.foresee(db, project, newer.criteria)),
        both=[ChangedByBothOut.model_validate(each) for each in newer.both],
    )


@router.post("/edition", status_code=201, response_model=EditionOut)
def api_take_edition_over(
    body: EditionIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> EditionOut:
    """Take the newest edition of the shipped criteria over, as recorded changes; labels follow at publication.

    Of what both changed the project's words are kept, but for those that `theirs` names. 409 where there is no
    newer edition; else as of an import. Answers with what was changed.
    """
    newer = get_newer_edition(db, project, body.theirs)
    done = _edition(db, project, newer)
    import_criteria(
        db,
        project,
        newer.criteria,
        based_on=body.based_on,
        by=person,
        names_moved=body.names_moved,
    )
    return done
