"""Datasets through pages and API: frozen, numbered, looked at."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.database import unit_of_work
from app.datasets import freezing, selecting
from app.datasets.models import Dataset
from app.datasets.selecting import FRACTIONS
from app.jobs.models import OPEN_STATES, Job
from app.labels.saving import set_done
from app.projects.founding import get_project
from tests.app.datasets.gallery import Gallery, open_gallery
from tests.factories import Make
from tests.people import Cast, cast

pytestmark = pytest.mark.usefixtures("own_storage")

SignInAt = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
PAGE, API = "/projects/paintings/datasets", "/api/v1/projects/paintings/datasets"
STATES = ("queued", "running", "cancelling", "succeeded", "failed", "cancelled")


@pytest.fixture
def gallery(db: Session, make: Make) -> Gallery:
    """Two pictures; one has a confirmed label."""
    gallery = open_gallery(db, make)
    image, _ = gallery.hang_many(2)
    gallery.decide(image, "warm-dominance")
    return gallery


@pytest.fixture
def people(gallery: Gallery) -> Cast:
    return gallery.people


def keep(gallery: Gallery, state: str, number: int = 1, **values: Any) -> Dataset:
    """A dataset that is not ready, whose job is in this state."""
    if state in ("running", "cancelling"):
        values["lease_until"] = datetime.now(UTC) + timedelta(minutes=1)
    job = gallery.make.job(gallery.project, kind="dataset", state=state, **values)
    dataset = Dataset(
        project_id=gallery.project.id,
        number=number,
        name=f"Dataset <{number}>",
        version_id=gallery.version.id,
        job_id=job.id,
    )
    gallery.db.add(dataset)
    gallery.db.commit()
    return dataset


def test_a_lead_freezes_by_the_page(
    db: Session, browser: TestClient, people: Cast, sign_in: SignInAt
) -> None:
    page = sign_in(browser, people.lea).get(PAGE)
    assert page.status_code == 200
    assert "80 % train, 10 % validation, 10 % test" in page.text
    assert "No datasets yet" in page.text
    answer = browser.post(
        PAGE,
        data={
            "name": " Spring\t paintings ",
            "salt": "pepper",
            "with_unfinished": "true",
            "contradictions": "leave_out_images",
        },
    )
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    dataset = db.scalars(select(Dataset)).one()
    assert (dataset.name, dataset.number) == ("Spring paintings", 1)
    assert dataset.options == {
        "salt": "pepper",
        "fractions": FRACTIONS,
        "only_done": False,
        "contradictions": "leave_out_images",
    }
    assert (dataset.created_by, dataset.manifest_sha256) == (people.lea.id, None)
    job = db.get_one(Job, dataset.job_id)
    assert (job.kind, job.queue, job.spec) == ("dataset", "cpu", {"dataset_id": dataset.id})
    listed = browser.get(PAGE).text
    assert "Spring paintings" in listed and "chip-queued" in listed


def test_a_lead_freezes_by_the_api_and_loads_the_result(
    api: TestClient, browser: TestClient, gallery: Gallery, token_for: TokenFor, sign_in: SignInAt
) -> None:
    headers = token_for(gallery.people.lea)
    made = api.post(API, json={"name": "Spring"}, headers=headers)
    assert made.status_code == 202
    dataset = made.json()
    assert dataset == dataset | {
        "number": 1,
        "name": "Spring",
        "state": "queued",
        "criteria_version": 1,
        "criteria_sha256": gallery.version.sha256,
        "counts": {},
        "bytes": 0,
        "folder": None,
        "sha256": None,
        "options": {
            "salt": "morelli",
            "fractions": FRACTIONS,
            "only_done": True,
            "contradictions": "keep",
        },
    }
    gallery.work(gallery.db.get_one(Job, dataset["job_id"]))
    ready = api.get(f"{API}/{dataset['id']}", headers=headers).json()
    assert ready["state"] == "ready"
    assert Path(ready["folder"]).is_dir()
    assert ready["counts"]["images"] == 1
    assert len(ready["sha256"]) == 64
    assert api.get(API, headers=headers).json() == {"items": [ready], "next": None}
    page = sign_in(browser, gallery.people.ben).get(f"{PAGE}/{dataset['id']}").text
    assert ready["sha256"] in page and ready["folder"] in page
    assert "load_dataset" in page
    assert "Train on it" not in page  # Ben does not lead
    assert "chip-ready" in browser.get(PAGE).text
    assert ready["sha256"][:12] in browser.get(PAGE).text
    assert "Train on it" in sign_in(browser, gallery.people.lea).get(f"{PAGE}/{dataset['id']}").text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": ""}, "Please fill this in."),
        ({"name": "  "}, "Please fill this in."),
        ({}, "Please fill this in."),
        ({"name": "x" * 121}, "This is too long."),
        ({"name": "a\x00b"}, "cannot be kept"),
        ({"name": "Spring", "salt": ""}, "Please fill this in."),
        ({"name": "Spring", "salt": "x" * 81}, "This is too long."),
        ({"name": "Spring", "salt": "a\x00b"}, "cannot be kept"),
    ],
)
def test_a_wrong_form_is_shown_again_with_what_was_typed(
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
    assert 'aria-invalid="true"' in answer.text
    if form.get("name") == "Spring":
        assert 'value="Spring"' in answer.text
    assert db.scalars(select(Dataset)).all() == []
    assert db.scalars(select(Job)).all() == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "body.name"),
        ({"name": ""}, "body.name"),
        ({"name": "  "}, "name of up to 120"),
        ({"name": "a\x00b"}, "name of up to 120"),
        ({"name": "Spring", "salt": "\x00"}, "The salt"),
        ({"name": "Spring", "fractions": {}}, "body.fractions"),
        ({"name": "Spring", "only_done": "perhaps"}, "body.only_done"),
    ],
)
def test_a_wrong_request_is_refused_in_words(
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
    assert db.scalars(select(Dataset)).all() == []


def test_nothing_published_and_nothing_confirmed_are_said(
    db: Session,
    browser: TestClient,
    api: TestClient,
    make: Make,
    sign_in: SignInAt,
    token_for: TokenFor,
) -> None:
    people = cast(make)
    headers = token_for(people.lea)
    refused = api.post(API, json={"name": "Spring"}, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["detail"] == "The criteria have not been published yet."
    make.pair(people.project, make.dimension(people.project))
    make.version(people.project)
    refused = api.post(API, json={"name": "Spring"}, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["detail"] == "No label is confirmed yet."
    page = sign_in(browser, people.lea).post(PAGE, data={"name": "Spring"})
    assert page.status_code == 422
    assert "No label is confirmed yet. A dataset freezes confirmed labels" in page.text
    assert db.scalars(select(Job)).all() == []


def test_what_would_freeze_nothing_is_refused_at_once_in_the_words_of_the_survey(
    db: Session,
    browser: TestClient,
    api: TestClient,
    gallery: Gallery,
    sign_in: SignInAt,
    token_for: TokenFor,
) -> None:
    lea, (_, bare) = gallery.people.lea, gallery.images
    set_done(db, gallery.project, bare.id, done=True, by=lea)
    db.commit()
    words = "No image with confirmed labels is finished (1 are not)."
    hint = "Mark some as done, or include images that are not finished."
    refused = api.post(API, json={"name": "Spring"}, headers=token_for(lea))
    assert refused.status_code == 422
    told = refused.json()
    assert (told["detail"], told["field"], told["hint"]) == (words, "only_done", hint)
    sign_in(browser, lea)
    page = browser.post(PAGE, data={"name": "Spring"})
    assert page.status_code == 422
    assert f"{words} {hint}" in page.text
    assert f"{words} {hint}" in browser.get(f"{PAGE}/survey").text
    assert (db.scalars(select(Job)).all(), db.scalars(select(Dataset)).all()) == ([], [])
    made = api.post(API, json={"name": "Spring", "only_done": False}, headers=token_for(lea))
    assert made.status_code == 202


def test_of_very_many_images_a_sample_is_surveyed_and_said_to_be_one(
    browser: TestClient,
    api: TestClient,
    gallery: Gallery,
    sign_in: SignInAt,
    token_for: TokenFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for image in (gallery.images[1], *gallery.hang_many(22)):
        gallery.decide(image, "warm-dominance")
    lea = token_for(gallery.people.lea)
    asked = f"{API}/survey?only_done=false"
    whole = api.get(asked, headers=lea).json()
    assert (whole["sampled"], whole["of"], whole["counts"]["images"]) == (None, None, 24)
    monkeypatch.setattr(selecting, "MOST_SURVEYED", 20)
    monkeypatch.setattr(selecting, "SAMPLE", 12)
    part = api.get(asked, headers=lea).json()
    assert part["of"] == 24 and 0 < part["sampled"] < 24
    # Each image has one label, so that every sample gives the same estimate.
    assert part["counts"]["positive_labels"] == 24
    assert {each["image_id"] for each in part["items"]} < {
        each["image_id"] for each in whole["items"]
    }
    page = sign_in(browser, gallery.people.lea).get(f"{PAGE}/survey?with_unfinished=true").text
    assert f"Estimated from a random {part['sampled']} of 24 images" in page


def test_labels_that_all_contradict_are_refused_with_the_rule_that_leaves_them_out(
    db: Session, api: TestClient, gallery: Gallery, token_for: TokenFor
) -> None:
    image, headers = gallery.images[0], token_for(gallery.people.lea)
    gallery.decide(image, "wide-tonal-range")
    gallery.decide(image, "wide-tonal-range", "negative")
    body = {"name": "Spring", "only_done": False, "contradictions": "leave_out_images"}
    refused = api.post(API, json=body, headers=headers)
    assert (refused.status_code, refused.json().get("field")) == (422, "contradictions")
    assert "Every image has labels that contradict" in refused.json()["detail"]
    assert db.scalars(select(Job)).all() == []
    assert api.post(API, json=body | {"contradictions": "keep"}, headers=headers).is_success


def test_who_may_do_what(
    browser: TestClient, api: TestClient, people: Cast, sign_in: SignInAt, token_for: TokenFor
) -> None:
    for person in (people.ben, people.ada):
        page = sign_in(browser, person).get(PAGE)
        assert page.status_code == 200
        assert "Freeze confirmed labels" not in page.text
        assert browser.post(PAGE, data={"name": "Spring"}).status_code == 403
        assert api.get(API, headers=token_for(person)).status_code == 200
        asked = api.post(API, json={"name": "Spring"}, headers=token_for(person))
        assert asked.status_code == 403
    assert sign_in(browser, people.dora).get(PAGE).status_code == 404
    assert browser.post(PAGE, data={"name": "Spring"}).status_code == 404
    assert api.get(API, headers=token_for(people.dora)).status_code == 404
    assert api.get(API).status_code == 401


@pytest.mark.parametrize("state", STATES)
def test_the_list_and_a_dataset_in_every_state(
    browser: TestClient,
    htmx: TestClient,
    api: TestClient,
    gallery: Gallery,
    sign_in: SignInAt,
    token_for: TokenFor,
    state: str,
) -> None:
    error = "It <broke>." if state == "failed" else None
    dataset = keep(gallery, state, error=error, progress={"done": 3, "total": 7, "message": ""})
    ben = gallery.people.ben
    one = f"{PAGE}/{dataset.id}"
    for address in (PAGE, one):
        page = sign_in(browser, ben).get(address)
        assert page.status_code == 200
        assert "Dataset &lt;1&gt;" in page.text
        assert f"chip-{state}" in page.text
        assert ("It &lt;broke&gt;." in page.text) == (state == "failed")
        fragment = sign_in(htmx, ben).get(address).text
        assert "<html" not in fragment
        assert ("every 2s" in fragment) == (state in OPEN_STATES)
    out = api.get(f"/api/v1{one}", headers=token_for(ben)).json()
    assert (out["state"], out["sha256"], out["folder"]) == (state, None, None)


def test_numbers_count_up_in_each_project_even_at_the_same_moment(gallery: Gallery) -> None:
    other = gallery.make.project("other")
    gallery.db.add(
        Dataset(
            project_id=other.id,
            number=7,
            name="Other",
            version_id=gallery.make.version(other, number=1).id,
        )
    )
    gallery.db.commit()
    begun = threading.Barrier(4)

    def freeze() -> None:
        begun.wait()
        for _ in range(3):
            with unit_of_work() as db:
                freezing.freeze_dataset(db, get_project(db, "paintings"), name="Spring", by=None)

    threads = [threading.Thread(target=freeze) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    gallery.db.rollback()
    found = gallery.db.scalars(
        select(Dataset.number).where(Dataset.project_id == gallery.project.id)
    )
    assert sorted(found) == list(range(1, 13))


def test_datasets_of_another_project_are_not_there(
    browser: TestClient, api: TestClient, gallery: Gallery, sign_in: SignInAt, token_for: TokenFor
) -> None:
    dataset = keep(gallery, "queued")
    dora = gallery.people.dora
    sign_in(browser, dora)
    headers = token_for(dora)
    for number in (dataset.id, 2**62, 0, -1):
        assert browser.get(f"/projects/elsewhere/datasets/{number}").status_code == 404
        there = api.get(f"/api/v1/projects/elsewhere/datasets/{number}", headers=headers)
        assert there.status_code == 404
    assert "Dataset &lt;1&gt;" not in browser.get("/projects/elsewhere/datasets").text


def test_many_datasets_come_page_by_page(
    browser: TestClient, api: TestClient, gallery: Gallery, sign_in: SignInAt, token_for: TokenFor
) -> None:
    ids = [keep(gallery, "failed", number).id for number in range(1, 24)]
    headers = token_for(gallery.people.ben)
    seen: list[int] = []
    more: dict[str, int | None] = {}
    for _ in range(3):
        page = api.get(API, params={"limit": 10, **more}, headers=headers).json()
        seen += [each["id"] for each in page["items"]]
        more = {"before": page["next"]}
    assert (seen, more) == (ids[::-1], {"before": None})
    first = sign_in(browser, gallery.people.ben).get(PAGE).text
    assert f"?before={ids[3]}" in first
    second = browser.get(PAGE, params={"before": ids[3]}).text
    assert "Dataset &lt;3&gt;" in second and "Dataset &lt;4&gt;" not in second
    assert "Older datasets" not in second


def test_only_ready_datasets_are_for_training(gallery: Gallery) -> None:
    keep(gallery, "running")
    dataset, job = gallery.freeze()
    assert freezing.find_ready(gallery.db, gallery.project) == []
    gallery.work(job)
    assert [each.id for each in freezing.find_ready(gallery.db, gallery.project)] == [dataset.id]
