"""Tokens are counted as the tokenizer that a model comes with counts them."""

from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.tokens import Count, Tokenizer, fit, read_merges
from taxonomy.tree import Criteria
from tests.taxonomy.trees import small_tree
from worker.training.tiny_vocabulary import clip_tokenizer, learn_vocabulary

WORDS = st.lists(
    st.sampled_from(["Visible brushwork", "edges", "paint's", "low-key", "3 planes", "naïve", "构图", "!?"])
    | st.text("abcdefghijklmnopqrstuvwxyz ", max_size=12)
).map(" ".join)  # fmt: skip


@lru_cache
def both() -> tuple[Tokenizer, Any]:
    learned = learn_vocabulary()
    return Tokenizer(learned[1]), clip_tokenizer(learned, "<|endoftext|>")


@given(WORDS)
def test_counts_as_the_model_s_own_tokenizer(text: str) -> None:
    ours, theirs = both()
    expected = len(theirs(text, add_special_tokens=False)["input_ids"])
    assert ours.count(text) == Count(expected, is_estimate=False)


def test_without_a_model_s_file_it_is_an_estimate_and_says_so() -> None:
    assert Tokenizer().count("Blurred edges,") == Count(3, is_estimate=True)
    assert Tokenizer().count("") == Count(0, is_estimate=True)


def test_merges_are_read_past_the_line_of_the_version() -> None:
    assert read_merges(["#version: 0.2", "e d", "ed ge", "", "one two three"]) == [
        ("e", "d"),
        ("ed", "ge"),
    ]


def test_how_many_attributes_fit_follows_from_their_length() -> None:
    found = fit(small_tree(), Tokenizer())
    assert found is not None
    assert (found.attributes, found.is_estimate) == (int(55 / found.mean_tokens), True)
    assert found.mean_tokens == pytest.approx(4.1, abs=1)
    assert fit(Criteria("Empty"), Tokenizer()) is None
