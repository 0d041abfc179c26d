"""Takes prompts and metadata for pictures that are there from a list: first what would change, then all of
it in one transaction.

Pictures are known by their names, as an import reads them (`app.images.matching`). What the list leaves
empty stays; what people wrote by hand is overwritten, because whoever applies it has seen that it is.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.errors import Invalid, Stale
from app.images.captions import changes_from, written_by_people
from app.images.correcting import apply_correction, described
from app.images.inclusion import is_there
from app.images.listings import Listing, ListingRefused, Row, read_listing
from app.images.matching import Shelf
from app.images.models import Image
from app.projects.models import Project

JSON_LINES = (".jsonl", ".ndjson")
BATCH = 500


@dataclass(frozen=True, slots=True)
class Planned:
    """What one line would change of one image; `by_hand` has who wrote what of it, by name."""

    line: int
    image_id: int
    image: str
    before: Json
    after: Json
    by_hand: dict[str, str]


@dataclass(frozen=True, slots=True)
class Unused:
    """A line that changes nothing because it cannot be told what it means."""

    line: int
    location: str
    reason: str


@dataclass
class Plan:
    """What a list would change. `digest` stands for all of it: the same again is the same change."""

    changes: list[Planned] = field(default_factory=list)
    unused: list[Unused] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    num_unchanged: int = 0

    @property
    def digest(self) -> str:
        """The SHA-256 of every change, before and after."""
        said = [[each.image_id, each.before, each.after] for each in self.changes]
        text = json.dumps(said, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def plan_list(db: Session, project: Project, data: bytes, *, name: str, lock: bool = False) -> Plan:
    """What a list (CSV, or JSON Lines by its name) would change; nothing is written.

    `lock` holds the images that it names until the transaction ends. Raises Invalid where the file is
    no list.
    """
    try:
        listing = read_listing(data, lines_of_json=name.lower().endswith(JSON_LINES))
    except ListingRefused as error:
        raise Invalid(error.reason, field="files") from error
    plan = Plan(notes=list(listing.notes))
    plan.unused += [Unused(line, "", f"The row {reason}.") for line, reason in listing.problems]
    rows = _match(db, project, listing, plan)
    ids = sorted(rows)
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        by_hand = written_by_people(db, some)
        for image in _load(db, project, some, lock=lock):
            _compare(plan, image, rows[image.id], by_hand.get(image.id, {}))
    plan.changes.sort(key=lambda each: each.line)
    plan.unused.sort(key=lambda each: each.line)
    return plan


def _match(db: Session, project: Project, listing: Listing, plan: Plan) -> dict[int, Row]:
    """The row of each image that the list names; every other row goes to `plan.unused`."""
    named: dict[str, list[int]] = {}
    for image_id, name in db.execute(
        select(Image.id, Image.name).where(Image.project_id == project.id, is_there())
    ):
        named.setdefault(name, []).append(image_id)
    shelf = Shelf(list(named))
    rows: dict[int, Row] = {}
    for row in listing.rows:
        found = [each for name in shelf.find(row.location, "") for each in named[name]]
        reason = ""
        if not found:
            reason = "No image of the project has this name."
        elif len(found) > 1:
            reason = f"It could be any of {len(found)} images; give its folder too."
        elif found[0] in rows:
            reason = f"It was named before, in line {rows[found[0]].line}; the first counts."
        if reason:
            plan.unused.append(Unused(row.line, row.location[:200], reason))
        else:
            rows[found[0]] = row
    return rows


def _load(db: Session, project: Project, ids: Sequence[int], *, lock: bool) -> Sequence[Image]:
    # Locked in the order of their ids, as every writer does.
    query = (
        select(Image)
        .where(Image.project_id == project.id, is_there(), Image.id.in_(ids))
        .order_by(Image.id)
    )
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return db.scalars(query).all()


def _compare(plan: Plan, image: Image, row: Row, written: dict[str, str]) -> None:
    after = changes_from(image.prompt, image.details, row.prompt, row.details)
    if not after:
        plan.num_unchanged += 1
        return
    current = described(image)
    plan.changes.append(
        Planned(
            row.line,
            image.id,
            image.name,
            {name: current.get(name) for name in after},
            after,
            {name: written[name] for name in after if name in written},
        )
    )


def apply_list(
    db: Session, project: Project, data: bytes, *, name: str, digest: str, by: Person | None
) -> Plan:
    """Make the changes of a list that were looked at before, all or none, each recorded.

    `digest` is that of the plan that was shown. Raises Stale where the same list would change something
    else now, and Invalid where the file is no list.
    """
    plan = plan_list(db, project, data, name=name, lock=True)
    if plan.digest != digest:
        raise Stale(
            "Images were changed since the list was looked at; nothing was taken over.",
            hint="Look at what would change now, then take it over.",
        )
    for each in plan.changes:
        image = db.get_one(Image, each.image_id)  # loaded and locked above
        apply_correction(db, image, each.after, kind="list", by=by)
    return plan
