"""Counts and intervals, against examples worked out by hand."""

import numpy as np
import pytest

from worker.evaluation.counting import (
    Comparison,
    Estimate,
    Shares,
    compare,
    count,
    draw_resamples,
    estimate,
    without_negatives,
)

# Two prompts: the first twice, each once, the second twice.
THREE = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]])

FOUND = {
    "base": [
        frozenset({("edges", "negative"), ("warmth", "negative"), ("balance", "positive")}),
        frozenset({("edges", "negative")}),
        frozenset({("edges", "positive")}),
    ],
    "target": [
        frozenset({("edges", "negative"), ("balance", "positive")}),
        frozenset({("edges", "negative"), ("warmth", "positive")}),
        frozenset({("warmth", "negative")}),
    ],
}
ALL = ("edges", "warmth", "balance")


def test_an_interval_lies_between_the_quantiles_of_the_resampled_means() -> None:
    # The means of 0 and 2 in the resamples are 0, 1, 2; the quantiles lie 5 % of a gap inside.
    found = estimate([0, 2], THREE)
    assert found.mean == 1.0
    assert found.low == pytest.approx(0.05)
    assert found.high == pytest.approx(1.95)


def test_one_prompt_gives_no_interval() -> None:
    assert estimate([3], draw_resamples(1, seed=0)) == Estimate(3.0, None, None)


def test_equal_values_give_an_interval_of_no_width() -> None:
    assert estimate([2, 2, 2], draw_resamples(3, seed=0)) == Estimate(2.0, 2.0, 2.0)


def test_the_interval_of_a_share_is_as_wide_as_theory_says() -> None:
    # 1.96 standard errors of a share of one half among 400.
    found = estimate([0.0, 1.0] * 200, draw_resamples(400, seed=0))
    assert found.low == pytest.approx(0.5 - 0.049, abs=0.004)
    assert found.high == pytest.approx(0.5 + 0.049, abs=0.004)


def test_resamples_draw_as_many_prompts_as_there_are_and_follow_the_seed() -> None:
    drawn = draw_resamples(5, seed=3, num_resamples=50)
    assert drawn.shape == (50, 5)
    assert (drawn.sum(axis=1) == 5).all()
    assert (drawn == draw_resamples(5, seed=3, num_resamples=50)).all()
    assert (drawn != draw_resamples(5, seed=4, num_resamples=50)).any()


def test_attributes_are_counted_per_image_and_compared_prompt_by_prompt() -> None:
    found = count(FOUND, ALL, "base", draw_resamples(3, seed=0))
    means = {m: {side: e.mean for side, e in sides.items()} for m, sides in found.models.items()}
    assert means == {
        "base": {"negative": pytest.approx(3 / 3), "positive": pytest.approx(2 / 3)},
        "target": {"negative": pytest.approx(3 / 3), "positive": pytest.approx(2 / 3)},
    }
    assert list(found.differences) == ["target"]
    # 1 - 2, 1 - 1, 1 - 0: nothing on average, from -1 to +1.
    assert found.differences["target"]["negative"] == Estimate(0.0, -1.0, 1.0)


def test_only_the_named_pairs_count() -> None:
    found = count(FOUND, ["edges"], "base", draw_resamples(3, seed=0))
    assert found.models["base"]["negative"].mean == pytest.approx(2 / 3)
    assert found.models["base"]["positive"].mean == pytest.approx(1 / 3)
    assert found.differences["target"]["negative"] == Estimate(0.0, 0.0, 0.0)


def test_pairing_takes_the_differences_between_prompts_out() -> None:
    many = [frozenset({(f"pair {i}", "negative") for i in range(n)}) for n in (1, 5, 9)]
    fewer = [frozenset(sorted(labels)[1:]) for labels in many]
    keys = [f"pair {i}" for i in range(9)]
    found = count({"base": many, "target": fewer}, keys, "base", draw_resamples(3, seed=0))
    assert found.models["target"]["negative"] == Estimate(4.0, 0.0, 8.0)
    assert found.differences["target"]["negative"] == Estimate(-1.0, -1.0, -1.0)


def test_a_tie_is_half_a_win() -> None:
    resamples = draw_resamples(3, seed=0)
    found = compare(FOUND, ALL, "target", "base", resamples)
    assert found == Comparison(better=1, same=1, worse=1, win_rate=Estimate(0.5, 0.0, 1.0))
    assert compare(FOUND, ["warmth"], "target", "base", resamples).better == 1


def test_the_share_of_images_without_a_negative_attribute() -> None:
    # Base: one of three has none (the last shows a positive side only); target: none of three.
    found = without_negatives(FOUND, ALL, "base", draw_resamples(3, seed=0))
    assert found == Shares(
        {"base": Estimate(1 / 3, 0.0, 1.0), "target": Estimate(0.0, 0.0, 0.0)},
        {"target": Estimate(-1 / 3, -1.0, 0.0)},
    )
    only = without_negatives(FOUND, ["warmth"], "base", draw_resamples(3, seed=0))
    assert only.models["base"].mean == pytest.approx(2 / 3)
