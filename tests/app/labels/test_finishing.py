"""The mark that an image is done: an event that can be undone, and what makes the image come back."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.models import Node
from app.errors import Conflict
from app.images.models import Image
from app.labels.saving import set_done, undo
from app.queue.handing_out import claim_next
from app.versions.publishing import publish
from tests.app.labels.conftest import Bench

TokenFor = Callable[[Person], dict[str, str]]


@pytest.fixture
def root(bench: Bench, api: TestClient, token_for: TokenFor) -> str:
    api.headers.update(token_for(bench.people.ben))
    return f"/api/v1/projects/{bench.project.slug}/images"


def finish(bench: Bench, image: Image | None = None, **more: Any) -> Image:
    wanted: dict[str, Any] = {"done": True, "by": bench.people.ben} | more
    done = set_done(bench.db, bench.project, (image or bench.image).id, **wanted)
    bench.db.commit()
    return done


def shown(api: TestClient, root: str, show: str) -> list[int]:
    return [each["id"] for each in api.get(f"{root}?show={show}").json()["items"]]


def test_marks_stand_in_the_history_and_can_be_undone(bench: Bench) -> None:
    operation = uuid4()
    finish(bench, operation_id=operation)
    finish(bench, operation_id=operation)
    assert [(each.kind, each.before, each.after) for each in bench.events()] == [
        ("done", None, "done")
    ]
    with pytest.raises(Conflict, match="another action"):
        finish(bench, done=False, operation_id=operation)
    bench.db.rollback()

    taken = bench.undo()
    assert (taken.kind, taken.key, taken.state) == ("undo", None, None)
    bench.db.refresh(bench.image)
    assert (bench.image.done_at, bench.image.done_by) == (None, None)

    finish(bench)
    finish(bench, done=False, by=bench.people.ada)
    assert undo(bench.db, bench.project, bench.image.id, by=bench.people.ada).state == "done"
    bench.db.refresh(bench.image)
    assert bench.image.done_by == bench.people.ben.id
    with pytest.raises(Conflict, match="changed again"):
        undo(
            bench.db,
            bench.project,
            bench.image.id,
            by=bench.people.ben,
            event_id=bench.events()[0].id,
        )


def test_finishing_with_undecided_labels_can_be_refused(
    bench: Bench, api: TestClient, root: str
) -> None:
    bench.propose(("bright", "positive"), ("dark", "positive"))
    address = f"{root}/{bench.image.id}/done"
    refused = api.put(address, json={"done": True, "allow_undecided": False})
    assert (refused.status_code, refused.json()["undecided"]) == (409, 2)
    assert api.put(address, json={"done": True}).status_code == 200


@pytest.mark.parametrize("value", [0, 1, "true", "yes", None, 0.0])
@pytest.mark.parametrize("field", ["done", "allow_undecided"])
def test_only_booleans_are_booleans(
    bench: Bench, api: TestClient, root: str, field: str, value: object
) -> None:
    answer = api.put(f"{root}/{bench.image.id}/done", json={"done": True} | {field: value})
    assert answer.status_code == 422
    assert field in answer.json()["field"]


def test_new_proposals_open_an_image_again(bench: Bench, api: TestClient, root: str) -> None:
    bench.propose(("bright", "positive"))
    other = bench.make.image(bench.project)
    for image in (bench.image, other):
        finish(bench, image)
    later = bench.make.agent_run(bench.project, bench.version)
    bench.propose(("bright", "positive"), run=later)  # the same again is nothing new
    assert shown(api, root, "undone") == []

    bench.propose(("dark", "positive"), run=later)
    assert shown(api, root, "undone") == shown(api, root, "new") == [bench.image.id]
    assert shown(api, root, "done") == [other.id]
    kinds = [each.kind for each in bench.events()]
    assert kinds == ["propose", "done", "refresh", "propose", "reopen"]
    body = api.get(f"{root}/{bench.image.id}").json()
    assert (body["is_done"], body["is_new_since_done"]) == (False, True)

    bench.propose(("dark", "positive"), run=later)  # a killed run starts over
    finish(bench)
    assert shown(api, root, "new") == []
    assert claim_next(bench.db, bench.project, bench.people.ben) is None


def test_new_pairs_in_force_list_finished_images_again(
    bench: Bench, api: TestClient, root: str
) -> None:
    finish(bench)
    bench.nodes["bright"].positive_definition = "Said in other words."
    bench.db.commit()
    publish(bench.db, bench.project, by=bench.people.lea)
    bench.db.commit()
    assert shown(api, root, "new") == []

    tone = bench.db.get_one(Node, bench.nodes["bright"].parent_id)
    glow = {"positive_name": "Glow", "negative_name": "Dull", "positive_definition": "It glows."}
    bench.make.pair(bench.project, tone, key="glow", negative_definition="It is dull.", **glow)
    publish(bench.db, bench.project, by=bench.people.lea)
    bench.db.commit()
    # They stay done, and a dataset of finished images keeps them.
    assert shown(api, root, "new") == shown(api, root, "done") == [bench.image.id]
    assert claim_next(bench.db, bench.project, bench.people.ben) == bench.image.id
    finish(bench)
    assert shown(api, root, "new") == []
    assert [each.kind for each in bench.events()] == ["done", "done"]
    bench.undo()
    assert claim_next(bench.db, bench.project, bench.people.ben) is None
