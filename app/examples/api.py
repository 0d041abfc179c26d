"""Examples of attributes as JSON."""

from fastapi import APIRouter
from sqlalchemy.orm import Session

from app.accounts.access import CurrentPerson
from app.criteria.models import Node
from app.examples import choosing, reading
from app.examples.schemas import ExampleIn, ExampleOut, ExamplePatch, ExamplesOut
from app.images.access import PathKey
from app.projects.access import AnnotatorProject, ExpertProject
from app.projects.models import Project
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/criteria", tags=["criteria"])


def _out(db: Session, project: Project, key: str) -> ExamplesOut:
    found = reading.find_examples(db, project, [key])
    sides = {
        polarity: [ExampleOut.of(each, key) for each in found.get((key, polarity), [])]
        for polarity in ("positive", "negative")
    }
    return ExamplesOut(**sides)


@router.get("/nodes/{key}/examples", response_model=ExamplesOut)
def api_list_examples(key: str, db: Db, project: AnnotatorProject) -> ExamplesOut:
    """The images that show a pair; those of pairs that were merged into it follow its own."""
    return _out(db, project, reading.get_pair(db, project, key).key)


@router.post("/nodes/{key}/examples", status_code=201, response_model=ExamplesOut)
def api_choose_example(
    key: str, body: ExampleIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> ExamplesOut:
    """Add an image as the last example of a side. 409 where it is one already, or the side has six."""
    choosing.choose_example(
        db,
        project,
        key,
        polarity=body.polarity,
        image_id=body.image,
        caption=body.caption,
        by=person,
    )
    return _out(db, project, key)


@router.patch("/examples/{example_id}", response_model=ExamplesOut)
def api_change_example(
    example_id: PathKey, body: ExamplePatch, db: Db, project: ExpertProject
) -> ExamplesOut:
    """Give an example another caption or place. 412 with both captions where it was changed since `seen`."""
    example = choosing.get_example(db, project, example_id)
    with db.begin_nested():
        if body.caption is not None:
            choosing.describe_example(db, project, example_id, caption=body.caption, seen=body.seen)
        if body.position is not None:
            choosing.move_example(db, project, example_id, position=body.position)
    return _out(db, project, db.get_one(Node, example.node_id).key)


@router.delete("/examples/{example_id}", status_code=204)
def api_drop_example(example_id: PathKey, db: Db, project: ExpertProject) -> None:
    """Take an example out; the image and its labels stay as they are."""
    choosing.drop_example(db, project, example_id)
