"""The job of a dataset: reads one snapshot, writes images and lines, renames the whole into place."""

import hashlib
import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image as Pictures
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.criteria.models import CriteriaVersion
from app.criteria.reading import version_criteria
from app.database import Json, unit_of_work
from app.datasets import freezing
from app.datasets.freezing import Example, split_of
from app.datasets.models import Dataset
from app.errors import AppError, Unavailable
from app.images import storage
from app.images.decoding import ImageRefused, decode
from app.projects.models import Project
from app.settings import settings
from taxonomy import prompt
from taxonomy.formats.json import write_json
from taxonomy.tree import Criteria, Polarity
from worker.datasets import folders
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


def run(work: Work) -> Json:
    """Build the dataset's folder; a rerun after a kill starts from an empty one."""
    with unit_of_work() as db:
        # One state of all labels, however long the reading takes.
        db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        dataset = db.get_one(Dataset, work.spec["dataset_id"])
        if dataset.manifest_sha256 is not None:
            return {"sha256": dataset.manifest_sha256, **dataset.counts}
        project = db.get_one(Project, dataset.project_id)
        version = db.get_one(CriteriaVersion, dataset.version_id)
        criteria = version_criteria(version)
        examples = [
            each
            for each in freezing.read_snapshot(db, project, dataset, criteria)
            if each.positive or each.negative
        ]
        facts = _facts(project, dataset, version)
    if not examples:
        raise JobFailed("data", "No image has a confirmed label of this criteria version.")
    name = f"{project.slug}-{dataset.number:04d}-{dataset.id}"
    home = settings().datasets_folder
    making = home / f".{name}.attempt-{work.attempt}"
    for left in home.glob(f".{name}.attempt-*"):
        shutil.rmtree(left)
    making.mkdir(parents=True)
    try:
        manifest = _write(work, making, examples, criteria, facts)
        _publish(work, making, home / name, manifest)
        number = len(examples)
        work.report(done=number, total=number, message=f"{number} images")
    finally:
        # Whatever stopped the work leaves nothing; where all went well the folder has its name.
        shutil.rmtree(making, ignore_errors=True)
    return {"sha256": manifest["sha256"], **manifest["counts"]}


def _write(
    work: Work, making: Path, examples: list[Example], criteria: Criteria, facts: dict[str, Any]
) -> dict[str, Any]:
    """Fill the folder and return its manifest."""
    rows = _write_images(work, making, examples, criteria, facts["split"]["salt"])
    counts = _write_lines(making, rows)
    folders.write_file(making / "criteria.json", write_json(criteria).encode())
    manifest = facts | {"counts": counts, "files": folders.list_files(making)}
    manifest["sha256"] = folders.hash_manifest(manifest)
    folders.write_file(
        making / "manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1).encode()
    )
    return manifest


def _facts(project: Project, dataset: Dataset, version: CriteriaVersion) -> dict[str, Any]:
    return {
        "format": folders.FORMAT,
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
    }


def _file_of(sha256: str) -> tuple[str, bytes]:
    """File ending and bytes of an image for a dataset: the original where it is plain sRGB with no
    metadata in it, a lossless PNG of it as seen else (orientation applied, sRGB, no EXIF).
    """
    data = storage.get_original(sha256)
    with Pictures.open(BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as opened:
        form = opened.format or ""
        if form == "PNG":
            opened.load()  # text may stand behind the pixels
        plain = (
            opened.mode == "RGB"
            and opened.info.keys() <= ABOUT_FORM
            and getattr(opened, "n_frames", 1) == 1
        )
    if plain:
        return storage.ENDINGS[form], data
    out = BytesIO()
    decode(data).image.save(out, "PNG", compress_level=4)
    return "png", out.getvalue()


def _write_images(
    work: Work, making: Path, examples: list[Example], criteria: Criteria, salt: str
) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in freezing.FRACTIONS}

    def write(example: Example) -> tuple[str, dict[str, Any]]:
        sha256 = example.image.sha256
        split = split_of(salt, sha256)
        try:
            ending, data = _file_of(sha256)
        except Unavailable as error:
            raise JobFailed("infrastructure", error.message, again=True) from error
        except (AppError, ImageRefused, OSError) as error:
            raise JobFailed("data", f"{example.image.name} cannot be read: {error}") from error
        folders.write_file(making / split / f"{sha256}.{ending}", data)
        written = hashlib.sha256(data).hexdigest()
        return split, _row(example, criteria, f"{sha256}.{ending}", written)

    with ThreadPoolExecutor(max_workers=4) as pool:
        for start in range(0, len(examples), BATCH):
            work.check()
            work.report(done=start, total=len(examples), message="writing images")
            for split, row in pool.map(write, examples[start : start + BATCH]):
                rows[split].append(row)
    work.report(done=len(examples), total=len(examples), message="hashing")
    return rows


def _row(example: Example, criteria: Criteria, file_name: str, sha256: str) -> dict[str, Any]:
    chosen: list[tuple[str, Polarity]] = [(key, "positive") for key in example.positive]
    chosen += [(key, "negative") for key in example.negative]
    positive, negative = prompt.attribute_names(criteria, chosen)
    return {
        "file_name": file_name,
        "image_id": example.image.id,
        "sha256": sha256,
        "image_sha256": example.image.sha256,
        "prompt": example.image.prompt,
        "positive": list(positive),
        "negative": list(negative),
        "positive_keys": list(example.positive),
        "negative_keys": list(example.negative),
        "text": prompt.conditions(example.image.prompt, positive, negative).all,
    }


def _write_lines(making: Path, rows: dict[str, list[dict[str, Any]]]) -> Json:
    counts: Counter[str] = Counter()
    for split, each in rows.items():
        counts[split] = len(each)
        counts["positive_labels"] += sum(len(row["positive"]) for row in each)
        counts["negative_labels"] += sum(len(row["negative"]) for row in each)
        counts["without_negative"] += sum(not row["negative"] for row in each)
        counts["without_prompt"] += sum(not row["prompt"] for row in each)
        if each:
            folders.write_lines(making / split / "examples.jsonl", each)
            folders.write_table(making / split / "metadata.parquet", each)
    counts["images"] = sum(len(each) for each in rows.values())
    return dict(counts)


def _publish(work: Work, making: Path, final: Path, manifest: dict[str, Any]) -> None:
    """Rename the folder into place and close the row; whichever of the two a kill prevents, a rerun
    makes both again.
    """
    with work.transaction() as db:
        _close(db, work, final.name, manifest)
        if final.exists():
            shutil.rmtree(final)
        making.rename(final)
        folders.force_folder(final.parent)


def _close(db: Session, work: Work, folder: str, manifest: dict[str, Any]) -> None:
    freezing.close_dataset(
        db.get_one(Dataset, work.spec["dataset_id"]),
        folder=folder,
        manifest_sha256=manifest["sha256"],
        counts=manifest["counts"],
        num_bytes=sum(each["bytes"] for each in manifest["files"]),
    )
