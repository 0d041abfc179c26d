"""No list asks the database more often because it is longer: each page and JSON list of a project is asked
for when there is one of everything, and again when there are eight.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import database
from app.accounts.links import make_link
from app.accounts.models import Person
from app.audits.models import Audit
from app.criteria.models import CriteriaVersion
from app.datasets.models import Dataset, PairDataset
from app.images.importing import create_import
from app.participants.instruments import Instrument
from app.participants.notices import write_notice
from app.projects.inviting import INVITATION_LIFETIME
from app.projects.models import Project
from app.runs.models import Run
from app.studies.models import Study
from tests.app.datasets.gallery import Gallery, open_gallery
from tests.app.web.test_pages_in_every_state import addresses
from tests.factories import Make

SignInAt = Callable[[TestClient, Person], TestClient]
MORE = 7


def add_one(gallery: Gallery, number: int) -> None:
    """One more of everything that a project lists."""
    db, make, project = gallery.db, gallery.make, gallery.project
    image = gallery.hang_many(1)[0]
    gallery.decide(image, list(gallery.nodes)[number % len(gallery.nodes)])
    make.agent_run(project, gallery.version)
    make.member(project, "annotator", f"Member {number}")
    make_link(
        db,
        "invitation",
        INVITATION_LIFETIME,
        by=gallery.people.lea,
        project_id=project.id,
        role="annotator",
    )
    create_import(db, project, source="folder", origin=f"folder {number}")
    _add_audit(db, project, gallery.version, number)
    _add_study(db, project, gallery.version, number)
    _add_run(db, make, project, gallery.version, number)
    db.commit()


def _add_audit(db: Session, project: Project, version: CriteriaVersion, number: int) -> None:
    db.add(
        Audit(
            project_id=project.id,
            name=f"Audit {number}",
            seed=number,
            sample_size=1,
            min_labels=1,
            version_id=version.id,
        )
    )


def _add_study(db: Session, project: Project, version: CriteriaVersion, number: int) -> None:
    study = Study(
        project_id=project.id,
        name=f"Study {number}",
        seed=number,
        prompts=1,
        version_id=version.id,
    )
    db.add(study)
    db.flush()
    write_notice(db, Instrument(study_id=study.id), "Please read.", by=None)


def _add_run(
    db: Session, make: Make, project: Project, version: CriteriaVersion, number: int
) -> None:
    about = {"project_id": project.id, "number": number, "name": f"Number {number}"}
    dataset = Dataset(**about, version_id=version.id, counts={}, job_id=make.job(project).id)
    pairs = PairDataset(**about, source="import", options={}, job_id=make.job(project).id)
    db.add_all([dataset, pairs])
    db.flush()
    db.add(
        Run(
            **about,
            kind="sft",
            job_id=make.job(project, kind="training").id,
            dataset_id=dataset.id,
            config={"kind": "sft"},
            folder=f"run-{number}",
        )
    )


# What is asked only where there is something to ask about, once, however many there are.
ONCE_THERE_IS_SOMETHING = {
    # How wide the interval would be, of images with enough labels to be drawn.
    "/projects/paintings/audits/new": 5,
    "/api/v1/projects/paintings/audits/population": 1,
}


@contextmanager
def counted() -> Iterator[list[str]]:
    statements: list[str] = []

    def note(*values: object) -> None:
        statements.append(str(values[2]))

    event.listen(database.engine(), "before_cursor_execute", note)
    yield statements
    event.remove(database.engine(), "before_cursor_execute", note)


def count(client: TestClient, project: Project) -> dict[str, list[str]]:
    found = {}
    for address in addresses(project):
        client.get(address, follow_redirects=False)
        with counted() as statements:
            answer = client.get(address, follow_redirects=False)
        assert answer.status_code < 500, address
        found[address] = statements
    return found


def test_a_longer_list_asks_no_more_questions(
    db: Session, make: Make, browser: TestClient, sign_in: SignInAt
) -> None:
    gallery = open_gallery(db, make)
    sign_in(browser, gallery.people.lea)
    add_one(gallery, 1)
    before = count(browser, gallery.project)
    for number in range(2, 2 + MORE):
        add_one(gallery, number)
    after = count(browser, gallery.project)
    grown = {
        address: (len(before[address]), len(after[address]))
        for address in before
        if len(after[address]) > len(before[address]) + ONCE_THERE_IS_SOMETHING.get(address, 0)
    }
    assert grown == {}
