"""The images that evaluations of finished runs left behind (`worker.evaluation`), read from their folders."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.errors import Invalid
from app.projects.models import Project
from app.runs.launching import find_finished, folder_of
from app.runs.models import Run

RESULTS = "results.json"
NAME = re.compile(r"\d{1,20}-\d{1,9}")
PICTURE = re.compile(r"[\w+.-]+\.png")


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """The images of one model in one evaluation. `key` says which in a form, `name` what the model is called."""

    key: str
    name: str
    origin: str
    prompts: int


@dataclass(frozen=True, slots=True)
class EvaluationImage:
    """One image: its prompt, its file, and the SHA-256 that the evaluation recorded."""

    prompt: str
    path: Path
    sha256: str


def find_evaluated(db: Session, project: Project) -> list[EvaluatedModel]:
    """The models whose images evaluations of the newest finished runs left behind."""
    return [
        _model(run, folder.name, model, len(results["prompts"]))
        for run in find_finished(db, project)
        for folder in _folders(run)
        if (results := _read(folder / RESULTS)) is not None
        for model in dict.fromkeys(each["model"] for each in results["images"])
    ]


def _model(run: Run, evaluation: str, model: str, prompts: int) -> EvaluatedModel:
    seed, _, _ = evaluation.partition("-")
    return EvaluatedModel(
        key=f"{run.id}/{evaluation}/{model}",
        name=run.name if model == "target" else f"{run.name}: {model}",
        origin=f"run {run.number}, evaluation with seed {seed}, {model}",
        prompts=prompts,
    )


def find_chosen(
    db: Session, project: Project, keys: list[str]
) -> list[tuple[EvaluatedModel, list[EvaluationImage]]]:
    """The images of models by their keys. Raises Invalid for a key of nothing that is there."""
    known = {each.key: each for each in find_evaluated(db, project)}
    runs = {run.id: run for run in find_finished(db, project)}
    found = []
    for key in keys:
        if key not in known:
            raise Invalid(
                "The images of an evaluation that was chosen are not there any more.",
                field="models",
                hint="Load the page again and choose anew.",
            )
        run_id, evaluation, model = key.split("/", 2)
        folder = folder_of(runs[int(run_id)]) / "evaluation" / evaluation
        found.append((known[key], list(_images(folder, model))))
    return found


def _images(folder: Path, model: str) -> Iterator[EvaluationImage]:
    results = _read(folder / RESULTS)
    assert results is not None
    for each in results["images"]:
        if each["model"] == model:
            prompt = results["prompts"][each["index"]]["prompt"]
            yield EvaluationImage(prompt, folder / each["file"], each["sha256"])


def _folders(run: Run) -> list[Path]:
    home = folder_of(run) / "evaluation"
    if not home.is_dir():
        return []
    return sorted(each for each in home.iterdir() if NAME.fullmatch(each.name) and each.is_dir())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return _parse(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=64)
def _parse(path: Path, _changed: int) -> dict[str, Any] | None:
    """Prompts and images of an evaluation; None where the file says something else."""
    said = json.loads(path.read_text(encoding="utf-8"))
    match said:
        case {"format": "morelli-evaluation/1", "prompts": list(prompts), "images": list(images)}:
            whole = all(
                isinstance(each.get("index"), int)
                and 0 <= each["index"] < len(prompts)
                and isinstance(each.get("model"), str)
                and PICTURE.fullmatch(str(each.get("file")))
                for each in images
            )
            return {"prompts": prompts, "images": images} if whole else None
    return None
