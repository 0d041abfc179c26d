"""Training speed, memory and arithmetic, beside a plain Diffusion-DPO loop on the same model.

python -m bench.training [--device cuda --folder FOLDER] [--quick] [--minutes N] [--on-paper] [--json FILE]

On a GPU: SDXL's full architecture with random weights at 1024 px in bf16; on the CPU the tiny model. Every
contender runs in a process of its own, in alternating order; its row is printed and kept as soon as it ends, and
medians at the end, or when the time is up. `--folder` keeps the model (7 GB for the full one), the expert and the
pictures for the next time. Needs the packages that training needs, and no other.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

# First: it sets what the libraries must know before they are imported.
from bench.training_contender import Contender, Job

# isort: split
import torch

from bench import machine
from bench.training_materials import make_expert, make_model, write_dataset, write_pairs
from bench.training_memory_on_paper import count_memory
from bench.training_on_paper import count_units, per_example
from bench.training_report import (
    GPU_COMMAND,
    HEAD,
    Found,
    bars,
    line_of,
    on_paper,
    table,
)
from method.files import replace_file
from method.training.failures import OutOfMemory

ORDER: tuple[Contender, ...] = ("baseline", "cold", "filling", "filled", "dpo")
PACKAGES = ("torch", "diffusers", "peft", "transformers", "accelerate")
QUICK_MINUTES = 5.5
"""Of --quick, so that it ends within six: printing and cleaning up come after."""


@dataclass(frozen=True)
class Wanted:
    """The command line."""

    device: str
    folder: Path | None
    full_architecture: bool
    resolution: int
    batch_size: int
    window: int
    windows: int
    repetitions: int
    precision: str
    threads: int
    gradient_checkpointing: bool
    compile: bool
    waits: bool
    minutes: float | None
    json: Path | None
    on_paper: bool


class TooLarge(Exception):
    """A contender does not fit into memory."""


class CutShort(Exception):
    """The time is up, or somebody asked to end."""


@dataclass
class Measurement:
    """What is measured and what came out so far: kept after every process, so that a kill loses one at most."""

    wanted: Wanted
    job: Job
    ends_at: float | None
    """On the clock of time.monotonic."""
    found: Found = field(default_factory=dict)
    is_whole: bool = False

    def add(self, contender: str, result: dict[str, Any]) -> None:
        """Take note, print the row, and write everything so far."""
        self.found.setdefault(contender, []).append(result)
        line = line_of(contender, result, self.job, self.found)
        if line:
            print(line, flush=True)
        self.keep()

    def keep(self) -> None:
        """Write everything so far to the file that was asked for: the old text or the new one, never half."""
        if self.wanted.json is None:
            return
        values = {
            "machine": describe(self.wanted),
            "setting": setting_of(self.job, self.wanted),
            "job": asdict(self.job),
            "is_whole": self.is_whole,
            "measured": self.found,
            "gpu_command": GPU_COMMAND,
        }
        replace_file(self.wanted.json, json.dumps(values, indent=2) + "\n")

    def seconds_left(self) -> float | None:
        """None where there is no end. Raises CutShort where nothing is left."""
        if self.ends_at is None:
            return None
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise CutShort(f"the {self.wanted.minutes:g} minutes are over")
        return left


def parse(arguments: Sequence[str] | None) -> Wanted:
    """Read the command line; what is not said depends on the device, and on --quick."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--folder", type=Path, help="keep model, expert and pictures here")
    parser.add_argument("--full-architecture", action="store_true", help="SDXL in full on the CPU")
    parser.add_argument("--resolution", type=int, help="pixels: 1024 on a GPU, 64 on the CPU")
    parser.add_argument("--batch-size", type=int, help="halved until every contender fits")
    parser.add_argument("--window", type=int, help="steps between two readings, 3 or more")
    parser.add_argument("--windows", type=int, help="readings, after one for warming up")
    parser.add_argument("--repetitions", type=int, help="processes of each contender")
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    parser.add_argument("--threads", type=int, help="of the CPU: 1 for the tiny model")
    parser.add_argument("--gradient-checkpointing", action="store_true", help="in all contenders")
    parser.add_argument("--compile", action="store_true", help="this trainer's contenders only")
    parser.add_argument("--waits", action="store_true", help="say where the host waits for the GPU")
    parser.add_argument(
        "--quick", action="store_true", help="few steps, one process each, within six minutes"
    )
    parser.add_argument(
        "--minutes", type=float, help="end by then, with what was measured until then"
    )
    parser.add_argument(
        "--on-paper", action="store_true", help="only count SDXL's operations and memory"
    )
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    said = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value}
    is_quick, is_gpu = said.pop("quick", False), said.get("device") == "cuda"
    is_full = is_gpu or said.get("full_architecture", False)
    usual = dict.fromkeys(Wanted.__dataclass_fields__) | {
        "full_architecture": is_full,
        "resolution": 1024 if is_gpu else 64,
        "batch_size": 2 if is_quick else 4 if is_gpu else 16,
        "window": 3 if is_quick else 5,
        "windows": 2 if is_quick else 5,
        "repetitions": 1 if is_quick else 3,
        "precision": "bf16" if is_full else "fp32",
        # Operations of the tiny model are too small to be worth sharing out.
        "threads": 0 if is_full else 1,
        "gradient_checkpointing": False,
        "compile": False,
        "waits": False,
        "minutes": QUICK_MINUTES if is_quick else None,
        "on_paper": False,
    }
    wanted = Wanted(**(usual | said))
    if wanted.window < 3 or wanted.windows < 1 or wanted.repetitions < 1:
        parser.error("--window must be at least 3, --windows and --repetitions at least 1")
    if is_gpu and not torch.cuda.is_available():
        parser.error("--device cuda: torch shows no GPU on this machine")
    return wanted


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    wanted = parse(arguments)
    print(describe(wanted), flush=True)
    if wanted.on_paper:
        memory = {batch_size: count_memory(1024, batch_size) for batch_size in (1, 4)}
        print(on_paper(per_example(count_units(1024)), memory))
        return
    ends_at = time.monotonic() + 60 * wanted.minutes if wanted.minutes else None
    signal.signal(signal.SIGTERM, _cut_short)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="morelli-bench-")))
        try:
            job = make_materials(wanted, wanted.folder or scratch)
        except CutShort as cut:
            sys.exit(f"nothing was measured: {cut}")
        measurement = Measurement(wanted, job, ends_at)
        try:
            _measure_all(measurement, scratch)
            measurement.is_whole = True
        except CutShort as cut:
            _say(f"not everything was measured: {cut}")
        job, found = measurement.job, measurement.found
        measurement.keep()
    print(f"\n{setting_of(job, wanted)}\n\n{table(job, found)}\n\n{bars(job, found)}")


def _cut_short(*_: object) -> NoReturn:
    raise CutShort("asked to end")


def describe(wanted: Wanted) -> str:
    """The command, the machine and the versions that decide about speed."""
    command = f"python -m bench.{Path(sys.argv[0]).stem} {' '.join(sys.argv[1:])}"
    lines = [command, machine.describe(PACKAGES)]
    if wanted.device == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        lines.append(f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}")
    else:
        lines.append(f"load of the machine: {os.getloadavg()[0]:.1f}")
    return "\n".join(lines)


def make_materials(wanted: Wanted, folder: Path) -> Job:
    """Everything that contenders read, and the job that names it."""
    name = "sdxl" if wanted.full_architecture else "tiny"
    _say(f"making the model, the expert and the pictures in {folder}")
    model = make_model(folder / name, is_full=wanted.full_architecture)
    job = Job(
        contender="baseline",
        folder="",
        model=str(model),
        expert=str(make_expert(folder / f"{name}-expert", model)),
        dataset="",
        pairs="",
        teacher="",
        resolution=wanted.resolution,
        batch_size=wanted.batch_size,
        window=wanted.window,
        windows=wanted.windows,
        device=wanted.device,  # type: ignore[arg-type]  # the parser knows both
        precision=wanted.precision,  # type: ignore[arg-type]
        threads=wanted.threads,
        gradient_checkpointing=wanted.gradient_checkpointing,
        notes_waits=wanted.waits,
    )
    kind = f"{job.items}-{job.resolution}"
    return replace(
        job,
        dataset=str(write_dataset(folder / f"images-{kind}", job.items, job.resolution)),
        pairs=str(write_pairs(folder / f"pairs-{kind}", job.items, job.resolution)),
    )


def _measure_all(measurement: Measurement, scratch: Path) -> None:
    """Measure at the largest batch, halved, at which everything fits; else with gradient checkpointing.

    Raises CutShort.
    """
    while True:
        print(f"\n{setting_of(measurement.job, measurement.wanted)}\n{HEAD}", flush=True)
        try:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                _measure(measurement, Path(folder))
        except TooLarge as error:
            smaller = easier(measurement.job)
            if smaller is None:
                sys.exit(f"{error}, even at batch size 1 with gradient checkpointing")
            measurement.job, measurement.found = smaller, {}
            _say(f"{error}: again with less")
        else:
            return


def easier(job: Job) -> Job | None:
    """The job that takes less memory: half the batch, then gradient checkpointing; None after that."""
    if job.batch_size > 1:
        return replace(job, batch_size=job.batch_size // 2)
    if not job.gradient_checkpointing:
        return replace(job, gradient_checkpointing=True)
    return None


def _measure(measurement: Measurement, folder: Path) -> None:
    job, wanted = measurement.job, measurement.wanted
    for repetition in range(wanted.repetitions):
        teacher = folder / f"teacher-{repetition}"
        # Backwards every other time; what is filled then is the cache of the time before.
        order = ORDER if repetition % 2 == 0 else ORDER[::-1]
        filled = teacher if repetition % 2 == 0 else folder / f"teacher-{repetition - 1}"
        for contender in order:
            asked = replace(
                job,
                contender=contender,
                teacher=str(filled if contender == "filled" else teacher),
                compile=wanted.compile and contender != "baseline",
            )
            measurement.add(contender, _run(asked, folder, measurement))
    stabilisation = _run(replace(job, contender="stabilisation"), folder, measurement)
    measurement.add("stabilisation", stabilisation)
    if wanted.compile:
        _count_without_compiling(measurement, folder)


def _count_without_compiling(measurement: Measurement, folder: Path) -> None:
    """A compiled network does not show its operations, and they are the same without."""
    job = measurement.job
    for contender in ORDER[1:]:
        teacher = folder / "teacher-0" if contender == "filled" else folder / "teacher-counted"
        counted = replace(job, contender=contender, teacher=str(teacher), windows=1)
        once = _run(counted, folder, measurement)
        for result in measurement.found[contender]:
            result["flops_per_step"] = once["flops_per_step"]
            if job.device == "cpu":
                result["memory_mb"] = once["memory_mb"]


def _run(job: Job, folder: Path, measurement: Measurement) -> dict[str, Any]:
    """One process. Raises TooLarge, or CutShort where it does not end in time; any other failure is shown and
    ends the measurement.
    """
    left = measurement.seconds_left()
    _say(f"measuring {job.contender}")
    own = Path(tempfile.mkdtemp(dir=folder, prefix=f"{job.contender}-"))
    path = own / "job.json"
    path.write_text(json.dumps(asdict(replace(job, folder=str(own)))))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.training_contender", str(path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=left,
        )
    except subprocess.TimeoutExpired as error:
        raise CutShort(
            f"{job.contender} did not end in {measurement.wanted.minutes:g} minutes"
        ) from error
    if done.returncode == OutOfMemory.exit_code:
        raise TooLarge(f"{job.contender} does not fit into memory")
    if done.returncode:
        sys.exit(f"{job.contender} failed:\n{done.stderr[-4000:]}")
    result: dict[str, Any] = json.loads((own / "result.json").read_text())
    return result


def setting_of(job: Job, wanted: Wanted) -> str:
    """What was computed, in one sentence."""
    model = "SDXL's full architecture" if wanted.full_architecture else "the tiny SDXL"
    checkpointing = "with" if job.gradient_checkpointing else "without"
    threads = f", {job.threads} thread an operation" if job.threads == 1 else ""
    return (
        f"{model}, random weights, {job.resolution} px, {job.precision}, {job.device}{threads}, batch "
        f"size {job.batch_size}, {checkpointing} gradient checkpointing"
        f"{', this trainer compiled' if wanted.compile else ''}; {wanted.repetitions} processes each, "
        f"{job.windows} x {job.window} steps after {job.window}"
    )


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
