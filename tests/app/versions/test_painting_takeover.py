"""An installation with the first edition of the painting criteria takes the second one over, labels and all."""

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.criteria.editing import add_pair
from app.criteria.importing import foresee
from app.criteria.loading import load_criteria
from app.criteria.models import Node
from app.criteria.reading import current_version, version_criteria
from app.criteria.retiring import restore
from app.images.models import Image
from app.labels.models import Label
from app.labels.saving import save
from app.versions.importing import import_criteria
from app.versions.publishing import publish
from taxonomy.formats.yaml import read_yaml
from taxonomy.shipped import painting_criteria
from taxonomy.tree import Attribute, counts
from tests.factories import Make
from tests.people import Cast, cast

FIRST = Path(__file__).parents[2] / "taxonomy" / "painting-1.yaml"

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
    load_criteria(db, found.project, read_yaml(FIRST.read_text("utf-8")), by=found.lea)
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
