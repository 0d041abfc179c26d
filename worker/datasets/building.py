"""The job of a dataset: reads one snapshot, writes images and lines, renames the whole into place."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image as Pictures
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.criteria.models import CriteriaVersion
from app.criteria.reading import version_criteria
from app.database import Json, unit_of_work
from app.datasets import erasures, freezing, splits
from app.datasets.models import Dataset
from app.datasets.selecting import (
    FRACTIONS,
    Choice,
    Example,
    Tally,
    choose,
    count,
    read_examples,
    split_of,
    why_empty,
)
from app.errors import Unavailable
from app.images import storage
from app.images.decoding import decode
from app.images.missing_looks import find_unseen, look_at, record_looks
from app.images.models import Image
from app.images.pictures import compare_pictures, find_pictures
from app.projects.models import Project
from app.settings import settings
from method import dataset_folder
from method.files import sync, write_file, write_lines
from method.items import Failed, Failures, attempt
from method.manifests import seal
from taxonomy import prompt
from taxonomy.applicability import UNKNOWN
from taxonomy.formats.details import written_side
from taxonomy.formats.json import write_json
from taxonomy.tree import Criteria
from worker.datasets.tables import write_table
from worker.ledger import JobFailed, Work

BATCH = 16
# What Pillow reports about the form of a file. Anything else could say who, where or what with.
ABOUT_FORM = {
    "adobe",
    "adobe_transform",
    "background",
    "dpi",
    "interlace",
    "jfif",
    "jfif_density",
    "jfif_unit",
    "jfif_version",
    "loop",
    "progression",
    "progressive",
    "srgb",
    "timestamp",
}


@dataclass(frozen=True)
class Chosen:
    """What is to be written: the images, which picture each shows and what was written about it, and
    what was counted on the way.
    """

    examples: list[Example]
    pictures: dict[int, str]
    details: dict[int, Json]
    tally: Tally


def run(work: Work) -> Json:
    """Build the dataset's folder; a rerun after a kill starts from an empty one."""
    _look_at_all(work)
    _compare_all(work)
    with unit_of_work() as db:
        # One state of all labels, however long the reading takes.
        db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        dataset = db.get_one(Dataset, work.spec["dataset_id"])
        if dataset.manifest_sha256 is not None:
            return {"sha256": dataset.manifest_sha256, **dataset.counts}
        project = db.get_one(Project, dataset.project_id)
        version = db.get_one(CriteriaVersion, dataset.version_id)
        criteria = version_criteria(version)
        choice, tally = Choice.of(dataset.options), Tally()
        examples = list(choose(read_examples(db, project, criteria), choice, criteria, tally))
        pictures = find_pictures(db, project)
        details = _find_details(db, examples)
        facts = _facts(project, dataset, version)
    if not examples:
        refusal = why_empty(tally.left_out)
        raise JobFailed("data", f"{refusal.message} {refusal.hint}")
    name = f"{project.slug}-{dataset.number:04d}-{dataset.id}"
    home = settings().datasets_folder
    making = home / f".{name}.attempt-{work.attempt}"
    for left in home.glob(f".{name}.attempt-*"):
        shutil.rmtree(left)
    making.mkdir(parents=True)
    try:
        manifest = _write(work, making, Chosen(examples, pictures, details, tally), criteria, facts)
        _publish(work, making, home / name, manifest, [each.image.id for each in examples])
        number = manifest["counts"]["images"]
        work.report(done=number, total=number, message=_words(manifest["counts"]))
    finally:
        # Whatever stopped the work leaves nothing; where all went well the folder has its name.
        shutil.rmtree(making, ignore_errors=True)
    problems = manifest.get("problems", [])
    return {
        "sha256": manifest["sha256"],
        **manifest["counts"],
        **({"problems": problems} if problems else {}),
    }


def _look_at_all(work: Work) -> None:
    """Recognise the pictures that came in before their looks were kept."""
    with unit_of_work() as db:
        project_id = db.get_one(Dataset, work.spec["dataset_id"]).project_id
    done = 0
    while True:
        work.check()
        with unit_of_work() as db:
            unseen = find_unseen(db, db.get_one(Project, project_id))
        if not unseen:
            return
        try:
            seen = [(image_id, *look_at(sha256)) for image_id, sha256 in unseen]
        except Unavailable as error:
            raise JobFailed("infrastructure", error.message, again=True) from error
        with work.transaction() as db:
            for image_id, pixels, looks in seen:
                record_looks(db, image_id, pixels, looks)
        done += len(seen)
        work.report(done=done, total=None, message="looking for files of one picture")


def _compare_all(work: Work) -> None:
    """Find files of one picture before the snapshot is read, and keep what was found."""
    with unit_of_work() as db:
        project_id = db.get_one(Dataset, work.spec["dataset_id"]).project_id
    work.report(done=0, total=None, message="comparing pictures")
    compare_pictures(work.transaction, project_id, work.check)


def _find_details(db: Session, examples: list[Example]) -> dict[int, Json]:
    """What the listings said of the images, by id."""
    ids = [each.image.id for each in examples]
    rows = db.execute(select(Image.id, Image.details).where(Image.id == func.any(ids)))
    return {row.id: row.details for row in rows}


def _words(counts: Json) -> str:
    """A dataset in one line, for the job."""
    said = [f"{counts['images']} images"]
    if counts["contradicting_images"]:
        said.append(f"{counts['contradicting_images']} with contradictions")
    if counts["unfinished"]:
        said.append(f"{counts['unfinished']} not finished")
    if counts["same_picture"]:
        said.append(f"{counts['same_picture']} further files of a picture")
    return ", ".join(said)


def _write(
    work: Work, making: Path, chosen: Chosen, criteria: Criteria, facts: dict[str, Any]
) -> dict[str, Any]:
    """Fill the folder and return its manifest. An image that cannot be read is named, and left out."""
    salt, failures = facts["split"]["salt"], Failures()
    rows = _write_images(work, making, chosen, criteria, salt, failures)
    written = {row["image_id"] for each in rows.values() for row in each}
    if not written:
        raise JobFailed("data", failures.sentence("images"))
    _write_lines(making, rows)
    write_file(making / dataset_folder.CRITERIA, write_json(criteria).encode())
    if failures.number:
        chosen.tally.left_out["unreadable"] = failures.number
        facts |= {"problems": failures.as_result()["problems"]}
    read = [each for each in chosen.examples if each.image.id in written]
    counts = count(read, chosen.pictures, salt, chosen.tally)
    return seal(making, facts | {"counts": counts})


def _facts(project: Project, dataset: Dataset, version: CriteriaVersion) -> dict[str, Any]:
    return {
        "format": dataset_folder.FORMAT,
        "name": dataset.name,
        "project": project.slug,
        "number": dataset.number,
        "criteria": {
            "name": project.name,
            "number": version.number,
            "sha256": version.sha256,
        },
        "template": prompt.TEMPLATE_ID,
        "separator": prompt.SEPARATOR,
        "split": {"salt": dataset.options["salt"], "fractions": dataset.options["fractions"]},
        "rules": {
            "images": "finished" if dataset.options.get("only_done") else "with confirmed labels",
            "contradictions": dataset.options.get("contradictions", "keep"),
        },
    }


def _file_of(sha256: str) -> tuple[str, bytes]:
    """File ending and bytes of an image for a dataset: the original where it is plain sRGB with no
    metadata in it, a lossless PNG of it as seen else (orientation applied, sRGB, no EXIF).
    """
    data = storage.get_original(sha256)
    if form := _plain_form(data):
        return storage.ENDINGS[form], data
    out = BytesIO()
    decode(data).image.save(out, "PNG", compress_level=4)
    return "png", out.getvalue()


def _plain_form(data: bytes) -> str | None:
    """What a file is that can stand in a dataset as it is; None for all others."""
    try:
        with Pictures.open(BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as opened:
            if opened.format == "PNG":
                opened.load()  # text may stand behind the pixels
            is_plain = (
                opened.mode == "RGB"
                and opened.info.keys() <= ABOUT_FORM
                and getattr(opened, "n_frames", 1) == 1
            )
            return opened.format if is_plain else None
    # What stands beside the pixels is too much for Pillow; the one reader leaves it out.
    except (OSError, ValueError, SyntaxError):
        return None


def _write_images(
    work: Work,
    making: Path,
    chosen: Chosen,
    criteria: Criteria,
    salt: str,
    failures: Failures,
) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in FRACTIONS}
    examples = chosen.examples

    def write(example: Example) -> tuple[str, dict[str, Any]] | Failed:
        sha256, picture = example.image.sha256, chosen.pictures[example.image.id]
        split = split_of(salt, picture)
        try:
            read = attempt(_file_of, sha256, lambda _: example.image.name)
        except Unavailable as error:
            raise JobFailed("infrastructure", error.message, again=True) from error
        if isinstance(read, Failed):
            return read
        ending, data = read
        write_file(making / split / f"{sha256}.{ending}", data)
        written = hashlib.sha256(data).hexdigest()
        row = _row(example, criteria, f"{sha256}.{ending}", written)
        details = chosen.details[example.image.id]
        about = {key: value for key, value in details.items() if key != "file"}
        return split, row | {"metadata": about, "picture_sha256": picture}

    with ThreadPoolExecutor(max_workers=4) as pool:
        for start in range(0, len(examples), BATCH):
            work.check()
            work.report(done=start, total=len(examples), message="writing images")
            batch = pool.map(write, examples[start : start + BATCH])
            for split, row in failures.kept(batch):
                rows[split].append(row)
    work.report(done=len(examples), total=len(examples), message="hashing")
    return rows


def _row(example: Example, criteria: Criteria, file_name: str, sha256: str) -> dict[str, Any]:
    positive, negative = (
        prompt.wordings_of(criteria, sides) for sides in (example.positive, example.negative)
    )
    return {
        "file_name": file_name,
        "image_id": example.image.id,
        "sha256": sha256,
        "image_sha256": example.image.sha256,
        "prompt": example.image.prompt,
        "positive": positive,
        "negative": negative,
        "positive_keys": [side.key for side in example.positive],
        "negative_keys": [side.key for side in example.negative],
        "text": prompt.conditions(example.image.prompt, positive, negative).all,
        "name": example.image.name,
        "is_finished": example.is_finished,
        "undecided": example.num_undecided,
        "contradictions": [each.message for each in example.contradictions],
        **_reading(example),
    }


def _reading(example: Example) -> dict[str, Any]:
    """What is known of the image's style and content, and which labels read otherwise for it."""
    if example.traits == UNKNOWN:
        return {}
    merits = [written_side(each) for each in example.positive if each.polarity == "negative"]
    neutral = [written_side(each) for each in example.neutral]
    return {"traits": example.traits.as_data(), "read_as_positive": merits, "neutral": neutral}


def _write_lines(making: Path, rows: dict[str, list[dict[str, Any]]]) -> None:
    for split, each in rows.items():
        if each:
            write_lines(making / split / dataset_folder.EXAMPLES, each)
            write_table(making / split / dataset_folder.TABLE, each)


def _publish(
    work: Work, making: Path, final: Path, manifest: dict[str, Any], images: list[int]
) -> None:
    """Rename the folder into place and close the row; whichever of the two a kill prevents, a rerun
    makes both again.
    """
    with work.transaction() as db:
        _close(db, work, final.name, manifest)
        if manifest["counts"]["images"] <= splits.MOST_AT_ONCE:
            splits.keep_splits(db, db.get_one(Dataset, work.spec["dataset_id"]), making)
        # An image may have been erased while its copy was written.
        erasures.mark_if_erased(db, work.spec["dataset_id"], images)
        if final.exists():
            shutil.rmtree(final)
        making.rename(final)
        sync(final.parent)


def _close(db: Session, work: Work, folder: str, manifest: dict[str, Any]) -> None:
    freezing.close_dataset(
        db,
        db.get_one(Dataset, work.spec["dataset_id"]),
        folder=folder,
        manifest_sha256=manifest["sha256"],
        counts=manifest["counts"],
        num_bytes=sum(each["bytes"] for each in manifest["files"]),
    )
