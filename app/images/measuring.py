"""What the measured agent sees in an image, drawn by a job when somebody looks at it first, and kept beside its file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import PIL.Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.database import Json
from app.errors import NotFound
from app.images import storage
from app.images.decoding import decode
from app.images.inclusion import is_held, is_there
from app.images.models import Image
from app.images.pictures import Transaction
from app.images.tiling import last_job, lately
from app.jobs.models import OPEN_STATES
from app.jobs.queueing import submit
from app.projects.models import Project
from method.agents import MEASURED_VERSION
from taxonomy.changes import places_in
from taxonomy.shipped import painting_criteria
from taxonomy.tree import POLARITIES, Criteria, Side

KIND = "measures"


@dataclass(frozen=True)
class Drawn:
    """How it stands with the drawing of an image's measures; `reason` says why it failed."""

    state: Literal["ready", "making", "failed"]
    drawing: Json | None = None
    reason: str = ""


def find_drawing(db: Session, project: Project, image: Image) -> Drawn:
    """The drawing of an image's measures; where it is missing, or of an earlier version of the agent, a job is asked for it.

    Raises Unavailable where the storage does not answer.
    """
    last = last_job(db, image, KIND)
    if last is not None and last.state in OPEN_STATES:
        return Drawn("making")
    drawing = _kept(image.sha256)
    # What was drawn just now stays: a worker of an earlier release would draw the same again and again.
    is_new = last is not None and last.state == "succeeded" and last.created_at > lately()
    if drawing is not None and (is_new or drawing["version"] == MEASURED_VERSION):
        return Drawn("ready", drawing)
    if last is not None and last.state != "succeeded" and last.created_at > lately():
        return Drawn("failed", reason=last.error or "The job was cancelled.")
    submit(db, project=project, kind=KIND, spec={"image_id": image.id}, by=None)
    return Drawn("making")


def names_of(criteria: Criteria) -> dict[Side, str]:
    """The names that the sides of the shipped criteria, which the agent's rules are about, have in these. What
    these criteria do not have has none.
    """
    shipped = painting_criteria()
    sides = [Side(pair.key, polarity) for pair in shipped.pairs() for polarity in POLARITIES]
    names = {
        Side(pair.key, polarity): pair.attribute(polarity).name
        for pair in criteria.active_pairs()
        for polarity in POLARITIES
    }
    return {side: names[place] for side, place in places_in(criteria, shipped, sides).items()}


def _kept(sha256: str) -> Json | None:
    try:
        found: Json = json.loads(storage.get(storage.key_of(KIND, sha256)))
    except (NotFound, ValueError):  # none, or one that a full disk cut short: it is drawn anew
        return None
    return found


def make_drawing(
    transaction: Transaction, image_id: int, draw: Callable[[PIL.Image.Image], Json]
) -> int:
    """Draw the measures of an image and keep that; returns its bytes, 0 where the image is gone.

    Raises NotFound, Invalid or ImageRefused where its file is lost, damaged or cannot be decoded any more, and Unavailable.
    """
    with transaction() as db:
        sha256 = db.scalar(select(Image.sha256).where(Image.id == image_id, is_there()))
    if sha256 is None:
        return 0
    made = json.dumps(draw(decode(storage.get_original(sha256)).image)).encode()
    storage.put(storage.key_of(KIND, sha256), made)
    with transaction() as db:
        is_wanted = is_held(db, sha256)
    # Erased meanwhile: what was made of it since goes, too.
    if not is_wanted:
        storage.remove(sha256)
        return 0
    return len(made)
