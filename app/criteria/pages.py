"""The expert's workplace: the tree with its counts, editing, undoing, history, import and export."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import RedirectResponse, Response

from app.accounts.access import CurrentPerson
from app.criteria import reading
from app.criteria.editing import add_dimension
from app.criteria.forms import DimensionForm, NodeForm, PairForm, UndoForm
from app.criteria.history import find_changes, texts_at
from app.criteria.models import Node
from app.criteria.said_forms import rows_of
from app.criteria.snapshots import Snapshot, read_snapshot
from app.errors import Conflict, NotFound, Stale
from app.examples.reading import find_examples
from app.notes.reading import count_open, notes_at
from app.projects.access import AnnotatorProject, ExpertProject
from app.projects.models import Project
from app.proposals.reading import count_waiting
from app.runs.tokenizing import find_tokenizer
from app.versions import editing
from app.versions.counting import LabelCounts, count_labels
from app.versions.tree_rows import branches_at, build_branches, pairs_below, path_to
from app.versions.undoing import undo
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from method.saved_texts import several_lines
from taxonomy.editions import edition_of
from taxonomy.tokens import fit
from taxonomy.tree import POLARITIES, Attribute, counts

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)
PAGE = 50
MAX_BROUGHT = 500
CHANGES_IN_PANEL = 6
CONCERNING = ("retire", "place")


# The tree and its panel ----------------------------------------------------------------------


def _panel(
    db: Db,
    project: Project,
    nodes: Sequence[Node],
    node: Node | None,
    *,
    mode: str = "view",
    form: Form[Any] | None = None,
    is_stale: bool = False,
    adding: str = "pair",
) -> dict[str, Any]:
    """What the panel shows: the node with its history, a form to edit it, or forms to add below."""
    changes = list(find_changes(db, project, node=node, limit=CHANGES_IN_PANEL)) if node else []
    return {
        "node": node,
        "said": _said(db, project, node) if node else {},
        "notes": notes_at(db, project, node) if node and mode == "view" else None,
        "note_form": Form[Any](),
        "examples": find_examples(db, project, [node.key]) if node and mode == "view" else {},
        "title": reading.title(node) if node else "",
        "above": path_to(node, nodes) if node else [],
        # Forms say how many labels they concern; how a node is used is asked for after the panel is there.
        "labels": _count_below(db, nodes, node) if node and mode in CONCERNING else LabelCounts(),
        "changes": changes,
        "mode": mode,
        "form": form or Form(),
        "is_stale": is_stale,
        "adding": adding,
        "gone": None,
    }


def _count_below(db: Db, nodes: Sequence[Node], node: Node) -> LabelCounts:
    """The labels of the pairs at or below a node, together."""
    labels = LabelCounts()
    for each in count_labels(db, node.project_id, pairs_below(node, nodes)).values():
        labels.add(each)
    return labels


def _said(db: Db, project: Project, node: Node) -> dict[str, list[tuple[str, list[str]]]]:
    """What a node says, of a pair what its sides say, too: rows of words and items."""
    row, said = reading.get_criteria(db, project), node.details
    parts = {"node": said} | {each: said.get(each, {}) for each in POLARITIES}
    rows = {part: rows_of(details, row) for part, details in parts.items()}
    if node.kind == "pair":
        tokenizer = find_tokenizer()
        for each in POLARITIES:
            found = tokenizer.count(reading.pair_of(node).attribute(each).prompt_wording)
            about = " (estimated)" if found.is_estimate else ""
            rows[each].append(("tokens in a prompt", [f"{found.tokens}{about}"]))
    return rows


def show_panel(
    db: Db,
    answer: Answer,
    project: Project,
    key: str | None = None,
    *,
    status: int = 200,
    fragment: str = "criteria/_panel.html",
    more: dict[str, Any] | None = None,
    **panel: Any,
) -> Response:
    """The tree page with the panel of one node, or for htmx the panel alone."""
    snapshot = read_snapshot(db, project)
    node = snapshot.find(key) if key is not None else None
    if key is not None and node is None:
        node = reading.get_node(db, project, key)
    context = _panel(db, project, snapshot.nodes, node, **panel) | (more or {})
    if not answer.wants_fragment:
        opened = {each.id for each in [*context["above"], node] if each}
        context |= _tree(db, project, snapshot, opened)
        context["proposals"] = count_waiting(db, project, answer.request.state.person)
        context |= _marks(db, project)
    return answer.show("criteria/tree.html", fragment=fragment, status=status, **context)


def _marks(db: Db, project: Project) -> dict[str, Any]:
    """What the lines of the tree are marked with: open discussions by key; and how many there are."""
    found = count_open(db, project)
    return {"open_notes": found.by_key, "num_open_notes": found.all}


def _tree(db: Db, project: Project, snapshot: Snapshot, opened: set[int]) -> dict[str, Any]:
    row = reading.get_criteria(db, project)
    last = reading.current_version(db, project)
    tree, tokenizer = snapshot.tree(row), find_tokenizer()
    return {
        "criteria": row,
        "branches": build_branches(
            snapshot.nodes, count_labels(db, project.id, snapshot.by_id), opened=opened
        ),
        "size": snapshot.once("size", lambda: counts(tree)),
        # All that are found have CLIP's own merges, or none and estimate.
        "fit": snapshot.once(("fit", len(tokenizer.merges)), lambda: fit(tree, tokenizer)),
        "last": last,
        "num_unpublished": row.revision - (last.working_revision if last else 0),
        "edition": snapshot.once("edition", lambda: edition_of(tree)),
    }


@router.get("")
def show_criteria(
    db: Db, answer: Answering, project: AnnotatorProject, node: str | None = None
) -> Response:
    """The working criteria, with the panel of the chosen node."""
    try:
        return show_panel(db, answer, project, node)
    except NotFound as error:
        # Who has the tree before them is told there; it may have left while they looked at it.
        if answer.wants_fragment:
            return show_panel(db, answer, project, more={"gone": error})
        # Links to what was merged or redefined lead to what took its place.
        keys = error.details.get("successors")
        if isinstance(keys, list) and len(keys) == 1:
            return _go_to(answer, project, keys[0])
        raise


@router.get("/branches")
def show_branches(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    key: Annotated[list[str] | None, Query(max_length=MAX_BROUGHT)] = None,
) -> Response:
    """What lies below the dimensions with these keys, and the lines around the pairs with these keys, one list for
    each dimension; without a key all of them. Without htmx the tree.
    """
    if not answer.wants_fragment:
        return RedirectResponse(answer.path("show_criteria", project=project.slug), 303)
    snapshot = read_snapshot(db, project)
    branches = build_branches(snapshot.nodes, count_labels(db, project.id, snapshot.by_id))
    asked = (
        snapshot.by_id
        if key is None
        else {node.id for each in key if (node := snapshot.find(each))}
    )
    lists = branches_at(branches, asked)
    marks = _marks(db, project)
    return answer.show("criteria/_branches.html", lists=lists, node=None, **marks)


@router.get("/nodes/{key}/row")
def show_node_row(key: str, db: Db, answer: Answering, project: AnnotatorProject) -> Response:
    """One line of the tree, as it stands; without htmx the tree."""
    if not answer.wants_fragment:
        here = answer.path("show_criteria", project=project.slug)
        return RedirectResponse(f"{here}?node={key}", 303)
    node = reading.get_node(db, project, key)
    return answer.show("criteria/_row.html", node=node, is_chosen=True, **_marks(db, project))


# Editing -------------------------------------------------------------------------------------


class Outcome:
    """Which status a form is shown again with."""

    status = 422


@contextmanager
def attempt(form: Form[Any]) -> Iterator[Outcome]:
    """Turn what a verb refuses into words in the form, and keep the status to show it with."""
    outcome = Outcome()
    with form.attempt():
        try:
            yield outcome
        except Stale:
            outcome.status = 412
            raise


@router.get("/nodes/{key}/rename")
def show_rename(key: str, db: Db, answer: Answering, project: ExpertProject) -> Response:
    """A form for the name or names in the line of the tree; without htmx the form of the panel."""
    if answer.wants_fragment:
        node = reading.get_node(db, project, key)
        return answer.show(
            "criteria/_rename.html", node=node, form=Form[NodeForm](), is_stale=False
        )
    return show_panel(db, answer, project, key, mode="edit")


@router.post("/nodes/{key}/rename")
def submit_rename(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[NodeForm], Depends(submitted(NodeForm))],
) -> Response:
    """Rename a dimension, or the sides of a pair."""
    return _save(db, answer, project, person, key, form, again="criteria/_rename.html")


@router.get("/nodes/{key}/edit")
def show_edit(key: str, db: Db, answer: Answering, project: ExpertProject) -> Response:
    """A form for names and definitions."""
    return show_panel(db, answer, project, key, mode="edit")


@router.post("/nodes/{key}/edit")
def submit_edit(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[NodeForm], Depends(submitted(NodeForm))],
) -> Response:
    """Change names and definitions together."""
    return _save(db, answer, project, person, key, form, again="criteria/_panel.html")


def _save(
    db: Db,
    answer: Answer,
    project: Project,
    person: CurrentPerson,
    key: str,
    form: Form[NodeForm],
    *,
    again: str,
) -> Response:
    status = 422
    if not form.errors:
        texts = form.values.texts()
        with attempt(form) as outcome:
            based_on = form.values.based_on
            editing.revise(
                db,
                project,
                key,
                based_on=based_on,
                by=person,
                texts=texts,
                names_moved=form.values.names_moved,
            )
        status = outcome.status
    if not form.errors:
        return _saved(db, answer, project, key, again)
    if status == 412:
        _follow_what_was_not_touched(db, project, key, form)
    return show_panel(
        db,
        answer,
        project,
        key,
        status=status,
        fragment=again,
        mode="edit",
        form=form,
        is_stale=status == 412,
    )


def _saved(db: Db, answer: Answer, project: Project, key: str, form_was: str) -> Response:
    snapshot = read_snapshot(db, project)
    node = snapshot.find(key)
    row, panel = "criteria/_row.html", "criteria/_panel.html"
    first, also = (row, panel) if form_was == "criteria/_rename.html" else (panel, row)
    return answer.done(
        go_to=f"{answer.path('show_criteria', project=project.slug)}?node={key}",
        fragment=first,
        also=(also,),
        is_chosen=True,
        **_marks(db, project),
        **_panel(db, project, snapshot.nodes, node),
    )


def _follow_what_was_not_touched(db: Db, project: Project, key: str, form: Form[NodeForm]) -> None:
    """Where the person left a text as they saw it, show what stands there now: saving again must
    not take back a change that has nothing to do with theirs.
    """
    node = reading.get_node(db, project, key)
    for field, seen in texts_at(db, node, form.values.based_on).items():
        typed = several_lines(str(form.typed.get(field, "")))
        if field in form.typed and typed == (seen or ""):
            form.typed[field] = getattr(node, field) or ""


@router.get("/add")
def show_add(
    db: Db, answer: Answering, project: ExpertProject, parent: str | None = None
) -> Response:
    """Forms for a new pair or dimension below `parent`, or for a root dimension."""
    return show_panel(db, answer, project, parent, mode="add")


@router.post("/dimensions")
def submit_dimension(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[DimensionForm], Depends(submitted(DimensionForm))],
) -> Response:
    if not form.errors:
        with attempt(form):
            values = form.values
            node = add_dimension(
                db,
                project,
                parent=values.parent or None,
                name=values.name,
                definition=values.definition,
                exclusive=values.exclusive,
                by=person,
            )
            return _go_to(answer, project, node.key)
    return _add_again(db, answer, project, form, "dimension")


@router.post("/pairs")
def submit_pair(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[PairForm], Depends(submitted(PairForm))],
) -> Response:
    if not form.errors:
        with attempt(form):
            values = form.values
            node = editing.add_pair(
                db,
                project,
                parent=values.parent,
                relation=values.relation,
                positive=Attribute(values.positive_name, values.positive_definition),
                negative=Attribute(values.negative_name, values.negative_definition),
                by=person,
                names_moved=values.names_moved,
            )
            return _go_to(answer, project, node.key)
    return _add_again(db, answer, project, form, "pair")


def _add_again(db: Db, answer: Answer, project: Project, form: Form[Any], adding: str) -> Response:
    parent = str(form.typed.get("parent") or "") or None
    return show_panel(db, answer, project, parent, status=422, mode="add", form=form, adding=adding)


def _go_to(answer: Answer, project: Project, key: str | None) -> Response:
    here = answer.path("show_criteria", project=project.slug)
    return answer.done(go_to=f"{here}?node={key}" if key else here)


@router.post("/changes/{revision}/undo")
def submit_undo(
    revision: int,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[UndoForm], Depends(submitted(UndoForm))],
) -> Response:
    """Take one recorded change back."""
    choice = None if form.errors else form.values.names_moved
    try:
        change = undo(db, project, revision, by=person, names_moved=choice)
    except (Conflict, Stale) as error:
        found = find_changes(db, project, limit=PAGE + 1)
        return answer.show(
            "criteria/history.html",
            fragment="_error.html",
            status=error.status,
            error=error,
            undoing=revision,
            changes=found[:PAGE],
            next=found[PAGE - 1].revision if len(found) > PAGE else None,
        )
    node = db.get_one(Node, change.node_id)
    return _go_to(answer, project, None if node.removed else node.key)


# History -------------------------------------------------------------------


@router.get("/history")
def show_criteria_history(
    db: Db, answer: Answering, project: AnnotatorProject, before: int | None = None
) -> Response:
    """Every recorded change, newest first."""
    found = find_changes(db, project, before=before, limit=PAGE + 1)
    return answer.show(
        "criteria/history.html",
        error=None,
        changes=found[:PAGE],
        next=found[PAGE - 1].revision if len(found) > PAGE else None,
    )
