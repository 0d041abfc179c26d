"""The folding and the ranking of every search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.folding import Findable, fold, name_words, rank, read_query
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
