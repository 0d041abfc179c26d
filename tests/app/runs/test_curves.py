"""Curves: thinned so that nothing an eye looks for is lost, and continued where they ended."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session
from starlette.testclient import TestClient

from app import database
from app.accounts.models import Person
from app.runs import reading, recording
from app.runs.models import Run
from tests.app.runs.conftest import Launch, metric
from tests.factories import Make
from tests.people import Cast, cast

Curves = Callable[..., dict[str, Any]]
ROOT = "/projects/paintings/runs"


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def run(people: Cast, launch: Launch) -> Run:
    return launch(people.project)


@pytest.fixture
def lea(
    browser: TestClient, sign_in: Callable[[TestClient, Person], TestClient], people: Cast
) -> TestClient:
    return sign_in(browser, people.lea)


@pytest.fixture
def curves(lea: TestClient, run: Run) -> Curves:
    def ask(**query: float) -> dict[str, Any]:
        answer = lea.get(f"/api/v1{ROOT}/{run.id}/curves", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return ask


def record(db: Session, run: Run, rows: list[dict[str, Any]]) -> None:
    recording.record_metrics(db, run, rows)
    db.commit()


def test_few_steps_come_as_they_were_logged(db: Session, run: Run, curves: Curves) -> None:
    record(db, run, [metric(step) for step in range(1, 41)])
    found = curves()
    (group,) = found["groups"]
    assert group["first"] == group["last"] == list(range(1, 41))
    assert group["mean"]["loss"] == pytest.approx([1 / step for step in range(1, 41)])
    difference = [-step / 9 - step / 10 for step in range(1, 41)]
    assert group["mean"]["difference"] == pytest.approx(difference)
    assert (group["low"], group["high"], found["thinned"]) == ({}, {}, False)
    assert (found["step"], found["time"], found["restart"]) == (40, 1040.0, False)
    assert "rho" not in group["mean"]  # this run does not log it


def test_no_steps_at_all(curves: Curves) -> None:
    assert curves() == {
        "groups": [],
        "step": None,
        "time": None,
        "thinned": False,
        "restart": False,
    }


def test_one_spike_in_thousands_of_steps_survives(db: Session, run: Run, curves: Curves) -> None:
    rows = [{"step": step, "time": 0.0, "grad_norm": 0.1} for step in range(1, 5001)]
    rows[3210]["grad_norm"] = 50.0
    rows[1234]["grad_norm"] = -50.0
    record(db, run, rows)
    found = curves(points=100)
    (group,) = found["groups"]
    buckets = list(
        zip(
            group["first"],
            group["last"],
            group["low"]["grad_norm"],
            group["high"]["grad_norm"],
            strict=True,
        )
    )
    assert found["thinned"] and len(buckets) <= 100
    high = [(first, last) for first, last, _, each in buckets if each == 50.0]
    low = [(first, last) for first, last, each, _ in buckets if each == -50.0]
    assert len(high) == len(low) == 1
    assert high[0][0] <= 3211 <= high[0][1] and low[0][0] <= 1235 <= low[0][1]
    # Every step is in one bucket, in order.
    assert [first for first, *_ in buckets[1:]] == [last + 1 for _, last, *_ in buckets[:-1]]
    assert (buckets[0][0], buckets[-1][:2]) == (1, (5000, 5000))


def test_lowest_and_highest_are_those_of_the_difference_itself(
    db: Session, run: Run, curves: Curves
) -> None:
    # Both parts swing far and together: their difference is steady.
    rows = [
        {"step": step, "win": (-1) ** step * 10.0 - 1, "lose": (-1) ** step * 10.0}
        for step in range(1, 1001)
    ]
    record(db, run, rows)
    (group,) = curves(points=50)["groups"]
    assert set(group["low"]["difference"] + group["high"]["difference"]) == {-1.0}
    assert max(group["high"]["win"]) == 9.0 and min(group["low"]["win"]) == -11.0


def test_the_mean_of_a_bucket_is_that_of_its_steps(db: Session, run: Run, curves: Curves) -> None:
    record(db, run, [{"step": step, "loss": float(step % 4)} for step in range(1, 1001)])
    (group,) = curves(points=50)["groups"]
    assert group["mean"]["loss"][1:-2] == pytest.approx([1.5] * (len(group["first"]) - 3))


def test_looking_closely_brings_every_step(db: Session, run: Run, curves: Curves) -> None:
    record(db, run, [metric(step) for step in range(1, 1001)])
    near = curves(after=500, until=520, points=50)
    assert near["groups"][0]["first"] == list(range(501, 521))
    assert (near["thinned"], near["step"]) == (False, 520)


def test_what_is_logged_now_and_then_keeps_its_own_steps(
    db: Session, run: Run, curves: Curves
) -> None:
    rows = [metric(step) for step in range(1, 1001)]
    for row in rows[249::250]:
        row["validation_loss"] = row["step"] / 100
    record(db, run, rows)
    dense, sparse = curves(points=50)["groups"]
    assert "validation_loss" not in dense["mean"]
    assert sparse["first"] == sparse["last"] == [250, 500, 750, 1000]
    assert sparse["mean"] == {"validation_loss": [2.5, 5.0, 7.5, 10.0]}


def test_rows_may_lack_values_and_hold_null(db: Session, run: Run, curves: Curves) -> None:
    record(db, run, [{"step": 1, "loss": None}, {"step": 2, "loss": 0.5}, {"step": 3, "lr": 0.1}])
    (group,) = curves()["groups"]
    assert group["mean"] == {"loss": [None, 0.5, None], "lr": [None, None, 0.1]}


def test_buckets_of_a_part_share_borders_with_those_of_the_whole(db: Session, run: Run) -> None:
    record(db, run, [metric(step) for step in range(1, 4001)])
    whole = reading.find_curves(db, run, points=100).groups[0]
    part = reading.find_curves(db, run, after=999, until=2999, points=100).groups[0]
    inside = {step for step in whole.first if 1000 < step < 2999}
    assert inside and inside <= set(part.first) and len(part.first) > len(inside)


def test_curves_continue_and_begin_again_after_a_resumption(
    db: Session, run: Run, curves: Curves
) -> None:
    record(db, run, [metric(step) for step in range(1, 1001)])
    seen = {"after": 998, "seen": 1998.0}
    found = curves(**seen)
    assert (found["groups"][0]["first"], found["restart"]) == ([999, 1000], False)
    # The run is resumed from step 900 and has come past 998 again meanwhile.
    recording.truncate_after(db, run, metrics=900)
    record(db, run, [metric(step) | {"time": step + 5000.0} for step in range(901, 1001)])
    again = curves(**seen)
    assert (again["restart"], again["groups"][0]["first"][0], again["step"]) == (True, 1, 1000)


@pytest.mark.parametrize("logged", [0, 3])
def test_steps_logged_while_curves_are_read_come_the_next_time(
    db: Session, run: Run, logged: int
) -> None:
    record(db, run, [metric(step) for step in range(1, logged + 1)])
    steps = count(logged + 1)

    def log_another(_: ORMExecuteState) -> None:
        with Session(database.engine()) as training:
            recording.record_metrics(training, run, [metric(next(steps))])
            training.commit()

    event.listen(db, "do_orm_execute", log_another)
    found = [reading.find_curves(db, run)]
    for _ in range(2):
        after = found[-1].newest[0] if found[-1].newest else -1
        found.append(reading.find_curves(db, run, after=after))
    event.remove(db, "do_orm_execute", log_another)
    brought = [step for each in found for group in each.groups for step in group.first]
    assert brought == list(range(1, len(brought) + 1))
    assert len(brought) > logged + 2


def test_metrics_are_what_was_logged_a_page_at_a_time(
    db: Session, run: Run, lea: TestClient
) -> None:
    record(db, run, [metric(step) for step in range(1, 11)])
    address = f"/api/v1{ROOT}/{run.id}/metrics"
    page = lea.get(address, params={"points": 6}).json()
    assert page["items"] == [metric(step) for step in range(1, 7)]
    rest = lea.get(address, params={"points": 6, "after": page["next"]}).json()
    assert ([row["step"] for row in rest["items"]], rest["next"]) == ([7, 8, 9, 10], None)
