"""Names that go to another dimension while labels stand below: finding them, and asking.

A label names an attribute, whose own name stays, so no label is turned round. But attributes do not go
with the name of their dimension: what was labelled below the one is found below the other from then on,
and an agent or a person who goes down the tree is told another context. So it is asked whether that is meant.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.criteria.reading import current_version, get_criteria, version_criteria
from app.criteria.snapshots import read_snapshot
from app.criteria.successions import find_successors
from app.errors import Conflict
from app.projects.models import Project
from app.versions.counting import count_all_labels
from taxonomy.changes import moved_dimensions
from taxonomy.tree import Criteria, Pair


@dataclass(frozen=True, slots=True)
class DimensionMoved:
    """A name that went to another dimension since the last version, with the labels below the first one."""

    name: str
    source: str
    target: str
    num_labels: int

    @property
    def sentence(self) -> str:
        """What happened and what it means, for people."""
        labels = "1 label stands" if self.num_labels == 1 else f"{self.num_labels} labels stand"
        return (
            f"“{self.name}” was the name of the dimension {self.source} and is now that of {self.target}. "
            f"{labels} on attributes below {self.source}, which stay there."
        )


def find_moved_dimensions(db: Session, project: Project) -> list[DimensionMoved]:
    """Every name that stands at another dimension than in the last version, where labels stand below."""
    last = current_version(db, project)
    if last is None:
        return []
    snapshot = read_snapshot(db, project)
    old = version_criteria(last)
    found = moved_dimensions(old, snapshot.tree(get_criteria(db, project)))
    if not found:
        return []
    # The children of what was merged went along.
    replaced = find_successors(db, project)
    found = [each for each in found if each.source not in replaced]
    ids = {key: node.id for key, node in snapshot.by_key.items()}
    below = {each.source: _pairs_below(old, each.source) for each in found}
    wanted = {ids[key] for keys in below.values() for key in keys if key in ids}
    numbers: Counter[int] = Counter()
    for (node_id, _), number in count_all_labels(db, project.id, wanted).items():
        numbers[node_id] += number
    counted = [
        DimensionMoved(
            each.name,
            each.source,
            each.target,
            sum(numbers[ids.get(key, 0)] for key in below[each.source]),
        )
        for each in found
    ]
    return [each for each in counted if each.num_labels]


def _pairs_below(criteria: Criteria, key: str) -> set[str]:
    return {
        entry.node.key
        for entry in criteria.walk()
        if key in entry.path and isinstance(entry.node, Pair)
    }


def refuse_unasked(moved: Sequence[DimensionMoved], choice: str | None) -> None:
    """Raise Conflict with the question, unless the answer is to keep all where it is."""
    if not moved or choice == "keep":
        return
    more = f" (and {len(moved) - 1} more)" if len(moved) > 1 else ""
    raise Conflict(
        f"{moved[0].sentence}{more} Nothing was changed yet.",
        field="names_moved",
        hint="Is each dimension to get another meaning, say “keep”. Were only the names to be exchanged, "
        "take the renaming back: attributes cannot follow the name of their dimension.",
        choices={
            "keep": "The attributes and their labels stay where they are, under the new name."
        },
        moved=[as_json(each) for each in moved],
    )


def as_json(moved: DimensionMoved) -> dict[str, Any]:
    """A moved name for programs."""
    return {
        "part": "dimension",
        "text": moved.name,
        "from": {"key": moved.source},
        "to": {"key": moved.target},
        "labels": moved.num_labels,
        "sentence": moved.sentence,
    }
