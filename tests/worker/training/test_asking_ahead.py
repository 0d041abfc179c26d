"""Expert and reference predict in a thread beside theta's where cores are idle, and nothing changes by that."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from method.training import recipes
from method.training.config import Config, Kind, Samples, Scale, Teacher, Theta, Validation
from tests.worker.training.conftest import quick
from tests.worker.training.pair_datasets import write_pair_dataset
from worker.training.cores import roles_ahead, set_threads
from worker.training.metrics import read_lines
from worker.training.models import load_models
from worker.training.roles import Inputs, Role, Roles
from worker.training.run import run

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
Make = Callable[[Kind, str], Config]
Cores = Callable[[int], None]


@pytest.fixture
def make(
    tmp_path: Path, tiny_model: Path, dataset: Path, expert: Path, monkeypatch: pytest.MonkeyPatch
) -> Make:
    """Configs of any kind in a run folder of the given name."""
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    pairs = write_pair_dataset(tmp_path / "pairs", train=4, validation=2)

    def config(kind: Kind, name: str) -> Config:
        data = pairs if kind in ("dpo", "npo") else dataset
        taught = str(expert) if kind in ("cpo", "cpo_s") else None
        found = recipes.tiny(kind, str(tmp_path / name), str(data), str(tiny_model), expert=taught)
        return quick(found, 4)

    return config


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Cores:
    """Sets how many cores the process may use."""
    return lambda count: monkeypatch.setattr(
        os, "sched_getaffinity", lambda _: set(range(count)), raising=False
    )


def asked(config: Config) -> set[tuple[str, str]]:
    """Run, and return who predicted in which thread."""
    found: set[tuple[str, str]] = set()
    predict = Roles.predict

    def note(self: Roles, role: Role, inputs: Inputs) -> Tensor:
        found.add((role, threading.current_thread().name))
        return predict(self, role, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Roles, "predict", note)
        run(config)
    return found


def outcome(config: Config) -> tuple[dict[str, bytes], list[tuple[Any, ...]]]:
    """The weights, and what the curves show."""
    folder = Path(config.run_folder)
    weights = {
        path.name: path.read_bytes()
        for name in ("adapter", "network")
        for path in (folder / name).glob("*.safetensors")
    }
    names = ("step", "loss", "win", "lose", "grad_norm", "validation_loss")
    rows = read_lines(folder / "metrics.jsonl")
    assert weights and len(rows) == 4
    return weights, [tuple(row.get(name) for name in names) for row in rows]


CASES: dict[str, tuple[Kind, Role, Callable[[Config], Config]]] = {
    "cpo_s": ("cpo_s", "expert", lambda config: config),
    "the reference is the expert": (
        "cpo",
        "expert",
        lambda config: replace(
            config,
            objective=replace(config.objective, reference="sft"),
            theta=Theta(init="sft"),
        ),
    ),
    "a whole network": (
        "cpo_s",
        "expert",
        lambda config: replace(config, theta=Theta(mode="full")),
    ),
    "a teacher cache": (
        "cpo_s",
        "expert",
        lambda config: replace(
            config, teacher=Teacher(cache_folder=f"{config.run_folder}-teacher")
        ),
    ),
    "samples and validation": (
        "cpo_s",
        "expert",
        lambda config: replace(
            config,
            samples=Samples(every=1, prompts=("a house",), steps=2, guidance=2.0),
            validation=Validation(every=1),
        ),
    ),
    "dpo": ("dpo", "reference", lambda config: config),
    "npo": ("npo", "reference", lambda config: replace(config, validation=Validation(every=2))),
}


@pytest.mark.bits
@pytest.mark.parametrize("case", CASES)
def test_the_run_is_the_same_bit_for_bit(case: str, make: Make, cores: Cores) -> None:
    kind, role, change = CASES[case]
    cores(1)
    alone = change(make(kind, "alone"))
    assert {thread for _, thread in asked(alone)} == {"MainThread"}
    cores(2)
    beside = change(make(kind, "beside"))
    threads = asked(beside)
    assert (role, "load-ahead") in threads and ("theta", "MainThread") in threads
    assert {who for who, thread in threads if thread == "load-ahead"} == {role}
    assert outcome(beside) == outcome(alone)


def test_a_filled_teacher_cache_leaves_nothing_to_ask(make: Make, cores: Cores) -> None:
    cores(2)
    teacher = Teacher(cache_folder=f"{make('cpo_s', 'cache').run_folder}")
    first = replace(make("cpo_s", "first"), teacher=teacher)
    again = replace(make("cpo_s", "again"), teacher=teacher)
    assert ("expert", "load-ahead") in asked(first)
    assert asked(again) == {("theta", "MainThread")}
    assert outcome(again) == outcome(first)


def test_an_error_of_the_expert_ends_the_run(
    make: Make, cores: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores(2)
    predict = Roles.predict

    def fail(self: Roles, role: Role, inputs: Inputs) -> Tensor:
        if role == "expert":
            raise RuntimeError("the expert is out of order")
        return predict(self, role, inputs)

    monkeypatch.setattr(Roles, "predict", fail)
    with pytest.raises(RuntimeError, match="out of order"):
        run(make("cpo_s", "broken"))
    assert "load-ahead" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("count", "threads", "is_ahead"),
    [(2, 1, True), (4, 2, True), (16, 0, True), (1, 1, False), (3, 2, False), (4, 0, False)],
)
def test_only_idle_cores_are_taken(
    count: int, threads: int, is_ahead: bool, make: Make, cores: Cores
) -> None:
    cores(count)
    config = replace(make("cpo_s", "run"), threads=threads)
    before = torch.get_num_threads()
    try:
        set_threads(config)
        assert roles_ahead(config, CPU) == (("expert",) if is_ahead else ())
    finally:
        torch.set_num_threads(before)


def test_processes_of_one_host_share_its_cores(
    make: Make, cores: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    config = make("cpo_s", "run")
    cores(7)
    assert not roles_ahead(config, CPU)
    cores(8)
    assert roles_ahead(config, CPU)


def test_nobody_is_asked_ahead_where_it_does_not_pay_or_go(make: Make, cores: Cores) -> None:
    cores(8)
    kinds: tuple[Kind, ...] = ("sft", "cpo", "dpo", "npo", "spo")
    found = {kind: roles_ahead(make(kind, "run"), CPU) for kind in kinds}
    assert found == {
        "sft": (),
        "cpo": ("expert",),
        "dpo": ("reference",),
        "npo": ("reference",),
        "spo": (),
    }
    config = make("cpo_s", "run")
    compiled = replace(config.optimization, compile=True)
    assert not roles_ahead(config, CUDA)
    assert not roles_ahead(replace(config, scale=Scale(sharding="fsdp", processes=2)), CPU)
    assert not roles_ahead(replace(config, optimization=compiled), CPU)


def test_a_role_apart_shares_all_weights_and_is_never_in_thetas_way(make: Make) -> None:
    config = make("cpo_s", "run")
    apart: tuple[Role, ...] = ("expert",)
    roles = load_models(config, CPU, apart=apart).roles
    network, own = roles.theta_network, roles.players["expert"].network
    assert own is not network
    shared = {id(tensor) for tensor in (*network.parameters(), *network.buffers())}
    assert {id(tensor) for tensor in (*own.parameters(), *own.buffers())} == shared
    assert roles.players["reference"].network is network
    with roles.frozen("expert"):
        roles.check_ready()
    before = {name: id(tensor) for name, tensor in network.state_dict(keep_vars=True).items()}
    assert before == {name: id(tensor) for name, tensor in own.state_dict(keep_vars=True).items()}
