"""Bulk actions through pages, API and command."""

import json
import sys
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from app import cli
from app.accounts.models import Person
from app.labels.export_formats import FORMATS
from app.labels.showing import was_shown
from tests.app.bulk.conftest import Many

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]


def test_a_lead_looks_changes_and_takes_back_in_the_browser(
    many: Many, browser: TestClient, sign_in: SignIn
) -> None:
    sign_in(browser, many.bench.people.lea)
    many.propose(0, 1, 2)
    many.save(2, "bright", "rejected")
    root = "/projects/paintings/bulk"
    wall = browser.get("/projects/paintings/images?key=bright&state=proposed").text
    assert "Change all of these" in wall
    assert "Nothing yet" in browser.get(root).text
    form = browser.get(f"{root}/new?query=key%3Dbright%26state%3Dproposed").text
    assert "Change 2 images of a filter" in form and "bright/positive" in form
    sent = browser.post(root, data={"kind": "confirm", "attribute": "", "query": "key=bright"})
    assert sent.status_code == 422 and "Choose an attribute" in sent.text
    sent = browser.post(
        root, data={"kind": "confirm", "attribute": "bright/positive", "query": "key=bright"}
    )
    here = sent.headers["location"]
    page = browser.get(here).text
    assert "Confirm + High key" in page and "Change 2 images" in page and "Kept decisions" in page
    assert many.states()[:3] == ["proposed", "proposed", "rejected"]
    assert browser.post(f"{here}/take").status_code == 303
    assert "2 images changed" in browser.get(here).text
    assert many.image(2).name in browser.get(f"{here}?which=kept").text
    history = browser.get(f"/projects/paintings/images/{many.images[0]}/history").text
    assert "in bulk" in history
    assert browser.post(f"{here}/undo").status_code == 303
    assert "2 images as before" in browser.get(here).text
    assert "taken back" in browser.get(root).text
    again = browser.post(f"{here}/again").headers["location"]
    assert again != here and "Change 2 images" in browser.get(again).text


@pytest.mark.parametrize("person", ["", "x", "²", "9" * 5_000])
def test_a_person_that_is_none_is_refused_at_the_form(
    many: Many, browser: TestClient, sign_in: SignIn, person: str
) -> None:
    sign_in(browser, many.bench.people.lea)
    data = {"kind": "assign", "person": person, "query": "show=undone"}
    assert browser.post("/projects/paintings/bulk", data=data).status_code == 422


def test_images_are_chosen_on_the_wall(many: Many, browser: TestClient, sign_in: SignIn) -> None:
    sign_in(browser, many.bench.people.lea)
    wall = browser.get("/projects/paintings/images?choose=true").text
    assert wall.count('name="image"') == 6
    nothing = browser.get("/projects/paintings/bulk/new?chosen=true")
    assert nothing.status_code == 422 and "No image is chosen" in nothing.text
    chosen = f"image={many.images[0]}&image={many.images[3]}"
    assert "Change 2 chosen images" in browser.get(f"/projects/paintings/bulk/new?{chosen}").text
    data = {"kind": "done", "image": many.images[:2]}
    here = browser.post("/projects/paintings/bulk", data=data).headers["location"]
    browser.post(f"{here}/take")
    assert [bool(many.image(at).done_at) for at in range(3)] == [True, True, False]


def test_programs_ask_take_list_and_take_back(
    many: Many, api: TestClient, token_for: TokenFor
) -> None:
    api.headers.update(token_for(many.bench.people.lea))
    root = "/api/v1/projects/paintings/bulk"
    wish = {"kind": "add", "key": "bright", "polarity": "positive", "images": many.images[:2]}
    made = api.post(root, json=wish)
    assert made.status_code == 202 and made.json()["state"] == "found"
    here = f"{root}/{made.json()['id']}"
    assert made.json()["found"]["change"] == 2
    assert api.post(f"{here}/take").json()["taken"] == {"changed": 2, "passed": 0}
    listed = api.get(f"{here}/images", params={"which": "taken", "limit": 1}).json()
    assert (listed["items"][0]["image"], listed["next"]) == (many.images[0], many.images[0])
    history = api.get(f"/api/v1/projects/paintings/images/{many.images[0]}/history").json()
    assert history["items"][0]["bulk"] == made.json()["id"]
    lines = b"".join(FORMATS["jsonl"].export(many.bench.project.id)).decode().splitlines()
    assert json.loads(lines[0])["labels"][0]["bulk"] == made.json()["id"]
    assert b",%d\r\n" % made.json()["id"] in b"".join(FORMATS["csv"].export(many.bench.project.id))
    assert api.post(f"{here}/undo").json()["state"] == "undone"
    assert api.get(root).json()["items"][0]["undone"] == {"undone": 2, "stays": 0}
    assert api.get(f"{here}/images", params={"which": "x"}).status_code == 422
    assert api.get(f"{root}/{10**6}").status_code == 404
    stale = api.post(root, json=wish).json()["id"]
    many.save(0, "circle", "confirmed")
    refused = api.post(f"{root}/{stale}/take")
    assert refused.status_code == 409 and "1 image has changed" in refused.text


def test_only_leads_who_see_suggestions_change_in_bulk(
    many: Many, api: TestClient, token_for: TokenFor, browser: TestClient, sign_in: SignIn
) -> None:
    headers = token_for(many.bench.people.ben)
    assert api.get("/api/v1/projects/paintings/bulk", headers=headers).status_code == 403
    sign_in(browser, many.bench.people.lea)
    browser.cookies.set("morelli_suggestions", "hide")
    assert browser.get("/projects/paintings/bulk").status_code == 403
    assert "Change all of these" not in browser.get("/projects/paintings/images").text


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["morelli", "labels", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_a_command_does_it_and_takes_it_back(
    many: Many, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    many.propose(0, 1)
    asked = ("bulk", "paintings", "confirm", "--attribute", "bright/positive", "--json")
    assert run(monkeypatch, *asked, "--dry-run") == 0
    assert json.loads(capsys.readouterr().out)["found"]["change"] == 2
    assert many.states()[0] == "proposed"
    many.bench.db.rollback()
    assert run(monkeypatch, *asked) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["taken"] == {"changed": 2, "passed": 0}
    assert many.states()[:2] == ["confirmed", "confirmed"]
    many.bench.db.rollback()
    assert run(monkeypatch, "undo-bulk", "paintings", str(done["bulk"])) == 0
    assert "2 images as before" in capsys.readouterr().out
    assert many.states()[:2] == ["proposed", "proposed"]
    many.bench.db.rollback()
    assert run(monkeypatch, "bulk", "paintings", "confirm", "--attribute", "none/positive") == 1


def test_who_is_listed_what_an_action_on_labels_changes_was_told_of_them(
    many: Many, api: TestClient, token_for: TokenFor
) -> None:
    lea = many.bench.people.lea
    api.headers.update(token_for(lea))
    many.propose(0)
    root = "/api/v1/projects/paintings/bulk"

    def told(at: int) -> bool:
        many.bench.db.expire_all()
        return was_shown(many.bench.db, many.image(at), lea)

    for wish, is_told in (
        ({"kind": "done"}, False),
        ({"kind": "confirm", "key": "bright", "polarity": "positive"}, True),
    ):
        made = api.post(root, json={**wish, "images": many.images[:1]}).json()
        assert not told(0)
        api.get(f"{root}/{made['id']}/images", params={"which": "change"})
        assert told(0) is is_told
    assert not told(1)
