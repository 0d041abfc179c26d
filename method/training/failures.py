"""Why a run ended before its end, each with the exit code that a supervisor decides by."""

from collections.abc import Mapping


class Ended(Exception):
    """The run ended early; the message is one sentence for the person."""

    exit_code = 1


class Stopped(Ended):
    """Stopped on request; starting it again goes on where it stopped."""

    exit_code = 75


class InvalidConfig(Ended):
    """The config, or the model or expert it names, cannot be used. The message names the field.

    `problems` has a sentence for every field that is known to be wrong, by its dotted path; the message is
    the first.
    """

    exit_code = 2

    def __init__(self, message: str, problems: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.problems = dict(problems or {})


class InvalidDataset(Ended):
    """The dataset folder cannot be used. The message names the file and line."""

    exit_code = 3


class NonFinite(Ended):
    """The loss or a gradient stopped being a finite number."""

    exit_code = 4


class PictureNotFinite(NonFinite):
    """A picture that a model made is none."""

    reason = (
        "The model made no picture of it: its pixels are not finite numbers (NaN). Too low a precision does "
        "that, or weights that are not finite."
    )

    def __init__(self) -> None:
        super().__init__(self.reason)


class OutOfMemory(Ended):
    """The GPU's memory was not enough."""

    exit_code = 5
