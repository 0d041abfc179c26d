"""Images and imports as JSON."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.database import LARGEST_KEY
from app.images.changes import Change
from app.images.finding import LabelCounts
from app.images.models import Image, ImageImport, ImportProblem
from app.images.relisting import Plan
from app.images.tiles import TILE
from app.images.tiling import State, Tiling
from app.jobs.models import Job
from app.labels.models import STATES

SHOWN = 1000
"""The most changes of a list that one answer holds."""


class LabelCount(BaseModel):
    """How many labels of one polarity an image has in each state."""

    proposed: int
    confirmed: int
    rejected: int
    unsure: int


class ImageOut(BaseModel):
    """An image. `width` and `height` are pixels as seen; `sha256` is that of the imported file."""

    id: int
    name: str
    prompt: str
    sha256: str
    format: str
    width: int
    height: int
    bytes: int
    details: dict[str, Any]
    is_done: bool
    is_new_since_done: bool
    label_revision: int
    revision: int
    state: Literal["used", "aside"]
    state_reason: str
    created_at: datetime
    labels: dict[str, LabelCount]

    @classmethod
    def of(cls, image: Image, counts: LabelCounts) -> "ImageOut":
        return cls(
            id=image.id,
            name=image.name,
            prompt=image.prompt,
            sha256=image.sha256,
            format=image.format,
            width=image.width,
            height=image.height,
            bytes=image.bytes,
            details=image.details,
            is_done=image.done_at is not None,
            is_new_since_done=image.came_back_at is not None,
            label_revision=image.label_revision,
            revision=image.revision,
            state="aside" if image.state == "aside" else "used",
            state_reason=image.state_reason,
            created_at=image.created_at,
            labels={
                polarity: LabelCount(**{state: counts.of(polarity, state) for state in STATES})
                for polarity in ("positive", "negative")
            },
        )


class ImagePage(BaseModel):
    """A page of images; `next` is the cursor of the following page."""

    items: list[ImageOut]
    next: int | None


class ImagePatch(BaseModel):
    """A correction: what is not named stays as it is, a null value removes a key."""

    model_config = ConfigDict(extra="forbid")

    based_on: int = Field(description="The image's `revision` that the correction was made from.")
    prompt: str | None = None
    details: dict[str, str | int | float | bool | None] = {}


class AsideIn(BaseModel):
    """Why an image is set aside."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500)


class ReplacementIn(BaseModel):
    """The image whose file is to be taken."""

    model_config = ConfigDict(extra="forbid")

    image: int = Field(ge=1, le=LARGEST_KEY)


class FieldChange(BaseModel):
    """One thing that changed, before and after."""

    name: str
    before: Any
    after: Any


class ImageChangeOut(BaseModel):
    """One recorded change of an image; of an erased image no values are left."""

    id: int
    image_id: int
    kind: str
    fields: list[FieldChange]
    revision: int
    by: str | None
    import_id: int | None
    at: datetime

    @classmethod
    def of(cls, change: Change) -> "ImageChangeOut":
        return cls(
            id=change.id,
            image_id=change.image_id,
            kind=change.kind,
            fields=[FieldChange(name=n, before=b, after=a) for n, b, a in change.fields],
            revision=change.revision,
            by=change.who,
            import_id=change.import_id,
            at=change.at,
        )


class ImageChangesOut(BaseModel):
    """A page of changes, newest first; `next` continues it as `before`."""

    items: list[ImageChangeOut]
    next: int | None


class PlannedOut(BaseModel):
    """What one line of a list changes of one image; `by_hand`: who wrote what of it on the image's page."""

    model_config = ConfigDict(from_attributes=True)

    line: int
    image_id: int
    image: str
    before: dict[str, Any]
    after: dict[str, Any]
    by_hand: dict[str, str]


class UnusedOut(BaseModel):
    """A line of a list that changes nothing, with the reason."""

    model_config = ConfigDict(from_attributes=True)

    line: int
    location: str
    reason: str


class PlanOut(BaseModel):
    """What a list changes. `digest` is to be sent back to take it over; `num_changes` counts all changes,
    `changes` and `unused` hold the first thousand each.
    """

    digest: str
    is_applied: bool
    num_changes: int
    num_unchanged: int
    num_unused: int
    changes: list[PlannedOut]
    unused: list[UnusedOut]
    notes: list[str]

    @classmethod
    def of(cls, plan: Plan, *, is_applied: bool) -> "PlanOut":
        return cls(
            digest=plan.digest,
            is_applied=is_applied,
            num_changes=len(plan.changes),
            num_unchanged=plan.num_unchanged,
            num_unused=len(plan.unused),
            changes=[PlannedOut.model_validate(each) for each in plan.changes[:SHOWN]],
            unused=[UnusedOut.model_validate(each) for each in plan.unused[:SHOWN]],
            notes=plan.notes,
        )


class ImportIn(BaseModel):
    """Where to import from, if not from uploaded files: exactly one of the two."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(default=None, description="http(s) address of a CSV, ZIP or image.")
    folder: str | None = Field(default=None, description="Folder of the server, below an open one.")
    replace: bool = Field(
        default=False,
        description="Pictures take the place of those of the same name; labels stay.",
    )
    include_erased: bool = Field(default=False, description="Also take in what was erased.")


class ProblemOut(BaseModel):
    """What an import said of one thing: `refused`, `duplicate` (there already), `changed` (there already,
    prompt or metadata were taken from this import), `replaced` (an image has the new picture now),
    `same_name` (another picture of this name is there), or `note`: it was found and not read, or read in
    a way to know of. `image_id` is the image that it is about.
    """

    id: int
    name: str
    kind: str
    reason: str
    image_id: int | None

    @classmethod
    def of(cls, problem: ImportProblem) -> "ProblemOut":
        return cls(
            id=problem.id,
            name=problem.name,
            kind=problem.kind,
            reason=problem.reason,
            image_id=problem.image_id,
        )


class ImportOut(BaseModel):
    """An import and how far it is; `state` is that of its job (`succeeded` where it needed none)."""

    id: int
    source: str
    origin: str
    job_id: int | None
    state: str
    progress: dict[str, Any]
    error: str | None
    added: int
    duplicates: int
    changed: int
    replaced: int
    refused: int
    created_at: datetime

    @classmethod
    def of(cls, row: ImageImport, job: Job | None) -> "ImportOut":
        return cls(
            id=row.id,
            source=row.source,
            origin=row.origin,
            job_id=row.job_id,
            state=job.state if job else "succeeded",
            progress=job.progress if job else {},
            error=job.error if job else None,
            added=row.added,
            duplicates=row.duplicates,
            changed=row.changed,
            replaced=row.replaced,
            refused=row.refused,
            created_at=row.created_at,
        )


class ImportPage(BaseModel):
    """A page of imports, newest first; `next` is the cursor of the following page."""

    items: list[ImportOut]
    next: int | None


class ImportWithProblems(ImportOut):
    """An import with a page of its problems; `next` is the cursor of the following ones."""

    problems: list[ProblemOut]
    next: int | None


class LevelOut(BaseModel):
    """One level of tiles: the width and height of the image at it, in pixels."""

    level: int
    width: int
    height: int


class TilesOut(BaseModel):
    """The tiles of an image. `none`: `display` shows it in full. `making`: a worker cuts them; ask again in
    a second. `failed`: `reason` says why. `address` holds `{level}`, `{column}` and `{row}`.
    """

    state: State
    reason: str
    tile_size: int
    levels: list[LevelOut]
    address: str

    @classmethod
    def of(cls, tiling: Tiling, address: str) -> "TilesOut":
        levels = [
            LevelOut(level=each.number, width=each.width, height=each.height)
            for each in tiling.levels
        ]
        return cls(
            state=tiling.state,
            reason=tiling.reason,
            tile_size=TILE,
            levels=levels,
            address=address,
        )
