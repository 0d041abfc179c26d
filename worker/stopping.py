"""How a command of the worker is ended early: SIGTERM as Ctrl-C, once, and never later than whoever started it."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from worker.training.death_signal import die_with_parent

STOPPED = 130
"""The exit code of a command that was stopped and kept nothing."""
# What comes so soon after a stop is the same wish, told again by a terminal or a supervisor.
SAME_SECONDS = 3.0


class Stop:
    """Whether the command was asked to stop."""

    def __init__(self) -> None:
        self._last: float | None = None

    @property
    def is_asked(self) -> bool:
        """Also where a library has made another error of the interruption."""
        return self._last is not None

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """The handler of the signals. Raises KeyboardInterrupt."""
        now = time.monotonic()
        if self._last is None or now - self._last > SAME_SECONDS:
            self._last = now
            raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[Stop]:
    """SIGTERM and SIGINT raise KeyboardInterrupt in the block, and one that comes on the heels of another
    does not disturb the clearing away. A worker's child ends with its worker.
    """
    if os.environ.get("MORELLI_DIE_WITH_PARENT") == "1":
        die_with_parent()
    stop = Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
