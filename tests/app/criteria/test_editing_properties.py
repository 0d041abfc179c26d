"""Whatever is done in whatever order, the tree stays whole and its history tells how it came to be."""

from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import database
from app.criteria.editing import add_dimension, add_pair, describe, rename
from app.criteria.loading import load_criteria
from app.criteria.models import Node, NodeChange
from app.criteria.reading import find_nodes, get_criteria, working_criteria
from app.criteria.recording import COLUMNS
from app.criteria.undoing import undo
from app.errors import AppError
from app.projects.models import Project
from taxonomy.checks import check
from taxonomy.tree import Attribute
from tests.app.criteria.trees import SMALL
from tests.people import Cast

NAMES = ["Edges", "Glow", "glow", "Clear edges", "Line", "Mass", "Ton, al", "", "Value key"]
STEPS = st.tuples(
    st.sampled_from(["rename", "describe", "add_dimension", "add_pair", "undo"]),
    st.integers(0, 30),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
)


def take(db: Session, project: Project, people: Cast, step: tuple[str, int, str, str]) -> None:
    kind, number, name, other = step
    nodes = sorted(find_nodes(db, project), key=lambda node: node.id)
    node = nodes[number % len(nodes)]
    by = people.ada if number % 2 else people.lea
    is_pair = node.kind == "pair"
    if kind == "rename":
        names = {"positive": name, "negative": other} if is_pair else {"name": name}
        rename(db, project, node.key, based_on=node.revision, by=by, **names)
    elif kind == "describe":
        texts = {"negative": name} if is_pair else {"definition": name}
        describe(db, project, node.key, based_on=node.revision, by=by, **texts)
    elif kind == "add_dimension":
        add_dimension(db, project, parent=node.key, name=name, by=by)
    elif kind == "add_pair":
        sides = {"positive": Attribute(name), "negative": Attribute(other)}
        add_pair(db, project, parent=node.key, relation="flaw", by=by, **sides)
    else:
        last = get_criteria(db, project).revision
        undo(db, project, 1 + number % last, by=by)


def replayed(db: Session, project: Project, start: dict[int, dict[str, Any]]) -> dict[int, Any]:
    """The nodes as the recorded changes make them out of those that were loaded."""
    nodes = {key: dict(values) for key, values in start.items()}
    changes = db.scalars(
        select(NodeChange)
        .where(NodeChange.project_id == project.id, NodeChange.node_id.is_not(None))
        .order_by(NodeChange.revision)
    )
    for change in changes:
        assert change.node_id is not None
        if change.after is None:
            del nodes[change.node_id]
        elif change.before is None:
            nodes[change.node_id] = dict(change.after)
        else:
            for field, value in change.before.items():
                assert nodes[change.node_id][field] == value
            nodes[change.node_id] |= change.after
    return nodes


def stored(db: Session, project: Project) -> dict[int, dict[str, Any]]:
    return {
        node.id: {column: getattr(node, column) for column in COLUMNS}
        for node in find_nodes(db, project)
    }


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=1, max_size=25))
def test_any_edits_keep_the_tree_whole(
    people: Cast, steps: list[tuple[str, int, str, str]]
) -> None:
    with Session(database.engine(), autoflush=True) as db:
        project = Project(slug="any-edits", name="Any edits")
        db.add(project)
        db.flush()
        load_criteria(db, project, SMALL, by=people.lea)
        start = stored(db, project)
        seen = {node_id: values["key"] for node_id, values in start.items()}
        for step in steps:
            before = get_criteria(db, project).revision
            with suppress(AppError):
                take(db, project, people, step)
            assert get_criteria(db, project).revision - before in (0, 1)
            for node_id, key in db.execute(
                select(Node.id, Node.key).where(Node.project_id == project.id)
            ).all():
                assert seen.setdefault(node_id, key) == key
        assert len(set(seen.values())) == len(seen)
        faults = {each.code for each in check(working_criteria(db, project))}
        # A new dimension has no pair yet; anything else of severity error would be a broken edit.
        assert not faults & {"bad-key", "duplicate-key", "duplicate-name", "prompt-clash"}
        assert not faults & {"too-deep", "bad-name", "missing-name", "untidy-name"}
        db.expire_all()
        assert stored(db, project) == replayed(db, project, start)
        db.rollback()
