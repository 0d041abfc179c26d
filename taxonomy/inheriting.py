"""What a node says that takes the place of others, before somebody changes it: nothing of them is lost to search.

Of merged nodes all other names go along, with links, styles and exclusions; translations, prompt wording and
notes are those of the one they are merged into. Of a split node each part begins with a copy, but for what names
the whole: no two attributes go by one prompt wording or one name in a language.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from taxonomy.changes import is_same_text
from taxonomy.tree import Attribute, Dimension, Pair, Polarity, Side, Words

T = TypeVar("T", Pair, Dimension)
Item = TypeVar("Item")


def merged(into: T, others: Sequence[T]) -> T:
    """The node with what it takes over from those merged into it.

    Its needs are those that all of them have: else labels would be carried to images to which it does not
    apply.
    """
    needs = tuple(each for each in into.needs if all(each in other.needs for other in others))
    if isinstance(into, Dimension):
        words = _words(into.name, into.words, [(each.name, each.words) for each in others])
        return replace(into, words=words, needs=needs)
    gone = {into.key, *(each.key for each in others)}

    def side(polarity: Polarity) -> Attribute:
        return _side(into.attribute(polarity), [each.attribute(polarity) for each in others], gone)

    return replace(into, positive=side("positive"), negative=side("negative"), needs=needs)


def copied(part: Pair, whole: Pair) -> Pair:
    """One part of a split, which begins with what the whole said. It is no exact match any more of what the
    whole matched, but a close one; prompt wording and names in other languages are those of the side that
    keeps its name, as they stand for it.
    """

    def side(new: Attribute, old: Attribute) -> Attribute:
        keeps_name = is_same_text(new.name, old.name)
        words = replace(
            old.words,
            translations=old.words.translations if keeps_name else (),
            alternatives=_other_names(new.name, [old.name, *old.words.alternatives]),
            exact_match=(),
            close_match=_unique([*old.words.exact_match, *old.words.close_match]),
        )
        prompt = old.prompt if keeps_name else ""
        return replace(old, name=new.name, definition=new.definition, words=words, prompt=prompt)

    return replace(
        part,
        positive=side(part.positive, whole.positive),
        negative=side(part.negative, whole.negative),
        needs=whole.needs,
        scope_note=whole.scope_note,
        source=whole.source,
    )


def _side(into: Attribute, others: Sequence[Attribute], gone: set[str]) -> Attribute:
    styles = {
        reading.style: reading for each in (*reversed(others), into) for reading in each.styles
    }
    excludes: list[Side] = [side for each in (into, *others) for side in each.excludes]
    return replace(
        into,
        words=_words(into.name, into.words, [(each.name, each.words) for each in others]),
        styles=tuple(styles[style] for style in sorted(styles)),
        excludes=_unique(side for side in excludes if side.key not in gone),
    )


def _words(name: str, words: Words, others: Sequence[tuple[str, Words]]) -> Words:
    names = [*words.alternatives]
    for other, said in others:
        names += [other, *said.alternatives]
    all_said = [words, *(said for _, said in others)]
    exact = _unique(link for said in all_said for link in said.exact_match)
    close = _unique(link for said in all_said for link in said.close_match if link not in exact)
    return replace(
        words, alternatives=_other_names(name, names), exact_match=exact, close_match=close
    )


def _other_names(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Each once, capitals aside, and without the node's own."""
    found = {name.casefold(): name}
    for each in filter(None, names):
        found.setdefault(each.casefold(), each)
    return tuple(found.values())[1:]


def _unique(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(items))
