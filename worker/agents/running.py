"""The job of an agent run: images in, proposed labels out, a batch a transaction."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO

from PIL import Image as Pictures
from sqlalchemy.orm import Session

from app.agents import launching
from app.criteria.models import CriteriaVersion
from app.criteria.reading import nodes_by_key, version_criteria
from app.database import Json
from app.images import keeping
from app.images.models import Image
from app.labels.proposing import Proposed, propose
from app.projects.models import Project
from method.items import NAMED, Failed, Failures, attempt
from worker.agents import measured
from worker.agents.rules import Ties, ties_of
from worker.ledger import JobFailed, Work

BATCH = 24


Findings = list[measured.Finding]


def _findings(image: Image, ties: Ties) -> Findings:
    """What the agent finds in one image."""
    data = keeping.read_shown("display", image.sha256)
    with Pictures.open(BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as picture:
        return measured.label_image(picture, ties)


def run(work: Work) -> Json:
    """Label all images of the run that have not been labelled yet."""
    with work.transaction() as db:
        agent_run = launching.get_agent_run(db, work.project_id or 0, work.spec["agent_run_id"])
        if agent_run.agent != "measured":
            raise JobFailed("user_config", f"This worker has no agent “{agent_run.agent}”.")
        project = db.get_one(Project, agent_run.project_id)
        criteria = version_criteria(db.get_one(CriteriaVersion, agent_run.version_id))
        decided = {pair.key for pair in criteria.pairs() if not pair.retired}
        nodes = {key: node.id for key, node in nodes_by_key(db, project).items() if key in decided}
        run_id, version_id = agent_run.id, agent_run.version_id
    look = partial(attempt, partial(_findings, ties=ties_of(criteria)), name=_name)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while True:
            work.check()
            with work.transaction() as db:
                agent_run = launching.get_agent_run(db, project.id, run_id)
                images, left = launching.find_waiting_images(db, agent_run, limit=BATCH)
                done, labels = agent_run.images, agent_run.labels
            work.report(done=done, total=done + left, message=f"{labels} labels")
            if not images:
                return {"images": done, "labels": labels} | _what_failed(work, run_id)
            found = list(zip(images, pool.map(look, images), strict=True))
            _label(work, project, run_id, version_id, found, nodes)


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
    version_id: int,
    found: Sequence[tuple[Image, Findings | Failed]],
    nodes: dict[str, int],
) -> None:
    """Store what was found in a batch; where that fails for one image, each image by itself."""

    def store(some: Sequence[tuple[Image, Findings | Failed]]) -> None:
        with work.transaction() as db:
            _store(db, project, run_id, version_id, some, nodes)

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
    version_id: int,
    found: Sequence[tuple[Image, Findings | Failed]],
    nodes: dict[str, int],
) -> None:
    problems = {image.id: each.reason for image, each in found if isinstance(each, Failed)}
    proposed = [
        Proposed(
            image_id=image.id,
            node_id=nodes[finding.key],
            polarity=finding.polarity,
            measure=finding.measure,
            value=finding.value,
            threshold=finding.threshold,
            confidence=finding.confidence,
        )
        for image, each in found
        if not isinstance(each, Failed)
        for finding in each
        if finding.key in nodes
    ]
    added = propose(db, project, agent_run_id=run_id, version_id=version_id, findings=proposed)
    launching.record_batch(
        db,
        launching.get_agent_run(db, project.id, run_id),
        agent_version=measured.VERSION,
        after=found[-1][0].id,
        images=len(found),
        labels=added,
        problems=problems,
    )
