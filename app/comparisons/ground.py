"""The common ground of two runs: sides of attribute pairs that mean the same to both, though one may have known them
under older criteria.

A pair that was merged, split or given another meaning stands for what took its place, in the newest version of both:
where one became two, or two one, all of them are one, and finding any of them counts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.agents.models import AgentRun
from app.agents.recording import later_versions
from app.agents.sides import number_of
from app.criteria.models import CriteriaVersion, Node
from app.criteria.reading import version_criteria
from taxonomy.tree import POLARITIES, Criteria, Pair, Polarity

AskedBy: TypeAlias = Literal["both", "first", "second"]


@dataclass(frozen=True, slots=True)
class GroundSide:
    """One side of a pair, or of several that are one here (by node id), and which runs looked for it."""

    node_ids: tuple[int, ...]
    polarity: Polarity
    asked_by: AskedBy

    @property
    def numbers(self) -> list[int]:
        """What it is called in what runs keep (`app.agents.sides`)."""
        return [number_of(each, self.polarity) for each in self.node_ids]


@dataclass(frozen=True, slots=True)
class Ground:
    """Two runs, the newest criteria version of both, and the sides that either looked for, in tree order."""

    first_id: int
    second_id: int
    version: CriteriaVersion
    sides: tuple[GroundSide, ...]

    @property
    def places(self) -> dict[int, int]:
        """The place among `sides` of each number that runs keep."""
        return {number: at for at, side in enumerate(self.sides) for number in side.numbers}


def find_ground(db: Session, first: AgentRun, second: AgentRun) -> Ground:
    """What two runs can be compared by."""
    version = newest_version(db, first, second)
    nodes = db.execute(
        select(Node.id, Node.key).where(Node.project_id == first.project_id, Node.kind == "pair")
    )
    ids: dict[str, int] = {key: node_id for node_id, key in nodes}
    decided = [_decided(db, run, ids) for run in (first, second)]
    sides = []
    for node_ids in _groups(version_criteria(version), ids, decided):
        for polarity in POLARITIES:
            numbers = {number_of(each, polarity) for each in node_ids}
            is_first, is_second = (bool(numbers & each) for each in decided)
            if is_first or is_second:
                asked_by: AskedBy = "first" if not is_second else "both" if is_first else "second"
                sides.append(GroundSide(node_ids, polarity, asked_by))
    return Ground(first.id, second.id, version, tuple(sides))


def newest_version(db: Session, *runs: AgentRun) -> CriteriaVersion:
    """The newest criteria version that these runs looked under."""
    ids = {each.version_id for run in runs for each in later_versions(run)}
    ids |= {run.version_id for run in runs}
    newest = select(CriteriaVersion).where(CriteriaVersion.id.in_(ids))
    return db.scalars(newest.order_by(CriteriaVersion.number.desc()).limit(1)).one()


def _decided(db: Session, run: AgentRun, ids: Mapping[str, int]) -> set[int]:
    """The sides that a run looked for; all in use where it did not keep that."""
    if run.decides is not None:
        return set(run.decides)
    criteria = version_criteria(db.get_one(CriteriaVersion, run.version_id))
    pairs = [ids[pair.key] for pair in criteria.active_pairs()]
    return {number_of(each, polarity) for each in pairs for polarity in POLARITIES}


def _groups(
    criteria: Criteria, ids: Mapping[str, int], decided: Collection[Collection[int]]
) -> list[tuple[int, ...]]:
    """The pairs that runs looked for, those together that took each other's place, in tree order."""
    keys = {node_id: key for key, node_id in ids.items()}
    asked = {keys[abs(number)] for numbers in decided for number in numbers}
    order = [entry.node.key for entry in criteria.walk() if isinstance(entry.node, Pair)]
    place = {key: at for at, key in enumerate(order)}
    leader: dict[str, str] = {}

    def lead(key: str) -> str:
        while (above := leader.setdefault(key, key)) != key:
            key = above
        return key

    for key in sorted(asked):
        for heir in criteria.resolve(key):
            one, other = sorted(
                (lead(key), lead(heir)), key=lambda k: (place.get(k, len(place)), k)
            )
            leader[other] = one
    groups: dict[str, list[str]] = {}
    for key in sorted(asked, key=lambda key: (place.get(key, len(place)), key)):
        groups.setdefault(lead(key), []).append(key)
    first = sorted(groups, key=lambda key: (place.get(key, len(place)), key))
    return [tuple(ids[each] for each in groups[key]) for key in first]
