"""Runs the study: materials and experts of each seed, the gates, then every arm, measured as soon as it is trained.

What is there already is not done again. Each process computes in one thread, so that results do not depend on how
many there are.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.miniature.arms import BASE, SFT, Arm, Places, Size
from bench.miniature.configs import config_of, expert_config
from bench.miniature.folders import write_dataset, write_pairs
from bench.miniature.gates import Gate, GatesClosed, enforce, look
from bench.miniature.measuring import (
    Guided,
    Moved,
    as_values,
    hold_out,
    moved,
    open_base,
    open_run,
    paint,
    with_negative,
)
from bench.miniature.pretraining import pretrain
from bench.miniature.worlds import EXACT, open_world
from worker.training.metrics import read_lines
from worker.training.run import run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was measured in a world."""

    seeds: tuple[int, ...]
    arms: tuple[Arm, ...]
    gates: dict[int, list[Gate]]
    results: dict[int, dict[str, dict[str, Any]]]
    """By seed and by the arm's name, BASE among them."""
    world: str = EXACT


def study(
    home: Path,
    seeds: Sequence[int],
    arms: Sequence[Arm],
    size: Size,
    processes: int = 1,
    *,
    world: str = EXACT,
    is_enforced: bool = True,
) -> Found:
    """Run all arms for all seeds of a world below `home`.

    Raises GatesClosed before the first arm where the materials of a seed are not fit for a study and
    `is_enforced`.
    """
    home.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, get_context("spawn"), _quietly) as pool:
        experts = sorted({"strong", *(arm.expert for arm in arms)})
        prepare = partial(_prepare, world, home, size, experts)
        gates = dict(zip(seeds, pool.map(prepare, seeds), strict=True))
        for seed in seeds:
            _tell(seed, gates[seed])
            if is_enforced:
                enforce(gates[seed])
        results: dict[int, dict[str, dict[str, Any]]] = {seed: {} for seed in seeds}
        # What is only shown waits for all that is trained: it may need any of it.
        trained, shown = (
            [arm for arm in arms if bool(arm.shows) == is_shown] for is_shown in (False, True)
        )
        for round_of in ((None, *trained), tuple(shown)):
            tasks = [(seed, arm) for arm in round_of for seed in seeds]
            measured = pool.map(
                partial(_measure, world, home, size), *map(list, zip(*tasks, strict=True))
            )
            for (seed, arm), values in zip(tasks, measured, strict=True):
                results[seed][arm.name if arm else BASE] = values
    return Found(tuple(seeds), tuple(arms), gates, results, world)


def places_of(home: Path, seed: int) -> Places:
    return Places(home / f"seed-{seed}")


def _quietly() -> None:
    """What a process is told before its first task."""
    torch.set_num_threads(1)
    logging.getLogger("worker").setLevel(logging.ERROR)


def _prepare(name: str, home: Path, size: Size, experts: Sequence[str], seed: int) -> list[Gate]:
    """Make base, data and experts of a seed, and look at the gates."""
    places, world = places_of(home, seed), open_world(name, seed)
    if not places.base.exists():
        pretrain(name, places.base, seed=seed, size=size)
    if not places.dataset.exists():
        counts = {"train": size.pictures, "validation": size.held_out}
        write_dataset(world, places.dataset, seed=seed, counts=counts)
    if not places.pairs.exists():
        write_pairs(places.dataset, places.pairs)
    for each in experts:
        run(expert_config(each, places, seed, size))
    expert = open_run(places.base, places.expert("strong"))
    return look(world, open_base(places.base), expert, size.samples)


def _measure(name: str, home: Path, size: Size, seed: int, arm: Arm | None) -> dict[str, Any]:
    """Train an arm and measure it; without one, the base."""
    places, world = places_of(home, seed), open_world(name, seed)
    base = open_base(places.base)
    if arm is None:
        return as_values(paint(world, base, size.samples), Moved(0.0, 0.0, 0.0))
    kept = places.run(arm) / "measured.json"
    if kept.exists():
        values: dict[str, Any] = json.loads(kept.read_text())
        return values
    if not arm.shows:
        run(config_of(arm, places, seed, size))
    theta, expert = _theta(places, arm), open_run(places.base, places.expert(arm.expert))
    omega = float(arm.objective.get("omega_w", 2.0)) if arm.group == "omega" else 2.0
    change = moved(theta, base, expert, hold_out(world, reducer=arm.reducer), omega)
    values = as_values(paint(world, _guided(theta, places, arm), size.samples), change)
    if arm.validate_every:
        values["curve"] = [
            (row["step"], row["validation_win"], row["validation_lose"])
            for row in read_lines(places.run(arm) / "metrics.jsonl")
            if "validation_win" in row
        ]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(values))
    shutil.rmtree(places.run(arm) / "checkpoints", ignore_errors=True)
    log.warning(
        "seed %d, %s: %.2f negatives.",
        seed,
        arm.title,
        sum(values["flaws_P"]) / len(values["flaws_P"]),
    )
    return values


def _theta(places: Places, arm: Arm) -> nn.Module:
    """What an arm made, or what it shows."""
    if arm.shows == BASE:
        return open_base(places.base)
    if arm.shows == SFT:
        return open_run(places.base, places.expert(arm.expert))
    return open_run(places.base, places.run_of(arm.shows or arm.name))


def _guided(theta: nn.Module, places: Places, arm: Arm) -> nn.Module:
    """What is painted with: the network itself, or under guidance."""
    if arm.guidance == 1:
        return theta
    if not arm.negative:
        return Guided(theta, theta, arm.guidance)
    base, npo = open_base(places.base), open_run(places.base, places.run_of(arm.negative))
    return Guided(theta, with_negative(theta, npo, base), arm.guidance)


def _tell(seed: int, gates: Sequence[Gate]) -> None:
    for gate in gates:
        mark = "met" if gate.is_met else "CLOSED"
        print(
            f"seed {seed}: {gate.what}: {gate.found}; asked for: {gate.asked}: {mark}", flush=True
        )


def write_found(found: Found, path: Path) -> None:
    """Everything that was measured, for who wants to count anew."""
    values = {
        "world": found.world,
        "seeds": found.seeds,
        "arms": [asdict(arm) for arm in found.arms],
        "gates": {seed: [asdict(gate) for gate in gates] for seed, gates in found.gates.items()},
        "results": found.results,
    }
    path.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")


__all__ = ["BASE", "Found", "GatesClosed", "places_of", "study", "write_found"]
