"""The coarser rewards of Table 2: from attributes to labels of dimensions, or of the whole image."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worker.training.datasets import KEYS, small_criteria
from worker.training.reducing import (
    HIGH,
    LOW,
    Tally,
    binary_labels,
    count_labels,
    median_score,
    scalar_labels,
    score,
)

HALF = Fraction(1, 2)
keys = st.lists(st.sampled_from(KEYS), unique=True)
by_examples = settings(deadline=None, max_examples=100)


def test_labels_are_counted_by_root_dimension_in_tree_order() -> None:
    found = count_labels(small_criteria(), ["edges", "balance", "brushwork"], ["edges"])
    assert list(found.items()) == [("Surface", Tally(1, 0)), ("Composition", Tally(2, 1))]
    with pytest.raises(KeyError, match="contours"):
        count_labels(small_criteria(), [], ["contours"])


def test_binary_is_the_majority_of_each_dimension() -> None:
    tallies = {"Surface": Tally(2, 1), "Color": Tally(1, 1), "Composition": Tally(0, 1)}
    assert binary_labels(tallies) == (["good Surface"], ["poor Composition"])
    assert binary_labels({}) == ([], [])


def test_a_dimension_counts_once_however_many_labels_it_has() -> None:
    assert score({"Surface": Tally(9, 0), "Color": Tally(0, 1)}) == HALF
    assert score({"Surface": Tally(1, 2), "Color": Tally(1, 0)}) == Fraction(2, 3)
    assert score({}) is None


def test_scalar_is_above_or_below_the_typical_image() -> None:
    images = [{"Color": Tally(good, 4 - good)} for good in (1, 3, 4)]
    typical = median_score([*images, {}])
    assert typical == Fraction(3, 4)
    assert [scalar_labels(each, typical) for each in images] == [
        ([], [LOW]),
        ([HIGH], []),
        ([HIGH], []),
    ]
    assert median_score([{}]) is None
    assert scalar_labels({}, typical) == ([], [])


@pytest.mark.parametrize(
    ("tally", "labels"),
    [
        (Tally(1, 0), ([HIGH], [])),
        (Tally(0, 1), ([], [LOW])),
        (Tally(1, 1), ([], [])),
    ],
)
def test_where_all_are_alike_good_and_bad_decide(
    tally: Tally, labels: tuple[list[str], list[str]]
) -> None:
    images = [{"Color": tally}] * 3
    typical = median_score(images)
    assert typical is not None
    assert scalar_labels(images[0], typical) == labels


@by_examples
@given(keys, keys)
def test_swapping_polarity_swaps_the_verdicts(positive: list[str], negative: list[str]) -> None:
    tree = small_criteria()
    there = count_labels(tree, positive, negative)
    back = count_labels(tree, negative, positive)
    good, poor = binary_labels(there)
    assert binary_labels(back) == (
        [name.replace("poor", "good") for name in poor],
        [name.replace("good", "poor") for name in good],
    )
    assert len(good) + len(poor) <= len(there)
    found, turned = score(there), score(back)
    assert (found is None) == (not positive and not negative)
    if found is not None and turned is not None:
        assert found + turned == 1


@by_examples
@given(st.lists(st.tuples(keys, keys), min_size=1, max_size=12))
def test_half_of_the_images_are_no_better_than_typical(
    labels: list[tuple[list[str], list[str]]],
) -> None:
    images = [count_labels(small_criteria(), *each) for each in labels]
    scores = [found for each in images if (found := score(each)) is not None]
    typical = median_score(images)
    if typical is None:
        assert not scores
        return
    assert sum(found < typical for found in scores) <= len(scores) / 2
    assert sum(found > typical for found in scores) <= len(scores) / 2
    for image in images:
        good, bad = scalar_labels(image, typical)
        found = score(image)
        if found is not None and found != typical:
            assert (good, bad) == (([HIGH], []) if found > typical else ([], [LOW]))
