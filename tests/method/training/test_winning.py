"""Reading the winning part: the kinds of run, intervals against scipy, and the geometry of the gap."""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from method.training.winning import Kind, Winning, read_winning

Row = dict[str, Any]


def rows(count: int, make: Callable[[random.Random], Row]) -> list[Row]:
    draw = random.Random(5)
    return [{"step": step, **make(draw)} for step in range(1, count + 1)]


def at(
    alignment: float, drift: float, *, noise: float = 1e-4, factor: float = 0.1
) -> Callable[[random.Random], Row]:
    def make(draw: random.Random) -> Row:
        win = alignment + drift + draw.gauss(0, noise)
        return {
            "win": win,
            "lose": win + 0.004,
            "drift": drift,
            "factor": factor,
            "gap": 0.01,
            "lead": 0.003,
        }

    return make


def read(found: list[Row], omega: float = 2.0) -> Winning:
    winning = read_winning(found, (omega, omega))
    assert winning is not None
    return winning


@pytest.mark.parametrize(
    ("alignment", "drift", "factor", "kind"),
    [
        (-0.004, 0.001, 0.1, "healthy"),
        (0.0008, 0.0003, 0.1, "misdirected"),
        (-0.001, 0.005, 0.1, "overshooting"),
        (-0.001, 0.005, 1e-5, "frozen"),
        (0.001, 0.005, 1e-5, "frozen"),
        (-0.004, 0.001, 1e-5, "healthy"),
        (-0.002, 0.002, 0.1, "uncertain"),
    ],
)
def test_the_two_terms_tell_runs_apart(
    alignment: float, drift: float, factor: float, kind: Kind
) -> None:
    winning = read(rows(40, at(alignment, drift, factor=factor)))
    assert winning.kind == kind
    assert (winning.is_good, winning.is_bad) == (
        kind == "healthy",
        kind in ("misdirected", "overshooting", "frozen"),
    )
    for sentence in (winning.title, winning.what, winning.advice, winning.geometry_in_words):
        assert sentence
        assert "{" not in sentence


def test_with_a_guidance_of_1_the_winning_part_has_to_rise() -> None:
    winning = read(rows(40, at(-0.001, 0.005)), omega=1.0)
    assert winning.kind == "unguided"
    assert not winning.is_bad
    assert winning.geometry is not None
    assert winning.geometry.expected == 0


def test_only_the_later_half_of_the_newest_steps_counts() -> None:
    early, late = rows(300, at(0.01, 0.001)), rows(100, at(-0.004, 0.001))
    winning = read([*early, *late])
    assert (winning.kind, winning.rows) == ("healthy", 100)
    assert read(rows(16, at(-0.004, 0.001))).rows == 8
    assert read_winning(rows(14, at(-0.004, 0.001)), (2, 2)) is None


def test_intervals_are_students() -> None:
    found = rows(40, at(-0.004, 0.001, noise=0.003))
    late = np.array([row["win"] for row in found[20:]])
    reach = stats.t.ppf(0.975, 19) * late.std(ddof=1) / math.sqrt(20)
    winning = read(found)
    assert winning.win.mean == pytest.approx(late.mean())
    assert winning.win.half_width == pytest.approx(reach)
    assert winning.alignment.mean == pytest.approx(late.mean() - 0.001)


@pytest.mark.parametrize("omega", [1.5, 2.0, 3.0])
def test_geometry_is_that_of_theta_on_the_gap(omega: float) -> None:
    """Theta that went the share c of a gap whose winner lies where additive attributes put it."""
    gap, c, lowest = 0.02, 0.25, (omega - 1) / (2 * omega - 1)
    win = c**2 * gap - 2 * c * lowest * gap
    row = {
        "win": win,
        "lose": win + 2 * c * gap,
        "drift": c**2 * gap,
        "gap": gap,
        "lead": lowest * gap,
    }
    geometry = read(rows(20, lambda _: dict(row)), omega).geometry
    assert geometry is not None
    assert (geometry.gone, geometry.lowest) == pytest.approx((c, lowest))
    assert geometry.expected == pytest.approx(lowest)


def test_past_the_lowest_point_a_healthy_run_should_end() -> None:
    def make(gone: float) -> Callable[[random.Random], Row]:
        win = (gone**2 - 2 * gone / 3) * 0.01
        row = {
            "win": win,
            "lose": win + 2 * gone * 0.01,
            "drift": gone**2 * 0.01,
            "gap": 0.01,
            "lead": 0.01 / 3,
        }
        return lambda _: dict(row)

    assert read(rows(20, make(0.2))).advice == "Nothing needs to be done."
    assert "end the run here" in read(rows(20, make(0.5))).advice
    assert read(rows(20, make(0.8))).kind == "overshooting"


def test_runs_of_earlier_releases_have_no_geometry_and_some_no_reading() -> None:
    old = rows(
        20, lambda draw: {"win": -0.003 + draw.gauss(0, 1e-4), "lose": 0.001, "drift": 0.001}
    )
    winning = read(old)
    assert (winning.kind, winning.geometry, winning.geometry_in_words) == ("healthy", None, "")
    without_drift = [{name: row[name] for name in ("step", "win", "lose")} for row in old]
    assert read_winning(without_drift, (2, 2)) is None
    holes = [row | {"win": None} for row in old]
    assert read_winning(holes, (2, 2)) is None


def test_targets_without_guidance_have_no_expected_place() -> None:
    winning = read_winning(rows(20, at(-0.004, 0.001)), None)
    assert winning is not None
    assert winning.geometry is not None
    assert winning.geometry.expected is None
    assert "add up" not in winning.geometry_in_words


def test_a_winner_that_lies_behind_the_reference_is_told() -> None:
    behind = rows(20, lambda draw: at(0.001, 0.001)(draw) | {"lead": -0.002})
    assert "the winning part cannot fall" in read(behind).geometry_in_words
