"""Disks that are full, read-only, broken or gone, in sentences. Needs no torch.

Every module of training, evaluation and pairs that writes goes through `writing`, so that such a disk ends
the work with the folder and the way out.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from method.items import FULL
from method.training.failures import Ended

CLOSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ESTALE})
WAYS_OUT = (
    (FULL, "make room there, then start it again"),
    (CLOSED, "allow writing there, or name another folder"),
    (MISSING, "put back what was moved or removed, then start it again"),
)
SICK = "look after the disk or the network drive, then start it again"


@contextmanager
def writing(path: Path, what: str = "", or_else: str = "") -> Iterator[None]:
    """Raise Ended, naming the folder and the way out, where a file cannot be written.

    `what` says it in the words of a person; empty: the file's name. `or_else` is what else would help.
    Errors that are not about the disk pass as they are.
    """
    try:
        yield
    except Exception as error:
        reason = reason_of(error)
        if reason is None:
            raise
        raise Ended(
            f"{path.parent}: {what or path.name} cannot be written: {reason[0]}; {reason[1]}"
            f"{or_else and f', or {or_else}'}"
        ) from error


def ended_by(error: BaseException, folder: Path) -> BaseException:
    """The error in a sentence, where a disk has caused it; else the error itself.

    For what no `writing` stands around. `folder` is named where the error knows of none.
    """
    if isinstance(error, Ended):
        return error
    reason = reason_of(error)
    if reason is None:
        return error
    place = getattr(error, "filename", None) or folder
    place = os.fsdecode(place) if isinstance(place, str | bytes) else str(place)
    return Ended(f"{place}: cannot be read or written: {reason[0]}; {reason[1]}")


def reason_of(error: BaseException) -> tuple[str, str] | None:
    """What the disk says and what to do about it; None where the error is about something else."""
    number = _number_of(error)
    if number is None:
        return None
    way_out = next((words for numbers, words in WAYS_OUT if number in numbers), SICK)
    return os.strerror(number), way_out


def _number_of(error: BaseException) -> int | None:
    """The system's number of an error. safetensors and torch.save put it into words of their own."""
    if isinstance(error, OSError):
        return error.errno
    is_writers = isinstance(error, SafetensorError) or (
        isinstance(error, RuntimeError)
        and re.search("inline_container|PytorchStreamWriter", str(error)) is not None
    )
    if not is_writers:
        return None
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.errno is not None:
        return cause.errno
    found = re.search(r"os error (\d+)", str(error))
    # torch's writer says no more than that it failed, which is nearly always for want of room.
    return (
        int(found[1]) if found else (None if isinstance(error, SafetensorError) else errno.ENOSPC)
    )
