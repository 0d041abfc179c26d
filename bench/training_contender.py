"""One contender in a process of its own, so that its peak of memory is its own.

python -m bench.training_contender JOB.json
"""

import gc
import json
import math
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

# First: it sets what the libraries must know before they are imported.
import worker.training  # noqa: F401
from method.items import is_out_of_memory

# isort: split
import torch
from torch import Tensor

from bench.training_baseline import Settings, run_plain_dpo
from bench.training_counting import Watch, matrix_rate
from bench.training_materials import RANK
from bench.training_stabilisation import measure_stabilisation
from method.training import recipes
from method.training.config import Checkpoints, Config, Data, Kind, Lora, Optimization, Teacher
from method.training.failures import OutOfMemory
from worker.training import batches, loop
from worker.training.cores import set_threads
from worker.training.death_signal import die_with_parent
from worker.training.encodings import Encodings
from worker.training.metrics import read_lines, used_memory_mb
from worker.training.run import run
from worker.training.under_way import Run

Contender = Literal["baseline", "cold", "filling", "filled", "dpo", "stabilisation"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process measures."""

    contender: Contender
    folder: str
    """Where it may write; empty."""
    model: str
    expert: str
    dataset: str
    pairs: str
    teacher: str
    """The teacher cache, for filling and filled."""
    resolution: int
    batch_size: int
    window: int
    """Steps between two readings of the clock; the first are for warming up."""
    windows: int
    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    threads: int
    gradient_checkpointing: bool = False
    compile: bool = False
    notes_waits: bool = False

    @property
    def steps(self) -> int:
        """All steps, the first ones included."""
        return self.window * (1 + self.windows)

    @property
    def items(self) -> int:
        """Images or pairs that the steps see; none twice."""
        return self.steps * self.batch_size


@dataclass(kw_only=True)
class Measured:
    """What came out."""

    seconds_per_step: list[float]
    """Mean of each window."""
    cpu_seconds_per_step: list[float]
    """CPU seconds that all threads took in each step; other processes cannot lengthen them."""
    encoding_seconds: float
    """To encode one item before the first step; 0 where each step encodes."""
    flops_per_step: int
    memory_mb: int
    """Peak: what is allocated on the GPU. On the CPU what tensors hold in a step and what is held to load a
    batch, each at its most, as if they came together; without tensors that would not lie on a GPU: what is
    encoded already, and the encoders once they have left."""
    resident_mb: int
    """Peak of the whole process in the machine's memory, beyond what the libraries take."""
    memory_in_steps_mb: int | None
    """Peak after warming up, on a GPU."""
    waits: dict[str, int] = field(default_factory=dict)
    """Places in one step where the host waited for the GPU, and how often."""


def trainer_config(job: Job, kind: Kind) -> Config:
    """The recipe for SDXL with an adapter, with the sizes of the job."""
    data = job.pairs if kind == "dpo" else job.dataset
    expert = None if kind == "dpo" else job.expert
    recipe = recipes.sdxl(kind, f"{job.folder}/run", data, expert=expert, model=job.model)
    caches = job.contender in ("filling", "filled")
    return replace(
        recipe,
        data=Data(resolution=job.resolution),
        lora=Lora(rank=RANK),
        teacher=Teacher(cache_folder=job.teacher) if caches else Teacher(),
        optimization=Optimization(
            max_steps=job.steps,
            batch_size=job.batch_size,
            learning_rate=recipe.optimization.learning_rate,
            gradient_checkpointing=job.gradient_checkpointing,
            compile=job.compile,
        ),
        checkpoints=Checkpoints(every=10_000_000),
        precision=job.precision,
        device=job.device,
        threads=job.threads,
        # The recipe's, as far as a reading of the clock needs no line in between.
        log_every=math.gcd(recipe.log_every, job.window),
    )


def measure_trainer(job: Job, libraries_mb: int) -> Measured:
    """Run the trainer, and read its own log for how long windows of steps took.

    A line of metrics is written when the device has been waited for, so its time is the true one.
    """
    config = trainer_config(job, "dpo" if job.contender == "dpo" else "cpo_s")
    watch = _watch(job, job.items)
    # Within a step it is asked, too, whether to go on: that is no moment to read the clock at.
    with _loads_counted(watch), patch.object(Run, "_between", lambda _: None):
        run(config, watch)
    if watch.steps != job.steps:
        raise AssertionError(
            f"the trainer asked {len(watch.ticks)} times whether to stop, not once for each of "
            f"{job.items} items and {job.steps} steps; bench.training_counting.Watch relies on that"
        )
    rows = read_lines(Path(config.run_folder) / "metrics.jsonl")
    times = [row["time"] for row in rows if row["step"] % job.window == 0]
    return _measured(job, watch, times, libraries_mb)


def measure_baseline(job: Job, libraries_mb: int) -> Measured:
    """Run the plain loop."""
    watch = _watch(job, 0)
    set_threads(trainer_config(job, "dpo"))
    settings = Settings(
        model=Path(job.model),
        pairs=Path(job.pairs),
        resolution=job.resolution,
        batch_size=job.batch_size,
        steps=job.steps,
        rank=RANK,
        bf16=job.precision == "bf16",
        gradient_checkpointing=job.gradient_checkpointing,
    )
    times = run_plain_dpo(settings, watch.device, watch)
    return _measured(job, watch, times[job.window :: job.window], libraries_mb)


@contextmanager
def _loads_counted(watch: Watch) -> Iterator[None]:
    """Have the watch see what the trainer's loading thread does."""

    def load_ahead(loads: Any, *where: Any) -> Any:
        return batches.load_ahead((partial(watch.counted, load) for load in loads), *where)

    with patch.object(loop, "load_ahead", load_ahead):
        yield


def _watch(job: Job, items: int) -> Watch:
    return Watch(
        items=items,
        window=job.window,
        device=torch.device(job.device),
        # A compiled network does not show its operations.
        counts=not job.compile,
        notes_waits=job.notes_waits,
        besides=_beside_the_gpu,
    )


def _beside_the_gpu() -> Iterator[Tensor]:
    """What this trainer would keep in the machine's memory if it had a GPU."""
    for found in gc.get_objects():
        if type(found) is Encodings:
            for kept in found.memory.values():
                yield from kept.values()
            backbone: Any = found.backbone
            for encoder in (*backbone.text_encoders, backbone.autoencoder.vae):
                yield from encoder.parameters()


def _measured(job: Job, watch: Watch, times: list[float], libraries_mb: int) -> Measured:
    is_gpu = job.device == "cuda"
    peak = used_memory_mb(watch.device)
    on_gpu = max(peak, watch.memory_mb_before_steps)
    return Measured(
        seconds_per_step=[(after - before) / job.window for before, after in pairwise(times)],
        cpu_seconds_per_step=watch.cpu_seconds,
        encoding_seconds=watch.encoding_seconds,
        flops_per_step=watch.flops + watch.load_flops,
        memory_mb=on_gpu if is_gpu else (watch.tensor_bytes + watch.load_bytes) // 2**20,
        memory_in_steps_mb=peak if is_gpu else None,
        resident_mb=_resident_peak_mb() - libraries_mb,
        waits=dict(watch.waits),
    )


def _resident_peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (
        2**20 if sys.platform == "darwin" else 2**10
    )


def main(path: Path) -> int:
    """Do the job in the file; leave result.json in its folder."""
    die_with_parent()
    job = Job(**json.loads(path.read_text()))
    libraries_mb = _resident_peak_mb()
    found: dict[str, Any]
    try:
        match job.contender:
            case "baseline":
                found = asdict(measure_baseline(job, libraries_mb))
            case "stabilisation":
                # More of them: it is a small difference that is looked for.
                longer = replace(job, windows=4 * job.windows)
                found = asdict(measure_stabilisation(trainer_config(longer, "cpo_s"), job.window))
            case _:
                found = asdict(measure_trainer(job, libraries_mb))
    except Exception as error:
        if is_out_of_memory(error):
            return OutOfMemory.exit_code
        raise
    dtype = torch.bfloat16 if job.precision == "bf16" else torch.float32
    found["matrix_rate"] = matrix_rate(torch.device(job.device), dtype)
    (Path(job.folder) / "result.json").write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
