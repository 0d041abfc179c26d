"""One run from its config to its result: puts the pieces together and keeps the run folder."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worker.training.batches import Batch
from worker.training.checkpoints import (
    Checkpoint,
    newest_checkpoint,
    older_checkpoint,
    refuse_other,
    save_checkpoint,
    sync,
)
from worker.training.config import Config
from worker.training.config_reading import to_dict, write_yaml
from worker.training.cores import roles_ahead, set_threads
from worker.training.engine import Engine
from worker.training.failures import InvalidConfig, NonFinite, Stopped
from worker.training.guarding import after_rollback, rate_factor
from worker.training.inputs import choose_inputs, read_source, shapes_of
from worker.training.loop import Calls, RollBack, make_trainee, train
from worker.training.metrics import (
    Progress,
    State,
    cut_after,
    read_lines,
    replace_file,
)
from worker.training.models import (
    compile_blocks,
    load_models,
    restore_theta,
    save_theta,
    theta_weights,
)
from worker.training.objectives.making import make_objective, make_parts
from worker.training.plan import Pass, Plan, Shape, make_plan
from worker.training.results import Outcome, write_results
from worker.training.run_folder import locked, log_to, read_rollbacks, refuse_other_config
from worker.training.sampling import Sampler
from worker.training.step_log import StepLog
from worker.training.tracking import open_trackers
from worker.training.validating import Validator

log = logging.getLogger(__name__)


class Enough(Exception):
    """Validation has not improved for as long as the config waits."""


class StopSampling(Exception):
    """A stop is asked for between two samples. Not Stopped: theta may hold its means, which are not saved."""


def run(config: Config, stop_asked: Callable[[], bool] = lambda: False) -> None:
    """Train as the config says, resuming if the run folder holds an unfinished run.

    Raises one of worker.training.failures.Ended; Stopped once `stop_asked` says so.
    """
    folder = Path(config.run_folder)
    engine = Engine(config)
    if not engine.is_main:
        # What goes well, the main process says for all.
        logging.getLogger("worker.training").setLevel(logging.WARNING)
    with (
        locked(folder) if engine.is_main else nullcontext(),
        Progress(folder / "progress.json" if engine.is_main else None) as progress,
    ):
        logging_to = log_to(folder / "log.txt") if engine.is_main else logging.NullHandler()
        try:
            if (folder / "result.json").exists():
                refuse_other_config(config, folder)
                log.info("This run is finished already; its result stands in result.json.")
                steps = json.loads((folder / "result.json").read_text(encoding="utf-8"))["steps"]
                progress.show("finished", step=steps, total_steps=steps)
            else:
                with engine.together():
                    Run(config, folder, engine, progress, stop_asked).go()
            progress.show("finished", "Finished.", eta_seconds=0.0)
        except BaseException as error:
            state: State = "stopped" if isinstance(error, Stopped) else "failed"
            progress.show(state, str(error) or type(error).__name__, eta_seconds=None)
            (log.info if isinstance(error, Stopped) else log.error)("%s", error)
            raise
        finally:
            logging.getLogger("worker.training").removeHandler(logging_to)
            logging_to.close()


class Run:
    """A run under way: the loaded model and data, and the run folder's files."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        engine: Engine,
        progress: Progress,
        stop_asked: Callable[[], bool],
    ) -> None:
        """Only takes note; `go` does the work."""
        self.config, self.folder = config, folder
        self.engine, self.progress = engine, progress
        self.stop_asked = stop_asked
        self.saved_step = -1

    def go(self) -> None:
        """Load, train, leave the weights and the result."""
        config, engine = self.config, self.engine
        refuse_other_config(config, self.folder)
        set_threads(config)
        source = read_source(config)
        log.info("Dataset %s: %d items.", source.name, len(source.items))
        self.progress.show("loading", "Loading the model.")
        ahead = roles_ahead(config, engine.device)
        models = load_models(config, engine.device, engine.shard, ahead)
        self.backbone, self.roles = models.backbone, models.roles
        self.identity = {
            "dataset": source.sha256,
            "expert": models.expert_sha256 or "",
            "model": models.backbone.network_fingerprint(),
        }
        parts = make_parts(config, models, asks_ahead=bool(ahead))
        self.encodings = parts.encodings
        self.objective = make_objective(parts)
        self.inputs = choose_inputs(config, source, self.objective, self.encodings)
        self.plan = make_plan(self.inputs.shapes, config, engine.rank, engine.processes)
        self.trainee = make_trainee(self.roles.theta, config, engine.device)
        self.step_log = StepLog(config, self.folder, engine, self.plan, self.progress)
        self.sampler = Sampler(config, self.folder, self.encodings, self.roles)
        self.validator = self._make_validator()
        if engine.is_main:
            replace_file(self.folder / "config.yaml", write_yaml(config))
        engine.wait()
        self._resume()
        self._announce()
        self._prepare()
        if config.optimization.compile:
            compile_blocks(self.roles.theta_network)
        self.roles.theta_called = engine.wrap(self.roles.theta_network)
        self._train_and_finish()

    def _make_validator(self) -> Validator:
        config, engine = self.config, self.engine
        items = tuple(
            item for item in self.inputs.source.validation if self.objective.is_usable(item)
        )[: config.validation.images]
        if config.validation.every and not items:
            log.info("The dataset has no validation images to learn from: there is no validation.")
        shapes = shapes_of(config, items, self.objective, self.encodings)
        plan = Plan(
            shapes, config.seed, 1, config.optimization.batch_size, 0, engine.rank, engine.processes
        )
        self.validation_items = items
        return Validator(
            config,
            self.folder / "best",
            engine,
            plan,
            partial(self._load, items, shapes),
            self.objective.compute,
        )

    def _load(
        self, items: Sequence[Any], shapes: Sequence[Shape], dealt: Pass, epoch: int
    ) -> Batch:
        chosen = [items[index] for index in dealt.indices]
        return self.objective.load(chosen, dealt, shapes[dealt.indices[0]], epoch)

    # Resuming -------------------------------------------------------------------------------------

    def _resume(self) -> None:
        self.trainee.num_rollbacks = len(read_rollbacks(self.folder))
        checkpoint = newest_checkpoint(self.folder / "checkpoints")
        if checkpoint is not None:
            self._take_up(checkpoint)
            log.info("Resumed from %s.", checkpoint.folder.name)
        self._check_shared()
        self._forget_after(-1 if checkpoint is None else checkpoint.step)

    def _check_shared(self) -> None:
        """Raise InvalidConfig where the processes, on several hosts, do not see one run folder."""
        step = torch.tensor(float(self.trainee.step), device=self.engine.device)
        is_same = bool(self.engine.sum(step) == step * self.engine.processes)
        if self.engine.any(not (is_same and (self.folder / "config.yaml").is_file())):
            raise InvalidConfig(
                f"run_folder: not all processes see the same {self.folder}; on several hosts it has to lie "
                "on storage that they share"
            )

    def _take_up(self, checkpoint: Checkpoint) -> dict[str, Any]:
        refuse_other(checkpoint, self.identity)
        restore_theta(self.backbone, self.roles, checkpoint.folder)
        state = checkpoint.load_state()
        self.trainee.restore(state, self.engine.device)
        self.validator.restore(state["validation"])
        if not self.engine.is_main:
            # The sums of all processes lie with the main one.
            self.trainee.averages.take()
        self.saved_step = checkpoint.step
        return state

    def _forget_after(self, step: int) -> None:
        """Drop what was logged later: it is done again."""
        if self.engine.is_main:
            cut_after(self.folder / "metrics.jsonl", step)
            cut_after(self.folder / "samples" / "samples.jsonl", step)

    def _roll_back(self) -> None:
        """Go back to the newest checkpoint with half the learning rate. Raises NonFinite after too many.

        The list of rollbacks is written first: a run that is killed meanwhile takes up the same
        checkpoint with the same learning rate.
        """
        trainee, step = self.trainee, self.trainee.step
        trainee.num_rollbacks = after_rollback(trainee.num_rollbacks, self.config.guard)
        rollbacks = read_rollbacks(self.folder)
        checkpoint = newest_checkpoint(self.folder / "checkpoints")
        # All have read the list before one of them adds to it.
        self.engine.wait()
        if checkpoint and rollbacks and rollbacks[-1]["to"] == checkpoint.step:
            # Nothing good has come of it: it was spoilt already when it was saved.
            with self.engine.main_first():
                checkpoint = older_checkpoint(self.folder / "checkpoints", checkpoint.step)
        if checkpoint is None:
            raise NonFinite(
                "Gradients explode or are not numbers, and no checkpoint is left to go back to; lower "
                "optimization.learning_rate, or look at the model and the first images"
            )
        rollbacks.append({"from": step, "to": checkpoint.step})
        if self.engine.is_main:
            replace_file(self.folder / "rollbacks.json", json.dumps(rollbacks))
        skipped = trainee.guard.skipped
        state = self._take_up(checkpoint)
        trainee.guard.skipped = skipped
        trainee.guard.roll_back(state["guard"])
        self._forget_after(checkpoint.step)
        log.warning(
            "Too many steps in a row were left out: back from step %d to %d, with %g times the "
            "learning rate.",
            step,
            checkpoint.step,
            rate_factor(trainee.num_rollbacks),
        )

    # Before the first step ------------------------------------------------------------------------

    def _announce(self) -> None:
        config = self.config
        count = sum(p.numel() for p in self.trainee.parameters.values())
        log.info(
            "%s on %s: %d items, %d steps of %d, learning rate %g, %d weights, %s.",
            config.objective.kind,
            self.engine.device.type,
            len(self.inputs.items),
            self.plan.total_steps,
            config.images_per_step,
            config.effective_learning_rate,
            count,
            config.precision,
        )
        if config.objective.kind not in ("sft", "spo"):
            log.info(
                "beta %g: %g on mean errors.", config.objective.beta, config.objective.beta / 2
            )
        if config.objective.kind != "sft" and config.theta.init != config.objective.reference:
            log.info("Theta does not start as the reference, so the first loss is not log 2.")
        if config.data.split == "all":
            log.warning("The images learned from include the test images.")

    def _prepare(self) -> None:
        """Encode what the remaining steps need, once, and free the encoders' memory."""
        needed = [(self.inputs.items[i], self.inputs.shapes[i]) for i in self._needed()]
        needed += zip(self.validation_items, self.validator.plan.shapes, strict=True)
        pictures = [
            (picture, (shape[0], shape[1]))
            for item, shape in needed
            for picture in self.objective.pictures(item)
        ]
        if needed:
            self.encodings.check_memory(
                pictures[0], self.objective.texts(needed[0][0]), len(needed)
            )
        with closing(self.encodings.encode_ahead(pictures)) as encoded:
            for done, (item, _) in enumerate(needed):
                self._check_stop_alone()
                self.progress.show(
                    "loading",
                    f"Encoding images: {done} of {len(needed)}.",
                    step=self.trainee.step,
                    total_steps=self.plan.total_steps,
                )
                for _ in self.objective.pictures(item):
                    next(encoded)
                self.encodings.prepare_text(self.objective.texts(item))
        self.encodings.prepare_text([""])
        self.sampler.prepare()
        self.backbone.release_encoders()

    def _needed(self) -> list[int]:
        """The items that this process's remaining steps use, in order of first use."""
        found: dict[int, None] = {}
        for step in range(self.trainee.step + 1, self.plan.total_steps + 1):
            if len(found) == len(self.inputs.items):
                break
            for dealt in self.plan.passes(step):
                found.update(dict.fromkeys(dealt.indices))
        return list(found)

    # Steps ----------------------------------------------------------------------------------------

    def _train_and_finish(self) -> None:
        """Train, with trackers listening where the config names some."""
        result = None
        if self.engine.is_main:
            values = to_dict(self.config)
            trackers = open_trackers(self.config.tracking, self.folder, values, self.trainee.step)
            self.step_log.trackers, self.sampler.listener = trackers, trackers.log_image
        try:
            self._go_on()
            result = self._finish()
        finally:
            if self.step_log.trackers is not None:
                self.step_log.trackers.close(result)

    def _go_on(self) -> None:
        """Train to the end, through as many rollbacks as that takes."""
        calls = Calls(
            load=partial(self._load, self.inputs.items, self.inputs.shapes),
            compute=self.objective.compute,
            finish_step=self._finish_step,
        )
        self._sample_if_due()
        self.progress.show("training", "Training.")
        while not self.validator.is_over:
            try:
                train(self.trainee, self.plan, self.config, self.engine, self.roles, calls)
            except RollBack:
                self._roll_back()
            except Enough:
                log.info("Validation does not improve any more: this is the end.")
            else:
                return

    def _finish_step(self, num_images: int, seconds: float) -> None:
        step, total = self.trainee.step, self.plan.total_steps
        self.step_log.count(num_images, seconds)
        is_validated = self.validator.is_due(step, total)
        is_logged = self.step_log.is_due(step) or is_validated
        if is_logged:
            self.step_log.write(self.trainee, self._validate() if is_validated else {})
        self.progress.show("training", f"Step {step} of {total}.", step=step)
        if self.validator.is_over:
            self._sample_if_due(is_last=True)
            self._save()
            raise Enough
        self._sample_if_due()
        if step % self.config.checkpoints.every == 0 or step == total:
            self._save()
        # Several processes have to ask one another, and wait for the device: then only with a line.
        if is_logged or self.engine.processes == 1:
            self._check_stop()

    def _validate(self) -> dict[str, float]:
        self.progress.show("validating", "Validating.")
        with self._with_means():
            loss = self.validator.validate()
            self.validator.note(
                self.trainee.step,
                loss,
                self._gather_weights,
                partial(save_theta, self.backbone, self.roles),
            )
        self.progress.show("training")
        return {"validation_loss": loss}

    def _gather_weights(self) -> dict[str, Tensor]:
        """Theta's weights for the main process. All take part: each may hold a part of them only."""
        return theta_weights(self.roles, keep=self.engine.is_main)

    def _with_means(self) -> Any:
        """Let theta be the mean of its weights, where one is kept: it is what comes out of the run."""
        ema = self.trainee.ema
        return nullcontext() if ema is None else ema.swapped()

    def _sample_if_due(self, *, is_last: bool = False) -> None:
        step, total = self.trainee.step, self.plan.total_steps
        if not self.sampler.is_due(step, step if is_last else total):
            return
        # Before one adds to the samples that are there, all have to see the same ones.
        self.engine.wait()
        if self.engine.is_main or self.engine.has_all_sampling:
            with suppress(StopSampling), self._with_means():
                self.sampler.make(step, self._before_sample, keep=self.engine.is_main)
            self._check_stop_alone()
            self.progress.show("training", f"Step {step} of {total}.")
        self.engine.wait()

    def _before_sample(self, message: str) -> None:
        if self.engine.processes == 1 and self.stop_asked():
            raise StopSampling
        self.progress.show("sampling", message)

    def _save(self) -> None:
        trainee, step = self.trainee, self.trainee.step
        # In the middle of steps that are left out: the last good checkpoint is what to go back to.
        if step == self.saved_step or int(trainee.guard.in_a_row.item()):
            return
        self.progress.show("saving", f"Saving step {step}.")
        trainee.averages.gather(self.engine)
        weights, state = self._gather_weights(), trainee.state(keep=self.engine.is_main)
        if self.engine.is_main:
            for name in ("metrics.jsonl", "samples/samples.jsonl"):
                if (self.folder / name).exists():
                    sync(self.folder / name)
            save_checkpoint(
                self.folder / "checkpoints",
                step,
                self.identity,
                state | {"validation": self.validator.state()},
                partial(save_theta, self.backbone, self.roles, weights=weights),
                self.config.checkpoints.keep,
            )
        self.engine.wait()
        self.saved_step = step
        self.progress.show("training", f"Step {step} of {self.plan.total_steps}.")

    def _check_stop(self) -> None:
        if self.engine.any(self.stop_asked()):
            if self.trainee.step:
                self._save()
            raise Stopped(f"Stopped on request after step {self.trainee.step}; start it to go on")

    def _check_stop_alone(self) -> None:
        """The same where processes do not go side by side: of several, none may stop by itself."""
        if self.engine.processes == 1:
            self._check_stop()

    def _finish(self) -> dict[str, Any] | None:
        """Write the weights and the result, which the main process returns.

        Raises NonFinite where no step has changed a weight.
        """
        if not int(self.trainee.guard.accepted.item()):
            raise NonFinite(
                "Every step's gradient exploded or was not a number; nothing was learned"
            )
        self._save()
        self.progress.show("saving", "Writing the weights.")
        self.engine.wait()
        has_best = self.validator.has_best
        if has_best:
            restore_theta(self.backbone, self.roles, self.folder / "best")
            if self.config.samples.prompts and (
                self.engine.is_main or self.engine.has_all_sampling
            ):
                # What comes out of the run is shown, also where it was not sampled at the time.
                self.sampler.make(
                    self.validator.best_step,
                    partial(self.progress.show, "sampling"),
                    keep=self.engine.is_main,
                )
        with nullcontext() if has_best else self._with_means():
            weights = self._gather_weights()
            result = self._write(weights, has_best=has_best) if self.engine.is_main else None
        self.engine.wait()
        return result

    def _write(self, weights: Mapping[str, Tensor], *, has_best: bool) -> dict[str, Any]:
        outcome = Outcome(
            steps=self.trainee.step,
            best_step=self.validator.best_step if has_best else None,
            expert_sha256=self.identity["expert"] or None,
            final=(read_lines(self.folder / "metrics.jsonl") or [{}])[-1],
            rollbacks=len(read_rollbacks(self.folder)),
        )
        return write_results(
            self.config, self.folder, self.backbone, self.roles, weights, self.inputs, outcome
        )
