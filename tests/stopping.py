"""Commands that are stopped while they are at work, as by Ctrl-C or by whoever started them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE = 300.0
# Some seconds on an idle machine; what is stopped would go on for minutes.
QUICK = 30.0


@dataclass(frozen=True)
class Ending:
    """How a command ended: its code, the seconds it took after the signal, and the lines of its stderr."""

    code: int
    seconds: float
    lines: list[str]


def stop_when(
    command: Sequence[str], said: str, number: signal.Signals, *, pause: float = 0.2
) -> Ending:
    """Start a Python module, wait until it says something on stderr and a moment longer, and send a signal
    to it alone. Fails where it has ended before.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    try:
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line.rstrip())
            if said in line:
                break
        time.sleep(pause)
        assert process.poll() is None, lines
        began = time.monotonic()
        process.send_signal(number)
        lines += [line.rstrip() for line in process.stderr]
        return Ending(process.wait(), time.monotonic() - began, lines)
    finally:
        late.cancel()
        process.kill()
        process.communicate()
