"""How far two readings agree: what counts, by root dimension and polarity, in the API and as CSV."""

import csv
import io
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.labels.showing import note_shown
from app.readings import answering
from app.readings.comparing import agents_right
from tests.app.readings.conftest import Table

TokenFor = Callable[[Person], dict[str, str]]
SignIn = Callable[[TestClient, Person], TestClient]

# What Ben and Ada say of “bright” and “circle” on eight images.
FIRST = ("yy", "yn", "yy", "yn", "nn", "ny", "yn", "nn")
SECOND = ("yy", "yn", "yn", "nn", "nn", "nn", "yy", "yn")
STATE = {"y": "confirmed", "n": "rejected"}


@pytest.fixture
def read(table: Table) -> int:
    """A reading of eight images that is read; on a ninth Ada is unsure, a tenth she has seen."""
    images = []
    for answers in (*FIRST, "yy", "yy"):
        table.bench.image = table.bench.make.image(table.bench.project)
        images.append(table.bench.image.id)
        table.first(bright=STATE[answers[0]], circle=STATE[answers[1]])
    reading = table.ask()
    place = dict(zip(images, (*SECOND, "uu", "yy"), strict=True))
    while (read_id := table.claim()) is not None:
        _, image = answering.get_own(table.bench.db, table.bench.project, table.ada, read_id)
        answers = place[image.id]
        if image.id == images[-1]:
            note_shown(table.bench.db, image, table.ada)
        if answers == "uu":
            table.read(read_id, bright="unsure")
        else:
            table.read(read_id, bright=STATE[answers[0]], circle=STATE[answers[1]])
    return reading.id


def test_the_figures_are_of_what_both_decided_blind(
    table: Table, read: int, api: TestClient, token_for: TokenFor
) -> None:
    root = f"/api/v1/projects/{table.bench.project.slug}/readings/{read}/agreement"
    assert api.get(root, headers=token_for(table.ada)).status_code == 403
    found = api.get(root, headers=token_for(table.lea)).json()
    whole, positive, negative, *parts = found["rows"]
    assert (whole["items"], whole["images"], whole["agreed"]) == (16, 8, 11)
    assert (found["images"], found["left_out"]) == (10, 4)
    # Yes 8 and 7 times of 16, so that chance alone would make half of them agree.
    assert whole["kappa"]["value"] == pytest.approx((11 / 16 - 1 / 2) / (1 - 1 / 2), abs=1e-9)
    assert whole["kappa"]["interval"][0] < whole["kappa"]["value"] < whole["kappa"]["interval"][1]
    assert positive["items"] == 16
    assert (negative["items"], negative["kappa"]["value"]) == (0, None)
    light = next(each for each in parts if each["root_dimension"] == "Light")
    assert (light["polarity"], light["items"], light["agreed"]) == (None, 8, 6)
    agents = found["agents_right"]
    assert (agents["confirmed"], agents["decided"], agents["images"]) == (7, 16, 8)


def test_the_page_and_the_file_say_the_same(
    table: Table, read: int, browser: TestClient, sign_in: SignIn
) -> None:
    sign_in(browser, table.lea)
    page = f"/projects/{table.bench.project.slug}/readings/{read}"
    shown = browser.get(page).text
    rows = list(
        csv.DictReader(io.StringIO(browser.get(f"{page}/agreement.csv").text.lstrip("\ufeff")))
    )
    assert [rows[0]["root_dimension"], rows[0]["polarity"], rows[0]["items"]] == [
        "all",
        "both",
        "16",
    ]
    for name in ("kappa", "alpha", "ac1"):
        assert f"{float(rows[0][name]):.2f}" in shown


def test_an_interval_needs_images_that_differ() -> None:
    assert agents_right({}).share is None
    assert agents_right({1: (1, 2)}).interval is None
    assert agents_right({1: (1, 2), 2: (2, 4)}).interval is None
    # Three clusters of one: the interval of a mean, by hand.
    found = agents_right({1: (1, 1), 2: (1, 1), 3: (0, 1)})
    assert found.share == pytest.approx(2 / 3)
    assert found.interval == (0.0, 1.0)
