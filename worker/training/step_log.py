"""The lines of metrics.jsonl: what training logs, and how fast it goes."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from method.run_folder import METRICS
from method.training.config import Config
from worker.training.engine import Engine
from worker.training.guarding import rate_factor
from worker.training.loop import Trainee, rate_of
from worker.training.metrics import Progress, append_line, used_memory_mb
from worker.training.plan import Plan
from worker.training.tracking import Trackers

log = logging.getLogger(__name__)


class StepLog:
    """Counts images and seconds between two lines, and writes them."""

    def __init__(
        self, config: Config, folder: Path, engine: Engine, plan: Plan, progress: Progress
    ) -> None:
        """Nothing is counted yet."""
        self.config, self.folder, self.engine = config, folder, engine
        self.plan, self.progress = plan, progress
        self.trackers: Trackers | None = None
        self.seconds, self.images = 0.0, 0

    def is_due(self, step: int) -> bool:
        """As often as the config says, and after the last step."""
        return step % self.config.log_every == 0 or step == self.plan.total_steps

    def count(self, images: int, seconds: float) -> None:
        """Add a step's images, and the seconds that this process took for it."""
        self.images += images
        self.seconds += seconds

    def write(self, trainee: Trainee, more: Mapping[str, float]) -> None:
        """Write a line: here, and only here, the device is waited for.

        Raises RollBack where too many steps in a row were left out, or frozen.
        """
        step, total, started = trainee.step, self.plan.total_steps, time.monotonic()
        trainee.averages.gather(self.engine)
        means = trainee.averages.take()
        num_skipped = trainee.guard.num_skipped
        lost = trainee.guard.problem() or trainee.freeze.problem()
        rate = self.images / max(self.seconds + time.monotonic() - started, 1e-9)
        self.seconds, self.images = 0.0, 0
        row = {
            "step": step,
            "epoch": self.plan.epoch_of(step),
            **means,
            "lr": rate_of(trainee, self.plan, step, self.config),
            "lr_factor": rate_factor(trainee.num_rollbacks),
            "skipped_steps": num_skipped,
            **more,
            "images_per_second": round(rate, 3),
            "memory_mb": used_memory_mb(self.engine.device),
            "time": time.time(),
        }
        if self.engine.is_main:
            append_line(self.folder / METRICS, row)
        if self.trackers is not None:
            self.trackers.log(step, row)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in (means | dict(more)).items())
        log.info("Step %d of %d: %s.", step, total, shown)
        per_step = min(self.config.images_per_step, len(self.plan.shapes))
        self.progress.show(
            "training",
            images_per_second=round(rate, 3),
            # Unknown where the step was counted before a stop and is only ended now.
            eta_seconds=(total - step) * per_step / rate if rate else None,
        )
        if lost is not None:
            raise lost
