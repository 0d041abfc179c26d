"""With suggestions hidden nothing tells of them; once they were shown, the record says so for good."""

import html
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from app.accounts.models import Person
from taxonomy.tree import Polarity
from tests.app.labels.conftest import Bench

SignIn = Callable[[TestClient, Person], TestClient]

SUGGESTED = ("High key", "Washed out", "Murky blacks", "mean lightness", "0.8123")
PROPOSALS: tuple[tuple[str, Polarity], ...] = (
    ("bright", "positive"),
    ("bright", "negative"),
    ("dark", "negative"),
)


class Eyes:
    """Ben at his browser; every answer he gets is kept."""

    def __init__(self, bench: Bench, browser: TestClient) -> None:
        self.bench, self.browser = bench, browser
        self.page = f"/projects/{bench.project.slug}/images/{bench.image.id}"
        self.answers: list[str] = []

    def ask(self, method: str, address: str, **more: Any) -> Any:
        root = self.page if method == "page" else f"/api/v1{self.page}"
        answer = self.browser.request("GET" if method == "page" else method, root + address, **more)
        self.answers.append(html.unescape(answer.text))
        return answer

    def decide(self, key: str, state: str = "confirmed", polarity: str = "positive") -> Any:
        body = {
            "state": state,
            "based_on": self.bench.revision(),
            "operation_id": str(uuid4()),
            "suggestion_visible": False,
        }
        return self.ask("PUT", f"/labels/{key}/{polarity}", json=body)

    def last(self) -> bool:
        return self.bench.events()[-1].suggestion_visible

    def told(self) -> list[str]:
        """What of the suggestions stands in any answer."""
        return [each for each in SUGGESTED if any(each in text for text in self.answers)]


@pytest.fixture
def eyes(bench: Bench, browser: TestClient, sign_in: SignIn) -> Eyes:
    bench.propose(*PROPOSALS, measure="mean lightness", value=0.8123, threshold=0.5)
    sign_in(browser, bench.people.ben)
    return Eyes(bench, browser)


def test_no_answer_tells_of_what_is_hidden(bench: Bench, eyes: Eyes) -> None:
    bench.save("dark", "rejected", "negative", by=bench.people.ada)
    eyes.ask("page", "?suggestions=hide")
    eyes.ask("page", "")
    eyes.ask("page", "/history")
    eyes.ask("GET", "/labels")
    eyes.ask("GET", "/history")
    added = eyes.decide("circle", polarity="negative").json()
    assert [each["kind"] for each in added["contradictions"]] == ["flaw"]
    eyes.ask("PUT", "/done", json={"done": True, "allow_undecided": False})
    eyes.ask("POST", "/labels/undo", json={"operation_id": str(uuid4())})
    eyes.ask("page", "/history")
    assert eyes.told() == []
    assert not any('data-source="agent"' in text for text in eyes.answers)
    assert not any("propose" in text for text in eyes.answers if text.startswith("{"))


def test_contradictions_that_block_done_are_those_one_sees(bench: Bench, eyes: Eyes) -> None:
    bench.project.options = {"contradictions_block_done": True}
    bench.db.commit()
    eyes.ask("page", "?suggestions=hide")
    assert eyes.ask("PUT", "/done", json={"done": True}).status_code == 200
    assert eyes.told() == []


def test_adding_what_an_agent_proposes_unseen_looks_like_any_adding(
    bench: Bench, eyes: Eyes
) -> None:
    eyes.ask("page", "?suggestions=hide")
    eyes.answers.clear()
    added = eyes.decide("bright").json()
    assert (added["kind"], added["before"], added["state"]) == ("add", None, "confirmed")
    assert eyes.last() is False
    row = eyes.ask("GET", "/labels").json()["labels"][0]
    assert (row["source"], row["measure"], row["agent"]) == ("person", None, None)
    assert eyes.ask("GET", "/history").json()["items"][0]["kind"] == "add"
    taken = eyes.ask("POST", "/labels/undo", json={"operation_id": str(uuid4())}).json()
    assert taken["state"] is None
    eyes.decide("bright")
    assert eyes.decide("bright", "withdrawn").json()["state"] is None
    assert eyes.decide("bright", "rejected").status_code == 422
    # What stood before stands again, for those who see it.
    assert bench.states()["bright", "positive"] == "proposed"
    assert {"mean lightness", "0.8123"}.isdisjoint(eyes.told())


@pytest.mark.parametrize(
    ("kind", "address"),
    [("page", ""), ("page", "?suggestions=show"), ("page", "/history"), ("GET", "/labels")],
)
def test_once_shown_the_record_says_so_whatever_a_browser_claims(
    bench: Bench, eyes: Eyes, kind: str, address: str
) -> None:
    eyes.ask(kind, address)
    eyes.ask("page", "?suggestions=hide")
    eyes.decide("circle")
    assert eyes.last() is True
    # For this person and this image only.
    elsewhere = bench.make.image(bench.project)
    eyes.page = f"/projects/{bench.project.slug}/images/{elsewhere.id}"
    body = {"state": "confirmed", "based_on": 0, "suggestion_visible": False}
    answer = eyes.ask("PUT", "/labels/bright/positive", json=body | {"operation_id": str(uuid4())})
    assert answer.status_code == 200
    bench.image = elsewhere
    assert eyes.last() is False


@pytest.mark.parametrize(
    ("address", "tells"),
    [
        ("/images?key=bright&polarity=positive&state=proposed", True),
        ("/images?key=tone", True),
        ("/images?key=bright&state=confirmed", False),
        ("/images?state=proposed", False),
        ("/criteria/nodes/bright/images", True),
        ("/criteria/nodes/bright/images?state=confirmed", False),
    ],
)
@pytest.mark.parametrize("root", ["", "/api/v1"])
def test_a_list_of_what_has_an_attribute_tells_what_was_suggested(
    bench: Bench, eyes: Eyes, address: str, tells: bool, root: str
) -> None:
    here = f"{root}/projects/{bench.project.slug}{address}"
    assert eyes.browser.get(here).status_code == 200
    eyes.ask("page", "?suggestions=hide")
    eyes.decide("circle")
    assert eyes.last() is tells


def test_loaded_ahead_is_not_seen_until_it_comes_into_view(bench: Bench, eyes: Eyes) -> None:
    eyes.ask("page", "", headers={"X-Morelli-Ahead": "1"})
    eyes.ask("page", "?suggestions=hide")
    eyes.decide("circle")
    assert eyes.last() is False
    assert eyes.ask("PUT", "/suggestions", json={"shown": True}).status_code == 200
    eyes.decide("bright")
    assert eyes.last() is True


def test_what_comes_later_is_blind_where_nothing_was_to_be_seen(
    bench: Bench, browser: TestClient, sign_in: SignIn
) -> None:
    sign_in(browser, bench.people.ben)
    eyes = Eyes(bench, browser)
    eyes.ask("page", "")
    eyes.ask("page", "?suggestions=hide")
    bench.propose(("bright", "positive"))
    eyes.decide("circle")
    assert eyes.last() is False


def test_a_form_cannot_claim_to_be_blind(bench: Bench, eyes: Eyes) -> None:
    eyes.ask("page", "")
    fields = {
        "key": "circle",
        "polarity": "positive",
        "state": "confirmed",
        "based_on": str(bench.revision()),
        "operation_id": str(uuid4()),
        "suggestion_visible": "false",
    }
    assert eyes.browser.post(f"{eyes.page}/labels", data=fields).status_code == 303
    assert eyes.last() is True
