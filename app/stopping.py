"""The wish to stop, as a signal handler may state it."""

import time


class StopFlag:
    """Set once, by a signal handler or anyone else.

    Unlike `threading.Event` it takes no lock: a handler interrupts the main thread anywhere, also
    between taking and releasing the event's own lock, and would then wait for itself for ever.
    """

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        """Whether someone wishes to stop."""
        return self._is_set

    def set(self) -> None:
        """State the wish."""
        self._is_set = True

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until the wish is stated; returns whether it is."""
        give_up = time.monotonic() + seconds
        while not self._is_set and (left := give_up - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
        return self._is_set
