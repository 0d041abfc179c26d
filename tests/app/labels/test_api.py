"""Labels as JSON."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from app.accounts.models import Person
from tests.app.labels.conftest import Bench

TokenFor = Callable[[Person], dict[str, str]]


@pytest.fixture
def root(bench: Bench, api: TestClient, token_for: TokenFor) -> str:
    """Ben's program; the address of the image."""
    api.headers.update(token_for(bench.people.ben))
    return f"/api/v1/projects/{bench.project.slug}/images/{bench.image.id}"


def action(**more: Any) -> dict[str, Any]:
    return {"state": "confirmed", "based_on": 0, "operation_id": str(uuid4())} | more


def test_labels_come_with_revision_and_both_sets(bench: Bench, api: TestClient, root: str) -> None:
    bench.propose(("bright", "positive"), ("dark", "negative"), measure="m", value=0.5)
    bench.save("bright", "confirmed")
    bench.save("circle", "confirmed", "negative")
    body = api.get(f"{root}/labels").json()

    assert (body["image_id"], body["revision"], body["done"]) == (bench.image.id, 3, False)
    assert (body["A_pos"], body["A_neg"]) == (["High key"], ["Closed circle"])
    assert [(each["key"], each["polarity"], each["state"]) for each in body["labels"]] == [
        ("bright", "positive", "confirmed"),
        ("dark", "negative", "proposed"),
        ("circle", "negative", "confirmed"),
    ]
    assert (body["labels"][1]["measure"], body["labels"][1]["value"]) == ("m", 0.5)
    assert [each["kind"] for each in body["contradictions"]] == ["flaw"]


def test_every_action_and_its_answer(bench: Bench, api: TestClient, root: str) -> None:
    bench.propose(("bright", "positive"))
    address = f"{root}/labels/bright/positive"
    confirmed = api.put(address, json=action(based_on=1, suggestion_visible=False))
    assert confirmed.status_code == 200
    assert confirmed.json() == {
        "key": "bright",
        "polarity": "positive",
        "event_id": bench.events()[-1].id,
        "kind": "confirm",
        "trait": None,
        "before": "proposed",
        "state": "confirmed",
        "revision": 2,
        "contradictions": [],
    }
    assert api.put(address, json=action(state="rejected", based_on=2)).json()["revision"] == 3
    added = api.put(f"{root}/labels/circle/negative", json=action()).json()
    assert (added["kind"], added["before"]) == ("add", None)
    assert [each["kind"] for each in added["contradictions"]] == ["flaw"]
    gone = api.put(
        f"{root}/labels/circle/negative", json=action(state="withdrawn", based_on=4)
    ).json()
    assert (gone["state"], gone["contradictions"]) == (None, [])


def test_a_retry_is_harmless(bench: Bench, api: TestClient, root: str) -> None:
    body = action()
    one, two = (api.put(f"{root}/labels/bright/positive", json=body) for _ in range(2))
    assert one.json() == two.json()
    assert len(bench.events()) == 1


def test_stale_is_412_with_both_values(bench: Bench, api: TestClient, root: str) -> None:
    bench.propose(("bright", "positive"))
    bench.save("bright", "confirmed", by=bench.people.ada)
    refused = api.put(f"{root}/labels/bright/positive", json=action(state="rejected", based_on=1))
    assert refused.status_code == 412
    assert refused.headers["content-type"] == "application/problem+json"
    body = refused.json()
    assert body["yours"] == {"state": "rejected"}
    assert (body["theirs"]["state"], body["theirs"]["by"]) == ("confirmed", "Ada")
    assert body["revision"] == 2
    again = api.put(
        f"{root}/labels/bright/positive", json=action(state="rejected", based_on=body["revision"])
    )
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("address", "body", "status"),
    [
        ("no-such/positive", {}, 422),
        ("tone/positive", {}, 422),
        ("bright/both", {}, 422),
        ("bright/positive", {"state": "proposed"}, 422),
        ("bright/positive", {"state": "rejected"}, 422),
        ("bright/positive", {"based_on": 7}, 422),
        ("bright/positive", {"operation_id": "x"}, 422),
        ("bright/positive", {"unknown": 1}, 422),
        ("bright%00/positive", {}, 422),
        ("bright/positive", {"state": "withdrawn"}, 422),
    ],
)
def test_what_makes_no_sense_is_refused(
    bench: Bench, api: TestClient, root: str, address: str, body: dict[str, Any], status: int
) -> None:
    answer = api.put(f"{root}/labels/{address}", json=action(**body))
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert bench.revision() == 0


def test_undo_is_safe_to_repeat(bench: Bench, api: TestClient, root: str) -> None:
    bench.save("bright", "confirmed")
    bench.save("dark", "confirmed")
    body = {"operation_id": str(uuid4())}
    one, two = (api.post(f"{root}/labels/undo", json=body) for _ in range(2))
    assert one.status_code == 200
    assert one.json() == two.json()
    assert bench.states() == {("bright", "positive"): "confirmed"}
    other = {"operation_id": str(uuid4()), "event_id": bench.events()[0].id}
    assert api.post(f"{root}/labels/undo", json=other).json()["state"] is None


def test_history_by_cursor(bench: Bench, api: TestClient, root: str) -> None:
    bench.propose(("bright", "positive"))
    bench.save("bright", "confirmed")
    bench.save("dark", "confirmed", by=bench.people.ada)
    first = api.get(f"{root}/history?limit=2").json()
    rest = api.get(f"{root}/history?limit=2&before={first['next']}").json()
    assert [each["person"] for each in first["items"] + rest["items"]] == ["Ada", "Ben", None]
    assert rest["next"] is None
    assert api.get(f"{root}/history?limit=0").status_code == 422


def test_done(bench: Bench, api: TestClient, root: str) -> None:
    assert api.put(f"{root}/done", json={"done": True}).json()["done"] is True
    assert api.get(f"{root}/labels").json()["done"] is True
    assert api.put(f"{root}/done", json={"done": False}).json() == {"done": False, "done_at": None}


def test_attributes_may_be_kept_where_the_version_is_named(
    bench: Bench, api: TestClient, root: str
) -> None:
    address = f"/api/v1/projects/{bench.project.slug}/labels/attributes"
    named, other = api.get(f"{address}?version=1"), api.get(f"{address}?version=9")
    assert "private" in named.headers["cache-control"]
    assert other.headers["cache-control"] == "no-store"
    items = named.json()["items"]
    assert [(each["key"], each["polarity"]) for each in items][:2] == [
        ("bright", "positive"),
        ("bright", "negative"),
    ]
    assert items[0]["path"] == ["Light", "Tone"]
    assert items[0]["exclusive"] is True
    assert len(items) == 6


def test_the_pages_script_signs_in_by_its_cookie(
    bench: Bench, browser: TestClient, sign_in: Callable[[TestClient, Person], TestClient]
) -> None:
    address = (
        f"/api/v1/projects/{bench.project.slug}/images/{bench.image.id}/labels/bright/positive"
    )
    assert browser.put(address, json=action()).status_code == 401
    sign_in(browser, bench.people.ben)
    assert browser.put(address, json=action()).status_code == 200
    from_elsewhere = {"Sec-Fetch-Site": "cross-site"}
    refused = browser.put(address, json=action(based_on=1), headers=from_elsewhere)
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("GET", "/labels", None),
        ("PUT", "/labels/bright/positive", action()),
        ("POST", "/labels/undo", {"operation_id": str(uuid4())}),
        ("GET", "/history", None),
        ("PUT", "/done", {"done": True}),
    ],
)
def test_outsiders_find_nothing(
    bench: Bench,
    api: TestClient,
    root: str,
    token_for: TokenFor,
    method: str,
    rest: str,
    body: dict[str, Any] | None,
) -> None:
    dora = token_for(bench.people.dora)
    assert api.request(method, root + rest, json=body, headers=dora).status_code == 404
    # Nor through a project of one's own.
    own = root.replace(f"/{bench.project.slug}/", "/elsewhere/") + rest
    assert api.request(method, own, json=body, headers=dora).status_code == 404
    assert bench.revision() == 0
