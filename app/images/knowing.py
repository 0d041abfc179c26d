"""What an import says of files that the project knows: the same file, another file of the same name, a
file that was erased.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.images.captions import changes_from, in_words, written_by_people
from app.images.correcting import apply_correction, described
from app.images.finding import erased_words
from app.images.inclusion import in_use, is_there
from app.images.models import Image, ImageEvent, ImageImport
from app.images.removing import replace_file
from app.projects.models import Project


@dataclass(frozen=True)
class Wishes:
    """What whoever imports asks for beside: pictures of the same name take the place of those that are
    there; files that were erased come in again; the one picture takes the place of image `instead_of`.
    """

    replace: bool = False
    include_erased: bool = False
    instead_of: int | None = None


@dataclass(frozen=True)
class Remark:
    """One line of an import's result about an image that was there."""

    kind: str
    reason: str
    image_id: int


def find_erased(db: Session, project_id: int, hashes: Sequence[str]) -> dict[str, str]:
    """Of these files those that were erased and are not there again, with a sentence each."""
    there = select(Image.sha256).where(Image.project_id == project_id, is_there())
    rows = db.scalars(
        select(Image)
        .where(
            Image.project_id == project_id,
            Image.state == "erased",
            Image.sha256.in_(hashes),
            Image.sha256.not_in(there.where(Image.sha256.in_(hashes))),
        )
        .order_by(Image.id)
    )
    return {
        image.sha256: f"This picture {erased_words(db, image)}, so it was not taken in. Import it with"
        " “also what was erased” where that is meant."
        for image in rows
    }


class Known:
    """The images that a batch of files meets, and what may be changed of them by this import."""

    def __init__(self, db: Session, import_id: int, image_ids: Sequence[int]) -> None:
        self._db, self._import_id = db, import_id
        self._by = db.get_one(ImageImport, import_id).created_by
        self._written = written_by_people(db, image_ids) if image_ids else {}
        # The first that this import says of a picture counts, also when it is done again.
        self._told = set(
            db.scalars(
                select(ImageEvent.image_id).where(
                    ImageEvent.import_id == import_id, ImageEvent.image_id.in_(image_ids)
                )
            )
        )

    def same_file(self, image: Image, prompt: str, details: Json) -> Remark:
        """Take over what the list says of a picture that is there, and say so."""
        reason = f"The same file is there already, as “{image.name}”."
        changed = changes_from(image.prompt, image.details, prompt, details)
        if not changed:
            return Remark("duplicate", reason, image.id)
        if image.import_id == self._import_id or image.id in self._told:
            what = "What is said of it here differs and was not taken: the first counts."
            return Remark("duplicate", f"{reason} {what}", image.id)
        self._told.add(image.id)
        written = self._written.get(image.id, {})
        kept = {name: written[name] for name in changed if name in written}
        taken = {name: value for name, value in changed.items() if name not in kept}
        before = described(image)
        self._correct(image, taken)
        words = [reason]
        if taken:
            words.append(f"Changed: {in_words(before, taken)}.")
        if kept:
            who = ", ".join(f"{name} ({person})" for name, person in kept.items())
            words.append(f"Kept, because somebody wrote it here: {who}.")
        return Remark("changed" if taken else "duplicate", " ".join(words), image.id)

    def replaced(self, project: Project, image: Image, newer: Image) -> Remark:
        """Put a new picture in the place of the one of its name, and keep the labels."""
        prompt, details = newer.prompt, newer.details
        person = self._db.get(Person, self._by) if self._by else None
        replace_file(
            self._db, project, image.id, with_id=newer.id, by=person, import_id=self._import_id
        )
        self._correct(image, changes_from(image.prompt, image.details, prompt, details))
        return Remark(
            "replaced",
            f"Image {image.id} of this name has the new picture now. Its labels stay and it is open again, "
            f"to be looked at; the earlier picture is image {newer.id}, set aside.",
            image.id,
        )

    def _correct(self, image: Image, changed: Json) -> None:
        person = self._db.get(Person, self._by) if self._by else None
        apply_correction(
            self._db, image, changed, kind="import", by=person, import_id=self._import_id
        )


def find_same_name(
    db: Session, project_id: int, newer: Iterable[Image]
) -> dict[int, tuple[Image, list[Image]]]:
    """New images whose name other images in use have, by id, with those."""
    by_name = {image.name: image for image in newer}
    own = [image.id for image in by_name.values()]
    rows = db.scalars(
        select(Image)
        .where(
            Image.project_id == project_id,
            in_use(),
            Image.name.in_(by_name),
            Image.id.not_in(own),
        )
        .order_by(Image.id)
        .with_for_update(key_share=True)
    )
    found: dict[int, tuple[Image, list[Image]]] = {}
    for image in rows:
        new = by_name[image.name]
        found.setdefault(new.id, (new, []))[1].append(image)
    return found


def beside(newer: Image, others: Sequence[Image]) -> Remark:
    """That another picture of this name is there, and what can be done."""
    which = ", ".join(f"image {each.id}" for each in others[:5])
    return Remark(
        "same_name",
        f"Another picture of this name is there ({which}); this one came in beside it, as image {newer.id}. "
        "“Replace pictures of the same name” would have put it in its place.",
        newer.id,
    )
