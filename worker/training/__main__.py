"""python -m worker.training CONFIG.yaml: run, and say with the exit code how it ended.

0 finished, 75 stopped on request and resumable, 2 config, 3 data, 4 loss not finite, 5 out of GPU memory,
1 anything else. The last line on stderr says what went wrong in one sentence. Of several processes the one that
ends first says it, and the others end with its code.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from method.items import is_out_of_memory
from method.training.config_reading import load_config
from method.training.failures import Ended, OutOfMemory
from worker.training.death_signal import die_with_parent
from worker.training.ending import agree, leave

log = logging.getLogger("worker.training")


def main(arguments: list[str]) -> int:
    """Run the config named on the command line."""
    if len(arguments) != 1:
        return _say("usage: python -m worker.training CONFIG.yaml", 2)
    if os.environ.get("MORELLI_DIE_WITH_PARENT") == "1":
        die_with_parent()
    with _logging_to_stdout(), _noting_stops() as stop:
        try:
            config = load_config(arguments[0])
            # Only now, because a bad config should be refused before torch takes its seconds.
            from worker.training.run import run

            run(config, stop.is_asked)
        except Ended as ended:
            return _say(str(ended), ended.exit_code)
        except KeyboardInterrupt:
            return _say("Stopped at once, without a checkpoint.", 1)
        except Exception as error:  # noqa: BLE001  # the process boundary
            return _say_unforeseen(error)
    return 0


def _say_unforeseen(error: Exception) -> int:
    if is_out_of_memory(error):
        return _say(
            "Out of memory. This run goes on with a smaller optimization.batch_size where "
            "gradient_accumulation makes up for it (half of one, twice the other), and with "
            "optimization.gradient_checkpointing. In a run folder of its own also a smaller "
            "data.resolution or precision bf16 helps.",
            OutOfMemory.exit_code,
        )
    log.error("The run ended with an error of its own", exc_info=error)
    return _say(f"{type(error).__name__}: {error}", 1)


class _StopFlag:
    """Remembers that a stop was asked for; a second request ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def is_asked(self) -> bool:
        return self.asked


def _say(sentence: str, code: int) -> int:
    sys.stdout.flush()
    sentence = " ".join(sentence.split())
    code, is_first = agree(code, sentence)
    if is_first:
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()
    return code


@contextmanager
def _noting_stops() -> Iterator[_StopFlag]:
    flag = _StopFlag()
    before = {number: signal.signal(number, flag.ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _logging_to_stdout() -> Iterator[None]:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
