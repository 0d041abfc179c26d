"""A signal handler may state the wish to stop at any moment, also while the wish is looked at."""

import subprocess
import sys

from tests.chaos.processes import ROOT

HAMMER = """
import signal
from app.stopping import StopFlag

flag = StopFlag()
signal.signal(signal.SIGALRM, lambda *_: flag.set())
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
told = [flag.wait(0.01) for _ in range(200_000)]
signal.setitimer(signal.ITIMER_REAL, 0)
assert flag.is_set() and told[-1], told[-5:]
print("done")
"""


def test_a_wish_that_interrupts_a_look_at_it_blocks_nobody() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HAMMER],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
