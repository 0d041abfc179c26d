"""Sets images aside and takes them back, replaces their files, and erases them for good.

Set aside is reversible: the image is left out of the queue, of agent runs, new audits and datasets, and
of all counts (`app.images.inclusion`). Erasing keeps a trace: which image, who, when and why.
"""

import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json, after_commit, unit_of_work
from app.errors import AppError, Conflict, Invalid, Unavailable
from app.images import storage
from app.images.changes import record
from app.images.finding import get_image
from app.images.inclusion import is_held
from app.images.models import Image, ImageEvent, ImageTrait, ImportProblem, StorageRemoval
from app.images.searching import search_words
from app.projects.models import Project
from method.saved_texts import one_line

log = logging.getLogger(__name__)

MAX_REASON = 500
RETRY_SECONDS = 60
MAX_RETRY_SECONDS = 3600
# What an image has from its file, and passes on with it.
OF_FILE = ("sha256", "format", "width", "height", "bytes")
LOOKS = ("pixels", "looks")


def set_aside(
    db: Session, project: Project, image_id: int, *, reason: str, by: Person | None
) -> Image:
    """Leave an image out of everything until it is taken back. Doing it again changes nothing.

    Raises Invalid without a reason: who finds it later has to know why.
    """
    reason = _reason(reason)
    image = get_image(db, project, image_id, lock=True)
    if image.state == "used":
        _put(image, "aside", reason, by)
        record(db, image, "aside", before=None, after={"reason": reason}, by=by)
    return image


def take_back(db: Session, project: Project, image_id: int, *, by: Person | None) -> Image:
    """Take an image that was set aside back in. Doing it again changes nothing."""
    image = get_image(db, project, image_id, lock=True)
    if image.state == "aside":
        before = {"reason": image.state_reason}
        image.state, image.state_at, image.state_by, image.state_reason = "used", None, None, ""
        record(db, image, "back", before=before, after=None, by=by)
    return image


def erase_image(
    db: Session, project: Project, image_id: int, *, reason: str, by: Person | None
) -> Image:
    """Erase an image's content: texts now, bytes after the commit. A trace stays, with the file's hash,
    by which it is recognised when it comes in again. What stands in rooms above, labels and datasets,
    is the caller's (`app.erasing`).
    """
    reason = _reason(reason)
    image = get_image(db, project, image_id, lock=True)
    image.prompt, image.details, image.search, image.looks = "", {}, "", None
    image.name = f"erased image {image.id}"
    image.done_at = image.done_by = image.came_back_at = None
    _put(image, "erased", reason, by)
    record(db, image, "erase", before=None, after=None, by=by)
    db.flush()
    db.execute(delete(ImageTrait).where(ImageTrait.image_id == image.id))
    db.execute(
        update(ImageEvent)
        .where(ImageEvent.image_id == image.id)
        .values(before=null(), after=null())
        .execution_options(synchronize_session=False)
    )
    db.execute(
        update(ImportProblem)
        .where(ImportProblem.image_id == image.id)
        .values(
            name=func.concat("erased image ", image.id, ", line ", ImportProblem.id),
            reason="This concerned an image that was erased since.",
        )
    )
    ask_removal(db, image.sha256)
    return image


def _put(image: Image, state: str, reason: str, by: Person | None) -> None:
    # Asked for first: loading the person may flush, and half a state is refused by the table.
    person_id = by.id if by else None
    image.state, image.state_reason = state, reason
    image.state_at, image.state_by = datetime.now(UTC), person_id


def _reason(text: str) -> str:
    reason = one_line(text)
    if not reason:
        raise Invalid("Please say why, in a few words.", field="reason")
    if len(reason) > MAX_REASON:
        raise Invalid(f"The reason has more than {MAX_REASON} characters.", field="reason")
    return reason


# Replacing --------------------------------------------------------------------------------------


def replace_file(
    db: Session,
    project: Project,
    image_id: int,
    *,
    with_id: int,
    by: Person | None,
    import_id: int | None = None,
) -> Image:
    """Give an image the file of another one that has no labels of its own, and keep its labels.

    The other image keeps the earlier file, set aside, so that both versions can be looked at. The image
    comes back to be looked at: its labels were made on another picture. Raises Conflict where the other one is
    labelled or is the image itself.
    """
    if image_id == with_id:
        raise Conflict("An image cannot be replaced with itself.", field="with")
    # Locked in the order of their ids, so that two replacements wait and never block each other.
    locked = {each: get_image(db, project, each, lock=True) for each in sorted((image_id, with_id))}
    image, other = locked[image_id], locked[with_id]
    if other.label_revision:
        raise Conflict(
            f"Image {with_id} has labels of its own, which would be lost from view.",
            field="with",
            hint="Set one of the two aside instead.",
        )
    before, after = _of_file(image), _of_file(other)
    looks = [{name: getattr(each, name) for name in LOOKS} for each in (other, image)]
    stand_in = func.encode(func.sha256(func.convert_to(f"stand-in {other.id}", "UTF8")), "hex")
    db.execute(update(Image).where(Image.id == other.id).values(sha256=stand_in))
    _give_file(image, after | looks[0])
    db.flush()
    _give_file(other, before | looks[1])
    if image.done_at is not None:
        # Its labels were made on another picture: it comes back to be looked at.
        image.came_back_at = datetime.now(UTC)
    note = {"earlier_version": other.id}
    record(
        db, image, "replace", before=before, after={**after, **note}, by=by, import_id=import_id
    )  # fmt: skip
    if other.state == "used":
        reason = f"earlier version of image {image.id}"
        _put(other, "aside", reason, by)
        record(
            db, other, "aside", before=None, after={"reason": reason}, by=by, import_id=import_id
        )  # fmt: skip
    return image


def _of_file(image: Image) -> Json:
    return {name: getattr(image, name) for name in OF_FILE} | {"file": image.details.get("file")}


def _give_file(image: Image, file: Json) -> None:
    for name in (*OF_FILE, *LOOKS):
        setattr(image, name, file[name])
    rest = {key: value for key, value in image.details.items() if key != "file"}
    image.details = rest | ({"file": file["file"]} if file["file"] else {})
    image.search = search_words(image.name, image.prompt, image.details)


# The storage ------------------------------------------------------------------------------------


def ask_removal(db: Session, sha256: str) -> None:
    """Have a file leave the storage with its derivatives once this transaction has committed."""
    again = {"failures": 0, "not_before": func.clock_timestamp()}
    statement = insert(StorageRemoval).values(sha256=sha256)
    db.execute(statement.on_conflict_do_update(index_elements=["sha256"], set_=again))
    after_commit(db, _remove_soon)


def _remove_soon() -> None:
    try:
        sweep_removals(limit=3)
    except (SQLAlchemyError, AppError) as error:
        # The rows are there, and the sweeper of a worker comes by.
        log.warning("files wait for the sweeper to be removed (%s)", type(error).__name__)


def cancel_removals(db: Session, hashes: list[str]) -> None:
    """Files that come in again stay. Called before their bytes are stored: a removal that is under way
    holds its row, so that one waits for the other.
    """
    db.execute(delete(StorageRemoval).where(StorageRemoval.sha256.in_(hashes)))


def sweep_removals(limit: int = 100) -> int:
    """Remove files that are due, each in a transaction of its own; returns how many are gone.

    Where the storage does not answer the row stays and is tried again, later each time.
    """
    gone = 0
    for _ in range(limit):
        with unit_of_work() as db:
            due = db.scalar(
                select(StorageRemoval)
                .where(StorageRemoval.not_before <= func.clock_timestamp())
                .order_by(StorageRemoval.not_before)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if due is None:
                return gone
            gone += _remove(db, due)
    return gone


def _remove(db: Session, due: StorageRemoval) -> int:
    # Another project, a later import or a study may hold the same file.
    if not is_held(db, due.sha256):
        try:
            storage.remove(due.sha256)
        except Unavailable:
            due.failures += 1
            pause = min(RETRY_SECONDS * 2 ** (due.failures - 1), MAX_RETRY_SECONDS)
            due.not_before = datetime.now(UTC) + timedelta(seconds=pause)
            return 0
    db.delete(due)
    return 1
