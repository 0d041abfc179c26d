"""A project with small criteria and the people around it."""

import pytest
from sqlalchemy.orm import Session

from app.criteria.loading import load_criteria
from tests.app.criteria.trees import SMALL
from tests.app.versions.lineage import House
from tests.factories import Make
from tests.people import Cast, cast


@pytest.fixture
def people(make: Make, db: Session) -> Cast:
    """The cast, with small criteria loaded by Lea."""
    found = cast(make)
    load_criteria(db, found.project, SMALL, by=found.lea)
    db.commit()
    return found


@pytest.fixture
def house(db: Session, make: Make, people: Cast) -> House:
    return House(db, make, people)
