"""Several agents as one: how sure they are together is how often they are right."""

import numpy as np
import pytest

from bench.agent_trust import PEOPLE, UNKNOWN, People, World, errors, judge, reached
from worker.trust.learning import Evidence, Statement, learn, threshold
from worker.trust.people import Answers, Known, Rates, find_rates, likelihoods
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
    assert UNKNOWN[0].decoy_share == 0
    assert errors(0, UNKNOWN[0], 2000, UNSEEN)[0] > 3 * BAR
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


NO_ANSWERS = Answers(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_))


def asked(people: list[int], yes: list[int]) -> Answers:
    """So many decoys answered by each person, so many of them with yes, each by one alone."""
    who = np.repeat(np.arange(len(people)), people)
    said = np.concatenate(
        [np.arange(number) < ready for number, ready in zip(people, yes, strict=True)]
    )
    return Answers(np.arange(len(who)), who, said)


def answered(
    seed: int, there: float, number: int, *, yes: list[float], miss: float, judges: int
) -> tuple[Answers, np.ndarray]:
    """What people of these yes rates say of things of which so many are there; and which are."""
    chance = np.random.default_rng(seed)
    holds = chance.random(number) < there
    items = np.repeat(np.arange(number), judges)
    who = np.concatenate([chance.permutation(len(yes))[:judges] for _ in range(number)])
    likely = np.where(holds[items], 1 - miss, np.array(yes)[who])
    return Answers(items, who, chance.random(len(items)) < likely), holds


def none(answers: Answers) -> np.ndarray:
    """All labels alike."""
    return np.zeros(len(answers.items), np.int64)


def test_decoys_tell_who_says_yes_too_readily_and_few_of_them_little() -> None:
    decoys = asked([200, 200, 1, 0], [2, 98, 1, 0])
    known = find_rates(NO_ANSWERS, none(NO_ANSWERS), decoys, 4)
    careful, ready, new, never = known.yes
    assert careful < 0.03 and ready > 0.45
    assert never == pytest.approx(101 / 401, abs=0.01)
    assert never < new < 0.35
    assert (known.is_yes_known, known.miss, known.decoys_there) == (True, None, None)
    known = find_rates(NO_ANSWERS, none(NO_ANSWERS), NO_ANSWERS, 1)
    assert (known.yes.tolist(), known.is_yes_known) == ([0.0], False)


def test_how_often_people_overlook_is_found_where_several_judge_the_same() -> None:
    yes = [0.1, 0.2, 0.3]
    labels, _ = answered(3, 0.6, 1500, yes=yes, miss=0.15, judges=3)
    decoys, _ = answered(4, 0.0, 200, yes=yes, miss=0.15, judges=1)
    known = find_rates(labels, none(labels), decoys, 3)
    assert known.miss == pytest.approx(0.15, abs=0.03)
    assert known.yes == pytest.approx(yes, abs=0.07)
    once, _ = answered(3, 0.6, 1500, yes=yes, miss=0.15, judges=1)
    assert find_rates(once, none(once), decoys, 3).miss is None


def test_what_three_judge_tells_how_people_err_without_decoys() -> None:
    yes = [0.15, 0.3, 0.45, 0.3]
    labels, _ = answered(5, 0.5, 1500, yes=yes, miss=0.1, judges=3)
    known = find_rates(labels, none(labels), NO_ANSWERS, 4)
    assert known.is_yes_known
    assert known.miss == pytest.approx(0.1, abs=0.03)
    assert known.yes == pytest.approx(yes, abs=0.06)
    twice, _ = answered(5, 0.5, 1500, yes=yes, miss=0.1, judges=2)
    assert not find_rates(twice, none(twice), NO_ANSWERS, 4).is_yes_known


def test_decoys_that_are_there_are_told_from_people_who_say_yes() -> None:
    yes = [0.2, 0.3, 0.4]
    labels, _ = answered(6, 0.5, 800, yes=yes, miss=0.1, judges=3)
    decoys, there = answered(7, 0.15, 400, yes=yes, miss=0.1, judges=3)
    known = find_rates(labels, none(labels), decoys, 3)
    assert known.decoys_there == pytest.approx(there.mean(), abs=0.04)
    assert known.yes == pytest.approx(yes, abs=0.07)
    once = asked([100, 100, 100], [30, 30, 30])
    assert find_rates(labels, none(labels), once, 3).decoys_there is None


def test_answers_count_by_who_gave_them() -> None:
    known = Known(np.array([0.1, 0.4]), 0.2, None, is_yes_known=True)
    assert known.rates(np.array([1, 0])) == [Rates(0.4, 0.2), Rates(0.1, 0.2)]
    assert Known(np.array([0.1]), None, None, is_yes_known=True).rates(np.array([0])) == [
        Rates(0.1)
    ]


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
