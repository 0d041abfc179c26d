from hypothesis import given
from hypothesis import strategies as st

from taxonomy.similarity import near_duplicates


def found(*names: str) -> list[tuple[int, int]]:
    return list(near_duplicates(names))


def test_compares_with_the_first_of_its_kind() -> None:
    names = ("Warm lights", "Bold mark", "warm light", "Light of warmth", "The bold marks")
    assert found(*names) == [(2, 0), (4, 1)]


def test_equal_names_are_not_near() -> None:
    assert found("Warm light", "Warm light", "WARM LIGHT") == []


def test_a_first_letter_turns_the_meaning() -> None:
    assert found("Symmetry", "Asymmetry", "Dimmer tones", "Simmer tones") == []


def test_names_without_words_are_alike_to_nothing() -> None:
    assert found("", "!", "?", "--") == []


def slow_one_edit(one: str, two: str) -> bool:
    """Whether any single edit turns one word into the other, by trying them all."""
    letters = set(two)
    cut = [(one[:i], one[i:]) for i in range(len(one) + 1)]
    edited = {a + b[1:] for a, b in cut} | {a + c + b for a, b in cut for c in letters}
    edited |= {a + c + b[1:] for a, b in cut if b for c in letters}
    edited |= {a + b[1] + b[0] + b[2:] for a, b in cut if len(b) > 1}
    return one != two and two in edited


@given(st.text("abc", min_size=4, max_size=7), st.text("abc", min_size=4, max_size=7))
def test_finds_exactly_the_words_one_edit_apart(one: str, two: str) -> None:
    one, two = f"x{one}", f"x{two}"
    assert found(one, two) == ([(1, 0)] if slow_one_edit(one, two) else [])
