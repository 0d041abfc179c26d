"""Which prompts are alike."""

import pytest

from worker.pairs.nearest_prompts import find_nearest


def test_rare_words_weigh_more_than_frequent_ones() -> None:
    prompts = [
        "a painting of a lighthouse",
        "a painting of a cow",
        "lighthouse",
        *(f"a painting of a thing {number}" for number in range(20)),
    ]
    ((first, similarity), (second, lower), *_) = find_nearest(prompts, prompts[:1], 5)[prompts[0]]
    assert (first, second) == ("lighthouse", "a painting of a cow")
    assert 1 > similarity > lower > 0


def test_case_and_punctuation_are_no_difference() -> None:
    found = find_nearest(["The Sea, by night", "the sea by NIGHT!", "a house"], ["a house"], 2)
    assert found == {"a house": []}
    two = ["The Sea, by night", "the sea by NIGHT!"]
    assert find_nearest(two, two[1:], 2) == {two[1]: [(two[0], 1.0)]}


def test_equally_near_ones_stand_in_their_order_and_the_number_is_kept() -> None:
    prompts = ["red house", "red boat", "red tree", "red field"]
    found = find_nearest(prompts, ["red field", "red boat"], 2)
    assert [prompt for prompt, _ in found["red field"]] == ["red house", "red boat"]
    assert [prompt for prompt, _ in found["red boat"]] == ["red house", "red tree"]


def test_prompts_without_words_are_near_to_nothing() -> None:
    assert find_nearest(["!!", "??"], ["!!"], 3) == {"!!": []}
    assert find_nearest(["!!", "a house"], ["a house", "!!"], 3) == {"a house": [], "!!": []}


def test_more_prompts_than_are_compared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [f"house {number} street {number % 3}" for number in range(10)]
    whole = find_nearest(prompts, prompts, 4)
    monkeypatch.setattr("worker.pairs.nearest_prompts.BLOCK", 3)
    assert find_nearest(prompts, prompts, 4) == whole
    assert len(whole) == 10
