"""Prompts and metadata from a list: looked at first, then taken over whole."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.images.correcting import correct_image
from app.images.models import Image, ImageEvent
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
Headers = Callable[[Person], dict[str, str]]
API = "/api/v1/projects/paintings/images/captions"
PAGE = "/projects/paintings/images/list"
LIST = (
    "file,prompt,painter,year\n"
    "a.png,olive trees,N. N.,1889\n"
    "sub/b.png,the same,,\n"
    "gone.png,x,,\n"
    "c.png,which,,\n"
    "A.PNG,again,,\n"
)


@pytest.fixture
def people(make: Make) -> Cast:
    found = cast(make)
    make.image(found.project, name="a.png", prompt="olive tress", details={"year": 1889})
    make.image(found.project, name="sub/b.png", prompt="the same")
    for folder in ("x", "y"):
        make.image(found.project, name=f"{folder}/c.png")
    make.image(make.project(), name="gone.png")
    return found


def sent(text: str = LIST, name: str = "list.csv") -> dict[str, Any]:
    return {"files": {"files": (name, text.encode())}}


def test_a_program_looks_and_takes_over(
    api: TestClient, db: Session, people: Cast, token_for: Headers
) -> None:
    lea = token_for(people.lea)
    assert api.post(API, headers=token_for(people.ben), **sent()).status_code == 403
    plan = api.post(API, headers=lea, **sent()).json()
    assert (plan["num_changes"], plan["num_unchanged"], plan["num_unused"]) == (1, 1, 3)
    (change,) = plan["changes"]
    assert change["after"] == {"prompt": "olive trees", "painter": "N. N."}
    assert change["before"] == {"prompt": "olive tress", "painter": None}
    reasons = {each["location"]: each["reason"] for each in plan["unused"]}
    assert "No image" in reasons["gone.png"] and "any of 2" in reasons["c.png"]
    assert "named before, in line 2" in reasons["A.PNG"]
    assert not db.scalars(select(ImageEvent)).all() and not plan["is_applied"]

    wrong = api.post(API, params={"digest": "0" * 64}, headers=lea, **sent())
    assert wrong.status_code == 412
    done = api.post(API, params={"digest": plan["digest"]}, headers=lea, **sent()).json()
    assert done["is_applied"] and done["num_changes"] == 1
    event = db.scalars(select(ImageEvent)).one()
    assert (event.kind, event.person_id) == ("list", people.lea.id)
    assert api.post(API, headers=lea, **sent()).json()["num_changes"] == 0


def test_the_page_shows_what_would_change_before_it_does(
    browser: TestClient, db: Session, people: Cast, sign_in: SignIn
) -> None:
    lea = sign_in(browser, people.lea)
    image = db.scalars(select(Image).where(Image.name == "a.png")).one()
    correct_image(db, people.project, image.id, based_on=1, prompt="by hand", by=people.ben)
    db.commit()
    assert "Look at what would change" in lea.get(PAGE).text
    page = lea.post(PAGE, **sent()).text
    assert "written here by Ben" in page and "Take over 1 change" in page
    token = page.split(f'action="{PAGE}/')[1][:32]
    digest = page.split('name="digest" value="')[1][:64]
    db.refresh(image)
    assert image.prompt == "by hand"
    # Somebody changes it meanwhile: what would change now is shown, and nothing is lost.
    correct_image(db, people.project, image.id, based_on=2, prompt="meanwhile", by=people.ben)
    db.commit()
    stale = lea.post(f"{PAGE}/{token}", data={"digest": digest})
    assert stale.status_code == 412 and "meanwhile" in stale.text
    digest = stale.text.split('name="digest" value="')[1][:64]
    assert lea.post(f"{PAGE}/{token}", data={"digest": digest}).status_code == 303
    db.refresh(image)
    assert (image.prompt, image.details["painter"]) == ("olive trees", "N. N.")
    gone = lea.post(f"{PAGE}/{token}", data={"digest": digest})
    assert gone.status_code == 422 and "send it again" in gone.text


def test_lines_of_json_and_what_is_no_list(
    api: TestClient, people: Cast, token_for: Headers
) -> None:
    lea = token_for(people.lea)
    line = '{"file_name": "a.png", "text": "olive trees"}\n'
    plan = api.post(API, headers=lea, **sent(line, "list.jsonl")).json()
    assert plan["changes"][0]["after"] == {"prompt": "olive trees"}
    bad = api.post(API, headers=lea, **sent("nothing here"))
    assert bad.status_code == 422 and bad.json()["field"] == "files"
