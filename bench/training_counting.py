"""What is counted while training is measured: floating-point operations, waits, memory, and statistics."""

import random
import statistics
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils import flop_counter as torch_flops
from torch.utils.flop_counter import FlopCounterMode

from bench.training_memory import TensorMemory
from worker.training.metrics import used_memory_mb

Loaded = TypeVar("Loaded")
# torch leaves them untyped.
FORMULAS: Any = torch_flops


def flop_counter() -> FlopCounterMode:
    """Counts multiplications and additions of matrices, convolutions and attention, forward and backward."""
    aten: Any = torch.ops.aten
    # torch counts attention on GPUs only.
    on_cpu = {
        aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,  # noqa: SLF001
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,  # noqa: SLF001
    }
    # And no product that is added in place.
    in_place = {aten.addmm_: _added_product_flops}
    return FlopCounterMode(display=False, custom_mapping=on_cpu | in_place)


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(FORMULAS.sdpa_flop_count(query, key, value))


def _attention_backward_flops(
    gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any
) -> int:
    return int(FORMULAS.sdpa_backward_flop_count(gradient, query, key, value))


def _added_product_flops(_: Any, left: Any, right: Any, **__: Any) -> int:
    (rows, inner), (_, columns) = left, right
    return int(2 * rows * inner * columns)


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_each(work: Callable[[], object], device: torch.device, times: int) -> float:
    """Seconds that one call takes, over `times` calls in a row."""
    wait_for(device)
    began = time.perf_counter()
    for _ in range(times):
        work()
    wait_for(device)
    return (time.perf_counter() - began) / times


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second in products of large square matrices: median of five."""
    side, times = (8192, 20) if device.type == "cuda" else (1024, 2)
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    seconds_each(lambda: one @ other, device, times)
    seconds = statistics.median(seconds_each(lambda: one @ other, device, times) for _ in range(5))
    return float(2 * side**3 / seconds)


def interval_of_median(values: Sequence[float], draws: int = 2000) -> tuple[float, float]:
    """The 95 % interval of the median, by bootstrap."""
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(draws))
    return medians[int(0.025 * draws)], medians[int(0.975 * draws) - 1]


@dataclass
class Watch:
    """Called after each step, and before that once for each item that is encoded.

    That is when and how often the trainer asks whether it should stop, so a watch stands in for that
    question, and the trainer runs as it does for everybody. The first `window` steps are for warming up:
    one of them is counted, in another the places that wait for the GPU are noted. What the thread that loads
    batches does for a step is counted by `counted`.
    """

    items: int
    """Calls before the first step."""
    window: int
    device: torch.device
    counts: bool = True
    notes_waits: bool = False
    besides: Callable[[], Iterable[Tensor]] = tuple
    """Finds tensors that do not count as memory."""
    ticks: list[float] = field(default_factory=list)
    cpu_ticks: list[float] = field(default_factory=list)
    """The CPU seconds of all threads, at the same moments."""
    flops: int = 0
    load_flops: int = 0
    tensor_bytes: int = 0
    """The most that tensors held at once in the counted step, where the device is the CPU."""
    load_bytes: int = 0
    """The most that was held beside them to load a batch, without what the batch itself holds."""
    waits: Counter[str] = field(default_factory=Counter)
    memory_mb_before_steps: int = 0
    _open: ExitStack = field(default_factory=ExitStack)
    _loading: threading.Lock = field(default_factory=threading.Lock)
    _counts_next_load: bool = False

    def __call__(self) -> bool:
        """Take note, and never ask for a stop."""
        self._open.close()
        self.ticks.append(time.monotonic())
        self.cpu_ticks.append(time.process_time())
        match len(self.ticks) - self.items:
            case 1 if self.counts:
                self._count()
            case 2 if self.notes_waits and self.device.type == "cuda":
                self._note_waits()
            case self.window:
                self._forget_peak()
        return False

    @property
    def steps(self) -> int:
        """Steps seen."""
        return len(self.ticks) - self.items

    @property
    def encoding_seconds(self) -> float:
        """Mean seconds to encode an item: its pictures and its texts."""
        if self.items < 2:
            return 0.0
        return (self.ticks[self.items - 1] - self.ticks[0]) / (self.items - 1)

    @property
    def cpu_seconds(self) -> list[float]:
        """CPU seconds of all threads in each step after warming up."""
        ticks = self.cpu_ticks[self.items + self.window - 1 :]
        return [after - before for before, after in pairwise(ticks)]

    def counted(self, load: Callable[[], Loaded]) -> Loaded:
        """Load a batch, and count it where it is the first one after the counted step began."""
        with self._loading:
            if not self._counts_next_load:
                return load()
            self._counts_next_load = False
            counter, memory = flop_counter(), TensorMemory("cpu", counts_existing=False)
            with counter, memory:
                batch = load()
            self.load_flops = counter.get_total_flops()
            self.load_bytes = memory.peak - memory.now
            return batch

    def _count(self) -> None:
        counter = flop_counter()
        self._open.callback(lambda: setattr(self, "flops", counter.get_total_flops()))
        self._open.enter_context(counter)
        if self.device.type == "cpu":
            # Between two loads, because what one is about to compute with would count as the step's.
            with self._loading:
                memory = TensorMemory("cpu", self.besides())
                self._counts_next_load = True
            self._open.callback(lambda: setattr(self, "tensor_bytes", memory.peak))
            self._open.enter_context(memory)

    def _note_waits(self) -> None:
        """Have torch warn at whatever waits for the GPU, and count the places."""
        caught = self._open.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        self._open.callback(lambda: self.waits.update(waiting_places(caught)))
        torch.cuda.set_sync_debug_mode("warn")
        self._open.callback(torch.cuda.set_sync_debug_mode, "default")

    def _forget_peak(self) -> None:
        self.memory_mb_before_steps = used_memory_mb(self.device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)


def waiting_places(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """File and line of each of torch's warnings that something waits for the GPU."""
    return [
        f"{Path(each.filename).name}:{each.lineno}"
        for each in caught
        if "synchroniz" in str(each.message)
    ]
