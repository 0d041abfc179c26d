"""One finished run of each stage, on a dataset with all three splits and the painting criteria."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from method.training.recipes import tiny_cpo, tiny_sft
from taxonomy.formats.json import sha256, write_json
from taxonomy.formats.yaml import read_yaml
from tests.worker.training.conftest import DIFFUSERS_AND_NUMPY, quick, tiny_model
from tests.worker.training.datasets import seal, write_dataset
from worker.evaluation.reading import choose_cases
from worker.training.examples import read_dataset
from worker.training.run import run

__all__ = ["tiny_model"]

PAINTING = Path(__file__).parents[3] / "taxonomy/painting.yaml"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(DIFFUSERS_AND_NUMPY))


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images to train on, one for validation, three for tests."""
    folder = write_dataset(tmp_path_factory.mktemp("evaluated") / "houses", 8)
    criteria = read_yaml(PAINTING.read_text())
    (folder / "criteria.json").write_text(write_json(criteria))
    move_to(folder, "validation", 1)
    move_to(folder, "test", 3)
    seal(folder, criteria={"name": "Painting", "number": 1, "sha256": sha256(criteria)})
    return folder


@pytest.fixture(scope="session")
def stage_1(tiny_model: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a finished stage 1."""
    folder = tmp_path_factory.mktemp("stage_1") / "run"
    run(quick(tiny_sft(str(folder), str(dataset), str(tiny_model)), 3))
    return folder


@pytest.fixture(scope="session")
def stage_2(
    tiny_model: Path, dataset: Path, stage_1: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run folder of a finished stage 2 that sampled the first test prompt from seed 0."""
    folder = tmp_path_factory.mktemp("stage_2") / "run"
    config = quick(tiny_cpo(str(folder), str(dataset), str(tiny_model), str(stage_1)), 3)
    (case,) = choose_cases(read_dataset(dataset, "all"), 1, seed=0)
    run(replace(config, samples=replace(config.samples, prompts=(case.prompt,))))
    return folder


def move_to(folder: Path, split: str, number: int) -> None:
    """Take images from the end of the training split."""
    lines = (folder / "train/examples.jsonl").read_text().splitlines(keepends=True)
    (folder / split).mkdir()
    for line in lines[-number:]:
        name = json.loads(line)["file_name"]
        (folder / "train" / name).rename(folder / split / name)
    (folder / split / "examples.jsonl").write_text("".join(lines[-number:]))
    (folder / "train/examples.jsonl").write_text("".join(lines[:-number]))


def file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
