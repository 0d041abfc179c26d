"""Reads what an evaluation starts from: a finished run, its dataset, and the prompts to compare on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from method.files import hash_file
from method.manifests import SPLITS
from method.pair_folder import read_pairs
from method.run_folder import CONFIG, RESULT
from method.training.config import Config
from method.training.config_reading import load_config
from method.training.failures import Ended, InvalidDataset
from taxonomy.formats.json import read_json, sha256
from taxonomy.tree import Criteria, InvalidCriteria
from worker.training.examples import Dataset, read_dataset

TRAINED = ", on which the model was trained: the scores may flatter it."


class CannotEvaluate(Ended):
    """There is nothing to evaluate, or not what the run left; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A finished run whose weights and dataset are, by their hashes, the ones it recorded."""

    folder: Path
    config: Config
    result: Mapping[str, Any]
    """What result.json says."""
    dataset: Dataset
    """Gives prompts and criteria: the run's own, or another where the run learned from pairs. All
    splits."""
    criteria: Criteria
    trained_prompts: frozenset[str] | None
    """The prompts that the run learned from; None where they are not known."""

    @property
    def is_of_pairs(self) -> bool:
        """Whether it learned from a pair dataset, which has neither test prompts nor criteria."""
        return self.config.objective.facts.reads_pairs


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt to generate an image for, and where it comes from."""

    index: int
    prompt: str
    seed: int
    split: str
    image_id: str


def read_run(folder: Path, dataset_folder: Path | None = None) -> FinishedRun:
    """Read a run folder and check that nothing was changed since the run finished.

    `dataset_folder` is where the run's dataset lies now; a run that learned from pairs has none and needs
    one for prompts and criteria. Raises CannotEvaluate, or what reading its config or dataset raises.
    """
    config = load_config(folder / CONFIG)
    result = _read_result(folder)
    weights = folder / result["adapter"]
    if not weights.is_file():
        raise CannotEvaluate(f"{weights}: is gone; the run's result.json names it")
    if hash_file(weights) != result["sha256"]:
        raise CannotEvaluate(f"{weights}: was changed after the run finished: its hash differs")
    dataset = _read_dataset(config, result, folder, dataset_folder)
    criteria = _read_criteria(dataset)
    return FinishedRun(
        folder, config, result, dataset, criteria, _trained_prompts(config, result, dataset)
    )


def choose_cases(dataset: Dataset, number: int, seed: int) -> tuple[Case, ...]:
    """Choose up to `number` different prompts: of the test split first, then validation, then train.

    Which ones depends on the dataset alone (they follow the images' hashes), so that two seeds or two
    runs are compared on the same prompts. Case i is generated from seed + i.
    """
    ordered = sorted(dataset.examples, key=lambda each: (-SPLITS.index(each.split), each.sha256))
    chosen: dict[str, tuple[str, str]] = {}
    for example in ordered:
        if len(chosen) == number:
            break
        if example.texts.content:
            chosen.setdefault(example.texts.content, (example.split, example.image_id))
    if not chosen:
        raise CannotEvaluate(f"{dataset.folder}: no image of the dataset has a prompt")
    return tuple(
        Case(index, prompt, seed + index, split, image_id)
        for index, (prompt, (split, image_id)) in enumerate(chosen.items())
    )


def doubts_about_prompts(run: FinishedRun, cases: tuple[Case, ...], wanted: int) -> list[str]:
    """What about the choice of prompts makes the scores worth less, one sentence each."""
    doubts = []
    counts = {split: sum(case.split == split for case in cases) for split in SPLITS}
    if len(cases) < wanted:
        doubts.append(
            f"The dataset has only {len(cases)} different prompts; {wanted} were asked for."
        )
    if counts["test"] < len(cases):
        doubts.append(
            f"Only {counts['test']} of {len(cases)} prompts are from the test split, "
            f"{counts['validation']} from validation and {counts['train']} from train"
            + ("." if run.is_of_pairs else TRAINED)
        )
    about_training = _doubt_about_training(run, cases)
    if about_training is not None:
        doubts.append(about_training)
    if run.result.get("includes_test_images"):
        doubts.append("The run learned from all splits, test images included: scores mean nothing.")
    return doubts


def _doubt_about_training(run: FinishedRun, cases: tuple[Case, ...]) -> str | None:
    """Whether the model learned from the very prompts that it is compared on."""
    if run.trained_prompts is None:
        return (
            f"{run.config.pairs_folder}: the pairs that the model learned from are gone or were "
            "changed, so it may have learned from these prompts."
        )
    # What is said of a labelled dataset's training split is not said again.
    others = [case for case in cases if run.is_of_pairs or case.split != "train"]
    repeated = sum(case.prompt in run.trained_prompts for case in others)
    if not repeated:
        return None
    if run.is_of_pairs:
        return (
            f"{repeated} of the prompts also stand in the pairs that the model learned from, word for "
            "word: the scores may flatter it."
        )
    return (
        f"{repeated} of the prompts from test and validation also stand in the training split, word "
        "for word."
    )


def _trained_prompts(
    config: Config, result: Mapping[str, Any], dataset: Dataset
) -> frozenset[str] | None:
    if not config.objective.facts.reads_pairs:
        return frozenset(e.texts.content for e in dataset.examples if e.split == "train")
    try:
        pairs = read_pairs(Path(str(config.pairs_folder)), config.data.split)
    except InvalidDataset:
        return None
    if pairs.sha256 != result["dataset"]["sha256"]:
        return None
    return frozenset(pair.prompt for pair in pairs.pairs)


def _read_result(folder: Path) -> dict[str, Any]:
    path = folder / RESULT
    if not path.is_file():
        raise CannotEvaluate(
            f"{folder}: this run has not finished: result.json is not there; start it again to go on"
        )
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotEvaluate(f"{path}: cannot be read: {error}") from error
    match result:
        case {"adapter": str(), "sha256": str(), "dataset": {"sha256": str()}}:
            return dict(result)
    raise CannotEvaluate(f"{path}: lacks the hash of the weights or of the dataset")


def _read_dataset(
    config: Config, result: Mapping[str, Any], run: Path, given: Path | None
) -> Dataset:
    if config.objective.facts.reads_pairs:
        if given is None:
            raise CannotEvaluate(
                f"{run}: this run of {config.objective.kind} learned from pairs, which have no test prompts and no "
                "criteria; name a dataset folder that has them with --dataset"
            )
        return read_dataset(given, "all", with_sizes=False)
    folder = given or Path(str(config.dataset_folder))
    if not folder.is_dir():
        raise CannotEvaluate(
            f"{folder}: the dataset folder is gone; put it back, or name its new place with --dataset"
        )
    dataset = read_dataset(folder, "all", with_sizes=False)
    if dataset.sha256 != result["dataset"]["sha256"]:
        raise CannotEvaluate(f"{folder}: is another dataset than the run's: its hash differs")
    return dataset


def _read_criteria(dataset: Dataset) -> Criteria:
    path = dataset.folder / "criteria.json"
    try:
        content = path.read_bytes()
        criteria = read_json(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, InvalidCriteria) as error:
        reason = " ".join(str(error).split())
        raise CannotEvaluate(f"{path}: cannot be read as criteria: {reason}") from error
    # The bytes' own hash too: a later version may write the same criteria in another way.
    if dataset.criteria_sha256 not in (hashlib.sha256(content).hexdigest(), sha256(criteria)):
        raise CannotEvaluate(f"{path}: was changed after the dataset was made: its hash differs")
    return criteria
