"""An installation with the first edition of the painting criteria takes the second one over, labels and all."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.editing import add_pair, describe
from app.criteria.importing import foresee
from app.criteria.loading import load_criteria
from app.criteria.models import Node
from app.criteria.reading import current_version, version_criteria, working_criteria
from app.criteria.retiring import restore
from app.images.models import Image
from app.labels.models import Label
from app.labels.saving import save
from app.versions.importing import import_criteria
from app.versions.publishing import publish
from taxonomy.formats.yaml import write_yaml
from taxonomy.shipped import painting_criteria, painting_edition
from taxonomy.tree import Attribute, counts
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]

# What was labeled under the first edition, and what the labels say under the second.
CARRIED = {
    ("clear-edges", "positive"): {("clear-edges", "positive"): "confirmed"},
    ("economy-of-marks", "positive"): {("decisive-strokes", "positive"): "confirmed"},
    ("thirds-placement", "negative"): {("off-center-placement", "negative"): "confirmed"},
    ("passage", "positive"): {("lost-and-found-edges", "positive"): "confirmed"},
    ("visible-brushwork", "negative"): {
        ("brushwork-in-evidence", "negative"): "proposed",
        ("polished-finish", "negative"): "proposed",
    },
    ("three-point-perspective", "positive"): {
        ("three-point-convergence", "positive"): "proposed",
        ("upright-verticals", "positive"): "proposed",
    },
}


@pytest.fixture
def people(make: Make, db: Session) -> Cast:
    """The cast, with the first edition published by Lea."""
    found = cast(make)
    load_criteria(db, found.project, painting_edition(1), by=found.lea)
    publish(db, found.project, by=found.lea)
    db.commit()
    return found


def say(db: Session, people: Cast, image: Image, key: str, polarity: str) -> None:
    save(
        db,
        people.project,
        image.id,
        key=key,
        polarity=polarity,
        state="confirmed",
        based_on=image.label_revision,
        operation_id=uuid4(),
        by=people.ben,
    )
    db.commit()


def said(db: Session, image: Image) -> dict[tuple[str, str], str]:
    """What the labels of an image say of pairs in use."""
    rows = db.execute(
        select(Node.key, Label.polarity, Label.state)
        .join(Node)
        .where(Label.image_id == image.id, ~Node.removed)
    )
    return {(key, polarity): state for key, polarity, state in rows}


def test_labels_of_the_first_edition_go_on_under_the_second(
    make: Make, db: Session, people: Cast
) -> None:
    images = {held: make.image(people.project) for held in CARRIED}
    for (key, polarity), image in images.items():
        say(db, people, image, key, polarity)
    second = painting_criteria()
    seen = foresee(db, people.project, second)
    assert not [each for each in seen.problems if each.severity == "error"]
    assert not [each for each in seen.changes if each.kind == "removed"]
    import_criteria(db, people.project, second, based_on=seen.based_on, by=people.lea)
    publish(db, people.project, by=people.lea)
    db.commit()
    db.expire_all()
    version = current_version(db, people.project)
    assert version is not None
    assert version_criteria(version) == second
    assert {held: said(db, image) for held, image in images.items()} == CARRIED


def test_what_people_added_is_retired_and_comes_back(make: Make, db: Session, people: Cast) -> None:
    own = add_pair(
        db,
        people.project,
        parent="light-character",
        relation="opposed",
        positive=Attribute("Snow light", "Light comes from the ground."),
        negative=Attribute("Snow as paper", "White ground gives no light."),
        by=people.ada,
    )
    publish(db, people.project, by=people.lea)
    image = make.image(people.project)
    say(db, people, image, own.key, "positive")
    based_on = foresee(db, people.project, painting_criteria()).based_on
    import_criteria(db, people.project, painting_criteria(), based_on=based_on, by=people.lea)
    assert own.retired
    restore(db, people.project, own.key, based_on=own.revision, by=people.lea)
    publish(db, people.project, by=people.lea)
    db.commit()
    version = current_version(db, people.project)
    assert version is not None
    assert counts(version_criteria(version)).attribute_pairs == 247
    assert said(db, image) == {(own.key, "positive"): "confirmed"}


def test_the_page_says_that_a_newer_edition_is_there_and_takes_it_over(
    make: Make, db: Session, people: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    """With what becomes of labels, and links to the images, before anything is changed."""
    here = f"/projects/{people.project.slug}/criteria"
    images = [make.image(people.project) for _ in range(3)]
    for image, (key, polarity) in zip(
        images,
        [("passage", "positive"), ("passage", "positive"), ("visible-brushwork", "negative")],
        strict=True,
    ):
        say(db, people, image, key, polarity)
    assert "A newer edition" not in sign_in(browser, people.ben).get(here).text
    assert "A newer edition" in sign_in(browser, people.lea).get(here).text
    page = browser.get(f"{here}/edition").text
    assert "changes in edition 2" in page
    row = " ".join(re.findall(r"<tr><td>“Passage.*?</tr>", page, re.DOTALL)[0].split())
    assert "merged into “Lost-and-found edges" in row
    assert f'href="{here}/nodes/passage/images"' in row
    assert '<td class="num">2</td> <td class="num">2</td>'.replace("> <", "><") in row
    assert "“Visible brushwork / Licked surface” was split into" in page
    fields = dict(re.findall(r'<input type="hidden" name="(based_on)" value="([^"]*)"', page))
    answer = browser.post(f"{here}/edition", data=fields)
    assert answer.status_code == 303
    assert "A newer edition" not in browser.get(here).text
    assert browser.get(f"{here}/edition").headers["location"] == here
    publish(db, people.project, by=people.lea)
    db.commit()
    assert said(db, images[0]) == {("lost-and-found-edges", "positive"): "confirmed"}


def test_of_what_both_changed_people_choose(
    db: Session,
    people: Cast,
    browser: TestClient,
    sign_in: SignIn,
    api: TestClient,
    token_for: Tokens,
) -> None:
    """The page shows both and keeps the project's words where nothing is ticked; programs say the same."""
    key = "value-governed-edges"
    dark, edges = (
        [painting_edition(each).pair(name) for each in (1, 2)] for name in ("tenebrism", key)
    )
    by = people.ada
    describe(db, people.project, "tenebrism", based_on=1, by=by, negative="As we <see> it.")
    describe(db, people.project, key, based_on=1, by=by, positive="Ours.")
    db.commit()
    here = f"/projects/{people.project.slug}/criteria"
    page = unescape(sign_in(browser, people.lea).get(f"{here}/edition").text)
    for text in ("As we <see> it.", *(each.negative.definition for each in dark)):
        assert text in page
    api.headers.update(token_for(people.lea))
    found = api.get(f"/api/v1{here}/edition").json()
    places = {"tenebrism/negative.definition", f"{key}/positive.definition"}
    assert {each["place"] for each in found["both"]} == places
    based_on = found["foreseen"]["based_on"]
    wrong = api.post(f"/api/v1{here}/edition", json={"based_on": based_on, "theirs": ["x/name"]})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "theirs")
    chosen = {"theirs": f"{key}/positive.definition"}
    stale = browser.post(f"{here}/edition", data={"based_on": 1} | chosen)
    assert stale.status_code == 412
    assert f'value="{key}/positive.definition" checked' in stale.text
    assert browser.post(f"{here}/edition", data={"based_on": based_on} | chosen).status_code == 303
    db.expire_all()
    now = working_criteria(db, people.project)
    assert now.pair("tenebrism").negative.definition == "As we <see> it."
    assert now.pair(key).positive.definition == edges[1].positive.definition


def test_programs_take_it_over_and_own_nodes_stay_in_use(
    make: Make, db: Session, people: Cast, api: TestClient, token_for: Tokens
) -> None:
    own = add_pair(
        db,
        people.project,
        parent="light-character",
        relation="opposed",
        positive=Attribute("Snow light", "Light comes from the ground."),
        negative=Attribute("Snow as paper", "White ground gives no light."),
        by=people.ada,
    )
    publish(db, people.project, by=people.lea)
    db.commit()
    image = make.image(people.project)
    say(db, people, image, own.key, "positive")
    here = f"/api/v1/projects/{people.project.slug}/criteria"
    api.headers.update(token_for(people.lea))
    found = api.get(f"{here}/edition").json()
    assert (found["edition"], found["newest"]) == (1, 2)
    assert "retired" not in {each["kind"] for each in found["foreseen"]["changes"]}
    assert all(each["images"] == 0 for each in found["foreseen"]["succession"])
    body = {"based_on": found["foreseen"]["based_on"]}
    assert api.post(f"{here}/edition", json=body | {"based_on": 1}).status_code == 412
    assert api.post(f"{here}/edition", json=body).status_code == 201
    assert api.post(f"{here}/versions", json={}).status_code == 201
    none: dict[str, Any] = {"edition": None, "newest": None, "foreseen": None, "both": []}
    assert api.get(f"{here}/edition").json() == none
    assert api.post(f"{here}/edition", json=body).status_code == 409
    db.expire_all()
    version = current_version(db, people.project)
    assert version is not None
    assert counts(version_criteria(version)).attribute_pairs == 247
    assert said(db, image) == {(own.key, "positive"): "confirmed"}


def test_a_file_s_preview_counts_labels(
    make: Make, db: Session, people: Cast, api: TestClient, token_for: Tokens
) -> None:
    for key in ("passage", "lost-and-found-edges"):
        say(db, people, make.image(people.project), key, "positive")
    here = f"/api/v1/projects/{people.project.slug}/criteria"
    body = {"content": write_yaml(painting_criteria()), "file": "painting.yaml"}
    found = api.post(f"{here}/import/preview", json=body, headers=token_for(people.lea)).json()
    [moved] = [each for each in found["succession"] if "passage" in each["old"]]
    assert (moved["kind"], moved["new"]) == ("merge", ["lost-and-found-edges"])
    assert (moved["confirmed"], moved["images"], moved["disputed"]) == (1, 1, 0)
    merged = next(each for each in found["touched"] if each["kind"] == "merged")
    assert merged["effect"] == "carried over; where they disagree, proposed for review"
