"""What the measured agent sees in an image, drawn over it: who draws it and when, what it says, and that it goes with the
image.
"""

import io
import json
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image as Pillow
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.images import importing, storage
from app.images.measuring import names_of
from app.images.models import Image
from app.jobs.models import Job
from app.labels.access import COOKIE
from app.labels.showing import was_shown
from taxonomy.shipped import painting_criteria
from taxonomy.tree import Attribute, Criteria, Dimension, Pair, Side
from tests.factories import Make
from tests.people import Cast, cast
from worker import ledger
from worker.agents import drawing
from worker.agents.measured import VERSION, label_image

SignIn = Callable[[TestClient, Person], TestClient]
HANDLERS: dict[str, ledger.Handler] = {"measures": drawing.run}


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


def halves() -> Pillow.Image:
    """A light sky over a dark ground, with a hard border between them."""
    pixels = np.full((300, 400, 3), (200, 215, 230), np.uint8)
    pixels[180:] = (60, 50, 30)
    return Pillow.fromarray(pixels)


def kept(db: Session, people: Cast) -> Image:
    data = io.BytesIO()
    halves().save(data, "PNG")
    row = importing.create_import(db, people.project, source="demo", origin="test")
    importing.add_image(db, people.project, row.id, "halves.png", data.getvalue())
    db.commit()
    return db.scalars(select(Image).order_by(Image.id.desc()).limit(1)).one()


def jobs(db: Session) -> list[Job]:
    return list(db.scalars(select(Job).where(Job.kind == "measures").order_by(Job.id)))


def address(image: Image) -> str:
    return f"/projects/paintings/images/{image.id}/measures"


def test_a_worker_draws_it_once_and_the_page_shows_it(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    image = kept(db, people)
    ben = sign_in(browser, people.ben)
    for _ in range(2):
        page = ben.get(address(image)).text
        assert "A worker is drawing" in page
        assert "every 2s" in page
    (job,) = jobs(db)
    assert ledger.run(job.id, HANDLERS)
    page = ben.get(address(image)).text
    assert "every 2s" not in page
    assert 'class="layer-masses"' in page and "Palette" in page
    assert "squinted contrast" in page
    assert len(jobs(db)) == 1
    # It tells what the agent proposes: whoever has looked does not count as blind any more.
    assert was_shown(db, image, people.ben)
    for way in (
        f"/projects/paintings/images/{image.id}",
        f"/projects/paintings/images/{image.id}/about",
    ):
        assert address(image) in ben.get(way).text


def test_what_is_drawn_is_what_is_proposed_and_lies_where_it_is() -> None:
    drawn = drawing.draw(halves())
    proposed = {(each["key"], each["polarity"]) for each in drawn["rules"] if each["proposed"]}
    assert proposed == {(each.key, each.polarity) for each in label_image(halves())}
    assert (drawn["width"], drawn["height"]) == (1000, 750)
    paths = {each["key"]: each["path"] for each in drawn["layers"]}
    heights = [float(step.split()[1].split("h")[0]) for step in paths["hard"].split("M")[1:]]
    assert heights
    assert all(abs(each - 450) < 8 for each in heights)  # the border, three fifths down
    assert paths["soft"] == paths["border"] == ""
    assert abs(float(paths["middle"][1:].split()[0]) - 500) < 1
    assert [round(each["share"], 1) for each in drawn["palette"][:2]] == [0.6, 0.4]


def test_what_is_drawn_lies_on_the_picture_inside_a_border() -> None:
    page = Pillow.new("RGB", (600, 500), "white")
    page.paste(halves(), (100, 100))
    drawn = drawing.draw(page)
    assert (drawn["width"], drawn["height"]) == pytest.approx((1000, 833), abs=3)
    path = next(each["path"] for each in drawn["layers"] if each["key"] == "hard")
    heights = [float(step.split()[1].split("h")[0]) for step in path.split("M")[1:]]
    assert heights
    assert all(abs(each - 1000 * 280 / 600) < 8 for each in heights)
    border = next(each["path"] for each in drawn["layers"] if each["key"] == "border")
    corner = [float(each) for each in border[1:].split("h")[0].split()]
    assert corner == pytest.approx([1000 / 6, 1000 / 6], abs=2)


def test_it_is_drawn_anew_for_another_version_of_the_agent(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    image = kept(db, people)
    storage.put(storage.key_of("measures", image.sha256), b'{"version": "1"}')
    ben = sign_in(browser, people.ben)
    assert "A worker is drawing" in ben.get(address(image)).text
    (job,) = jobs(db)
    assert ledger.run(job.id, HANDLERS)
    assert f"Version {VERSION} of the agent" in ben.get(address(image)).text
    # By a worker of an earlier release: shown, and not asked for over and over.
    old = json.loads(storage.get(storage.key_of("measures", image.sha256))) | {"version": "1"}
    storage.put(storage.key_of("measures", image.sha256), json.dumps(old).encode())
    assert "Version 1 of the agent" in ben.get(address(image)).text
    assert len(jobs(db)) == 1


def test_what_these_criteria_do_not_have_is_not_told_and_a_name_is_where_it_went(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    """An attribute of one's own that took the name of a shipped one is what the rule is about now."""
    name = painting_criteria().pair("clear-edges").positive.name
    pairs = (
        Pair("mine", "opposed", Attribute(name), Attribute("Smeared")),
        Pair("limited-palette", "opposed", Attribute("Few hues"), Attribute("Paint box")),
    )
    criteria = Criteria("Own", dimensions=(Dimension("d", "D", pairs=pairs),))
    assert names_of(criteria) == {
        Side("clear-edges", "positive"): name,
        Side("limited-palette", "positive"): "Few hues",
        Side("limited-palette", "negative"): "Paint box",
    }
    assert names_of(painting_criteria())[Side("clear-edges", "positive")] == name
    image = kept(db, people)
    ben = sign_in(browser, people.ben)
    ben.get(address(image))
    assert ledger.run(jobs(db)[0].id, HANDLERS)
    rows = ben.get(address(image)).text.split('<th scope="rowgroup"')[1:]
    assert not any("-edges" in row.split("</th>")[0] for row in rows)


def test_a_picture_too_small_for_borders_says_so() -> None:
    drawn = drawing.draw(Pillow.new("RGB", (20, 10), (90, 90, 90)))
    conditions = {c["measure"]: c for rule in drawn["rules"] for c in rule["conditions"]}
    assert conditions["edge width"]["value"] is None
    assert conditions["edge width"]["holds"] is False


def test_who_hides_suggestions_is_not_shown_it_and_others_find_nothing(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    image = kept(db, people)
    ben = sign_in(browser, people.ben)
    ben.cookies.set(COOKIE, "hide")
    assert ben.get(address(image)).status_code == 403
    assert address(image) not in ben.get(f"/projects/paintings/images/{image.id}").text
    assert sign_in(browser, people.dora).get(address(image)).status_code in (403, 404)
    assert jobs(db) == []
    assert not was_shown(db, image, people.ben)


def test_it_goes_with_an_image_that_is_erased_and_is_drawn_anew_where_it_was_cut(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    image = kept(db, people)
    lea = sign_in(browser, people.lea)
    key = storage.key_of("measures", image.sha256)
    storage.put(key, b'{"cut sho')
    assert "A worker is drawing" in lea.get(address(image)).text
    ledger.run(jobs(db)[0].id, HANDLERS)
    assert "Palette" in lea.get(address(image)).text
    storage.remove(image.sha256)
    assert not storage.exists(key)
