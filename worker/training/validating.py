"""The loss on images that are not learned from, and which weights it was lowest for.

Timesteps and noise are the same at every validation, so that its values compare.
"""

import json
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from method.files import hash_file
from method.training.config import Config
from worker.training.batches import Batch, to_device
from worker.training.engine import Engine
from worker.training.files import read_json, replace_folder
from worker.training.objectives import Losses
from worker.training.plan import Pass, Plan
from worker.training.stopping import Between, go_on

log = logging.getLogger(__name__)

FACTS = "best.json"
PARTS = ("win", "lose", "alignment", "drift")
"""What is told of the validation images beside their loss, where the objective has it."""
EPOCH = -1
"""The epoch whose draws validation images get: training has none of that number."""


class Validator:
    """Validates, and keeps the best weights in a folder of their own."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        engine: Engine,
        plan: Plan,
        load: Callable[[Pass, int], Batch],
        compute: Callable[[Batch], Losses],
    ) -> None:
        """`plan` holds the validation images' shapes."""
        self.config, self.folder, self.engine, self.plan = config, folder, engine, plan
        self.load, self.compute = load, compute
        self.best_loss, self.num_worse = math.inf, 0
        # Of the weights in the folder. They may be of a step after the checkpoint that was resumed from or
        # gone back to: the curve forgets such a step, but its weights are no worse for that.
        self.kept_loss, self.best_step = math.inf, 0
        self.lost_step: int | None = None
        """The step whose weights the folder should hold, and does not."""

    def is_due(self, step: int, total_steps: int) -> bool:
        """As often as the config says, and after the last step."""
        every = self.config.validation.every
        return bool(every and self.plan.shapes) and (step % every == 0 or step == total_steps)

    @torch.no_grad()
    def validate(self, between: Between = go_on) -> dict[str, float]:
        """Means over the validation images: `loss`, and of PARTS what the objective logs.

        `between` is called before each batch, and may raise.
        """
        engine, plan = self.engine, self.plan
        totals: dict[str, Tensor] = {}
        images = sorted(range(len(plan.shapes)), key=lambda index: (plan.shapes[index], index))
        for this_pass in plan.deal(plan.chunks(images)):
            between()
            batch = to_device(self.load(this_pass, EPOCH), engine.device)
            found = self.compute(batch)
            parts = {name: found.logged[name] for name in PARTS if name in found.logged}
            for name, value_B in {"loss": found.loss_B, **parts}.items():
                total = (value_B * batch.weight_B).sum().double()
                totals[name] = totals[name] + total if name in totals else total
        sums = engine.sum(torch.stack(list(totals.values()))).tolist()
        return {name: total / len(images) for name, total in zip(totals, sums, strict=True)}

    def note(
        self,
        step: int,
        loss: float,
        gather: Callable[[], Mapping[str, Tensor]],
        save: Callable[[Path, Mapping[str, Tensor]], object],
    ) -> None:
        """Keep the weights where they are the best so far; `gather` is called by all processes."""
        if not loss < self.best_loss:
            self.num_worse += 1
            return
        self.best_loss, self.num_worse = loss, 0
        if not self.config.validation.keep_best or self.kept_loss < loss:
            return
        self.keep(step, loss, gather, save)
        log.info("Step %d has the lowest validation loss so far, %.6g.", step, loss)

    def keep(
        self,
        step: int,
        loss: float,
        gather: Callable[[], Mapping[str, Tensor]],
        save: Callable[[Path, Mapping[str, Tensor]], object],
    ) -> None:
        """Put the weights of a step into the folder."""
        self.kept_loss, self.best_step = loss, step
        weights = gather()
        if not self.engine.is_main:
            return

        def fill(folder: Path) -> None:
            save(folder, weights)
            files = {path.name: hash_file(path) for path in sorted(folder.iterdir())}
            facts = {"step": step, "validation_loss": loss, "files": files}
            (folder / FACTS).write_text(json.dumps(facts) + "\n", encoding="utf-8")

        replace_folder(self.folder, fill)

    @property
    def is_over(self) -> bool:
        """Whether the config's patience is at its end."""
        patience = self.config.validation.patience
        return patience is not None and self.num_worse >= patience

    @property
    def has_best(self) -> bool:
        """Whether there are best weights that the run's result is to be."""
        return self.config.validation.keep_best and self.best_step > 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "best_loss": self.best_loss,
            "num_worse": self.num_worse,
            "best_step": self.best_step,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave, and what weights the folder holds."""
        self.best_loss, self.num_worse = state["best_loss"], state["num_worse"]
        if not self.config.validation.keep_best:
            return
        self.lost_step = None
        found = self._read_best()
        if found is not None:
            self.kept_loss, self.best_step = found
        elif state.get("best_step"):
            self.lost_step = state["best_step"]
            self.kept_loss, self.best_step = math.inf, 0
        else:
            self.forget_best()

    def forget_best(self) -> None:
        """Start anew to find the best weights: those found so far are gone."""
        self.best_loss, self.kept_loss, self.best_step = math.inf, math.inf, 0
        self.lost_step = None

    def _read_best(self) -> tuple[float, int] | None:
        """The loss and the step of the weights in the folder, where they are whole."""
        found = read_json(self.folder / FACTS, {"step": int, "validation_loss": float})
        if found is None:
            return None
        files = found.get("files", {})
        try:
            is_whole = all(hash_file(self.folder / name) == files[name] for name in files)
        except (OSError, TypeError):
            is_whole = False
        if not is_whole:
            log.warning("%s: its weights are damaged.", self.folder)
            return None
        return found["validation_loss"], found["step"]
