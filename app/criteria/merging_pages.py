"""Merging nodes in the panel of the criteria page: choosing which, what they become, and the merge."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import RedirectResponse, Response

from app.accounts.access import CurrentPerson
from app.criteria import merging, reading
from app.criteria.forms import MergeForm
from app.criteria.merging import NewDimension, NewPair, details_together
from app.criteria.models import Node
from app.criteria.pages import attempt, show_panel
from app.criteria.said_forms import rows_of, taken_fields, taken_in
from app.criteria.searching import search_nodes
from app.criteria.snapshots import Snapshot, read_snapshot
from app.database import LARGEST_KEY
from app.projects.access import ExpertProject
from app.projects.models import Project
from app.versions.foreseeing import Effect, foresee
from app.versions.tree_rows import pairs_below
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from method.whole_numbers import read_whole
from taxonomy.tree import POLARITIES, Attribute

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)
SIGNS = {"positive": "+", "negative": "−"}
# Of what may be merged with a node: more are found by typing.
OFFERED = 50


def _show_merge(
    db: Db,
    answer: Answer,
    project: Project,
    key: str,
    others: Sequence[str],
    into: str | None = None,
    *,
    form: Form[MergeForm] | None = None,
    status: int = 200,
) -> Response:
    """First which others, then side by side with what it would mean for labels, and what they become."""
    snapshot = read_snapshot(db, project)
    node = snapshot.find(key) or reading.get_node(db, project, key)
    chosen = [node]
    problem = None
    for each in dict.fromkeys(other.strip() for other in others if other.strip()):
        other = snapshot.find(each)
        if other is None or other.kind != node.kind or other is node:
            problem = f"“{each}” is not the key of another {node.kind}; choose one from the list."
        else:
            chosen.append(other)
    if into is None or (into and into not in {each.key for each in chosen}):
        into = chosen[-1].key if len(chosen) == 2 else node.key
    choices = _near(snapshot, node, chosen)
    more = {
        "chosen": chosen,
        "choices": choices,
        "problem": problem,
        "effect": foresee_pairs(db, snapshot, chosen, "merge") if len(chosen) > 1 else None,
        "into": into,
        **_taken_over(db, project, chosen, into),
        "titles": {each.id: reading.title(each) for each in (*chosen, *choices)},
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


def _near(snapshot: Snapshot, node: Node, chosen: Sequence[Node]) -> list[Node]:
    """What stands beside a node, and after that what else is of its kind."""
    known = {each.id for each in chosen}
    found = [each for each in snapshot.nodes if each.kind == node.kind and each.id not in known]
    return sorted(found, key=lambda each: each.parent_id != node.parent_id)[:OFFERED]


def foresee_pairs(db: Db, snapshot: Snapshot, chosen: Sequence[Node], kind: str) -> Effect:
    """What a change of these nodes would mean for the labels of the pairs at and below them."""
    ids = {node_id for node in chosen for node_id in pairs_below(node, snapshot.nodes)}
    return foresee(db, kind, [node for node in snapshot.nodes if node.id in ids])


def _taken_over(db: Db, project: Project, chosen: Sequence[Node], into: str) -> dict[str, Any]:
    """What the one that stays says then, as its fields hold it, and what else it takes over, to be read.

    A new one begins with what the first says.
    """
    first = next((each for each in chosen if each.key == into), chosen[0])
    said = details_together([first, *(each for each in chosen if each is not first)])
    row = reading.get_criteria(db, project)
    parts = [("", said), *((sign, said.get(each, {})) for each, sign in SIGNS.items())]
    common = ("needs", "styles", "exact_match", "close_match", "excludes")
    return {
        "was": texts_of(first) | taken_fields(said, first.kind),
        "taken_over": [
            (sign, words, values)
            for sign, part in parts
            for words, values in rows_of({k: v for k, v in part.items() if k in common}, row)
        ],
    }


def texts_of(node: Node) -> dict[str, Any]:
    """What the fields for names, definitions and kind of a node begin with."""
    if node.kind == "dimension":
        return {"name": node.name, "definition": node.definition, "exclusive": node.exclusive}
    names = (f"{each}_{text}" for each in POLARITIES for text in ("name", "definition"))
    return {"relation": node.relation} | {name: getattr(node, name) or "" for name in names}


@router.get("/nodes/{key}/merge")
def show_merge(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    others: Annotated[list[str], Query(alias="with", max_length=49)] = [],  # noqa: B006
    into: str | None = None,
) -> Response:
    """Choose what to merge a node with; then, what all become. `into` is the key of the one that stays, empty for
    a new one.
    """
    return _show_merge(db, answer, project, key, others, into)


@router.get("/nodes/{key}/mergeable")
def show_mergeable(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    typed: Annotated[str, Query(alias="with", max_length=200)] = "",
) -> Response:
    """Nodes of the same kind that hold the typed words, to be chosen from; without htmx the form."""
    here = answer.path("show_merge", project=project.slug, key=key)
    if not answer.wants_fragment:
        return RedirectResponse(here, 303)
    snapshot = read_snapshot(db, project)
    node = snapshot.find(key) or reading.get_node(db, project, key)
    found = filter(None, (snapshot.find(each.key) for each in search_nodes(db, project, typed)))
    choices = [each for each in found if each.kind == node.kind and each is not node][:OFFERED]
    choices = choices if typed.strip() else _near(snapshot, node, [node])
    titles = {each.id: reading.title(each) for each in choices}
    return answer.show("criteria/_mergeable.html", choices=choices, titles=titles)


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
        values = form.values
        with attempt(form) as outcome:
            node = reading.get_node(db, project, key)
            target = merging.merge(
                db,
                project,
                list(seen),
                into=values.into or _new_node(node, values),
                based_on=seen,
                by=person,
                said=taken_in(values.model_dump(), node.kind),
                texts=values.texts() if values.into else None,
            )
        status = outcome.status
        if not form.errors:
            here = answer.path("show_criteria", project=project.slug)
            return answer.done(go_to=f"{here}?node={target.key}")
    others = [each for each in seen if each != key]
    into = str(form.typed.get("into", ""))
    return _show_merge(db, answer, project, key, others, into, form=form, status=status)


def _seen(typed: object) -> dict[str, int]:
    """What was chosen, each as `key:revision`."""
    found = {}
    for each in typed if isinstance(typed, list) else []:
        key, _, revision = str(each).rpartition(":")
        found[key] = read_whole(revision, LARGEST_KEY) or 0
    return found


def _new_node(node: Node, given: MergeForm) -> NewPair | NewDimension:
    if node.kind == "dimension":
        return NewDimension(given.name or "", given.definition or "", given.exclusive)
    return NewPair(
        given.relation,
        Attribute(given.positive_name or "", given.positive_definition or ""),
        Attribute(given.negative_name or "", given.negative_definition or ""),
    )
