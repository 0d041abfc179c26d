"""Gives an image a new file of its own, straight from whoever has it; the labels stay."""

from pathlib import Path

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import let_go
from app.errors import Conflict, Invalid
from app.images import image_files
from app.images.finding import get_image
from app.images.importing import create_import
from app.images.knowing import Wishes, find_erased
from app.images.models import Image
from app.images.recording import Outcome, find_known, record_outcomes
from app.images.removing import cancel_removals, replace_file
from app.projects.models import Project
from app.settings import settings
from method.pictures import ImageRefused


def read_picture(path: Path) -> bytes:
    """A file's bytes; of one over the limit only as many as show that it is. Raises OSError."""
    with path.open("rb") as file:
        return file.read(_limit() + 1)


def _limit() -> int:
    return settings().max_image_mb * 1024 * 1024


def replace_with_file(
    db: Session, project: Project, image_id: int, *, name: str, data: bytes, by: Person | None
) -> Image:
    """Give an image the file `data`, which is called `name`. Its labels and what is said of it stay.

    The file comes in as an import of one, whose image then keeps the earlier file, set aside
    (`app.images.removing.replace_file`). A file that is kept so, by an image that is set aside and has no
    labels, is taken from there: that is how a replacement is undone. The transaction so far, which has
    only read, is ended while the file is decoded and stored. Raises NotFound, Invalid where the file is no
    picture that is taken, and Conflict where the project has it, or had it until it was erased.
    """
    if len(data) > _limit():
        raise Invalid(f"The file is larger than {settings().max_image_mb} MiB.", field="files")
    image = get_image(db, project, image_id)
    sha256 = image_files.hash_of(data)
    there = find_known(db, project.id, [sha256]).get(sha256)
    if there is not None and _only_keeps_it(there) and there.id != image.id:
        return replace_file(db, project, image_id, with_id=there.id, by=by)
    _refuse_known(db, project, image, there, sha256)
    cancel_removals(db, [sha256])
    let_go(db)
    try:
        kept = image_files.keep(data)
    except ImageRefused as error:
        raise Invalid(f"{name}: {error.reason}", field="files") from error
    with db.begin_nested():
        row = create_import(db, project, source="files", origin=name, by=by)
        # Under the image's own name: the new row is the one that keeps the earlier file.
        outcome = Outcome(image.name, sha256, kept)
        wishes = Wishes(instead_of=image_id)
        added, _ = record_outcomes(db, project.id, row.id, [outcome], wishes)
        if not added:
            raise Conflict(
                "The same file came in meanwhile.", field="files", hint="Please look again."
            )
    return get_image(db, project, image_id, lock=True)


def _only_keeps_it(other: Image) -> bool:
    return other.state == "aside" and not other.label_revision


def _refuse_known(
    db: Session, project: Project, image: Image, there: Image | None, sha256: str
) -> None:
    if there is not None and there.id == image.id:
        raise Conflict("The image has exactly this file already.", field="files")
    if there is not None:
        raise Conflict(
            f"This file is there already, as image {there.id}, “{there.name}”.",
            field="files",
            hint=f"Set image {there.id} aside first, and its file is taken from there."
            if not there.label_revision
            else "That one has labels of its own; set one of the two aside instead.",
        )
    erased = find_erased(db, project.id, [sha256])
    if erased:
        raise Conflict(erased[sha256], field="files")
