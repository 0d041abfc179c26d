"""A trainer of the house that goes on only where the test lets it.

A fast machine may else have finished a run of the tiny model before the browser has looked at it once.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SECONDS = 180.0


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Return when it is so; fail, saying what did not happen, when that takes too long."""
    ends = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < ends, f"waited {SECONDS:.0f} s in vain: {what}"
        time.sleep(0.01)


@dataclass(frozen=True)
class Trainer:
    """A training process and the file in which it logs its steps."""

    pid: int
    metrics: Path

    def num_steps(self) -> int:
        """How many steps it has logged."""
        return self.metrics.read_bytes().count(b"\n") if self.metrics.exists() else 0

    def train(self, steps: int) -> None:
        """Let it do some steps more, and hold it again."""
        wanted = self.num_steps() + steps
        self.let_go()
        wait_until(lambda: self.num_steps() >= wanted, f"step {wanted} is logged")
        os.kill(self.pid, signal.SIGSTOP)

    def let_go(self) -> None:
        """Let it go on to its end, or to where it hears that it is to stop."""
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def held(home: Path) -> Iterator[Trainer]:
    """The one trainer of the house, once it has begun, held after its first steps."""
    wait_until(lambda: _trainers(home), "a trainer starts")
    (trainer,) = _trainers(home)
    trainer.train(2)
    try:
        yield trainer
    finally:
        with suppress(ProcessLookupError):
            trainer.let_go()


def _trainers(home: Path) -> list[Trainer]:
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in listed.stdout.splitlines()]
    return [
        Trainer(int(words[0]), Path(words[-1]).with_name("metrics.jsonl"))
        for words in lines
        if "worker.training" in words and words[-1].startswith(str(home))
    ]
