"""A second reading: blind, by another person, apart from the labels until somebody else settles it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.database import unit_of_work
from app.errors import AppError, Conflict, NotFound
from app.labels.saving import set_done
from app.labels.showing import note_shown
from app.readings import answering, asking, settling
from app.readings.models import ReadImage, ReadQuestion
from tests.app.readings.conftest import Table

TokenFor = Callable[[Person], dict[str, str]]
SignIn = Callable[[TestClient, Person], TestClient]


def hang_done(table: Table, number: int) -> None:
    for _ in range(number):
        table.bench.image = table.bench.make.image(table.bench.project)
        table.first(bright="confirmed")


# Who reads what ------------------------------------------------------------------------------


def test_a_seed_draws_the_same_share_again(table: Table) -> None:
    hang_done(table, 9)
    table.bench.make.image(table.bench.project)  # is not done
    drawn = []
    for seed in (5, 5, 6):
        reading = table.ask(percent=25, seed=seed)
        assert reading.num_images == 3  # of nine, rounded up
        rows = select(ReadImage.image_id).where(ReadImage.reading_id == reading.id)
        drawn.append(table.bench.db.scalars(rows.order_by(ReadImage.place)).all())
    assert drawn[0] == drawn[1] != drawn[2]


def test_who_finished_decided_or_saw_suggestions_does_not_read(table: Table) -> None:
    bench = table.bench
    bench.save("circle", "confirmed", by=table.ada)
    table.first(bright="confirmed")
    note_shown(bench.db, bench.image, table.lea)
    table.ask()
    assert [table.claim(each) for each in (table.ben, table.ada, table.lea)] == [None] * 3
    fresh = bench.make.member(bench.project, "annotator", "Fay")
    assert table.claim(fresh) is not None


def test_an_image_is_read_by_one_person_however_many_ask(table: Table) -> None:
    hang_done(table, 12)
    table.ask()
    project = table.bench.project
    people = [table.bench.make.member(project, "annotator", f"Nr {each}") for each in range(16)]
    barrier = threading.Barrier(len(people))

    def ask(person: Person) -> int | None:
        with unit_of_work() as db:
            barrier.wait()
            return answering.claim_next(db, project, person)

    with ThreadPoolExecutor(len(people)) as pool:
        found = [each for each in pool.map(ask, people) if each is not None]
    assert len(found) == len(set(found)) == 12


def test_decoys_are_attributes_that_nobody_set(table: Table) -> None:
    hang_done(table, 2)
    table.bench.image = table.bench.make.image(table.bench.project)
    table.first(dark="confirmed", circle="rejected")
    table.ask(decoy_percent=50)
    rows = table.bench.db.execute(
        select(ReadImage.image_id, ReadQuestion.node_id, ReadQuestion.first).join(
            ReadImage, ReadImage.id == ReadQuestion.read_image_id
        )
    ).all()
    decoys = {(image_id, node_id) for image_id, node_id, first in rows if first is None}
    assert decoys
    assert not decoys & {(image_id, node_id) for image_id, node_id, first in rows if first}


# Answering -----------------------------------------------------------------------------------


def test_the_page_of_a_reader_tells_nothing(
    table: Table, browser: TestClient, sign_in: SignIn
) -> None:
    table.first(bright="rejected", dark="unsure")
    table.ask()
    root = f"/projects/{table.bench.project.slug}/readings"
    sign_in(browser, table.ada)
    page = browser.get(f"{root}/next", follow_redirects=True).text
    assert "High key" in page
    assert "Low key" in page
    sheet = page.split('id="labels"')[1].split('id="row-template"')[0]
    told = ("rejected</span>", "unsure</span>", "Ben", 'data-source="agent"', "suggestions=")
    assert [each for each in told if each in sheet] == []
    sign_in(browser, table.ben)
    assert browser.get(f"{root}/next").headers["location"].endswith("/readings")


def test_answers_stay_apart_from_the_labels_and_can_be_taken_back(
    table: Table, api: TestClient, token_for: TokenFor
) -> None:
    table.first(bright="confirmed", dark="rejected")
    table.ask()
    read_id = table.claim()
    root = f"/api/v1/projects/{table.bench.project.slug}/readings/read-{read_id}"
    ada = token_for(table.ada)
    operation = str(uuid4())
    body = {"state": "rejected", "operation_id": operation}
    for _ in range(2):  # sent twice, said once
        said = api.put(f"{root}/answers/bright/positive", json=body, headers=ada).json()
        assert (said["before"], said["state"]) == (None, "rejected")
    other = api.put(f"{root}/answers/dark/positive", json=body, headers=ada)
    assert other.status_code == 409
    api.put(
        f"{root}/answers/circle/positive",
        json={"state": "confirmed", "operation_id": str(uuid4())},
        headers=ada,
    )
    stood = api.get(root, headers=ada).json()["questions"]
    assert {each["key"]: each["state"] for each in stood} == {
        "bright": "rejected", "dark": None, "circle": "confirmed"
    }  # fmt: skip
    assert table.bench.states()["bright", "positive"] == "confirmed"

    undo = {"operation_id": str(uuid4()), "undoes": operation}
    taken = api.post(f"{root}/undo", json=undo, headers=ada).json()
    assert (taken["key"], taken["before"], taken["state"]) == ("bright", "rejected", None)
    assert api.get(root, headers=token_for(table.ben)).status_code == 404
    assert api.put(f"{root}/done", json={"done": True}, headers=ada).json() == {"done": True}
    late = api.put(
        f"{root}/answers/dark/positive",
        json={"state": "confirmed", "operation_id": str(uuid4())},
        headers=ada,
    )
    assert late.status_code == 409


# Settling ------------------------------------------------------------------------------------


def test_differences_are_settled_by_somebody_else_and_become_label_events(table: Table) -> None:
    table.first(bright="confirmed", dark="rejected")
    table.ask()
    read_id = table.claim()
    assert read_id is not None
    table.read(read_id, bright="rejected", dark="rejected", circle="confirmed")
    db, project = table.bench.db, table.bench.project
    for reader in (table.ben, table.ada):
        assert settling.claim_next(db, project, reader) is None
        with pytest.raises(NotFound):
            table.settle(read_id, "bright", "confirmed", by=reader)
        db.rollback()
    assert settling.claim_next(db, project, table.lea) == read_id
    with pytest.raises(AppError, match="agree"):
        table.settle(read_id, "dark", "confirmed")
    db.rollback()
    with pytest.raises(Conflict, match="2 differences are undecided"):
        settling.finish(db, project, read_id, done=True, by=table.lea)
    db.rollback()

    operation = uuid4()
    table.settle(read_id, "bright", "unsure")
    table.settle(read_id, "bright", "rejected", operation_id=operation)
    assert table.settle(read_id, "bright", "rejected", operation_id=operation).answer == "rejected"
    table.settle(read_id, "circle", "rejected")  # nobody but the second reader set it
    assert table.bench.states() == {
        ("bright", "positive"): "rejected", ("dark", "positive"): "rejected"
    }  # fmt: skip
    event = table.bench.events()[-1]
    assert (event.kind, event.person_id, event.suggestion_visible) == (
        "reject",
        table.lea.id,
        False,
    )
    taken = settling.take_back(
        db, project, read_id, undoes=operation, operation_id=uuid4(), by=table.lea
    )
    db.commit()
    assert taken is not None
    assert table.bench.states()["bright", "positive"] == "unsure"
    table.settle(read_id, "bright", "confirmed")
    settling.finish(db, project, read_id, done=True, by=table.lea)
    db.commit()
    assert settling.claim_next(db, project, table.lea) is None
    (stand,) = asking.find_readings(db, project)
    assert (stand.num_read, stand.num_settled) == (1, 1)


def test_where_both_agree_there_is_nothing_to_settle(table: Table) -> None:
    table.first(bright="confirmed")
    table.ask()
    read_id = table.claim()
    assert read_id is not None
    table.read(read_id, bright="confirmed")
    (stand,) = asking.find_readings(table.bench.db, table.bench.project)
    assert (stand.num_read, stand.num_settled) == (1, 1)


def test_an_ended_reading_asks_nobody(table: Table) -> None:
    table.first(bright="confirmed")
    reading = table.ask()
    asking.end(table.bench.db, table.bench.project, reading.id)
    table.bench.db.commit()
    assert table.claim() is None


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"percent": 0}, "share"),
        ({"percent": 101}, "share"),
        ({"decoy_percent": 51}, "Decoys"),
        ({"seed": -1}, "seed"),
        ({"show": "no such"}, "filtered by"),
        ({"words": "nowhere"}, "No image of this choice is done"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    table: Table, how: dict[str, object], said: str
) -> None:
    set_done(table.bench.db, table.bench.project, table.bench.image.id, done=True, by=table.ben)
    with pytest.raises(AppError, match=said):
        table.ask(**how)
