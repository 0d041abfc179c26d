"""Every page of a project, from an empty one to one with labels that somebody decided: each answers."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.labels.models import Label
from app.main import routes
from app.projects.models import Project
from tests.app.datasets.gallery import Gallery, open_gallery
from tests.factories import Make
from tests.people import cast

SignInAt = Callable[[TestClient, Person], TestClient]
# What a page without its thing says: there is none, not that the server failed.
FINE = {200, 204, 303, 404, 409, 422}


def empty(db: Session, make: Make) -> tuple[Project, Person]:
    """Nothing in it."""
    people = cast(make)
    return people.project, people.lea


def unpublished(db: Session, make: Make) -> tuple[Project, Person]:
    """Criteria nobody has published, and images."""
    people = cast(make)
    make.pair(people.project, make.dimension(people.project))
    make.image(people.project)
    return people.project, people.lea


def pictures(db: Session, make: Make) -> tuple[Project, Person]:
    """Published criteria and images without a label."""
    gallery = open_gallery(db, make)
    gallery.hang_many(2)
    return gallery.project, gallery.people.lea


def _with_proposals(db: Session, make: Make) -> Gallery:
    gallery = open_gallery(db, make)
    gallery.hang_many(2)
    gallery.work(gallery.launch()[1])
    assert gallery.labels()
    return gallery


def proposals(db: Session, make: Make) -> tuple[Project, Person]:
    """The agent's labels, and nobody has looked at them."""
    gallery = _with_proposals(db, make)
    return gallery.project, gallery.people.lea


def rejections(db: Session, make: Make) -> tuple[Project, Person]:
    """Labels that were all rejected: there is nothing to learn from."""
    gallery = _with_proposals(db, make)
    db.query(Label).update({"state": "rejected"})
    db.commit()
    return gallery.project, gallery.people.lea


def decisions(db: Session, make: Make) -> tuple[Project, Person]:
    """One image with a confirmed label, one that is barely begun."""
    gallery = _with_proposals(db, make)
    gallery.decide(gallery.hang_many(1)[0], "wide-tonal-range")
    return gallery.project, gallery.people.lea


STATES = (empty, unpublished, pictures, proposals, rejections, decisions)


def addresses(project: Project) -> list[str]:
    """Each page of a project that needs no other number; what a form beside it asks for belongs to it."""
    own = [
        each.path for each in routes() if "GET" in (each.methods or ()) and "{project}" in each.path
    ]
    found = [each.replace("{project}", project.slug) for each in own]
    return [each for each in found if "{" not in each]


@pytest.mark.parametrize("state", STATES, ids=lambda each: each.__name__)
def test_each_page_answers(
    state: Callable[[Session, Make], tuple[Project, Person]],
    db: Session,
    make: Make,
    browser: TestClient,
    htmx: TestClient,
    sign_in: SignInAt,
) -> None:
    project, lead = state(db, make)
    for client in (browser, htmx):
        sign_in(client, lead)
        for address in addresses(project):
            answer = client.get(address, follow_redirects=False)
            assert answer.status_code in FINE, address
