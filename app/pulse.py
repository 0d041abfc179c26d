"""Whether a process of ours is still at work: one that hangs neither ends nor answers."""

import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ASK_SECONDS = 5.0
PAUSE_SECONDS = 2.0
# So many questions in a row without an answer, and nobody waits any longer.
MOST_UNANSWERED = 6


class Pulse:
    """Asks a web server again and again, in a thread of its own, and counts what stays unanswered.

    Counted are questions, not seconds: a machine that was suspended, or has no time for us either,
    condemns nobody. A refused connection says that nobody listens, which the process's end tells better.
    """

    def __init__(
        self, address: str, *, ask_seconds: float = ASK_SECONDS, pause: float = PAUSE_SECONDS
    ) -> None:
        self._address = address
        self._ask_seconds = ask_seconds
        self._pause = pause
        self._unanswered = 0
        self._over = threading.Event()
        threading.Thread(target=self._go_on, name="pulse", daemon=True).start()

    @property
    def is_lost(self) -> bool:
        """Whether the server has not answered for long."""
        return self._unanswered >= MOST_UNANSWERED

    def begin_again(self) -> None:
        """Another server has been started at this address."""
        self._unanswered = 0

    def end(self) -> None:
        """Ask no more."""
        self._over.set()

    def _go_on(self) -> None:
        while not self._over.wait(self._pause):
            while not self._over.is_set() and not self._answers():
                self._unanswered += 1
            self._unanswered = 0

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self._address, timeout=self._ask_seconds):  # noqa: S310
                return True
        except TimeoutError:
            return False
        except urllib.error.URLError as error:
            return not isinstance(error.reason, TimeoutError)
        except OSError:
            return True


class Suspensions:
    """Counts for how many looks in a row a process has been stopped by a signal (Linux)."""

    def __init__(self, most_seconds: float) -> None:
        self._most = most_seconds
        self._since: dict[int, float] = {}

    def is_hung(self, pid: int) -> bool:
        """Whether the process has stood still since long ago."""
        if not _is_stopped(pid):
            self._since.pop(pid, None)
            return False
        since = self._since.setdefault(pid, time.monotonic())
        return time.monotonic() - since > self._most


def _is_stopped(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return bool(fields) and fields[0] == "T"
