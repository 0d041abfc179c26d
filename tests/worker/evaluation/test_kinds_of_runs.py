"""Evaluations of every kind of run: learned from pairs, whole networks, other models, with a negative."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from method.training.config import Config, Data, Lora, Model, Objective, Spo, Theta
from method.training.config_reading import load_config, write_yaml
from method.training.failures import Ended
from method.training.recipes import tiny_cpo
from tests.worker.evaluation.conftest import file_sha256
from tests.worker.training.conftest import quick
from tests.worker.training.datasets import write_dataset
from tests.worker.training.pair_datasets import write_pair_dataset
from worker.evaluation.__main__ import main
from worker.evaluation.evaluating import evaluate
from worker.evaluation.reading import choose_cases
from worker.training.examples import read_dataset
from worker.training.metrics import read_lines
from worker.training.run import run
from worker.training.tiny_model import Kind, make_tiny_model

NUM_PAIRS = 6

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs; some of their prompts stand in the dataset's test split, too."""
    return write_pair_dataset(tmp_path_factory.mktemp("pairs") / "pairs", train=NUM_PAIRS)


@pytest.fixture(scope="module")
def first_prompt(dataset: Path) -> str:
    (case,) = choose_cases(read_dataset(dataset, "all"), 1, seed=0)
    return case.prompt


@pytest.fixture(scope="module")
def npo(tiny_model: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("npo") / "run"
    run(of_pairs(folder, tiny_model, pairs, Objective(kind="npo")))
    return folder


@pytest.fixture(scope="module")
def dpo(
    tiny_model: Path,
    pairs: Path,
    npo: Path,
    first_prompt: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A dpo run that sampled the first test prompt from seed 0 against the npo run."""
    folder = tmp_path_factory.mktemp("dpo") / "run"
    config = of_pairs(folder, tiny_model, pairs, Objective(kind="dpo"))
    samples = replace(
        config.samples, prompts=(first_prompt,), negative=str(npo), negative_merge=0.25
    )
    run(replace(config, samples=samples))
    return folder


def of_pairs(folder: Path, model: Path, pairs: Path, objective: Objective, **more: Any) -> Config:
    options: dict[str, Any] = {
        "run_folder": str(folder),
        "pairs_folder": str(pairs),
        "model": Model(path=str(model)),
        "objective": objective,
        "data": Data(resolution=64),
        "lora": Lora(rank=4),
        "device": "cpu",
        "threads": 1,
    }
    config = quick(Config(**options | more), 3)
    # Far enough to be seen in pictures.
    return replace(config, optimization=replace(config.optimization, learning_rate=1e-2))


def results_of(path: Path) -> Any:
    return json.loads(path.read_text())


def say_nothing(sentence: str) -> None:
    del sentence


def sampled(folder: Path) -> dict[tuple[int, str], bytes]:
    rows = read_lines(folder / "samples/samples.jsonl")
    return {(row["step"], row["model"]): (folder / row["file"]).read_bytes() for row in rows}


def test_dpo_and_npo_are_compared_alone_and_together(
    dpo: Path, npo: Path, dataset: Path, pairs: Path, capsys: Captured
) -> None:
    assert main([str(dpo), "--prompts", "2", "--dataset", str(dataset)]) == 0
    words = capsys.readouterr().out
    place = dpo / "evaluation/0-2"
    results = results_of(place / "results.json")
    models = ["base", "target", "base+npo", "target+npo"]
    assert list(results["scores"]["all"]["models"]) == models
    pictures = {name: (place / f"{name}-0000.png").read_bytes() for name in models}
    assert len(set(pictures.values())) == 4
    # The run sampled against the same negative.
    assert pictures["base+npo"] == sampled(dpo)[0, "base"]
    assert pictures["target+npo"] == sampled(dpo)[3, "target"]
    assert results["sampling"]["negative"]["folder"] == str(npo)
    assert results["sampling"]["negative"]["merge"] == 0.25
    assert len(results["sampling"]["negative"]["sha256"]) == 64
    manifest = json.loads((pairs / "manifest.json").read_text())
    assert results["run"]["pairs"] == {"name": "houses", "sha256": manifest["sha256"]}
    assert results["run"]["dataset"]["sha256"] == read_dataset(dataset, "all").sha256
    assert f"guided against {npo}, merge 0.25" in words
    assert "dpo run of 3 steps on pairs houses, prompts of dataset houses" in words
    assert "target+npo against base: fewer negative attributes on" in words


def test_an_npo_run_is_a_negative_of_its_base_and_of_nothing_else(npo: Path, dataset: Path) -> None:
    path = evaluate(npo, 1, 0, say_nothing, dataset_folder=dataset, negative=npo)
    models = results_of(path)["scores"]["all"]["models"]
    assert list(models) == ["base", "target", "base+npo"]


def test_a_negative_is_given_to_runs_that_had_none(
    stage_2: Path, npo: Path, dpo: Path, dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copied"
    shutil.copytree(stage_2, folder, ignore=shutil.ignore_patterns("evaluation", "checkpoints"))
    path = evaluate(folder, 1, 0, say_nothing, negative=npo)
    names = ["base", "target", "expert", "base+npo", "target+npo"]
    assert list(results_of(path)["scores"]["all"]["models"]) == names
    assert (path.parent / "target-0000.png").read_bytes() == sampled(stage_2)[3, "target"]
    # The same base and the same negative as in the dpo run.
    base = (path.parent / "base+npo-0000.png").read_bytes()
    assert base == sampled(dpo)[0, "base"]


def test_a_run_of_pairs_needs_a_dataset(dpo: Path, capsys: Captured) -> None:
    assert main([str(dpo), "--prompts", "1"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "this run of dpo learned from pairs" in last
    assert last.endswith("name a dataset folder that has them with --dataset")


def test_prompts_that_pairs_were_learned_from_are_told(
    npo: Path, dataset: Path, tmp_path: Path
) -> None:
    found = results_of(evaluate(npo, 3, 0, say_nothing, dataset_folder=dataset))
    learned = {f"painting of a house number {index}" for index in range(NUM_PAIRS)}
    seen = sum(case["prompt"] in learned for case in found["prompts"])
    assert 0 < seen < 3
    assert any(
        doubt.startswith(f"{seen} of the prompts also stand in the pairs")
        for doubt in found["doubts"]
    )
    assert list(found["scores"]["all"]["models"]) == ["base", "target"]
    moved = tmp_path / "moved"
    shutil.copytree(npo, moved, ignore=shutil.ignore_patterns("evaluation"))
    config = replace(load_config(moved / "config.yaml"), pairs_folder=str(tmp_path / "nowhere"))
    (moved / "config.yaml").write_text(write_yaml(config))
    found = results_of(evaluate(moved, 1, 0, say_nothing, dataset_folder=dataset))
    assert any("are gone or were changed" in doubt for doubt in found["doubts"])


def test_the_base_stays_the_base_where_the_reference_is_the_expert(
    tiny_model: Path, pairs: Path, stage_1: Path, dpo: Path, dataset: Path, tmp_path: Path
) -> None:
    objective = Objective(kind="dpo", reference="sft")
    started = of_pairs(tmp_path / "run", tiny_model, pairs, objective, expert=str(stage_1))
    run(replace(started, theta=Theta(init="sft"), lora=Lora(rank=16)))
    path = evaluate(tmp_path / "run", 1, 0, say_nothing, dataset_folder=dataset)
    names = ["base", "target", "expert"]
    assert list(results_of(path)["scores"]["all"]["models"]) == names
    other = evaluate(dpo, 1, 0, say_nothing, dataset_folder=dataset)
    pictures = [(each.parent / "base-0000.png").read_bytes() for each in (path, other)]
    assert pictures[0] == pictures[1] != (path.parent / "expert-0000.png").read_bytes()


def test_a_whole_network_is_evaluated(
    tiny_model: Path,
    dataset: Path,
    stage_1: Path,
    npo: Path,
    first_prompt: str,
    tmp_path: Path,
) -> None:
    config = quick(tiny_cpo(str(tmp_path), str(dataset), str(tiny_model), str(stage_1)), 2)
    samples = replace(config.samples, prompts=(first_prompt,))
    run(replace(config, samples=samples, theta=Theta(mode="full")))
    path = evaluate(tmp_path, 1, 0, say_nothing, negative=npo)
    results = results_of(path)
    weights = tmp_path / "network/diffusion_pytorch_model.safetensors"
    assert results["run"]["adapter"] == {
        "file": "network/diffusion_pytorch_model.safetensors",
        "sha256": file_sha256(weights),
    }
    pictures = {
        name: (path.parent / f"{name}-0000.png").read_bytes()
        for name in results["scores"]["all"]["models"]
    }
    assert pictures["target"] == sampled(tmp_path)[2, "target"]
    assert pictures["base"] == sampled(tmp_path)[0, "base"]
    assert pictures["expert"] == sampled(tmp_path)[0, "expert"]
    assert len(set(pictures.values())) == len(pictures) == 5
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(Ended, match="was changed after the run finished"):
        evaluate(tmp_path, 1, 0, say_nothing)


@pytest.mark.parametrize("kind", ["sd15", "flux"])
def test_runs_on_other_models_are_evaluated(
    kind: Kind, dataset: Path, npo: Path, first_prompt: str, tmp_path: Path
) -> None:
    model = make_tiny_model(tmp_path / "tiny", kind, fit=False)
    folder = tmp_path / "run"
    config = quick(
        Config(
            run_folder=str(folder),
            dataset_folder=str(dataset),
            model=Model(path=str(model)),
            objective=Objective(kind="sft"),
            data=Data(resolution=64),
            device="cpu",
            threads=1,
        ),
        2,
    )
    run(replace(config, samples=replace(config.samples, prompts=(first_prompt,))))
    path = evaluate(folder, 1, 0, say_nothing)
    assert (path.parent / "target-0000.png").read_bytes() == sampled(folder)[2, "target"]
    assert results_of(path)["model"]["family"] == kind
    # A negative of another model, and for a model that has no unconditional branch.
    with pytest.raises(Ended, match=r"^samples\.negative: "):
        evaluate(folder, 1, 0, say_nothing, negative=npo)


def test_a_dataset_that_moved_is_named(
    stage_1: Path, dataset: Path, tmp_path: Path, capsys: Captured
) -> None:
    moved, folder = tmp_path / "moved", tmp_path / "copied"
    shutil.copytree(dataset, moved)
    shutil.copytree(stage_1, folder, ignore=shutil.ignore_patterns("evaluation"))
    config = load_config(folder / "config.yaml")
    gone = replace(config, dataset_folder=str(tmp_path / "nowhere"))
    (folder / "config.yaml").write_text(write_yaml(gone))
    assert main([str(folder), "--prompts", "1"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("name its new place with --dataset")
    assert main([str(folder), "--prompts", "1", "--dataset", str(moved)]) == 0
    other = write_dataset(tmp_path / "other", 2)
    assert main([str(folder), "--prompts", "1", "--dataset", str(other)]) == 1
    assert "is another dataset than the run's" in capsys.readouterr().err


def test_a_run_that_learned_from_the_judge_is_told_so(
    tiny_model: Path, dataset: Path, stage_1: Path, tmp_path: Path
) -> None:
    config = Config(
        run_folder=str(tmp_path),
        dataset_folder=str(dataset),
        model=Model(path=str(tiny_model)),
        objective=Objective(kind="spo"),
        spo=Spo(steps=3, first=0),
        data=Data(resolution=64),
        device="cpu",
        threads=1,
    )
    run(quick(config, 1))
    told = "it also judged what this run of spo learned from"
    doubts = [
        results_of(evaluate(each, 1, 0, say_nothing))["doubts"] for each in (tmp_path, stage_1)
    ]
    assert [any(told in doubt for doubt in each) for each in doubts] == [True, False]
