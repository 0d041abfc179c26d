"""Which images wait for an agent run, and what became of those it has looked at."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.agents.models import AgentRun, AgentRunImage
from app.agents.restricting import images_of
from app.database import Json
from app.images.models import Image
from app.webhooks.telling import tell

LONGEST_REASON = 500


@dataclass(frozen=True)
class LookedAt:
    """What a run did with one image, and what that took; `reason` says why it got no labels, `found` are the
    sides that it says hold, `sure` how sure it is of each.
    """

    image_id: int
    image_sha256: str
    state: Literal["labelled", "failed", "skipped"]
    reason: str | None = None
    attempts: int = 1
    proposed: int = 0
    dropped: int = 0
    repaired: int = 0
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: Decimal = Decimal(0)
    notes: Json | None = None
    found: Sequence[int] | None = None
    sure: Sequence[float | None] | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class LaterVersion:
    """A criteria version that was published while a run was under way, and the first image that the
    run looked at under it.
    """

    version_id: int
    number: int
    first_image: int


def later_versions(run: AgentRun) -> list[LaterVersion]:
    """The versions that a run went on under, oldest first."""
    return [LaterVersion(**each) for each in run.config.get("later_versions", [])]


def find_waiting_images(
    db: Session, run: AgentRun, *, after: int = 0, limit: int
) -> Sequence[Image]:
    """Images that a run has not looked at yet, by id."""
    own = select(Image).where(*images_of(run, after=after), ~_is_done(run, after=after))
    return db.scalars(own.where(Image.id > after).order_by(Image.id).limit(limit)).all()


def count_waiting_images(db: Session, run: AgentRun) -> int:
    """How many images a run has not looked at yet."""
    own = select(func.count(Image.id)).where(*images_of(run))
    return db.scalar(own.where(~_is_done(run))) or 0


def _is_done(run: AgentRun, *, after: int = 0) -> ColumnElement[bool]:
    # Told of the rows as well, or a plan that merges both reads all that the run has done for every few images.
    done = (AgentRunImage.agent_run_id == run.id, AgentRunImage.image_id > after)
    return select(AgentRunImage.image_id).where(*done, AgentRunImage.image_id == Image.id).exists()


def record_images(
    db: Session,
    run: AgentRun,
    looked_at: Sequence[LookedAt],
    *,
    under: LaterVersion,
    agent_version: str,
    prompt_hash: str | None,
    seed: int | None,
    labels: int,
    decides: Collection[int] = (),
) -> None:
    """Keep what became of some images, in the transaction that holds their labels: a killed run goes on
    with the others. `labels` is how many of theirs were new or refreshed, `decides` are the sides that were
    looked for.
    """
    run.agent_version, run.prompt_hash, run.seed = agent_version, prompt_hash, seed
    if more := set(decides) - set(run.decides or ()):
        run.decides = sorted({*(run.decides or ()), *more})
    later = later_versions(run)
    if under.version_id not in (run.version_id, *(each.version_id for each in later)):
        went_on = [asdict(each) for each in (*later, under)]
        run.config = {**run.config, "later_versions": went_on}
    rows = [
        asdict(each)
        | {
            "agent_run_id": run.id,
            "version_id": under.version_id,
            "reason": each.reason[:LONGEST_REASON] if each.reason else None,
        }
        for each in looked_at
    ]
    db.execute(insert(AgentRunImage), rows)
    run.images += len(rows)
    run.labels += labels
    run.problems += sum(each.state != "labelled" for each in looked_at)
    run.dropped += sum(each.dropped for each in looked_at)
    run.repaired += sum(each.repaired for each in looked_at)
    run.requests += sum(each.requests for each in looked_at)
    run.tokens_in += sum(each.tokens_in for each in looked_at)
    run.tokens_out += sum(each.tokens_out for each in looked_at)
    run.cost += sum((each.cost for each in looked_at), Decimal(0))


def find_run_images(
    db: Session, run: AgentRun, *, after: int = 0, limit: int = 100
) -> Sequence[AgentRunImage]:
    return db.scalars(
        select(AgentRunImage)
        .where(AgentRunImage.agent_run_id == run.id, AgentRunImage.image_id > after)
        .order_by(AgentRunImage.image_id)
        .limit(limit)
    ).all()


def find_looked_at(
    db: Session, run: AgentRun, *, after: int = 0, limit: int = 100
) -> Sequence[tuple[AgentRunImage, Image]]:
    """What a run did with each image, by image."""
    return db.execute(
        select(AgentRunImage, Image)
        .join(Image, Image.id == AgentRunImage.image_id)
        .where(AgentRunImage.agent_run_id == run.id, AgentRunImage.image_id > after)
        .order_by(AgentRunImage.image_id)
        .limit(limit)
    ).all()


def find_problems(
    db: Session, run: AgentRun, *, after: int = 0, limit: int = 100
) -> Sequence[tuple[AgentRunImage, Image]]:
    """Images that a run did not label, with the reason, by image."""
    return db.execute(
        select(AgentRunImage, Image)
        .join(Image, Image.id == AgentRunImage.image_id)
        .where(
            AgentRunImage.agent_run_id == run.id,
            AgentRunImage.state != "labelled",
            AgentRunImage.image_id > after,
        )
        .order_by(AgentRunImage.image_id)
        .limit(limit)
    ).all()


def tell_finished(db: Session, run: AgentRun) -> None:
    """Tell who wants to know that a run came to its end; of a run that went on with more images once more."""
    data = {"agent_run": run.id, "agent": run.agent, "agent_version": run.agent_version}
    data |= {"images": run.images, "labels": run.labels, "problems": run.problems}
    subject = f"{run.id} with {run.images} images"
    tell(db, run.project_id, "agent_run.finished", data, subject=subject)
