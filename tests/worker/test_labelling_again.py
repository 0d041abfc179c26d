"""Labelling again what a publication touched: these pairs in these images, and nothing else."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.agents.again import launch_again
from app.agents.models import AgentRun, AgentRunImage
from app.agents.sides import side_of
from app.commands import agents as commands
from app.criteria.editing import add_pair
from app.criteria.merging import NewPair, split
from app.criteria.reading import get_node
from app.criteria.retiring import restore, retire
from app.errors import Conflict, Invalid
from app.images.removing import set_aside
from app.jobs.models import Job
from app.jobs.queueing import request_cancel
from app.labels.models import Label
from app.versions.publishing import publish
from taxonomy.tree import Attribute
from tests.app.datasets.gallery import BLUE, Gallery, open_gallery
from tests.factories import Make
from tests.worker.agents.vlm.scripted import Server, everything, set_up, state

PAGE, API = "/projects/paintings/agent", "/api/v1/projects/paintings/agent-runs"


@pytest.fixture
def gallery(db: Session, make: Make, own_storage: None) -> Gallery:
    """Two red pictures and a blue one."""
    gallery = open_gallery(db, make)
    gallery.hang_many(2)
    gallery.hang_many(1, BLUE)
    return gallery


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = set_up(monkeypatch)
    yield server
    server.close()


def label_all(gallery: Gallery, agent: str = "measured") -> AgentRun:
    run, job = gallery.launch(agent)
    gallery.work(job)
    return run


def change(gallery: Gallery, key: str, edit: Any, **more: Any) -> None:
    """Edit a node and publish."""
    revision = get_node(gallery.db, gallery.project, key).revision
    edit(gallery.db, gallery.project, key, based_on=revision, by=gallery.people.ada, **more)
    publish(gallery.db, gallery.project, by=gallery.people.lea)
    gallery.db.commit()


def split_warm(gallery: Gallery) -> None:
    into = [NewPair("opposed", Attribute(f"{each} warmth"), Attribute(f"No {each} warmth")) for each in ("Glowing", "Dry")]  # fmt: skip
    change(gallery, "warm-dominance", split, into=into)


def again(gallery: Gallery, run: AgentRun) -> AgentRun:
    found = launch_again(gallery.db, gallery.project, run.id, by=gallery.people.lea)
    gallery.db.commit()
    gallery.work(gallery.db.get_one(Job, found.job_id))
    return found


def found_by(gallery: Gallery, run: AgentRun) -> dict[int, set[tuple[str, str]]]:
    """Which sides a run found in each image that it looked at."""
    keys = {node.id: key for key, node in gallery.nodes.items()}
    rows = gallery.db.scalars(select(AgentRunImage).where(AgentRunImage.agent_run_id == run.id))
    return {
        row.image_id: {
            (keys.get(side[0], "new"), side[1]) for side in map(side_of, row.found or ())
        }
        for row in rows
    }


def test_what_came_back_into_use_is_looked_for_and_nothing_else(gallery: Gallery) -> None:
    change(gallery, "warm-dominance", retire)
    first = label_all(gallery)
    found = found_by(gallery, first)
    assert all(("warm-dominance", "positive") not in each for each in found.values())
    assert any(found.values())
    change(gallery, "warm-dominance", restore)
    late = gallery.hang_many(1)[0]
    second = again(gallery, first)
    found = found_by(gallery, second)
    # Not the image that came in later: nobody has labelled it yet.
    assert late.id not in found
    assert found == {
        **{each.id: {("warm-dominance", "positive")} for each in gallery.images[:2]},
        gallery.images[2].id: set(),
    }
    new = [each for each in gallery.labels() if each.agent_run_id == second.id]
    assert {each.node_id for each in new} == {gallery.nodes["warm-dominance"].id}
    assert {abs(each) for each in second.decides or ()} == {gallery.nodes["warm-dominance"].id}
    assert second.config["again"]["since"] == 2


def test_what_people_decided_stays_and_is_told_as_found_all_the_same(gallery: Gallery) -> None:
    first = label_all(gallery)
    red = gallery.images[0]
    gallery.decide(red, "warm-dominance", state="rejected")
    change(gallery, "warm-dominance", retire)
    middle = label_all(gallery)
    change(gallery, "warm-dominance", restore)
    second = again(gallery, middle)
    label = gallery.db.scalars(
        select(Label).where(
            Label.image_id == red.id, Label.node_id == gallery.nodes["warm-dominance"].id
        )
    ).one()
    assert (label.state, label.agent_run_id) == ("rejected", first.id)
    assert found_by(gallery, second)[red.id] == {("warm-dominance", "positive")}


def test_a_split_is_asked_where_the_old_pair_had_labels_and_only_its_branch(
    gallery: Gallery, server: Server
) -> None:
    def answer(asked: Any) -> Any:
        if asked.step != "quantify":
            return everything(asked)
        shown = asked.body["messages"][1]["content"][0]["image_url"]["url"]
        seen.setdefault(shown, len(seen))
        keys = [key for key in asked.keys if key != "warm-dominance" or seen[shown] == 0]
        return {"attributes": [state(key) for key in keys]}

    seen: dict[str, int] = {}
    server.answer = answer
    first = label_all(gallery, "vlm")
    split_warm(gallery)
    server.asked.clear()
    second = again(gallery, first)
    assert (second.images, second.labels, second.problems) == (1, 2, 0)
    asked = {key for each in server.asked if each.step == "quantify" for key in each.keys}
    assert asked == {"glowing-warmth", "dry-warmth"}
    roots = next(each.keys for each in server.asked if each.step == "deconstruct")
    assert roots == ["color-relationship"]
    labels = [each for each in gallery.labels() if each.agent_run_id == second.id]
    assert {each.source for each in labels} == {"agent"}
    assert len({each.image_id for each in labels}) == 1


def test_it_says_before_what_it_takes(
    gallery: Gallery, server: Server, api: TestClient, token_for: Any
) -> None:
    first = label_all(gallery, "vlm")
    set_aside(
        gallery.db, gallery.project, gallery.images[2].id, reason="Blurred", by=gallery.people.lea
    )
    gallery.db.commit()
    change(gallery, "color-relationship", lambda db, project, key, **how: add_pair(
        db, project, parent=key, relation="opposed", positive=Attribute("Pure"), negative=Attribute("Muddy"), by=how["by"]
    ))  # fmt: skip
    headers = token_for(gallery.people.lea)
    told = api.get(f"{API}/{first.id}/again", headers=headers).json()
    assert (told["since"], told["criteria_version"], told["images"]) == (1, 2, 2)
    assert [(each["positive"], each["why"], each["images"]) for each in told["pairs"]] == [
        ("Pure", "new", 2)
    ]
    assert told["share"] == pytest.approx(1 / 5)
    assert told["most"]["tokens_in"] == round(first.tokens_in * 2 / 3)
    assert told["least"]["tokens_in"] == round(first.tokens_in * 2 / 3 / 5)
    # Three pictures with two questions each; at least one question for each.
    assert (told["least"]["requests"], told["most"]["requests"]) == (2, 4)
    assert told["most"]["cost"] == pytest.approx(float(first.cost) * 2 / 3)
    made = api.post(f"{API}/{first.id}/again", json={"budget_tokens": 5000}, headers=headers)
    assert made.status_code == 202
    assert made.json()["restricted"] == {"run": first.id, "since": 1, "pairs": 1}
    assert made.json()["budget_tokens"] == 5000


def test_a_run_goes_on_from_one_that_was_restricted_itself(gallery: Gallery) -> None:
    first = label_all(gallery)
    change(gallery, "warm-dominance", retire)
    change(gallery, "cool-dominance", retire)
    middle = label_all(gallery)
    change(gallery, "warm-dominance", restore)
    second = again(gallery, middle)
    change(gallery, "cool-dominance", restore)
    third = again(gallery, second)
    assert third.config["again"] | {"asked": ()} == {
        "run": second.id, "root": middle.id, "since": 4, "asked": (),
    }  # fmt: skip
    assert {key for sides in found_by(gallery, third).values() for key, _ in sides} == {
        "cool-dominance"
    }
    assert third.images == 3
    with pytest.raises(Invalid, match="asks nothing that run"):
        launch_again(gallery.db, gallery.project, third.id, by=None)
    # From the first run both are as they were.
    with pytest.raises(Invalid, match="asks nothing that run"):
        launch_again(gallery.db, gallery.project, first.id, by=None)


def test_a_run_that_is_not_over_cannot_be_gone_on_from(gallery: Gallery) -> None:
    change(gallery, "warm-dominance", retire)
    first, job = gallery.launch()
    change(gallery, "warm-dominance", restore)
    with pytest.raises(Conflict, match="has not come to its end"):
        launch_again(gallery.db, gallery.project, first.id, by=None)
    gallery.work(job)
    # It ran under both versions: nobody was looked at under the first.
    with pytest.raises(Invalid, match="No image is concerned"):
        launch_again(gallery.db, gallery.project, first.id, by=None)


def test_one_that_broke_off_has_to_be_resumed_first(gallery: Gallery) -> None:
    change(gallery, "warm-dominance", retire)
    first = label_all(gallery)
    change(gallery, "warm-dominance", restore)
    second = launch_again(gallery.db, gallery.project, first.id, by=None)
    request_cancel(gallery.db, gallery.project, second.job_id or 0)
    change(gallery, "warm-dominance", retire)
    with pytest.raises(Conflict, match="has not come to its end"):
        launch_again(gallery.db, gallery.project, second.id, by=None)


def test_the_page_offers_it_shows_it_and_launches_it(
    gallery: Gallery, browser: TestClient, sign_in: Any
) -> None:
    change(gallery, "warm-dominance", retire)
    first = label_all(gallery)
    lead = sign_in(browser, gallery.people.lea)
    before = lead.get(PAGE)
    assert before.status_code == 200 and "Label again" not in before.text
    change(gallery, "warm-dominance", restore)
    page = lead.get(PAGE).text
    assert f'href="{PAGE}/{first.id}/again"' in page
    assert "Label again what version 3 touched" in page
    assert f'href="{PAGE}/{first.id}/again"' in lead.get(f"{PAGE}/{first.id}").text
    shown = lead.get(f"{PAGE}/{first.id}/again").text
    assert "1 attribute pair, changed between versions 2 and 3" in shown
    assert "in use again" in shown
    assert "Label 3 images again" in shown
    answer = lead.post(f"{PAGE}/{first.id}/again", data={})
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    run = gallery.db.scalars(select(AgentRun).order_by(AgentRun.id.desc())).first()
    assert run is not None and run.config["again"]["run"] == first.id
    assert "only what changed since v2" in lead.get(PAGE).text
    restricted = lead.get(f"{PAGE}/{run.id}").text
    assert "This run is restricted" in restricted
    assert "Warm dominance / Warm monotony" in restricted


def test_only_leads_may(gallery: Gallery, api: TestClient, token_for: Any) -> None:
    first = label_all(gallery)
    for send in (api.get, lambda at, **how: api.post(at, json={}, **how)):
        answer = send(f"{API}/{first.id}/again", headers=token_for(gallery.people.ben))
        assert answer.status_code == 403
    nothing = api.get(f"{API}/{first.id}/again", headers=token_for(gallery.people.lea))
    assert nothing.status_code == 422
    assert "asks nothing that run" in nothing.json()["detail"]


def test_an_ensemble_is_made_anew_and_what_was_kept_quiet_stays_so(gallery: Gallery) -> None:
    change(gallery, "warm-dominance", retire)
    run, job = gallery.launch("measured", quiet=True)
    gallery.work(job)
    change(gallery, "warm-dominance", restore)
    second = again(gallery, run)
    assert any(found_by(gallery, second).values())
    assert gallery.labels() == []
    made = gallery.make.agent_run(
        gallery.project,
        gallery.version,
        agent="ensemble",
        job_id=gallery.make.job(gallery.project).id,
    )
    with pytest.raises(Conflict, match="looks at no image itself"):
        launch_again(gallery.db, gallery.project, made.id, by=None)


def test_by_the_command_line(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change(gallery, "warm-dominance", retire)
    first = label_all(gallery)
    change(gallery, "warm-dominance", restore)
    monkeypatch.setattr(commands, "database", nullcontext)
    monkeypatch.setattr(commands, "finish_job", None)
    commands.label_again("paintings", first.id, only_tell=True)
    told = capsys.readouterr().out
    assert "warm-dominance: restored, in up to 3 images" in told
    assert "1 pair that changed from version 2 to 3, in up to 3 images, by measured" in told
    assert "tokens" not in told

    def finish(job_id: int) -> dict[str, object]:
        gallery.work(gallery.db.get_one(Job, job_id))
        return {"state": "succeeded", "result": {"images": 3}, "error": None}

    monkeypatch.setattr(commands, "finish_job", finish)
    commands.label_again("paintings", first.id)
    assert "succeeded: {'images': 3}" in capsys.readouterr().out
    second = gallery.db.scalars(select(AgentRun).order_by(AgentRun.id.desc())).first()
    assert second is not None and (second.images, second.config["again"]["run"]) == (3, first.id)
