"""Keys that a person changes: kept on the server, said in words where they clash, and shown where they are pressed."""

import json
import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.web.keys import COMMANDS, DEFAULTS
from app.web.static import STATIC
from tests.app.images.test_image_pages import kept_image
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
Headers = Callable[[Person], dict[str, str]]
API = "/api/v1/me/keys"


@pytest.fixture(autouse=True)
def _in_own_storage(own_storage: None) -> None:
    pass


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


def typed(**changed: str) -> dict[str, str]:
    return {each.name: " ".join(each.keys) for each in COMMANDS} | changed


def test_no_two_commands_begin_with_one_key() -> None:
    keys = [key for each in COMMANDS for key in each.keys]
    assert len(keys) == len(set(keys))


def test_every_key_of_the_labelling_page_can_be_changed() -> None:
    script = (STATIC / "pages/labels.js").read_text(encoding="utf-8")
    given = script.split("onKeys(\n  {\n", 1)[1].split("...lookKeys", 1)[0]
    keys = set(re.findall(r'^    "?([^\s":]+)"?: ', given, re.MULTILINE))
    assert {"y", "Enter", "/", "["} <= keys
    assert keys <= {key for each in COMMANDS for key in each.keys}


def test_changed_keys_stand_on_the_page_and_in_its_help(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    image = kept_image(db, people)
    labels = f"/projects/paintings/images/{image.id}"
    page = sign_in(browser, people.ben)
    assert "data-meanings" not in page.get(labels).text
    # y and n change places; F2 and Space beside them.
    answer = page.post("/account/keys", data=typed(confirm="N f2", reject="y space"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/keys?saved=1")
    shown = page.get(labels).text
    found = re.search("data-meanings='([^']*)'", shown)
    assert found is not None
    meanings = dict(json.loads(found[1]))
    assert meanings == {"n": "y", "F2": "y", "Enter": "", "y": "n", " ": "n", "x": ""}
    assert "<kbd>n</kbd> <kbd>F2</kbd>" in shown
    assert page.post("/account/keys/reset").status_code == 303
    assert "data-meanings" not in page.get(labels).text


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"confirm": "n"}, "“n” is the key of “Reject the label” already"),
        ({"confirm": "w", "reject": "w"}, "“w” is the key of"),
        ({"confirm": ""}, "Please give it a key."),
        ({"confirm": "Escape"}, "“Escape” is no key that can be chosen"),
        ({"confirm": "?"}, "“?” means the same for everyone"),
        ({"confirm": "b e i l p"}, "at most 4 keys"),
    ],
)
def test_keys_that_cannot_be_are_said_and_change_nothing(
    db: Session,
    browser: TestClient,
    people: Cast,
    sign_in: SignIn,
    changed: dict[str, str],
    says: str,
) -> None:
    page = sign_in(browser, people.ben)
    answer = page.post("/account/keys", data=typed(undo="b", **changed))
    assert answer.status_code == 422
    assert says in answer.text and 'aria-invalid="true"' in answer.text
    db.refresh(people.ben)
    assert people.ben.keys == {}


def test_programs_change_keys_too(
    api: TestClient, db: Session, people: Cast, token_for: Headers
) -> None:
    ben = token_for(people.ben)
    assert api.get(API, headers=ben).json()["keys"] == {k: list(v) for k, v in DEFAULTS.items()}
    assert api.put(API, json={"keys": {"undo": ["B"]}}, headers=ben).json()["keys"]["undo"] == ["b"]
    refusable: list[dict[str, list[str]]] = [
        {"undo": ["y"]},
        {"undo": []},
        {"dance": ["b"]},
        {"undo": ["b", "?"]},
    ]
    for wrong in refusable:
        refused = api.put(API, json={"keys": wrong}, headers=ben)
        assert refused.status_code == 422, wrong
    db.refresh(people.ben)
    assert people.ben.keys == {"undo": ["b"]}
    assert api.put(API, json={"keys": {}}, headers=ben).json()["keys"]["undo"] == ["u"]
