"""The pages say in words whether a run works: its winning part, and what its expert knows of attributes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.datasets.models import Dataset
from app.runs import launching, recording
from app.runs.models import Run
from method.training.examination import CONDITIONS, Examination
from tests.app.runs.conftest import Finish, Launch, metric
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
ROOT = "/projects/paintings/runs"


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def lea(browser: TestClient, sign_in: SignIn, people: Cast) -> TestClient:
    return sign_in(browser, people.lea)


@pytest.fixture
def expert(people: Cast, launch: Launch, finish: Finish) -> Run:
    return finish(launch(people.project))


def examined(gain: float, half_width: float) -> Examination:
    errors = dict.fromkeys(CONDITIONS, 0.1) | {"all": 0.1 - gain}
    return Examination(64, 4, errors, gain, half_width, "d" * 64, "e" * 64, 64)


def logged(step: int, alignment: float, drift: float, factor: float = 0.1) -> dict[str, Any]:
    """A step with a little noise, of theta that went half the gap."""
    win, gap = (alignment + drift) * (1 + 0.1 * (-1) ** step), 0.01
    return metric(step) | {
        "win": win, "lose": win + gap, "drift": drift, "alignment": win - drift, "factor": factor,
        "gap": gap, "lead": gap / 3,
    }  # fmt: skip


@pytest.fixture
def second(db: Session, people: Cast, launch: Launch, finish: Finish, expert: Run) -> Run:
    """A finished stage 2."""
    data = db.get_one(Dataset, expert.dataset_id)
    chosen = {"kind": "cpo_s", "name": "Second", "expert_run_id": expert.id}
    return finish(launch(people.project, data, **chosen))


@pytest.mark.parametrize(
    ("alignment", "drift", "factor", "said"),
    [
        (-0.004, 0.001, 0.1, ("Healthy", "the winning part is −0.003", "past its lowest point")),
        (0.0008, 0.0003, 0.1, ("Misdirected", "moves away from the winner", "attribute gain")),
        (-0.001, 0.005, 0.1, ("Overshooting", "too far", "Lower the learning rate")),
        (-0.001, 0.005, 1e-5, ("Frozen", "no success here", "drift_cap")),
    ],
)
def test_the_page_says_what_it_sees_and_what_to_do(
    alignment: float,
    drift: float,
    factor: float,
    said: tuple[str, ...],
    lea: TestClient,
    db: Session,
    second: Run,
) -> None:
    rows = [logged(step, alignment, drift, factor) for step in range(1, 41)]
    recording.record_metrics(db, second, rows)
    db.commit()
    for page in (
        lea.get(f"{ROOT}/{second.id}").text,
        lea.get(f"{ROOT}/{second.id}", headers={"HX-Request": "true"}).text,
    ):
        assert all(each in page for each in said)
        assert "gone 50% of the gap" in page
        assert "lowest at 33%" in page
        assert "above 0 beyond 67%" in page
    found = lea.get(f"/api/v1{ROOT}/{second.id}/verdict").json()
    assert found["winning"]["title"] == said[0]
    assert said[1] in found["winning"]["what"]


def test_runs_that_logged_less_still_show(lea: TestClient, second: Run) -> None:
    """Of the first releases: no drift, so no word of it."""
    page = lea.get(f"{ROOT}/{second.id}")
    assert page.status_code == 200
    assert "Does it work?" not in page.text
    assert lea.get(f"/api/v1{ROOT}/{second.id}/verdict").json() == {"winning": None, "expert": None}


@pytest.mark.parametrize(
    ("gain", "said"), [(0.0084, "attribute gain 0.0084"), (-0.0033, "the winning part rises")]
)
def test_an_expert_is_told_on_its_page_and_where_it_is_chosen(
    gain: float, said: str, lea: TestClient, db: Session, expert: Run
) -> None:
    found = examined(gain, 0.0012)
    recording.record_result(db, expert, (expert.result or {}) | {"examination": found.as_dict()})
    db.commit()
    page = lea.get(f"{ROOT}/{expert.id}").text
    assert said in page
    assert "y and all its attributes" in page
    form = lea.get(f"{ROOT}/new?expert={expert.id}&dataset={expert.dataset_id}").text
    assert said in form
    told = lea.post(f"{ROOT}/estimate", data={"kind": "cpo_s", "expert_run_id": str(expert.id)})
    assert said in told.text
    assert 'hx-swap-oob="true"' in told.text
    other = lea.post(f"{ROOT}/estimate", data={"kind": "cpo_s", "expert_run_id": "999"})
    assert said not in other.text
    verdict = lea.get(f"/api/v1{ROOT}/{expert.id}/verdict").json()["expert"]
    assert (verdict["gain"], verdict["has_gain"]) == (gain, gain > 0)


def test_an_expert_that_was_examined_afterwards_is_told_from_its_folder(
    lea: TestClient, expert: Run
) -> None:
    assert "It was not examined" in lea.get(f"{ROOT}/{expert.id}").text
    form = f"{ROOT}/new?expert={expert.id}&dataset={expert.dataset_id}"
    assert "was not examined" in lea.get(form).text
    path = launching.folder_of(expert) / "examination.json"
    path.write_text(json.dumps(examined(0.0084, 0.0008).as_dict()))
    assert "attribute gain 0.0084" in lea.get(f"{ROOT}/{expert.id}").text
    assert "attribute gain 0.0084" in lea.get(form).text
    path.write_text("{")
    assert "It was not examined" in lea.get(f"{ROOT}/{expert.id}").text
