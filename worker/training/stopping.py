"""How a run is left in the middle of what it does.

Whatever takes long calls `between` before each of its parts: denoising steps, passes of a step, batches of
validation. It raises `Leave` where the run is asked to stop.
"""

from collections.abc import Callable

Between = Callable[[], None]


def go_on() -> None:
    """Ask nobody: what is done here is done to its end."""


class Enough(Exception):
    """Validation has not improved for as long as the config waits."""


class Leave(Exception):
    """A stop is asked for. Not Stopped yet: theta may hold its means or half a step's gradients, which are
    not saved.
    """
