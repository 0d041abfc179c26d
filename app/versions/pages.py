"""Publishing the criteria: the preview, the versions, and one version to read."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.audits.by_attribute import count_verdicts
from app.criteria import reading
from app.criteria.forms import FixForm, PublicationForm
from app.criteria.models import Node
from app.criteria.snapshots import read_snapshot
from app.database import LARGEST_KEY
from app.errors import AppError, Conflict, Invalid, NotFound, Stale
from app.labels.access import Sight
from app.labels.models import STATES
from app.labels.showing import note_told
from app.projects.access import AnnotatorProject, ExpertProject, may
from app.projects.models import Project
from app.versions import comparing, drawing
from app.versions.counting import count_as_read, count_labels
from app.versions.fixing import put_right
from app.versions.labelled_images import find_labelled_images
from app.versions.publishing import preview, publish
from app.versions.taking_back import take_back
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from taxonomy.fixing import LABELS, can_fix
from taxonomy.sunburst import sunburst
from taxonomy.tree import Criteria, Polarity, counts

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)
PAGE = 50
# Of the faults; the API lists all.
SHOWN = 200


def _publication(
    db: Db, answer: Answer, project: Project, form: Form[PublicationForm], status: int = 200
) -> Response:
    found = preview(db, project)
    nodes = reading.nodes_by_key(db, project)
    return answer.show(
        "versions/publish.html",
        status=status,
        preview=found,
        titles={key: reading.title(node) for key, node in nodes.items()},
        size=counts(found.criteria),
        form=form,
        may_publish=may(answer.request.state.role, "expert"),
        fixes={
            (each.code, each.key): LABELS[each.code]
            for each in (found.errors + found.warnings)[:SHOWN]
            if each.code in LABELS and can_fix(found.criteria, each.code, each.key)
        },
        shown=SHOWN,
    )


@router.get("/publish")
def show_publication(db: Db, answer: Answering, project: AnnotatorProject) -> Response:
    """The checks, the changes since the last version, and what they mean for labels."""
    return _publication(db, answer, project, Form())


@router.post("/publish")
def submit_publication(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[PublicationForm], Depends(submitted(PublicationForm))],
) -> Response:
    """Freeze the working criteria as the next version."""
    status = 422
    if not form.errors:
        with form.attempt():
            values = form.values
            try:
                version = publish(
                    db,
                    project,
                    note=values.note,
                    by=person,
                    based_on=values.based_on,
                    names_moved=values.names_moved,
                )
            except AppError as error:
                status = error.status
                raise
            here = answer.path("show_criteria_version", project=project.slug, number=version.number)
            return answer.done(go_to=here)
    return _publication(db, answer, project, form, status)


@router.post("/publish/fix")
def submit_fix(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[FixForm], Depends(submitted(FixForm))],
) -> Response:
    """Put a fault right that has one way to be."""
    shown: Form[PublicationForm] = Form()
    status = 422
    if form.errors:
        shown.errors[""] = "Choose a fault of the list."
    else:
        with shown.attempt():
            values = form.values
            try:
                put_right(
                    db,
                    project,
                    code=values.code,
                    key=values.key,
                    based_on=values.based_on,
                    by=person,
                )
            except AppError as error:
                status = error.status
                raise
            return answer.done(go_to=answer.path("show_publication", project=project.slug))
    return _publication(db, answer, project, shown, status)


@router.get("/nodes/{key}/images")
def show_images_of_node(
    key: str,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    sight: Sight,
    person: CurrentPerson,
    polarity: Polarity | None = None,
    state: str | None = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_KEY)] = 0,
) -> Response:
    """The images that are labelled with a node, of one side or state where asked; also with a pair that was
    replaced since the last version.
    """
    node, found = find_labelled_images(
        db,
        project,
        key,
        polarity=polarity,
        state=state,
        after=after,
        limit=PAGE + 1,
        suggestions=sight,
    )
    if sight and state != "confirmed":
        note_told(db, [each.image.id for each in found[:PAGE]], person)
    return answer.show(
        "versions/images.html",
        node=node,
        title=reading.title(node),
        found=found[:PAGE],
        polarity=polarity,
        state=state,
        states=STATES if sight else ("confirmed",),
        is_first=not after,
        next=found[PAGE - 1].image.id if len(found) > PAGE else None,
    )


@router.get("/versions")
def show_criteria_versions(
    db: Db, answer: Answering, project: AnnotatorProject, before: int | None = None
) -> Response:
    found = reading.find_versions(db, project, before=before, limit=PAGE + 1)
    return answer.show(
        "versions/list.html",
        versions=found[:PAGE],
        next=found[PAGE - 1][0].number if len(found) > PAGE else None,
    )


@router.get("/compare")
def show_criteria_comparison(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    old: Annotated[int | None, Query(ge=1, le=LARGEST_KEY)] = None,
    new: comparing.Which = "working",
    after: str = "",
) -> Response:
    """Two versions side by side; without numbers the latest version and the working criteria."""
    versions = [each for each, _ in reading.find_versions(db, project, limit=PAGE)]
    if old is None and versions:
        old = versions[0].number
    compared = comparing.compare_versions(db, project, old, new) if old else None
    nodes = comparing.nodes_after(compared, after) if compared else ()
    return answer.show(
        "versions/compare.html",
        versions=[each.number for each in versions],
        old=old,
        new=new,
        compared=compared,
        nodes=nodes[:PAGE],
        next=nodes[PAGE - 1].key if len(nodes) > PAGE else None,
    )


@router.get("/versions/{number}")
def show_criteria_version(
    number: int, db: Db, answer: Answering, project: AnnotatorProject
) -> Response:
    """One published version, to read."""
    return _version(db, answer, project, number)


def _version(
    db: Db, answer: Answer, project: Project, number: int, error: AppError | None = None
) -> Response:
    version = reading.get_version(db, project, number)
    criteria = reading.version_criteria(version)
    last = reading.current_version(db, project)
    is_last = last is not None and last.number == number > 1
    return answer.show(
        "versions/version.html",
        status=error.status if error else 200,
        version=version,
        criteria=criteria,
        size=counts(criteria),
        error=error,
        may_take_back=is_last and may(answer.request.state.role, "expert"),
    )


@router.post("/versions/{number}/take-back")
def submit_take_back(
    number: int, db: Db, answer: Answering, project: ExpertProject, person: CurrentPerson
) -> Response:
    """Take the last version back by a new one."""
    try:
        version = take_back(db, project, number, by=person)
    except (Conflict, Invalid, Stale) as error:
        return _version(db, answer, project, number, error)
    here = answer.path("show_criteria_version", project=project.slug, number=version.number)
    return answer.done(go_to=here)


def _picture(
    db: Db, project: Project, coloured_by: drawing.ColouredBy, at: str | None
) -> dict[str, Any]:
    snapshot = read_snapshot(db, project)
    nodes = snapshot.nodes
    criteria = snapshot.tree(reading.get_criteria(db, project))
    if at is not None and reading.get_node(db, project, at).kind != "dimension":
        raise NotFound(
            f"“{at}” is no dimension.", hint="Only what has something below it is drawn."
        )
    below = criteria.dimension(at) if at is not None else None
    if coloured_by == "accuracy":
        coloured = drawing.by_accuracy(criteria, count_verdicts(db, project))
    else:
        coloured = _coloured_by_labels(db, project, coloured_by, criteria, nodes)
    path = criteria.entry(below.key).path if below else ()
    return {
        "criteria": criteria,
        "drawn": sunburst(criteria, below),
        "coloured": coloured,
        "coloured_by": coloured_by,
        "at": below,
        "above": [criteria.dimension(key) for key in path[:-1]],
    }


def _coloured_by_labels(
    db: Db,
    project: Project,
    coloured_by: drawing.ColouredBy,
    criteria: Criteria,
    nodes: Sequence[Node],
) -> drawing.Coloured:
    ids = {node.key: node.id for node in nodes if node.kind == "pair"}
    keys = {node_id: key for key, node_id in ids.items()}
    if coloured_by == "usage":
        found = count_labels(db, project.id, keys, applying=True)
        return drawing.by_usage(criteria, {keys[each]: of for each, of in found.items()})
    found = count_as_read(db, project, criteria, ids)
    return drawing.by_negatives(criteria, {keys[each]: of for each, of in found.items()})


@router.get("/picture")
def show_criteria_picture(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    coloured_by: drawing.ColouredBy = "usage",
    at: str | None = None,
) -> Response:
    """The tree as rings of arcs, whole or below one dimension, coloured by what is known of it."""
    return answer.show("versions/picture.html", **_picture(db, project, coloured_by, at))


@router.get("/picture.svg")
def save_criteria_picture(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    coloured_by: drawing.ColouredBy = "usage",
    at: str | None = None,
) -> Response:
    """The same drawing as a file of its own, for papers and talks."""
    shown = answer.show("versions/_picture_file.html", **_picture(db, project, coloured_by, at))
    name = f"{project.slug}-criteria-{at or 'all'}-{coloured_by}.svg"
    return Response(
        shown.body,
        media_type="image/svg+xml",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
