"""A frozen loss is seen, and the run goes back with half the learning rate."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from method.training.config import Checkpoints, Config, Guard, Optimization
from method.training.config_checks import refuse_unread
from method.training.failures import InvalidConfig, NonFinite
from method.training.winning import DEAD_FACTOR
from tests.worker.training.test_optimizers import NoHostReads
from worker.training.freezing import FreezeWatch
from worker.training.metrics import read_lines
from worker.training.run import run

CPU = torch.device("cpu")


def too_fast(config: Config, steps: int = 10, every: int = 100, **guard: Any) -> Config:
    """At this learning rate the loss is frozen after two or three steps; at an eighth of it, it is not."""
    return replace(
        config,
        optimization=Optimization(max_steps=steps, batch_size=2, learning_rate=4e-3),
        checkpoints=Checkpoints(every=every),
        guard=replace(Guard(frozen_steps=3), **guard),
    )


def look(watch: FreezeWatch, factor: float, win: float) -> bool:
    watch.look(torch.tensor(factor), torch.tensor(win))
    return watch.problem() is not None


def test_only_a_dead_factor_on_the_wrong_side_in_a_row_is_frozen(cpo: Config) -> None:
    watch = FreezeWatch(too_fast(cpo), CPU)
    said = [look(watch, factor, 0.1) for factor in (0.0, DEAD_FACTOR / 2, DEAD_FACTOR / 2)]
    assert said == [False, False, True]
    assert not look(watch, DEAD_FACTOR * 2, 0.1)
    assert [look(watch, 0.0, win) for win in (0.1, 0.1, -0.1, 0.1, 0.1)] == [False] * 5
    assert watch.is_doubtful()


def test_looking_reads_nothing_back_and_a_state_is_taken_up(cpo: Config) -> None:
    watch, factor, win = FreezeWatch(too_fast(cpo), CPU), torch.tensor(0.0), torch.tensor(0.1)
    with NoHostReads():
        watch.look(factor, win)
        watch.look(factor, win)
    resumed = FreezeWatch(too_fast(cpo), CPU)
    resumed.restore(watch.state())
    assert look(resumed, 0.0, 0.1)
    resumed.restore(None)  # a checkpoint of an earlier version
    assert not look(resumed, 0.0, 0.1)


def test_where_the_winning_part_has_to_rise_nothing_is_watched(cpo: Config) -> None:
    for config in (
        replace(cpo, objective=replace(cpo.objective, omega_w=1.0)),
        replace(cpo, guard=Guard(frozen_steps=None)),
    ):
        watch = FreezeWatch(config, CPU)
        assert not any(look(watch, 0.0, 0.1) for _ in range(100))
        assert not watch.is_doubtful()


def test_a_run_without_a_checkpoint_begins_again_with_half_the_rate(cpo: Config) -> None:
    config = too_fast(cpo)
    run(config)
    folder = Path(config.run_folder)
    rollbacks = json.loads((folder / "rollbacks.json").read_text())
    assert rollbacks
    assert {each["to"] for each in rollbacks} == {0}
    rows = read_lines(folder / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert {row["lr_factor"] for row in rows} == {0.5 ** len(rollbacks)}
    assert json.loads((folder / "result.json").read_text())["rollbacks"] == len(rollbacks)
    assert "The loss is frozen" in (folder / "log.txt").read_text()


def test_a_run_goes_back_to_a_checkpoint_that_is_not_frozen(cpo: Config) -> None:
    config = too_fast(cpo, every=1)
    run(config)
    rollbacks = json.loads((Path(config.run_folder) / "rollbacks.json").read_text())
    assert rollbacks[0]["to"] in (1, 2, 3)
    assert rollbacks[0]["from"] == rollbacks[0]["to"] + 3


def test_a_run_that_freezes_again_and_again_ends_and_says_what_to_do(cpo: Config) -> None:
    with pytest.raises(NonFinite, match=r"frozen.* after 1 rollbacks; lower .*drift_cap"):
        run(too_fast(cpo, max_rollbacks=1))


def test_a_cap_on_the_drift_keeps_the_loss_alive(cpo: Config, tmp_path: Path) -> None:
    config = replace(too_fast(cpo), objective=replace(cpo.objective, drift_cap=0.1))
    run(config)
    assert not (Path(config.run_folder) / "rollbacks.json").exists()


def test_what_cannot_freeze_takes_no_option_for_it(sft: Config, cpo: Config) -> None:
    for config in (sft, replace(cpo, objective=replace(cpo.objective, omega_w=1.0))):
        refuse_unread(config)
        with pytest.raises(InvalidConfig, match=r"guard\.frozen_steps"):
            refuse_unread(replace(config, guard=Guard(frozen_steps=7)))
