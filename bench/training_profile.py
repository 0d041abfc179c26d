"""Where the time of one step goes, by kernel on a GPU and by operation on a CPU: torch's profiler.

python -m bench.training_profile [--device cuda --folder FOLDER] [--contender cold|dpo] [--rows 40]
    [--trace FILE] [options of bench.training]

One process of the trainer, on the same materials as `bench.training`; the step comes after as many as warm it up.
On a CPU the thread that trains is seen, and not the one that asks the expert ahead. Needs the packages that training
needs, and no other.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

# First: it sets what the libraries must know before they are imported.
from bench.training_contender import trainer_config

# isort: split
import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from bench.training import describe, make_materials, parse, setting_of
from bench.training_counting import wait_for
from worker.training.run import run
from worker.training.under_way import Run


@dataclass
class ProfiledStep:
    """Called where the trainer asks whether to stop: profiles the step after `before` calls, and never asks for
    a stop.
    """

    before: int
    device: torch.device
    calls: int = 0
    seconds: float = 0.0
    """Of the step, with what the profiler adds to it."""
    profiler: Any = field(init=False)

    def __post_init__(self) -> None:
        activities = [ProfilerActivity.CPU]
        if self.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self.profiler = profile(activities=activities)

    def __call__(self) -> bool:
        self.calls += 1
        if self.calls == self.before:
            wait_for(self.device)
            self.profiler.start()
            self.seconds = -time.perf_counter()
        elif self.calls == self.before + 1:
            wait_for(self.device)
            self.seconds += time.perf_counter()
            self.profiler.stop()
        return False

    def table(self, rows: int) -> str:
        """The step in one line, then by kernel or operation, those that take longest first.

        Raises ValueError where the step was not reached.
        """
        if self.calls <= self.before:
            raise ValueError(
                f"the step after {self.before} calls was not reached: {self.calls} came"
            )
        averages = self.profiler.key_averages()
        is_gpu = self.device.type == "cuda"
        order = "self_device_time_total" if is_gpu else "self_cpu_time_total"
        return f"{self._in_a_line(averages)}\n\n{averages.table(sort_by=order, row_limit=rows)}"

    def _in_a_line(self, averages: Any) -> str:
        where = DeviceType.CUDA if self.device.type == "cuda" else DeviceType.CPU
        found = [each for each in averages if each.device_type == where]
        count = sum(each.count for each in found)
        if where == DeviceType.CPU:
            return f"one step, profiled: {1000 * self.seconds:.1f} ms, {count} operations"
        busy = sum(each.self_device_time_total for each in found) / 1e6
        # Near 100 %: the kernels are what takes the time. Far below: the GPU waits for them to be launched.
        return (
            f"one step, profiled: {1000 * self.seconds:.1f} ms; {count} kernels and copies keep the GPU busy for "
            f"{1000 * busy:.1f} ms ({busy / self.seconds:.0%})"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Profile a step and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contender", choices=("cold", "dpo"), default="cold")
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--trace", type=Path, help="also write what chrome://tracing reads")
    mine, others = parser.parse_known_args(arguments)
    wanted = replace(parse(others), windows=1, repetitions=1)
    print(describe(wanted), flush=True)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="morelli-bench-")))
        materials = make_materials(wanted, wanted.folder or scratch)
        job = replace(
            materials, contender=mine.contender, folder=str(scratch), compile=wanted.compile
        )
        step = ProfiledStep(job.items + job.window, torch.device(job.device))
        # Within a step it is asked, too, whether to go on: that is no moment to begin at.
        stack.enter_context(patch.object(Run, "_between", lambda _: None))
        run(trainer_config(job, "dpo" if mine.contender == "dpo" else "cpo_s"), step)
        print(f"\n{mine.contender}: {setting_of(job, wanted)}\n\n{step.table(mine.rows)}")
        if mine.trace is not None:
            step.profiler.export_chrome_trace(str(mine.trace))


if __name__ == "__main__":
    main()
