"""A label that somebody looked at and could not decide: evidence for nothing, and work for another person."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.labels.access import COOKIE
from app.labels.saving import set_done
from tests.app.labels.conftest import Bench

TokenFor = Callable[[Person], dict[str, str]]
SignIn = Callable[[TestClient, Person], TestClient]


def read(api: TestClient, bench: Bench) -> Any:
    return api.get(f"/api/v1/projects/{bench.project.slug}/images/{bench.image.id}/labels").json()


@pytest.fixture
def unsure(bench: Bench, api: TestClient, token_for: TokenFor) -> Bench:
    """Both sides of an opposed pair; of the negative one Ben is not sure."""
    api.headers.update(token_for(bench.people.ben))
    bench.propose(("bright", "positive"), ("bright", "negative"))
    bench.save("bright", "confirmed")
    bench.save("bright", "unsure", "negative")
    return bench


def test_it_is_evidence_for_nothing_and_stays(unsure: Bench, api: TestClient) -> None:
    found = read(api, unsure)
    assert (found["A_pos"], found["A_neg"], found["contradictions"]) == (["High key"], [], [])
    label = next(each for each in found["labels"] if each["polarity"] == "negative")
    assert (label["state"], label["decided_by"]) == ("unsure", "Ben")

    later = unsure.make.agent_run(unsure.project, unsure.version)
    assert unsure.propose(("bright", "negative"), run=later) == 0
    assert unsure.states()["bright", "negative"] == "unsure"
    assert unsure.undo().state == "proposed"


def test_one_may_add_what_one_is_unsure_of_and_remove_it(bench: Bench) -> None:
    added = bench.save("circle", "unsure")
    assert (added.kind, added.before, added.state) == ("add", None, "unsure")
    assert bench.save("circle", "withdrawn").state is None


def test_it_waits_for_another_person(unsure: Bench, browser: TestClient, sign_in: SignIn) -> None:
    people, root = unsure.people, f"/projects/{unsure.project.slug}/images"
    elsewhere = unsure.make.image(unsure.project)
    set_done(unsure.db, unsure.project, unsure.image.id, done=True, by=people.ben)
    unsure.db.commit()

    def listed() -> list[int]:
        found = browser.get(f"/api/v1{root}?show=unsure").json()["items"]
        return [each["id"] for each in found]

    def led_to(person: Person) -> bool:
        unsure.db.execute(text("DELETE FROM image_lease"))  # whoever was there has left
        unsure.db.commit()
        sign_in(browser, person)
        page = browser.get(f"{root}/{elsewhere.id}?show=unsure").text
        return f'data-undone="{root}/{unsure.image.id}?show=unsure' in page.replace("&amp;", "&")

    assert [led_to(people.ben), led_to(people.ada)] == [False, True]
    assert listed() == [unsure.image.id]
    unsure.save("bright", "unsure", "negative", by=people.ada)  # nor can Ada tell
    assert [led_to(people.ada), led_to(people.lea)] == [False, True]
    unsure.save("bright", "rejected", "negative", by=people.lea)
    assert led_to(people.lea) is False
    assert listed() == []


def test_of_what_an_agent_proposes_it_is_hidden_with_the_suggestions(
    unsure: Bench, browser: TestClient, sign_in: SignIn
) -> None:
    unsure.save("bright", "rejected", "negative")  # by Ben, who was unsure before
    unsure.save("circle", "unsure", by=unsure.people.ada)
    sign_in(browser, unsure.people.lea)
    browser.cookies.set(COOKIE, "hide")
    page = f"/projects/{unsure.project.slug}/images/{unsure.image.id}"
    shown, history = browser.get(page).text, browser.get(f"{page}/history").text
    assert "Circular composition" in shown  # Ada's own addition
    assert 'data-name="Washed out"' not in shown
    assert "Washed out" not in history
    assert (
        browser.get(f"/api/v1/projects/{unsure.project.slug}/images?show=unsure").status_code == 422
    )


def test_a_retry_is_the_same_action(unsure: Bench) -> None:
    operation = uuid4()
    first = unsure.save("dark", "unsure", operation_id=operation)
    assert unsure.save("dark", "unsure", operation_id=operation, based_on=0) == first
