"""Whole evaluations on the tiny model: what they write, what they rest on, and what they refuse."""

import fcntl
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from method.training.config import Config
from method.training.config_reading import load_config, write_yaml
from method.training.failures import Ended, OutOfMemory, PictureNotFinite
from taxonomy.tree import POLARITIES
from tests.spoiling import SPOILT, Spoil
from tests.worker.evaluation.conftest import file_sha256
from tests.worker.training.datasets import seal
from worker.agents.measured import VERSION, label_image
from worker.agents.rules import RULES
from worker.evaluation.__main__ import main
from worker.evaluation.evaluating import evaluate
from worker.evaluation.reading import CannotEvaluate, choose_cases, read_run
from worker.training.backbones.autoencoder import Autoencoder
from worker.training.examples import read_dataset
from worker.training.metrics import read_lines

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def place(stage_2: Path) -> Path:
    """The folder of an evaluation of the stage 2 run on its three test prompts."""
    return evaluate(stage_2, 3, 0, lambda _: None).parent


@pytest.fixture(scope="module")
def results(place: Path) -> dict[str, Any]:
    return read(place)


@pytest.fixture
def copied(stage_2: Path, tmp_path: Path) -> Path:
    """A copy of the stage 2 run folder, to be spoilt."""
    folder = tmp_path / "copied"
    shutil.copytree(stage_2, folder, ignore=shutil.ignore_patterns("evaluation", "checkpoints"))
    return folder


def read(place: Path) -> dict[str, Any]:
    found = json.loads((place / "results.json").read_text())
    assert isinstance(found, dict)
    return found


def change(folder: Path, **changes: Any) -> Config:
    config = replace(load_config(folder / "config.yaml"), **changes)
    (folder / "config.yaml").write_text(write_yaml(config))
    return config


def refusal(folder: Path) -> str:
    with pytest.raises(Ended) as caught:
        evaluate(folder, 2, 0, lambda _: None)
    left = folder / "evaluation"
    assert not left.exists() or [p.name for p in left.iterdir()] == [".lock"]
    return str(caught.value)


def test_every_model_paints_every_test_prompt(place: Path, results: dict[str, Any]) -> None:
    assert place.name == "0-3"
    images = {(each["model"], each["index"]): each for each in results["images"]}
    assert set(images) == {(m, i) for m in ("base", "target", "expert") for i in range(3)}
    for each in images.values():
        assert file_sha256(place / each["file"]) == each["sha256"]
    assert len({each["sha256"] for each in images.values()}) == 9
    assert [(case["seed"], case["split"]) for case in results["prompts"]] == [
        (seed, "test") for seed in range(3)
    ]
    assert {path.name for path in place.iterdir()} == {
        "results.json",
        *(each["file"] for each in images.values()),
    }


def test_the_models_are_the_run_s_own(stage_2: Path, place: Path) -> None:
    """The run sampled the first prompt from the same seed: its pictures are the same, bit for bit."""
    sampled = {
        (row["step"], row["model"]): (stage_2 / row["file"]).read_bytes()
        for row in read_lines(stage_2 / "samples/samples.jsonl")
    }
    assert (place / "target-0000.png").read_bytes() == sampled[3, "target"]
    assert (place / "base-0000.png").read_bytes() == sampled[0, "base"]
    assert (place / "expert-0000.png").read_bytes() == sampled[0, "expert"]


def test_the_scores_follow_from_the_saved_images(place: Path, results: dict[str, Any]) -> None:
    numbers: dict[str, list[int]] = {}
    for each in results["images"]:
        with Image.open(place / each["file"]) as image:
            findings = label_image(image)
        for side in ("negative", "positive"):
            assert each[side] == sorted(f.key for f in findings if f.polarity == side)
        numbers.setdefault(each["model"], []).append(len(each["negative"]))
    scores = results["scores"]
    for model, found in numbers.items():
        counted = scores["all"]["models"][model]["negative"]
        assert counted["mean"] == pytest.approx(sum(found) / 3)
        assert counted["low"] <= counted["mean"] <= counted["high"]
        for group in ("roots", "attributes"):
            parts = [part["models"][model]["negative"]["mean"] for part in scores[group]]
            assert sum(parts) == pytest.approx(counted["mean"])
    assert sum(scores["all"]["models"]["base"]["negative"].values()) > 0
    assert len(scores["roots"]) == 7
    for side in POLARITIES:
        decided = [root["decided"][side] for root in scores["roots"]]
        assert sum(decided) == sum(bool(rule.side(side)) for rule in RULES)
    won = scores["comparisons"]["target"]
    assert won["better"] == sum(
        t < b for t, b in zip(numbers["target"], numbers["base"], strict=True)
    )


def test_the_results_name_what_they_rest_on(
    stage_2: Path, dataset: Path, results: dict[str, Any]
) -> None:
    weights = stage_2 / "adapter/pytorch_lora_weights.safetensors"
    assert results["run"]["adapter"]["sha256"] == file_sha256(weights)
    manifest = json.loads((dataset / "manifest.json").read_text())
    assert results["run"]["dataset"]["sha256"] == manifest["sha256"]
    assert (
        results["sampling"] | {"steps": 2, "guidance": 2.0, "resolution": 64}
        == (results["sampling"])
    )
    assert results["judge"]["version"] == VERSION
    assert results["judge"]["pairs_decided"] == len(RULES) < results["judge"]["pairs_in_criteria"]
    assert 0 < results["judge"]["pairs_decided_negative"] <= len(RULES)
    assert results["rests_on"]["prompts"] == {"train": 0, "validation": 0, "test": 3}
    assert any("no paintings" in doubt for doubt in results["doubts"])
    assert any("3 prompts are few" in doubt for doubt in results["doubts"])
    assert not any("test split" in doubt for doubt in results["doubts"])


def test_a_repeat_gives_the_same_images_and_numbers(
    stage_2: Path, place: Path, results: dict[str, Any], capsys: Captured
) -> None:
    (place / "results.json").write_text("old")
    assert main([str(stage_2), "--prompts", "3", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == results == read(place)
    assert "Generating target: 3 of 3." in printed.err
    assert sorted(path.name for path in place.parent.iterdir()) == [".lock", "0-3"]


def test_an_sft_run_is_compared_with_its_base_in_words(stage_1: Path, capsys: Captured) -> None:
    assert main([str(stage_1), "--prompts", "99", "--seed", "7"]) == 0
    out = capsys.readouterr().out
    results = read(stage_1 / "evaluation/7-8")
    assert list(results["scores"]["all"]["models"]) == ["base", "target"]
    for text in (
        "Rests on 8 images per model: one for each prompt (4 train, 1 validation, 3 test), seeds 7 to 14",
        f"measured agent, version {VERSION}: image statistics",
        "Negative attributes per image, #A_neg",
        "Brushwork and Texture",
        "target against base: fewer negative attributes on",
        "Note: The dataset has only 8 different prompts; 99 were asked for.",
        "Note: Only 3 of 8 prompts are from the test split, 1 from validation and 4 from train",
        "its pictures are no paintings",
    ):
        assert text in out
    mean = results["scores"]["all"]["models"]["target"]["negative"]["mean"]
    decided = sum(bool(rule.negative) for rule in RULES)
    row = next(line for line in out.splitlines() if line.startswith(f"all ({decided}) "))
    assert f"{mean:.2f} [" in row


def test_prompts_come_from_test_first_and_do_not_depend_on_the_seed(dataset: Path) -> None:
    read_all = read_dataset(dataset, "all")
    four = choose_cases(read_all, 4, seed=5)
    assert [case.split for case in four] == ["test", "test", "test", "validation"]
    assert [case.seed for case in four] == [5, 6, 7, 8]
    assert [c.prompt for c in choose_cases(read_all, 2, seed=0)] == [c.prompt for c in four[:2]]


def test_an_unfinished_run_is_refused(copied: Path) -> None:
    (copied / "result.json").unlink()
    assert "has not finished" in refusal(copied)


def test_changed_weights_are_refused(copied: Path) -> None:
    weights = copied / "adapter/pytorch_lora_weights.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert "was changed after the run finished" in refusal(copied)
    weights.unlink()
    assert "is gone" in refusal(copied)


def test_a_dataset_that_is_gone_or_another_is_refused(
    copied: Path, dataset: Path, tmp_path: Path
) -> None:
    change(copied, dataset_folder=str(tmp_path / "nowhere"))
    assert "the dataset folder is gone" in refusal(copied)
    other = tmp_path / "other"
    shutil.copytree(dataset, other)
    change(copied, dataset_folder=str(other))
    (other / "criteria.json").write_text("{}")
    assert "criteria.json: cannot be read as criteria" in refusal(copied)
    seal(other, name="other houses")
    assert "is another dataset than the run's" in refusal(copied)


def test_changed_criteria_are_refused(copied: Path, dataset: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(dataset, other)
    change(copied, dataset_folder=str(other))
    text = (other / "criteria.json").read_text()
    (other / "criteria.json").write_text(text.replace("Brushwork and Texture", "Brushwork"))
    assert "criteria.json: was changed" in refusal(copied)


def test_an_expert_that_is_gone_is_left_out_and_said(copied: Path, tmp_path: Path) -> None:
    change(copied, expert=str(tmp_path / "nowhere"))
    found = read(evaluate(copied, 1, 0, lambda _: None).parent)
    assert list(found["scores"]["all"]["models"]) == ["base", "target"]
    assert any(doubt.startswith("The expert is left out") for doubt in found["doubts"])
    assert found["scores"]["all"]["models"]["base"]["negative"]["low"] is None


def test_a_failure_ends_with_1_and_one_sentence(copied: Path, capsys: Captured) -> None:
    model = load_config(copied / "config.yaml").model
    change(copied, model=replace(model, path=str(copied)))
    assert main([str(copied), "--prompts", "1"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].startswith("model.path: ")
    assert [p.name for p in (copied / "evaluation").iterdir()] == [".lock"]


def test_two_evaluations_of_one_run_at_once_are_refused(copied: Path) -> None:
    (copied / "evaluation").mkdir()
    with (copied / "evaluation/.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another process is evaluating" in refusal(copied)


@pytest.mark.parametrize("options", [["--prompts", "0"], ["--seed", "-1"], ["--seeds", "1"]])
def test_a_wrong_command_ends_with_2(stage_2: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(stage_2), *options])
    assert caught.value.code == 2


def test_a_folder_that_is_no_run_ends_with_2(tmp_path: Path, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path)])
    assert caught.value.code == 2
    assert "is not a run folder" in capsys.readouterr().err


def failing(
    monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], bool], error: Exception
) -> None:
    """Have the autoencoder fail at some of the pictures that it decodes."""
    real, number = Autoencoder.decode, iter(range(1000))

    def decode(self: Autoencoder, latent: Tensor) -> Tensor:
        picture = real(self, latent)
        if not fails(next(number)):
            return picture
        if isinstance(error, PictureNotFinite):
            return picture * torch.nan
        raise error

    monkeypatch.setattr(Autoencoder, "decode", decode)


@pytest.mark.parametrize(
    "error", [PictureNotFinite(), torch.OutOfMemoryError("CUDA out of memory")]
)
def test_a_picture_that_cannot_be_made_is_left_out_and_the_others_are_compared(
    copied: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failing(monkeypatch, lambda number: number == 1, error)
    results = read(evaluate(copied, 3, 0, lambda _: None).parent)
    assert results["rests_on"]["images_per_model"] == 2
    # Not even tried with the models that come later: there is nothing to compare it with.
    assert Counter(each["model"] for each in results["images"]) == {
        "base": 2, "target": 2, "expert": 2
    }  # fmt: skip
    (doubt,) = [each for each in results["doubts"] if "base for prompt 2" in each]
    assert ("NaN" in doubt) or ("memory" in doubt)


@pytest.mark.parametrize(
    ("error", "ends"),
    [(PictureNotFinite(), CannotEvaluate), (torch.OutOfMemoryError("no"), OutOfMemory)],
)
def test_an_evaluation_without_a_picture_ends_and_leaves_nothing(
    copied: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, ends: type[Exception]
) -> None:
    failing(monkeypatch, lambda _: True, error)
    with pytest.raises(ends):
        evaluate(copied, 2, 0, lambda _: None)
    assert not list((copied / "evaluation").glob("[!.]*"))


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_picture_of_the_dataset_that_is_lost_stands_in_nobody_s_way(
    stage_2: Path, dataset: Path, tmp_path: Path, spoil: Spoil
) -> None:
    """Prompts and criteria are all that an evaluation takes from it."""
    damaged = tmp_path / "damaged"
    shutil.copytree(dataset, damaged)
    spoil(next(damaged.glob("train/*.png")))
    found = read_run(stage_2, damaged)
    assert len(choose_cases(found.dataset, 8, seed=0)) == len(
        choose_cases(read_run(stage_2).dataset, 8, seed=0)
    )
