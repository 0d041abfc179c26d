"""A publication of the criteria and people propose, too: suggestions as an agent's are."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.models import NodeChange
from app.errors import Conflict, NotAllowed
from app.labels.models import Carrying, Label, LabelEvent
from app.labels.reading import find_labels
from app.labels.showing import was_shown
from app.labels.undoing import undo
from tests.app.labels.conftest import Bench

SignIn = Callable[[TestClient, Person], TestClient]


NO_ATTRIBUTE = dict.fromkeys(("node_id", "polarity", "after", "version_id"))


def carrying(bench: Bench) -> Carrying:
    """That a publication split something."""
    number = bench.db.scalar(select(func.count()).select_from(NodeChange)) or 0
    change = NodeChange(project_id=bench.project.id, revision=number + 1, kind="split", after={})
    bench.db.add(change)
    bench.db.flush()
    made = Carrying(
        change_id=change.id,
        version_id=bench.version.id,
        person_id=bench.people.ada.id,
        kind="split",
    )
    bench.db.add(made)
    bench.db.flush()
    return made


def split(bench: Bench, *keys: str, source: str = "criteria") -> None:
    """Labels as a publication that split an attribute leaves them."""
    for key in keys:
        named = {
            "image_id": bench.image.id,
            "node_id": bench.nodes[key].id,
            "polarity": "positive",
            "version_id": bench.version.id,
        }
        bench.db.add(
            Label(
                project_id=bench.project.id, state="proposed", source=source, revision=1,
                evidence="“Light” was split.", **named,
            )
        )  # fmt: skip
        told: dict[str, Any] = named | {"kind": "propose", "after": "proposed"}
        who: dict[str, Any] = {"person_id": bench.people.ada.id}
        if source == "criteria":
            who = {"carrying_id": carrying(bench).id}
            told = {"kind": "split", "image_id": bench.image.id}
            told["places"] = [[named["node_id"], "positive", None, "proposed"]]
        bench.db.add(LabelEvent(image_revision=1, **told, **who))
    bench.image.label_revision = 1
    bench.db.commit()


@pytest.mark.parametrize("source", ["criteria", "person"])
def test_a_proposal_that_no_agent_made_is_decided_like_others(bench: Bench, source: str) -> None:
    split(bench, "bright", source=source)
    assert bench.save("bright", "confirmed").before == "proposed"
    with pytest.raises(NotAllowed):
        bench.save("bright", "withdrawn")
    bench.undo()
    assert bench.label("bright").state == "proposed"
    bench.save("bright", "rejected")
    label = bench.label("bright")
    assert (label.state, label.source, label.agent_run_id) == ("rejected", source, None)


@pytest.mark.parametrize("source", ["criteria", "person"])
def test_added_unseen_and_withdrawn_it_is_a_proposal_again(bench: Bench, source: str) -> None:
    split(bench, "bright", source=source)
    blind: dict[str, Any] = {"hidden": True, "suggestion_visible": False}
    assert bench.save("bright", "confirmed", **blind).kind == "add"
    assert bench.save("bright", "withdrawn", **blind).state is None
    assert bench.states() == {("bright", "positive"): "proposed"}


def test_hidden_suggestions_are_those_of_publications_too(
    bench: Bench, browser: TestClient, sign_in: SignIn
) -> None:
    split(bench, "bright", "dark")
    bench.save("dark", "rejected", by=bench.people.ada)
    hidden = find_labels(
        bench.db, bench.project, bench.image, suggestions=False, viewer_id=bench.people.ben.id
    )
    assert (hidden.rows, hidden.num_hidden) == ((), 2)
    sign_in(browser, bench.people.ben)
    browser.cookies.set("morelli_suggestions", "hide", domain="127.0.0.1")
    history = browser.get(f"/projects/paintings/images/{bench.image.id}/history")
    assert history.status_code == 200
    assert not any(word in history.text for word in ("High key", "Low key", "split"))


def test_who_was_shown_a_publications_proposal_is_on_record(
    bench: Bench, browser: TestClient, sign_in: SignIn
) -> None:
    split(bench, "bright")
    sign_in(browser, bench.people.ben)
    shown = browser.get(f"/projects/paintings/images/{bench.image.id}")
    assert "“Light” was split." in shown.text
    assert was_shown(bench.db, bench.image, bench.people.ben)


def test_an_agent_takes_over_what_a_publication_proposed_and_not_what_a_person_did(
    bench: Bench,
) -> None:
    split(bench, "bright")
    split(bench, "dark", source="person")
    assert (
        bench.propose(
            ("bright", "positive"),
            ("dark", "positive"),
            measure="m",
            value=0.3,
            evidence="Light in the sky.",
        )
        == 1
    )
    taken, left = bench.label("bright"), bench.label("dark")
    assert (taken.source, taken.agent_run_id, taken.value) == ("agent", bench.run.id, 0.3)
    assert taken.evidence == "Light in the sky."
    assert (left.source, left.agent_run_id, left.value) == ("person", None, None)
    assert bench.events()[-1].kind == "refresh"


def test_what_a_publication_did_is_not_undone_by_hand(bench: Bench) -> None:
    split(bench, "bright")
    event = bench.events()[0]
    with pytest.raises(Conflict, match="publication"):
        undo(bench.db, bench.project, bench.image.id, by=bench.people.ada, event_id=event.id)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE label SET source = 'agent'",
        "UPDATE label SET source = 'oracle'",
        "UPDATE label SET agent_run_id = (SELECT min(id) FROM agent_run)",
        "UPDATE label SET evidence = ''",
    ],
)
def test_the_database_refuses_labels_that_nobody_made(bench: Bench, change: str) -> None:
    split(bench, "bright")
    with pytest.raises(IntegrityError):
        bench.db.execute(text(change))


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "guess"},
        {"kind": "follow", "person_id": None},
        {"kind": "follow", "agent": True},
        {"kind": "refresh"},
        {"kind": "merge", **NO_ATTRIBUTE},
        {"kind": "merge", "places": [], "carried": True, "person_id": None},
        {"kind": "merge", "places": [], "carried": True, **NO_ATTRIBUTE},
        {"kind": "confirm", "places": [], "carried": True, **NO_ATTRIBUTE, "person_id": None},
    ],
)
def test_the_database_refuses_events_that_nobody_caused(
    bench: Bench, values: dict[str, Any]
) -> None:
    by = {"agent_run_id": bench.run.id} if values.pop("agent", False) else {}
    by |= {"carrying_id": carrying(bench).id} if values.pop("carried", False) else {}
    whole = {
        "image_id": bench.image.id,
        "node_id": bench.nodes["bright"].id,
        "polarity": "positive",
        "version_id": bench.version.id,
        "after": "proposed",
        "image_revision": 1,
        "person_id": bench.people.ada.id,
    }
    bench.db.add(LabelEvent(**(whole | values | by)))
    with pytest.raises(IntegrityError):
        bench.db.flush()
