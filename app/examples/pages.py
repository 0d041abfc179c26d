"""Choosing the images that show an attribute: from the pair, with the wall's search, and from an image."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria import reading as criteria
from app.errors import Invalid, NotFound
from app.examples import choosing, reading
from app.examples.forms import AttributeForm, CaptionForm, ChooseForm, PlaceForm
from app.examples.models import LONGEST, MOST
from app.images import finding
from app.images.access import Cursor, PathKey
from app.images.models import Image
from app.labels.access import Sight
from app.labels.reading import find_labels
from app.projects.access import AnnotatorProject, ExpertProject, may
from app.projects.models import Project
from app.proposals.proposing import read_examples
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from taxonomy.tree import POLARITIES, Polarity

router = APIRouter(include_in_schema=False)
NODE = "/projects/{project}/criteria/nodes/{key}/examples"
FOUND = 24


# From the pair ---------------------------------------------------------------------------------


def _page(
    db: Db,
    answer: Answer,
    project: Project,
    key: str,
    form: Form[Any],
    *,
    sight: bool = True,
    show: str = "all",
    q: str = "",
    after: int | None = None,
    before: int | None = None,
    problem: str = "",
) -> Response:
    node = reading.get_pair(db, project, key)
    examples = reading.find_examples(db, project, [key])
    may_choose = may(answer.request.state.role, "expert") and not node.removed
    found = finding.Page([], None, None)
    if may_choose:
        finding.check_filter(show, suggestions=sight)
        found = finding.find_images(
            db, project, show=show, text=q, after=after, before=before, limit=FOUND
        )
    return answer.show(
        "examples/node.html",
        status=422 if form.errors or problem else 200,
        node=node,
        title=criteria.title(node),
        sides={polarity: examples.get((key, polarity), []) for polarity in POLARITIES},
        earlier=[(each, criteria.title(each)) for each in reading.find_earlier(db, node)],
        may_choose=may_choose,
        chosen=_chosen(db, project, str(form.typed_or("image"))),
        form=form,
        problem=problem,
        found=found,
        filters=finding.filters(suggestions=sight),
        show=show,
        q=q,
        most=MOST,
        longest=LONGEST,
    )


def _chosen(db: Db, project: Project, typed: str) -> Image | None:
    """The image that the form names, to be looked at; None where it names none."""
    try:
        numbers = read_examples(typed, "image")
        return finding.get_image(db, project, numbers[0]) if len(numbers) == 1 else None
    except (Invalid, NotFound):
        return None


@router.get(NODE)
def show_examples(
    key: str,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    sight: Sight,
    show: str = "all",
    q: Annotated[str, Query(max_length=200)] = "",
    image: Annotated[str, Query(max_length=500)] = "",
    polarity: Polarity = "positive",
    after: Cursor = None,
    before: Cursor = None,
) -> Response:
    """The images that show a pair; for experts also the wall to choose further ones from."""
    form: Form[ChooseForm] = Form({"image": image, "polarity": polarity})
    return _page(
        db, answer, project, key, form, sight=sight, show=show, q=q, after=after, before=before
    )


def _go(answer: Answer, project: Project, key: str) -> Response:
    return answer.go(answer.path("show_examples", project=project.slug, key=key))


@router.post(NODE)
def submit_example(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    sight: Sight,
    form: Annotated[Form[ChooseForm], Depends(submitted(ChooseForm))],
) -> Response:
    """Add an image as the last example of a side."""
    if not form.errors:
        with form.attempt():
            values = form.values
            choosing.choose_example(
                db,
                project,
                key,
                polarity=values.polarity,
                image_id=_one_image(values.image),
                caption=values.caption,
                by=person,
            )
            return _go(answer, project, key)
    return _page(db, answer, project, key, form, sight=sight)


def _one_image(typed: str) -> int:
    numbers = read_examples(typed, "image")
    if len(numbers) != 1:
        raise Invalid("Name one image, by its number or the address of its page.", field="image")
    return numbers[0]


@router.post(NODE + "/{example_id:int}/caption")
def submit_caption(
    key: str,
    example_id: PathKey,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    form: Annotated[Form[CaptionForm], Depends(submitted(CaptionForm))],
) -> Response:
    """Give an example another caption."""
    if not form.errors:
        with form.attempt():
            values = form.values
            choosing.describe_example(
                db, project, example_id, caption=values.caption, seen=values.seen
            )
    return _after(db, answer, project, key, form)


@router.post(NODE + "/{example_id:int}/place")
def submit_example_place(
    key: str,
    example_id: PathKey,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    form: Annotated[Form[PlaceForm], Depends(submitted(PlaceForm))],
) -> Response:
    """Put an example at another place of its side."""
    if not form.errors:
        with form.attempt():
            position = form.values.position
            choosing.move_example(db, project, example_id, position=position)
    return _after(db, answer, project, key, form)


def _after(db: Db, answer: Answer, project: Project, key: str, form: Form[Any]) -> Response:
    """Back to the examples; with what is wrong above them."""
    if not form.errors:
        return _go(answer, project, key)
    problem = next(iter(form.errors.values()))
    return _page(db, answer, project, key, Form(), problem=problem)


@router.post(NODE + "/{example_id:int}/drop")
def submit_example_removal(
    key: str, example_id: PathKey, db: Db, answer: Answering, project: ExpertProject
) -> Response:
    """Take an example out."""
    choosing.drop_example(db, project, example_id)
    return _go(answer, project, key)


# From an image ---------------------------------------------------------------------------------

IMAGE = "/projects/{project}/images/{image_id:int}/example"


def _image_page(
    db: Db,
    answer: Answer,
    project: Project,
    image_id: int,
    form: Form[AttributeForm],
    *,
    sight: bool,
    viewer_id: int,
) -> Response:
    image = finding.get_image(db, project, image_id)
    labels = find_labels(db, project, image, suggestions=sight, viewer_id=viewer_id)
    tree = criteria.working_criteria(db, project)
    shown = reading.find_shown(db, project, image_id)
    return answer.show(
        "examples/image.html",
        status=422 if form.errors else 200,
        image=image,
        labelled=[
            (f"{row.key}/{row.polarity}", row.name, row.polarity)
            for row in labels.rows
            if row.state == "confirmed" and not row.retired
        ],
        roots=[
            (root.name, [each for each in tree.active_pairs() if tree.root_of(each.key) is root])
            for root in tree.dimensions
        ],
        shown=[(each, node, getattr(node, f"{each.polarity}_name")) for each, node in shown],
        form=form,
        longest=LONGEST,
    )


@router.get(IMAGE)
def show_image_as_example(
    project: ExpertProject,
    image_id: PathKey,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    sight: Sight,
    attribute: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Choose the attribute that an image shows."""
    form: Form[AttributeForm] = Form({"attribute": attribute})
    return _image_page(db, answer, project, image_id, form, sight=sight, viewer_id=person.id)


@router.post(IMAGE)
def submit_image_as_example(
    project: ExpertProject,
    image_id: PathKey,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    sight: Sight,
    form: Annotated[Form[AttributeForm], Depends(submitted(AttributeForm))],
) -> Response:
    """Make an image an example of the chosen attribute."""
    if not form.errors:
        with form.attempt():
            values = form.values
            key, polarity = _attribute(values.attribute)
            choosing.choose_example(
                db,
                project,
                key,
                polarity=polarity,
                image_id=image_id,
                caption=values.caption,
                by=person,
            )
            return _go(answer, project, key)
    return _image_page(db, answer, project, image_id, form, sight=sight, viewer_id=person.id)


def _attribute(typed: str) -> tuple[str, Polarity]:
    key, _, side = typed.partition("/")
    for polarity in POLARITIES:
        if key and side == polarity:
            return key, polarity
    raise Invalid("Choose an attribute.", field="attribute")
