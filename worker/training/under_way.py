"""A run under way: from the loaded model and data through its steps to its result."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from method.files import sync
from method.run_folder import CHECKPOINTS, CONFIG, METRICS, SAMPLE_LINES
from method.training.config import Config
from method.training.config_reading import to_dict, write_yaml
from method.training.examination import Examination
from method.training.failures import NonFinite, Stopped
from worker.training.announcing import announce
from worker.training.batches import Batch
from worker.training.checkpoints import (
    Checkpoint,
    newest_checkpoint,
    refuse_other,
    save_checkpoint,
)
from worker.training.cores import roles_ahead, set_threads
from worker.training.engine import Engine
from worker.training.examining import Examiner, keep_examination, known_examination, tell
from worker.training.files import replace_file
from worker.training.going_back import RollBack, check_shared, go_back, identity_of
from worker.training.guarding import after_rollback, rate_factor
from worker.training.inputs import choose_inputs, read_source, shapes_of
from worker.training.loop import Calls, make_trainee, train
from worker.training.metrics import (
    Progress,
    cut_after,
    read_lines,
)
from worker.training.models import (
    compile_blocks,
    load_models,
    restore_theta,
    save_theta,
    theta_weights,
)
from worker.training.objectives import Losses
from worker.training.objectives.registry import make_objective, make_parts
from worker.training.plan import Pass, Plan, Shape, make_plan
from worker.training.preparing import Beside, check_memory, encode, items_of
from worker.training.results import Outcome, judge, write_results
from worker.training.roles import Role
from worker.training.run_folder import (
    computed,
    read_rollbacks,
    refuse_other_config,
)
from worker.training.sampling import Sampler
from worker.training.starts import refuse_other_start
from worker.training.step_log import StepLog
from worker.training.stopping import Enough, Leave
from worker.training.tracking import open_trackers
from worker.training.validating import Validator

log = logging.getLogger(__name__)


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
        self.rollbacks: list[dict[str, int]] = []
        # Whether the last step was left before it was validated, logged and sampled.
        self.owes_end = False

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
        self.backbone, self.roles, self.origin = models.backbone, models.roles, models.origin
        self.identity = identity_of(source, models, computed(config))
        refuse_other_start(config, models.backbone, models.roles.theta_network)
        parts = make_parts(config, models, asks_ahead=bool(ahead))
        self.encodings = parts.encodings
        self.objective = make_objective(parts)
        self.inputs = choose_inputs(config, source, self.objective, self.encodings)
        self.plan = make_plan(self.inputs.shapes, config, engine.rank, engine.processes)
        self.trainee = make_trainee(self.roles.theta, config, engine.device)
        self.step_log = StepLog(config, self.folder, engine, self.plan, self.progress)
        self.sampler = Sampler(config, self.folder, self.encodings, self.roles)
        self.validator = self._make_validator()
        self.examiner = Examiner(config, self.encodings, self.roles)
        self.examination: Examination | None = None
        if engine.is_main:
            replace_file(self.folder / CONFIG, write_yaml(config))
        engine.wait()
        self._resume()
        count = sum(p.numel() for p in self.trainee.parameters.values())
        self.notes = announce(config, engine.device, self.plan, self.inputs, count)
        self._prepare()
        if config.optimization.compile:
            compile_blocks(self.roles.theta_network)
        self.roles.theta_called = engine.wrap(self.roles.theta_network)
        self._examine_expert()
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
            self._compute,
        )

    def _load(
        self, items: Sequence[Any], shapes: Sequence[Shape], this_pass: Pass, epoch: int
    ) -> Batch:
        chosen = [items[index] for index in this_pass.indices]
        self.beside.see_to([(items[index], shapes[index]) for index in this_pass.indices])
        with self.roles.naming(chosen):
            return self.objective.load(chosen, this_pass, shapes[this_pass.indices[0]], epoch)

    def _compute(self, batch: Batch) -> Losses:
        with self.roles.naming(batch.items):
            return self.objective.compute(batch)

    # Resuming -------------------------------------------------------------------------------------

    def _resume(self) -> None:
        rollbacks = read_rollbacks(self.folder)
        checkpoint = newest_checkpoint(self.folder / CHECKPOINTS)
        if checkpoint is not None:
            state = self._take_up(checkpoint)
            if rollbacks is None:
                rollbacks = state.get("rollbacks", [])
            if self.validator.lost_step is not None:
                checkpoint = self._mend_best(checkpoint)
            log.info("Resumed from %s.", checkpoint.folder.name)
        self.rollbacks = rollbacks or []
        self.trainee.num_rollbacks = len(self.rollbacks)
        check_shared(self.folder, self.trainee.step, self.engine)
        self._forget_after(-1 if checkpoint is None else checkpoint.step)

    def _take_up(self, checkpoint: Checkpoint) -> dict[str, Any]:
        refuse_other(checkpoint, self.identity)
        restore_theta(self.backbone, self.roles, checkpoint.folder)
        state = checkpoint.load_state()
        self.trainee.restore(state, self.engine.device)
        self.validator.restore(state["validation"])
        if not self.engine.is_main:
            # The sums of all processes lie with the main one.
            self.trainee.averages.take()
        self.owes_end = state.get("owes_end", False)
        self.saved_step = -1 if self.owes_end else checkpoint.step
        return state

    def _mend_best(self, newest: Checkpoint) -> Checkpoint:
        """Make best/ anew, which is gone or damaged; the checkpoint to go on from.

        From the checkpoint of that very step, or else by doing the steps since an earlier one again.
        """
        step, loss = self.validator.lost_step, self.validator.best_loss
        assert step is not None
        folder = self.folder / CHECKPOINTS
        before = newest_checkpoint(folder, last=step)
        if before is None:
            log.warning(
                "The best weights so far, of step %d, are damaged and no checkpoint holds them: the "
                "best of the steps from now on will be the result.",
                step,
            )
            self.validator.forget_best()
            return newest
        self._take_up(before)
        if before.step < step:
            log.warning("The best weights are damaged: going back to find them again.")
            return before
        log.warning("The best weights are damaged, and taken from the checkpoint of step %d.", step)
        with self._with_means():
            self.validator.keep(step, loss, self._gather_weights, self._save_theta)
        self.engine.wait()
        self._take_up(newest)
        return newest

    def _forget_after(self, step: int) -> None:
        """Drop what was logged later: it is done again."""
        if self.engine.is_main:
            cut_after(self.folder / METRICS, step - self.owes_end)
            cut_after(self.folder / SAMPLE_LINES, step)

    def _roll_back(self, lost: RollBack) -> None:
        """Go back to the newest checkpoint with half the learning rate. Raises NonFinite after too many, and
        StartAnew where there is none and the run may begin again.
        """
        trainee, step = self.trainee, self.trainee.step
        self.roles.refuse_spoilt()
        log.warning("%s.", lost)
        trainee.num_rollbacks = after_rollback(trainee.num_rollbacks, self.config.guard, lost)
        checkpoint = go_back(self.folder, self.rollbacks, step, self.engine, lost)
        skipped = trainee.guard.skipped
        state = self._take_up(checkpoint)
        trainee.guard.skipped = skipped
        trainee.guard.roll_back(state["guard"])
        self._forget_after(checkpoint.step)
        log.warning(
            "Back from step %d to %d, with %g times the learning rate.",
            step,
            checkpoint.step,
            rate_factor(trainee.num_rollbacks),
        )

    # Before the first step ------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Encode what the remaining steps need, once, and free the encoders' memory: before the first step, or of
        most of it beside the steps.
        """
        config, done = self.config, self.trainee.step
        needed = [(self.inputs.items[i], self.inputs.shapes[i]) for i in items_of(self.plan, done)]
        soon = len(items_of(self.plan, done, min(done + 1, self.plan.total_steps)))
        needed += zip(self.validation_items, self.validator.plan.shapes, strict=True)
        check_memory(self.encodings, self.objective, needed)
        # Not while a network is compiled, which is no business of two threads.
        is_beside = config.data.encode == "beside" and not config.optimization.compile
        now, later = (needed[:soon], needed[soon:]) if is_beside else (needed, [])
        encode(self.encodings, self.objective, now, self._before_encoding)
        self.examiner.prepare(self._before_encoding)
        self.encodings.prepare_text([""])
        self.sampler.prepare()
        self.beside = Beside(self.encodings, self.objective, later)
        if not later:
            self.backbone.release_encoders()

    def _before_encoding(self, message: str) -> None:
        self._check_stop_alone()
        step, total = self.trainee.step, self.plan.total_steps
        self.progress.show("loading", message, step=step, total_steps=total)

    def _examine_expert(self) -> None:
        """Before stage 2: what the expert knows of attributes, from its run folder where that says so."""
        config, examiner = self.config, self.examiner
        if not config.objective.facts.needs_expert or not config.validation.expert_images:
            return
        expert, sha256 = Path(str(config.expert)), self.identity["expert"]
        found = known_examination(
            (self.folder, expert, expert.parent),
            examiner.dataset_sha256,
            sha256,
            config.data.resolution,
        )
        self.examination = found or self._examine("expert", sha256)
        if self.examination is not None and self.engine.is_main:
            keep_examination(self.folder, self.examination)
        self.notes += tell(self.examination)

    def _examine(self, role: Role, sha256: str = "") -> Examination | None:
        self.progress.show("validating", "Examining the expert.")
        return self.examiner.examine(role, sha256, self._check_stop_alone)

    # Steps ----------------------------------------------------------------------------------------

    def _train_and_finish(self) -> None:
        """Train, with trackers listening where the config names some."""
        result = None
        if self.engine.is_main:
            values = to_dict(self.config)
            trackers = open_trackers(self.config.tracking, self.folder, values, self.trainee.step)
            self.step_log.trackers, self.sampler.listener = trackers, trackers.log_image
        try:
            with self.beside:
                self._go_on()
            result = self._finish()
        finally:
            if self.step_log.trackers is not None:
                self.step_log.trackers.close(result)

    def _go_on(self) -> None:
        """Train to the end, through as many rollbacks as that takes."""
        calls = Calls(
            load=partial(self._load, self.inputs.items, self.inputs.shapes),
            compute=self._compute,
            finish_step=self._finish_step,
            between=self._between,
        )
        self._sample_if_due()
        self.progress.show("training", "Training.")
        while not self.validator.is_over:
            try:
                if self.owes_end:
                    self._end_step()
                train(self.trainee, self.plan, self.config, self.engine, self.roles, calls)
            except Leave:
                self._check_stop()
            except RollBack as lost:
                self._roll_back(lost)
            except Enough:
                log.info("Validation does not improve any more: this is the end.")
            else:
                return

    def _finish_step(self, num_images: int, seconds: float) -> None:
        self.step_log.count(num_images, seconds)
        self.beside.check()
        self._end_step()

    def _end_step(self) -> None:
        """Validate, log, sample and save, each where it is due. Left in between, it is done at the next start."""
        step, total = self.trainee.step, self.plan.total_steps
        self.owes_end = True
        is_validated = self.validator.is_due(step, total)
        is_logged = self.step_log.is_due(step) or is_validated
        if is_logged:
            self.step_log.write(self.trainee, self._validate() if is_validated else {})
        self.owes_end = False
        told = f"Step {step} of {total}. {self.beside.message}"
        self.progress.show("training", told.strip(), step=step)
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
            means = self.validator.validate(self._between)
            self.validator.note(
                self.trainee.step, means["loss"], self._gather_weights, self._save_theta
            )
        self.progress.show("training")
        return {f"validation_{name}": mean for name, mean in means.items()}

    def _save_theta(self, folder: Path, weights: Mapping[str, Tensor]) -> Path:
        return save_theta(self.backbone, self.roles, folder, weights, self.origin)

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
        self._make_samples(step, self._with_means())
        self._check_stop()
        self.progress.show("training", f"Step {step} of {total}.")

    def _make_samples(self, step: int, playing: AbstractContextManager[Any]) -> None:
        """Make them as far as nobody asks to stop, with theta's weights as `playing` makes them."""
        if self.engine.is_main or self.engine.has_all_sampling:
            with suppress(Leave), playing:
                self.sampler.make(
                    step, self._before_sample, self._between_steps, keep=self.engine.is_main
                )
        self.engine.wait()

    def _before_sample(self, message: str) -> None:
        self._between_steps()
        self.progress.show("sampling", message)

    def _between_steps(self) -> None:
        """Raise Leave where pictures need not be gone on with: the main process makes them by itself."""
        if not self.engine.has_all_sampling and self.stop_asked():
            raise Leave

    def _between(self) -> None:
        """Raise Leave where a stop is asked for; of several processes, none may leave by itself."""
        if self.engine.processes == 1 and self.stop_asked():
            raise Leave

    def _save(self) -> None:
        trainee, step = self.trainee, self.trainee.step
        # In the middle of steps that are left out or frozen: the last good checkpoint is what to go back to. At
        # the end nothing goes back because of frozen ones, and the run's state is to be had.
        is_frozen = step < self.plan.total_steps and trainee.freeze.is_doubtful()
        if step == self.saved_step or is_frozen or int(trainee.guard.in_a_row.item()):
            return
        self.progress.show("saving", f"Saving step {step}.")
        trainee.averages.gather(self.engine)
        weights, state = self._gather_weights(), trainee.state(keep=self.engine.is_main)
        if self.engine.is_main:
            for name in (METRICS, SAMPLE_LINES):
                if (self.folder / name).exists():
                    sync(self.folder / name)
            save_checkpoint(
                self.folder / CHECKPOINTS,
                step,
                self.identity,
                state
                | {
                    "validation": self.validator.state(),
                    "rollbacks": self.rollbacks,
                    "owes_end": self.owes_end,
                },
                partial(self._save_theta, weights=weights),
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
            if self.config.samples.prompts:
                # What comes out of the run is shown, also where it was not sampled at the time.
                self._make_samples(self.validator.best_step, nullcontext())
                self._check_stop()
        with nullcontext() if has_best else self._with_means():
            if self.config.objective.facts.makes_expert and self.config.validation.expert_images:
                self.examination = self._examine("theta")
                self.notes += tell(self.examination)
            weights = self._gather_weights()
            result = self._write(weights, has_best=has_best) if self.engine.is_main else None
        self.engine.wait()
        return result

    def _write(self, weights: Mapping[str, Tensor], *, has_best: bool) -> dict[str, Any]:
        rows = read_lines(self.folder / METRICS)
        outcome = Outcome(
            steps=self.trainee.step,
            best_step=self.validator.best_step if has_best else None,
            expert_sha256=self.identity["expert"] or None,
            final=(rows or [{}])[-1],
            rollbacks=len(self.rollbacks),
            origin=self.origin,
            examination=self.examination,
            winning=judge(self.config, rows),
            notes=self.notes,
        )
        return write_results(
            self.config, self.folder, self.backbone, self.roles, weights, self.inputs, outcome
        )
