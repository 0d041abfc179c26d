"""Commands that a module of the worker does: a process of its own, which hears of every stop once."""

import os
import signal
import subprocess
import sys
from types import FrameType

# What reaches this process, and what its child is told.
PASSED_ON = {
    signal.SIGINT: signal.SIGINT,
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGHUP: signal.SIGTERM,
}


def run_worker_module(*arguments: str) -> int:
    """Run a module of the worker in a process of its own and return its exit code.

    Ctrl-C and SIGTERM are passed on, and what the child does about them is waited for: a trainer writes its
    checkpoint. In a group of its own it is told by nobody else, since a second request would end it at once.
    """
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if child is None:
            raise KeyboardInterrupt
        child.send_signal(PASSED_ON[signal.Signals(number)])

    def pause(_number: int, _frame: FrameType | None) -> None:
        if child is not None:
            os.killpg(child.pid, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        if child is not None:
            os.killpg(child.pid, signal.SIGCONT)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, pause)
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            env=os.environ | {"MORELLI_DIE_WITH_PARENT": "1"},
            process_group=0,
        )
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
