"""What differs between two versions of the criteria, as a list of changes by key."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from taxonomy.detail_changes import DetailKind, detail_changes
from taxonomy.formats.details import (
    attribute_details,
    dimension_details,
    head_details,
    pair_details,
)
from taxonomy.formats.reading import Fields
from taxonomy.names import squeeze
from taxonomy.tree import POLARITIES, Attribute, Criteria, Dimension, Entry, Node, Pair, Side

_OwnKind: TypeAlias = Literal[
    "added",
    "removed",
    "moved",
    "reordered",
    "renamed",
    "described",
    "text-moved",
    "name-moved",
    "relation-changed",
    "exclusive-changed",
    "merged",
    "split",
    "meaning-changed",
    "taken-back",
    "came-back",
    "succession-changed",
    "retired",
    "restored",
    "language-changed",
    "limit-changed",
]
ChangeKind: TypeAlias = _OwnKind | DetailKind
Part: TypeAlias = Literal["name", "definition"]
_PARTS: tuple[Part, ...] = ("name", "definition")
Value: TypeAlias = str | int | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Change:
    """One difference at the node `key` ("" for the criteria themselves).

    `before` and `after` hold names (added, removed, renamed), a name and the keys that took its place
    (merged, split, meaning-changed), definitions (described), keys of
    parents (moved; None at the top), keys of the children in order (reordered), `key polarity` of
    where a text stood and stands (text-moved), keys of the dimensions that bore and bear a name
    (name-moved), or the value that changed. `part` says which side of a pair, or for reordered which kind
    of child; of what is said beside names and definitions it ends with the field, as in `positive prompt`.
    `sentence` is for people.
    """

    kind: ChangeKind
    key: str
    before: Value
    after: Value
    sentence: str
    part: str = ""


def difference(old: Criteria, new: Criteria) -> list[Change]:
    """The changes that lead from the old tree to the new one; none exactly when they are equal.

    Nodes are followed by key, wherever they went. Changes stand in the tree order of the new
    tree, removed nodes after them in the old order. Expects keys to be unique in each tree; a key
    that was a dimension and is now a pair counts as removed and added.
    """
    changes = [*_settings(old, new), *_order("dimensions", None, old.dimensions, new.dimensions)]
    for entry in new.walk():
        before = _same_node(old, entry)
        if before is None:
            changes.append(_added(entry, came_back=entry.node.key in old.successors))
        else:
            changes += _at_node(before, entry)
    gone = [entry for entry in old.walk() if _same_node(new, entry) is None]
    changes += [_replaced(old, new, each) or _removed(each) for each in gone]
    changes += _successions(old, new, {each.key for each in changes if each.kind in _TOLD})
    # A text of what was replaced went along with its labels; there is nothing to be asked.
    moved = [
        each
        for each in moved_texts(texts_of(old), texts_of(new))
        if each.source.key not in new.successors
    ]
    changes += [_text_moved(old, new, each) for each in moved]
    dimensions = moved_dimensions(old, new)
    return changes + [_name_moved(each) for each in dimensions if each.source not in new.successors]


# Texts that went to another attribute --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MovedText:
    """A name or a definition that stood at one attribute and now stands at another.

    Whoever labelled the first one meant what the text says, and it now says that of the other.
    """

    part: Part
    text: str
    source: Side
    target: Side


class Written(NamedTuple):
    """What one attribute says."""

    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class Texts:
    """Every attribute's name and definition as they were written, and who bears which text.

    The folded texts leave out what does not change a text's meaning: case, accents, white space,
    punctuation.
    """

    written: Mapping[Side, Written]
    retired: AbstractSet[Side]
    bearers: Mapping[Part, Mapping[str, tuple[Side, ...]]]

    def folded(self, side: Side, part: Part) -> str:
        """The folded text of an attribute; empty where it says nothing or is not there."""
        found = self.written.get(side)
        return _folded(getattr(found, part)) if found is not None else ""

    def bearer(self, part: Part, text: str) -> Side | None:
        """Who bears a folded text; a live one goes before retired ones.

        A text that two attributes bear tells nobody where it went: then it is none of them.
        """
        sides = self.bearers[part].get(text, ())
        live = [side for side in sides if side not in self.retired] or sides
        return live[0] if len(live) == 1 else None

    def rewritten(self, now: Mapping[Side, Written | None], retired: AbstractSet[Side]) -> "Texts":
        """The same after some attributes say something else, or are gone (None); `retired` are all that are."""
        written = dict(self.written)
        bearers = {part: dict(sides) for part, sides in self.bearers.items()}
        for side, texts in now.items():
            for part in _PARTS:
                if text := self.folded(side, part):
                    bearers[part][text] = tuple(e for e in bearers[part][text] if e != side)
            written.pop(side, None)
            if texts is not None:
                written[side] = texts
                _bear(bearers, side, texts)
        return Texts(written, retired, bearers)


def texts_of(criteria: Criteria) -> Texts:
    """The names and definitions of a tree's attributes."""
    written: dict[Side, Written] = {}
    retired: set[Side] = set()
    for entry in criteria.walk():
        for polarity in POLARITIES if isinstance(entry.node, Pair) else ():
            assert isinstance(entry.node, Pair)
            side = Side(entry.node.key, polarity)
            text = entry.node.attribute(polarity)
            written[side] = Written(text.name, text.definition)
            if entry.retired:
                retired.add(side)
    return texts_written(written, retired)


def texts_written(written: Mapping[Side, Written], retired: AbstractSet[Side]) -> Texts:
    """The same of attributes in tree order, and those of them that are retired."""
    bearers: dict[Part, dict[str, tuple[Side, ...]]] = {part: {} for part in _PARTS}
    for side, texts in written.items():
        _bear(bearers, side, texts)
    return Texts(written, retired, bearers)


def _bear(bearers: dict[Part, dict[str, tuple[Side, ...]]], side: Side, texts: Written) -> None:
    for part in _PARTS:
        if text := _folded(getattr(texts, part)):
            bearers[part][text] = (*bearers[part].get(text, ()), side)


def moved_texts(
    old: Texts, new: Texts, *, concerning: Collection[str] | None = None
) -> list[MovedText]:
    """The names that went to another attribute, and the definitions where the name did not.

    Of one attribute its name counts first: it is what people read when they label. With `concerning` only
    what came from or went to the pairs with these keys is found, without a look at all the others.
    """
    if concerning is None:
        names, definitions = (_gone(part, old, new, old.bearers[part]) for part in _PARTS)
    else:
        names, definitions = (_gone_of(part, old, new, concerning) for part in _PARTS)
    return names + [each for each in definitions if not _is_name_gone(old, new, each.source)]


def places_in(new: Criteria, old: Criteria, sides: Collection[Side]) -> dict[Side, Side]:
    """Where in the new criteria that stands which sides of the old ones say, as far as it is in use there.

    Where an expert gave a side's name to another attribute, it is that one which says so now, and the one that lost its
    name says something else.
    """
    went = {each.source: each.target for each in moved_texts(texts_of(old), texts_of(new))}
    taken, used = set(went.values()), {pair.key for pair in new.active_pairs()}
    places = {side: went.get(side, side) for side in sides if side in went or side not in taken}
    return {side: place for side, place in places.items() if place.key in used}


def _is_name_gone(old: Texts, new: Texts, source: Side) -> bool:
    gone = _gone("name", old, new, [old.folded(source, "name")])
    return any(each.source == source for each in gone)


def _gone_of(part: Part, old: Texts, new: Texts, keys: Collection[str]) -> list[MovedText]:
    sides = [Side(key, polarity) for key in keys for polarity in POLARITIES]
    texts = dict.fromkeys(each.folded(side, part) for side in sides for each in (old, new))
    found = _gone(part, old, new, texts)
    return [each for each in found if {each.source.key, each.target.key} & set(keys)]


def _gone(part: Part, old: Texts, new: Texts, texts: Iterable[str]) -> list[MovedText]:
    """Those of the folded texts that stand at another attribute now."""
    gone = []
    for text in texts:
        source, target = old.bearer(part, text), new.bearer(part, text)
        if source is None or target is None or source == target:
            continue
        if new.folded(source, part) != text and old.folded(target, part) != text:
            gone.append(MovedText(part, getattr(old.written[source], part), source, target))
    return gone


def is_same_text(one: str, other: str) -> bool:
    """Whether two texts say the same: case, accents, signs and white space do not count."""
    return _folded(one) == _folded(other)


# Of one edit to the next nearly all texts are the same.
@lru_cache(maxsize=50_000)
def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in plain if each.isalnum()) or squeeze(text)


def _text_moved(old: Criteria, new: Criteria, moved: MovedText) -> Change:
    source, target = moved.source, moved.target
    text = f" “{moved.text}”" if moved.part == "name" else ""
    sentence = (
        f"The {moved.part}{text} of the {source.polarity} side of "
        f"{_title(old.pair(source.key))} now stands at the {target.polarity} side of "
        f"{_title(new.pair(target.key))}: the meanings of these sides were exchanged."
    )
    return Change(
        "text-moved", source.key, " ".join(source), " ".join(target), sentence, source.polarity
    )


# Names that went to another dimension --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MovedDimension:
    """A name that stood at one dimension and now stands at another: the attributes that were below the
    first one have not come along.
    """

    name: str
    source: str
    target: str


def moved_dimensions(old: Criteria, new: Criteria) -> list[MovedDimension]:
    """The names that went to another dimension. One that two dimensions bear tells nobody where it went."""
    was, now = _dimensions_by_name(old), _dimensions_by_name(new)
    return [
        MovedDimension(was[name].name, was[name].key, now[name].key)
        for name in was
        if name in now
        and now[name].key != was[name].key
        and not _is_called(new, was[name].key, name)
        and not _is_called(old, now[name].key, name)
    ]


def _dimensions_by_name(criteria: Criteria) -> dict[str, Dimension]:
    bearers: dict[str, list[Dimension]] = {}
    for entry in criteria.walk():
        if isinstance(entry.node, Dimension) and not entry.retired:
            bearers.setdefault(_folded(entry.node.name), []).append(entry.node)
    return {name: each[0] for name, each in bearers.items() if name and len(each) == 1}


def _is_called(criteria: Criteria, key: str, name: str) -> bool:
    found = criteria.find(key)
    node = found.node if found is not None else None
    return isinstance(node, Dimension) and _folded(node.name) == name


def _name_moved(moved: MovedDimension) -> Change:
    sentence = (
        f"The name “{moved.name}” of the dimension {moved.source} now stands at the dimension "
        f"{moved.target}; the attributes stayed where they were."
    )
    return Change("name-moved", moved.source, moved.source, moved.target, sentence)


def _same_node(criteria: Criteria, entry: Entry) -> Entry | None:
    """The entry of the other tree with the same key and kind."""
    found = criteria.find(entry.node.key)
    return found if found is not None and type(found.node) is type(entry.node) else None


def _title(node: Node) -> str:
    if isinstance(node, Dimension):
        return f"“{node.name or node.key}”"
    return f"“{_pair_name(node) or node.key}”"


def _pair_name(pair: Pair) -> str:
    return " / ".join(filter(None, (pair.positive.name, pair.negative.name)))


def _name(node: Node) -> str:
    return node.name if isinstance(node, Dimension) else _pair_name(node)


def _kind_of(node: Node) -> str:
    return "dimension" if isinstance(node, Dimension) else "pair"


def _under(parent: Dimension | None) -> str:
    return _title(parent) if parent is not None else "the top"


def _settings(old: Criteria, new: Criteria) -> Iterator[Change]:
    if old.name != new.name:
        sentence = f"The criteria “{old.name}” were renamed to “{new.name}”."
        yield Change("renamed", "", old.name, new.name, sentence)
    if old.language != new.language:
        sentence = f"The language was changed from {old.language} to {new.language}."
        yield Change("language-changed", "", old.language, new.language, sentence)
    if old.max_levels != new.max_levels:
        sentence = f"The limit was changed from {old.max_levels} to {new.max_levels} levels."
        yield Change("limit-changed", "", old.max_levels, new.max_levels, sentence)
    yield from _details("", "", "the criteria", head_details(old), head_details(new))


def _added(entry: Entry, *, came_back: bool) -> Change:
    node = entry.node
    kind: ChangeKind = "came-back" if came_back else "added"
    verb = "is back" if came_back else "was added"
    sentence = f"The {_kind_of(node)} {_title(node)} {verb} under {_under(entry.parent)}."
    return Change(kind, node.key, None, _name(node), sentence)


def _removed(entry: Entry) -> Change:
    node = entry.node
    sentence = f"The {_kind_of(node)} {_title(node)} was removed from {_under(entry.parent)}."
    return Change("removed", node.key, _name(node), None, sentence)


def _replaced(old: Criteria, new: Criteria, entry: Entry) -> Change | None:
    """What became of a node that left the tree, where others took its place."""
    key = entry.node.key
    if key not in new.successors:
        return None
    keys = new.resolve(key)
    titles = " and ".join(_title(new.entry(each).node) for each in keys) or "nothing that is left"
    came = [each for each in new.successors if old.find(each) and new.resolve(each) == keys]
    if any(key in old.successors.get(each, ()) for each in new.successors[key]):
        kind: ChangeKind = "taken-back"
        sentence = f"{_title(entry.node)} was taken back; {titles} stand in its place again."
    elif len(keys) > 1:
        kind = "split"
        sentence = f"{_title(entry.node)} was split into {titles}."
    elif len(came) > 1 or any(old.find(each) for each in keys):
        kind, sentence = "merged", f"{_title(entry.node)} was merged into {titles}."
    else:
        kind = "meaning-changed"
        sentence = f"{_title(entry.node)} was given another meaning: {titles}."
    return Change(kind, key, _name(entry.node), keys, sentence)


# Kinds that say by themselves that a succession came or went.
_TOLD = {"merged", "split", "meaning-changed", "taken-back", "came-back", "added"}


def _successions(old: Criteria, new: Criteria, told: set[str]) -> Iterator[Change]:
    for key in sorted({*old.successors, *new.successors} - told):
        was, now = old.successors.get(key), new.successors.get(key)
        if was != now:
            words = f"what took its place is {', '.join(now)}" if now else "nothing took its place"
            sentence = f"Of {key}, which is no longer in the criteria, {words}."
            yield Change("succession-changed", key, was, now, sentence)


def _at_node(before: Entry, after: Entry) -> Iterator[Change]:
    yield from _moved(before, after)
    was, now = before.node, after.node
    if isinstance(was, Dimension) and isinstance(now, Dimension):
        texts = Attribute(was.name, was.definition), Attribute(now.name, now.definition)
        yield from _wording(now, "", *texts)
        yield from _exclusive(was, now)
        yield from _details(
            now.key, "", _title(now), dimension_details(was), dimension_details(now)
        )
        yield from _retired(was, now)
        yield from _order("dimensions", now, was.dimensions, now.dimensions)
        yield from _order("pairs", now, was.pairs, now.pairs)
    elif isinstance(was, Pair) and isinstance(now, Pair):
        for polarity in POLARITIES:
            sides = was.attribute(polarity), now.attribute(polarity)
            yield from _wording(now, polarity, *sides)
            place = f"the {polarity} side of {_title(now)}"
            details = (attribute_details(side) for side in sides)
            yield from _details(now.key, polarity, place, *details)
        yield from _relation(was, now)
        yield from _details(now.key, "", _title(now), pair_details(was), pair_details(now))
        yield from _retired(was, now)


def _moved(before: Entry, after: Entry) -> Iterator[Change]:
    was = before.parent.key if before.parent else None
    now = after.parent.key if after.parent else None
    if was != now:
        sentence = (
            f"{_title(after.node)} was moved from {_under(before.parent)} to "
            f"{_under(after.parent)}."
        )
        yield Change("moved", after.node.key, was, now, sentence)


def _wording(node: Node, part: str, was: Attribute, now: Attribute) -> Iterator[Change]:
    if was.name != now.name:
        side = f"The {part} attribute" if part else "The dimension"
        sentence = f"{side} “{was.name}” was renamed to “{now.name}”."
        yield Change("renamed", node.key, was.name, now.name, sentence, part)
    if was.definition != now.definition:
        verb = (
            "rewritten"
            if was.definition and now.definition
            else "added"
            if now.definition
            else "removed"
        )
        place = f"the {part} side of {_title(node)}" if part else _title(node)
        sentence = f"The definition of {place} was {verb}."
        yield Change("described", node.key, was.definition, now.definition, sentence, part)


def _details(key: str, part: str, place: str, was: Fields, now: Fields) -> Iterator[Change]:
    for each in detail_changes(place, was, now):
        whole = f"{part} {each.field}".strip()
        yield Change(each.kind, key, each.before, each.after, each.sentence, whole)


def _relation(was: Pair, now: Pair) -> Iterator[Change]:
    if was.relation != now.relation:
        sentence = f"{_title(now)} was changed from {was.relation} to {now.relation}."
        yield Change("relation-changed", now.key, was.relation, now.relation, sentence)


def _exclusive(was: Dimension, now: Dimension) -> Iterator[Change]:
    if was.exclusive != now.exclusive:
        state = "now exclusive" if now.exclusive else "no longer exclusive"
        sentence = f"{_title(now)} is {state}."
        yield Change("exclusive-changed", now.key, was.exclusive, now.exclusive, sentence)


def _retired(was: Node, now: Node) -> Iterator[Change]:
    if was.retired != now.retired:
        kind: ChangeKind = "retired" if now.retired else "restored"
        yield Change(kind, now.key, was.retired, now.retired, f"{_title(now)} was {kind}.")


def _order(
    part: str, parent: Dimension | None, was: tuple[Node, ...], now: tuple[Node, ...]
) -> Iterator[Change]:
    """Whether the children that stayed under this parent changed places."""
    stayed = {node.key for node in was} & {node.key for node in now}
    before = tuple(node.key for node in was if node.key in stayed)
    after = tuple(node.key for node in now if node.key in stayed)
    if before != after:
        key = parent.key if parent is not None else ""
        where = f"under {_title(parent)}" if parent is not None else "at the top"
        names = ", ".join(_title(node) for node in now if node.key in stayed)
        sentence = f"The order {where} was changed to {names}."
        yield Change("reordered", key, before, after, sentence, part)
