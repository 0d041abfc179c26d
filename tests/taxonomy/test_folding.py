"""The folding and the ranking of every search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.folding import Findable, find_marks, fold, name_words, rank, read_query
from tests.searches import SEARCHES, Search


@pytest.mark.parametrize("search", SEARCHES, ids=lambda each: repr(each.typed))
def test_the_table_in_memory(search: Search) -> None:
    query = read_query(search.typed)
    places = [
        (place, number)
        for number, thing in enumerate(search.things)
        if query
        and (place := rank(query, Findable((thing.name,), (thing.place,), (thing.text,)).hay()))
        is not None
    ]
    assert tuple(number for _, number in sorted(places)) == search.found


@given(st.text(max_size=60))
def test_whatever_is_written_finds_itself(text: str) -> None:
    query = read_query(text)
    place = rank(query, Findable((text,)).hay()) if query else 0
    assert place == (0 if query.whole else place)
    assert place is not None


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert all(word and " " not in word and "\0" not in word for word in name_words(text))


# What is typed, the text, and what of it is marked.
MARKED = [
    ("ed", "Clear edges, no wedge", ["ed"]),
    ("edge clear", "Clear edges", ["Clear", "edge"]),
    ("EDGÉ", "edges and Edges", ["edge", "Edge"]),
    ("duer", "Albrecht Dürer", ["Dür"]),
    ("dur", "Albrecht Dürer", ["Dür"]),
    ("strasse", "Die Straße", ["Straße"]),
    ("pointedu", "Pointe-du-Raz", ["Pointe-du"]),
    ("night", "StarryNight", ["Night"]),
    ("边缘", "清晰的边缘", ["边缘"]),
    ("don't", "They don’t end", ["don’t"]),
    ("&", "Light & dark", ["&"]),
    ("zebra", "Clear edges", []),
]


@pytest.mark.parametrize(("typed", "text", "marked"), MARKED)
def test_as_much_of_a_word_is_marked_as_was_asked_for(
    typed: str, text: str, marked: list[str]
) -> None:
    marks = find_marks(read_query(typed), text)
    assert [text[start:end] for start, end in marks] == marked


@given(st.text("abS éßüö3-’", max_size=30))
def test_what_finds_itself_is_marked_in_order(text: str) -> None:
    query = read_query(text)
    marks = find_marks(query, text)
    assert bool(marks) == bool(query)
    edges = [each for mark in marks for each in mark]
    assert edges == sorted(edges)
    assert all(0 <= start < end <= len(text) for start, end in marks)


@given(st.text("abA3-' ", max_size=20), st.text("abA3-'", max_size=4))
def test_plain_texts_are_marked_as_others_are(text: str, typed: str) -> None:
    query = read_query(typed)
    others = [mark for mark in find_marks(query, f"{text} é") if mark[0] < len(text)]
    assert list(find_marks(query, text)) == others
