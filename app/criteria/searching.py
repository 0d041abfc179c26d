"""Searches the criteria of a project: attributes for adding labels, lines for the tree's filter."""

from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.criteria.reading import get_criteria
from app.criteria.snapshots import Snapshot, read_snapshot
from app.projects.models import Project
from taxonomy.searching import FoundNode, Index
from taxonomy.tree import Criteria, Polarity

MAX_KEPT = 16
_kept: OrderedDict[int, Index] = OrderedDict()


@dataclass(frozen=True, slots=True)
class FoundAttribute:
    """An attribute that a search found; `path` holds the names of the dimensions above it."""

    node_id: int
    key: str
    polarity: Polarity
    name: str
    definition: str
    path: tuple[str, ...]


def search_attributes(
    db: Session, project: Project, text: str, *, limit: int = 30
) -> list[FoundAttribute]:
    """Attributes in use of the working criteria, best first; an empty text finds nothing.

    How words are read and what is best says `taxonomy.folding`, for every search alike.
    """
    if not text.strip():
        return []
    snapshot = read_snapshot(db, project)
    found = _index(db, project, snapshot).attributes(text, limit=limit)
    return [
        FoundAttribute(
            snapshot.by_key[each.key].id,
            each.key,
            each.polarity,
            each.name,
            each.definition,
            each.path,
        )
        for each in found
    ]


def search_nodes(db: Session, project: Project, text: str) -> list[FoundNode]:
    """Dimensions and pairs of the working criteria that hold the words themselves, in tree order."""
    if not text.strip():
        return []
    return _index(db, project, read_snapshot(db, project)).nodes(text)


def _index(db: Session, project: Project, snapshot: Snapshot) -> Index:
    """The words of the working criteria, made once for each state: people search at every key."""
    return snapshot.once("index", lambda: Index(snapshot.tree(get_criteria(db, project))))


def version_index(version_id: int, criteria: Criteria) -> Index:
    """The words of a published version, made once per process: people search at every key."""
    index = _kept.get(version_id)
    if index is None:
        index = _kept[version_id] = Index(criteria)
        while len(_kept) > MAX_KEPT:
            _kept.popitem(last=False)
    return index
