"""Having an image cut into tiles: at its import, or by a job when one that lacks them is first looked at closely."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import AppError
from app.images import storage, tiles
from app.images.decoding import ImageRefused, decode
from app.images.inclusion import is_held, is_there
from app.images.models import Image
from app.images.pictures import Transaction
from app.jobs.models import OPEN_STATES, Job
from app.jobs.queueing import submit
from app.projects.models import Project

State = Literal["none", "ready", "making", "failed"]
KIND = "tiles"
NOT_AGAIN = timedelta(minutes=10)
"""How long an image that could not be cut is left alone."""


@dataclass(frozen=True)
class Tiling:
    """How it stands with an image's tiles. `none`: `display` shows it in full; `reason` says why it failed."""

    state: State
    levels: list[tiles.Level] = field(default_factory=list)
    reason: str = ""


def ask_for_tiles(db: Session, project: Project, image: Image) -> Tiling:
    """The tiles of an image; where they are missing, a job is asked to cut them.

    Raises Unavailable where the storage does not answer.
    """
    levels = tiles.levels_of(image.width, image.height)
    if not levels:
        return Tiling("none")
    if tiles.are_there(image.sha256, image.width, image.height):
        return Tiling("ready", levels)
    last = last_job(db, image, KIND)
    if last is not None and last.state in OPEN_STATES:
        return Tiling("making", levels)
    if last is not None and last.state != "succeeded" and last.created_at > lately():
        return Tiling("failed", levels, last.error or "The job was cancelled.")
    submit(db, project=project, kind=KIND, spec={"image_id": image.id}, by=None)
    return Tiling("making", levels)


def last_job(db: Session, image: Image, kind: str) -> Job | None:
    """The newest job of a kind that makes something of this image."""
    return db.scalar(
        select(Job)
        .where(
            Job.project_id == image.project_id,
            Job.kind == kind,
            Job.spec["image_id"].as_integer() == image.id,
        )
        .order_by(Job.id.desc())
        .limit(1)
    )


def lately() -> datetime:
    """What failed since is left alone for now."""
    return datetime.now(UTC) - NOT_AGAIN


def make_tiles(transaction: Transaction, image_id: int) -> int:
    """Cut an image and keep its tiles; returns their bytes, 0 where none are needed or the image is gone.

    Raises NotFound, Invalid or ImageRefused where its file is lost, damaged or cannot be decoded any more, and Unavailable.
    """
    with transaction() as db:
        image = db.scalar(select(Image).where(Image.id == image_id, is_there()))
        if image is None:
            return 0
        sha256, size = image.sha256, (image.width, image.height)
    if not tiles.levels_of(*size) or tiles.are_there(sha256, *size):
        return 0
    made = tiles.cut(decode(storage.get_original(sha256)).image)
    if made is None:
        return 0
    storage.put(storage.key_of("tiles", sha256), made)
    with transaction() as db:
        is_wanted = is_held(db, sha256)
    # Erased meanwhile: what was made of it since goes, too.
    if not is_wanted:
        storage.remove(sha256)
        return 0
    return len(made)


def why_not(error: AppError | ImageRefused) -> str:
    """Why an image could not be cut, in words for the person who looks at it."""
    return error.reason if isinstance(error, ImageRefused) else error.message
