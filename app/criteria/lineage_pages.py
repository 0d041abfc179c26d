"""Splitting, redefining, retiring and restoring in the panel of the criteria page."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria import merging, reading, retiring
from app.criteria.forms import NewPairsForm, RetireForm
from app.criteria.merging import NewPair, details_together
from app.criteria.merging_pages import foresee_pairs, texts_of
from app.criteria.models import Node
from app.criteria.pages import attempt, show_panel
from app.criteria.said_forms import taken_fields, taken_in
from app.criteria.snapshots import read_snapshot
from app.errors import Invalid
from app.projects.access import ExpertProject
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from taxonomy.tree import POLARITIES, Attribute

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)
MAX_PARTS = 6
_NAMES = ("positive_name", "negative_name")
_DEFINITIONS = ("positive_definition", "negative_definition")
# By what else an attribute goes. Left empty, a part has what goes with its name (`taxonomy.inheriting`).
_NAMING = tuple(f"{each}_{field}" for each in POLARITIES for field in ("prompt", "translations"))


def _go_to(answer: Answer, project: Project, key: str) -> Response:
    return answer.done(go_to=f"{answer.path('show_criteria', project=project.slug)}?node={key}")


# Splitting and redefining --------------------------------------------------------------------


def _show_parts(
    db: Db,
    answer: Answer,
    project: Project,
    key: str,
    mode: str,
    *,
    form: Form[NewPairsForm] | None = None,
    status: int = 200,
) -> Response:
    snapshot = read_snapshot(db, project)
    node = snapshot.find(key) or reading.get_node(db, project, key)
    if node.kind != "pair":
        raise Invalid(
            "Only an attribute pair is split or redefined; a dimension carries no labels.",
            field="key",
        )
    more = {
        "effect": foresee_pairs(db, snapshot, [node], mode),
        "max_parts": MAX_PARTS,
        "was": _begins_with(node, mode),
    }
    return show_panel(
        db,
        answer,
        project,
        key,
        mode=mode,
        form=form,
        status=status,
        is_stale=status == 412,
        more=more,
    )


def _begins_with(node: Node, mode: str) -> dict[str, Any]:
    """What the fields begin with. Each part of a split has what the whole says, its names among the others, but
    nothing by which the whole alone goes; what means something else is not called so.
    """
    if mode == "redefine":
        return texts_of(node)
    names = dict.fromkeys((*_NAMES, *_NAMING), "")
    return texts_of(node) | taken_fields(details_together([node]), node.kind) | names


@router.get("/nodes/{key}/split")
def show_split(key: str, db: Db, answer: Answering, project: ExpertProject) -> Response:
    """A form for the pairs that take the place of one."""
    return _show_parts(db, answer, project, key, "split")


@router.get("/nodes/{key}/redefine")
def show_redefine(key: str, db: Db, answer: Answering, project: ExpertProject) -> Response:
    """A form for a pair whose meaning changed."""
    return _show_parts(db, answer, project, key, "redefine")


NewPairs = Annotated[Form[NewPairsForm], Depends(submitted(NewPairsForm))]


@router.post("/nodes/{key}/split")
def submit_split(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: NewPairs,
) -> Response:
    """Put several pairs in the place of one."""
    return _save_parts(db, answer, project, person, key, "split", form)


@router.post("/nodes/{key}/redefine")
def submit_redefine(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: NewPairs,
) -> Response:
    """Put a pair of another meaning in the place of one."""
    return _save_parts(db, answer, project, person, key, "redefine", form)


def _save_parts(
    db: Db,
    answer: Answer,
    project: Project,
    person: CurrentPerson,
    key: str,
    mode: str,
    form: Form[NewPairsForm],
) -> Response:
    status = 422
    if not form.errors:
        values = form.values
        with attempt(form) as outcome:
            new = _new_pairs(values, _begins_with(reading.get_node(db, project, key), mode))
            if mode == "split":
                made = merging.split(
                    db, project, key, into=new, based_on=values.based_on, by=person
                )[0]
            else:
                made = merging.redefine(
                    db, project, key, new=new[0], based_on=values.based_on, by=person
                )
        status = outcome.status
        if not form.errors:
            return _go_to(answer, project, made.key)
    return _show_parts(db, answer, project, key, mode, form=form, status=status)


def _new_pairs(given: NewPairsForm, was: Mapping[str, Any]) -> list[NewPair]:
    """The pairs that were typed, without those left as they were shown."""
    typed: dict[str, list[str]] = given.model_dump(exclude={"based_on"})
    columns = {name: column for name, column in typed.items() if name in (*_NAMES, *_DEFINITIONS)}
    count = len(given.relation)
    if {len(each) for each in columns.values()} != {count} or count > MAX_PARTS:
        raise Invalid("The form came incomplete; please fill it in again.", field="into")
    rows = [
        {name: column[number] for name, column in typed.items() if number < len(column)}
        for number in range(count)
    ]
    pairs = [_new_pair(row) for row in rows if _is_typed(row, was)]
    if not pairs:
        raise Invalid("Please fill the new pair in.", field="into")
    return pairs


def _is_typed(row: Mapping[str, str], was: Mapping[str, Any]) -> bool:
    if any(row[each] for each in _NAMES):
        return True
    # Browsers send the ends of lines in a way of their own.
    typed = ("\n".join(row[each].splitlines()) for each in _DEFINITIONS)
    return any(
        text and text != was[each].strip() for each, text in zip(_DEFINITIONS, typed, strict=True)
    )


def _new_pair(row: Mapping[str, str]) -> NewPair:
    positive, negative = (
        Attribute(row[f"{each}_name"], row[f"{each}_definition"]) for each in POLARITIES
    )
    said = {field: text for field, text in row.items() if text or field not in _NAMING}
    return NewPair(row["relation"], positive, negative, taken_in(said, "pair"))


# Retiring ------------------------------------------------------------------------------------


@router.get("/nodes/{key}/retire")
def show_retire(key: str, db: Db, answer: Answering, project: ExpertProject) -> Response:
    """What taking a node out of use means, or bringing it back."""
    return show_panel(db, answer, project, key, mode="retire")


@router.post("/nodes/{key}/retire")
def submit_retire(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[RetireForm], Depends(submitted(RetireForm))],
) -> Response:
    """Take a node out of use."""
    return _save_retired(db, answer, project, person, key, form, retired=True)


@router.post("/nodes/{key}/restore")
def submit_restore(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[RetireForm], Depends(submitted(RetireForm))],
) -> Response:
    """Bring a retired node back into use."""
    return _save_retired(db, answer, project, person, key, form, retired=False)


def _save_retired(
    db: Db,
    answer: Answer,
    project: Project,
    person: CurrentPerson,
    key: str,
    form: Form[RetireForm],
    *,
    retired: bool,
) -> Response:
    status = 422
    if not form.errors:
        verb = retiring.retire if retired else retiring.restore
        with attempt(form) as outcome:
            verb(db, project, key, based_on=form.values.based_on, by=person)
        status = outcome.status
        if not form.errors:
            return _go_to(answer, project, key)
    more: dict[str, Any] = {}
    return show_panel(db, answer, project, key, mode="retire", form=form, status=status, more=more)
