"""The figures of a comparison on numbers that anyone can check by hand."""

import pytest

from app.agreement import cohens_kappa, gwets_ac1
from app.comparisons.counting import Counted, Looked
from app.comparisons.figures import judge, overall_figures, read_figures, side_figures
from app.comparisons.verdicts import Verdict


def looked(image_id: int, first: set[int], second: set[int]) -> Looked:
    return Looked(image_id, frozenset(first), frozenset(second))


FOUND = [
    looked(1, {0, 1}, {0}),
    looked(2, {0}, {0, 1}),
    looked(3, set(), {1}),
    looked(4, {1}, set()),
]


def test_precision_is_of_what_was_found_and_asked_and_recall_of_what_is_there() -> None:
    verdicts = [
        Verdict(1, 0, is_there=True, was_asked=True),
        Verdict(1, 1, is_there=False, was_asked=True),
        Verdict(2, 0, is_there=False, was_asked=True),
        Verdict(3, 1, is_there=True, was_asked=True),
        # Named unasked: tells of what was missed, not of what was made up.
        Verdict(2, 1, is_there=True, was_asked=False),
        # Nobody of both looked at it.
        Verdict(9, 0, is_there=True, was_asked=True),
    ]
    judged = judge(verdicts, FOUND)
    found = overall_figures(FOUND, [0, 1], judged)
    assert (found.precision_first.part, found.precision_first.of) == (1, 3)
    assert (found.precision_second.part, found.precision_second.of) == (2, 3)
    assert (found.recall_first.part, found.recall_first.of) == (1, 3)
    assert (found.recall_second.part, found.recall_second.of) == (3, 3)
    assert found.precision_first.low is not None and found.precision_first.high is not None
    assert 0 < found.precision_first.low < 1 / 3 < found.precision_first.high < 1
    # All the same: no interval would be honest.
    assert (found.recall_second.low, found.recall_second.high) == (None, None)
    of_one = side_figures(4, Counted(), judged.at(judged.places == 1))
    assert (of_one.precision_first.part, of_one.precision_first.of) == (0, 1)
    assert (of_one.recall_second.part, of_one.recall_second.of) == (2, 2)
    # What only one of both looked for is in no figure over both.
    assert overall_figures(FOUND, [0], judged).recall_first.of == 1


@pytest.mark.parametrize(
    "table", [(3, 1, 2, 4), (0, 1, 0, 9), (0, 0, 5, 5), (2, 0, 0, 2), (40, 7, 0, 1), (1, 0, 0, 0), (0, 0, 0, 8)]
)  # fmt: skip
def test_agreement_is_that_of_the_images_one_by_one(table: tuple[int, int, int, int]) -> None:
    both, only_first, only_second, neither = table
    counted = Counted(both, only_first, only_second)
    figures = side_figures(sum(table), counted, judge([], []))
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    said = [[a + b, 2 - a - b] for a, b in zip(first, second, strict=True)]
    for mine, theirs in (
        (figures.kappa, cohens_kappa(first, second)),
        (figures.ac1, gwets_ac1(said)),
    ):
        assert mine.value == pytest.approx(theirs.value)
        assert (mine.low, mine.high) == pytest.approx(theirs.interval or (None, None))


def test_agreement_over_all_takes_whole_images() -> None:
    found = [*FOUND, looked(5, {0, 1}, {0, 1})]
    figures = overall_figures(found, [0, 1], judge([], []))
    table = [[2, 0], [1, 1], [2, 0], [1, 1], [0, 2], [1, 1], [0, 2], [1, 1], [2, 0], [2, 0]]
    expected = gwets_ac1(table, clusters=[1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    assert figures.ac1.value == pytest.approx(expected.value)
    assert expected.interval is not None
    assert (figures.ac1.low, figures.ac1.high) == pytest.approx(expected.interval)


def test_what_is_kept_is_read_again() -> None:
    figures = side_figures(10, Counted(both=3, only_first=1), judge([], []))
    assert read_figures(figures.as_json()) == figures


def test_without_images_nothing_is_said() -> None:
    figures = side_figures(0, Counted(), judge([], []))
    assert (figures.ac1.value, figures.kappa.value, figures.precision_first.value) == (None,) * 3
    assert overall_figures([], [0], judge([], [])).ac1.value is None
