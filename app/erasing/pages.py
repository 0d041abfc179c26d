"""Erasing an image: what will be lost is shown first."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.datasets.models import Dataset, PairDataset
from app.erasing.erasing import erase, find_holding
from app.erasing.forms import EraseForm
from app.images.access import FORGET_PICTURES, PathKey
from app.images.finding import count_labels, get_image
from app.labels.access import Viewer, Viewing
from app.projects.access import LeadProject
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(include_in_schema=False)
ERASE = "/projects/{project}/images/{image_id:int}/erase"


def _page(
    db: Db,
    answer: Answer,
    project: Project,
    image_id: int,
    viewer: Viewer,
    form: Form[EraseForm],
) -> Response:
    image = get_image(db, project, image_id)
    holding = find_holding(db, project, image)
    return answer.show(
        "erasing/erase.html",
        status=422 if form.errors else 200,
        image=image,
        labels=count_labels(db, [image], all_kept=True)[image.id] if viewer.suggestions else None,
        datasets=[each for each in holding if isinstance(each, Dataset)],
        pair_datasets=[each for each in holding if isinstance(each, PairDataset)],
        form=form,
    )


@router.get(ERASE)
def show_erasing(
    project: LeadProject, image_id: PathKey, db: Db, answer: Answering, viewer: Viewing
) -> Response:
    """What erasing this image takes away, and what it cannot take back."""
    return _page(db, answer, project, image_id, viewer, Form())


@router.post(ERASE)
def submit_erasing(
    project: LeadProject,
    image_id: PathKey,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    viewer: Viewing,
    form: Annotated[Form[EraseForm], Depends(submitted(EraseForm))],
) -> Response:
    if not form.errors and not form.values.sure:
        form.errors["sure"] = "Please tick that this is meant; it cannot be undone."
    if not form.errors:
        with form.attempt():
            erase(db, project, image_id, reason=form.values.reason, by=person)
    if form.errors:
        return _page(db, answer, project, image_id, viewer, form)
    response = answer.go(answer.path("show_image_changes", project=project.slug))
    response.headers.update(FORGET_PICTURES)
    return response
