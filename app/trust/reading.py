"""Finds an ensemble, what its differences are asked for by, and the place that a page of them goes on from."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.agents.ensembles import Ensemble, ensemble_of
from app.agents.launching import get_agent_run
from app.agents.models import AgentRun
from app.criteria.reading import get_node
from app.database import LARGEST_KEY
from app.errors import Invalid, NotFound
from app.projects.models import Project
from app.trust.keeping import START, Difference, Place
from method.whole_numbers import read_whole
from taxonomy.tree import POLARITIES


def get_ensemble(db: Session, project: Project, run_id: int) -> tuple[AgentRun, Ensemble]:
    """An agent run that is made of others. Raises NotFound."""
    run = get_agent_run(db, project.id, run_id)
    ensemble = ensemble_of(run)
    if ensemble is None:
        raise NotFound(f"Run {run_id} is made of no other runs, so there is nothing to differ in.")
    return run, ensemble


def get_side(
    db: Session, project: Project, key: str | None, polarity: str | None
) -> tuple[int, str] | None:
    """The attribute that differences are asked for by, as node and polarity; None for all. Raises NotFound for a key that is not there, and
    Invalid for half an attribute.
    """
    if not key and not polarity:
        return None
    if not key or polarity not in POLARITIES:
        raise Invalid(
            f"An attribute is the key of a pair and a polarity: {' or '.join(POLARITIES)}.",
            field="polarity" if key else "key",
        )
    return get_node(db, project, key).id, polarity


def read_place(written: str | None) -> Place:
    """Where a page goes on, as `write_place` wrote it. Raises Invalid for anything else."""
    if not written:
        return START
    parts = written.split("-")
    if len(parts) == 3 and parts[2] in POLARITIES:
        image_id, node_id = (read_whole(each, LARGEST_KEY) for each in parts[:2])
        if image_id is not None and node_id is not None:
            return image_id, node_id, parts[2]
    raise Invalid("No page of differences goes on from there.", field="after")


def write_place(found: Sequence[Difference], limit: int) -> str | None:
    """Where the next page goes on, of differences that were asked for with one more than the limit; None at the end."""
    if len(found) <= limit:
        return None
    last = found[limit - 1].row
    return f"{last.image_id}-{last.node_id}-{last.polarity}"
