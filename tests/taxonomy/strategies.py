"""Random criteria, and ways to change one node of a tree."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

from hypothesis import strategies as st

from taxonomy.tree import (
    POLARITIES,
    READINGS,
    RELATIONS,
    Attribute,
    Criteria,
    Dimension,
    ImageContent,
    ImageStyle,
    Node,
    Pair,
    Side,
    StyleReading,
    Translation,
    Words,
)

# Marks with a meaning of their own, so many that some stand where the text is folded.
LONG = " ".join(3 * ["A text longer than a line, with - # : % & * ! | > ' \" ? and @ in it."])

# Words that a careless writer or reader of YAML or JSON takes for something else.
AWKWARD = [
    *("", " ", "no", "On", "~", "null", "true", "1.5", "12", "1_0", "12:30", "0x1F", "2024-01-01"),
    *("- a", "a: b", "a #b", "# a", "a #", "[a", "{a", "'a", '"a"', "*a", "&a", "!a", "|", ">"),
    *("---", "...", "a:", "?", "@a", "`a", "<<", "=", "%", "\\", "\\n", "a  b", " a", "a ", "a\nb"),
    *("a\n\n b\n", "\ta", "a\r\nb", "\xa0", "\u2028", "\ufeff", "\U0001f3a8", "构图"),
    LONG,
]

NONCHARACTERS = [chr(each) for each in range(0xFDD0, 0xFDF0)] + [
    chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
]
texts = st.sampled_from(AWKWARD) | st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=NONCHARACTERS), max_size=40
)
some_texts = texts.filter(bool)
lists = st.lists(some_texts, max_size=2, unique=True).map(tuple)
uris = st.lists(
    st.sampled_from(["https://vocab.example.org/1#a?b=(c)", "urn:x:构图"]), max_size=2, unique=True
).map(tuple)
ids = st.sampled_from(["hands", "on", "no", "12", "3d", "definition"])
id_lists = st.lists(ids, max_size=2, unique=True).map(tuple)


def _sorted(made: Callable[..., object], *rest: st.SearchStrategy[object]) -> st.SearchStrategy:
    """Named tuples in the order of their first fields, which are unique."""
    by_id = st.dictionaries(made_ids[made], st.tuples(*rest), max_size=2)
    return by_id.map(lambda found: tuple(made(name, *found[name]) for name in sorted(found)))


made_ids: dict[Callable[..., object], st.SearchStrategy[str]] = {
    Translation: st.sampled_from(["zh-Hans", "no", "pt-BR"]),
    StyleReading: ids,
    ImageContent: ids,
    ImageStyle: ids,
}
words = st.just(Words()) | st.builds(
    Words,
    _sorted(Translation, texts, some_texts) | _sorted(Translation, some_texts, texts),
    lists,
    uris,
    uris,
    texts,
    texts,
)
sides = st.builds(Side, st.sampled_from(["a-1", "on"]), st.sampled_from(POLARITIES))
attributes = st.builds(
    Attribute,
    texts,
    texts,
    words,
    texts,
    _sorted(StyleReading, st.sampled_from(READINGS)),
    st.lists(sides, max_size=2, unique=True).map(tuple),
)


@st.composite
def criteria_trees(draw: st.DrawFn) -> Criteria:
    """A tree that can be written and read; names and definitions may be any text."""
    keys = (f"{draw(st.sampled_from(['a', 'b-c', '0']))}-{number}" for number in count())
    return Criteria(
        name=draw(texts),
        language=draw(st.sampled_from(["en", "no", "pt-BR"])),
        max_levels=draw(st.integers(2, 20)),
        dimensions=_dimensions(draw, keys, depth=draw(st.integers(1, 4))),
        successors=draw(_successors),
        content=draw(_sorted(ImageContent, some_texts, texts)),
        styles=draw(_sorted(ImageStyle, some_texts, lists)),
    )


# Keys that no node of the tree has.
_successors = st.dictionaries(
    st.sampled_from(["old", "older", "1", "no"]),
    st.lists(st.sampled_from(["new", "null", "2-b"]), min_size=1, max_size=3, unique=True).map(
        tuple
    ),
    max_size=3,
)


def _dimensions(draw: st.DrawFn, keys: Iterator[str], depth: int) -> tuple[Dimension, ...]:
    number = draw(st.integers(0, 2)) if depth else 0
    return tuple(
        Dimension(
            key=next(keys),
            name=draw(texts),
            definition=draw(texts),
            exclusive=draw(st.booleans()),
            dimensions=_dimensions(draw, keys, depth - 1),
            pairs=tuple(_pair(draw, keys) for _ in range(draw(st.integers(0, 2)))),
            retired=draw(st.booleans()),
            words=draw(words),
            needs=draw(id_lists),
        )
        for _ in range(number)
    )


def _pair(draw: st.DrawFn, keys: Iterator[str]) -> Pair:
    return Pair(
        key=next(keys),
        relation=draw(st.sampled_from(RELATIONS)),
        positive=draw(attributes),
        negative=draw(attributes),
        retired=draw(st.booleans()),
        needs=draw(id_lists),
        scope_note=draw(texts),
        source=draw(texts),
    )


def change_node(criteria: Criteria, key: str, change: Callable[..., Node | None]) -> Criteria:
    """The tree with `change` applied to the node with this key; None takes the node out."""
    return replace(criteria, dimensions=_changed(criteria.dimensions, key, change))


def _changed(
    nodes: tuple[Dimension, ...], key: str, change: Callable[..., Node | None]
) -> tuple[Dimension, ...]:
    result = []
    for node in nodes:
        if node.key == key:
            changed = change(node)
        else:
            pairs = [change(pair) if pair.key == key else pair for pair in node.pairs]
            changed = replace(
                node,
                dimensions=_changed(node.dimensions, key, change),
                pairs=tuple(pair for pair in pairs if isinstance(pair, Pair)),
            )
        if isinstance(changed, Dimension):
            result.append(changed)
    return tuple(result)
