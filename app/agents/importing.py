"""Agent runs that were made elsewhere and come in with a file of their labels."""

import re
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.agents.models import AgentRun, AgentRunImage
from app.images.models import Image

LONGEST_NAME = 40


def agent_name(said: str) -> str:
    """What an agent of elsewhere is called here: small letters, figures and underscores."""
    plain = re.sub(r"[^a-z0-9]+", "_", said.lower()).strip("_")
    return (plain if plain[:1].isalpha() else f"agent_{plain}".strip("_"))[:LONGEST_NAME].strip("_")


def take_over_run(
    db: Session, *, project_id: int, said: str, version_id: int, import_id: int, by: int
) -> AgentRun:
    """The run that stands for what one agent says in one file; made where it is not there yet.

    `said` is the agent's name in the file, which the run keeps as it is.
    """
    origin = {"label_import": import_id, "agent": said}
    known = db.scalar(
        select(AgentRun).where(
            AgentRun.project_id == project_id, AgentRun.config.contains({"imported": origin})
        )
    )
    if known is not None:
        return known
    run = AgentRun(
        project_id=project_id,
        agent=agent_name(said),
        agent_version="imported",
        version_id=version_id,
        config={"imported": origin},
        created_by=by,
    )
    db.add(run)
    db.flush()
    return run


def record_taken_over(db: Session, run: AgentRun, proposed: Mapping[int, int]) -> None:
    """Keep how many labels the run proposed of each image, in the transaction that holds them."""
    if not proposed:
        return
    ids = list(proposed)
    hashes = dict(db.execute(select(Image.id, Image.sha256).where(Image.id == func.any(ids))).all())
    known = set(
        db.scalars(
            select(AgentRunImage.image_id).where(
                AgentRunImage.agent_run_id == run.id, AgentRunImage.image_id == func.any(ids)
            )
        )
    )
    statement = insert(AgentRunImage)
    db.execute(
        statement.on_conflict_do_update(
            index_elements=["agent_run_id", "image_id"],
            set_={"proposed": AgentRunImage.proposed + statement.excluded.proposed},
        ),
        [
            {
                "agent_run_id": run.id,
                "image_id": image_id,
                "version_id": run.version_id,
                "state": "labelled",
                "proposed": number,
                "image_sha256": hashes[image_id],
            }
            for image_id, number in sorted(proposed.items())
        ],
    )
    run.images += len(ids) - len(known)
    run.labels += sum(proposed.values())
