"""Imports: asking for one and doing it.

Doing one is safe to repeat from the start: an image is stored before its row, a row names its import,
and the counts grow in the transaction that writes the rows.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache, partial
from itertools import islice
from typing import Protocol, TypeVar

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json, unit_of_work
from app.images import image_files, uploads
from app.images.contents import Contents, Entry, tidy_name
from app.images.finding import find_problems
from app.images.knowing import Wishes, find_erased
from app.images.models import ImageImport
from app.images.pictures import Transaction, compare_pictures
from app.images.recording import Outcome, find_known, record_outcomes
from app.images.removing import cancel_removals
from app.images.sources import Source, open_source, path_source, with_wishes
from app.jobs.models import Job
from app.jobs.queueing import submit
from app.projects.founding import get_project
from app.projects.models import Project
from method.items import Failed, attempt, ends_the_whole

COUNTS = ("added", "duplicates", "refused")
BATCH_FILES = 20
BATCH_BYTES = 96 * 1024 * 1024
URL_BYTES = 5 * 1024 * 1024
THREADS = max(2, min(4, os.cpu_count() or 2))
# Threads of one import that only wait for servers.
FETCHES = 8
SHOWN_PROBLEMS = 1000
TELL_SECONDS = 2.0

R = TypeVar("R")


class Report(Protocol):
    """Told how far an import is."""

    def __call__(self, *, done: int, total: int | None, message: str = "", **more: object) -> None:
        """Take note: `done` of `total` files (None while the total is not known)."""


def start_import(
    db: Session, project: Project, source: Source, *, by: Person | None
) -> tuple[ImageImport, Job]:
    """Ask for an import: its row and the job that a worker will do."""
    row = create_import(db, project, source=source.kind, origin=source.origin, by=by)
    job = submit(
        db, project=project, kind="import", spec={"import_id": row.id, "source": source.spec}, by=by
    )
    row.job_id = job.id
    db.flush()
    return row, job


def create_import(
    db: Session, project: Project, *, source: str, origin: str, by: Person | None = None
) -> ImageImport:
    """The row of an import without a job, for the command line and the demo.

    `source` is folder, zip, csv, files or demo; `origin` says where from, in words.
    """
    row = ImageImport(
        project_id=project.id,
        source=source,
        origin=tidy_name(origin),
        created_by=by.id if by else None,
    )
    db.add(row)
    db.flush()
    return row


def add_image(
    db: Session,
    project: Project,
    import_id: int,
    name: str,
    data: bytes,
    *,
    prompt: str = "",
    details: Json | None = None,
) -> str:
    """Store one image and write its row; returns `added` or `duplicate`. The name is unique in its import.

    Raises ImageRefused where the file is no image that is taken.
    """
    kept = image_files.keep(data)
    outcome = Outcome(tidy_name(name), kept.sha256, kept, prompt=prompt, details=details or {})
    added, _ = record_outcomes(db, project.id, import_id, [outcome])
    return "added" if added else "duplicate"


def run_import(
    import_id: int,
    spec: Json,
    *,
    transaction: Transaction,
    report: Report,
    check: Callable[[], None] = lambda: None,
) -> Json:
    """Do an import: look, read, decode, store, record, a batch at a time. Returns its counts.

    `check` is called between batches and may raise to stop; what was recorded stays, and the same
    call goes on from there. Raises Invalid where the whole source cannot be used.
    """
    uploads.sweep_uploads()
    token = spec.get("token")
    if token is None or not uploads.is_done(token):
        report(done=0, total=None, message="Looking at what is there")
        with open_source(spec, _telling(check, report)) as contents:
            wishes = Wishes(**spec.get("wishes", {}))
            _Taking(import_id, transaction, report, check, wishes).all_of(contents)
        if token is not None:
            uploads.finish_upload(token)
    with transaction() as db:
        project_id = db.get_one(ImageImport, import_id).project_id
    compare_pictures(transaction, project_id, check)
    with transaction() as db:
        row = db.get_one(ImageImport, import_id)
        counts = {name: getattr(row, name) for name in COUNTS}
        more = {name: getattr(row, name) for name in ("changed", "replaced") if getattr(row, name)}
        return counts | more


def _telling(check: Callable[[], None], report: Report) -> Callable[[], None]:
    """A check that also says that work goes on: a wish to cancel comes back with what is said."""

    def look() -> None:
        report(done=0, total=None, message="Fetching")
        check()

    return look


@lru_cache
def _decoders() -> ThreadPoolExecutor:
    # One for all imports of a process: however many there are, the processor has a few pictures in hand.
    return ThreadPoolExecutor(THREADS, "decode")


class _Taking:
    """One import under way: takes in what was found, each file in a guard of its own."""

    def __init__(
        self,
        import_id: int,
        transaction: Transaction,
        report: Report,
        check: Callable[[], None],
        wishes: Wishes,
    ) -> None:
        self.wishes = wishes
        self.import_id = import_id
        self.transaction = transaction
        self.report = report
        self.check = check
        self.done, self.total = 0, 0
        self.began = time.monotonic()
        with transaction() as db:
            self.project_id = db.get_one(ImageImport, import_id).project_id

    def all_of(self, contents: Contents) -> None:
        """Record what is refused or noted, then take in all files, a batch at a time."""
        said = [Outcome(each.name, reason=each.reason) for each in contents.refusals]
        said += [Outcome(each.name, reason=each.reason, is_note=True) for each in contents.notes]
        told = iter(said)
        while some := list(islice(told, 500)):
            self._record(some)
        self.total = len(contents.entries)
        self.report(done=0, total=self.total, message="Importing")
        with ThreadPoolExecutor(FETCHES, "fetch") as fetchers:
            for batch in _batches(contents.entries.values()):
                self.check()
                self._record(self._take_in(batch, fetchers))
                self.done += len(batch)
                self._tell()

    def _tell(self) -> None:
        rate = round(self.done / max(time.monotonic() - self.began, 0.001), 2)
        message = f"{self.done} of {self.total} files"
        self.report(done=self.done, total=self.total, message=message, rate=rate)

    def _record(self, outcomes: list[Outcome]) -> None:
        """Write a batch; where the database refuses one row, each row by itself."""
        try:
            with self.transaction() as db:
                record_outcomes(db, self.project_id, self.import_id, outcomes, self.wishes)
        except Exception as error:
            if ends_the_whole(error):
                raise
            for each in outcomes:
                self._record_one(each)

    def _record_one(self, outcome: Outcome) -> None:
        def write(each: Outcome) -> None:
            with self.transaction() as db:
                record_outcomes(db, self.project_id, self.import_id, [each], self.wishes)

        done = attempt(write, outcome, lambda each: each.name)
        if isinstance(done, Failed):
            write(Outcome(tidy_name(done.name), reason=done.reason))

    def _take_in(self, batch: list[Entry], fetchers: ThreadPoolExecutor) -> list[Outcome]:
        """Read, decode and store a batch; what the project knows already is not decoded again."""
        reading = [
            fetchers.submit(attempt, lambda each: each.read(self.check), entry, _name)
            if entry.url
            else _decoders().submit(attempt, lambda each: each.read(), entry, _name)
            for entry in batch
        ]
        read = self._wait_for(reading)
        hashes = {image_files.hash_of(data) for data in read if isinstance(data, bytes)}
        with self.transaction() as db:
            known = set(find_known(db, self.project_id, sorted(hashes)))
            erased = {}
            if not self.wishes.include_erased:
                erased = find_erased(db, self.project_id, sorted(hashes))
            cancel_removals(db, sorted(hashes - erased.keys()))
        keeping_them = [
            _decoders().submit(_outcome, known, erased, entry, data)
            for entry, data in zip(batch, read, strict=True)
        ]
        return self._wait_for(keeping_them)

    def _wait_for(self, futures: list[Future[R]]) -> list[R]:
        # Whoever wishes to stop need not wait for the slowest server.
        try:
            while wait(futures, timeout=1.0).not_done:
                self._tell()
                self.check()
            return [each.result() for each in futures]
        finally:
            for each in futures:
                each.cancel()


def _name(entry: Entry) -> str:
    return entry.name


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries in order, as many at once as their bytes may lie in memory together."""
    batch: list[Entry] = []
    weight = 0
    for entry in entries:
        size = URL_BYTES if entry.bytes is None else entry.bytes
        if batch and (len(batch) == BATCH_FILES or weight + size > BATCH_BYTES):
            yield batch
            batch, weight = [], 0
        batch.append(entry)
        weight += size
    if batch:
        yield batch


def _outcome(
    known: set[str], erased: dict[str, str], entry: Entry, data: bytes | Failed
) -> Outcome:
    if isinstance(data, bytes) and (said := erased.get(image_files.hash_of(data))):
        return Outcome(entry.name, reason=said)
    kept = (
        attempt(partial(_keep, known), data, lambda _: entry.name)
        if isinstance(data, bytes)
        else data
    )
    if isinstance(kept, Failed):
        return Outcome(entry.name, reason=kept.reason)
    sha256, row = kept
    return Outcome(entry.name, sha256, row, prompt=entry.prompt, details=entry.details)


def _keep(known: set[str], data: bytes) -> tuple[str, image_files.Kept | None]:
    sha256 = image_files.hash_of(data)
    if sha256 in known:
        image_files.mend(sha256, data)
        return sha256, None
    return sha256, image_files.keep(data)


def import_path(
    project_slug: str,
    path_or_url: str,
    report: Callable[[str], None] | None = None,
    wishes: Wishes = Wishes(),  # noqa: B008 - nobody can change one
) -> Json:
    """Import a folder, ZIP, CSV, image or URL at once, in this process: what `morelli import` does.

    `report` is told how far it is, in words. Returns the counts, the seconds and the first thousand
    problems. Raises NotFound or Invalid.
    """
    source = with_wishes(path_source(path_or_url), wishes)
    with unit_of_work() as db:
        project = get_project(db, project_slug)
        import_id = create_import(db, project, source=source.kind, origin=source.origin).id
    began = time.monotonic()
    counts = run_import(import_id, source.spec, transaction=unit_of_work, report=_in_words(report))
    with unit_of_work() as db:
        problems = find_problems(db, import_id, limit=SHOWN_PROBLEMS)
        listed = [{"name": p.name, "kind": p.kind, "reason": p.reason} for p in problems]
    seconds = round(time.monotonic() - began, 2)
    return {"import": import_id, **counts, "seconds": seconds, "problems": listed}


def _in_words(tell: Callable[[str], None] | None) -> Report:
    told = 0.0

    def report(*, done: int, total: int | None, message: str = "", **more: object) -> None:
        nonlocal told
        is_last = total is not None and done == total
        if tell is None or (time.monotonic() - told < TELL_SECONDS and not is_last):
            return
        told = time.monotonic()
        tell(message + (f", {more['rate']} per second" if "rate" in more else ""))

    return report
