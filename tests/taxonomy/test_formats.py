import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.formats import read_criteria
from taxonomy.formats.data import from_data, to_data
from taxonomy.formats.json import read_json, sha256, write_json
from taxonomy.formats.yaml import read_yaml, write_yaml
from taxonomy.tree import Criteria, InvalidCriteria
from tests.taxonomy.strategies import criteria_trees
from tests.taxonomy.trees import small_tree

HEAD = "format: morelli-criteria/1\nname: Test\n"


def problems_of(text: str) -> list[str]:
    with pytest.raises(InvalidCriteria) as caught:
        read_criteria(text)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


@given(criteria_trees())
def test_yaml_comes_back_as_it_was(criteria: Criteria) -> None:
    text = write_yaml(criteria)
    assert read_yaml(text) == criteria
    assert write_yaml(read_yaml(text)) == text
    assert read_criteria(text) == criteria


@given(criteria_trees())
def test_other_yaml_readers_see_the_same_text(criteria: Criteria) -> None:
    loaded = yaml.safe_load(write_yaml(criteria))
    assert loaded["name"] == criteria.name
    assert [item["name"] for item in loaded["dimensions"]] == [d.name for d in criteria.dimensions]


@given(criteria_trees())
def test_json_comes_back_as_it_was(criteria: Criteria) -> None:
    assert read_json(write_json(criteria)) == criteria
    assert read_criteria(write_json(criteria)) == criteria
    assert from_data(to_data(criteria)) == criteria


@given(st.data(), criteria_trees())
def test_the_hash_does_not_depend_on_the_order_of_fields(
    data: st.DataObject, criteria: Criteria
) -> None:
    def shuffled(value: object) -> object:
        if isinstance(value, list):
            return [shuffled(item) for item in value]
        if isinstance(value, dict):
            names = data.draw(st.permutations(list(value)))
            return {name: shuffled(value[name]) for name in names}
        return value

    text = json.dumps(shuffled(to_data(criteria)), indent=1)
    assert write_json(read_json(text)) == write_json(criteria)
    assert sha256(read_json(text)) == sha256(criteria)


def test_the_hash_is_of_the_canonical_json() -> None:
    # Published versions are known by this hash: a change here breaks every one of them.
    tree = Criteria("Café")
    assert write_json(tree) == (
        '{"dimensions":[],"format":"morelli-criteria/1","language":"en","max_levels":5,'
        '"name":"Café"}'
    )
    assert sha256(tree) == "7796f520e94ccd056bcff76af9364f3c6e48456112d5013de39e178768ac103d"
    assert (
        sha256(small_tree()) == "967feddb1b6b85e3cb9592350cebf15e4572ba9b77ecbfa8c3d4dd095ad07e6d"
    )


def test_yaml_is_written_to_be_read() -> None:
    lines = write_yaml(small_tree()).splitlines()
    assert lines[:12] == [
        "format: morelli-criteria/1",
        "name: Painting",
        "language: en",
        "max_levels: 5",
        "dimensions:",
        "",
        "  - key: composition",
        "    name: Composition",
        "    definition: >-",
        "      How the picture is laid out.",
        "    dimensions:",
        "      - key: geometry",
    ]


def test_flags_and_children_may_be_left_out() -> None:
    tree = read_yaml(HEAD + "dimensions:\n- key: a\n  name: A\n  pairs:\n")
    assert (tree.language, tree.max_levels) == ("en", 5)
    assert tree.dimension("a").pairs == ()
    assert not tree.dimension("a").exclusive


def test_missing_sides_are_left_to_the_checks() -> None:
    text = HEAD + "dimensions:\n- key: a\n  name: A\n  pairs: [{key: b, relation: flaw}]\n"
    assert read_yaml(text).pair("b").negative.name == ""


def test_words_that_yaml_knows_stay_words() -> None:
    text = HEAD + "dimensions:\n- {key: on, name: No, definition: 12:30, retired: true}\n"
    dimension = read_yaml(text).dimension("on")
    assert (dimension.name, dimension.definition, dimension.retired) == ("No", "12:30", True)


def test_names_every_fault_with_place_and_line() -> None:
    text = """\
format: morelli-criteria/1
max_levels: many
colour: red
dimensions:
  - key: Bad Key
    name: 12
    exclusiv: true
    pairs:
      - key: a
        relation: opposite
        positive: {name: [A]}
        negative: none
  - 7
"""
    assert problems_of(text) == [
        (
            "colour (line 3): unknown field; known are format, name, language, max_levels, "
            "successors, dimensions, content, styles."
        ),
        "name (line 1): is missing.",
        "max_levels (line 2): must be a whole number from 2 to 20.",
        "dimensions[0].exclusiv (line 7): unknown field; did you mean exclusive?",
        (
            "dimensions[0].key (line 5): must be a-z, 0-9 and single hyphens between them, "
            "at most 80 characters."
        ),
        "dimensions[0].name (line 6): must be text, not a number; text can be put in quotes.",
        "dimensions[0].pairs[0].relation (line 10): must be opposed or flaw or graded.",
        (
            "dimensions[0].pairs[0].positive.name (line 11): must be text, not a list; "
            "text can be put in quotes."
        ),
        (
            "dimensions[0].pairs[0].negative (line 12): must be a mapping with the fields "
            "name, definition, translations, alternatives, exact_match, close_match, scope_note, "
            "source, prompt, styles, excludes, not text."
        ),
        (
            "dimensions[1] (line 13): must be a mapping with the fields key, name, definition, "
            "exclusive, dimensions, pairs, retired, translations, alternatives, exact_match, "
            "close_match, scope_note, source, needs, not a number."
        ),
    ]


TELLING = """\
format: morelli-criteria/1
name: Test
language: en
max_levels: 5
content:
  hands:
    name: Hands
    definition: >-
      Hands that can be told apart from what they hold.
styles:
  impressionism:
    name: Impressionism
    alternatives:
      - Impressionist
dimensions:

  - key: edges
    name: Edges
    definition: >-
      How forms end.
    translations:
      zh-Hans:
        name: 边缘
        definition: >-
          形体如何收尾。
    alternatives:
      - Contours
    exact_match:
      - "https://vocab.example.org/1"
    needs:
      - hands
    pairs:
      - key: clear-edges
        relation: graded
        scope_note: >-
          Of things in focus.
        source: Ruskin 1857
        needs:
          - hands
        positive:
          name: Clear edges
          definition: >-
            Seen.
        negative:
          name: Blurred edges
          definition: >-
            Seen.
          close_match:
            - "urn:example:2"
          prompt: smeared edges
          styles:
            impressionism: positive
          excludes:
            - other/positive
"""


def test_all_that_a_node_can_say_is_read_and_written() -> None:
    tree = read_yaml(TELLING)
    assert write_yaml(tree) == TELLING
    edges, pair = tree.dimension("edges"), tree.pair("clear-edges")
    assert edges.words.translations == (("zh-Hans", "边缘", "形体如何收尾。"),)
    assert edges.words.alternatives == ("Contours",)
    assert edges.needs == pair.needs == ("hands",)
    assert (pair.relation, pair.scope_note, pair.source) == (
        *("graded", "Of things in focus."),
        "Ruskin 1857",
    )
    assert pair.negative.prompt_wording == "smeared edges"
    assert pair.positive.prompt_wording == "Clear edges"
    assert pair.negative.styles == (("impressionism", "positive"),)
    assert pair.negative.excludes == (("other", "positive"),)
    assert tree.content[0].definition.startswith("Hands that")
    assert tree.styles == (("impressionism", "Impressionism", ("Impressionist",)),)
    assert sha256(read_json(write_json(tree))) == sha256(tree)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("translations: {zh_Hans: {name: A}}", "translations.zh_Hans (line 5): must be a language"),
        ("translations: {zh: {name: A}, ZH: {name: B}}", "twice but for capitals"),
        ("translations: {zh: {}}", "neither a name nor a definition"),
        ("translations: {zh: {name: A, text: B}}", "translations.zh.text (line 5): unknown field"),
        ("translations: [zh]", "must be a mapping, not a list"),
        ("alternatives: Contours", "alternatives (line 5): must be a list, not text"),
        ("alternatives: [A, 3]", "alternatives[1] (line 5): must be text, not a number"),
        ("alternatives: [A, A]", "alternatives[1] (line 5): “A” stands here twice"),
        ('alternatives: [""]', "alternatives[0] (line 5): is empty"),
        ("exact_match: [300015636]", "must be text, not a number"),
        ("close_match: [aat 300015636]", "must be a full URI"),
        ("needs: {hands: true}", "needs (line 5): must be a list, not a mapping"),
        ("scope_note: [a]", "must be text, not a list"),
        ("prompt: edges", "unknown field"),
        (
            "pairs: [{key: b, relation: graded, positive: {styles: {cubism: bad}}}]",
            "must be neutral",
        ),
        ("pairs: [{key: b, relation: graded, positive: {excludes: [c]}}]", "as key/positive or"),
        ("alternatives: [" + "".join(f"n{n}," for n in range(201)) + "]", "200 are allowed"),
    ],
)
def test_refuses_what_no_node_can_say(said: str, reason: str) -> None:
    text = HEAD + "dimensions:\n- key: a\n  " + said + "\n  name: A\n"
    assert reason in "\n".join(problems_of(text))


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("content: [hands]", "content (line 3): must be a mapping"),
        ("content: {Hands: {name: A}}", "an id must be a-z, 0-9"),
        ("content: {hands: {definition: A}}", "content.hands.name (line 3): is missing"),
        ("styles: {cubism: Cubism}", "must be a mapping with the fields name, alternatives"),
    ],
)
def test_refuses_lists_of_content_and_styles_that_are_none(head: str, reason: str) -> None:
    assert reason in "\n".join(problems_of(HEAD + head + "\ndimensions: []\n"))


REFUSED = [
    ("", "empty"),
    ("# only a comment", "empty"),
    ("- a", "must be a mapping"),
    ("just words", "must be a mapping"),
    ("{}", "format: must be morelli-criteria/1"),
    ("format: morelli-criteria/2\nname: A\ndimensions: []", "must be morelli-criteria/1"),
    (HEAD, "dimensions (line 1): is missing"),
    (HEAD + "dimensions: {}", "must be a list, not a mapping"),
    (HEAD + "name: Again\ndimensions: []", "name (line 3): stands here twice"),
    (HEAD + "dimensions: []\nlanguage: not a language", "language code"),
    (HEAD + "dimensions: []\nmax_levels: 1", "from 2 to 20"),
    (HEAD + "dimensions: []\nmax_levels: true", "from 2 to 20"),
    (HEAD + "dimensions: []\n? [a]\n: b", "must be text"),
    (HEAD + "dimensions: [", "line 4, column 1: this is not YAML"),
    (HEAD + "dimensions: []\n\tlanguage: en", "line 4"),
    (HEAD + "dimensions: &a []", "line 3: the anchor &a is not read"),
    (HEAD + "dimensions: *a", "line 3: the alias *a is not read"),
    (HEAD + "dimensions: !!python/object:os.system []", "the tag"),
    (HEAD + "dimensions: []\n---\na: b", "more than one document"),
    (HEAD + "dimensions: " + "[" * 50_000, "nested more than 100 deep"),
    (HEAD + "dimensions: []\nlanguage: \x00", "line 4: holds a character that no text has"),
    (HEAD + 'dimensions: []\nlanguage: "\\0"', "control character (U+0000)"),
    ("\ud800", "broken character"),
    (HEAD + "definition: " + "x" * 5_000_000, "larger than 5 MB"),
    ("[" + "a," * 750_000 + "]", "far more values"),
    (HEAD + "dimensions: []\n" + "".join(f"x{n}: 1\n" for n in range(600)), "first 500"),
    ('{"format": ', "line 1, column 12: this is not JSON"),
    ('{"a": 1, "a": 2}', "twice"),
    ('{"a": NaN}', "NaN is no JSON number"),
    ('{"a": ' + "1" * 5_000 + "}", "not read"),
    ('{"a": ' + "[" * 100_000 + "}", "nested too deep"),
    ('{"format": "morelli-criteria/1", "name": "\\ud800", "dimensions": []}', "U+D800"),
]


@pytest.mark.parametrize(
    ("text", "reason"), REFUSED, ids=[f"{n}-{reason}" for n, (_, reason) in enumerate(REFUSED)]
)
def test_refuses_what_is_no_criteria_tree(text: str, reason: str) -> None:
    assert reason in "\n".join(problems_of(text))


def test_refuses_many_aliases_before_they_grow() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)
    )
    assert all("is not read" in problem for problem in problems_of(bomb))


def test_refuses_dimensions_without_bottom() -> None:
    data: dict[str, object] = {"key": "k", "name": "K"}
    for _ in range(100):
        data = {"key": "k", "name": "K", "dimensions": [data]}
    text = json.dumps({"format": "morelli-criteria/1", "name": "A", "dimensions": [data]})
    assert "nested more than 32 deep" in "\n".join(problems_of(text))


def test_refuses_more_nodes_than_a_tree_has() -> None:
    many = [{"key": f"k{number}", "name": "K"} for number in range(10_001)]
    text = json.dumps({"format": "morelli-criteria/1", "name": "A", "dimensions": many})
    assert problems_of(text) == [
        "dimensions[10000]: there are more than 10000 dimensions and pairs; split them."
    ]


def test_reads_a_byte_order_mark_and_windows_line_ends() -> None:
    text = "\ufeff" + write_yaml(small_tree()).replace("\n", "\r\n")
    assert read_criteria(text) == small_tree()
    assert read_criteria("\ufeff" + write_json(small_tree())) == small_tree()


@given(st.text(max_size=60) | st.text("ab:-[]{}&*!|>'\"#, \n", max_size=60))
def test_any_other_text_is_refused_in_order(text: str) -> None:
    with pytest.raises(InvalidCriteria):
        read_criteria(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["key", "name", "dimensions", "pairs", "positive", "relation"]),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_any_other_data_is_refused_in_order(data: object) -> None:
    with pytest.raises(InvalidCriteria):
        from_data(data)
    with pytest.raises(InvalidCriteria):
        from_data({"format": "morelli-criteria/1", "dimensions": [data, 1]})


def test_works_without_the_c_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taxonomy.formats.yaml._Loader", yaml.SafeLoader)
    assert read_yaml(write_yaml(small_tree())) == small_tree()
    assert "this is not YAML" in problems_of(HEAD + "dimensions: [")[0]
    assert "nested more than 100" in problems_of(HEAD + "dimensions: " + "[" * 5_000)[0]


def test_our_format_modules_do_not_stand_in_for_the_libraries() -> None:
    assert json.__name__ == "json"
    assert Path(json.__file__).parent.name == "json"
    assert callable(yaml.safe_load)
