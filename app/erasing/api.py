"""Erasing images as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.erasing.erasing import erase
from app.erasing.schemas import ErasedOut
from app.images.access import FORGET_PICTURES, PathKey
from app.projects.access import LeadProject
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/images", tags=["images"])


@router.delete("/{image_id:int}", response_model=ErasedOut)
def api_erase_image(
    project: LeadProject,
    image_id: PathKey,
    db: Db,
    person: CurrentPerson,
    response: Response,
    reason: Annotated[str, Query(max_length=500)] = "erased through the API",
) -> ErasedOut:
    """Erase an image for good: its file, its texts and its labels. A trace of who and when stays.

    `datasets` and `pair_datasets` are the numbers of those that hold a copy; they are marked. To leave an image
    out and keep it, set it aside.
    """
    response.headers.update(FORGET_PICTURES)
    return ErasedOut.of(erase(db, project, image_id, reason=reason, by=person))
