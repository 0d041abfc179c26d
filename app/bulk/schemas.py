"""Bulk actions as JSON."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.bulk.asking import MOST_CHOSEN, Wish
from app.bulk.forms import Kind
from app.bulk.models import LONGEST_QUERY
from app.bulk.reading import ActionRow, ImageRow
from taxonomy.tree import Polarity


class BulkIn(BaseModel):
    """What is to be done: `confirm`, `add`, `reject` or `doubt` one attribute, mark images as `done` or `reopen` them,
    or `assign` them to a person.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    key: str = Field("", description="The attribute pair, where labels are concerned.")
    polarity: Polarity | None = None
    person: int | None = Field(None, description="Who is given the images.")
    query: str = Field(
        "",
        max_length=LONGEST_QUERY,
        description="A filter as the wall's address has it, such as `show=done&key=clear-edges`; empty for all images.",
    )
    images: list[int] = Field([], max_length=MOST_CHOSEN, description="Or these images alone.")
    replace: bool = Field(default=False, description="Also change what people decided otherwise.")

    def wish(self) -> Wish:
        """As the verbs take it."""
        return Wish(
            self.kind,
            self.key,
            self.polarity or "",
            person_id=self.person,
            query=self.query,
            chosen=self.images,
            replace=self.replace,
        )


class BulkOut(BaseModel):
    """A bulk action. `found` is what it would do, `taken` what it did, `undone` what was taken back: numbers of images.

    `state` is `working`, `found` (looked at, nothing done), `done`, `undone` or `stopped`; then `error` says why.
    """

    id: int
    kind: str
    key: str | None
    polarity: str | None
    person: int | None
    query: str
    images: list[int] | None
    replace: bool
    state: str
    error: str | None
    found: dict[str, Any] | None
    taken: dict[str, Any] | None
    taken_at: datetime | None
    undone: dict[str, Any] | None
    undone_at: datetime | None
    job_id: int | None
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, found: ActionRow) -> "BulkOut":
        """The same as JSON."""
        action = found.action
        return cls(
            id=action.id,
            kind=action.kind,
            key=found.node.key if found.node else None,
            polarity=action.polarity,
            person=action.assignee_id,
            query=action.query,
            images=action.chosen,
            replace=action.replace,
            state=found.state,
            error=found.job.error if found.job and found.state == "stopped" else None,
            found=action.found,
            taken=action.taken,
            taken_at=action.taken_at,
            undone=action.undone,
            undone_at=action.undone_at,
            job_id=action.job_id,
            created_by=found.by,
            created_at=action.created_at,
        )


class BulkPage(BaseModel):
    """Bulk actions, newest first; `next` is the `before` of the next page."""

    items: list[BulkOut]
    next: int | None


class BulkImageOut(BaseModel):
    """An image of a bulk action: the `effect` it would have, the label's state `before`, new `contradictions`, and the
    `outcome`.
    """

    image: int
    file: str
    effect: str
    before: str | None
    contradictions: int
    outcome: str | None

    @classmethod
    def of(cls, row: ImageRow) -> "BulkImageOut":
        """The same as JSON."""
        return cls(
            image=row.image_id,
            file=row.name,
            effect=row.effect,
            before=row.before,
            contradictions=row.contradictions,
            outcome=row.outcome,
        )


class BulkImagesPage(BaseModel):
    """Images of a bulk action in the order of their import; `next` is the `after` of the next page."""

    items: list[BulkImageOut]
    next: int | None
