"""Merging, splitting, redefining, retiring and restoring in the panel of the criteria page."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria import merging, reading, retiring
from app.criteria.forms import MergeForm, NewPairsForm, RetireForm
from app.criteria.merging import NewDimension, NewPair, details_together
from app.criteria.models import Node
from app.criteria.pages import attempt, show_panel
from app.criteria.said_forms import rows_of
from app.errors import Invalid
from app.projects.access import ExpertProject
from app.projects.models import Project
from app.versions.foreseeing import Effect, foresee
from app.versions.tree_rows import pairs_below
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from taxonomy.tree import POLARITIES, Attribute

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)
MAX_PARTS = 6
SIGNS = {"positive": "+", "negative": "−"}


def _go_to(answer: Answer, project: Project, key: str) -> Response:
    return answer.done(go_to=f"{answer.path('show_criteria', project=project.slug)}?node={key}")


# Merging -------------------------------------------------------------------------------------


def _show_merge(
    db: Db,
    answer: Answer,
    project: Project,
    key: str,
    others: Sequence[str],
    *,
    form: Form[MergeForm] | None = None,
    status: int = 200,
) -> Response:
    """First which others, then side by side with what it would mean for labels."""
    nodes = list(reading.find_nodes(db, project))
    by_key = {node.key: node for node in nodes}
    node = by_key.get(key) or reading.get_node(db, project, key)
    chosen = [node]
    problem = None
    for each in dict.fromkeys(other.strip() for other in others if other.strip()):
        other = by_key.get(each)
        if other is None or other.kind != node.kind or other is node:
            problem = f"“{each}” is not the key of another {node.kind}; choose one from the list."
        else:
            chosen.append(other)
    more = {
        "chosen": chosen,
        "choices": [each for each in nodes if each.kind == node.kind and each not in chosen],
        "problem": problem,
        "effect": _foresee(db, nodes, chosen, "merge") if len(chosen) > 1 else None,
        **_taken_over(db, project, chosen),
        "titles": {each.id: reading.title(each) for each in nodes},
    }
    return show_panel(
        db,
        answer,
        project,
        key,
        mode="merge",
        form=form,
        status=422 if problem else status,
        is_stale=status == 412,
        more=more,
    )


def _taken_over(db: Db, project: Project, chosen: Sequence[Node]) -> dict[str, Any]:
    """What the one that stays takes over: all names, each field's on lines, and the rest to be read."""
    said = details_together(chosen)
    fields = {f"{each}_alternatives": said.get(each, {}) for each in POLARITIES}
    fields["alternatives"] = said
    row = reading.get_criteria(db, project)
    parts = [("", said), *((sign, said.get(each, {})) for each, sign in SIGNS.items())]
    common = ("needs", "styles", "exact_match", "close_match", "excludes")
    return {
        "names": {field: "\n".join(each.get("alternatives", ())) for field, each in fields.items()},
        "taken_over": [
            (sign, words, values)
            for sign, part in parts
            for words, values in rows_of({k: v for k, v in part.items() if k in common}, row)
        ],
    }


def _foresee(db: Db, nodes: list[Node], chosen: Sequence[Node], kind: str) -> Effect:
    below = {each: sorted(pairs_below(node, nodes)) for each, node in enumerate(chosen)}
    ids = {node_id for each in below.values() for node_id in each}
    return foresee(db, kind, [node for node in nodes if node.id in ids])


@router.get("/nodes/{key}/merge")
def show_merge(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    others: Annotated[list[str], Query(alias="with", max_length=49)] = [],  # noqa: B006
) -> Response:
    """Choose what to merge a node with; then, what both become."""
    return _show_merge(db, answer, project, key, others)


@router.post("/nodes/{key}/merge")
def submit_merge(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[MergeForm], Depends(submitted(MergeForm))],
) -> Response:
    """Merge nodes into one of them or into a new one."""
    status, seen = 422, _seen(form.typed.get("seen"))
    if not form.errors:
        with attempt(form) as outcome:
            node = reading.get_node(db, project, key)
            into = form.values.into or _new_node(node, form.values)
            target = merging.merge(
                db,
                project,
                list(seen),
                into=into,
                based_on=seen,
                by=person,
                said=_names_said(node, form.values),
            )
        status = outcome.status
        if not form.errors:
            return _go_to(answer, project, target.key)
    others = [each for each in seen if each != key]
    return _show_merge(db, answer, project, key, others, form=form, status=status)


def _names_said(node: Node, given: MergeForm) -> dict[str, Any]:
    """The other names that were typed, as details say them; fields that did not come say nothing."""
    if node.kind == "dimension":
        return {} if given.alternatives is None else {"alternatives": _lines(given.alternatives)}
    typed = {"positive": given.positive_alternatives, "negative": given.negative_alternatives}
    return {
        polarity: {"alternatives": _lines(text)}
        for polarity, text in typed.items()
        if text is not None
    }


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _seen(typed: object) -> dict[str, int]:
    """What was chosen, each as `key:revision`."""
    found = {}
    for each in typed if isinstance(typed, list) else []:
        key, _, revision = str(each).rpartition(":")
        found[key] = int(revision) if revision.isdecimal() and len(revision) < 10 else 0
    return found


def _new_node(node: Node, given: MergeForm) -> NewPair | NewDimension:
    if node.kind == "dimension":
        return NewDimension(given.name, given.definition, given.exclusive)
    return NewPair(
        given.relation,
        Attribute(given.positive_name, given.positive_definition),
        Attribute(given.negative_name, given.negative_definition),
    )


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
    nodes = list(reading.find_nodes(db, project))
    node = next((each for each in nodes if each.key == key), None)
    if node is None:
        node = reading.get_node(db, project, key)
    if node.kind != "pair":
        raise Invalid(
            "Only an attribute pair is split or redefined; a dimension carries no labels.",
            field="key",
        )
    more = {
        "effect": _foresee(db, nodes, [node], mode),
        "max_parts": MAX_PARTS,
        "names": _names_of(node),
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


def _names_of(node: Node) -> dict[str, str]:
    """What each part of a split goes by besides, on lines: it begins with all names of the whole."""
    pair = reading.pair_of(node)
    return {
        f"{each}_alternatives": "\n".join(
            [pair.attribute(each).name, *pair.attribute(each).words.alternatives]
        )
        for each in POLARITIES
    }


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
            new = _new_pairs(values)
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


def _new_pairs(given: NewPairsForm) -> list[NewPair]:
    """The pairs that were typed, without those left empty."""
    columns = (
        given.relation,
        given.positive_name,
        given.positive_definition,
        given.negative_name,
        given.negative_definition,
    )
    if len({len(each) for each in columns}) > 1 or len(given.relation) > MAX_PARTS:
        raise Invalid("The form came incomplete; please fill it in again.", field="into")
    pairs = [
        NewPair(
            relation,
            Attribute(name, definition),
            Attribute(other, other_definition),
            _names_typed(given, number),
        )
        for number, (relation, name, definition, other, other_definition) in enumerate(
            zip(*columns, strict=True)
        )
        if name or definition or other or other_definition
    ]
    if not pairs:
        raise Invalid("Please fill the new pair in.", field="into")
    return pairs


def _names_typed(given: NewPairsForm, number: int) -> dict[str, Any]:
    columns = {
        "positive": given.positive_alternatives,
        "negative": given.negative_alternatives,
    }
    return {
        polarity: {"alternatives": _lines(column[number])}
        for polarity, column in columns.items()
        if number < len(column)
    }


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
