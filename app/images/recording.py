"""Writes what became of each file of an import, a batch in one transaction, with the counts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.database import Json
from app.images.finding import get_image
from app.images.image_files import Kept
from app.images.inclusion import is_there
from app.images.knowing import Known, Wishes, beside, find_same_name
from app.images.models import Image, ImageImport, ImportProblem
from app.images.searching import search_words
from app.projects.models import Project

LOCK = 4_206_003


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `kept` under its hash now, known under `sha256` before, refused, or a note
    about something that was found and is no image.

    `name` is unique within its import and the same whenever the import is repeated.
    """

    name: str
    sha256: str | None = None
    kept: Kept | None = None
    reason: str = ""
    prompt: str = ""
    details: Json = field(default_factory=dict)
    is_note: bool = False


def find_known(db: Session, project_id: int, hashes: Sequence[str]) -> dict[str, Image]:
    """The images of the project that have these files already, by hash."""
    rows = db.scalars(
        select(Image).where(Image.project_id == project_id, Image.sha256.in_(hashes), is_there())
    )
    return {image.sha256: image for image in rows}


def record_outcomes(
    db: Session,
    project_id: int,
    import_id: int,
    outcomes: Sequence[Outcome],
    wishes: Wishes = Wishes(),  # noqa: B008 - nobody can change one
) -> tuple[int, int]:
    """Write rows for outcomes that have none yet; returns how many images and duplicates are new.

    Repeating it changes nothing: an image that this import added under this name is not its duplicate.
    """
    # Two imports of the same files would else wait for each other's rows in turn (deadlock).
    db.execute(select(func.pg_advisory_xact_lock(LOCK, func.hashint8(project_id))))
    new = _insert_images(db, project_id, import_id, outcomes)
    hashes = [each.sha256 for each in outcomes if each.sha256 is not None]
    there = find_known(db, project_id, hashes)
    known = Known(db, import_id, [image.id for image in there.values()])
    problems = [_said(import_id, each, there, known) for each in outcomes]
    newer = [image for image in there.values() if image.id in new]
    problems += _same_names(db, project_id, import_id, newer, known, wishes)
    kinds = _insert_problems(db, [each for each in problems if each is not None])
    duplicates = kinds.count("duplicate") + kinds.count("changed")
    db.execute(
        update(ImageImport)
        .where(ImageImport.id == import_id)
        .values(
            added=ImageImport.added + len(new),
            duplicates=ImageImport.duplicates + duplicates,
            refused=ImageImport.refused + kinds.count("refused"),
            changed=ImageImport.changed + kinds.count("changed"),
            replaced=ImageImport.replaced + kinds.count("replaced"),
        )
    )
    return len(new), duplicates


def _said(import_id: int, each: Outcome, there: dict[str, Image], known: Known) -> Json | None:
    """What the result says of one file, or nothing where it simply came in."""
    if each.sha256 is None:
        kind = "note" if each.is_note else "refused"
        return _problem(import_id, each.name, kind, each.reason)
    image = there.get(each.sha256)
    if image is None:
        return _problem(import_id, each.name, "refused", "The picture was erased meanwhile.")
    if (image.import_id, image.name) == (import_id, each.name):
        return None
    remark = known.same_file(image, each.prompt, each.details)
    return _problem(import_id, each.name, remark.kind, remark.reason, remark.image_id)


def _same_names(
    db: Session,
    project_id: int,
    import_id: int,
    newer: Sequence[Image],
    known: Known,
    wishes: Wishes,
) -> list[Json | None]:
    project = db.get_one(Project, project_id)
    said: list[Json | None] = []
    if wishes.instead_of is not None:
        for image in newer:
            name, earlier = image.name, get_image(db, project, wishes.instead_of)
            remark = known.replaced(project, earlier, image)
            said.append(_problem(import_id, name, remark.kind, remark.reason, remark.image_id))
        return said
    for image, others in find_same_name(db, project_id, newer).values():
        name = image.name
        if wishes.replace and len(others) == 1:
            remark = known.replaced(project, others[0], image)
        else:
            remark = beside(image, others)
        said.append(_problem(import_id, name, remark.kind, remark.reason, remark.image_id))
    return said


def _insert_images(
    db: Session, project_id: int, import_id: int, outcomes: Sequence[Outcome]
) -> set[int]:
    rows = [
        {
            "project_id": project_id,
            "import_id": import_id,
            "sha256": each.kept.sha256,
            "name": each.name,
            "format": each.kept.format,
            "width": each.kept.width,
            "height": each.kept.height,
            "bytes": each.kept.bytes,
            "pixels": each.kept.pixels,
            "looks": each.kept.looks,
            "prompt": each.prompt,
            "details": each.details | ({"file": each.kept.details} if each.kept.details else {}),
            "search": search_words(each.name, each.prompt, each.details),
        }
        for each in outcomes
        if each.kept is not None
    ]
    if not rows:
        return set()
    # The words of the index itself: with a parameter in their place a plan made for any value, which a
    # connection uses from its sixth insertion on, matches no index.
    statement = (
        insert(Image)
        .values(rows)
        .on_conflict_do_nothing(
            index_elements=["project_id", "sha256"], index_where=text("state <> 'erased'")
        )
    )
    return set(db.scalars(statement.returning(Image.id)))


def _problem(
    import_id: int, name: str, kind: str, reason: str, image_id: int | None = None
) -> Json:
    return {
        "import_id": import_id,
        "name": name,
        "kind": kind,
        "reason": reason,
        "image_id": image_id,
    }


def _insert_problems(db: Session, problems: list[Json]) -> list[str]:
    if not problems:
        return []
    statement = (
        insert(ImportProblem)
        .values(problems)
        .on_conflict_do_nothing(index_elements=["import_id", "name"])
    )
    return list(db.scalars(statement.returning(ImportProblem.kind)))
