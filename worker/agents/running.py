"""The job of an agent run: images in, proposed labels out, a batch a transaction."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO

from PIL import Image as Pictures

from app.agents import launching
from app.criteria.models import CriteriaVersion
from app.criteria.reading import nodes_by_key, version_criteria
from app.database import Json
from app.errors import AppError, Unavailable
from app.images import keeping
from app.images.models import Image
from app.labels.proposing import Proposed, propose
from app.projects.models import Project
from worker.agents import measured
from worker.agents.rules import Ties, ties_of
from worker.ledger import JobFailed, Work

BATCH = 24


def _findings(image: Image, ties: Ties) -> list[measured.Finding] | str:
    """What the agent finds in one image, or why it cannot look at it.

    A storage that does not answer says nothing about the image: the job is tried again.
    """
    try:
        data = keeping.read_shown("display", image.sha256)
        with Pictures.open(BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as picture:
            return measured.label_image(picture, ties)
    except Unavailable as error:
        raise JobFailed("infrastructure", error.message, again=True) from error
    except (AppError, OSError, ValueError) as error:
        return str(error)


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
    look = partial(_findings, ties=ties_of(criteria))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while True:
            work.check()
            with work.transaction() as db:
                agent_run = launching.get_agent_run(db, project.id, run_id)
                images, left = launching.find_waiting_images(db, agent_run, limit=BATCH)
                done, labels = agent_run.images, agent_run.labels
            work.report(done=done, total=done + left, message=f"{labels} labels")
            if not images:
                return {"images": done, "labels": labels}
            found = list(zip(images, pool.map(look, images), strict=True))
            _label(work, project, run_id, version_id, found, nodes)


def _label(
    work: Work,
    project: Project,
    run_id: int,
    version_id: int,
    found: Sequence[tuple[Image, list[measured.Finding] | str]],
    nodes: dict[str, int],
) -> None:
    problems = {image.id: each for image, each in found if isinstance(each, str)}
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
        if not isinstance(each, str)
        for finding in each
        if finding.key in nodes
    ]
    with work.transaction() as db:
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
