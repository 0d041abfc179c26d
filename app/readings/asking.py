"""Asking for second readings: which images, and what is asked of each."""

import math
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, insert, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.audits.decoys import MOST_PERCENT, Attribute, by_image, draw_decoys
from app.criteria.models import Node
from app.errors import Conflict, Invalid, NotFound
from app.images.applicability import find_not_applicable
from app.images.finding import filtered
from app.images.models import Image
from app.labels.access import InForce, get_in_force
from app.labels.models import Label
from app.projects.models import Project
from app.readings.models import ANSWERS, ReadImage, ReadQuestion, SecondReading
from taxonomy.tree import Criteria

MOST = 5_000
BATCH = 5_000


@dataclass(frozen=True)
class Stand:
    """A second reading as it stands: who asked for it, and how many of its images are read, and settled."""

    reading: SecondReading
    asker: str
    num_read: int
    num_settled: int

    @property
    def num_left(self) -> int:
        """Images that nobody has read yet."""
        return self.reading.num_images - self.num_read


def ask(
    db: Session,
    project: Project,
    *,
    show: str = "done",
    words: str = "",
    percent: float,
    seed: int = 0,
    decoy_percent: int = 20,
    by: Person,
) -> SecondReading:
    """Have a share of a filter's finished images read a second time, by whoever did not finish them.

    The seed decides which images, and which attributes are asked for that nobody set (`decoy_percent` of all
    questions). Raises Invalid for an unknown filter, a share or number of decoys out of range, Conflict where
    nothing is published, no image of the filter is done, or more than `MOST` images would be asked for.
    """
    in_force = get_in_force(db, project)
    if not 0 < percent <= 100:
        raise Invalid("A share is more than 0 and at most 100 %.", field="percent")
    if not 0 <= decoy_percent <= MOST_PERCENT:
        raise Invalid(
            f"Decoys are at most {MOST_PERCENT} % of the questions.", field="decoy_percent"
        )
    if not 0 <= seed < 2**31:
        raise Invalid("A seed is a whole number from 0 to 2,147,483,647.", field="seed")
    images = _draw(db, project, show, words, percent, seed)
    reading = SecondReading(
        project_id=project.id,
        show=show,
        words=words,
        percent=percent,
        seed=seed,
        decoy_percent=decoy_percent,
        version_id=in_force.version_id,
        num_images=len(images),
        asked_by=by.id,
    )
    db.add(reading)
    db.flush()
    read_ids = _put_images(db, reading, images)
    _put_questions(db, project, in_force, reading, images, read_ids)
    return reading


def _draw(
    db: Session, project: Project, show: str, words: str, percent: float, seed: int
) -> Sequence[Image]:
    done = [*filtered(project, show, words), Image.done_at.is_not(None)]
    done.append(Image.done_by.is_not(None))
    number = db.scalar(select(func.count()).select_from(Image).where(*done)) or 0
    if not number:
        raise Conflict(
            "No image of this choice is done, so there is no first reading.",
            hint="Choose others, or wait until some are marked as done.",
        )
    wanted = math.ceil(number * percent / 100)
    if wanted > MOST:
        raise Conflict(
            f"{percent:g} % of {number:,} images are {wanted:,}; at most {MOST:,} are asked for at once.",
            field="percent",
            hint="Take a smaller share.",
        )
    chance: ColumnElement[int] = func.hashint8extended(Image.id, seed)
    return db.scalars(select(Image).where(*done).order_by(chance, Image.id).limit(wanted)).all()


def _put_images(db: Session, reading: SecondReading, images: Sequence[Image]) -> dict[int, int]:
    """The ids of the rows by image."""
    rows = db.execute(
        insert(ReadImage).returning(ReadImage.image_id, ReadImage.id),
        [
            {
                "reading_id": reading.id,
                "image_id": image.id,
                "place": place,
                "first_by": image.done_by,
            }
            for place, image in enumerate(images, start=1)
        ],
    )
    return {row.image_id: row.id for row in rows}


def _put_questions(
    db: Session,
    project: Project,
    in_force: InForce,
    reading: SecondReading,
    images: Sequence[Image],
    read_ids: dict[int, int],
) -> None:
    keys = _keys_in_use(db, project, in_force.criteria)
    not_here = find_not_applicable(db, list(read_ids))
    labels = [
        row
        for row in db.execute(
            select(Label.image_id, Label.node_id, Label.polarity, Label.state, Label.source).where(
                Label.image_id == func.any(list(read_ids))
            )
        )
        if row.node_id in keys and row.node_id not in not_here.get(row.image_id, ())
    ]
    rows = [
        {
            "read_image_id": read_ids[row.image_id],
            "node_id": row.node_id,
            "polarity": row.polarity,
            "first": row.state,
            "is_agents": row.source == "agent",
        }
        for row in labels
        if row.state in ANSWERS
    ]
    decided = by_image(
        (each.image_id, each.node_id, each.polarity) for each in labels if each.state in ANSWERS
    )
    held = by_image((each.image_id, each.node_id, each.polarity) for each in labels)
    for image_id, (node_id, polarity) in _decoys(reading, images, decided, held, not_here, keys):
        rows.append(
            {
                "read_image_id": read_ids[image_id],
                "node_id": node_id,
                "polarity": polarity,
                "first": None,
                "is_agents": False,
            }
        )
    for start in range(0, len(rows), BATCH):
        db.execute(insert(ReadQuestion), rows[start : start + BATCH])


def _decoys(
    reading: SecondReading,
    images: Sequence[Image],
    decided: dict[int, set[Attribute]],
    held: dict[int, set[Attribute]],
    not_here: dict[int, set[int]],
    keys: dict[int, str],
) -> Iterable[tuple[int, Attribute]]:
    if not reading.decoy_percent:
        return ()
    attributes: AbstractSet[Attribute] = {each for own in decided.values() for each in own}
    return draw_decoys(
        seed=reading.seed,
        percent=reading.decoy_percent,
        images=[(image.id, image.sha256) for image in images],
        given=decided,
        held=held,
        not_applicable=not_here,
        names={each: f"{keys[each[0]]}:{each[1]}" for each in attributes},
    )


def _keys_in_use(db: Session, project: Project, criteria: Criteria) -> dict[int, str]:
    in_use = {pair.key for pair in criteria.active_pairs()}
    rows = db.execute(
        select(Node.id, Node.key).where(Node.project_id == project.id, Node.kind == "pair")
    )
    return {node_id: key for node_id, key in rows if key in in_use}


# Finding and ending ------------------------------------------------------------------------------


def get_reading(db: Session, project: Project, reading_id: int) -> SecondReading:
    """A second reading of this project. Raises NotFound."""
    reading = db.scalar(
        select(SecondReading).where(
            SecondReading.id == reading_id, SecondReading.project_id == project.id
        )
    )
    if reading is None:
        raise NotFound(f"There is no second reading {reading_id} in this project.")
    return reading


def end(db: Session, project: Project, reading_id: int) -> SecondReading:
    """Ask nobody for the images that are not read yet; what was answered stays. Doing so twice changes nothing."""
    reading = get_reading(db, project, reading_id)
    if reading.ended_at is None:
        reading.ended_at = db.scalar(select(func.clock_timestamp()))
        db.flush()
    return reading


def find_readings(
    db: Session, project: Project, *, before: int | None = None, limit: int = 50
) -> list[Stand]:
    """The second readings of a project, newest first."""
    statement = _stands().where(SecondReading.project_id == project.id)
    if before is not None:
        statement = statement.where(SecondReading.id < before)
    statement = statement.order_by(SecondReading.id.desc()).limit(limit)
    return [Stand(*row) for row in db.execute(statement)]


def find_stand(db: Session, reading: SecondReading) -> Stand:
    """How far one second reading is."""
    return Stand(*db.execute(_stands().where(SecondReading.id == reading.id)).one())


def _stands() -> Select[Any]:
    own = select(func.count()).where(ReadImage.reading_id == SecondReading.id)
    read, settled = (
        own.where(column.is_not(None)).correlate(SecondReading).scalar_subquery()
        for column in (ReadImage.read_at, ReadImage.settled_at)
    )
    return select(SecondReading, Person.name, read, settled).join(
        Person, Person.id == SecondReading.asked_by
    )
