"""A run's folder, the one contract between trainer and application: the names of what lies in it.

    asked.yaml config.yaml       what the application asks for; what the trainer was told, every default spelled out
    progress.json log.txt        how far it is, and what it says
    errors.txt output.txt        what its process wrote
    metrics.jsonl                a line for each logged step
    samples/ checkpoints/        pictures with samples.jsonl, and what a killed run resumes from
    adapter/ or network/         the weights
    examination.json             what its expert, or the run as an expert, knows of attributes
    result.json                  what came of it; there when the run is finished

Format: docs/training.md.
"""

import re
from pathlib import Path

from method.manifests import MANIFEST

ASKED = "asked.yaml"
CONFIG = "config.yaml"
PROGRESS = "progress.json"
LOG = "log.txt"
ERRORS = "errors.txt"
OUTPUT = "output.txt"
METRICS = "metrics.jsonl"
SAMPLES = "samples"
SAMPLE_LINES = "samples/samples.jsonl"
CHECKPOINTS = "checkpoints"
ADAPTER = "adapter"
RESULT = "result.json"
EXAMINATION = "examination.json"
LOCK = ".lock"
"""Held by the process that trains in the folder."""


def weights_place(folder: Path, mode: str) -> Path:
    """Where the trainer reads the weights of a finished run: its adapter's folder, or the run's own."""
    return folder / ADAPTER if mode == "lora" else folder


def checkpoint_name(step: int) -> str:
    """The name of a checkpoint's folder."""
    return f"step-{step:06d}"


def checkpoint_folders(home: Path) -> list[tuple[int, Path]]:
    """The checkpoints in a folder of them, complete or not, with their steps, oldest first."""
    found = [p for p in home.glob("step-*") if re.fullmatch(r"step-\d{6,}", p.name)]
    return sorted((int(path.name.removeprefix("step-")), path) for path in found)


def is_complete(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end: its manifest comes last."""
    return (checkpoint / MANIFEST).is_file()
