"""Each item in a guard of its own: what one file, row, image, label or judgement does is named, and the
others go on.

Every loop over items that people brought passes here. What says nothing about an item ends the whole
all the same: see `ends_the_whole`.
"""

import errno
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

log = logging.getLogger("morelli.items")
T = TypeVar("T")
R = TypeVar("R")

# No room, or not for this account, or not for a file of this size.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# The machine, not the file: the next item would fare no better.
OF_THE_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EIO}
)
# Of a database's errors these two are about the row that was written; the others are about the database.
OF_A_ROW = frozenset({"DataError", "IntegrityError"})
DATABASES = frozenset({"sqlalchemy", "psycopg"})
NAMED = 100
LONGEST_REASON = 500
NO_MEMORY = "There was not enough memory for it."


class EndsTheWhole(Exception):
    """Base of exceptions that no guard of an item keeps: cancelled, fenced, a part that is away."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that came to nothing: its name, and the reason in words for a person."""

    name: str
    reason: str


@dataclass
class Failures:
    """Counts the items that failed and keeps the names of the first hundred."""

    number: int = 0
    named: list[Failed] = field(default_factory=list)

    def note(self, failed: Failed) -> None:
        """Count an item and keep its name while there is room."""
        self.number += 1
        if len(self.named) < NAMED:
            self.named.append(failed)

    def kept(self, results: Iterator[R | Failed]) -> Iterator[R]:
        """The results of items that went well; the others are noted."""
        for each in results:
            if isinstance(each, Failed):
                self.note(each)
            else:
                yield each

    def as_result(self) -> dict[str, Any]:
        """What a job's result says of them; empty where every item went well."""
        if not self.number:
            return {}
        problems = [{"name": each.name, "reason": each.reason} for each in self.named]
        return {"failed": self.number, "problems": problems}

    def sentence(self, what: str) -> str:
        """`2 images failed: a.png (…), b.png (…)`, for messages; `what` is the plural."""
        first = "; ".join(f"{each.name}: {each.reason}" for each in self.named[:3])
        return f"{self.number} {what} failed. {first}"


def attempt(do: Callable[[T], R], item: T, name: Callable[[T], str]) -> R | Failed:
    """What `do` makes of an item, or how it failed. Raises what ends the whole."""
    try:
        return do(item)
    except Exception as error:
        if ends_the_whole(error):
            raise
        failed = Failed(_name_of(item, name), reason_of(error))
        # Known refusals carry their own words; anything else is for whoever mends the program.
        level = logging.INFO if _has_own_words(error) else logging.WARNING
        log.log(level, "one item failed (%s)", type(error).__name__, exc_info=level > logging.INFO)
        return failed


def ends_the_whole(error: BaseException) -> bool:
    """Whether an exception says nothing about the item in hand, so that going on would be wrong."""
    if not isinstance(error, Exception) or isinstance(error, EndsTheWhole):
        return True
    # A library may have made an error of its own of an interruption.
    if error.__context__ is not None and not isinstance(error.__context__, Exception):
        return True
    if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
        return True
    kinds = type(error).__mro__
    if any(kind.__module__.partition(".")[0] in DATABASES for kind in kinds):
        return not any(kind.__name__ in OF_A_ROW for kind in kinds)
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory, on a GPU or beside it; torch, which is not loaded here, has its own words."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return (
        isinstance(error, MemoryError)
        or "OutOfMemoryError" in kinds
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
    )


def reason_of(error: Exception) -> str:
    """Why an item failed, in words that hold no path and no traceback."""
    said = getattr(error, "reason", None) or getattr(error, "message", None)
    if isinstance(said, str) and _has_own_words(error):
        return said[:LONGEST_REASON]
    if is_out_of_memory(error):
        return NO_MEMORY
    if isinstance(error, OSError) and error.strerror:
        return f"It cannot be read ({error.strerror})."
    return f"It cannot be worked on ({type(error).__name__})."


def _has_own_words(error: Exception) -> bool:
    # Libraries have attributes of these names too; only ours are written for people.
    module = type(error).__module__.partition(".")[0]
    return module in ("app", "worker", "method", "taxonomy") and any(
        isinstance(getattr(error, each, None), str) for each in ("reason", "message")
    )


def _name_of(item: T, name: Callable[[T], str]) -> str:
    try:
        return name(item)
    except Exception:  # noqa: BLE001 - an item that has not even a name is told of all the same
        return "an item without a name"
