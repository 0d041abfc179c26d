"""Several processes: they give what one gives, end together, and resume exactly."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from method.training.config import (
    Config,
    Guard,
    Objective,
    Optimization,
    Samples,
    Scale,
    Spo,
    Teacher,
    Theta,
    Validation,
)
from method.training.config_reading import write_yaml
from method.training.failures import InvalidConfig
from method.training.recipes import tiny_sft
from tests.worker.training.conftest import quick
from tests.worker.training.datasets import write_dataset
from tests.worker.training.pair_datasets import write_pair_dataset
from tests.worker.training.processes import kill, output_of, run_processes, start_processes
from tests.worker.training.test_runs import WEIGHTS, moved
from worker.training.__main__ import main
from worker.training.metrics import read_lines
from worker.training.noise import draw_order
from worker.training.run import run
from worker.training.tiny_model import make_tiny_model

ROOT = Path(__file__).resolve().parents[3]
NETWORK = "network/diffusion_pytorch_model.safetensors"
DDP, FSDP = Scale(processes=2), Scale(processes=2, sharding="fsdp")


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images to learn from, three to validate on."""
    return write_dataset(tmp_path_factory.mktemp("houses") / "houses", 6, validation=3)


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory, houses: Path) -> tuple[Path, Path]:
    """A tiny FLUX and an expert on it."""
    folder = tmp_path_factory.mktemp("flux")
    model = make_tiny_model(folder / "model", "flux", fit=False)
    run(quick(tiny_sft(str(folder / "expert"), str(houses), str(model)), 2))
    return model, folder / "expert"


@pytest.fixture
def on_flux(cpo: Config, houses: Path, flux: tuple[Path, Path]) -> Config:
    model, expert = flux
    return replace(
        cpo,
        model=replace(cpo.model, path=str(model)),
        expert=str(expert),
        dataset_folder=str(houses),
        threads=1,
    )


def on_two(config: Config, folder: Path, scale: Scale) -> Config:
    """The same run on two processes: each makes half of a step's passes."""
    wanted = config.optimization
    halved = replace(wanted, gradient_accumulation=wanted.gradient_accumulation // 2)
    return replace(moved(config, folder), optimization=halved, scale=scale)


def rows_of(config: Config) -> list[dict[str, Any]]:
    return read_lines(Path(config.run_folder) / "metrics.jsonl")


def check_same(one: Config, two: Config) -> None:
    """Weights and curves of two runs are the same within the error of float sums."""
    file = NETWORK if one.theta.mode == "full" else WEIGHTS
    found = [load_file(Path(each.run_folder) / file) for each in (one, two)]
    assert found[0].keys() == found[1].keys()
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], atol=2e-5, rtol=1e-3)
    assert len(rows_of(one)) == len(rows_of(two))
    # What is logged is over all processes, not the first one's share.
    for alone, together in zip(rows_of(one), rows_of(two), strict=True):
        assert alone.keys() == together.keys()
        for name in ("loss", "win", "lose", "accuracy", "grad_norm", "validation_loss"):
            if name in alone:
                assert together[name] == pytest.approx(alone[name], rel=2e-2, abs=1e-5)


# One step, however many processes share it --------------------------------------------------------


@pytest.mark.bits
@pytest.mark.parametrize("mode", ["lora", "full"])
def test_two_processes_give_what_one_gives(
    cpo: Config, tmp_path: Path, houses: Path, mode: str
) -> None:
    one = replace(
        quick(cpo, 4),
        dataset_folder=str(houses),
        theta=Theta(mode=mode),  # type: ignore[arg-type]  # they are modes
        validation=Validation(every=2, images=3),
        log_every=2,
        threads=1,
    )
    # Five usable images in steps of four: the last step of an epoch leaves one process without an image.
    two = on_two(one, tmp_path / "two", DDP)
    run(one)
    run_processes(two)
    check_same(one, two)
    assert [row["step"] for row in rows_of(two)] == [2, 4]


def as_sft(config: Config, tmp_path: Path) -> Config:
    return replace(config, expert=None, objective=Objective(kind="sft", drop_to_neg=0.3))


def as_dpo(config: Config, tmp_path: Path) -> Config:
    pairs = write_pair_dataset(tmp_path / "pairs", train=5)
    return replace(
        config,
        expert=None,
        dataset_folder=None,
        pairs_folder=str(pairs),
        objective=Objective(kind="dpo"),
    )


def as_spo(config: Config, tmp_path: Path) -> Config:
    return replace(
        config,
        expert=None,
        objective=Objective(kind="spo"),
        spo=Spo(steps=4, first=1, least_gap=0.0, train_steps=1),
    )


@pytest.mark.parametrize("change", [as_sft, as_dpo, as_spo])
def test_every_objective_gives_on_two_processes_what_it_gives_on_one(
    cpo: Config, tmp_path: Path, change: Callable[[Config, Path], Config]
) -> None:
    one = change(replace(quick(cpo, 2), threads=1), tmp_path)
    two = on_two(one, tmp_path / "two", DDP)
    run(one)
    run_processes(two)
    check_same(one, two)


def test_a_run_that_explodes_goes_back_on_all_processes(sft: Config, tmp_path: Path) -> None:
    one = replace(
        sft,
        optimization=Optimization(
            max_steps=4, batch_size=1, gradient_accumulation=2, learning_rate=0.1
        ),
        checkpoints=replace(sft.checkpoints, every=1, keep=3),
        guard=Guard(spike_factor=5.0, settle_steps=2, patience=1),
        threads=1,
    )
    two = on_two(one, tmp_path / "two", DDP)
    run(one)
    run_processes(two)
    found = [
        json.loads((Path(each.run_folder) / "rollbacks.json").read_text()) for each in (one, two)
    ]
    # The second time it goes back further.
    assert len(found[0]) > 1
    assert found[0] == found[1]


def test_a_run_that_freezes_begins_again_on_all_processes(cpo: Config, tmp_path: Path) -> None:
    one = replace(
        cpo,
        optimization=replace(cpo.optimization, max_steps=8, batch_size=1, learning_rate=4e-3),
        checkpoints=replace(cpo.checkpoints, every=100),
        guard=Guard(frozen_steps=3),
        threads=1,
    )
    two = on_two(one, tmp_path / "two", DDP)
    run(one)
    run_processes(two)
    found = [
        json.loads((Path(each.run_folder) / "rollbacks.json").read_text()) for each in (one, two)
    ]
    assert found[0] == found[1]
    assert {each["to"] for each in found[0]} == {0}
    check_same(one, two)


@pytest.mark.parametrize("scale", [DDP, FSDP])
def test_an_expert_is_examined_on_all_processes_alike(
    sft: Config, houses: Path, tmp_path: Path, scale: Scale
) -> None:
    one = quick(replace(sft, dataset_folder=str(houses), threads=1), 2)
    two = on_two(one, tmp_path / "two", scale)
    run(one)
    run_processes(two)
    found = [
        json.loads((Path(each.run_folder) / "examination.json").read_text()) for each in (one, two)
    ]
    assert found[0]["images"] == found[1]["images"] == 2
    assert found[0]["errors"] == pytest.approx(found[1]["errors"], rel=1e-3)


# FSDP ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "mode", "precision"),
    [("flux", "lora", "bf16"), ("flux", "full", "fp32"), ("sdxl", "lora", "fp32")],
)
def test_a_sharded_model_gives_what_a_whole_one_gives(
    cpo: Config,
    on_flux: Config,
    houses: Path,
    tmp_path: Path,
    family: str,
    mode: str,
    precision: str,
) -> None:
    base = on_flux if family == "flux" else replace(cpo, dataset_folder=str(houses), threads=1)
    base = quick(base, 3)
    one = replace(
        base,
        theta=Theta(mode=mode),  # type: ignore[arg-type]  # they are modes
        precision=precision,  # type: ignore[arg-type]  # they are precisions
        validation=Validation(every=2, images=3),
        samples=replace(base.samples, prompts=("a house",)),
        optimization=replace(base.optimization, ema_decay=0.9, gradient_checkpointing=True),
    )
    two = on_two(one, tmp_path / "two", FSDP)
    run(one)
    run_processes(two)
    check_same(one, two)
    check_whole_state(one, two)
    samples = [read_lines(Path(each.run_folder) / "samples/samples.jsonl") for each in (one, two)]
    assert samples[0] == samples[1]
    if mode == "full":
        config = json.loads((tmp_path / "two/network/config.json").read_text())
        assert config["_class_name"] == "FluxTransformer2DModel"


def check_whole_state(one: Config, two: Config) -> None:
    """A sharded run's checkpoint is that of a run on one process, which could take it up."""
    whole, sharded = (
        torch.load(
            Path(each.run_folder) / "checkpoints/step-000003/training_state.pt", weights_only=True
        )
        for each in (one, two)
    )
    assert whole["optimizer"]["state"].keys() == sharded["optimizer"]["state"].keys()
    for number, values in whole["optimizer"]["state"].items():
        for name, tensor in values.items():
            found = sharded["optimizer"]["state"][number][name]
            assert type(found) is torch.Tensor
            torch.testing.assert_close(tensor, found, atol=1e-5, rtol=2e-2)
    for name, mean in whole["ema"]["means"].items():
        torch.testing.assert_close(mean, sharded["ema"]["means"][name], atol=2e-5, rtol=1e-3)


def refused(**changes: Any) -> Callable[[Config], Config]:
    return lambda config: replace(config, **changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (refused(scale=Scale(sharding="fsdp")), r"scale\.sharding: fsdp takes several"),
        (
            refused(optimization=Optimization(optimizer="adamw_8bit")),
            r"adamw_8bit does not work with fsdp",
        ),
        (
            refused(objective=Objective(kind="spo"), expert=None),
            r"scale\.sharding: passes of spo depend",
        ),
        (
            refused(teacher=Teacher(cache_folder="t")),
            r"teacher\.cache_folder: each process's cache",
        ),
        (
            refused(theta=Theta(mode="full"), samples=Samples(negative="n")),
            r"samples\.negative: .* a third network",
        ),
    ],
)
def test_what_cannot_be_sharded_is_refused(
    cpo: Config, change: Callable[[Config], Config], message: str
) -> None:
    with pytest.raises(InvalidConfig, match=message):
        run(change(replace(cpo, scale=FSDP)))


def test_a_wrong_number_of_processes_is_refused(cpo: Config) -> None:
    with pytest.raises(InvalidConfig, match=r"scale\.processes: is 2, but 1 were started"):
        run(replace(cpo, scale=Scale(processes=2)))


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("ACCELERATE_USE_DEEPSPEED", r"scale\.accelerate_config: asks for DeepSpeed"),
        ("ACCELERATE_USE_FSDP", r"scale\.sharding: is none, but accelerate's config asks for FSDP"),
    ],
)
def test_what_accelerate_was_told_beside_the_config_is_refused(
    cpo: Config, monkeypatch: pytest.MonkeyPatch, variable: str, message: str
) -> None:
    monkeypatch.setenv(variable, "true")
    with pytest.raises(InvalidConfig, match=message):
        run(cpo)


# Killed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scale", [pytest.param(DDP, marks=pytest.mark.bits), FSDP], ids=["ddp", "fsdp"]
)
def test_a_killed_group_resumes_to_the_same_weights(
    on_flux: Config, tmp_path: Path, scale: Scale
) -> None:
    unbroken = on_two(quick(on_flux, 7), tmp_path / "unbroken", scale)
    unbroken = replace(unbroken, optimization=replace(unbroken.optimization, ema_decay=0.9))
    killed = moved(unbroken, tmp_path / "killed")
    run_processes(unbroken)
    processes = start_processes(killed, endless=True)
    try:
        wait_for(lambda: len(rows_of(killed)) >= 3)
    finally:
        kill(processes)
    assert not (tmp_path / "killed/result.json").exists()
    run_processes(killed)
    found = [(tmp_path / name / WEIGHTS).read_bytes() for name in ("unbroken", "killed")]
    assert found[0] == found[1]
    assert "Resumed from step-" in (tmp_path / "killed/log.txt").read_text()
    for name in ("loss", "grad_norm"):
        assert [row[name] for row in rows_of(killed)] == [row[name] for row in rows_of(unbroken)]


@pytest.mark.parametrize("scale", [DDP, FSDP], ids=["ddp", "fsdp"])
def test_a_stop_that_reaches_one_process_stops_all_at_one_step(
    cpo: Config, tmp_path: Path, scale: Scale
) -> None:
    config = on_two(quick(cpo, 5000), tmp_path / "run", scale)
    processes = start_processes(config)
    try:
        wait_for(lambda: len(rows_of(config)) >= 1)
        os.kill(int(str(processes[1].pid)), signal.SIGTERM)
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [75, 75]
    finally:
        kill(processes)
    last = rows_of(config)[-1]["step"]
    newest = max((tmp_path / "run/checkpoints").iterdir())
    assert newest.name == f"step-{last:06d}"


def test_a_process_that_is_killed_does_not_leave_the_others_waiting(
    cpo: Config, tmp_path: Path
) -> None:
    config = on_two(quick(cpo, 5000), tmp_path / "run", DDP)
    left, killed = processes = start_processes(config)
    try:
        wait_for(lambda: len(rows_of(config)) >= 1)
        killed.kill()
        left.join(60)
        assert left.exitcode == 1
    finally:
        kill(processes)
    said = output_of(config, 0).splitlines()[-1]
    assert said.startswith("The connection to another process of this run broke")


def test_hosts_that_do_not_share_the_run_folder_are_refused(cpo: Config, tmp_path: Path) -> None:
    here, there = (on_two(quick(cpo, 2), tmp_path / name, DDP) for name in ("here", "there"))
    processes = start_processes(here, there)
    try:
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [2, 2]
    finally:
        kill(processes)
    said = output_of(here, 0) + output_of(there, 1)
    assert "run_folder: not all processes see the same" in said


def test_a_second_stop_ends_at_once_with_one_sentence(
    cpo: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def stop_twice(config: Config, stop_asked: Callable[[], bool]) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert not stop_asked()

    monkeypatch.setattr("worker.training.run.run", stop_twice)
    path = tmp_path / "config.yaml"
    path.write_text(write_yaml(cpo))
    assert main([str(path)]) == 1
    assert capsys.readouterr().err == "Stopped at once, without a checkpoint.\n"


# Under a launcher ---------------------------------------------------------------------------------


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.02)


HOSTS = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_machines: 1
machine_rank: 0
num_processes: 2
main_process_port: 0
mixed_precision: bf16
"""


@contextmanager
def launched(config: Config, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Two processes as the worker starts them, by a config file of accelerate."""
    path, hosts = tmp_path / "asked.yaml", tmp_path / "hosts.yaml"
    path.write_text(write_yaml(config))
    hosts.write_text(HOSTS)
    launcher = ["worker.several_processes", "--config_file", str(hosts)]
    process = subprocess.Popen(
        [sys.executable, "-m", *launcher, "-m", "worker.training", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"MORELLI_DIE_WITH_PARENT": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_stop_ends_all_processes_at_one_step(cpo: Config, tmp_path: Path) -> None:
    config = on_two(quick(cpo, 5000), tmp_path / "run", DDP)
    config = replace(config, checkpoints=replace(config.checkpoints, every=100_000))
    with launched(config, tmp_path) as process:
        wait_for(lambda: len(rows_of(config)) >= 1 or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 75, errors[-2000:]
    said = [line for line in errors.splitlines() if line.startswith("Stopped on request after")]
    assert len(said) == 1
    assert errors.splitlines()[-1] == said[0]
    last = rows_of(config)[-1]["step"]
    (checkpoint,) = (tmp_path / "run/checkpoints").iterdir()
    assert checkpoint.name == f"step-{last:06d}"
    assert f"after step {last};" in said[0]


def test_one_process_that_fails_ends_all_with_its_code_and_sentence(
    sft: Config, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "broken", 8)
    config = on_two(quick(replace(sft, dataset_folder=str(dataset)), 1), tmp_path / "run", DDP)
    config = replace(config, data=replace(config.data, buckets=False))
    # The second process's first picture: the other one waits for gradients that never come.
    rows = [
        json.loads(line) for line in (dataset / "train/examples.jsonl").read_text().splitlines()
    ]
    changed = rows[draw_order(config.seed, 0, len(rows))[2]]["file_name"]
    with (dataset / "train" / changed).open("ab") as file:
        file.write(b"more")
    with launched(config, tmp_path) as process:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 3, errors[-2000:]
    assert changed in errors.splitlines()[-1]
    assert "Traceback" not in errors
    # The process that waited does not take the broken connection for the reason.
    assert "connection" not in errors
    progress = json.loads((tmp_path / "run/progress.json").read_text())
    assert progress["state"] == "failed"
    assert progress["message"] == errors.splitlines()[-1]
