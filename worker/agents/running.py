"""The job of an agent run: images in, proposed labels out, a batch a transaction."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from PIL import Image as Pictures
from sqlalchemy.orm import Session

from app.agents import launching
from app.criteria.loading import painting_criteria
from app.criteria.reading import current_version, nodes_by_key, version_criteria
from app.database import Json
from app.images import keeping
from app.images.models import Image
from app.labels.access import hold_in_force
from app.labels.proposing import Proposed, propose
from app.projects.models import Project
from method.items import NAMED, Failed, Failures, attempt
from taxonomy.changes import Side, moved_texts, texts_of
from worker.agents import measured
from worker.agents.rules import Ties, ties_of
from worker.ledger import JobFailed, Work

BATCH = 24


Findings = list[measured.Finding]


def _findings(image: Image, ties: Ties) -> Findings:
    data = keeping.read_shown("display", image.sha256)
    with Pictures.open(BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as picture:
        return measured.label_image(picture, ties)


@dataclass(frozen=True)
class Under:
    """The criteria version that a batch is looked at under: its pairs in use, and where each attribute
    that the agent knows stands in it.
    """

    version_id: int
    number: int
    ties: Ties
    nodes: dict[str, int]
    stands: dict[Side, Side]

    def place_of(self, finding: measured.Finding) -> Side | None:
        """The attribute that says what was found; None where none in use does."""
        known = Side(finding.key, finding.polarity)
        if known not in self.stands and known in self.stands.values():
            return None  # it says what another one said, and nobody says what it did
        place = self.stands.get(known, known)
        return place if place.key in self.nodes else None


def _under(db: Session, project: Project, before: Under | None) -> Under:
    """The version in force; `before` where it still is."""
    version = current_version(db, project)
    assert version is not None, "a run is launched under a version, and versions stay"
    if before is not None and before.version_id == version.id:
        return before
    criteria = version_criteria(version)
    used = {pair.key for pair in criteria.active_pairs()}
    nodes = {key: node.id for key, node in nodes_by_key(db, project).items() if key in used}
    # The agent means what the shipped tree says. Where an expert gave such a name to another attribute,
    # it is that one which says so now.
    moved = moved_texts(texts_of(painting_criteria()), texts_of(criteria))
    stands = {each.source: each.target for each in moved}
    return Under(version.id, version.number, ties_of(criteria), nodes, stands)


def run(work: Work) -> Json:
    """Label all images of the run that have not been labelled yet, each batch under the version of the
    criteria that is in force: another one may be published meanwhile.
    """
    with work.transaction() as db:
        agent_run = launching.get_agent_run(db, work.project_id or 0, work.spec["agent_run_id"])
        if agent_run.agent != "measured":
            raise JobFailed("user_config", f"This worker has no agent “{agent_run.agent}”.")
        project = db.get_one(Project, agent_run.project_id)
        run_id = agent_run.id
    under: Under | None = None
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while True:
            work.check()
            with work.transaction() as db:
                agent_run = launching.get_agent_run(db, project.id, run_id)
                images, left = launching.find_waiting_images(db, agent_run, limit=BATCH)
                done, labels = agent_run.images, agent_run.labels
                later = [each.number for each in launching.later_versions(agent_run)]
                under = _under(db, project, under)
            since = f", now under criteria version {later[-1]}" if later else ""
            work.report(done=done, total=done + left, message=f"{labels} labels{since}")
            if not images:
                told = {"later_versions": later} if later else {}
                return {"images": done, "labels": labels} | told | _what_failed(work, run_id)
            look = partial(attempt, partial(_findings, ties=under.ties), name=_name)
            found = list(zip(images, pool.map(look, images), strict=True))
            _label(work, project, run_id, under, found)


def _name(image: Image) -> str:
    return image.name


def _what_failed(work: Work, run_id: int) -> Json:
    """For the job's result: how many images could not be labelled, and the first of them."""
    failures = Failures()
    with work.transaction() as db:
        run = launching.get_agent_run(db, work.project_id or 0, run_id)
        failures.number = launching.count_problems(db, run)
        failures.named = [
            Failed(image.name, problem.reason)
            for problem, image in launching.find_problems(db, run, limit=NAMED)
        ]
        if run.images and failures.number == run.images:
            work.report(done=run.images, total=run.images, message="no image could be labelled")
    return failures.as_result()


def _label(
    work: Work,
    project: Project,
    run_id: int,
    under: Under,
    found: Sequence[tuple[Image, Findings | Failed]],
) -> None:
    """Store what was found in a batch; where that fails for one image, each image by itself."""

    def store(some: Sequence[tuple[Image, Findings | Failed]]) -> None:
        with work.transaction() as db:
            _store(db, project, run_id, under, some)

    whole = attempt(store, found, lambda _: "a batch")
    if not isinstance(whole, Failed):
        return
    for image, each in found:
        alone = attempt(store, [(image, each)], lambda _, image=image: image.name)  # type: ignore[misc]
        if isinstance(alone, Failed):
            store([(image, alone)])


def _store(
    db: Session,
    project: Project,
    run_id: int,
    under: Under,
    found: Sequence[tuple[Image, Findings | Failed]],
) -> None:
    if not hold_in_force(db, project, under.version_id):
        return  # published meanwhile: these images are looked at again, under the new version
    problems = {image.id: each.reason for image, each in found if isinstance(each, Failed)}
    proposed = [
        Proposed(
            image_id=image.id,
            node_id=under.nodes[place.key],
            polarity=place.polarity,
            measure=finding.measure,
            value=finding.value,
            threshold=finding.threshold,
            confidence=finding.confidence,
        )
        for image, each in found
        if not isinstance(each, Failed)
        for finding in each
        if (place := under.place_of(finding))
    ]
    added = propose(
        db, project, agent_run_id=run_id, version_id=under.version_id, findings=proposed
    )
    launching.record_batch(
        db,
        launching.get_agent_run(db, project.id, run_id),
        under=launching.LaterVersion(under.version_id, under.number, found[0][0].id),
        agent_version=measured.VERSION,
        after=found[-1][0].id,
        images=len(found),
        labels=added,
        problems=problems,
    )
