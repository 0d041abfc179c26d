"""Which images of a project are files of one picture, kept from one look at it to the next.

What was found is kept in one row of the project, with a mark of what each image showed then. Whatever
became of an image since (new, erased, replaced, looked at anew) is seen by its mark, so that nobody who
changes images has to think of it: such images, and those they were grouped with, are compared again.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.images.grouping import group_alike
from app.images.models import Image, PictureGroups
from app.projects.models import Project

Transaction: TypeAlias = Callable[[], AbstractContextManager[Session]]

WAY = 1
"""How pictures are told apart; what was kept in another way is not taken over."""


@dataclass(frozen=True)
class _Snapshot:
    """The images of a project by id, and the groups of those that were compared before."""

    ids: Sequence[int]
    sha256: Sequence[str]
    pixels: Sequence[str]
    looks: Sequence[bytes]
    marks: Sequence[int]
    known: Sequence[int | None]

    def group(self, check: Callable[[], None] = lambda: None) -> list[int]:
        """For each image the place of the first one that shows the same picture."""
        return group_alike(self.pixels, self.looks, self.known, check)


def find_pictures(db: Session, project: Project) -> dict[int, str]:
    """For each image of the project the hash of the first imported file of the same picture.

    All images count, not only those of a dataset: else an image that is finished later would take
    others to another split. Images whose looks are not known yet stand for themselves.
    """
    seen = _read(db, project.id)
    return {
        image_id: seen.sha256[leader]
        for image_id, leader in zip(seen.ids, seen.group(), strict=True)
    }


def compare_pictures(
    transaction: Transaction, project_id: int, check: Callable[[], None] = lambda: None
) -> None:
    """Compare the images that came since the last time, and keep what was found. Whatever happens to
    images meanwhile is seen by who reads it. `check` is called now and then, and may raise to stop.
    """
    with transaction() as db:
        seen = _read(db, project_id)
    if None not in seen.known:
        return
    leaders = seen.group(check)
    values = {
        "way": WAY,
        "image_ids": list(seen.ids),
        "leaders": [seen.ids[leader] for leader in leaders],
        "marks": list(seen.marks),
    }
    with transaction() as db:
        statement = insert(PictureGroups).values(project_id=project_id, **values)
        db.execute(statement.on_conflict_do_update(index_elements=["project_id"], set_=values))


def _read(db: Session, project_id: int) -> _Snapshot:
    rows = db.execute(
        select(Image.id, Image.sha256, Image.pixels, Image.looks.is_not(None))
        .where(Image.project_id == project_id)
        .order_by(Image.id)
    ).all()
    ids, marks = [row[0] for row in rows], [_mark(row[2], has_looks=row[3]) for row in rows]
    kept = _known(db, project_id, dict(zip(ids, marks, strict=True)))
    known = [kept.get(each) for each in ids]
    looks: dict[int, bytes] = {}
    if None in known:
        found = select(Image.id, Image.looks).where(
            Image.project_id == project_id, Image.looks.is_not(None)
        )
        looks = {row[0]: row[1] or b"" for row in db.execute(found)}
    return _Snapshot(
        ids,
        [row[1] for row in rows],
        [row[2] or "" for row in rows],
        [looks.get(each, b"") for each in ids],
        marks,
        known,
    )


def _mark(pixels: str | None, *, has_looks: bool) -> int:
    """A number that is another one where what an image shows has changed."""
    if pixels is None:
        return -1
    return 2 * int(pixels[:15] or "0", 16) + has_looks


def _known(db: Session, project_id: int, marks: dict[int, int]) -> dict[int, int]:
    """The groups that still stand: of whose images none has changed."""
    kept = db.get(PictureGroups, project_id)
    if kept is None or kept.way != WAY:
        return {}
    changed = {
        leader
        for image_id, leader, mark in zip(kept.image_ids, kept.leaders, kept.marks, strict=True)
        if marks.get(image_id) != mark
    }
    return {
        image_id: leader
        for image_id, leader in zip(kept.image_ids, kept.leaders, strict=True)
        if leader not in changed
    }
