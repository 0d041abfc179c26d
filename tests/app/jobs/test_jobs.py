"""Jobs through pages and API."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from app.accounts.models import Person
from tests.factories import Make
from tests.people import cast

SignInAt = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]


@pytest.mark.parametrize("state", ["queued", "succeeded", "failed", "cancelled", "paused"])
def test_pages_show_a_job_in_every_state(
    browser: TestClient, htmx: TestClient, make: Make, sign_in: SignInAt, state: str
) -> None:
    people = cast(make)
    job = make.job(people.project, state=state, error="It broke." if state == "failed" else None)
    page = sign_in(browser, people.ben).get("/projects/paintings/jobs")
    assert f"chip-{state}" in page.text
    one = browser.get(f"/projects/paintings/jobs/{job.id}")
    assert one.status_code == 200
    assert ("It broke." in one.text) == (state == "failed")
    fragment = sign_in(htmx, people.ben).get("/projects/paintings/jobs").text
    assert "<html" not in fragment
    assert ("every 2s" in fragment) == (state == "queued")


def test_a_lead_cancels_and_resumes(
    browser: TestClient, api: TestClient, make: Make, sign_in: SignInAt, token_for: TokenFor
) -> None:
    people = cast(make)
    job = make.job(people.project)
    where = f"/projects/paintings/jobs/{job.id}"
    assert sign_in(browser, people.lea).post(f"{where}/cancel").status_code == 303
    headers = token_for(people.lea)
    assert api.get(f"/api/v1{where}", headers=headers).json()["state"] == "cancelled"
    again = api.post(f"/api/v1{where}/cancel", headers=headers)
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "This job is over: it was cancelled.",
    )
    assert browser.post(f"{where}/resume").status_code == 303
    assert api.get(f"/api/v1{where}", headers=headers).json()["state"] == "queued"


def test_a_lead_pauses_resumes_and_cancels_what_is_paused(
    browser: TestClient, api: TestClient, make: Make, sign_in: SignInAt, token_for: TokenFor
) -> None:
    people = cast(make)
    where = f"/projects/paintings/jobs/{make.job(people.project).id}"
    page = sign_in(browser, people.lea).get(where).text
    assert f"{where}/pause" in page and f"{where}/resume" not in page
    assert browser.post(f"{where}/pause").status_code == 303
    page = browser.get(where).text
    assert "chip-paused" in page and f"{where}/resume" in page and f"{where}/pause" not in page
    headers = token_for(people.lea)
    again = api.post(f"/api/v1{where}/pause", headers=headers)
    assert (again.status_code, again.json()["detail"]) == (409, "This job is over: it was paused.")
    assert api.post(f"/api/v1{where}/resume", headers=headers).json()["state"] == "queued"
    assert api.post(f"/api/v1{where}/pause", headers=headers).json()["state"] == "paused"
    assert api.post(f"/api/v1{where}/cancel", headers=headers).json()["state"] == "cancelled"
    assert api.post(f"/api/v1{where}/pause", headers=token_for(people.ada)).status_code == 403


def test_others_do_not(browser: TestClient, make: Make, sign_in: SignInAt) -> None:
    people = cast(make)
    where = f"/projects/paintings/jobs/{make.job(people.project).id}/cancel"
    assert sign_in(browser, people.ada).post(where).status_code == 403
    assert sign_in(browser, people.dora).post(where).status_code == 404


def test_a_job_of_another_project_is_not_there(
    browser: TestClient, make: Make, sign_in: SignInAt
) -> None:
    people = cast(make)
    foreign = make.job(make.project())
    page = sign_in(browser, people.lea).get(f"/projects/paintings/jobs/{foreign.id}")
    assert page.status_code == 404


def test_jobs_are_listed_by_key(api: TestClient, make: Make, token_for: TokenFor) -> None:
    people = cast(make)
    ids = [make.job(people.project).id for _ in range(5)]
    headers = token_for(people.ben)
    where = "/api/v1/projects/paintings/jobs"
    first = api.get(where, params={"limit": 3}, headers=headers).json()
    rest = api.get(where, params={"limit": 3, "before": first["next"]}, headers=headers).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == ids[::-1]
