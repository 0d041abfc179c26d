"""Takes the images of a draft in: asked for in the browser, done by a worker, and safe to repeat from the start."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.errors import Conflict, Invalid
from app.images import image_files, uploads
from app.images.contents import Contents, tidy_name
from app.images.importing import Report
from app.images.pictures import Transaction
from app.images.removing import ask_removal, cancel_removals
from app.images.sources import Source, open_source
from app.jobs.models import OPEN_STATES, Job
from app.jobs.queueing import submit
from app.projects.models import Project
from app.studies.access import get_study
from app.studies.evaluations import find_chosen
from app.studies.models import Study, StudyImage, StudyModel
from method.items import Failed, Failures, attempt
from method.saved_texts import one_line

JOB = "study_images"
BATCH = 20
NAME_LENGTH = 80
FIRST_GROUP = "G1"


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a model made of a prompt; `name` is what problems call it, `sha256` what it has to be."""

    group: str
    model: str
    origin: str
    prompt: str
    name: str
    read: Callable[[], bytes]
    sha256: str | None = None


def collect_upload(
    db: Session, project: Project, study_id: int, source: Source, *, by: Person | None
) -> Job:
    """Ask for the images of an upload: the last folder of each file is its model, the one above it the group.

    Raises Conflict for a study that is no draft.
    """
    return _ask(db, project, study_id, {"upload": source.spec, "origin": source.origin}, by)


def collect_evaluations(
    db: Session,
    project: Project,
    study_id: int,
    *,
    group: str,
    models: list[str],
    by: Person | None,
) -> Job:
    """Ask for the images of models that evaluations compared, by their keys, as one group.

    Raises Invalid for a group without a name and for fewer than two models, Conflict for a study that is no draft.
    """
    group = one_line(group)
    if not 1 <= len(group) <= NAME_LENGTH:
        raise Invalid(
            f"Please give the group a name of up to {NAME_LENGTH} characters.", field="group"
        )
    if len(set(models)) < 2:
        raise Invalid("A group compares two models or more.", field="models")
    keys = list(dict.fromkeys(models))
    find_chosen(db, project, keys)
    return _ask(db, project, study_id, {"group": group, "models": keys}, by)


def _ask(db: Session, project: Project, study_id: int, spec: Json, by: Person | None) -> Job:
    study = get_study(db, project, study_id, lock=True)
    _refuse_unless_draft(study)
    if find_open_job(db, project, study) is not None:
        raise Conflict("Images of this study are being taken in.", hint="Wait until that is done.")
    return submit(db, project=project, kind=JOB, spec={"study_id": study.id, **spec}, by=by)


def find_open_job(db: Session, project: Project, study: Study) -> Job | None:
    """The job that takes images in, while there is one."""
    return db.scalar(_jobs(project, study).where(Job.state.in_(OPEN_STATES)))


def find_last_job(db: Session, project: Project, study: Study) -> Job | None:
    """The job that took images in last, or does."""
    return db.scalar(_jobs(project, study))


def _jobs(project: Project, study: Study) -> Select[Job]:
    return (
        select(Job)
        .where(
            Job.project_id == project.id,
            Job.kind == JOB,
            Job.spec["study_id"].as_integer() == study.id,
        )
        .order_by(Job.id.desc())
        .limit(1)
    )


def _refuse_unless_draft(study: Study) -> None:
    if study.state != "draft":
        raise Conflict(
            "This study has been opened, so its images stay as they are.",
            hint="Make another study for other images.",
        )


def remove_images(db: Session, project: Project, study_id: int) -> None:
    """Take all images out of a draft. Raises Conflict for a study that is no draft, and while images come in."""
    study = get_study(db, project, study_id, lock=True)
    _refuse_unless_draft(study)
    if find_open_job(db, project, study) is not None:
        raise Conflict("Images of this study are being taken in.", hint="Wait until that is done.")
    hashes = db.scalars(
        delete(StudyImage).where(StudyImage.study_id == study.id).returning(StudyImage.sha256)
    ).all()
    db.execute(delete(StudyModel).where(StudyModel.study_id == study.id))
    for sha256 in sorted(set(hashes)):
        ask_removal(db, sha256)


# Doing it -----------------------------------------------------------------------------------------


def collect(
    spec: Json,
    *,
    transaction: Transaction,
    report: Report,
    check: Callable[[], None] = lambda: None,
) -> Json:
    """Read, decode and keep the images of a job's spec, a few at a time. Returns how many came and what failed.

    `check` is called between them and may raise to stop. Raises Invalid where the whole source cannot be used,
    Conflict where the study was opened meanwhile.
    """
    failures, counts = Failures(), {"added": 0, "known": 0}
    with _opened(spec, transaction, failures, check) as found:
        for number, each in enumerate(found):
            if number % BATCH == 0:
                check()
                report(done=number, total=len(found), message="Taking images in")
            take = partial(_take, transaction, spec["study_id"])
            done = attempt(take, each, lambda one: one.name)
            if isinstance(done, Failed):
                failures.note(done)
            else:
                counts[done] += 1
    if "upload" in spec:
        uploads.finish_upload(spec["upload"]["token"])
    return counts | failures.as_result()


@contextmanager
def _opened(
    spec: Json, transaction: Transaction, failures: Failures, check: Callable[[], None]
) -> Iterator[list[Found]]:
    if "upload" not in spec:
        yield _of_evaluations(spec, transaction)
    elif uploads.is_done(spec["upload"]["token"]):
        yield []
    else:
        with open_source(spec["upload"], check) as contents:
            for refused in contents.refusals:
                failures.note(Failed(refused.name, refused.reason))
            yield list(_of_upload(contents, spec["origin"], failures))


def _of_evaluations(spec: Json, transaction: Transaction) -> list[Found]:
    with transaction() as db:
        project = db.get_one(Project, db.get_one(Study, spec["study_id"]).project_id)
        chosen = find_chosen(db, project, spec["models"])
    return [
        Found(
            group=spec["group"],
            model=model.name[:NAME_LENGTH],
            origin=model.origin,
            prompt=each.prompt,
            name=f"{model.name}: {each.path.name}",
            read=each.path.read_bytes,
            sha256=each.sha256,
        )
        for model, images in chosen
        for each in images
    ]


def _of_upload(contents: Contents, origin: str, failures: Failures) -> Iterator[Found]:
    for path, entry in contents.entries.items():
        folders = PurePosixPath(path.split("\0")[0]).parts[:-1]
        if not folders:
            reason = "It lies in no folder. The folder of an image says which model made it."
            failures.note(Failed(entry.name, reason))
            continue
        group = folders[-2] if len(folders) > 1 else FIRST_GROUP
        yield Found(
            group=tidy_name(group)[:NAME_LENGTH],
            model=tidy_name(folders[-1])[:NAME_LENGTH],
            origin=f"uploaded: {origin}",
            prompt=entry.prompt or PurePosixPath(entry.name).stem,
            name=entry.name,
            read=entry.read,
        )


def _take(transaction: Transaction, study_id: int, found: Found) -> str:
    """Keep one image; returns `added`, or `known` where the very same is there already."""
    data = found.read()
    sha256 = image_files.hash_of(data)
    if found.sha256 is not None and sha256 != found.sha256:
        raise Invalid("The file was changed after the evaluation made it.", field="image")
    with transaction() as db:
        cancel_removals(db, [sha256])
    kept = image_files.keep(data)
    with transaction() as db:
        study = db.scalars(
            select(Study).where(Study.id == study_id).with_for_update(read=True)
        ).one()
        _refuse_unless_draft(study)
        row = {
            "study_id": study_id,
            "model_id": _model_id(db, study_id, found),
            "prompt": found.prompt,
            "prompt_sha256": image_files.hash_of(found.prompt.encode()),
            "sha256": kept.sha256,
            "format": kept.format,
            "width": kept.width,
            "height": kept.height,
        }
        written = insert(StudyImage).values(row).on_conflict_do_nothing().returning(StudyImage.id)
        if db.scalar(written) is not None:
            return "added"
        standing = db.scalar(
            select(StudyImage.sha256).where(
                StudyImage.model_id == row["model_id"],
                StudyImage.prompt_sha256 == row["prompt_sha256"],
            )
        )
    if standing != kept.sha256:
        raise Invalid(
            "There is another image of this model for this prompt already.", field="image"
        )
    return "known"


def _model_id(db: Session, study_id: int, found: Found) -> int:
    key = {"study_id": study_id, "group_name": found.group, "name": found.model}
    db.execute(insert(StudyModel).values(**key, origin=found.origin).on_conflict_do_nothing())
    return db.scalars(select(StudyModel.id).filter_by(**key)).one()
