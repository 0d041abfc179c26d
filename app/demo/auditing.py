"""The audit that the first start shows: simulated participants who know what the painter knows of each picture."""

import random

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audits.models import Audit
from app.audits.sampling import Design, population
from app.audits.simulating import simulate_audit
from app.images.inclusion import in_use
from app.images.models import Image
from app.projects.models import Project
from method.painter.painting import truth_of

PEOPLE = 8
IMAGES = 24
LEAST_LABELS = 4
SEES_IT = 0.94
SAYS_YES = (0.08, 0.4)
"""Between these lies how readily each of them says yes to what is not there."""


def audit_demo(db: Session, project: Project, agent_run: int) -> Audit | None:
    """Have the agent run of the first start audited; None where it labelled too little, or an audit is there already."""
    if db.scalar(select(Audit.id).where(Audit.project_id == project.id).limit(1)) is not None:
        return None
    there = population(db, project, min_labels=LEAST_LABELS, agent_run=agent_run).images
    if there < 2:
        return None
    design = Design(
        seed=20260104,
        sample_size=min(IMAGES, there),
        min_labels=LEAST_LABELS,
        agent_run=agent_run,
        decoy_percent=20,
    )
    seeds = {
        image_id: int(details["seed"])
        for image_id, details in db.execute(
            select(Image.id, Image.details).where(Image.project_id == project.id, in_use())
        )
        if "seed" in details
    }

    def says(chance: random.Random, image_id: int, key: str, polarity: str) -> str:
        return _says(chance, seeds.get(image_id), key, polarity)

    return simulate_audit(db, project, design=design, people=PEOPLE, says=says)


def _is_seen(seed: int | None, key: str, polarity: str) -> bool:
    """Nobody knows of what the painter did not decide; people see a third of it, the same for all."""
    return random.Random(f"{seed}:{key}:{polarity}").random() < 1 / 3


def _says(chance: random.Random, seed: int | None, key: str, polarity: str) -> str:
    truth, absent = truth_of(seed) if seed is not None else ({}, frozenset())
    if chance.random() < 0.03:
        return "cannot_tell"
    if truth.get(key) == polarity:
        return "appears" if chance.random() < SEES_IT else "does_not_appear"
    low, high = SAYS_YES
    yes = low + (high - low) * chance.random()
    if key not in truth and key not in absent and _is_seen(seed, key, polarity):
        yes = SEES_IT
    return "appears" if chance.random() < yes else "does_not_appear"
