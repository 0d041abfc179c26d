import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.names import control_character, is_key, new_key, slug, tidy_name


def test_tidies_white_space_and_unicode() -> None:
    assert tidy_name("  Warm \t light ") == "Warm light"
    assert tidy_name("e\u0301bauche") == "\u00e9bauche"
    assert tidy_name("Line\n break") == "Line break"
    assert tidy_name("Light, shade") == "Light, shade"
    assert tidy_name("  Warm light\n", attribute=True) == "Warm light"


@pytest.mark.parametrize(
    ("text", "attribute", "reason"),
    [
        ("", False, "empty"),
        (" \n\t", True, "empty"),
        ("x" * 81, False, "81 characters"),
        ("a\x00b", False, "U\\+0000"),
        ("a\x1bb", True, "U\\+001B"),
        ("a\ud800", False, "U\\+D800"),
        ("a\u200bb", False, "U\\+200B"),
        ("a\u202eb", True, "U\\+202E"),
        ("warm, bright", True, "comma"),
        ("warm\nbright", True, "line break"),
        ("warm\u2028bright", True, "line break"),
    ],
)
def test_refuses_what_is_no_name(text: str, attribute: bool, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tidy_name(text, attribute=attribute)


def test_eighty_characters_are_a_name() -> None:
    assert tidy_name(" " + "x" * 80) == "x" * 80


@given(st.text(max_size=90))
def test_a_tidy_name_stays_as_it_is(text: str) -> None:
    try:
        name = tidy_name(text, attribute=True)
    except ValueError:
        return
    assert tidy_name(name, attribute=True) == name
    assert "," not in name
    assert 0 < len(name) <= 80


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Circular composition", "circular-composition"),
        ("Edges: lost & found", "edges-lost-found"),
        ("Café-crème Œuvre", "cafe-creme-oeuvre"),
        ("Straße", "strasse"),
        ("Painter's touch", "painters-touch"),
        ("3/4 view", "3-4-view"),
    ],
)
def test_makes_keys_from_names(text: str, key: str) -> None:
    assert slug(text) == key


def test_names_without_latin_letters_get_keys_of_their_own() -> None:
    assert slug("构图") == slug(" 构图 ")
    assert slug("构图") != slug("色彩")


@given(st.text(max_size=200))
def test_every_slug_is_a_key(text: str) -> None:
    assert is_key(slug(text))


@given(st.text("ab -", max_size=90), st.integers(0, 12))
def test_a_new_key_is_free_and_a_key(name: str, num_taken: int) -> None:
    taken: set[str] = set()
    for _ in range(num_taken):
        key = new_key(name, taken)
        assert key not in taken
        assert is_key(key)
        taken.add(key)


def test_numbers_keys_that_are_taken() -> None:
    assert new_key("Warm light", set()) == "warm-light"
    assert new_key("Warm light", {"warm-light", "warm-light-2"}) == "warm-light-3"


@pytest.mark.parametrize("text", ["", "A", "a_b", "-a", "a-", "a--b", "a b", "é", "a\n", "x" * 81])
def test_refuses_what_is_no_key(text: str) -> None:
    assert not is_key(text)


@pytest.mark.parametrize("code", [0xFFFE, 0xFFFF, 0xFDD0, 0x1FFFE, 0x10FFFF])
def test_what_is_no_character_is_refused(code: int) -> None:
    assert control_character(f"a{chr(code)}b") == f"U+{code:04X}"
    assert control_character("a\ufffdb\U0001f3a8") is None
