"""Any two versions side by side, as a page and as JSON."""

import html
import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.editing import rename
from app.criteria.reading import get_criteria, get_node
from app.versions import pages
from app.versions.publishing import publish
from taxonomy.tree import Dimension
from tests.app.criteria.trees import SMALL
from tests.people import Cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria"
API = "/api/v1/projects/paintings/criteria"


def rename_root(db: Session, people: Cast, name: str) -> None:
    node = get_node(db, people.project, SMALL.dimensions[0].key)
    rename(db, people.project, node.key, based_on=node.revision, by=people.ada, name=name)


def publish_now(db: Session, people: Cast) -> None:
    revision = get_criteria(db, people.project).revision
    publish(db, people.project, note="", by=people.ada, based_on=revision)
    db.commit()


def test_versions_and_the_working_criteria_are_compared(
    db: Session,
    people: Cast,
    browser: TestClient,
    api: TestClient,
    sign_in: SignIn,
    token_for: Tokens,
) -> None:
    was = SMALL.dimensions[0].name
    publish_now(db, people)
    rename_root(db, people, "First & second")
    publish_now(db, people)
    rename_root(db, people, "Third")
    db.commit()
    ben = token_for(people.ben)

    def told(**which: object) -> list[str]:
        got = api.get(f"{API}/compare", params={k: str(v) for k, v in which.items()}, headers=ben)
        assert got.status_code == 200, got.text
        return [sentence for node in got.json()["nodes"] for sentence in node["sentences"]]

    assert told(old=1, new=2) == [f"The dimension “{was}” was renamed to “First & second”."]
    assert told(old=2) == ["The dimension “First & second” was renamed to “Third”."]
    assert told(old=2, new=1) == [f"The dimension “First & second” was renamed to “{was}”."]
    assert told(old=2, new=2) == []
    sign_in(browser, people.ben)
    page = browser.get(f"{HERE}/compare", params={"old": "1", "new": "2"}).text
    assert "<ins>First &amp; second</ins>" in page
    assert f"<del>{was}</del>" in page
    latest = browser.get(f"{HERE}/compare").text
    assert "<ins>Third</ins>" in latest
    assert "No difference" in browser.get(f"{HERE}/compare?old=2&new=2").text


def test_before_anything_is_published_there_is_nothing_to_compare(
    people: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    sign_in(browser, people.ben)
    assert "Nothing published yet" in browser.get(f"{HERE}/compare").text
    assert browser.get(f"{HERE}/compare?old=7").status_code == 404
    assert browser.get(f"{HERE}/compare?old=1&new=newest").status_code == 422


def test_many_differences_come_page_by_page(
    db: Session, people: Cast, browser: TestClient, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE", 2)
    publish_now(db, people)
    keys = [each.node.key for each in SMALL.walk() if isinstance(each.node, Dimension)][:3]
    for key in keys:
        node = get_node(db, people.project, key)
        rename(db, people.project, key, based_on=node.revision, by=people.ada, name=f"New {key}")
    db.commit()
    sign_in(browser, people.ben)
    first = browser.get(f"{HERE}/compare").text
    assert first.count("node-head") == 2
    more = re.search(r'href="(\?old=1[^"]*after=[^"]*)"', first)
    assert more
    second = browser.get(f"{HERE}/compare{html.unescape(more.group(1))}").text
    assert second.count("node-head") == 1
    assert f"New {keys[2]}" in second
