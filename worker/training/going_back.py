"""What a run resumes from and goes back to."""

import json
from pathlib import Path
from typing import Any

import torch

from method.run_folder import CHECKPOINTS, CONFIG
from method.training.failures import InvalidConfig, NonFinite
from worker.training.checkpoints import Checkpoint, newest_checkpoint, older_checkpoint
from worker.training.engine import Engine
from worker.training.files import replace_file


class RollBack(Exception):
    """A guard has found a problem, which the message names: go back to the newest checkpoint."""

    def __init__(self, problem: str, way_out: str, *, may_start_anew: bool = False) -> None:
        """`way_out` is for people, where going back does not help. Where no checkpoint is left, a run that
        `may_start_anew` begins again at its start.
        """
        super().__init__(problem)
        self.way_out, self.may_start_anew = way_out, may_start_anew


class StartAnew(Exception):
    """No checkpoint is left to go back to: begin again, with the learning rate that the rollbacks left."""


def go_back(
    folder: Path, rollbacks: list[dict[str, int]], step: int, engine: Engine, lost: RollBack
) -> Checkpoint:
    """Choose the checkpoint, and note in the list and its file that the run went back to it.

    The file is written first: a run that is killed meanwhile takes up the same checkpoint with the same
    learning rate. Where none is left raises StartAnew, or NonFinite if that would lead to the same.
    """
    checkpoint = newest_checkpoint(folder / CHECKPOINTS)
    engine.wait()
    if checkpoint and rollbacks and rollbacks[-1]["to"] == checkpoint.step:
        # Nothing good has come of it: it was spoilt already when it was saved.
        with engine.main_first():
            checkpoint = older_checkpoint(folder / CHECKPOINTS, checkpoint.step)
    if checkpoint is None and not lost.may_start_anew:
        raise NonFinite(
            f"{lost}, and no checkpoint is left to go back to; lower optimization.learning_rate, or look at "
            "the model and the first images"
        )
    rollbacks.append({"from": step, "to": checkpoint.step if checkpoint else 0})
    if engine.is_main:
        replace_file(folder / "rollbacks.json", json.dumps(rollbacks))
    if checkpoint is None:
        raise StartAnew
    return checkpoint


def check_shared(folder: Path, step: int, engine: Engine) -> None:
    """Raise InvalidConfig where the processes, on several hosts, do not see one run folder."""
    mine = torch.tensor(float(step), device=engine.device)
    is_same = bool(engine.sum(mine) == mine * engine.processes)
    if engine.any(not (is_same and (folder / CONFIG).is_file())):
        raise InvalidConfig(
            f"run_folder: not all processes see the same {folder}; on several hosts it has to lie on storage "
            "that they share"
        )


def identity_of(source: Any, models: Any, computed: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint belongs to: what is learned from, the models, and what is computed."""
    return {
        "dataset": source.sha256,
        "expert": models.expert_sha256 or "",
        "model": models.backbone.network_fingerprint(),
        "computed": computed,
    }
