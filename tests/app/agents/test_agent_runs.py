"""Agent runs through pages and API: launched, listed, looked at."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.agents.models import AgentRun, AgentRunImage
from app.criteria.models import Node
from app.images.models import Image
from app.jobs.models import OPEN_STATES, Job
from app.labels.models import Label
from app.labels.proposing import Proposed, propose
from tests.factories import Make
from tests.people import Cast, cast

SignInAt = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
PAGE, API = "/projects/paintings/agent", "/api/v1/projects/paintings/agent-runs"
STATES = ("queued", "running", "cancelling", "succeeded", "failed", "cancelled")


def problem(run: AgentRun, image: Image, reason: str) -> AgentRunImage:
    """An image that a run could not label."""
    return AgentRunImage(
        agent_run_id=run.id,
        image_id=image.id,
        version_id=run.version_id,
        state="failed",
        reason=reason,
    )


def pair(make: Make, people: Cast) -> Node:
    parent = make.dimension(people.project, "Color", key="color")
    return make.pair(
        people.project,
        parent,
        key="warm",
        positive_name="Warm <dominance>",
        negative_name="Warm monotony",
    )


@pytest.fixture
def people(make: Make) -> Cast:
    """A project that is ready for an agent: a published version and an image."""
    people = cast(make)
    pair(make, people)
    make.version(people.project)
    make.image(people.project)
    return people


def job_in(make: Make, people: Cast, state: str, **values: Any) -> Job:
    """A job of an agent run in this state."""
    if state in ("running", "cancelling"):
        values["lease_until"] = datetime.now(UTC) + timedelta(minutes=1)
    return make.job(people.project, kind="agent_run", state=state, **values)


def test_a_lead_launches_by_the_page(
    db: Session, browser: TestClient, people: Cast, sign_in: SignInAt
) -> None:
    page = sign_in(browser, people.lea).get(PAGE)
    assert page.status_code == 200
    assert "Label all images" in page.text
    assert "under criteria version 1" in page.text
    assert "No agent has looked at the images yet" in page.text
    answer = browser.post(PAGE, data={"agent": "measured"})
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    run = db.scalars(select(AgentRun)).one()
    job = db.get_one(Job, run.job_id)
    assert (job.kind, job.state, job.queue) == ("agent_run", "queued", "cpu")
    assert job.spec == {"agent_run_id": run.id}
    assert (run.created_by, job.created_by) == (people.lea.id, people.lea.id)
    assert "chip-queued" in browser.get(PAGE).text


def test_a_lead_launches_by_the_api(api: TestClient, people: Cast, token_for: TokenFor) -> None:
    headers = token_for(people.lea)
    made = api.post(API, json={"agent": "measured"}, headers=headers)
    assert made.status_code == 202
    run = made.json()
    assert run == run | {
        "state": "queued",
        "agent": "measured",
        "agent_version": "",
        "criteria_version": 1,
        "images": 0,
        "labels": 0,
        "problems": 0,
    }
    assert api.get(f"{API}/{run['id']}", headers=headers).json() == run
    assert api.get(API, headers=headers).json() == {"items": [run], "next": None}
    job = api.get(f"/api/v1/projects/paintings/jobs/{run['job_id']}", headers=headers).json()
    assert (job["kind"], job["state"]) == ("agent_run", "queued")
    assert api.post(API, json={}, headers=headers).status_code == 202  # measured is the default


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"agent": "oracle"}, "There is no agent “oracle”; there is measured"),
        ({"agent": "vlm"}, "The agent “vlm” is not set up here."),
        ({"agent": "measured", "images": [1]}, "body.images"),
        ({"agent": 3}, "body.agent"),
    ],
)
def test_wrong_launches_are_refused_in_words(
    db: Session,
    api: TestClient,
    people: Cast,
    token_for: TokenFor,
    body: dict[str, object],
    words: str,
) -> None:
    answer = api.post(API, json=body, headers=token_for(people.lea))
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert db.scalars(select(Job)).all() == []


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"agent": "oracle"}, "There is no agent “oracle”"),
        ({"agent": ""}, "Please fill this in."),
        ({}, "Please fill this in."),
        ({"agent": "measured", "more": "1"}, "This field is not known here."),
        ({"agent": "m\x00"}, "cannot be kept"),
    ],
)
def test_a_wrong_form_is_shown_again(
    db: Session,
    browser: TestClient,
    people: Cast,
    sign_in: SignInAt,
    form: dict[str, str],
    words: str,
) -> None:
    answer = sign_in(browser, people.lea).post(PAGE, data=form)
    assert answer.status_code == 422
    assert words in answer.text
    assert db.scalars(select(AgentRun)).all() == []


def test_nothing_published_and_no_images_are_said(
    db: Session,
    browser: TestClient,
    api: TestClient,
    make: Make,
    sign_in: SignInAt,
    token_for: TokenFor,
) -> None:
    people = cast(make)
    headers = token_for(people.lea)
    refused = api.post(API, json={}, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["detail"] == "The criteria have not been published yet."
    assert "Publish a version first" in refused.json()["hint"]
    page = sign_in(browser, people.lea).post(PAGE, data={"agent": "measured"})
    assert (page.status_code, "not been published" in page.text) == (422, True)
    pair(make, people)
    make.version(people.project)
    refused = api.post(API, json={}, headers=headers)
    assert refused.json()["detail"] == "There are no images to label yet."
    assert db.scalars(select(Job)).all() == []


def test_who_may_do_what(
    browser: TestClient, api: TestClient, people: Cast, sign_in: SignInAt, token_for: TokenFor
) -> None:
    for person in (people.ben, people.ada):
        page = sign_in(browser, person).get(PAGE)
        assert page.status_code == 200
        assert "Label all images" not in page.text
        assert browser.post(PAGE, data={"agent": "measured"}).status_code == 403
        assert api.get(API, headers=token_for(person)).status_code == 200
        assert api.post(API, json={}, headers=token_for(person)).status_code == 403
    assert sign_in(browser, people.dora).get(PAGE).status_code == 404
    assert browser.post(PAGE, data={"agent": "measured"}).status_code == 404
    assert api.post(API, json={}, headers=token_for(people.dora)).status_code == 404
    assert api.get(API).status_code == 401
    browser.cookies.clear()
    assert browser.get(PAGE).headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("state", STATES)
def test_the_list_and_a_run_in_every_state(
    browser: TestClient,
    htmx: TestClient,
    api: TestClient,
    make: Make,
    people: Cast,
    sign_in: SignInAt,
    token_for: TokenFor,
    state: str,
) -> None:
    version = make.version(people.project, number=2)
    error = "The agent <broke>." if state == "failed" else None
    progress = {"done": 3, "total": 7, "message": "5 labels", "eta_seconds": 4.0}
    job = job_in(make, people, state, error=error, progress=progress)
    run = make.agent_run(people.project, version, job_id=job.id, images=3, labels=5)
    page = sign_in(browser, people.ben).get(PAGE)
    assert f"chip-{state}" in page.text
    assert ("The agent &lt;broke&gt;." in page.text) == (state == "failed")
    assert ("3 of 7" in page.text) == (state in ("running", "cancelling"))
    fragment = sign_in(htmx, people.ben).get(PAGE).text
    assert "<html" not in fragment
    assert ("every 2s" in fragment) == (state in OPEN_STATES)
    one = browser.get(f"{PAGE}/{run.id}")
    assert one.status_code == 200
    assert "No labels from this run yet." in one.text
    out = api.get(f"{API}/{run.id}", headers=token_for(people.ben)).json()
    assert (out["state"], out["images"], out["labels"]) == (state, 3, 5)


def test_a_run_without_a_job_is_shown(
    browser: TestClient, make: Make, people: Cast, sign_in: SignInAt
) -> None:
    run = make.agent_run(people.project, make.version(people.project, number=2))
    assert "chip-succeeded" in sign_in(browser, people.ben).get(PAGE).text
    assert browser.get(f"{PAGE}/{run.id}").status_code == 200


def test_a_run_says_what_people_made_of_it(
    db: Session,
    browser: TestClient,
    api: TestClient,
    make: Make,
    sign_in: SignInAt,
    token_for: TokenFor,
) -> None:
    people = cast(make)
    node = pair(make, people)
    version = make.version(people.project)
    run = make.agent_run(people.project, version)
    images = [make.image(people.project, name=f"<{each}>.png") for each in range(4)]
    findings = [Proposed(image.id, node.id, "positive", "m", 0.9, 0.5, 0.8) for image in images]
    findings.append(Proposed(images[0].id, node.id, "negative", "m", 0.9, 0.5, 0.8))
    propose(db, people.project, agent_run_id=run.id, version_id=version.id, findings=findings)
    labels = db.scalars(select(Label).where(Label.polarity == "positive").order_by(Label.id)).all()
    labels[0].state, labels[1].state, labels[2].state = "confirmed", "confirmed", "rejected"
    db.add(problem(run, images[3], "It is <gone>."))
    run.images, run.problems = 4, 1
    db.commit()
    page = sign_in(browser, people.ben).get(f"{PAGE}/{run.id}").text
    assert "Warm &lt;dominance&gt;" in page
    assert "Warm monotony" in page
    assert "&lt;3&gt;.png" in page and "It is &lt;gone&gt;." in page
    assert f"/projects/paintings/images/{images[3].id}" in page
    headers = token_for(people.ben)
    assert api.get(f"{API}/{run.id}/outcome", headers=headers).json() == {
        "items": [
            {
                "key": "warm",
                "polarity": "negative",
                "proposed": 1,
                "confirmed": 0,
                "rejected": 0,
                "unsure": 0,
            },
            {
                "key": "warm",
                "polarity": "positive",
                "proposed": 1,
                "confirmed": 2,
                "rejected": 1,
                "unsure": 0,
            },
        ]
    }
    assert api.get(f"{API}/{run.id}", headers=headers).json()["problems"] == 1


def test_runs_of_another_project_are_not_there(
    browser: TestClient,
    api: TestClient,
    make: Make,
    people: Cast,
    sign_in: SignInAt,
    token_for: TokenFor,
) -> None:
    other = make.project("other")
    run = make.agent_run(other, make.version(other, number=1))
    sign_in(browser, people.lea)
    headers = token_for(people.lea)
    for number in (run.id, 2**62, 0, -1):
        assert browser.get(f"{PAGE}/{number}").status_code == 404
        assert api.get(f"{API}/{number}", headers=headers).status_code == 404
        assert api.get(f"{API}/{number}/outcome", headers=headers).status_code == 404
    assert api.get(API, headers=headers).json()["items"] == []


def test_many_runs_come_page_by_page(
    browser: TestClient,
    api: TestClient,
    make: Make,
    people: Cast,
    sign_in: SignInAt,
    token_for: TokenFor,
) -> None:
    version = make.version(people.project, number=2)
    ids = [make.agent_run(people.project, version).id for _ in range(23)]
    headers = token_for(people.ben)
    seen: list[int] = []
    more: dict[str, int | None] = {}
    for _ in range(3):
        page = api.get(API, params={"limit": 10, **more}, headers=headers).json()
        seen += [each["id"] for each in page["items"]]
        more = {"before": page["next"]}
    assert (seen, more) == (ids[::-1], {"before": None})
    first = sign_in(browser, people.ben).get(PAGE).text
    assert f"?before={ids[3]}" in first
    second = browser.get(PAGE, params={"before": ids[3]}).text
    assert f'href="{PAGE}/{ids[2]}"' in second
    assert f'href="{PAGE}/{ids[3]}"' not in second
    assert "Older runs" not in second
    for wrong in (0, 101, "x"):
        assert api.get(API, params={"limit": wrong}, headers=headers).status_code == 422
    assert api.get(API, params={"before": 10**30}, headers=headers).status_code == 422


def test_many_problems_come_page_by_page(
    db: Session, browser: TestClient, make: Make, people: Cast, sign_in: SignInAt
) -> None:
    run = make.agent_run(people.project, make.version(people.project, number=2))
    images = [make.image(people.project, name=f"lost-{each:03d}.png") for each in range(101)]
    for image in images:
        db.add(problem(run, image, "It is gone."))
    db.commit()
    first = sign_in(browser, people.ben).get(f"{PAGE}/{run.id}").text
    assert "lost-099.png" in first and "lost-100.png" not in first
    assert f"?after={images[99].id}" in first
    second = browser.get(f"{PAGE}/{run.id}", params={"after": images[99].id}).text
    assert "lost-100.png" in second and "lost-099.png" not in second
    assert "?after=" not in second
