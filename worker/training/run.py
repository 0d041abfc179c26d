"""One run from its config to its result: puts the pieces together and keeps the run folder."""

import fcntl
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from worker.training.adapters import (
    Role,
    Roles,
    adapter_metadata,
    adapter_weights,
    attach_expert,
    attach_theta,
    load_weights,
)
from worker.training.backbones.sdxl import SDXL, load_sdxl, tensor_bytes
from worker.training.batches import Encodings, Plan, load_batch, make_plan
from worker.training.card import write_card
from worker.training.checkpoints import (
    Checkpoint,
    file_hash,
    newest_checkpoint,
    refuse_other,
    save_checkpoint,
    sync,
)
from worker.training.config import Config, to_dict, write_yaml
from worker.training.examples import Dataset, Example, read_dataset
from worker.training.failures import Ended, InvalidConfig, InvalidDataset, Stopped
from worker.training.loop import Calls, make_trainee, train
from worker.training.metrics import (
    Progress,
    State,
    append_line,
    cut_after,
    read_lines,
    replace_file,
    used_memory_mb,
)
from worker.training.step import Stage, make_stage

log = logging.getLogger(__name__)

# A run may go on with these changed: they say where things are, not what is computed.
PLACES = (
    "run_folder",
    "dataset_folder",
    "expert",
    "threads",
    "device",
    "data.cache_folder",
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the run learns from: the usable images, and what was left out or cut up."""

    dataset: Dataset
    examples: tuple[Example, ...]
    num_skipped: int
    num_chunked: int


def run(config: Config, stop_asked: Callable[[], bool] = lambda: False) -> None:
    """Train as the config says, resuming if the run folder holds an unfinished run.

    Raises one of worker.training.failures.Ended; Stopped once `stop_asked` says so.
    """
    folder = Path(config.run_folder)
    with _locked(folder), Progress(folder / "progress.json") as progress:
        logging_to = _log_to(folder / "log.txt")
        try:
            if (folder / "result.json").exists():
                _refuse_other_config(config, folder)
                log.info("This run is finished already; its result stands in result.json.")
            else:
                Run(config, folder, progress, stop_asked).go()
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
        progress: Progress,
        stop_asked: Callable[[], bool],
    ) -> None:
        """Only takes note; `go` does the work."""
        self.config, self.folder, self.progress = config, folder, progress
        self.stop_asked = stop_asked
        self.started_at = time.time()
        self.rate = 0.0
        self.seconds_since_log = 0.0
        self.saved_step = -1

    def go(self) -> None:
        """Load, train, leave the adapter and the result."""
        config = self.config
        _refuse_other_config(config, self.folder)
        self.device = choose_device(config)
        set_threads(config)
        dataset = read_dataset(Path(config.dataset_folder), config.data.split)
        log.info("Dataset %s: %d images.", dataset.name, len(dataset.examples))
        self.progress.show("loading", "Loading the model.")
        self.backbone = self._load_model()
        self.encodings = Encodings(
            self.backbone,
            config.data.resolution,
            Path(config.data.cache_folder) if config.data.cache_folder else None,
        )
        stage = make_stage(self.backbone, self.roles, self.encodings, config.objective, config.seed)
        self.inputs = self._choose_inputs(dataset, stage)
        self.plan = make_plan(len(self.inputs.examples), config.seed, config.optimization)
        self.trainee = make_trainee(self.roles.theta, config.optimization)
        replace_file(self.folder / "config.yaml", write_yaml(config))
        self._resume()
        self._announce()
        self._prepare(stage)
        self._sample_if_due()
        train(self.trainee, self.plan, config.optimization, self._calls(stage))
        self._finish()

    def _load_model(self) -> SDXL:
        config = self.config
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        backbone = load_sdxl(config.model, self.device, dtype)
        backbone.check_resolution(config.data.resolution)
        self.identity: dict[str, Any] = {"dataset": "", "expert": ""}
        attach_theta(backbone.network, config.lora, config.seed)
        if config.expert is not None:
            weights, metadata = backbone.load_adapter(Path(config.expert))
            attach_expert(backbone.network, weights, metadata)
            self.identity["expert"] = hash_weights(weights)
        self.roles = Roles(backbone.network)
        if config.optimization.gradient_checkpointing:
            backbone.pipeline.unet.enable_gradient_checkpointing()
        return backbone

    def _choose_inputs(self, dataset: Dataset, stage: Stage) -> Inputs:
        self.identity["dataset"] = dataset.sha256
        usable = tuple(example for example in dataset.examples if stage.is_usable(example))
        num_skipped = len(dataset.examples) - len(usable)
        if not usable:
            raise InvalidDataset(
                f"{dataset.folder}: no image of split {self.config.data.split} has a negative "
                "attribute, and stage 2 learns from those only"
            )
        num_chunked = sum(
            any(len(self.encodings.split(text)) > 1 for text in stage.texts(example))
            for example in usable
        )
        if num_skipped:
            log.info("%d images have no negative attribute and are skipped.", num_skipped)
        if num_chunked:
            log.info(
                "%d images have a prompt longer than one window; none is cut.",
                num_chunked,
            )
        return Inputs(dataset, usable, num_skipped, num_chunked)

    def _resume(self) -> None:
        checkpoint = newest_checkpoint(self.folder / "checkpoints")
        if checkpoint is not None:
            self._take_up(checkpoint)
        done = -1 if checkpoint is None else checkpoint.step
        cut_after(self.folder / "metrics.jsonl", done)
        cut_after(self.folder / "samples" / "samples.jsonl", done)

    def _take_up(self, checkpoint: Checkpoint) -> None:
        refuse_other(checkpoint, self.identity)
        weights, _ = self.backbone.load_adapter(checkpoint.folder)
        load_weights(self.backbone.network, "theta", weights, str(checkpoint.folder))
        self.trainee.restore(checkpoint.load_state())
        self.saved_step = checkpoint.step
        log.info("Resumed from %s.", checkpoint.folder.name)

    def _announce(self) -> None:
        optimization = self.config.optimization
        count = sum(p.numel() for p in self.trainee.parameters.values())
        log.info(
            "%s on %s: %d images, %d steps of %d images, learning rate %g, %d weights, %s.",
            self.config.objective.kind,
            self.device.type,
            len(self.inputs.examples),
            self.plan.total_steps,
            optimization.batch_size * optimization.gradient_accumulation,
            optimization.learning_rate,
            count,
            self.config.precision,
        )
        if self.config.objective.kind != "sft":
            log.info(
                "beta %g: %g on mean errors.",
                self.config.objective.beta,
                self.config.objective.beta / 2,
            )

    def _prepare(self, stage: Stage) -> None:
        """Encode what the remaining steps need, once, and free the text encoders' memory."""
        needed = _needed(self.plan, self.trainee.step)
        for done, index in enumerate(needed):
            self._check_stop()
            self.progress.show(
                "loading",
                f"Encoding images: {done} of {len(needed)}.",
                step=self.trainee.step,
                total_steps=self.plan.total_steps,
            )
            example = self.inputs.examples[index]
            self.encodings.latent(example)
            self.encodings.text(stage.texts(example))
        self.encodings.text(["", *self.config.samples.prompts])
        self.backbone.release_encoders()

    def _calls(self, stage: Stage) -> Calls:
        self.progress.show("training", "Training.")
        return Calls(
            load=lambda indices, epoch: load_batch(
                self.encodings,
                [self.inputs.examples[i] for i in indices],
                self.config.seed,
                epoch,
            ),
            compute=stage.compute,
            check_ready=self.roles.check_ready,
            finish_step=self._finish_step,
        )

    def _finish_step(self, num_images: int, seconds: float) -> None:
        step, total = self.trainee.step, self.plan.total_steps
        rate = num_images / max(seconds, 1e-9)
        self.rate = rate if not self.rate else 0.9 * self.rate + 0.1 * rate
        self.seconds_since_log += seconds
        if step % self.config.log_every == 0 or step == total:
            self._log_step()
        per_step = (
            self.config.optimization.batch_size * self.config.optimization.gradient_accumulation
        )
        self.progress.show(
            "training",
            f"Step {step} of {total}.",
            step=step,
            images_per_second=round(self.rate, 3),
            eta_seconds=(total - step) * per_step / self.rate,
        )
        self._sample_if_due()
        if step % self.config.checkpoints.every == 0 or step == total:
            self._save()
        self._check_stop()

    def _log_step(self) -> None:
        step, averages = self.trainee.step, self.trainee.averages
        images_per_second = averages.weight / max(self.seconds_since_log, 1e-9)
        means = averages.take()
        self.seconds_since_log = 0.0
        row = {
            "step": step,
            "epoch": self.plan.epoch_of(step),
            **means,
            "images_per_second": round(images_per_second, 3),
            "memory_mb": used_memory_mb(self.device),
            "time": time.time(),
        }
        append_line(self.folder / "metrics.jsonl", row)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
        log.info("Step %d of %d: %s.", step, self.plan.total_steps, shown)

    def _save(self) -> None:
        step = self.trainee.step
        if step == self.saved_step:
            return
        self.progress.show("saving", f"Saving step {step}.")
        for name in ("metrics.jsonl", "samples/samples.jsonl"):
            if (self.folder / name).exists():
                sync(self.folder / name)
        save_checkpoint(
            self.folder / "checkpoints",
            step,
            self.identity,
            self.trainee.state(),
            self._write_adapter,
            self.config.checkpoints.keep,
        )
        self.saved_step = step
        self.progress.show("training", f"Step {step} of {self.plan.total_steps}.")

    def _write_adapter(self, folder: Path) -> Path:
        network = self.backbone.network
        return self.backbone.save_adapter(
            folder,
            adapter_weights(network, "theta"),
            adapter_metadata(network, "theta"),
        )

    def _check_stop(self) -> None:
        if self.stop_asked():
            if self.trainee.step:
                self._save()
            raise Stopped(f"Stopped on request after step {self.trainee.step}; start it to go on")

    def _sample_if_due(self) -> None:
        """Make the samples of this step that are not there yet."""
        step, samples = self.trainee.step, self.config.samples
        regular = samples.every and step % samples.every == 0
        if not samples.prompts or not (regular or step in (0, self.plan.total_steps)):
            return
        path = self.folder / "samples" / "samples.jsonl"
        there = {(row["step"], row["index"], row["model"]) for row in read_lines(path)}
        roles: list[tuple[str, Role]] = [("target", "theta")]
        if step == 0 and self.config.expert is not None:
            roles += [("expert", "expert"), ("base", "reference")]
        cases = [(prompt, seed) for prompt in samples.prompts for seed in samples.seeds]
        for model, role in roles:
            for index, (prompt, seed) in enumerate(cases):
                if (step, index, model) in there:
                    continue
                self._check_stop()
                self.progress.show("sampling", f"Sampling {index + 1} of {len(cases)} ({model}).")
                name = f"step-{step:06d}-{index:02d}{'' if model == 'target' else f'-{model}'}.png"
                self._sample(role, prompt, seed, self.folder / "samples" / name)
                row = {
                    "step": step,
                    "index": index,
                    "prompt": prompt,
                    "seed": seed,
                    "file": f"samples/{name}",
                    "model": model,
                }
                append_line(path, row)
        self.progress.show("training", f"Step {step} of {self.plan.total_steps}.")

    def _sample(self, role: Role, prompt: str, seed: int, path: Path) -> None:
        samples = self.config.samples
        pair = self.encodings.text([prompt, ""])
        text, empty = pair.row(0), pair.row(1)
        with self.roles.frozen(role):
            image = self.backbone.sample(
                text,
                empty,
                seed=seed,
                steps=samples.steps,
                guidance=samples.guidance,
                resolution=self.config.data.resolution,
            )
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        image.save(unfinished, format="PNG")
        unfinished.replace(path)

    def _finish(self) -> None:
        self._save()
        self.progress.show("saving", "Writing the adapter.")
        adapter = self.folder / "adapter"
        file = self._write_adapter(adapter)
        final = (read_lines(self.folder / "metrics.jsonl") or [{}])[-1]
        dataset, inputs = self.inputs.dataset, self.inputs
        result = {
            "steps": self.trainee.step,
            "final": final,
            "adapter": f"adapter/{file.name}",
            "sha256": file_hash(file),
            "objective": self.config.objective.kind,
            "model": to_dict(self.config)["model"],
            "expert_sha256": self.identity["expert"] or None,
            "dataset": {"name": dataset.name, "sha256": dataset.sha256},
            "criteria": {"name": dataset.criteria, "sha256": dataset.criteria_sha256},
            "images": len(inputs.examples),
            "skipped_without_negative": inputs.num_skipped,
            "images_with_long_prompts": inputs.num_chunked,
            "includes_test_images": self.config.data.split == "all",
        }
        write_card(adapter / "README.md", self.config, result)
        for path in (file, adapter / "README.md", adapter):
            sync(path)
        replace_file(
            self.folder / "result.json",
            json.dumps(result, indent=2, ensure_ascii=False),
        )
        sync(self.folder)
        log.info("Finished after %d steps; the adapter is %s.", self.trainee.step, file)


def _needed(plan: Plan, done: int) -> list[int]:
    """The images that the remaining steps use, in order of first use."""
    found: dict[int, None] = {}
    for step in range(done + 1, plan.total_steps + 1):
        if len(found) == plan.num_images:
            break
        for indices in plan.batches(step):
            found.update(dict.fromkeys(indices))
    return list(found)


def _refuse_other_config(config: Config, folder: Path) -> None:
    path = folder / "config.yaml"
    if not path.exists():
        return
    before = _flatten(yaml.safe_load(path.read_text(encoding="utf-8")))
    now = _flatten(to_dict(config))
    for name in sorted(before.keys() | now.keys()):
        if name not in PLACES and before.get(name) != now.get(name):
            raise InvalidConfig(
                f"{name}: is {now.get(name)}, but the run in {folder} was started with "
                f"{before.get(name)}; use another run folder"
            )


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def hash_weights(weights: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names and values, the same for the same weights whatever file they stand in."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def choose_device(config: Config) -> torch.device:
    """The device the config means on this machine. Raises InvalidConfig where there is none."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InvalidConfig("device: cuda is asked for, but this machine shows no GPU to torch")
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(config.device)


def set_threads(config: Config) -> None:
    """Have torch use as many CPU threads as the config says, in the whole process."""
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    torch.set_num_threads(config.threads or min(available, 8))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the run folder; two processes in one would write over each other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise InvalidConfig(f"run_folder: {folder} cannot be written: {error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Ended(f"{folder}: another process is training in this run folder") from None
        yield


def _log_to(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("worker.training")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler
