"""Notes at nodes of the criteria: written, answered, edited, deleted, settled, and kept with their node."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.exporting import export_file
from app.criteria.loading import load_criteria
from app.criteria.merging import merge
from app.criteria.models import NodeChange
from app.criteria.reading import get_criteria, get_node
from app.errors import Conflict, Invalid, NotAllowed, NotFound, Stale
from app.notes import reading, writing
from app.notes.models import LONGEST, Discussion, Note
from app.notes.writing import Writer
from app.versions.undoing import undo
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria"
API = f"/api/v1{HERE}"


@pytest.fixture
def people(make: Make, db: Session) -> Cast:
    found = cast(make)
    load_criteria(db, found.project, SMALL, by=found.lea)
    db.commit()
    return found


@pytest.fixture
def ben(people: Cast) -> Writer:
    return Writer(people.ben, "annotator")


@pytest.fixture
def lea(people: Cast) -> Writer:
    return Writer(people.lea, "lead")


def start(
    db: Session, people: Cast, by: Writer, text: str = "Is this glow?", key: str = "glow"
) -> Discussion:
    made = writing.start_discussion(db, people.project, key, text=text, by=by)
    db.commit()
    return made


def answer(db: Session, people: Cast, to: Discussion, by: Writer, text: str = "It is.") -> Note:
    made = writing.answer_discussion(db, people.project, to.id, text=text, by=by)
    db.commit()
    return made


def texts(db: Session, discussion: Discussion) -> list[str]:
    return [each.note.text for each in reading.find_notes(db, discussion)]


def first_of(db: Session, discussion: Discussion) -> Note:
    return reading.find_notes(db, discussion)[0].note


def test_answers_stand_in_order_with_their_authors(
    db: Session, people: Cast, ben: Writer, lea: Writer
) -> None:
    made = start(db, people, ben)
    answer(db, people, made, lea)
    answer(db, people, made, ben, "Thank you.")
    shown = [(each.author, each.note.text) for each in reading.find_notes(db, made)]
    assert shown == [("Ben", "Is this glow?"), ("Lea", "It is."), ("Ben", "Thank you.")]
    found = reading.find_discussions(db, people.project)[0]
    assert (found.first.text, found.num_answers, found.author) == ("Is this glow?", 2, "Ben")


def test_notes_change_nothing_of_the_criteria(db: Session, people: Cast, ben: Writer) -> None:
    before = (
        get_criteria(db, people.project).revision,
        export_file(db, people.project, format="json"),
    )
    changes = db.scalar(select(func.count()).select_from(NodeChange))
    answer(db, people, start(db, people, ben), ben)
    after = (
        get_criteria(db, people.project).revision,
        export_file(db, people.project, format="json"),
    )
    assert after == before
    assert db.scalar(select(func.count()).select_from(NodeChange)) == changes


@pytest.mark.parametrize("text", ["", "  \n ", "x" * (LONGEST + 1)])
def test_a_note_has_text_of_some_length(db: Session, people: Cast, ben: Writer, text: str) -> None:
    with pytest.raises(Invalid) as error:
        start(db, people, ben, text)
    assert error.value.field == "text"
    assert start(db, people, ben, "x" * LONGEST).id


def test_only_the_author_and_leads_edit_and_delete(
    db: Session, people: Cast, ben: Writer, lea: Writer
) -> None:
    note = first_of(db, start(db, people, lea))
    with pytest.raises(NotAllowed):
        writing.edit_note(db, people.project, note.id, text="Mine", based_on=1, by=ben)
    with pytest.raises(NotAllowed):
        writing.delete_note(db, people.project, note.id, by=Writer(people.ada, "expert"))
    own = first_of(db, start(db, people, ben))
    writing.edit_note(db, people.project, own.id, text="Is this a glow?", based_on=1, by=lea)
    db.commit()
    shown = reading.find_notes(db, db.get_one(Discussion, own.discussion_id))[0]
    assert (shown.note.text, shown.editor, shown.note.revision) == ("Is this a glow?", "Lea", 2)


def test_an_edit_of_what_was_edited_meanwhile_shows_both(
    db: Session, people: Cast, ben: Writer, lea: Writer
) -> None:
    note = first_of(db, start(db, people, ben))
    writing.edit_note(db, people.project, note.id, text="One", based_on=1, by=ben)
    with pytest.raises(Stale) as error:
        writing.edit_note(db, people.project, note.id, text="Two", based_on=1, by=lea)
    assert (error.value.details["theirs"], error.value.details["yours"]) == ("One", "Two")


def test_what_answers_hang_on_leaves_a_place_when_it_is_deleted(
    db: Session, people: Cast, ben: Writer, lea: Writer
) -> None:
    made = start(db, people, ben)
    last = answer(db, people, made, lea)
    assert writing.delete_note(db, people.project, first_of(db, made).id, by=ben) is not None
    db.commit()
    shown = reading.find_notes(db, made)
    assert [(each.note.text, each.deleter) for each in shown] == [("", "Ben"), ("It is.", None)]
    with pytest.raises(Conflict):
        writing.edit_note(db, people.project, shown[0].note.id, text="x", based_on=1, by=ben)
    # With the last text the whole goes.
    assert writing.delete_note(db, people.project, last.id, by=lea) is None
    db.commit()
    assert db.scalar(select(func.count()).select_from(Note)) == 0
    assert reading.find_discussions(db, people.project) == []


def test_a_last_answer_goes_without_a_trace(db: Session, people: Cast, ben: Writer) -> None:
    made = start(db, people, ben)
    last = answer(db, people, made, ben)
    writing.delete_note(db, people.project, last.id, by=ben)
    db.commit()
    assert texts(db, made) == ["Is this glow?"]


def test_a_discussion_is_settled_and_reopened(
    db: Session, people: Cast, ben: Writer, lea: Writer
) -> None:
    made = start(db, people, lea)
    with pytest.raises(NotAllowed):
        writing.settle_discussion(db, people.project, made.id, settled=True, by=ben)
    writing.settle_discussion(db, people.project, made.id, settled=True, by=lea)
    db.commit()
    with pytest.raises(Conflict):
        answer(db, people, made, ben)
    assert reading.count_open(db, people.project).all == 0
    assert [
        each.settler for each in reading.find_discussions(db, people.project, settled=True)
    ] == ["Lea"]
    writing.settle_discussion(db, people.project, made.id, settled=False, by=lea)
    answer(db, people, made, ben)
    assert reading.count_open(db, people.project).by_key["glow"] == 1


def test_notes_of_a_merged_node_are_reached_from_its_successor(
    db: Session, people: Cast, ben: Writer
) -> None:
    made = start(db, people, ben)
    seen = {key: get_node(db, people.project, key).revision for key in ("glow", "clear-edges")}
    merge(
        db,
        people.project,
        ["glow", "clear-edges"],
        into="clear-edges",
        based_on=seen,
        by=people.ada,
    )
    db.commit()
    at = reading.notes_at(db, people.project, get_node(db, people.project, "clear-edges"))
    assert (at.num_all, [(each.node.key, each.open) for each in at.before]) == (0, [("glow", 1)])
    assert reading.count_open(db, people.project).by_key["clear-edges"] == 1
    answer(db, people, made, ben)
    with pytest.raises(NotFound):
        start(db, people, ben)
    revision = get_criteria(db, people.project).revision
    undo(db, people.project, revision, by=people.ada)
    db.commit()
    assert dict(reading.count_open(db, people.project).by_key) == {"glow": 1}


def test_lists_go_on_from_a_key(db: Session, people: Cast, ben: Writer) -> None:
    made = [start(db, people, ben, f"Note {each}") for each in range(3)]
    page = reading.find_discussions(db, people.project, limit=2)
    assert [each.discussion.id for each in page] == [made[2].id, made[1].id]
    rest = reading.find_discussions(db, people.project, before=made[1].id, limit=2)
    assert [each.discussion.id for each in rest] == [made[0].id]


def test_the_tables_refuse_what_makes_no_sense(db: Session, people: Cast, ben: Writer) -> None:
    made = start(db, people, ben)
    own = {"discussion_id": made.id, "written_by": people.ben.id}
    elsewhere = {"project_id": people.project.id + 1, "node_id": made.node_id}
    for wrong in (
        Note(**own, text=""),
        Note(**own, text="x" * (LONGEST + 1)),
        Discussion(**elsewhere, started_by=people.ben.id),
    ):
        db.add(wrong)
        with pytest.raises(IntegrityError):
            db.flush()
        db.rollback()


def test_a_discussion_through_pages(
    db: Session, people: Cast, browser: TestClient, htmx: TestClient, sign_in: SignIn
) -> None:
    sign_in(browser, people.ben)
    sign_in(htmx, people.ben)
    wrong = htmx.post(f"{HERE}/nodes/glow/notes", data={"text": " "})
    assert (wrong.status_code, "Please write something." in wrong.text) == (422, True)
    made = htmx.post(f"{HERE}/nodes/glow/notes", data={"text": "Is <b>this</b> glow?"})
    assert "Is &lt;b&gt;this&lt;/b&gt; glow?" in made.text
    assert 'hx-swap-oob="true"' in made.text
    assert "1 open note" in made.text
    number = db.scalars(select(Discussion.id)).one()
    page = f"{HERE}/discussions/{number}"
    assert page in browser.get(f"{HERE}/discussions").text
    assert "1 open note" in browser.get(HERE).text
    sent = browser.post(page, data={"text": "Look at 7."})
    assert (sent.status_code, sent.headers["location"]) == (303, page)
    note = db.scalars(select(Note.id).order_by(Note.id)).all()[-1]
    assert "Save" in browser.get(f"{page}?edit={note}").text
    edit = {"text": "Look at 8.", "based_on": 1}
    assert browser.post(f"{page}/notes/{note}", data=edit).status_code == 303
    stale = browser.post(f"{page}/notes/{note}", data=edit | {"text": "Look at 9."})
    assert (stale.status_code, "Look at 8." in stale.text, "Look at 9." in stale.text) == (
        412,
        True,
        True,
    )
    assert browser.post(f"{page}/settled", data={"settled": "true"}).status_code == 303
    assert "Reopen" in browser.get(page).text
    assert page not in browser.get(f"{HERE}/discussions").text
    assert page in browser.get(f"{HERE}/discussions?show=settled").text
    browser.post(f"{page}/settled", data={"settled": "false"})
    assert browser.post(f"{page}/notes/{note}/delete").headers["location"] == page
    first = db.scalars(select(Note.id)).one()
    gone = browser.post(f"{page}/notes/{first}/delete")
    assert gone.headers["location"] == f"{HERE}/nodes/glow/notes"
    assert browser.get(page).status_code == 404


def test_a_discussion_through_the_api(people: Cast, api: TestClient, token_for: Tokens) -> None:
    head, lead = token_for(people.ben), token_for(people.lea)
    made = api.post(f"{API}/nodes/glow/discussions", json={"text": "Is it?"}, headers=head)
    assert (made.status_code, made.json()["node"], made.json()["first"]) == (201, "glow", "Is it?")
    page = f"{API}/discussions/{made.json()['id']}"
    note = api.post(f"{page}/notes", json={"text": "It is."}, headers=lead).json()
    assert (note["written_by"], note["revision"]) == ("Lea", 1)
    notes = api.get(f"{page}/notes?limit=1", headers=head).json()
    assert ([each["text"] for each in notes["items"]], notes["next"]) == (
        ["Is it?"],
        notes["items"][0]["id"],
    )
    own = f"{API}/notes/{note['id']}"
    assert api.patch(own, json={"text": "No", "based_on": 1}, headers=head).status_code == 403
    assert (
        api.patch(own, json={"text": "Yes.", "based_on": 1}, headers=lead).json()["revision"] == 2
    )
    stale = api.patch(own, json={"text": "No.", "based_on": 1}, headers=lead)
    assert (stale.status_code, stale.json()["theirs"]) == (412, "Yes.")
    settled = api.put(f"{page}/settled", json={"settled": True}, headers=head).json()
    assert settled["settled_by"] == "Ben"
    assert api.get(f"{API}/discussions?settled=false", headers=head).json()["items"] == []
    assert len(api.get(f"{API}/discussions?node=glow", headers=head).json()["items"]) == 1
    assert api.delete(own, headers=lead).status_code == 204
    assert api.get(page, headers=token_for(people.dora)).status_code == 404
