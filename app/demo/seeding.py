"""What the first start finds: the painting project, pictures in it, and work for the worker."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.agents.launching import launch_agent_run
from app.criteria.freezing import freeze_version
from app.criteria.loading import load_criteria
from app.database import unit_of_work
from app.images.importing import add_image, create_import
from app.jobs.queueing import submit
from app.projects.founding import create_project
from app.projects.inviting import create_first_lead_link
from app.projects.models import Project
from method.agents import DEFAULT_AGENT
from method.painter.painting import paint
from taxonomy.shipped import NEWEST, painting_edition

Report = Callable[[str], None]
SLUG = "paintings"
PAINTINGS = 48
SIDE = 512
TINY_MODEL = "tiny-sdxl"


def prepare(report: Report, *, with_project: bool, edition: int = NEWEST) -> str:
    """Seed the first project where there is none, and return the token of a one-time sign-in link.

    `edition` is that of the criteria which the project begins with.
    """
    if with_project:
        seed(report, edition)
    with unit_of_work() as db:
        return create_first_lead_link(db)


def seed(report: Report, edition: int = NEWEST) -> bool:
    """Make the painting project with its criteria, paintings of Morelli's own, and their first jobs.

    Returns False, having changed nothing, where any project exists. One transaction: a start that is
    interrupted leaves no half of it.
    """
    with unit_of_work() as db:
        if db.scalar(select(Project.id).limit(1)) is not None:
            return False
    report("First start: making the painting project.")
    with unit_of_work() as db:
        project = create_project(
            db,
            slug=SLUG,
            name="Paintings",
            description="The criteria of painting, on pictures that Morelli has drawn itself.",
        )
        load_criteria(db, project, painting_edition(edition), by=None)
        freeze_version(
            db, project, note=f"The tree that Morelli ships, edition {edition}.", by=None
        )
        hang_paintings(db, project, range(PAINTINGS), report)
        run = launch_agent_run(db, project, agent=DEFAULT_AGENT, by=None)
        submit(db, project=project, kind="demo_audit", spec={"agent_run_id": run.id}, by=None)
        submit(
            db,
            project=project,
            kind="base_model",
            spec={"name": TINY_MODEL, "seed": 0},
            by=None,
        )
    return True


def hang_paintings(db: Session, project: Project, seeds: range, report: Report) -> None:
    """Paint one picture for each seed and add them to the project."""
    number = len(seeds)
    created = create_import(
        db, project, source="demo", origin=f"{number} paintings drawn by Morelli from seeds"
    )
    for done, (name, data, prompt, details) in enumerate(_painted(seeds), start=1):
        add_image(db, project, created.id, name, data, prompt=prompt, details=details)
        if done % 12 == 0 or done == number:
            report(f"Painted {done} of {number} pictures.")


def _painted(seeds: range) -> Iterator[tuple[str, bytes, str, dict[str, Any]]]:
    # Spawned, not forked: the parent has threads and connections.
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 8), mp_context=get_context("spawn")) as pool:
        yield from pool.map(painted_file, seeds, chunksize=2)


def painted_file(seed: int) -> tuple[str, bytes, str, dict[str, Any]]:
    """One painting as a PNG file: name, bytes, content prompt, metadata. The known truth is not
    in it: people would see it while they judge; `painter` tells it from the seed.
    """
    painting = paint(seed, SIDE)
    out = BytesIO()
    painting.image.save(out, "PNG", compress_level=6)
    details = {"title": painting.title, "seed": seed}
    return f"morelli-{seed:04d}.png", out.getvalue(), painting.prompt, details
