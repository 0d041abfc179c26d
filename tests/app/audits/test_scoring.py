"""Scores against hand-computed examples, other people's programs, and what must hold for any answers."""

import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audits.scoring import Answers, gather, score
from app.intervals import (
    Spread,
    in_percent,
    rest_interval,
    share_interval,
    spread,
    variances,
)

SAID = {"y": "appears", "n": "does_not_appear", "u": "cannot_tell"}


def answers(*items: tuple[int, str], decoys: tuple[tuple[int, str], ...] = ()) -> Answers:
    """Items as (image, what participants 1, 2, ... said: y, n, u, or a blank for nothing), one a second."""
    rows = [
        (image, person, number, SAID[said], number > len(items), float(1_000 * person + number))
        for number, (image, all_said) in enumerate((*items, *decoys), start=1)
        for person, said in enumerate(all_said, start=1)
        if said != " "
    ]
    return gather(rows)


def test_two_images_by_hand() -> None:
    found = score(answers((1, "yyy"), (2, "ynn"), (2, "ynu")))
    # 5 of 8 verdicts say "appears"; one of nine judgements is "cannot tell".
    assert found.accuracy == 5 / 8
    assert (found.judgements, found.cannot_tell, found.cannot_tell_share) == (9, 1, 1 / 9)
    assert (found.items, found.images, found.participants) == (3, 2, 3)
    # Majorities: yes, no, and a tie.
    assert (found.majority_accuracy, found.majority_items, found.ties) == (1 / 2, 2, 1)
    # Agreeing pairs: 3 of 3, 1 of 3, 0 of 1.
    assert found.agreement == 4 / 7
    # Each participant's own: 3 of 3, 1 of 3, 1 of 2.
    assert found.participant_mean == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
    assert found.participant_range == pytest.approx((1 / 3, 1))
    assert found.seconds == 1


def test_the_variance_is_that_of_two_way_clusters() -> None:
    """Cameron, Gelbach and Miller's, written out: every pair of answers that share an image or a participant."""
    chance = np.random.default_rng(5)
    images, participants = (each.ravel() for each in np.mgrid[0:12, 0:5])
    leaning = chance.normal(0, 0.35, 5)[participants] + chance.normal(0, 0.2, 12)[images]
    said = (chance.random(60) < 0.6 + leaning).astype(np.int64)
    parts = (said - said.mean()) / 60
    variance = 0.0
    for one, other in product(range(60), repeat=2):
        here, same = images[one] == images[other], participants[one] == participants[other]
        weight = 12 / 11 * here + 5 / 4 * same - 60 / 59 * (here and same)
        variance += weight * parts[one] * parts[other]
    found = spread(parts, images, participants)
    assert found is not None
    assert found.error == pytest.approx(variance**0.5, abs=1e-12)
    # Between the degrees of freedom of five participants and those of twelve images.
    assert 4 <= found.freedom <= 16


def test_the_variance_is_that_of_other_programs() -> None:
    """By statsmodels 0.15.0: least squares on a constant with `cov_cluster_2groups` and `cov_cluster`, corrected."""
    images, people = (each.ravel() for each in np.meshgrid(range(6), range(4), indexing="ij"))
    said = ((7 * images + 5 * people + images * people) % 3 > 0).astype(float)
    parts = (said - said.mean()) / len(said)
    found = variances(parts, images, people)
    assert found == pytest.approx((0.008333333333, 0.006944444444, 0.008152173913), abs=1e-9)
    assert found[0] + found[1] - found[2] == pytest.approx(0.007125603865, abs=1e-9)


def test_intervals_keep_within_bounds_and_widen_with_the_error() -> None:
    narrow, wide = Spread(0.01, 30), Spread(0.05, 30)
    low, high = share_interval(0.95, narrow) or (0, 0)
    assert 0.92 < low < 0.95 < high < 0.97
    lower, higher = share_interval(0.95, wide) or (0, 0)
    assert 0 < lower < low
    assert high < higher < 1
    assert rest_interval(0.001, Spread(10, 1)) == pytest.approx((0, 1), abs=1e-6)
    assert share_interval(1, narrow) is None
    assert share_interval(0.5, None) is None


def test_many_labels_of_one_image_say_little_more_than_one() -> None:
    once = score(answers(*((image, "yn"[image % 2]) for image in range(20))))
    often = score(answers(*((image, "yn"[image % 2]) for image in range(20) for _ in range(25))))
    assert once.accuracy == often.accuracy == 0.5
    assert once.interval is not None
    assert often.interval == pytest.approx(once.interval)
    low, high = often.interval or (0, 0)
    assert 0.2 <= low <= 0.35
    assert 0.65 <= high <= 0.8


def test_participants_who_differ_widen_the_interval() -> None:
    """Everyone says the same of all images, half of them yes: other people might all say yes."""
    found = score(answers(*((image, "yyynnn") for image in range(200))))
    assert found.interval is not None
    assert found.interval[1] - found.interval[0] > 0.7
    # Of one participant nothing can be known about others: the interval speaks about images only.
    alone = score(answers(*((image, "yynyn"[image % 5]) for image in range(200))))
    assert alone.interval == pytest.approx((0.53, 0.67), abs=0.01)


@pytest.mark.parametrize(
    "items",
    [
        [],
        [(1, "")],
        [(1, "uuuu")],
        [(1, "yynnn")],
        [(1, "yy"), (2, "yyyyy")],
        [(1, "nn"), (2, "nnnnn")],
        [(1, "y"), (2, " y")],
    ],
)
def test_no_interval_where_there_is_no_spread(items: list[tuple[int, str]]) -> None:
    assert score(answers(*items)).interval is None


@pytest.mark.parametrize(
    ("part", "count", "words"),
    [
        (1 / 3, 6, "33"),
        (1 / 3, 99, "33"),
        (1 / 3, 300, "33.3"),
        (1 / 3, 3000, "33.33"),
        (None, 0, "–"),
    ],
)
def test_a_figure_has_the_decimals_that_its_judgements_carry(
    part: float | None, count: int, words: str
) -> None:
    assert in_percent(part, count) == words


def test_an_interval_whose_ends_read_the_same_is_not_shown() -> None:
    found = replace(score(answers((1, 45 * "yn"))), interval=(0.5551, 0.5559))
    assert found.interval_words == "–"
    assert replace(found, interval=(0.4, 0.6)).interval_words == "40 – 60"


def test_nothing_judged_gives_dashes() -> None:
    found = score(answers((1, ""), (2, "")))
    assert (found.accuracy, found.majority_accuracy, found.agreement) == (None, None, None)
    assert (found.items, found.images, found.cannot_tell_share) == (0, 0, None)
    assert (found.participant_mean, found.participant_words, found.seconds) == (None, "–", None)


def test_pauses_are_no_time_per_label() -> None:
    rows = [(1, 1, number, "appears", False, at) for number, at in enumerate((0.0, 4.0, 9.0))]
    rows += [(1, 1, 9, "appears", False, 9_000.0), (1, 2, 1, "appears", False, 1.0)]
    assert score(gather(rows)).seconds == 4.5


def test_decoys_correct_for_readiness_to_say_yes() -> None:
    # 70 % of labels and 40 % of decoys appear: as if half of the labels held.
    labels = [(image, "yyyyyyynnn") for image in range(10)]
    decoys = tuple((image, "yyyynnnnnn") for image in range(10))
    found = score(answers(*labels, decoys=decoys))
    assert (found.accuracy, found.yes_to_decoys) == (0.7, 0.4)
    assert found.corrected == pytest.approx(0.5)
    assert found.items == 10
    assert found.corrected_interval is not None
    assert found.corrected_interval[0] < 0.5 < found.corrected_interval[1]
    # Decoys that appear more often than labels leave nothing that holds.
    assert score(answers((1, "yn"), (2, "nn"), decoys=((1, "yy"), (2, "yn")))).corrected == 0
    assert score(answers((1, "yn"), decoys=((1, "yy"),))).corrected is None


Given = st.lists(
    st.tuples(st.integers(1, 5), st.lists(st.sampled_from("ynu "), max_size=6).map("".join)),
    max_size=20,
)


@given(Given, st.randoms(use_true_random=False))
def test_any_answers(items: list[tuple[int, str]], chance: random.Random) -> None:
    found = score(answers(*items))
    for share in (found.accuracy, found.majority_accuracy, found.agreement, found.participant_mean):
        assert share is None or 0 <= share <= 1
    for interval in (found.interval, found.majority_interval):
        assert interval is None or 0 <= interval[0] < interval[1] <= 1
    # The order of items and of images does not matter.
    shuffled = chance.sample(items, len(items))
    again = score(answers(*((7 - image, said) for image, said in shuffled)))
    assert again.accuracy == found.accuracy
    assert again.interval == (pytest.approx(found.interval) if found.interval else None)
    assert again.ac1.value == (
        pytest.approx(found.ac1.value) if found.ac1.value is not None else None
    )


@given(Given, st.integers(0, 19))
def test_cannot_tell_moves_no_verdict(items: list[tuple[int, str]], where: int) -> None:
    before = score(answers(*items))
    more = [
        (image, said.ljust(6) + "u" if number == where else said)
        for number, (image, said) in enumerate(items)
    ]
    after = score(answers(*more, (99, "u")))
    for name in ("accuracy", "interval", "majority_accuracy", "ties", "agreement", "ac1"):
        assert getattr(after, name) == getattr(before, name)
    assert after.cannot_tell > before.cannot_tell
