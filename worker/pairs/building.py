"""Writes a pair dataset folder: whole or not at all, each picture once. Format: docs/pairs.md."""

import fcntl
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from method.files import canonical, sync, write_file, write_lines
from method.items import NAMED
from method.manifests import SPLITS, seal
from method.pair_folder import FORMAT, PAIRS
from method.pictures import ImageRefused, TooManyPixels, decode
from method.training.failures import Ended

MAX_IMAGE_BYTES = 100 * 1024 * 1024
# What a file is, and how it is named.
ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}

Source = Literal["labels", "generated", "study", "import"]


class CannotBuild(Ended):
    """There is nothing to build pairs from, or no place for them; the message is one sentence."""


class BrokenImage(Exception):
    """A file that is no picture for training; the message says why."""

    @property
    def reason(self) -> str:
        """The message, for the guard of items."""
        return str(self)


@dataclass(frozen=True, slots=True)
class Side:
    """One picture of a pair: the id that its source gave it, and its file below images/."""

    image_id: str
    file: str


@dataclass(frozen=True, slots=True)
class DecidedPair:
    """One line of a pair dataset."""

    split: str
    prompt: str
    winner: Side
    loser: Side
    reason: Mapping[str, Any]
    """Why the winner won, for people."""


@dataclass(frozen=True, slots=True)
class Built:
    """A finished pair dataset: where it is, its hash, and what came of the candidates."""

    folder: Path
    sha256: str
    counts: Mapping[str, Any]
    """As in the manifest: `candidates` is `pairs` and all of `dropped` together."""
    problems: tuple[str, ...] = ()
    """A sentence for each file that could not be used."""


class Images:
    """The pictures of a pair dataset in the making, named by their content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}

    def add(self, content: bytes) -> str:
        """Keep a picture and return its file name. Raises BrokenImage."""
        name = self.check(content)
        self.write(name, content)
        return name

    def check(self, content: bytes) -> str:
        """The file name of a picture that can be decoded to its end. Raises BrokenImage."""
        sha256 = hashlib.sha256(content).hexdigest()
        return self._names.get(sha256) or f"{sha256}.{_ending(content)}"

    def write(self, name: str, content: bytes) -> None:
        """Write a picture of which the name is known, once."""
        sha256 = name.partition(".")[0]
        if sha256 not in self._names:
            write_file(self._folder / name, content)
            self._names[sha256] = name

    def keep_only(self, names: set[str]) -> None:
        """Remove the pictures that no pair uses."""
        for sha256, name in list(self._names.items()):
            if name not in names:
                (self._folder / name).unlink()
                del self._names[sha256]


def _ending(content: bytes) -> str:
    if len(content) > MAX_IMAGE_BYTES:
        raise BrokenImage(f"it is larger than {MAX_IMAGE_BYTES:,} bytes")
    limit = Image.MAX_IMAGE_PIXELS
    try:
        return ENDINGS[decode(content, most_pixels=limit).format]
    except TooManyPixels as error:
        raise BrokenImage(f"it has more than {limit:,} pixels") from error
    except ImageRefused as error:
        raise BrokenImage(
            "it is no JPEG, PNG or WebP image that can be decoded to its end"
        ) from error


@contextmanager
def unfinished(out: Path, name: str) -> Iterator[Path]:
    """A folder to fill, which is called `out` when the block ends well and is gone when it does not.

    Raises CannotBuild where the dataset's name cannot be one, `out` exists, another process is
    building it, or the disk refuses.
    """
    if not 1 <= len(name.strip()) <= 120 or not name.isprintable():
        raise CannotBuild("The name of a pair dataset has 1 to 120 printable characters")
    if out.exists() or out.is_symlink():
        raise CannotBuild(f"{out}: exists already; name a folder that does not exist yet")
    making = out.with_name(f".{out.name}.unfinished")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with locked(making):
            try:
                for left in making.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                yield making
                keep(making, out)
            finally:
                shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise CannotBuild(f"{error.filename or out}: {error.strerror or error}") from error


@contextmanager
def locked(making: Path) -> Iterator[None]:
    """An unfinished folder, which may hold what a killed build left, while no other process has it."""
    making.mkdir(exist_ok=True)
    handle = os.open(making, os.O_RDONLY)
    try:
        if not _is_ours(handle, making):
            raise CannotBuild(f"{making}: another process is filling this folder")
        yield
    finally:
        os.close(handle)


def _is_ours(handle: int, making: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had the lock may have renamed the folder before it came to us.
        return os.fstat(handle).st_ino == making.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def keep(making: Path, out: Path) -> None:
    """Bring a whole folder to the disk under its name."""
    for folder in (*(each for each in making.iterdir() if each.is_dir()), making):
        sync(folder)
    making.rename(out)
    sync(out.parent)


def finish(
    making: Path,
    out: Path,
    images: Images,
    pairs: Sequence[DecidedPair],
    *,
    name: str,
    source: Source,
    made_from: Mapping[str, Any],
    counts: Mapping[str, Any],
    problems: Sequence[str] = (),
) -> Built:
    """Write lines and manifest of the folder in the making; it is whole then.

    `counts` has `candidates` and `dropped` (reason to number). Raises CannotBuild where no pair is
    left.
    """
    dropped = {reason: number for reason, number in counts["dropped"].items() if number}
    assert counts["candidates"] == len(pairs) + sum(dropped.values())
    if not pairs:
        first = f". {len(problems)} could not be used: {problems[0]}" if problems else ""
        raise CannotBuild(
            f"No pair came out of {counts['candidates']} candidates{_words(dropped)}{first}"
        )
    used = {side.file for pair in pairs for side in (pair.winner, pair.loser)}
    images.keep_only(used)
    _write_lines(making, pairs)
    in_splits = Counter(pair.split for pair in pairs)
    counts = {
        "pairs": len(pairs),
        **{split: in_splits[split] for split in SPLITS},
        "images": len(used),
        **counts,
        "dropped": dropped,
    }
    facts = {
        "format": FORMAT,
        "name": name,
        "source": source,
        "made_from": dict(made_from),
        "counts": counts,
        **({"problems": _without_folders(problems)} if problems else {}),
    }
    manifest = seal(making, facts)
    return Built(out, str(manifest["sha256"]), counts, tuple(problems))


def _without_folders(problems: Sequence[str]) -> list[str]:
    """The first problems as a manifest may hold them: it travels, and folders of a machine do not."""
    return [re.sub(r"(?<!\S)/\S*/", "", each) for each in problems[:NAMED]]


def _write_lines(making: Path, pairs: Sequence[DecidedPair]) -> None:
    for split in SPLITS:
        rows = [_line(pair) for pair in pairs if pair.split == split]
        if not rows:
            continue
        try:
            write_lines(making / split / PAIRS, rows)
        except UnicodeEncodeError as error:
            text = error.object[max(error.start - 20, 0) : error.end]
            raise CannotBuild(f"A prompt or image id holds half a character: {text!r}") from error


def _line(pair: DecidedPair) -> dict[str, Any]:
    identity = canonical([pair.prompt, pair.winner.file, pair.loser.file])
    return {
        # By content, so that what a trainer derives from the id does not depend on the order.
        "pair_id": hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:20],
        "prompt": pair.prompt,
        "winner": pair.winner.file,
        "loser": pair.loser.file,
        "winner_id": pair.winner.image_id,
        "loser_id": pair.loser.image_id,
        "reason": dict(pair.reason),
    }


def _words(dropped: Mapping[str, int]) -> str:
    reasons = ", ".join(
        f"{reason.replace('_', ' ')} {number}" for reason, number in dropped.items()
    )
    return f"; dropped: {reasons}" if reasons else ""
