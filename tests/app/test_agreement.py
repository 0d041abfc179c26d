"""Agreement against what others publish: R's irrCAC (its README, version 1.3), scipy, and by hand."""

import random

import numpy as np
import pytest
from scipy import stats

from app.agreement import (
    Agreement,
    cohens_kappa,
    fleiss_kappa,
    gwets_ac1,
    krippendorffs_alpha,
)
from method.student import student_quantile, two_sided

# `distrib.6raters`: 6 psychiatrists, 15 patients, 5 diagnoses.
PSYCHIATRISTS = [
    [0, 0, 0, 6, 0],
    [0, 3, 0, 0, 3],
    [0, 1, 4, 0, 1],
    [0, 0, 0, 0, 6],
    [0, 3, 0, 3, 0],
    [2, 0, 4, 0, 0],
    [0, 0, 4, 0, 2],
    [2, 0, 3, 1, 0],
    [2, 0, 0, 4, 0],
    [0, 0, 0, 0, 6],
    [1, 0, 0, 5, 0],
    [1, 1, 0, 4, 0],
    [0, 3, 3, 0, 0],
    [1, 0, 0, 5, 0],
    [0, 2, 0, 3, 1],
]
# `cac.raw4raters`: 4 raters of whom each left some of the 12 units out, 5 categories.
WITH_GAPS = [
    [3, 0, 0, 0, 0],
    [0, 3, 1, 0, 0],
    [0, 0, 4, 0, 0],
    [0, 0, 4, 0, 0],
    [0, 4, 0, 0, 0],
    [1, 1, 1, 1, 0],
    [0, 0, 0, 4, 0],
    [3, 1, 0, 0, 0],
    [0, 4, 0, 0, 0],
    [0, 0, 0, 0, 3],
    [2, 0, 0, 0, 0],
    [0, 0, 1, 0, 0],
]
# `cont3x3abstractors`: two people, 100 patients, 3 diagnoses.
ABSTRACTORS = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]


def check(found: Agreement, value: float, error: float, *, within: float = 1e-6) -> None:
    assert found.value == pytest.approx(value, abs=within)
    assert found.error == pytest.approx(error, abs=within)


def test_six_raters_as_irrcac_has_them() -> None:
    check(gwets_ac1(PSYCHIATRISTS), 0.4448007, 0.08418757)
    check(fleiss_kappa(PSYCHIATRISTS), 0.4139265, 0.08119291)
    alpha = krippendorffs_alpha(PSYCHIATRISTS)
    # Its error is another one there than for the same answers as raw ratings, which is what is followed here.
    assert alpha.value == pytest.approx(0.4204384, abs=1e-6)
    assert alpha.observed == pytest.approx(0.5560988, abs=1e-6)
    assert alpha.expected == pytest.approx(0.2340741, abs=1e-6)
    assert gwets_ac1(PSYCHIATRISTS).interval == pytest.approx((0.264, 0.625), abs=6e-4)
    assert alpha.items == 15


def test_raters_with_gaps_as_irrcac_has_them() -> None:
    # Its README gives five decimals here, and seven of what was observed and expected.
    ac1, fleiss, alpha = (f(WITH_GAPS) for f in (gwets_ac1, fleiss_kappa, krippendorffs_alpha))
    check(ac1, 0.77544, 0.14295, within=5e-6)
    check(fleiss, 0.76117, 0.15302, within=5e-6)
    check(alpha, 0.74342, 0.14557, within=5e-6)
    assert (ac1.observed, ac1.expected) == pytest.approx((0.8181818, 0.1903212), abs=1e-6)
    assert (fleiss.observed, fleiss.expected) == pytest.approx((0.8181818, 0.2387153), abs=1e-6)
    assert (alpha.observed, alpha.expected) == pytest.approx((0.805, 0.24), abs=1e-6)
    assert (ac1.items, alpha.items) == (11, 11)
    assert ac1.interval == pytest.approx((0.461, 1), abs=6e-4)


def two_people() -> tuple[list[int], list[int]]:
    first = [
        row for row in range(3) for column in range(3) for _ in range(ABSTRACTORS[row][column])
    ]
    second = [
        column for row in range(3) for column in range(3) for _ in range(ABSTRACTORS[row][column])
    ]
    return first, second


def test_two_raters_as_irrcac_has_them() -> None:
    first, second = two_people()
    # For tables of two raters irrCAC divides by n where it divides by n - 1 elsewhere.
    of_tables = (99 / 100) ** -0.5
    check(cohens_kappa(first, second), 0.7964094, 0.05891072 * of_tables)
    counts = [[(a == k) + (b == k) for k in range(3)] for a, b in zip(first, second, strict=True)]
    check(fleiss_kappa(counts), 0.7962397, 0.05905473 * of_tables)
    check(gwets_ac1(counts), 0.8493305, 0.04321747 * of_tables)
    check(krippendorffs_alpha(counts), 0.7972585, 0.05905473 * of_tables)
    # What people answered may have any name.
    named = cohens_kappa([f"k{each}" for each in first], [f"k{each}" for each in second])
    assert named == cohens_kappa(first, second)


def test_the_same_answers_as_other_programs_have_them() -> None:
    """By statsmodels 0.15.0 (`fleiss_kappa`, `cohens_kappa`) and krippendorff 0.9.0 (`alpha`, nominal)."""
    assert fleiss_kappa(PSYCHIATRISTS).value == pytest.approx(0.4139264990, abs=1e-9)
    assert cohens_kappa(*two_people()).value == pytest.approx(0.7964094022, abs=1e-9)
    assert krippendorffs_alpha(PSYCHIATRISTS).value == pytest.approx(0.4204384268, abs=1e-9)
    assert krippendorffs_alpha(WITH_GAPS).value == pytest.approx(0.7434210526, abs=1e-9)


@pytest.mark.parametrize("freedom", [0.7, 1, 2, 2.5, 9.3, 10, 99, 1_000, 10**6])
def test_students_distribution_as_scipy_has_it(freedom: float) -> None:
    for probability in (0.025, 0.5, 0.9, 0.975, 0.9995):
        theirs = stats.t.ppf(probability, freedom)
        assert student_quantile(probability, freedom) == pytest.approx(theirs, rel=1e-7, abs=1e-7)
    for t in (0.0, 0.3, -2.1, 5.0, 40.0):
        assert two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), abs=1e-9)


def test_items_that_stand_together_count_as_one() -> None:
    """The same answers ten times over in each cluster say no more than once."""
    clusters = np.repeat(np.arange(15), 10)
    repeated = np.repeat(PSYCHIATRISTS, 10, axis=0)
    for coefficient in (gwets_ac1, fleiss_kappa):
        once, together = coefficient(PSYCHIATRISTS), coefficient(repeated, clusters=clusters)
        assert together.value == pytest.approx(once.value)
        assert together.error == pytest.approx(once.error)
        apart = coefficient(repeated)
        assert apart.error is not None
        assert once.error is not None
        assert apart.error < once.error / 3


def test_what_cannot_be_said_is_not_said() -> None:
    nothing = Agreement(None, None, None, None, None, 0)
    for coefficient in (gwets_ac1, fleiss_kappa, krippendorffs_alpha):
        assert coefficient(np.zeros((0, 2))) == nothing
        assert coefficient([[1, 0], [0, 1], [0, 0]]) == nothing
        alone = coefficient([[3, 1], [0, 2]], clusters=[7, 7])
        assert alone.value is not None
        assert alone.interval is None
    assert cohens_kappa([], []) == nothing
    # All say the same: chance explains it wholly, except to AC1, which then knows no spread.
    for coefficient in (fleiss_kappa, krippendorffs_alpha):
        assert coefficient([[3, 0], [3, 0]]).value is None
    assert cohens_kappa(["y", "y"], ["y", "y"]).value is None
    assert gwets_ac1([[3, 0], [3, 0]]) == Agreement(1.0, None, None, 1.0, 0.0, 2)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="equal length"):
        cohens_kappa([1, 2], [1])
    with pytest.raises(ValueError, match="items by categories"):
        fleiss_kappa([1, 2])
    with pytest.raises(ValueError, match="one cluster for each item"):
        gwets_ac1([[1, 2], [2, 1]], clusters=[1])
    with pytest.raises(ValueError, match="two categories"):
        gwets_ac1([[1], [2]])


def test_the_order_of_items_does_not_matter() -> None:
    chance = random.Random(4)
    shuffled = chance.sample(WITH_GAPS, len(WITH_GAPS))
    for coefficient in (gwets_ac1, fleiss_kappa, krippendorffs_alpha):
        assert coefficient(shuffled).value == pytest.approx(coefficient(WITH_GAPS).value)
        assert coefficient(shuffled).error == pytest.approx(coefficient(WITH_GAPS).error)
