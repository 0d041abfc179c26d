"""Several agents as one: how sure they are together is how often they are right."""

import numpy as np
import pytest

from bench.agent_trust import PEOPLE, People, World, errors, judge, reached
from worker.trust.learning import Evidence, Statement, learn, threshold
from worker.trust.people import Decoys, Rates, likelihoods, miss_rate, yes_rates
from worker.trust.reliability import Judged, calibration_error, curve

UNSEEN = 8_000
BAR = 0.03
RIGHT, TEMPTED, READY = PEOPLE[:3]


def settled(statements: list[Statement], holds: list[bool]) -> Evidence:
    """Judged once each, by people who are right, every statement on an image of its own."""
    yes = np.array(holds)
    return Evidence(
        statements, yes.astype(float), (~yes).astype(float), np.arange(len(yes), dtype=np.int64)
    )


@pytest.mark.parametrize("people", [RIGHT, TEMPTED, READY], ids=["right", "15 %", "30 %"])
def test_after_two_thousand_corrections_confidence_is_calibrated(people: People) -> None:
    learned, own = np.array([errors(seed, people, 2000, UNSEEN) for seed in range(3)]).T
    assert learned.mean() < BAR
    assert own.min() > 10 * BAR  # what the agents say themselves


def test_people_who_say_yes_too_often_mislead_only_who_does_not_ask_decoys() -> None:
    assert PEOPLE[3].are_known is False
    assert errors(0, PEOPLE[3], 2000, UNSEEN)[0] > 3 * BAR
    assert errors(0, READY, 2000, UNSEEN)[0] < BAR


def test_a_wished_precision_is_reached() -> None:
    """In the mean over worlds, of statements that nobody judged."""
    shares, holds = np.array([reached(seed, RIGHT, 2000, UNSEEN) for seed in range(3)]).T
    assert holds.mean() > 0.78
    assert shares.min() > 0.2


def test_what_is_said_of_other_images_is_as_good_as_it_claims() -> None:
    world = World(1)
    evidence = judge(world, RIGHT, 2000)
    assert calibration_error(learn(evidence).unseen, evidence.if_true) < 2 * BAR


def test_the_same_answers_teach_the_same() -> None:
    evidence = judge(World(2), TEMPTED, 250)
    statements = World(3).look(50)[0]
    assert (learn(evidence).believe(statements) == learn(evidence).believe(statements)).all()


def test_each_attribute_has_its_own_trust_and_few_answers_are_drawn_to_their_dimension() -> None:
    def said(side: str, dimension: str) -> Statement:
        return Statement("+", (0.9,), side, dimension, "root")

    known = [said("often wrong", "good")] * 60 + [said("right", "good")] * 60
    known += [said("seldom judged", "good")] + [said("other", "bad")] * 60
    holds = [False] * 60 + [True] * 60 + [False] + [False] * 60
    # Two more attributes of the good dimension are right.
    known += [said(f"right {each}", "good") for each in range(4) for _ in range(30)]
    holds += [True] * 120
    model = learn(settled(known, holds))
    wrong, right, seldom, unheard = model.believe(
        [said(side, "good") for side in ("often wrong", "right", "seldom judged", "never judged")]
    )
    assert wrong < 0.1 and right > 0.9
    assert wrong < seldom < right
    assert 0.4 < unheard < right
    assert model.believe([said("new", "bad")])[0] < unheard
    low, high = model.between([said("right", "good"), said("never judged", "good")])
    assert high[0] - low[0] < high[1] - low[1]


def test_what_agents_agree_on_is_told_from_what_one_says_alone() -> None:
    both = [Statement("++", (0.9, 0.9), "a", "d", "r")] * 100
    alone = [Statement("+-", (0.9, None), "a", "d", "r")] * 100
    model = learn(settled(both + alone, [True] * 95 + [False] * 5 + [True] * 20 + [False] * 80))
    agreed, differing = model.believe([both[0], alone[0]])
    assert agreed == pytest.approx(0.95, abs=0.04)
    assert differing == pytest.approx(0.2, abs=0.06)
    assert both[0].is_agreed and not alone[0].is_agreed
    assert not Statement("+x", (0.9, None), "a", "d", "r").is_agreed


def test_without_answers_everything_is_as_likely_as_not() -> None:
    nothing = Evidence([], np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64))
    assert learn(nothing).believe([Statement("+", (), "a", "d", "r")]) == pytest.approx([0.5])


def test_a_threshold_takes_as_much_as_the_wish_allows() -> None:
    likely = np.array([0.9, 0.5, 0.95, 0.7])
    assert threshold(likely, 0.85) == 0.7  # 0.95, 0.9 and 0.7 are right in 85 %
    assert threshold(likely, 0.5) == 0.5
    assert threshold(likely, 0.96) is None
    assert threshold(np.zeros(0), 0.5) is None


# People ----------------------------------------------------------------------------------------


def test_decoys_tell_who_says_yes_too_readily_and_few_of_them_little() -> None:
    decoys = {"careful": Decoys(200, 2), "ready": Decoys(200, 98), "new": Decoys(1, 1)}
    rates = yes_rates(decoys, ["careful", "ready", "new", "never asked"])
    assert rates["careful"] < 0.03 and rates["ready"] > 0.45
    common = 101 / 401
    assert rates["never asked"] == pytest.approx(common)
    assert common < rates["new"] < 0.35
    assert yes_rates({}, ["a"]) == {"a": 0.0}


def test_how_often_people_overlook_is_found_where_several_judge_the_same() -> None:
    chance = np.random.default_rng(3)
    there = chance.random(1500) < 0.6
    labels = np.repeat(np.arange(1500), 3)
    yes = chance.random(4500) < np.where(there[labels], 0.85, 0.2)
    found = miss_rate(labels, yes, np.full(4500, 0.2))
    assert found == pytest.approx(0.15, abs=0.03)
    assert miss_rate(np.arange(1500), yes[:1500], np.full(1500, 0.2)) is None


def test_answers_of_several_people_weigh_together() -> None:
    labels = np.array([7, 7, 9])
    each, if_true, if_false = likelihoods(
        labels, np.array([True, False, True]), [Rates(0.3, 0.1), Rates(0.1, 0.1), Rates(0.3, 0.1)]
    )
    assert each.tolist() == [7, 9]
    assert if_true / if_false == pytest.approx([(0.9 * 0.1) / (0.3 * 0.9), 0.9 / 0.3])


# Whether confidence means what it says ---------------------------------------------------------


def judged(said: np.ndarray, yes: np.ndarray, yes_rate: float = 0.0) -> Judged:
    number = len(said)
    return Judged(
        said,
        yes.astype(float),
        np.full(number, yes_rate),
        np.zeros(number),
        np.arange(number, dtype=np.int64),
        np.arange(number, dtype=np.int64) % 7,
    )


def test_the_curve_tells_boasting_from_chance() -> None:
    chance = np.random.default_rng(1)
    honest = chance.random(3000)
    yes = chance.random(3000) < honest
    right, boasting = curve(judged(honest, yes)), curve(judged(0.5 + honest / 2, yes))
    assert right.error is not None and right.by_chance is not None and boasting.error is not None
    assert right.error < 2 * right.by_chance < 0.06
    assert boasting.error == pytest.approx(0.25, abs=0.03)
    assert sum(each.answers for each in right.bins) == right.answers == 3000
    for each in right.bins:
        assert each.interval is not None and each.interval[0] < each.holds < each.interval[1]


def test_the_curve_takes_back_what_people_say_too_readily() -> None:
    chance = np.random.default_rng(2)
    said = np.full(4000, 0.45)
    there = chance.random(4000) < 0.45
    yes = there | (chance.random(4000) < 0.3)
    (only,) = curve(judged(said, yes, 0.3)).bins
    assert only.holds == pytest.approx(0.45, abs=0.03)
    assert curve(judged(np.zeros(0), np.zeros(0))).error is None


def test_who_says_yes_to_anything_tells_nothing_and_never_the_opposite() -> None:
    everything = Rates(0.7, 0.45)
    assert everything.miss == pytest.approx(0.3)
    _, if_true, if_false = likelihoods(np.array([1, 2]), np.array([True, False]), [everything] * 2)
    assert if_true / if_false == pytest.approx([1.0, 1.0])
    chance = np.random.default_rng(4)
    said, yes = np.full(500, 0.5), chance.random(500) < 0.7
    assert curve(judged(said, yes, 0.7)).answers == 500
    found = curve(judged(said, yes, 0.85))
    assert (found.bins, found.error, found.by_chance) == ((), None, None)
