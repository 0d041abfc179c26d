"""What a run tells the outside while it runs: metrics.jsonl, samples.jsonl and progress.json."""

import json
import logging
import math
import resource
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from torch import Tensor

from method.training.failures import Ended
from worker.training.disk import writing
from worker.training.files import overwrite, replace_file

if TYPE_CHECKING:
    from worker.training.engine import Engine

log = logging.getLogger(__name__)

State = Literal[
    "loading", "training", "sampling", "validating", "saving", "finished", "failed", "stopped"
]


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Append one JSON object; the line reaches the file whole or, at worst, torn at the very end.

    NaN and infinities become null: JSON has no word for them, and strict readers refuse the whole line.
    Raises Ended where it cannot be written.
    """
    text = json.dumps(_finite(row), ensure_ascii=False, allow_nan=False)
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def _finite(value: Any) -> Any:
    match value:
        case Mapping():
            return {key: _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
    return value


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
    """Drop the lines of later steps: a resumed run takes them again. Says how many lines are damaged."""
    if path.exists():
        rows = read_lines(path)
        text = path.read_text(encoding="utf-8", errors="replace")
        if damaged := sum(bool(line.strip()) for line in text.split("\n")) - len(rows):
            log.warning("%s: %d damaged lines are left out.", path, damaged)
        kept = [row for row in rows if row["step"] <= step]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        replace_file(path, text)


def used_memory_mb(device: torch.device) -> int:
    """The most memory used so far: the GPU's, or the process's on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


class Averages:
    """Means over the images since the last logged step, summed up on the device without waiting for it.

    Part of a checkpoint, so that a resumed run logs what an unbroken one logs.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.sums: dict[str, Tensor] = {}
        self.weight = 0.0

    def add(self, values: Mapping[str, Tensor], weight_B: Tensor) -> None:
        """Add values (B,) of a pass; `weight_B` is 0 for images that only fill it."""
        for name, value_B in values.items():
            self._add(name, (value_B.detach() * weight_B).sum())

    def add_step(self, values: Mapping[str, Tensor], num_images: int) -> None:
        """Count the images of this process's share of a step; `values` hold for each of them."""
        for name, value in values.items():
            self._add(name, value.detach() * num_images)
        self.weight += num_images

    def gather(self, engine: "Engine") -> None:
        """Have the main process hold the sums of all processes, and the others none."""
        if engine.processes == 1 or not self.sums:
            return
        names = sorted(self.sums)
        weight = torch.tensor(self.weight, dtype=torch.float64, device=engine.device)
        totals = engine.sum(torch.stack([weight, *(self.sums[name] for name in names)]))
        totals = totals if engine.is_main else torch.zeros_like(totals)
        self.weight = float(totals[0])
        self.sums = dict(zip(names, totals[1:].unbind(), strict=True))

    def take(self) -> dict[str, float]:
        """Return the means and start again. Waits for the device."""
        if not self.sums:
            return {}
        totals = torch.stack(list(self.sums.values())).tolist()
        means = {
            name: total / max(self.weight, 1) for name, total in zip(self.sums, totals, strict=True)
        }
        self.sums, self.weight = {}, 0.0
        return means

    def state(self) -> dict[str, Any]:
        """The sums for a checkpoint."""
        return {"sums": dict(self.sums), "weight": self.weight}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take up what `state` gave."""
        self.sums = {name: total.to(device) for name, total in state["sums"].items()}
        self.weight = state["weight"]

    def _add(self, name: str, total: Tensor) -> None:
        total = total.double()
        self.sums[name] = self.sums[name] + total if name in self.sums else total


class Progress:
    """Keeps progress.json fresh: at least once a second, also within a step that takes longer."""

    def __init__(self, path: Path | None) -> None:
        """Write nothing yet; without a path, as in all processes but the main one, never."""
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
            if self.path is not None:
                _tell(self.path, json.dumps(values) + "\n")


def _tell(path: Path, text: str) -> None:
    """Write progress.json, on a full disk over the old one. Where nothing can be written the run goes on:
    what it cannot do without, it will not be able to write either, and will say so.
    """
    try:
        replace_file(path, text, durable=False)
    except Ended:
        with suppress(OSError):
            overwrite(path, text)
