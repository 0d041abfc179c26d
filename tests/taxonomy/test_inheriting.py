"""What nodes made by merges and splits begin with: no name is lost to search, nothing claims more than before."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from taxonomy.inheriting import copied, merged
from taxonomy.searching import Index
from taxonomy.tree import (
    POLARITIES,
    Attribute,
    Criteria,
    Dimension,
    Pair,
    Side,
    StyleReading,
    Translation,
    Words,
)

names = st.text("abcdefghij ", min_size=3, max_size=12).map(" ".join).filter(str.strip)
words = st.builds(Words, alternatives=st.lists(names, max_size=3).map(tuple))
attributes = st.builds(Attribute, names, words=words)
needs = st.lists(st.sampled_from(["hands", "sky", "face"]), unique=True, max_size=2).map(tuple)


def in_tree(*pairs: Pair) -> Criteria:
    return Criteria("C", dimensions=(Dimension("d", "D", pairs=pairs),))


def called(pair: Pair) -> set[tuple[str, str]]:
    """Every name of a pair's sides, with the side."""
    return {
        (polarity, name)
        for polarity in POLARITIES
        for side in [pair.attribute(polarity)]
        for name in (side.name, *side.words.alternatives)
    }


@given(st.data(), st.integers(2, 6))
def test_whoever_looks_for_a_merged_name_finds_where_its_labels_went(
    data: st.DataObject, number: int
) -> None:
    """However often it was merged, split and merged again."""
    drawn = [data.draw(st.tuples(attributes, attributes, needs)) for _ in range(number)]
    pairs = [
        Pair(f"p-{each}", "opposed", positive, negative, needs=asked)
        for each, (positive, negative, asked) in enumerate(drawn)
    ]
    known = {name for pair in pairs for name in called(pair)}
    while len(pairs) > 1:
        some = data.draw(st.integers(2, len(pairs)))
        into = merged(pairs[0], pairs[1:some])
        assert set(into.needs) == set.intersection(*(set(each.needs) for each in pairs[:some]))
        if data.draw(st.booleans()):
            new = Pair(f"{into.key}-x", "opposed", data.draw(attributes), data.draw(attributes))
            into = copied(replace(new, needs=()), into)
        pairs = [into, *pairs[some:]]
        index = Index(in_tree(*pairs))
        for polarity, name in known:
            assert polarity in {each.polarity for each in index.attributes(name)}, name


def test_what_a_merged_pair_says() -> None:
    zh = (Translation("zh-Hans", "光"),)
    first = Attribute(
        "Glow",
        words=Words(zh, ("Shine",), ("https://v.example/1",), ("https://v.example/2",), "Note."),
        prompt="warm glow",
        styles=(StyleReading("ink", "neutral"),),
        excludes=(Side("other", "positive"), Side("dark", "negative")),
    )
    second = Attribute(
        "Shine",
        words=Words(
            (Translation("fr", "Lueur"),), ("glow", "Gleam"), ("https://v.example/2",), (), "Mine."
        ),
        prompt="shine",
        styles=(StyleReading("ink", "positive"), StyleReading("cubism", "neutral")),
        excludes=(Side("far", "positive"),),
    )
    into = Pair("glow", "opposed", first, Attribute("Chalk"), needs=("face", "sky"))
    made = merged(
        into, [Pair("other", "flaw", second, Attribute("chalk"), needs=("sky",), source="A")]
    )
    side = made.positive
    assert (side.name, side.prompt, side.words.translations) == ("Glow", "warm glow", zh)
    assert side.words.alternatives == ("Shine", "Gleam")
    assert side.words.exact_match == ("https://v.example/1", "https://v.example/2")
    assert (side.words.close_match, side.words.scope_note) == ((), "Note.")
    assert side.styles == (StyleReading("cubism", "neutral"), StyleReading("ink", "neutral"))
    assert side.excludes == (Side("dark", "negative"), Side("far", "positive"))
    assert (made.negative.words.alternatives, made.needs, made.source) == ((), ("sky",), "")


def test_a_part_of_a_split_begins_with_a_copy() -> None:
    whole = Pair(
        "glow",
        "opposed",
        Attribute(
            "Glow",
            "Old.",
            Words((Translation("fr", "Lueur"),), exact_match=("https://v.example/1",)),
            "warm glow",
        ),
        Attribute("Chalk", words=Words((Translation("fr", "Craie"),)), prompt="chalky"),
        needs=("face",),
        scope_note="Note.",
    )
    part = copied(Pair("ember", "flaw", Attribute("Ember", "New."), Attribute("Chalk")), whole)
    assert (part.key, part.relation, part.needs, part.scope_note) == (
        "ember",
        "flaw",
        ("face",),
        "Note.",
    )
    assert part.positive == Attribute(
        "Ember",
        "New.",
        Words(alternatives=("Glow",), close_match=("https://v.example/1",)),
    )
    # What names the whole goes with its name only: two parts that say the same to a model cannot be published.
    assert part.negative == whole.negative


def test_dimensions_take_names_over_as_well() -> None:
    light = Dimension("light", "Light", needs=("sky",))
    shade = Dimension("shade", "Shade", words=Words(alternatives=("Shadow",)))
    made = merged(light, [shade])
    assert (made.words.alternatives, made.needs) == (("Shade", "Shadow"), ())
