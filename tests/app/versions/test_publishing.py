"""Checking, previewing and publishing the criteria; the tree with its label counts."""

from collections.abc import Callable

import pytest
from sqlalchemy import event, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import database
from app.accounts.models import Person
from app.criteria.editing import add_dimension, describe, rename
from app.criteria.models import CriteriaVersion
from app.criteria.reading import find_versions, get_node, version_criteria
from app.errors import Conflict, Invalid, Stale
from app.labels.models import Label
from app.versions.publishing import preview, publish
from taxonomy.formats.json import read_json, sha256
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria"
API = "/api/v1/projects/paintings/criteria"


def label(
    db: Session, make: Make, people: Cast, key: str, state: str, polarity: str = "positive"
) -> None:
    version = find_versions(db, people.project)[0][0]
    db.add(
        Label(
            project_id=people.project.id,
            image_id=make.image(people.project).id,
            node_id=get_node(db, people.project, key).id,
            polarity=polarity,
            state=state,
            source="person",
            version_id=version.id,
            revision=1,
        )
    )
    db.commit()


def test_the_first_version_holds_the_working_tree(db: Session, people: Cast) -> None:
    before = preview(db, people.project)
    assert (before.last, before.changes, before.can_publish) == (None, [], True)
    version = publish(db, people.project, note=" The first ", by=people.ada, based_on=1)
    assert (version.number, version.note, version.working_revision) == (1, "The first", 1)
    assert version_criteria(version) == SMALL
    assert version.sha256 == sha256(read_json(version.content))


def test_the_preview_counts_the_labels_that_changes_touch(
    db: Session, make: Make, people: Cast
) -> None:
    publish(db, people.project, by=people.ada)
    db.commit()
    label(db, make, people, "clear-source", "confirmed")
    label(db, make, people, "clear-source", "rejected", "negative")
    label(db, make, people, "glow", "confirmed")
    label(db, make, people, "clear-edges", "confirmed")
    rename(db, people.project, "light", based_on=1, by=people.ada, name="Lighting")
    describe(db, people.project, "glow", based_on=1, by=people.ada, positive="It shines.")
    found = preview(db, people.project)
    assert [(each.kind, each.key) for each in found.changes] == [
        ("renamed", "light"),
        ("described", "glow"),
    ]
    assert [(each.kind, each.labels.confirmed, each.labels.rejected) for each in found.touched] == [
        ("renamed", 2, 1),
        ("described", 1, 0),
    ]


def test_faults_stop_a_publication(db: Session, people: Cast) -> None:
    add_dimension(db, people.project, parent=None, name="Empty", by=people.ada)
    with pytest.raises(Invalid, match="1 fault stops") as caught:
        publish(db, people.project, by=people.ada)
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    assert problems[0]["code"] == "no-attributes"
    assert find_versions(db, people.project) == []


def test_nothing_new_and_stale_publications_are_refused(db: Session, people: Cast) -> None:
    publish(db, people.project, by=people.ada)
    with pytest.raises(Conflict, match="Nothing changed"):
        publish(db, people.project, by=people.ada)
    rename(db, people.project, "light", based_on=1, by=people.lea, name="Lighting")
    with pytest.raises(Stale):
        publish(db, people.project, by=people.ada, based_on=1)


def test_a_published_version_never_changes(db: Session, people: Cast) -> None:
    version = publish(db, people.project, by=people.ada)
    db.commit()
    for statement in (
        update(CriteriaVersion).values(note="changed"),
        CriteriaVersion.__table__.delete().where(CriteriaVersion.id == version.id),  # type: ignore[attr-defined]
    ):
        with pytest.raises(DBAPIError), database.engine().begin() as connection:
            connection.execute(statement)
    rename(db, people.project, "light", based_on=1, by=people.ada, name="Lighting")
    publish(db, people.project, by=people.ada)
    db.commit()
    db.expunge_all()
    versions = [each for each, _ in find_versions(db, people.project)]
    assert [each.number for each in versions] == [2, 1]
    assert version_criteria(versions[1]) == SMALL
    assert versions[1].note == ""


def test_publishing_by_page(
    browser: TestClient, htmx: TestClient, sign_in: SignIn, people: Cast, db: Session
) -> None:
    sign_in(browser, people.ada)
    assert "Nothing published yet" in browser.get(f"{HERE}/versions").text
    assert "No faults found" in browser.get(f"{HERE}/publish").text
    answer = browser.post(f"{HERE}/publish", data={"based_on": 1, "note": "The first"})
    assert answer.headers["location"] == f"{HERE}/versions/1"
    version = browser.get(f"{HERE}/versions/1").text
    assert sha256(SMALL) in version
    assert "Contradicting shadows" in version
    assert "The first" in browser.get(f"{HERE}/versions").text
    exported = browser.get(f"{HERE}/export?version=1&format=json")
    assert read_json(exported.text) == SMALL
    again = browser.post(f"{HERE}/publish", data={"based_on": 1})
    assert again.status_code == 409
    assert "Nothing changed" in again.text
    rename(db, people.project, "light", based_on=1, by=people.lea, name="Lighting")
    db.commit()
    page = browser.get(f"{HERE}/publish").text
    assert "“Light” was renamed to “Lighting”" in page
    sign_in(htmx, people.ada)
    stale = htmx.post(f"{HERE}/publish", data={"based_on": 1})
    assert stale.status_code == 412
    assert "Someone changed the criteria" in stale.text
    answer = htmx.post(f"{HERE}/publish", data={"based_on": 2})
    assert answer.headers["HX-Redirect"] == f"{HERE}/versions/2"


def test_faults_are_listed_with_their_places(
    browser: TestClient, sign_in: SignIn, people: Cast, db: Session
) -> None:
    add_dimension(db, people.project, parent=None, name="Empty", by=people.ada)
    db.commit()
    sign_in(browser, people.ada)
    page = browser.get(f"{HERE}/publish").text
    assert "holds no attribute pair" in page
    assert f'href="{HERE}?node=empty"' in page
    assert 'name="based_on"' not in page
    answer = browser.post(f"{HERE}/publish", data={"based_on": 2})
    assert answer.status_code == 422
    assert "1 fault stops" in answer.text


def test_publishing_by_program(api: TestClient, token_for: Tokens, people: Cast) -> None:
    headers = token_for(people.ada)
    assert api.get(f"{API}/preview", headers=headers).json()["can_publish"] is True
    answer = api.post(f"{API}/versions", json={"note": "One"}, headers=headers)
    assert answer.status_code == 201
    assert (answer.json()["number"], answer.json()["by"]) == (1, "Ada")
    assert api.post(f"{API}/versions", json={}, headers=headers).status_code == 409
    body = {"based_on": 1, "name": "Lighting"}
    api.patch(f"{API}/nodes/light", json=body, headers=headers)
    stale = api.post(f"{API}/versions", json={"based_on": 1}, headers=headers)
    assert stale.status_code == 412
    assert api.post(f"{API}/versions", json={"note": 3}, headers=headers).status_code == 422
    assert api.post(f"{API}/versions", json={}, headers=headers).json()["number"] == 2
    listed = api.get(f"{API}/versions?limit=1", headers=headers).json()
    assert ([each["number"] for each in listed["items"]], listed["next"]) == ([2], 2)
    one = api.get(f"{API}/versions/1", headers=headers).json()
    assert (one["note"], one["criteria"]["name"]) == ("One", "Small")
    assert api.get(f"{API}/versions/9", headers=headers).status_code == 404
    new = {"kind": "dimension", "name": "Empty"}
    api.post(f"{API}/nodes", json=new, headers=headers)
    faulty = api.post(f"{API}/versions", json={}, headers=headers)
    assert faulty.status_code == 422
    assert faulty.json()["problems"][0]["key"] == "empty"


def test_who_may_not_publish(
    browser: TestClient,
    api: TestClient,
    sign_in: SignIn,
    token_for: Tokens,
    people: Cast,
    db: Session,
) -> None:
    for person, status in ((people.ben, 403), (people.dora, 404)):
        sign_in(browser, person)
        assert browser.post(f"{HERE}/publish", data={"based_on": 1}).status_code == status
        answer = api.post(f"{API}/versions", json={}, headers=token_for(person))
        assert answer.status_code == status
        # Members may look.
        seen = 200 if status == 403 else 404
        for address in ("", "/publish", "/versions"):
            assert browser.get(f"{HERE}{address}").status_code == seen
        assert api.get(API, headers=token_for(person)).status_code == seen
    assert find_versions(db, people.project) == []


def test_the_tree_shows_what_is_below_each_dimension(
    browser: TestClient,
    htmx: TestClient,
    api: TestClient,
    sign_in: SignIn,
    token_for: Tokens,
    make: Make,
    people: Cast,
    db: Session,
) -> None:
    publish(db, people.project, by=people.ada)
    db.commit()
    label(db, make, people, "clear-source", "confirmed")
    label(db, make, people, "glow", "confirmed", "negative")
    label(db, make, people, "glow", "rejected")
    sign_in(browser, people.ben)
    page = browser.get(HERE).text
    assert "2 pairs · 2 labels" in page
    assert "1 pair · 1 labels" not in page.replace("1 pair · 1 label<", "")
    sign_in(htmx, people.ben)
    panel = htmx.get(f"{HERE}?node=glow").text
    assert "<html" not in panel
    assert f"{HERE}/nodes/glow/usage" in panel
    assert browser.get(f"{HERE}?node=nowhere").status_code == 404
    nodes = api.get(API, headers=token_for(people.ben)).json()["nodes"]
    assert [(each["key"], each["parent"], each["labels"]) for each in nodes] == [
        ("light", None, 2),
        ("source", "light", 1),
        ("clear-source", "source", 1),
        ("glow", "light", 1),
        ("edges", None, 0),
        ("clear-edges", "edges", 0),
    ]
    assert nodes[0]["num_pairs"] == 2


def test_the_tree_page_asks_the_database_a_fixed_number_of_times(
    browser: TestClient, sign_in: SignIn, people: Cast, db: Session
) -> None:
    sign_in(browser, people.ada)
    statements: list[object] = []

    def count() -> int:
        statements.clear()
        assert browser.get(HERE).status_code == 200
        return len(statements)

    def note(*values: object) -> None:
        statements.append(values[2])

    event.listen(database.engine(), "before_cursor_execute", note)
    try:
        count()
        few = count()
        for number in range(20):
            add_dimension(db, people.project, parent=None, name=f"Root {number}", by=people.ada)
        db.commit()
        # What was changed since is asked for once, however much it is.
        assert count() <= few + 2
        assert count() == few
    finally:
        event.remove(database.engine(), "before_cursor_execute", note)
    assert few < 12
