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
from app.labels.models import STATES
from app.projects.models import Project
from app.versions.counting import LabelCounts, count_labels
from app.versions.succession import Due
from taxonomy.replacing import replacements
from taxonomy.tree import POLARITIES, Criteria, Pair

WORDS = {
    "merge": "merged into",
    "split": "split into",
    "redefine": "given another meaning:",
    "return": "taken back; labels return to",
}


MOST_READ = 40_000
FEWEST_READ = 100
"""Labels that are read for the numbers of images, where there are more; but never fewer than this of one pair, polarity
and state.
"""


@dataclass(frozen=True, slots=True)
class Effect:
    """What becomes of the labels of some pairs. `num_disputed` counts images where merged labels disagree;
    with `kind` `return` the old pairs are those that leave again. Where `is_more`, the images are at least so many:
    of more labels than `MOST_READ` not all are read.
    """

    kind: str
    old: tuple[Node, ...]
    new: tuple[Node, ...]
    labels: LabelCounts
    num_images: int = 0
    num_disputed: int = 0
    is_more: bool = False

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
    concerned = {
        node.id: node.project_id for _, old, new in sides for node in (*old, *new) if node.id
    }
    project_id = next(iter(concerned.values()), 0)
    counts = count_labels(db, project_id, concerned)
    numbers = _count_images(db, sides, sum(each.all for each in counts.values()))
    effects = []
    for place, (kind, old, new) in enumerate(sides):
        labels = LabelCounts()
        for node in old:
            if node.id in counts:
                labels.add(counts[node.id])
        effects.append(Effect(kind, old, new, labels, *numbers.get(place, (0, 0, False))))
    return effects


# Each polarity and state of a pair is a stretch of the index, and none is read further than `most`: whatever is
# left out, what was seen on an image stands, so that both numbers are reached by what there is in truth.
_COUNT = text(
    """
    WITH seen AS MATERIALIZED (
        SELECT m.place, m.is_old, m.merges, l.* FROM jsonb_to_recordset(CAST(:nodes AS jsonb))
            AS m(place int, node_id bigint, is_old boolean, merges boolean)
        CROSS JOIN unnest(CAST(:polarities AS text[])) AS p(polarity)
        CROSS JOIN unnest(CAST(:states AS text[])) AS s(state)
        CROSS JOIN LATERAL (
            SELECT image_id, node_id, polarity, state FROM label
            WHERE node_id = m.node_id AND polarity = p.polarity AND state = s.state
            ORDER BY image_id LIMIT CAST(:most AS bigint)
        ) AS l
    ), full_ones AS (
        SELECT DISTINCT place FROM seen GROUP BY place, node_id, polarity, state
        HAVING count(*) >= CAST(:most AS bigint)
    )
    SELECT place, count(DISTINCT image_id), count(DISTINCT image_id) FILTER (WHERE is_disputed),
           place IN (SELECT place FROM full_ones)
    FROM (
        SELECT place, image_id, polarity,
               merges AND bool_or(state = 'rejected') AND NOT bool_and(state = 'rejected') AS is_disputed
        FROM seen GROUP BY place, merges, image_id, polarity HAVING bool_or(is_old)
    ) AS each GROUP BY place
    """
)


def _count_images(
    db: Session, sides: Sequence[Sides], num_labels: int
) -> dict[int, tuple[int, int, bool]]:
    nodes = [
        {"place": place, "node_id": node.id, "is_old": is_old, "merges": kind == "merge"}
        for place, (kind, old, new) in enumerate(sides)
        for is_old, both in ((True, old), (False, new if kind == "merge" else ()))
        for node in both
    ]
    if not nodes:
        return {}
    stretches = len(nodes) * len(POLARITIES) * len(STATES)
    values = {
        "nodes": json.dumps(nodes),
        "polarities": list(POLARITIES),
        "states": list(STATES),
        # Without a limit all are read.
        "most": max(MOST_READ // stretches, FEWEST_READ) if num_labels > MOST_READ else None,
    }
    return {row[0]: (row[1], row[2], row[3]) for row in db.execute(_COUNT, values)}
