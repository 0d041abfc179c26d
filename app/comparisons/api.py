"""Comparisons as JSON."""

from fastapi import APIRouter, Depends

from app.accounts.access import CurrentPerson
from app.comparisons.comparing import ask_comparison, get_compared, get_side_images
from app.comparisons.schemas import ComparisonOut, SideImagesOut
from app.labels.access import refuse_hidden
from app.labels.showing import note_told
from app.projects.access import AnnotatorProject, LeadProject
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/agent-runs", tags=["agent runs"])


@router.get("/{run_id}/compare/{other_id}")
def api_get_comparison(
    run_id: int, other_id: int, db: Db, project: AnnotatorProject
) -> ComparisonOut:
    """What another run found that this one did not, and the other way round; how far both agree, and how right each is.
    404 until somebody had them compared.
    """
    return ComparisonOut.of(get_compared(db, project, run_id, other_id))


@router.post("/{run_id}/compare/{other_id}", status_code=202)
def api_ask_comparison(
    run_id: int, other_id: int, db: Db, project: LeadProject, person: CurrentPerson
) -> ComparisonOut:
    """Have two runs that are over compared, or compared anew; the job tells how far it is."""
    ask_comparison(db, project, run_id, other_id, by=person)
    return ComparisonOut.of(get_compared(db, project, run_id, other_id))


@router.get(
    "/{run_id}/compare/{other_id}/attributes/{place}/images", dependencies=[Depends(refuse_hidden)]
)
def api_get_side_images(
    run_id: int,
    other_id: int,
    place: int,
    db: Db,
    project: AnnotatorProject,
    person: CurrentPerson,
) -> SideImagesOut:
    """Images that one of both alone found an attribute in. 403 for a browser that hides suggestions; whoever reads it
    has seen the suggestions of these images.
    """
    found = get_side_images(db, get_compared(db, project, run_id, other_id), place)
    note_told(db, found.image_ids, person)
    return SideImagesOut(
        lost=[image.id for image in found.lost], gained=[image.id for image in found.gained]
    )
