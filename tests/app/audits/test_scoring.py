"""Scores against hand-computed examples, and what must hold for any answers."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audits.scoring import Tally, in_percent, score


def tally(yes: int, no: int, unsure: int = 0, *, image: int = 1) -> Tally:
    return Tally(image, "light", "positive", yes, no, unsure)


def test_two_images_by_hand() -> None:
    found = score([tally(3, 0), tally(1, 2, image=2), tally(1, 1, 1, image=2)], seed=1)
    # 5 of 8 verdicts say "appears"; one of nine judgements is "cannot tell".
    assert found.accuracy == 5 / 8
    assert (found.judgements, found.cannot_tell, found.cannot_tell_share) == (9, 1, 1 / 9)
    assert (found.items, found.images) == (3, 2)
    # Majorities: yes, no, and a tie.
    assert (found.majority_accuracy, found.majority_items, found.ties) == (1 / 2, 2, 1)
    # Agreeing pairs: 3 of 3, 1 of 3, 0 of 1.
    assert found.agreement == 4 / 7


def test_the_interval_of_two_images_is_theirs() -> None:
    # Two images with 1/1 and 0/1: a draw of two gives 0, 1/2 or 1, so 2.5 % and 97.5 % are 0 and 1.
    found = score([tally(1, 0), tally(0, 1, image=2)], seed=1)
    assert found.interval == (0.0, 1.0)


def test_whole_images_are_drawn() -> None:
    # Within each image all agree, between images they differ: drawing single labels would give an
    # interval some five times narrower than drawing whole images.
    rows = [tally(1, 0, image=image) for image in range(10) for _ in range(25)]
    rows += [tally(0, 1, image=image) for image in range(10, 20) for _ in range(25)]
    found = score(rows, seed=3)
    assert found.accuracy == 0.5
    assert found.interval is not None
    low, high = found.interval
    assert 0.2 <= low <= 0.35
    assert 0.65 <= high <= 0.8


def test_the_seed_fixes_the_interval() -> None:
    rows = [tally(number % 7, number % 3, image=number) for number in range(40)]
    assert score(rows, seed=5) == score(rows, seed=5)
    assert score(rows, seed=5).interval != score(rows, seed=6).interval


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [tally(0, 0)],
        [tally(0, 0, 4)],
        [tally(2, 3)],
        [tally(2, 0), tally(5, 0, image=2)],
        [tally(0, 2), tally(0, 5, image=2)],
        [tally(1, 2), tally(1, 2, image=2)],
        [tally(1, 2), tally(2, 4, image=2), tally(3, 6, image=3)],
    ],
)
def test_no_interval_where_there_is_no_spread(rows: list[Tally]) -> None:
    assert score(rows, seed=1).interval is None


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
    found = replace(score([tally(50, 40)], seed=1), interval=(0.5551, 0.5559))
    assert found.interval_words == "–"
    assert replace(found, interval=(0.4, 0.6)).interval_words == "40 – 60"


def test_nothing_judged_gives_dashes() -> None:
    found = score([tally(0, 0), tally(0, 0, image=2)], seed=1)
    assert (found.accuracy, found.majority_accuracy, found.agreement) == (None, None, None)
    assert (found.items, found.images, found.cannot_tell_share) == (0, 0, None)


def test_many_images_are_drawn_in_batches() -> None:
    rows = [tally(number % 2, 1, image=number) for number in range(1_500)]
    found = score(rows, seed=1)
    assert found.accuracy is not None
    assert found.interval is not None
    assert found.interval[0] < found.accuracy < found.interval[1]


Answers = st.lists(
    st.tuples(st.integers(1, 5), st.lists(st.sampled_from("ynu"), max_size=6)), max_size=20
)


def count(answers: list[tuple[int, list[str]]]) -> list[Tally]:
    return [
        tally(given.count("y"), given.count("n"), given.count("u"), image=image)
        for image, given in answers
    ]


@given(Answers, st.randoms(use_true_random=False))
def test_any_answers(answers: list[tuple[int, list[str]]], chance: random.Random) -> None:
    found = score(count(answers), seed=2)
    for share in (found.accuracy, found.majority_accuracy, found.agreement):
        assert share is None or 0 <= share <= 1
    assert found.interval is None or 0 <= found.interval[0] <= found.interval[1] <= 1
    # Who said what does not matter, nor the order of the items.
    shuffled = [(image, chance.sample(given, len(given))) for image, given in answers]
    chance.shuffle(shuffled)
    assert score(count(shuffled), seed=2) == found


@given(Answers, st.integers(0, 19))
def test_cannot_tell_moves_no_verdict(answers: list[tuple[int, list[str]]], where: int) -> None:
    before = score(count(answers), seed=2)
    more = [
        (image, [*given, "u"] if number == where else given)
        for number, (image, given) in enumerate(answers)
    ]
    after = score(count([*more, (99, ["u"])]), seed=2)
    for name in ("accuracy", "interval", "majority_accuracy", "ties", "agreement"):
        assert getattr(after, name) == getattr(before, name)
    assert after.cannot_tell > before.cannot_tell
