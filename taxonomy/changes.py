"""What differs between two versions of the criteria, as a list of changes by key."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from taxonomy.tree import POLARITIES, Attribute, Criteria, Dimension, Entry, Node, Pair

ChangeKind: TypeAlias = Literal[
    "added",
    "removed",
    "moved",
    "reordered",
    "renamed",
    "described",
    "relation-changed",
    "exclusive-changed",
    "retired",
    "restored",
    "language-changed",
    "limit-changed",
]
Value: TypeAlias = str | int | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Change:
    """One difference at the node `key` ("" for the criteria themselves).

    `before` and `after` hold names (added, removed, renamed), definitions (described), keys of
    parents (moved; None at the top), keys of the children in order (reordered), or the value that
    changed. `part` says which side of a pair, or for reordered which kind of child. `sentence` is
    for people.
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
            changes.append(_added(entry))
        else:
            changes += _at_node(before, entry)
    changes += [_removed(entry) for entry in old.walk() if _same_node(new, entry) is None]
    return changes


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


def _added(entry: Entry) -> Change:
    node = entry.node
    sentence = f"The {_kind_of(node)} {_title(node)} was added under {_under(entry.parent)}."
    return Change("added", node.key, None, _name(node), sentence)


def _removed(entry: Entry) -> Change:
    node = entry.node
    sentence = f"The {_kind_of(node)} {_title(node)} was removed from {_under(entry.parent)}."
    return Change("removed", node.key, _name(node), None, sentence)


def _at_node(before: Entry, after: Entry) -> Iterator[Change]:
    yield from _moved(before, after)
    was, now = before.node, after.node
    if isinstance(was, Dimension) and isinstance(now, Dimension):
        texts = Attribute(was.name, was.definition), Attribute(now.name, now.definition)
        yield from _wording(now, "", *texts)
        yield from _exclusive(was, now)
        yield from _retired(was, now)
        yield from _order("dimensions", now, was.dimensions, now.dimensions)
        yield from _order("pairs", now, was.pairs, now.pairs)
    elif isinstance(was, Pair) and isinstance(now, Pair):
        for polarity in POLARITIES:
            sides = was.attribute(polarity), now.attribute(polarity)
            yield from _wording(now, polarity, *sides)
        yield from _relation(was, now)
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
