"""Taking back what one just did: across images, newest first, never older than the sitting."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from app.accounts.models import Person
from tests.app.labels.conftest import Bench

TokenFor = Callable[[Person], dict[str, str]]


class Hands:
    """One person at one browser: what they do, and what `u` takes back."""

    def __init__(self, api: TestClient, root: str) -> None:
        self.api, self.root, self.sitting = api, root, uuid4()

    def label(self, image_id: int, key: str, state: str = "confirmed", **more: Any) -> UUID:
        operation = uuid4()
        base = self.api.get(f"{self.root}/images/{image_id}/labels").json()["revision"]
        body = {
            "state": state,
            "based_on": base,
            "operation_id": str(operation),
            "sitting": str(self.sitting),
        }
        address = f"{self.root}/images/{image_id}/labels/{key}/positive"
        assert self.api.put(address, json=body, **more).status_code == 200
        return operation

    def finish(self, image_id: int) -> None:
        body = {"done": True, "operation_id": str(uuid4()), "sitting": str(self.sitting)}
        address = f"{self.root}/images/{image_id}/done"
        assert self.api.put(address, json=body).json()["done"] is True

    def take_back(self, **more: Any) -> Any:
        body = {"operation_id": str(uuid4()), "sitting": str(self.sitting)} | more
        return self.api.post(f"{self.root}/labels/undo", json=body)


@pytest.fixture
def hands(bench: Bench, api: TestClient, token_for: TokenFor) -> Hands:
    api.headers.update(token_for(bench.people.ben))
    return Hands(api, f"/api/v1/projects/{bench.project.slug}")


def test_it_goes_back_over_images_and_marks_newest_first(bench: Bench, hands: Hands) -> None:
    first, second = bench.image.id, bench.make.image(bench.project).id
    hands.label(first, "bright")
    hands.finish(first)
    hands.label(second, "dark")
    taken = [hands.take_back().json() for _ in range(3)]
    assert [(each["image_id"], each["key"], each["state"]) for each in taken] == [
        (second, "dark", None),
        (first, None, None),
        (first, "bright", None),
    ]
    assert hands.take_back().status_code == 409
    assert hands.api.get(f"{hands.root}/images/{first}").json()["is_done"] is False


def test_it_reaches_no_further_than_the_sitting(bench: Bench, hands: Hands) -> None:
    hands.label(bench.image.id, "bright")
    hands.sitting = uuid4()
    assert hands.take_back().status_code == 409
    hands.label(bench.image.id, "dark")
    assert hands.take_back().json()["key"] == "dark"
    assert hands.take_back().status_code == 409
    assert bench.states() == {("bright", "positive"): "confirmed"}


def test_what_is_hours_old_stays(bench: Bench, hands: Hands) -> None:
    operation = hands.label(bench.image.id, "bright")
    # The history does not change; the test turns its clock back with the trigger off.
    bench.db.execute(text("ALTER TABLE label_event DISABLE TRIGGER USER"))
    bench.db.execute(text("UPDATE label_event SET at = at - interval '9 hours'"))
    bench.db.execute(text("ALTER TABLE label_event ENABLE TRIGGER USER"))
    bench.db.commit()
    assert hands.take_back().status_code == 409
    # Named, it may still be undone.
    assert hands.take_back(undoes=str(operation), sitting=None).json()["state"] is None


def test_the_same_request_again_takes_back_nothing_more(bench: Bench, hands: Hands) -> None:
    hands.label(bench.image.id, "bright")
    hands.label(bench.image.id, "dark")
    operation = str(uuid4())
    one, two = (hands.take_back(operation_id=operation).json() for _ in range(2))
    assert one == two
    assert bench.states() == {("bright", "positive"): "confirmed"}


def test_what_somebody_else_changed_since_is_passed_over(
    bench: Bench, hands: Hands, token_for: TokenFor
) -> None:
    bench.propose(("dark", "positive"))
    hands.label(bench.image.id, "bright")
    hands.label(bench.image.id, "dark")
    ada = Hands(hands.api, hands.root)
    ada.label(bench.image.id, "dark", "rejected", headers=token_for(bench.people.ada))
    assert hands.take_back().json()["key"] == "bright"
    assert hands.take_back().status_code == 409
    assert bench.states() == {("dark", "positive"): "rejected"}


def test_what_somebody_else_changed_and_took_back_is_one_s_own_again(
    bench: Bench, hands: Hands, token_for: TokenFor
) -> None:
    hands.label(bench.image.id, "bright")
    as_ada: Any = {"headers": token_for(bench.people.ada)}
    ada = Hands(hands.api, hands.root)
    ada.label(bench.image.id, "bright", "rejected", **as_ada)
    body = {"operation_id": str(uuid4()), "sitting": str(ada.sitting)}
    assert hands.api.post(f"{hands.root}/labels/undo", json=body, **as_ada).status_code == 200
    assert hands.take_back().json()["state"] is None
    assert bench.states() == {}


def test_nobody_takes_back_for_others(bench: Bench, hands: Hands, token_for: TokenFor) -> None:
    operation = hands.label(bench.image.id, "bright")
    ada = token_for(bench.people.ada)
    for wish in ({"sitting": str(hands.sitting)}, {"undoes": str(operation)}):
        body = {"operation_id": str(uuid4())} | wish
        answer = hands.api.post(f"{hands.root}/labels/undo", json=body, headers=ada)
        assert answer.status_code == 409
    nameless = hands.api.post(f"{hands.root}/labels/undo", json={"operation_id": str(uuid4())})
    assert nameless.status_code == 422
    assert bench.states() == {("bright", "positive"): "confirmed"}
