"""The criteria that a file is read into: which of their nodes the file means, and which keys are free."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from taxonomy.formats.data import dimension_fields, pair_fields
from taxonomy.formats.reading import Fields
from taxonomy.names import new_key, squeeze
from taxonomy.tree import Criteria, Dimension, Pair


@dataclass
class Existing:
    """Criteria that are there already, seen by those who read a file into them.

    What a file says nothing of stays as it is here. `taken` are keys of nodes that are gone: keys are
    never used again.
    """

    criteria: Criteria = field(default_factory=lambda: Criteria("Criteria"))
    taken: Iterable[str] = ()

    def __post_init__(self) -> None:
        self._dimensions: dict[tuple[str | None, str], str] = {}
        self._pairs: dict[tuple[str, str], str] = {}
        self._links: dict[str, str] = {}
        self._kept: dict[str, Dimension | Pair] = {}
        for entry in self.criteria.walk():
            node, above = entry.node, entry.parent.key if entry.parent else None
            self._kept.setdefault(node.key, node)
            words = node.words if isinstance(node, Dimension) else node.positive.words
            self._links |= dict.fromkeys(words.exact_match, node.key)
            if isinstance(node, Dimension):
                self._dimensions.setdefault((above, squeeze(node.name)), node.key)
            elif above is not None:
                for side in (node.positive, node.negative):
                    self._pairs.setdefault((above, squeeze(side.name)), node.key)
        self._taken = {*self._kept, *self.criteria.successors, *self.taken}

    def dimension_at(self, parent: str | None, name: str) -> str | None:
        """The key of the dimension of this name below this one."""
        return self._dimensions.get((parent, squeeze(name)))

    def pair_at(self, parent: str, positive: str, negative: str) -> str | None:
        """The key of the pair below this dimension that has the positive or else the negative name."""
        names = [squeeze(name) for name in (positive, negative)]
        found = [self._pairs.get((parent, name)) for name in names if name]
        return next(filter(None, found), None)

    def linked_to(self, iri: str) -> str | None:
        """The key of the node that is the same as this concept of another vocabulary."""
        return self._links.get(iri)

    def is_dimension(self, key: str) -> bool:
        return isinstance(self._kept.get(key), Dimension)

    def dimension_fields(self, key: str) -> Fields:
        """What the dimension with this key says, as plain data; nothing where there is none."""
        node = self._kept.get(key)
        return dimension_fields(node) if isinstance(node, Dimension) else {}

    def pair_fields(self, key: str) -> Fields:
        """What the pair with this key says, as plain data; nothing where there is none."""
        node = self._kept.get(key)
        return pair_fields(node) if isinstance(node, Pair) else {}

    def parent_of(self, key: str) -> str | None:
        """The key of the dimension above a node."""
        entry = self.criteria.find(key)
        return entry.parent.key if entry is not None and entry.parent is not None else None

    def claim(self, keys: Iterable[str]) -> None:
        """Note the keys that a file gives, so that no new one is the same."""
        self._taken.update(keys)

    def new_key(self, name: str) -> str:
        """A free key made from the name; it is taken from then on."""
        key = new_key(name, self._taken)
        self._taken.add(key)
        return key
