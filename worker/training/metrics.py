"""What a run tells the outside while it runs: metrics.jsonl, samples.jsonl and progress.json."""

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import torch

State = Literal["loading", "training", "sampling", "saving", "finished", "failed", "stopped"]


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Append one JSON object; the line reaches the file whole or, at worst, torn at the very end."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the complete lines; a line torn by a kill is passed over."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def cut_after(path: Path, step: int) -> None:
    """Drop the lines of later steps: a resumed run takes them again."""
    if path.exists():
        kept = [row for row in read_lines(path) if row["step"] <= step]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        replace_file(path, text)


def replace_file(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace a file so that readers see the old or the new text, never half of one."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    unfinished.replace(path)


def used_memory_mb(device: torch.device) -> int:
    """The most memory used so far: the GPU's, or the process's on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


class Averages:
    """Means over the steps since the last logged one. Part of a checkpoint, so that a resumed run
    logs what an unbroken one logs.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.sums: dict[str, float] = {}
        self.weight = 0.0

    def add(self, values: Mapping[str, float], weight: float) -> None:
        """Add the means over `weight` images."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * weight
        self.weight += weight

    def take(self) -> dict[str, float]:
        """Return the means and start again."""
        means = {name: total / self.weight for name, total in self.sums.items()}
        self.sums, self.weight = {}, 0.0
        return means


class Progress:
    """Keeps progress.json fresh: at least once a second, also within a step that takes longer."""

    def __init__(self, path: Path) -> None:
        """Write nothing yet."""
        self.path = path
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._keep_fresh, daemon=True)
        self.values: dict[str, Any] = {
            "state": "loading",
            "step": 0,
            "total_steps": 0,
            "images_per_second": 0.0,
            "eta_seconds": None,
            "message": "",
        }
        self.ends_at: float | None = None
        self.written_at = 0.0

    def __enter__(self) -> Self:
        """Write the first one and keep it fresh."""
        self._write()
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the last one."""
        self.over.set()
        self.thread.join()
        self._write()

    def show(self, state: State, message: str = "", **values: Any) -> None:
        """Change what is shown; a new state is written at once."""
        with self.lock:
            changed = state != self.values["state"]
            self.values |= {"state": state, "message": message, **values}
            if "eta_seconds" in values:
                eta = values["eta_seconds"]
                self.ends_at = None if eta is None else time.monotonic() + eta
        if changed or time.monotonic() - self.written_at > 0.5:
            self._write()

    def _keep_fresh(self) -> None:
        while not self.over.wait(0.5):
            if time.monotonic() - self.written_at > 0.5:
                self._write()

    def _write(self) -> None:
        with self.lock:
            values = dict(self.values)
            if self.ends_at is not None:
                values["eta_seconds"] = round(max(0.0, self.ends_at - time.monotonic()), 1)
            values["time"] = time.time()
            self.written_at = time.monotonic()
            replace_file(self.path, json.dumps(values) + "\n", durable=False)
