"""The job of a pair dataset: children generate and build, and the whole is renamed into place.

`worker.pairs` builds and knows no database; it may take torch, which has no place in this process.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.database import Json, unit_of_work
from app.datasets import erasures, freezing, pairing
from app.datasets.models import Dataset, PairDataset
from app.projects.models import Project
from app.runs import base_models, launching
from app.runs.models import Run
from app.settings import settings
from method import dataset_folder
from method.files import sync
from method.manifests import MANIFEST
from method.run_folder import ERRORS
from worker.ledger import JobFailed, Stopped, Work
from worker.study_pairs import JUDGEMENTS, write_study
from worker.training_jobs import check_exit, child, last_line, watch

STOPPED_BY_HAND = (130, 143)


@dataclass(frozen=True)
class Asked:
    """What is to be built, as the database tells it."""

    folder: str
    name: str
    source: str
    options: Json
    dataset: Path | None
    generating: Json
    """What `worker.pair_images` is asked; empty where nothing is generated."""


def run(work: Work) -> Json:
    """Build the pair dataset's folder; a rerun after a kill goes on with the generated images."""
    with unit_of_work() as db:
        pairs = db.get_one(PairDataset, work.spec["pair_dataset_id"])
        if pairs.manifest_sha256 is not None:
            return {"sha256": pairs.manifest_sha256, **pairs.counts}
        project = db.get_one(Project, pairs.project_id)
        dataset = db.get_one(Dataset, pairs.dataset_id) if pairs.dataset_id else None
        generator = pairs.options.get("run_id")
        asked = Asked(
            folder=f"{project.slug}-{pairs.number:04d}-{pairs.id}",
            name=pairs.name,
            source=pairs.source,
            options=pairs.options,
            dataset=freezing.folder_of(dataset) if dataset else None,
            generating=_generating(pairs.options, db.get_one(Run, generator) if generator else None)
            if pairs.source == "generated"
            else {},
        )
    home = settings().pairs_folder
    making = home / f".{asked.folder}.attempt-{work.attempt}"
    for left in home.glob(f".{asked.folder}.attempt-*"):
        shutil.rmtree(left)
    making.mkdir(parents=True)
    images = home / f".{asked.folder}.images"
    try:
        if asked.source == "generated" and not images.exists():
            _generate(work, asked, making, images)
        _build(work, asked, making, images)
        manifest = _publish(work, making / "pairs", home / asked.folder)
    finally:
        # Whatever stopped the work leaves nothing but generated images, which a rerun takes up.
        shutil.rmtree(making, ignore_errors=True)
    shutil.rmtree(images, ignore_errors=True)
    named = manifest.get("problems", [])
    problems = {"problems": [{"name": "", "reason": each} for each in named]} if named else {}
    return {"sha256": manifest["sha256"], **manifest["counts"], **problems}


# Generating ---------------------------------------------------------------------------------------


def _generating(options: Json, run: Run | None) -> Json:
    """The model of a generation, for `worker.pair_images`."""
    model, weights, mode = base_models.model_name(options["base_model"]), None, "lora"
    if run is not None:
        mode = launching.mode_of(run)
        weights = launching.weights_of(run)
        model += f" with run {run.number} ({(run.result or {}).get('sha256', '')[:12]})"
    ways = "{steps} steps, guidance {guidance:g}, {resolution} px".format_map(options)
    return {"model": f"{model}, {ways}", "mode": mode, "weights": weights}


def _generate(work: Work, asked: Asked, making: Path, images: Path) -> None:
    assert asked.dataset is not None
    prompts = list(_find_prompts(asked.dataset, int(asked.options["max_prompts"])))
    if not prompts:
        raise JobFailed("data", "No training image of the dataset has a prompt.")
    request = asked.options | asked.generating | {"folder": str(images), "prompts": prompts}
    path = making / "request.json"
    path.write_text(json.dumps(request, ensure_ascii=False), encoding="utf-8")
    work.report(done=0, total=None, message="loading the model")
    with child(["worker.pair_images", str(path)], making) as process:
        watch(work, process, None, making / ERRORS)
    check_exit(work, process.returncode, making)


def _find_prompts(dataset: Path, limit: int) -> Iterator[str]:
    """The first different content prompts of the training images: pairs are learned from."""
    seen: set[str] = set()
    try:
        for prompt in dataset_folder.prompts(dataset, "train"):
            if prompt not in seen:
                seen.add(prompt)
                yield prompt
                if len(seen) == limit:
                    return
    except OSError as error:
        said = (
            f"The dataset cannot be read ({error.strerror}). Restore its folder, or freeze another."
        )
        raise JobFailed("data", said) from error


# Building -----------------------------------------------------------------------------------------


def _build(work: Work, asked: Asked, making: Path, images: Path) -> None:
    work.report(done=0, total=None, message="choosing pairs")
    if asked.source == "study":
        write_study(asked.options["study_id"], making / "study")
    command = ["worker.pairs", *_arguments(asked, making, images), str(making / "pairs")]
    with child([*command, "--name", asked.name], making) as process:
        watch(work, process, None, making / ERRORS)
    code = process.returncode
    if code == 0:
        return
    reason = work.stop_reason
    if reason is not None and (code < 0 or code in STOPPED_BY_HAND):
        raise Stopped(reason)
    said = last_line(making / ERRORS)
    if code == 1:
        raise JobFailed("data", said or "No pairs could be built.")
    raise JobFailed("unexpected", said or f"Building ended with code {code}.", again=True)


def _arguments(asked: Asked, making: Path, images: Path) -> list[str]:
    """What `python -m worker.pairs` is told, but for the folder to write and the name."""
    options = asked.options
    if asked.source == "import":
        return ["pick-a-pic", str(options["path"])]
    if asked.source == "study":
        agreement = ["--min-agreement", str(options["min_agreement"])]
        return ["study", *agreement, str(making / "study" / JUDGEMENTS), str(making / "study")]
    assert asked.dataset is not None
    if asked.source == "generated":
        return ["generated", "--dataset", str(asked.dataset), str(images)]
    numbers = [
        word
        for name in ("min_difference", "nearest", "max_pairs_per_image")
        for word in (f"--{name.replace('_', '-')}", str(options[name]))
    ]
    unfinished = ["--with-unfinished"] if options.get("with_unfinished") else []
    return ["labels", *numbers, *unfinished, str(asked.dataset)]


def _publish(work: Work, made: Path, final: Path) -> dict[str, Any]:
    """Rename the folder into place and close the row; whichever of the two a kill prevents, a rerun
    makes both again.
    """
    manifest: dict[str, Any] = json.loads((made / MANIFEST).read_text(encoding="utf-8"))
    with work.transaction() as db:
        pairs = db.get_one(PairDataset, work.spec["pair_dataset_id"])
        pairing.close_pair_dataset(
            pairs,
            folder=final.name,
            manifest_sha256=manifest["sha256"],
            counts=manifest["counts"],
            num_bytes=sum(each["bytes"] for each in manifest["files"]),
        )
        if final.exists():
            shutil.rmtree(final)
        made.rename(final)
        sync(final.parent)
        erasures.mark_pairs_if_erased(db, pairs)
    number = manifest["counts"]["pairs"]
    work.report(done=number, total=number, message=f"{number} pairs")
    return manifest
