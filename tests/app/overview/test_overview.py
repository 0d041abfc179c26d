"""The project's first page: numbers that are right, and a loop whose steps turn done."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.audits.models import Audit, AuditItem, Judgement
from app.criteria.models import CriteriaVersion, Node
from app.datasets.models import Dataset
from app.images.models import Image
from app.labels.models import Label
from app.labels.proposing import Proposed, propose
from app.participants.models import Participant
from app.runs.models import Run
from tests.factories import Make
from tests.people import Cast, cast

SignInAt = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
PAGE, API = "/projects/paintings", "/api/v1/projects/paintings/overview"
STEPS = ("Criteria", "Images", "Agent", "Correction", "Audit", "Dataset", "SFT", "CPO")


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


def overview(api: TestClient, headers: dict[str, str]) -> dict[str, Any]:
    answer = api.get(API, headers=headers)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def done(found: dict[str, Any]) -> list[str]:
    return [step["name"] for step in found["steps"] if step["done"]]


def test_an_empty_project_says_what_to_do(
    browser: TestClient, api: TestClient, people: Cast, sign_in: SignInAt, token_for: TokenFor
) -> None:
    found = overview(api, token_for(people.ben))
    assert found == {
        "criteria_version": None,
        "images": 0,
        "images_done": 0,
        "labels": {"proposed": 0, "confirmed": 0, "rejected": 0, "unsure": 0},
        "agent_runs": 0,
        "audits": 0,
        "judgements": 0,
        "datasets": 0,
        "runs": {"sft": 0, "cpo": 0},
        "steps": [{"name": name, "state": "", "done": False} for name in STEPS],
    }
    page = sign_in(browser, people.ben).get(PAGE)
    assert page.status_code == 200
    assert "No images yet" in page.text
    assert "not published yet" in page.text
    assert "is-done" not in page.text
    assert "Correct labels" not in page.text


class Story:
    """A project on its way through the loop."""

    def __init__(self, db: Session, make: Make, people: Cast) -> None:
        self.db, self.make, self.people = db, make, people
        parent = make.dimension(people.project)
        self.pair: Node = make.pair(people.project, parent)
        self.version: CriteriaVersion
        self.images: list[Image] = []
        self.dataset: Dataset

    def publish(self) -> None:
        self.version = self.make.version(self.people.project)

    def bring_images(self) -> None:
        self.images = [self.make.image(self.people.project) for _ in range(3)]

    def propose(self) -> None:
        run = self.make.agent_run(self.people.project, self.version, images=3)
        findings = [Proposed(each.id, self.pair.id, "positive") for each in self.images]
        run.labels = propose(
            self.db,
            self.people.project,
            agent_run_id=run.id,
            version_id=self.version.id,
            findings=findings,
        )
        self.db.commit()

    def correct(self) -> None:
        labels = self.db.query(Label).order_by(Label.id).all()
        labels[0].state, labels[1].state = "confirmed", "rejected"
        self.images[0].done_at = self.images[0].created_at
        self.db.commit()

    def audit(self) -> None:
        keep = self.make._keep
        audit = keep(
            Audit(
                project_id=self.people.project.id,
                name="First",
                seed=1,
                sample_size=1,
                version_id=self.version.id,
                min_labels=1,
            )
        )
        item = keep(
            AuditItem(
                audit_id=audit.id,
                image_id=self.images[0].id,
                node_id=self.pair.id,
                polarity="positive",
                image_position=0,
                root_key="root",
            )
        )
        one = keep(Participant(audit_id=audit.id, number=1, token_hash=b"1"))
        keep(Judgement(audit_id=audit.id, participant_id=one.id, item_id=item.id, answer="appears"))

    def freeze(self) -> None:
        self.dataset = self.make._keep(
            Dataset(
                project_id=self.people.project.id,
                number=1,
                name="First",
                version_id=self.version.id,
                folder="first",
                manifest_sha256="0" * 64,
            )
        )

    def train(self, number: int, kind: str, state: str = "succeeded") -> Run:
        expert = self.db.query(Run).order_by(Run.id).first() if kind != "sft" else None
        job = self.make.job(self.people.project, kind="training", state=state)
        run: Run = self.make._keep(
            Run(
                project_id=self.people.project.id,
                number=number,
                name=f"Run {number}",
                kind=kind,
                job_id=job.id,
                dataset_id=self.dataset.id,
                expert_run_id=expert.id if expert else None,
                config={},
                folder=f"run-{number}",
            )
        )
        return run


def test_the_steps_turn_done_one_after_the_other(
    db: Session, api: TestClient, make: Make, people: Cast, token_for: TokenFor
) -> None:
    headers = token_for(people.ben)
    story = Story(db, make, people)
    acts: list[Callable[[], object]] = [
        story.publish,
        story.bring_images,
        story.propose,
        story.correct,
        story.audit,
        story.freeze,
        lambda: story.train(1, "sft"),
        lambda: story.train(2, "cpo_s"),
    ]
    for number, act in enumerate(acts):
        # Correction is done when every image is, not after the first one.
        so_far = [name for name in STEPS[:number] if name != "Correction"]
        assert done(overview(api, headers)) == so_far
        act()
    found = overview(api, headers)
    states = {step["name"]: step["state"] for step in found["steps"]}
    assert states == {
        "Criteria": "version 1",
        "Images": "3 images",
        "Agent": "1 run",
        "Correction": "1 of 3 images done",
        "Audit": "1 judgement in 1 audit",
        "Dataset": "1 dataset",
        "SFT": "1 finished run",
        "CPO": "1 finished run",
    }
    for image in story.images:
        image.done_at = image.created_at
    db.commit()
    found = overview(api, headers)
    assert done(found) == list(STEPS)
    assert found == found | {
        "criteria_version": 1,
        "images": 3,
        "images_done": 3,
        "labels": {"proposed": 1, "confirmed": 1, "rejected": 1, "unsure": 0},
        "agent_runs": 1,
        "audits": 1,
        "judgements": 1,
        "datasets": 1,
        "runs": {"sft": 1, "cpo": 1},
    }


def test_only_what_came_to_its_end_counts(
    db: Session, api: TestClient, make: Make, people: Cast, token_for: TokenFor
) -> None:
    story = Story(db, make, people)
    story.publish()
    story.bring_images()
    make.agent_run(people.project, story.version)  # has labelled nothing yet
    story.freeze()
    make._keep(
        Dataset(project_id=people.project.id, number=2, name="Open", version_id=story.version.id)
    )
    for number, state in enumerate(("queued", "failed", "cancelled"), start=1):
        story.train(number, "sft", state)
    found = overview(api, token_for(people.ben))
    assert (found["agent_runs"], found["datasets"]) == (1, 1)
    assert found["runs"] == {"sft": 0, "cpo": 0}
    assert done(found) == ["Criteria", "Images", "Dataset"]


def test_labels_by_hand_are_no_work_of_an_agent(
    db: Session, api: TestClient, make: Make, people: Cast, token_for: TokenFor
) -> None:
    story = Story(db, make, people)
    story.publish()
    story.bring_images()
    make._keep(
        Label(
            project_id=people.project.id,
            image_id=story.images[0].id,
            node_id=story.pair.id,
            polarity="positive",
            state="confirmed",
            source="person",
            version_id=story.version.id,
            revision=1,
        )
    )
    found = overview(api, token_for(people.ben))
    assert done(found) == ["Criteria", "Images"]
    assert found["steps"][3]["state"] == "0 of 3 images done"


def test_the_page_shows_numbers_images_and_jobs(
    db: Session, browser: TestClient, htmx: TestClient, make: Make, people: Cast, sign_in: SignInAt
) -> None:
    story = Story(db, make, people)
    story.publish()
    story.bring_images()
    story.propose()
    make._keep(people.project)
    job = make.job(people.project, kind="import", state="failed", error="It <broke>.")
    page = sign_in(browser, people.ben).get(PAGE).text
    assert '<span class="figure">3</span><span class="small muted">0 done</span>' in page
    assert '<span class="figure">3</span><span class="small muted">1 agent run</span>' in page
    for image in story.images:
        assert f"/projects/paintings/images/{image.id}" in page
    assert f"/projects/paintings/jobs/{job.id}" in page
    assert "It &lt;broke&gt;." in page
    assert "Correct labels" in page
    assert page.count("is-done") == 3
    assert "every 2s" not in page
    make.job(people.project, kind="import")
    fragment = sign_in(htmx, people.ben).get(PAGE).text
    assert fragment.startswith('<div id="state"')
    assert "<html" not in fragment
    assert "every 2s" in fragment


def test_every_link_of_the_loop_leads_somewhere(
    db: Session, browser: TestClient, make: Make, people: Cast, sign_in: SignInAt
) -> None:
    story = Story(db, make, people)
    story.publish()
    story.bring_images()
    page = sign_in(browser, people.lea).get(PAGE).text
    loop = page[page.index('<ol class="loop">') : page.index("</ol>")]
    addresses = {part.partition('"')[0] for part in loop.split('href="')[1:]}
    assert len(addresses) == 7  # SFT and CPO lead to the same page
    for address in addresses:
        answer = browser.get(address)
        assert answer.status_code in (200, 303), address


def test_counts_are_of_this_project_only(
    db: Session, api: TestClient, make: Make, people: Cast, token_for: TokenFor
) -> None:
    story = Story(db, make, people)
    story.publish()
    story.bring_images()
    story.propose()
    story.freeze()
    headers = token_for(people.dora)
    found = api.get("/api/v1/projects/elsewhere/overview", headers=headers).json()
    assert found["images"] == found["labels"]["proposed"] == found["datasets"] == 0
    assert done(found) == []


def test_strangers_see_nothing(
    browser: TestClient, api: TestClient, people: Cast, sign_in: SignInAt, token_for: TokenFor
) -> None:
    assert sign_in(browser, people.dora).get(PAGE).status_code == 404
    assert api.get(API, headers=token_for(people.dora)).status_code == 404
    assert api.get(API).status_code == 401
