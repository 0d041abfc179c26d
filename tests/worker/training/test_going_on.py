"""A run goes on whatever happened to its files, and with what gives the same; it stops in the middle of anything."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from method.training.config import Config, Samples, Validation
from method.training.failures import InvalidConfig, Stopped
from tests.worker.training.datasets import write_dataset
from worker.training.metrics import Progress, read_lines
from worker.training.run import run
from worker.training.run_folder import computed

WEIGHTS = "adapter/pytorch_lora_weights.safetensors"


def load_file(path: Path) -> dict[str, torch.Tensor]:
    """Not safetensors' own: that maps the file, which some of these tests empty."""
    return dict(load(path.read_bytes()))


class Asked:
    """Asks for a stop at its nth question."""

    def __init__(self, at: int) -> None:
        self.at, self.number = at, 0

    def __call__(self) -> bool:
        self.number += 1
        return self.number >= self.at


@pytest.fixture
def validated(sft: Config, tmp_path: Path) -> Config:
    folder = write_dataset(tmp_path / "validated", 6, validation=3)
    return replace(sft, dataset_folder=str(folder), validation=Validation(every=2))


def test_a_run_goes_on_with_its_batch_cut_otherwise(sft: Config) -> None:
    with pytest.raises(Stopped):
        run(sft, (Path(sft.run_folder) / "checkpoints/step-000002").exists)
    halved = replace(sft.optimization, batch_size=1, gradient_accumulation=4)
    run(replace(sft, optimization=replace(halved, gradient_checkpointing=True)))
    assert len(read_lines(Path(sft.run_folder) / "metrics.jsonl")) == 6


def test_what_is_computed_is_told_from_how(sft: Config) -> None:
    wanted = sft.optimization
    same = replace(
        sft,
        optimization=replace(wanted, batch_size=4, gradient_accumulation=1, epochs=9),
        lora=replace(sft.lora, scaling=1.0),
        threads=3,
    )
    assert computed(same) == computed(sft)
    scaled = replace(wanted, learning_rate=wanted.learning_rate / 4, scale_lr=True)
    assert computed(replace(sft, optimization=scaled)) == computed(sft)
    for other in (
        replace(sft, optimization=replace(wanted, batch_size=4)),
        replace(sft, lora=replace(sft.lora, scaling=2.0)),
        replace(sft, precision="bf16"),
    ):
        assert computed(other) != computed(sft)


def cut_best(folder: Path) -> None:
    file = folder / "best/pytorch_lora_weights.safetensors"
    file.write_bytes(file.read_bytes()[:100])


def empty(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_text("")

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        cut_best,
        lambda folder: shutil.rmtree(folder / "best"),
        empty("config.yaml"),
        empty("rollbacks.json"),
        empty("result.json"),
        empty(WEIGHTS),
        lambda folder: (folder / "metrics.jsonl").write_bytes(b"\x00\xff{"),
        lambda folder: (folder / "config.yaml").write_text("[a, b]"),
        lambda folder: (folder / "rollbacks.json").write_text('{"to": "x"}'),
    ],
)
def test_a_damaged_file_is_made_anew(validated: Config, damage: Callable[[Path], None]) -> None:
    run(validated)
    folder = Path(validated.run_folder)
    before = load_file(folder / WEIGHTS)
    damage(folder)
    if (folder / WEIGHTS).stat().st_size:
        (folder / "result.json").write_text("{")
    run(validated)
    after = load_file(folder / WEIGHTS)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert json.loads((folder / "result.json").read_text())["steps"] == 6


def test_a_damaged_config_lets_nobody_go_on_with_another_run(sft: Config) -> None:
    run(sft)
    folder = Path(sft.run_folder)
    (folder / "result.json").unlink()
    (folder / "config.yaml").write_text("")
    with pytest.raises(InvalidConfig, match=r"seed: is 5, but the run in .* was started with 0"):
        run(replace(sft, seed=5))


def test_a_stop_is_heard_between_denoising_steps(sft: Config) -> None:
    samples = Samples(every=0, prompts=("a house",), steps=50, guidance=2.0)
    asked = Asked(at=15)
    with pytest.raises(Stopped):
        run(replace(sft, samples=samples), asked)
    assert asked.number < 25
    assert not list((Path(sft.run_folder) / "samples").glob("*.png"))
    progress = json.loads((Path(sft.run_folder) / "progress.json").read_text())
    assert progress["state"] == "stopped"


@pytest.mark.parametrize("at", range(11, 60, 4))
def test_a_run_stopped_anywhere_ends_as_one_that_never_was(
    validated: Config, tmp_path: Path, at: int
) -> None:
    unbroken = replace(validated, run_folder=str(tmp_path / "unbroken"))
    run(unbroken)
    try:
        run(validated, Asked(at))
    except Stopped:
        run(validated)
    folders = Path(unbroken.run_folder), Path(validated.run_folder)
    one, two = (load_file(folder / WEIGHTS) for folder in folders)
    assert all(torch.equal(one[name], two[name]) for name in one)
    curves = [
        [(row["step"], row["loss"], row.get("validation_loss")) for row in read_lines(path)]
        for path in (folder / "metrics.jsonl" for folder in folders)
    ]
    assert curves[0] == curves[1]


def test_progress_is_told_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "progress.json"
    with Progress(path) as progress:
        progress.show("training", "Step 3.")

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("worker.training.files.os.fsync", full)
        monkeypatch.setattr(Path, "replace", full)
        progress.show("failed", "There is no room.")
        assert json.loads(path.read_text())["state"] == "failed"
