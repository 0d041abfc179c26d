"""What of the criteria applies to an image, and how it reads there: the paper's non-equilibrium.

A branch may need content that an image lacks; an attribute may be description, or a merit, in the image's
style. The one place that decides it, for correction, agents, datasets and evaluation alike.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from taxonomy.names import slug
from taxonomy.tree import POLARITIES, Criteria, Pair, Polarity, Side

Reads: TypeAlias = Literal["positive", "negative", "neutral"]
Kind: TypeAlias = Literal["style", "content"]

KINDS: tuple[Kind, ...] = ("style", "content")
_LISTED = re.compile(r"[;,|/\n]")


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of an image, by ids of the criteria: its styles, the content that it holds, and that
    it lacks. Of content in neither set nothing is known.
    """

    styles: frozenset[str] = frozenset()
    present: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()

    def as_data(self) -> dict[str, list[str]]:
        """As it stands in a dataset; what nothing is known of is left out."""
        sets = {"styles": self.styles, "present": self.present, "absent": self.absent}
        return {name: sorted(ids) for name, ids in sets.items() if ids}

    def shared_with(self, other: "Traits") -> "Traits":
        """What holds of both images."""
        return Traits(
            self.styles & other.styles, self.present & other.present, self.absent & other.absent
        )

    @classmethod
    def of(cls, data: object) -> "Traits":
        """Back from `as_data`. Raises TypeError where it is no such thing."""
        if not isinstance(data, Mapping) or not all(isinstance(ids, list) for ids in data.values()):
            raise TypeError("the traits of an image are lists by name")
        return cls(**{name: frozenset(map(str, ids)) for name, ids in data.items()})


UNKNOWN = Traits()


class Read(NamedTuple):
    """The attributes of one image as they read there, each in the order given."""

    positive: tuple[Side, ...]
    negative: tuple[Side, ...]
    neutral: tuple[Side, ...]
    not_applicable: tuple[Side, ...]


class Applicability:
    """What applies where in one tree, looked up once, so that many images can be asked."""

    def __init__(self, criteria: Criteria) -> None:
        self._needs: dict[str, tuple[str, ...]] = {}
        self._readings: dict[Side, dict[str, Reads]] = {}
        for entry in criteria.walk():
            above = self._needs.get(entry.parent.key, ()) if entry.parent else ()
            needs = (*above, *(each for each in entry.node.needs if each not in above))
            if needs:
                self._needs[entry.node.key] = needs
            for polarity in POLARITIES if isinstance(entry.node, Pair) else ():
                assert isinstance(entry.node, Pair)
                if styles := entry.node.attribute(polarity).styles:
                    self._readings[Side(entry.node.key, polarity)] = dict(styles)

    @property
    def is_plain(self) -> bool:
        """Whether everything applies to every image and reads as its side says."""
        return not (self._needs or self._readings)

    def needs(self, key: str) -> tuple[str, ...]:
        """The content that an image must hold for a node to apply, what is asked further up first."""
        return self._needs.get(key, ())

    def lacking(self, key: str, traits: Traits) -> tuple[str, ...]:
        """The content for want of which a node does not apply to an image; none where it does.

        Where nothing is known of needed content, the node applies: it is asked.
        """
        if not traits.absent:
            return ()
        return tuple(each for each in self.needs(key) if each in traits.absent)

    def reads(self, key: str, polarity: Polarity, traits: Traits) -> Reads:
        """How an attribute reads in an image's style. Of several styles the kindest one counts."""
        readings = self._readings.get(Side(key, polarity)) if traits.styles else None
        if not readings:
            return polarity
        found = {readings[style] for style in traits.styles if style in readings}
        return "positive" if "positive" in found else "neutral" if found else polarity

    def sort(self, held: Iterable[Side], traits: Traits) -> Read:
        """The attributes of an image by how they read there."""
        found: dict[str, list[Side]] = {each: [] for each in Read._fields}
        for side in held:
            # Millions are asked: most need no content and read the same in every style.
            if traits.absent and self.lacking(side.key, traits):
                found["not_applicable"].append(side)
            elif side in self._readings:
                found[self.reads(side.key, side.polarity, traits)].append(side)
            else:
                found[side.polarity].append(side)
        return Read(*(tuple(each) for each in found.values()))


class Vocabulary:
    """The styles and the content of one tree, found by the words of an image's metadata."""

    def __init__(self, criteria: Criteria) -> None:
        self._ids: dict[Kind, dict[str, str]] = {"style": {}, "content": {}}
        for style in criteria.styles:
            for name in (style.id, style.name, *style.alternatives):
                self._ids["style"].setdefault(slug(name), style.id)
        for content in criteria.content:
            for name in (content.id, content.name):
                self._ids["content"].setdefault(slug(name), content.id)

    def find(self, kind: Kind, value: object) -> Iterator[str]:
        """The ids that a piece of metadata names: a text, several in one text, or a list."""
        ids = self._ids[kind]
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str) or not text.strip():
                continue
            whole = ids.get(slug(text))
            parts = (ids.get(slug(part)) for part in _LISTED.split(text) if part.strip())
            yield from [whole] if whole else filter(None, parts)
