"""Carrying merges, splits and changes of meaning out on labels, at publication; and taking them back.

The working criteria say which nodes took the place of others (`node_succession`), and by which change.
A publication compares that with what publications did so far (`succession_effect`): what is new is carried
out in the order it was made, what does not stand any more is taken back first, the latest before the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import CriteriaVersion, Node, NodeChange, NodeSuccession
from app.criteria.successions import find_successor_ids
from app.labels.carrying import Step, merge_labels, return_labels, review_labels
from app.labels.models import Label
from app.projects.models import Project
from app.versions.models import SuccessionEffect

_CARRIED = {"merge", "split", "redefine"}


@dataclass(frozen=True, slots=True)
class Replacement:
    """Pairs that left and the pairs that took their place, by one change; dimensions have no labels."""

    change_id: int
    kind: str
    old: tuple[Node, ...]
    new: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What a publication carried out and does not stand any more. `stayed` were merged into."""

    effect: SuccessionEffect
    kind: str
    came_back: tuple[Node, ...]
    left: tuple[Node, ...]
    stayed: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """What the next publication does to labels, in this order."""

    taken_back: tuple[TakenBack, ...] = ()
    replaced: tuple[Replacement, ...] = ()


def find_due(db: Session, project: Project) -> Due:
    """What the next publication has to carry out and to take back."""
    known = find_successor_ids(db, project)
    rows = [row for each in known.values() for row in each if row.kind in _CARRIED]
    effects = db.scalars(
        select(SuccessionEffect)
        .where(SuccessionEffect.project_id == project.id, SuccessionEffect.taken_back_in.is_(None))
        .order_by(SuccessionEffect.id.desc())
    ).all()
    done = {each.change_id for each in effects}
    standing = {row.change_id for row in rows}
    new = [row for row in rows if row.change_id not in done]
    over = [each for each in effects if each.change_id not in standing]
    nodes = _nodes(db, new)
    replaced = [
        each
        for _, group in groupby(new, key=lambda row: row.change_id)
        for each in _replacements(list(group), nodes)
    ]
    return Due(tuple(_taken_back(db, over)), tuple(replaced))


def carry_out(db: Session, project: Project, version: CriteriaVersion, *, by: Person) -> Due:
    """After `version` was frozen: do to the labels what became due, and note it."""
    due = find_due(db, project)
    for each in due.taken_back:
        return_labels(
            db,
            _step(each.effect.change_id, version, by, each.left),
            given_in=each.effect.version_id,
            came_back=[node.id for node in each.came_back],
            left=[node.id for node in each.left],
            stayed=[node.id for node in each.stayed],
            standing=_standing(db, project, each.effect),
        )
        each.effect.taken_back_in = version.id
        db.flush()
    for change_id, group in groupby(due.replaced, key=lambda each: each.change_id):
        for replacement in group:
            if _has_labels(db, replacement):
                _carry(db, replacement, version, by)
        db.add(SuccessionEffect(project_id=project.id, change_id=change_id, version_id=version.id))
    db.flush()
    return due


def _carry(db: Session, each: Replacement, version: CriteriaVersion, by: Person) -> None:
    step = _step(each.change_id, version, by, [*each.old, *each.new])
    new = [node.id for node in each.new]
    if each.kind == "merge":
        merge_labels(db, step, [node.id for node in each.old], new[0])
        return
    for node in each.old:
        review_labels(db, step, node.id, new, kind=each.kind)


def _standing(db: Session, project: Project, effect: SuccessionEffect) -> Sequence[int]:
    """The versions of the effects that hold beside this one."""
    return db.scalars(
        select(SuccessionEffect.version_id).where(
            SuccessionEffect.project_id == project.id,
            SuccessionEffect.taken_back_in.is_(None),
            SuccessionEffect.id != effect.id,
        )
    ).all()


def _has_labels(db: Session, each: Replacement) -> bool:
    old = [node.id for node in each.old]
    return db.scalar(select(Label.id).where(Label.node_id.in_(old)).limit(1)) is not None


def _step(change_id: int, version: CriteriaVersion, by: Person, nodes: Iterable[Node]) -> Step:
    names = {node.id: (node.positive_name or "", node.negative_name or "") for node in nodes}
    return Step(change_id, version.id, by, names)


# Finding -------------------------------------------------------------------------------------


def _nodes(db: Session, rows: Sequence[NodeSuccession]) -> Mapping[int, Node]:
    ids = {each for row in rows for each in (row.old_id, row.new_id)}
    if not ids:
        return {}
    found = db.scalars(select(Node).where(Node.id.in_(ids), Node.kind == "pair"))
    return {node.id: node for node in found}


def _replacements(rows: Sequence[NodeSuccession], nodes: Mapping[int, Node]) -> list[Replacement]:
    """What one change replaced; a merge has many old nodes for one new, a split many new for one old."""
    by_target: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for old_id, group in groupby(rows, key=lambda row: row.old_id):
        found = list(group)
        targets = tuple(row.new_id for row in found)
        by_target.setdefault((found[0].kind, targets), []).append(old_id)
    return [
        Replacement(
            rows[0].change_id,
            kind,
            tuple(nodes[each] for each in old),
            tuple(nodes[each] for each in targets),
        )
        for (kind, targets), old in by_target.items()
        if all(each in nodes for each in (*old, *targets))
    ]


def _taken_back(db: Session, effects: Sequence[SuccessionEffect]) -> list[TakenBack]:
    """The nodes of the changes that do not stand any more, as the changes recorded them."""
    if not effects:
        return []
    first = select(NodeChange.project_id, NodeChange.revision, NodeChange.id).where(
        NodeChange.id.in_([each.change_id for each in effects])
    )
    start = first.subquery()
    rows = db.execute(
        select(start.c.id, NodeChange, Node)
        .join(
            NodeChange,
            (NodeChange.project_id == start.c.project_id)
            & (NodeChange.revision == start.c.revision),
        )
        .join(Node, Node.id == NodeChange.node_id)
        .where(Node.kind == "pair")
        .order_by(NodeChange.part)
    ).all()
    return [
        found
        for each in effects
        for found in _of_effect(
            each, [(change, node) for root, change, node in rows if root == each.change_id]
        )
    ]


def _of_effect(
    effect: SuccessionEffect, rows: Sequence[tuple[NodeChange, Node]]
) -> list[TakenBack]:
    """One for each merge or split of a change, the latest first; an import may hold several."""
    by_id = {node.id: (change, node) for change, node in rows}
    groups: dict[tuple[str, tuple[int, ...]], list[Node]] = {}
    for change, node in sorted(rows, key=lambda row: row[1].id):
        if successors := (change.after or {}).get("successors"):
            way = (successors["kind"], tuple(successors["to"]))
            groups.setdefault(way, []).append(node)
    found = []
    for (kind, targets), old in reversed(groups.items()):
        there = [by_id[each] for each in targets if each in by_id]
        left = tuple(node for change, node in there if change.before is None)
        stayed = tuple(node for change, node in there if change.before is not None)
        found.append(TakenBack(effect, kind, tuple(old), left, stayed))
    return found
