"""Publications that are taken back by a new version, and who labels meanwhile."""

from dataclasses import replace
from queue import Empty, Queue
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import database
from app.accounts.models import Person
from app.criteria.editing import add_dimension, add_pair, rename
from app.criteria.importing import import_criteria
from app.criteria.merging import split
from app.criteria.reading import (
    find_versions,
    get_criteria,
    version_criteria,
    working_criteria,
)
from app.criteria.undoing import undo
from app.erasing.erasing import erase
from app.errors import Conflict, NotFound
from app.labels.dropping import drop_labels
from app.labels.history import find_history
from app.labels.models import LabelEvent
from app.labels.saving import save
from app.projects.models import Project
from app.versions.publishing import publish
from app.versions.taking_back import take_back
from taxonomy.tree import Attribute, Pair
from tests.app.versions.lineage import LIGHT, OTHER, A, B, House, merge_both


def test_what_was_erased_does_not_come_back(house: House) -> None:
    house.says("x", A, "confirmed")
    merge_both(house)
    house.publish()
    with pytest.raises(IntegrityError, match="append-only"), house.db.begin_nested():
        drop_labels(house.db, house.image("x"))
    image_id, by = house.image("x").id, house.people.lea
    erase(house.db, house.project, image_id, reason="Asked for.", by=by)
    house.db.commit()
    undo(house.db, house.project, 3, by=house.people.ada)
    house.publish()
    assert house.labels("x") == {}
    assert not house.db.scalars(select(LabelEvent.id).where(LabelEvent.stood.is_not(None))).all()


def test_a_publication_is_taken_back_by_a_new_version(house: House) -> None:
    house.says("x", A, "confirmed")
    house.says("y", B, "confirmed")
    was, first = house.whole(), version_criteria(find_versions(house.db, house.project)[0][0])
    rename(house.db, house.project, "light", based_on=1, by=house.people.lea, name="Lighting")
    undo(house.db, house.project, 3, by=house.people.lea)
    undo(house.db, house.project, 4, by=house.people.lea)
    rename(house.db, house.project, "source", based_on=1, by=house.people.lea, name="Lamps")
    undo(house.db, house.project, 6, by=house.people.lea)
    new = merge_both(house)
    split(house.db, house.project, new.key, into=[LIGHT, OTHER], based_on=1, by=house.people.ada)
    add_dimension(house.db, house.project, parent=None, name="Line", by=house.people.ada)
    sides = {"positive": Attribute("Sure line"), "negative": Attribute("Weak line")}
    add_pair(
        house.db, house.project, parent="line", relation="opposed", by=house.people.ada, **sides
    )
    house.publish()
    house.says("x", "sure-line", "confirmed")
    with pytest.raises(Conflict, match="Nothing was published before"):
        take_back(house.db, house.project, 1, by=house.people.ada)
    with pytest.raises(NotFound):
        take_back(house.db, house.project, 3, by=house.people.ada)
    version = take_back(house.db, house.project, 2, by=house.people.ada)
    house.db.commit()
    tree = version_criteria(version)
    assert (version.number, version.note) == (3, "Takes version 2 back.")
    assert tree.active_pairs() == first.active_pairs()
    assert tree.dimension("light").name == "Light"
    assert [each.key for each in tree.dimensions if each.retired] == ["line"]
    # What was added since is retired, and its labels are kept.
    assert len(house.whole()) == len(was) + 1
    assert house.labels("x") == {A: "confirmed", "sure-line": "confirmed"}
    assert house.labels("y") == {B: "confirmed"}
    house.check()
    rename(
        house.db,
        house.project,
        "light",
        based_on=house.node("light").revision,
        by=house.people.lea,
        name="Lamps",
    )
    with pytest.raises(Conflict, match="changed since version 3"):
        take_back(house.db, house.project, 3, by=house.people.ada)


def test_taking_back_by_page_and_by_program(
    house: House, browser: TestClient, api: TestClient, sign_in: Any, token_for: Any
) -> None:
    here = "/projects/paintings/criteria/versions"
    sign_in(browser, house.people.ada)
    assert "Take this version back" not in browser.get(f"{here}/1").text
    merge_both(house)
    house.publish()
    assert "Take this version back" in browser.get(f"{here}/2").text
    answer = browser.post(f"{here}/2/take-back")
    assert answer.headers["location"] == f"{here}/3"
    again = browser.post(f"{here}/2/take-back")
    assert (again.status_code, "is not the last one" in again.text) == (409, True)
    headers = token_for(house.people.ada)
    taken = api.post(f"/api/v1{here}/3/take-back", headers=headers)
    assert (taken.status_code, taken.json()["number"]) == (201, 4)
    assert api.post(f"/api/v1{here}/3/take-back", headers=headers).status_code == 409
    sign_in(browser, house.people.ben)
    assert browser.post(f"{here}/4/take-back").status_code == 403


def test_an_import_with_several_merges_is_taken_back_pair_by_pair(house: House) -> None:
    house.says("x", A, "confirmed")
    house.says("y", "clear-source", "confirmed")
    was, tree = house.whole(), working_criteria(house.db, house.project)
    gone = {A: ("shine",), "clear-source": ("sources", "lamps")}
    new = [
        Pair(key, "opposed", Attribute(f"One {key}"), Attribute(f"No {key}"))
        for key in ("shine", "sources", "lamps")
    ]
    edges = tree.dimension("edges")
    changed = replace(
        tree,
        dimensions=(
            replace(tree.dimension("light"), dimensions=(), pairs=tuple(new[1:])),
            replace(edges, pairs=(*edges.pairs, new[0])),
        ),
        successors=gone | {"source": ("light",)},
    )
    revision = get_criteria(house.db, house.project).revision
    import_criteria(house.db, house.project, changed, based_on=revision, by=house.people.ada)
    house.publish()
    assert house.labels("x") == {"shine": "proposed"}
    assert house.labels("y") == {"sources": "proposed", "lamps": "proposed"}
    house.says("x", "sources", "confirmed")
    house.says("y", "lamps", "rejected")
    house.check()
    take_back(house.db, house.project, 2, by=house.people.ada)
    house.db.commit()
    # Each comes back from its own: what was said of the one is nothing that the other is asked.
    assert house.labels("x") == {A: "confirmed", "clear-source": "proposed"}
    assert house.labels("y") == {"clear-source": "proposed"}
    house.check()
    assert len(was) == 2


def test_the_history_of_an_image_calls_what_left_by_its_name(house: House) -> None:
    house.says("x", A, "confirmed")
    target = merge_both(house)
    house.publish()
    happened, _ = find_history(house.db, house.project, house.image("x"))
    assert [(each.kind, each.name, each.before, each.after) for each in happened] == [
        ("merge", "Good light", None, "confirmed"),
        ("merge", "Glow", "confirmed", None),
        ("add", "Glow", None, "confirmed"),
    ]
    assert [each.key for each in happened] == [target.key, A, A]


def test_who_labels_during_a_publication_waits_and_is_told(house: House) -> None:
    image_id, project_id = house.image("x").id, house.project.id
    ben_id, outcome = house.people.ben.id, Queue[object]()
    merge_both(house)
    house.db.commit()

    def label() -> None:
        with Session(database.engine()) as db:
            project, ben = db.get_one(Project, project_id), db.get_one(Person, ben_id)
            how: dict[str, Any] = {"key": A, "polarity": "positive", "state": "confirmed"}
            try:
                save(db, project, image_id, based_on=0, operation_id=uuid4(), by=ben, **how)
                db.commit()
                outcome.put("saved")
            except Conflict as error:
                outcome.put(error)

    publish(house.db, house.project, by=house.people.ada)
    labelling = Thread(target=label)
    labelling.start()
    with pytest.raises(Empty):
        outcome.get(timeout=0.5)
    house.db.commit()
    labelling.join()
    assert "was replaced by good-light" in str(outcome.get_nowait())
    house.check()
