"""Writes what became of each file of an import, a batch in one transaction, with the counts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR, insert
from sqlalchemy.orm import Session

from app.database import Json
from app.images.inclusion import is_there
from app.images.keeping import Kept
from app.images.models import Image, ImageImport, ImportProblem
from app.images.searching import search_words

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


@dataclass(frozen=True)
class Known:
    """An image that the project has."""

    id: int
    sha256: str
    import_id: int | None
    name: str
    has_prompt: bool
    details: Json


def find_known(db: Session, project_id: int, hashes: Sequence[str]) -> dict[str, Known]:
    """Which of these files the project has already, by hash."""
    rows = db.execute(
        select(
            Image.id, Image.sha256, Image.import_id, Image.name, Image.prompt != "", Image.details
        ).where(Image.project_id == project_id, Image.sha256.in_(hashes), is_there())
    )
    return {row.sha256: Known(*row) for row in rows}


def record_outcomes(
    db: Session, project_id: int, import_id: int, outcomes: Sequence[Outcome]
) -> tuple[int, int]:
    """Write rows for outcomes that have none yet; returns how many images and duplicates are new.

    Repeating it changes nothing: an image that this import added under this name is not its duplicate.
    """
    # Two imports of the same files would else wait for each other's rows in turn (deadlock).
    db.execute(select(func.pg_advisory_xact_lock(LOCK, func.hashint8(project_id))))
    added = _insert_images(db, project_id, import_id, outcomes)
    hashes = [each.sha256 for each in outcomes if each.sha256 is not None]
    known = find_known(db, project_id, hashes)
    problems: list[Json] = []
    fillings: list[Json] = []
    for each in outcomes:
        if each.sha256 is None:
            kind = "note" if each.is_note else "refused"
            problems.append(_problem(import_id, each.name, kind, each.reason))
            continue
        there = known[each.sha256]
        if (there.import_id, there.name) == (import_id, each.name):
            continue
        reason = f"The same file is there already, as “{there.name}”."
        if each.prompt and not there.has_prompt:
            words = search_words(there.name, each.prompt, there.details | each.details)
            fillings.append(
                {"of": there.id, "to": each.prompt, "more": each.details, "words": words}
            )
            reason += " It had no prompt; the one of this import was taken."
        problems.append(_problem(import_id, each.name, "duplicate", reason))
    _fill_in(db, fillings)
    kinds = _insert_problems(db, problems)
    duplicates = kinds.count("duplicate")
    db.execute(
        update(ImageImport)
        .where(ImageImport.id == import_id)
        .values(
            added=ImageImport.added + added,
            duplicates=ImageImport.duplicates + duplicates,
            refused=ImageImport.refused + kinds.count("refused"),
        )
    )
    return added, duplicates


def _insert_images(
    db: Session, project_id: int, import_id: int, outcomes: Sequence[Outcome]
) -> int:
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
        return 0
    statement = (
        insert(Image)
        .values(rows)
        .on_conflict_do_nothing(
            index_elements=["project_id", "sha256"], index_where=Image.state != "erased"
        )
    )
    return len(db.execute(statement.returning(Image.id)).all())


def _fill_in(db: Session, fillings: list[Json]) -> None:
    # Someone who imported first and wrote the listing later would else never get the prompts in.
    if fillings:
        more = bindparam("more", type_=JSONB)
        db.connection().execute(
            update(Image)
            .where(Image.id == bindparam("of"), Image.prompt == "")
            .values(
                prompt=bindparam("to"),
                details=Image.details.op("||")(more),
                search=bindparam("words", type_=TSVECTOR),
            ),
            fillings,
        )


def _problem(import_id: int, name: str, kind: str, reason: str) -> Json:
    return {"import_id": import_id, "name": name, "kind": kind, "reason": reason}


def _insert_problems(db: Session, problems: list[Json]) -> list[str]:
    if not problems:
        return []
    statement = (
        insert(ImportProblem)
        .values(problems)
        .on_conflict_do_nothing(index_elements=["import_id", "name"])
    )
    return list(db.scalars(statement.returning(ImportProblem.kind)))
