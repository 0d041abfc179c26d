"""How many labels stand on the nodes that changes touch, by kind of change, and what becomes of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.criteria.models import Node
from app.projects.models import Project
from app.versions.counting import LabelCounts, count_labels
from taxonomy.changes import Change
from taxonomy.tree import Criteria, Pair

# What publication does to the labels of the nodes that a change touches.
EFFECTS = {
    "added": "none yet; finished images are listed again",
    "removed": "kept",
    "moved": "kept as they are",
    "reordered": "kept as they are",
    "renamed": "kept as they are",
    "text-moved": "asked: they stay and change their meaning, or follow the name",
    "name-moved": "asked: they stay with their attributes, which are found under another name",
    "described": "kept as they are",
    "merged": "carried over; where they disagree, proposed for review",
    "split": "looked at again: each new attribute is proposed",
    "meaning-changed": "looked at again under the new meaning",
    "taken-back": "given back as they stood; what was decided since is asked where it differs",
    "came-back": "given back as they stood",
    "succession-changed": "kept as they are",
    "relation-changed": "kept; contradictions are counted anew",
    "exclusive-changed": "kept; contradictions are counted anew",
    "retired": "kept, greyed, left out of new datasets",
    "restored": "counted again",
    "words-changed": "kept as they are",
    "prompt-changed": "kept; prompts of new datasets say the new words",
    "applicability-changed": "kept; what does not apply is not counted",
    "exclusions-changed": "kept; contradictions are counted anew",
    "language-changed": "kept as they are",
    "limit-changed": "kept as they are",
}


@dataclass(frozen=True, slots=True)
class Touched:
    """One kind of change: how many there are and how many labels stand on their nodes."""

    kind: str
    num_changes: int
    labels: LabelCounts
    effect: str


def count_touched(
    db: Session, project: Project, old: Criteria | None, new: Criteria, changes: Iterable[Change]
) -> list[Touched]:
    """The labels at and below the nodes of the changes that lead from one tree to another, by kind."""
    by_kind: dict[str, list[Change]] = {}
    # What takes the place of others is counted with them.
    taking = {key for keys in new.successors.values() for key in keys}
    changes = [each for each in changes if each.kind != "added" or each.key not in taking]
    moved = {(each.key, each.part) for each in changes if each.kind == "text-moved"}
    for change in changes:
        # What became of a name that went elsewhere is asked, so it is not among those that just stay.
        if change.kind in ("renamed", "described") and (change.key, change.part) in moved:
            continue
        by_kind.setdefault(change.kind, []).append(change)
    pairs = {
        kind: {pair for each in group for pair in _pairs_at(each.key, new, old)}
        for kind, group in by_kind.items()
    }
    # Of what is in the tree and of what left it.
    keys = {key for each in pairs.values() for key in each}
    rows = db.execute(
        select(Node.key, Node.id).where(Node.project_id == project.id, Node.key.in_(keys))
    )
    ids: dict[str, int] = {row.key: row.id for row in rows}
    counts = count_labels(db, project.id, ids.values())
    return [
        Touched(kind, len(group), _sum(counts, ids, pairs[kind]), EFFECTS[kind])
        for kind, group in by_kind.items()
    ]


def _pairs_at(key: str, *trees: Criteria | None) -> set[str]:
    """The keys of the pairs at or below a node, in whichever tree holds it."""
    return {
        entry.node.key
        for criteria in trees
        if criteria is not None and key
        for entry in criteria.walk()
        if key in entry.path and isinstance(entry.node, Pair)
    }


def _sum(counts: dict[int, LabelCounts], ids: dict[str, int], keys: Iterable[str]) -> LabelCounts:
    total = LabelCounts()
    for key in keys:
        if (found := counts.get(ids.get(key, 0))) is not None:
            total.add(found)
    return total
