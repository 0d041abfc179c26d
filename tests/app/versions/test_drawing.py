"""The picture of the criteria: what its colours say, and the file that goes into a paper."""

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.merging import merge
from app.criteria.reading import get_node
from app.criteria.saying import list_traits, say
from app.images.models import ImageTrait
from app.labels.models import Label
from app.versions import drawing
from app.versions.counting import LabelCounts
from app.versions.publishing import publish
from taxonomy.tree import Attribute, Criteria, Dimension, Pair, Side
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast

SignIn = Callable[[TestClient, Person], TestClient]
HERE = "/projects/paintings/criteria"
SVG = "{http://www.w3.org/2000/svg}"


def pair(key: str) -> Pair:
    return Pair(key, "opposed", Attribute(f"{key} well"), Attribute(f"{key} badly"))


TREE = Criteria("Tree", dimensions=(Dimension("d", "D", pairs=(pair("a"), pair("b"))),))


def test_usage_is_counted_by_attribute_and_is_a_mean_for_a_dimension() -> None:
    counts = {"a": LabelCounts(positive=30, negative=1, proposed=31)}
    found = drawing.by_usage(TREE, counts)
    assert found.shades["a", "positive"] == drawing.Shade(4, "30 labels")
    assert found.shades["a", "negative"] == drawing.Shade(0, "1 label")
    assert found.shades["b", "positive"].step is None
    assert found.shades["d", None].said == "31 labels, 7.8 an attribute"
    assert found.legend == ("1 to 2", "3 to 4", "5 to 8", "9 to 15", "16 to 30")
    assert found.rests_on == "31 labels"


@pytest.mark.parametrize(("most", "legend"), [(0, ()), (1, ("1",)), (3, ("1", "2", "3"))])
def test_a_scale_for_few_labels_has_fewer_steps(most: int, legend: tuple[str, ...]) -> None:
    found = drawing.by_usage(TREE, {"a": LabelCounts(positive=most)})
    assert found.legend == legend
    steps = [each.step for each in found.shades.values() if each.step is not None]
    assert all(step < len(legend) for step in steps)


def test_the_share_of_negatives_is_that_of_all_labels_below() -> None:
    counts = {"a": LabelCounts(positive=1, negative=3), "b": LabelCounts(positive=16)}
    found = drawing.by_negatives(TREE, counts)
    assert found.shades["a", "positive"] == drawing.Shade(3, "3 of 4 labels are negative")
    assert found.shades["d", None] == drawing.Shade(0, "3 of 20 labels are negative")
    assert found.rests_on == "20 labels"


def test_accuracy_is_that_of_verdicts_and_none_is_none() -> None:
    verdicts = {Side("a", "positive"): (19, 20), Side("a", "negative"): (1, 10)}
    found = drawing.by_accuracy(TREE, verdicts)
    assert found.shades["a", "positive"] == drawing.Shade(4, "found in 19 of 20 verdicts")
    assert found.shades["a", "negative"].step == 0
    assert found.shades["b", "negative"] == drawing.Shade(None, "no verdict yet")
    assert found.shades["d", None].said == "found in 20 of 30 verdicts"


def test_page_and_file_show_the_tree_with_its_labels(
    db: Session, make: Make, people: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    version = publish(db, people.project, note="", by=people.ada, based_on=1)
    first = SMALL.pairs()[0]
    db.add(
        Label(
            project_id=people.project.id,
            image_id=make.image(people.project).id,
            node_id=get_node(db, people.project, first.key).id,
            polarity="positive",
            state="confirmed",
            source="person",
            version_id=version.id,
            revision=1,
        )
    )
    db.commit()
    sign_in(browser, people.ben)
    page = browser.get(f"{HERE}/picture")
    assert page.status_code == 200
    assert f"<title>{first.positive.name} (positive): 1 label</title>" in page.text
    root = SMALL.dimensions[0]
    below = browser.get(f"{HERE}/picture", params={"at": root.key, "coloured_by": "negatives"})
    assert below.status_code == 200
    assert f"<title>{root.name}:" not in below.text
    for colour in ("usage", "negatives", "accuracy"):
        got = browser.get(f"{HERE}/picture.svg", params={"coloured_by": colour})
        assert got.headers["content-type"].startswith("image/svg+xml")
        drawn = ET.fromstring(got.text)
        titles = [each.text or "" for each in drawn.iter(f"{SVG}title")]
        assert len(titles) == 1 + sum(
            2 if isinstance(e.node, Pair) else 1 for e in SMALL.walk() if not e.retired
        )


def test_what_is_not_there_is_drawn_whole_or_not_found(
    people: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    sign_in(browser, people.ben)
    whole = browser.get(f"{HERE}/picture").text
    assert browser.get(f"{HERE}/picture?at=no-such-key").status_code == 404
    assert browser.get(f"{HERE}/picture?at={SMALL.pairs()[0].key}").status_code == 404
    assert browser.get(f"{HERE}/picture?coloured_by=mood").status_code == 422
    assert "step-none" in whole


def test_what_left_the_tree_is_not_drawn(
    db: Session, people: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    seen = {"glow": 1, "clear-edges": 1}
    merge(db, people.project, list(seen), into="clear-edges", based_on=seen, by=people.ada)
    db.commit()
    sign_in(browser, people.ben)
    page = browser.get(f"{HERE}/picture").text
    assert "<title>Clear edges (positive)" in page
    assert "<title>Glow (positive)" not in page


def test_what_a_style_makes_description_or_a_merit_is_no_negative(
    db: Session, make: Make, people: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    """Whether metadata says it, a person or an agent; what a person denies counts as it stands."""
    by = people.ada
    styles = {"haze": {"name": "Haze", "alternatives": ["Fog"]}, "noir": {"name": "Noir"}}
    list_traits(db, people.project, based_on=1, by=by, content={}, styles=styles)
    reads = {"haze": "neutral", "noir": "positive"}
    said = {"negative": {"styles": reads}}
    node = say(db, people.project, "clear-edges", based_on=1, by=by, said=said)
    version = publish(db, people.project, by=by)
    run = make.agent_run(people.project, version)
    stated: list[list[tuple[str, str, bool]]] = [
        [],
        [("haze", "person", True)],
        [("haze", "agent", True)],
        [("haze", "person", False)],
        [("noir", "agent", True), ("haze", "person", True)],
    ]
    for number, each in enumerate(stated):
        image = make.image(people.project)
        image.details = {"style": "Dusk; fog"} if number in (0, 3) else {}
        for value, source, present in each:
            who = {"person_id": by.id} if source == "person" else {"agent_run_id": run.id}
            db.add(
                ImageTrait(
                    image_id=image.id,
                    kind="style",
                    value=value,
                    source=source,
                    present=present,
                    **who,
                )
            )
        for polarity in ("positive", "negative"):
            db.add(
                Label(
                    project_id=people.project.id,
                    image_id=image.id,
                    node_id=node.id,
                    polarity=polarity,
                    state="confirmed",
                    source="person",
                    version_id=version.id,
                    revision=1,
                )
            )
    db.commit()
    sign_in(browser, people.ben)
    page = browser.get(f"{HERE}/picture?coloured_by=negatives").text
    # Three of the five read neutral, one as a merit, and one as its side says.
    assert "<title>Blurred edges (negative): 1 of 7 labels are negative</title>" in page
    assert (
        "<title>Blurred edges (negative): 5 labels</title>" in browser.get(f"{HERE}/picture").text
    )
