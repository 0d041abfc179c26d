"""The labelling page without JavaScript, and what its script relies on."""

import html
import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from app.accounts.models import Person
from tests.app.labels.conftest import Bench

SignIn = Callable[[TestClient, Person], TestClient]


@pytest.fixture
def page(bench: Bench, browser: TestClient, sign_in: SignIn) -> str:
    """Ben is signed in; the address of the image's page."""
    sign_in(browser, bench.people.ben)
    return f"/projects/{bench.project.slug}/images/{bench.image.id}"


def form_of(text: str, key: str, polarity: str, state: str) -> dict[str, str]:
    """What the form of an attribute sends where its button for this state is pressed."""
    for form in re.findall(r"<form.*?</form>", text, re.DOTALL):
        fields = re.findall(r'name="(\w+)" value="([^"]*)"', form)
        given = {name: value for name, value in fields if name != "state"}
        if (given.get("key"), given.get("polarity")) == (key, polarity) and (
            "state",
            state,
        ) in fields:
            return given | {"state": state}
    raise AssertionError(f"no form sets {key} {polarity} to {state}")


def test_the_page_shows_the_labels_by_dimension(
    bench: Bench, browser: TestClient, page: str
) -> None:
    bench.propose(("bright", "positive"), measure="mean lightness", value=0.8123, threshold=0.6)
    answer = browser.get(page)
    assert answer.status_code == 200
    text = html.unescape(answer.text)
    for words in ("Light", "Tone", "High key", "mean lightness 0.812, threshold 0.6", "proposed"):
        assert words in text
    assert "How one sees the good thing." in text
    assert f"{page}/display" in text


@pytest.mark.parametrize("state", ["confirmed", "rejected"])
def test_each_decision_is_a_form_and_sending_it_twice_is_harmless(
    bench: Bench, browser: TestClient, page: str, state: str
) -> None:
    bench.propose(("bright", "positive"))
    fields = form_of(browser.get(page).text, "bright", "positive", state)
    for _ in range(2):
        answer = browser.post(f"{page}/labels", data=fields)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{page}#label-bright-positive"
    assert bench.states() == {("bright", "positive"): state}
    assert len(bench.events()) == 2


def test_adding_by_search_and_removing_it_again(
    bench: Bench, browser: TestClient, page: str
) -> None:
    fields = form_of(browser.get(f"{page}?q=circ").text, "circle", "positive", "confirmed")
    assert browser.post(f"{page}/labels", data=fields).status_code == 303
    assert bench.states() == {("circle", "positive"): "confirmed"}

    fields = form_of(browser.get(page).text, "circle", "positive", "withdrawn")
    assert browser.post(f"{page}/labels", data=fields).status_code == 303
    assert bench.states() == {}


def test_a_search_that_finds_nothing_says_so(browser: TestClient, page: str) -> None:
    assert "Nothing in the criteria holds" in browser.get(f"{page}?q=zebra").text


def test_a_stale_form_shows_both_values_and_lets_one_choose(
    bench: Bench, browser: TestClient, page: str
) -> None:
    bench.propose(("bright", "positive"))
    fields = form_of(browser.get(page).text, "bright", "positive", "rejected")
    bench.save("bright", "confirmed", by=bench.people.ada)

    refused = browser.post(f"{page}/labels", data=fields)
    assert refused.status_code == 412
    assert "Ada confirmed" in html.unescape(refused.text)
    assert bench.states() == {("bright", "positive"): "confirmed"}

    notice = refused.text[refused.text.index("You wanted") :]
    mine = form_of(notice, "bright", "positive", "rejected")
    assert browser.post(f"{page}/labels", data=mine).status_code == 303
    assert bench.states() == {("bright", "positive"): "rejected"}


def test_undo_and_undo_from_the_history(bench: Bench, browser: TestClient, page: str) -> None:
    bench.propose(("bright", "positive"), ("dark", "positive"))
    first = bench.save("bright", "confirmed")
    bench.save("dark", "confirmed")
    answer = browser.post(f"{page}/labels/undo", data={"operation_id": str(uuid4())})
    assert answer.headers["location"] == f"{page}#label-dark-positive"

    history = browser.get(f"{page}/history")
    assert "High key" in history.text
    assert f'value="{first.event_id}"' in history.text
    named = {"operation_id": str(uuid4()), "event_id": str(first.event_id)}
    assert browser.post(f"{page}/labels/undo", data=named).status_code == 303
    assert set(bench.states().values()) == {"proposed"}
    assert browser.post(f"{page}/labels/undo", data=named).status_code == 303  # the same again
    nothing = browser.post(f"{page}/labels/undo", data={"operation_id": str(uuid4())})
    assert nothing.status_code == 409


def test_history_comes_in_pages_and_as_a_fragment(
    bench: Bench, htmx: TestClient, sign_in: SignIn, page: str
) -> None:
    for _ in range(26):
        bench.save("bright", "confirmed")
        bench.undo()
    sign_in(htmx, bench.people.ben)
    first = htmx.get(f"{page}/history")
    assert "<html" not in first.text
    assert first.text.count("<time") == 50
    (before,) = set(re.findall(r"history\?before=(\d+)", first.text))
    rest = htmx.get(f"{page}/history?before={before}")
    assert rest.text.count("<time") == 2
    assert "before=" not in rest.text


def test_done_goes_to_the_next_undone_image(bench: Bench, browser: TestClient, page: str) -> None:
    other = bench.make.image(bench.project)
    answer = browser.post(f"{page}/done", data={"done": "true"})
    assert answer.headers["location"].endswith(f"/images/{other.id}")
    bench.db.refresh(bench.image)
    assert bench.image.done_by == bench.people.ben.id
    assert "Open again" in browser.get(page).text

    assert browser.post(f"{page}/done", data={"done": "false"}).headers["location"] == page
    bench.db.refresh(bench.image)
    assert bench.image.done_at is None


def test_hiding_suggestions_is_remembered_and_recorded(
    bench: Bench, browser: TestClient, page: str
) -> None:
    bench.propose(("bright", "positive"))
    assert "High key" not in browser.get(f"{page}?suggestions=hide").text
    text = browser.get(f"{page}?q=High").text  # the cookie holds
    assert 'data-hide="true"' in text
    fields = form_of(text, "bright", "positive", "confirmed")
    browser.post(f"{page}/labels", data=fields)
    assert bench.events()[-1].suggestion_visible is False
    assert 'data-hide="false"' in browser.get(f"{page}?suggestions=show").text


def test_contradictions_stand_at_their_labels(bench: Bench, browser: TestClient, page: str) -> None:
    bench.propose(("bright", "positive"), ("bright", "negative"))
    text = html.unescape(browser.get(page).text)
    assert text.count("“High key” and “Washed out” cannot both hold.") == 2
    assert "<b>1</b> contradicting" in text


def test_what_people_wrote_is_shown_as_text(bench: Bench, browser: TestClient, page: str) -> None:
    bench.nodes["bright"].positive_name = "<script>alert(1)</script>"
    bench.image.prompt = '"><img src=x onerror=alert(1)>'
    bench.db.commit()
    bench.version = bench.make.version(bench.project)
    bench.propose(("bright", "positive"))
    text = browser.get(page).text
    assert "<script>alert" not in text
    assert "<img src=x" not in text


def test_without_a_version_the_page_says_what_to_do(
    bench: Bench, browser: TestClient, sign_in: SignIn
) -> None:
    project = bench.make.project("new")
    image = bench.make.image(project)
    sign_in(browser, bench.make.member(project, "annotator"))
    answer = browser.get(f"/projects/new/images/{image.id}")
    assert answer.status_code == 200
    assert "No criteria yet" in answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"operation_id": "no-uuid"},
        {"state": "proposed"},
        {"polarity": "both"},
        {"based_on": "-1"},
        {"based_on": "soon"},
        {"key": "nothing-like-this"},
        {"more": "1"},
    ],
)
def test_a_form_that_makes_no_sense_is_refused(
    bench: Bench, browser: TestClient, page: str, change: dict[str, str]
) -> None:
    fields = {
        "key": "bright",
        "polarity": "positive",
        "state": "confirmed",
        "based_on": "0",
        "operation_id": str(uuid4()),
    }
    assert browser.post(f"{page}/labels", data=fields | change).status_code == 422
    assert bench.states() == {}


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("get", ""),
        ("get", "/history"),
        ("post", "/labels"),
        ("post", "/labels/undo"),
        ("post", "/done"),
    ],
)
def test_outsiders_find_nothing(
    bench: Bench, browser: TestClient, sign_in: SignIn, method: str, rest: str
) -> None:
    page = f"/projects/{bench.project.slug}/images/{bench.image.id}{rest}"
    assert getattr(browser, method)(page).status_code == 303  # to the sign-in page
    sign_in(browser, bench.people.dora)
    assert getattr(browser, method)(page).status_code == 404


def test_an_image_is_only_found_in_its_own_project(
    bench: Bench, browser: TestClient, page: str
) -> None:
    elsewhere = bench.make.image(bench.make.project("other"))
    for image_id in (elsewhere.id, 10**6, 2**70):
        answer = browser.get(f"/projects/{bench.project.slug}/images/{image_id}")
        assert answer.status_code == 404
