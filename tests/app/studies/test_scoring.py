"""Figures of studies against scipy, and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from app.studies.answers import Answers
from app.studies.planning import plan
from app.studies.ranking import fit, rank
from app.studies.scoring import consistency, lean_left, prefer, prefer_by_dimension
from app.studies.significance import holm, sign_flip_test, sign_test

Reals = NDArray[np.float64]


def given(
    won: list[float] | Reals,
    *,
    pairs: list[int] | None = None,
    people: list[int] | None = None,
    dimensions: list[int] | None = None,
    first: list[int] | None = None,
    second: list[int] | None = None,
    left: list[bool] | None = None,
    kinds: list[str] | None = None,
    repeats: list[int] | None = None,
) -> Answers:
    """Answers by columns, each with something to say where nothing is said."""
    number = len(won)

    def whole(given: list[int] | None, otherwise: int) -> NDArray[np.int64]:
        return np.array(given or [otherwise] * number, dtype=np.int64)

    who = whole(people, 1)
    about = np.array(pairs or range(1, number + 1), dtype=np.int64)
    return Answers(
        pairs=about,
        prompts=about,
        kinds=np.array(kinds or ["pair"] * number, dtype=np.str_),
        repeats=whole(repeats, 0),
        people=who,
        codes=np.array([f"C{each}" for each in who], dtype=np.str_),
        dimensions=whole(dimensions, 0),
        first=whole(first, 1),
        second=whole(second, 2),
        left=np.array(left or [True] * number, dtype=np.bool_),
        won=np.array(won, dtype=np.float64),
        at=np.arange(number, dtype=np.float64),
    )


@pytest.mark.parametrize(("wins", "losses"), [(1, 0), (7, 3), (3, 7), (5, 5), (95, 55), (900, 600)])
def test_the_sign_test_is_that_of_scipy(wins: int, losses: int) -> None:
    expected = stats.binomtest(wins, wins + losses, 0.5).pvalue
    assert sign_test(wins, losses) == pytest.approx(expected, abs=1e-9, rel=1e-6)


def test_the_sign_test_knows_no_limit_of_floats() -> None:
    found = sign_test(2_600, 2_400)
    assert found == pytest.approx(stats.binomtest(2_600, 5_000).pvalue, rel=1e-6)
    assert sign_test(0, 0) is None


def test_flipping_signs_is_the_permutation_test_of_scipy() -> None:
    values = np.array([0.3, -0.1, 0.25, 0.4, 0.05, -0.2, 0.31, 0.12])
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert sign_flip_test(values) == pytest.approx(expected, abs=1e-6)
    assert sign_flip_test(np.zeros(0)) is None
    assert sign_flip_test(np.array([0.5, 0.5])) == 0.5


def test_many_signs_are_drawn_and_come_near_the_normal() -> None:
    values = np.random.default_rng(1).normal(0.2, 1, 60)
    z = values.sum() / np.sqrt((values**2).sum())
    assert sign_flip_test(values) == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.01)
    assert sign_flip_test(values) == sign_flip_test(values)


def test_holm_is_as_its_paper_has_it() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([None, 0.5, None, 0.9]) == [None, 1.0, None, 1.0]
    assert holm([]) == []
    # By `multipletests` of statsmodels 0.15.0.
    found = holm([0.01, 0.04, 0.03, 0.005, 0.2, 0.0004, 0.03])
    assert found == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.2, 0.0028, 0.12], abs=1e-9)


def test_a_tie_is_half_a_preference_for_each() -> None:
    found = prefer(given([1, 1, 0.5, 0], people=[1, 1, 2, 2]))
    assert (found.wins, found.losses, found.ties) == (2, 1, 1)
    assert found.share == 0.625
    turned = given([1, 1, 0.5, 0], people=[1, 1, 2, 2]).between(1, 2)
    assert prefer(turned).share == pytest.approx(1 - 0.625)
    assert not turned.left.any()


def test_pairs_count_once_however_many_answer() -> None:
    # Pair 1: two for, one against. Pair 2: one each. Pair 3: all against.
    found = prefer(
        given(
            [1, 1, 0, 1, 0, 0, 0],
            pairs=[1, 1, 1, 2, 2, 3, 3],
            people=[1, 2, 3, 1, 2, 1, 2],
        )
    )
    assert (found.pairs_won, found.pairs_lost, found.pairs) == (1, 1, 3)
    assert found.p_pairs == 1.0


def test_the_interval_holds_the_truth_with_participants_and_pairs_that_differ() -> None:
    chance = np.random.default_rng(5)
    hits = rounds = 0
    for _ in range(200):
        leaning = chance.normal(0, 0.5, (12, 1)) + chance.normal(0, 0.8, (1, 60))
        odds = 1 / (1 + np.exp(-(0.5 + leaning)))
        won = (chance.random((12, 60)) < odds).astype(float)
        people, pairs = np.meshgrid(range(12), range(60), indexing="ij")
        found = prefer(
            given(won.ravel(), pairs=list(pairs.ravel() + 1), people=list(people.ravel() + 1))
        )
        truth = 0.604  # the mean of the logistic of N(0.5, 0.5² + 0.8²)
        rounds += 1
        assert found.interval is not None
        hits += found.interval[0] <= truth <= found.interval[1]
    assert hits / rounds >= 0.9


def test_each_dimension_by_itself_with_the_tests_corrected_together() -> None:
    answers = given(
        [1.0] * 12 + [1.0, 0.0] * 6,
        dimensions=[0] * 12 + [1] * 12,
        pairs=[*range(1, 13), *range(1, 13)],
        people=[1, 2, 3] * 8,
    )
    first, second = prefer_by_dimension(answers, 2)
    assert first.p_pairs == pytest.approx(2 / 2**12)
    assert first.holm_pairs == pytest.approx(4 / 2**12)
    assert second.p_pairs == second.holm_pairs == 1.0
    assert first.interval is None  # all answers are the same


def likelihood(strengths: Reals, first: Reals, second: Reals, won: Reals) -> float:
    full = np.append(strengths, -strengths.sum())
    ahead = full[first.astype(int)] - full[second.astype(int)]
    return float(np.sum(won * np.log1p(np.exp(-ahead)) + (1 - won) * np.log1p(np.exp(ahead))))


def test_the_ranking_is_the_most_likely_one() -> None:
    chance = np.random.default_rng(2)
    truth = np.array([0.8, 0.1, -0.2, -0.7])
    first, second = np.array([(i, j) for i in range(4) for j in range(i) for _ in range(50)]).T
    odds = 1 / (1 + np.exp(truth[second] - truth[first]))
    won = (chance.random(len(odds)) < odds).astype(float)
    won[::17] = 0.5
    found = fit(first, second, won, 4)
    best = optimize.minimize(
        likelihood, np.zeros(3), args=(first, second, won), options={"gtol": 1e-10}
    )
    assert found is not None
    assert found == pytest.approx(np.append(best.x, -best.x.sum()), abs=1e-6)
    assert found.sum() == pytest.approx(0, abs=1e-9)


def test_strengths_and_their_errors_are_those_of_other_programs() -> None:
    """Strengths by choix 0.4.1 (`opt_pairwise`, a tie as half a win for each) and by statsmodels 0.15.0 (a binomial GLM); errors by its
    covariance of clusters (`cov_cluster`, prompts, times 10 / 9), turned to strengths that add up to 0.
    """
    outcomes = (0, 1, 1, 0.5, 1, 0, 0, 1, 0.5, 1)
    met = [
        (prompt, one, other, outcomes[(3 * prompt + 2 * one + 5 * other + one * other) % 10])
        for prompt in range(10)
        for one in range(4)
        for other in range(one + 1, 4)
    ]
    answers = given(
        [each[3] for each in met],
        first=[each[1] + 1 for each in met],
        second=[each[2] + 1 for each in met],
    )
    answers = replace(answers, prompts=np.array([each[0] for each in met]))
    found = {each.model: each for each in rank(answers, [1, 2, 3, 4])}
    strengths = (0.306176390, 0.101382083, -0.101382083, -0.306176390)
    errors = (0.403857910, 0.210763212, 0.210763212, 0.403857910)
    for model, strength, error in zip((1, 2, 3, 4), strengths, errors, strict=True):
        assert found[model].strength == pytest.approx(strength, abs=1e-6)
        low, high = found[model].interval or (0, 0)
        reach = stats.t.ppf(0.975, 9) * error
        assert (low, high) == pytest.approx((strength - reach, strength + reach), abs=1e-6)


def test_three_models_are_ranked_with_intervals() -> None:
    chance = np.random.default_rng(3)
    first, second, people, pairs = [], [], [], []
    for pair, (one, other) in enumerate([(1, 2), (1, 3), (2, 3)] * 30, start=1):
        for person in range(1, 6):
            first.append(one)
            second.append(other)
            people.append(person)
            pairs.append(pair)
    strong = {1: -0.8, 2: -0.1, 3: 0.9}
    odds = [
        1 / (1 + np.exp(strong[two] - strong[one])) for one, two in zip(first, second, strict=True)
    ]
    won = (chance.random(len(odds)) < np.array(odds)).astype(float)
    ranked = rank(given(won, first=first, second=second, people=people, pairs=pairs), [1, 2, 3])
    assert [each.model for each in ranked] == [3, 2, 1]
    assert [each.rank for each in ranked] == [1, 2, 3]
    for each in ranked:
        assert each.interval is not None
        assert each.interval[0] < strong[each.model] < each.interval[1]


def test_a_model_that_always_won_has_no_limit() -> None:
    ranked = rank(given([1, 1, 1, 0.5], first=[1, 1, 2, 2], second=[2, 3, 3, 3]), [1, 2, 3])
    assert [each.strength for each in ranked] == [None, None, None]
    assert ranked[0].model == 1 and ranked[0].share == 1.0
    assert rank(given([]), [1, 2, 3]) == []


def test_how_each_participant_answered() -> None:
    answers = given(
        [1, 0, 1, 0.5, 1, 1, 0],
        pairs=[1, 2, 3, 4, 1, 2, 2],
        people=[1, 1, 1, 1, 2, 2, 3],
        kinds=["pair", "pair", "repeated", "identical", "pair", "pair", "pair"],
        repeats=[0, 0, 1, 0, 0, 0, 0],
        left=[True, False, False, True, True, True, True],
    )
    one, two, three = consistency(answers)
    assert (one.code, one.answers, one.repeated, one.same_again) == ("C1", 4, 1, 1.0)
    assert (one.identical, one.ties_of_identical) == (1, 1.0)
    assert one.left == 1.0  # the first of pair 1 stood left; the second of pair 2 did
    assert one.like_others == 1.0  # of pair 2 the two others disagree, which tells nothing
    assert two.like_others == 0.5
    assert three.like_others is None
    assert lean_left(answers).decided == 5


def test_a_plan_of_more_pairs_or_people_tells_more() -> None:
    paper = plan(pairs=150, people=10, share=0.635, dimensions=7)
    assert paper.questions == 1_050
    more = plan(pairs=300, people=10, share=0.635, dimensions=7)
    assert paper.power < more.power
    assert paper.half_width > more.half_width
    assert paper.pairs_needed is not None
    enough = plan(pairs=paper.pairs_needed, people=10, share=0.635, dimensions=7)
    assert enough.power >= 0.8
    shared = plan(pairs=150, people=10, share=0.635, dimensions=7, judges=2)
    assert shared.questions == 210
    assert shared.half_width > paper.half_width and shared.power < paper.power
    assert plan(pairs=150, people=2, share=0.52, dimensions=7).pairs_needed is None
