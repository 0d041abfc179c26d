"""What the next publication will do to the labels of nodes that others took the place of, in numbers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.criteria.columns import unsaved_row
from app.criteria.models import Node
from app.criteria.reading import title
from app.projects.models import Project
from app.versions.counting import LabelCounts, count_labels
from app.versions.succession import Due
from taxonomy.replacing import replacements
from taxonomy.tree import Criteria, Pair

WORDS = {
    "merge": "merged into",
    "split": "split into",
    "redefine": "given another meaning:",
    "return": "taken back; labels return to",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What becomes of the labels of some pairs. `num_disputed` counts images where merged labels disagree;
    with `kind` `return` the old pairs are those that leave again.
    """

    kind: str
    old: tuple[Node, ...]
    new: tuple[Node, ...]
    labels: LabelCounts
    num_images: int = 0
    num_disputed: int = 0

    @property
    def sentence(self) -> str:
        """Which pairs, for people."""
        old, new = (
            " and ".join(f"“{title(node)}”" for node in side) for side in (self.old, self.new)
        )
        return f"{old} {'were' if len(self.old) > 1 else 'was'} {WORDS[self.kind]} {new}"


def preview_replacements(
    db: Session, project: Project, old: Criteria, new: Criteria
) -> list[Effect]:
    """What publication will do once a tree has been put in the place of another, counted in three queries.

    Of pairs that only the new tree has, the effect holds nodes that are in no table.
    """
    found = [
        (kind, node.key, keys)
        for kind, node, keys in replacements(old, new)
        if isinstance(node, Pair)
    ]
    asked = {key for _, gone, keys in found for key in (gone, *keys)}
    rows = db.scalars(select(Node).where(Node.project_id == project.id, Node.key.in_(asked)))
    nodes = {node.key: node for node in rows}
    for key in asked - nodes.keys():
        nodes[key] = unsaved_row(new.entry(key).node)
    sides: dict[tuple[str, tuple[str, ...]], list[Node]] = {}
    for kind, gone, keys in found:
        sides.setdefault((kind, keys), []).append(nodes[gone])
    return _count(
        db,
        [
            (kind, tuple(old_nodes), tuple(nodes[key] for key in keys))
            for (kind, keys), old_nodes in sides.items()
        ],
    )


Sides: TypeAlias = tuple[str, tuple[Node, ...], tuple[Node, ...]]


def preview_effects(db: Session, due: Due) -> list[Effect]:
    """What publication will do, counted in two queries."""
    sides: list[Sides] = [
        ("return", each.left or each.stayed, each.came_back)
        for each in due.taken_back
        if each.came_back
    ]
    return _count(db, sides + [(each.kind, each.old, each.new) for each in due.replaced])


def foresee(db: Session, kind: str, nodes: Sequence[Node]) -> Effect:
    """What a change of these pairs would concern, before anybody makes it."""
    return _count(db, [(kind, tuple(nodes), ())])[0]


def _count(db: Session, sides: Sequence[Sides]) -> list[Effect]:
    concerned = {node.id: node.project_id for _, old, _ in sides for node in old}
    project_id = next(iter(concerned.values()), 0)
    counts = count_labels(db, project_id, concerned)
    numbers = _count_images(db, sides)
    effects = []
    for place, (kind, old, new) in enumerate(sides):
        labels = LabelCounts()
        for node in old:
            if node.id in counts:
                labels.add(counts[node.id])
        images, disputed = numbers.get(place, (0, 0))
        effects.append(Effect(kind, old, new, labels, images, disputed))
    return effects


_COUNT = text(
    """
    SELECT place, count(DISTINCT image_id), count(DISTINCT image_id) FILTER (WHERE is_disputed)
    FROM (
        SELECT m.place, l.image_id, l.polarity,
               m.merges AND bool_or(l.state = 'rejected') AND NOT bool_and(l.state = 'rejected')
               AS is_disputed
        FROM label AS l JOIN jsonb_to_recordset(CAST(:nodes AS jsonb))
            AS m(place int, node_id bigint, is_old boolean, merges boolean) USING (node_id)
        GROUP BY m.place, m.merges, l.image_id, l.polarity HAVING bool_or(m.is_old)
    ) AS each GROUP BY place
    """
)


def _count_images(db: Session, sides: Sequence[Sides]) -> dict[int, tuple[int, int]]:
    nodes = [
        {"place": place, "node_id": node.id, "is_old": is_old, "merges": kind == "merge"}
        for place, (kind, old, new) in enumerate(sides)
        for is_old, both in ((True, old), (False, new if kind == "merge" else ()))
        for node in both
    ]
    if not nodes:
        return {}
    return {row[0]: (row[1], row[2]) for row in db.execute(_COUNT, {"nodes": json.dumps(nodes)})}
