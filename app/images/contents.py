"""What an import finds: files that may be images, and what is refused, each by a name that can be shown."""

import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from app.database import Json
from app.images.listings import Listing
from app.settings import settings

MAX_NAME = 300


@dataclass(frozen=True)
class Entry:
    """One file that may be an image. `read` gives its bytes or raises ImageRefused; where it has a `url`
    it takes long, and is given a function to call meanwhile, which may raise to stop.

    `bytes` is its size where that is known before reading.
    """

    name: str
    read: Callable[..., bytes]
    bytes: int | None = None
    prompt: str = ""
    details: Json = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True)
class Refusal:
    """Something at the source that is not taken, with the reason."""

    name: str
    reason: str


@dataclass
class Contents:
    """All that an import found, by path: entries, listings, texts that may belong to a picture (not read
    yet), refusals, and notes about what was found and not read.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    listings: dict[str, Listing] = field(default_factory=dict)
    texts: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    notes: list[Refusal] = field(default_factory=list)

    def refuse(self, name: str, reason: str) -> None:
        """Note something that is not taken."""
        self.refusals.append(Refusal(name, reason))

    def note(self, name: str, reason: str) -> None:
        """Note something that is there, is no fault, and was not read or was read in a way to tell of."""
        self.notes.append(Refusal(name, reason))


def image_limit() -> int:
    """The largest image file, in bytes."""
    return settings().max_image_mb * 1024 * 1024


def tidy_name(name: str) -> str:
    """A file's name as it can be stored and shown: what is no text is spelt out."""
    try:
        name = os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        name = name.encode("utf-8", "backslashreplace").decode("utf-8")
    name = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in name)
    name = unicodedata.normalize("NFC", name)
    return name if len(name) <= MAX_NAME else f"{name[:100]}…{name[-(MAX_NAME - 101) :]}"


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that puts `page 2` before `page 10`, as people number their files."""
    parts = re.split(r"(\d+)", unicodedata.normalize("NFC", name).casefold())
    return tuple((0, int(p[:4000]), p) if p.isdecimal() else (1, 0, p) for p in parts if p)


class Names:
    """Gives each thing a name of its own: the second `a.jpg` becomes `a.jpg (2)`.

    The same source gives the same names each time, which a repeated import relies on.
    """

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def give(self, wanted: str) -> str:
        """A tidy name that was not given before."""
        tidy = tidy_name(wanted)
        name, number = tidy, self._given.get(tidy, 0)
        while name in self._given:
            number += 1
            name = f"{tidy} ({number + 1})"
        self._given[tidy] = number
        self._given[name] = number
        return name
