"""Places on this machine as people write them: `~` for their home, `$NAME` for what the shell knows."""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def expand(place: str | Path) -> Path:
    """The path that is meant. Raises ValueError for a variable or a home that does not exist."""
    return Path(expand_text(os.fspath(place)))


def argument(place: str) -> Path:
    """A path on a command line, as argparse's `type`."""
    try:
        return expand(place)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def expand_text(place: str) -> str:
    """The same as text. Addresses, and places that are there as they are written, stay as they are."""
    if not place.startswith("~") and "$" not in place:
        return place
    if ADDRESS.match(place) or os.path.lexists(place):
        return place
    expanded = os.path.expandvars(place)
    if left := re.search(r"\$(?:\w+|\{[^}]*\})", expanded):
        raise ValueError(f"{left[0]} in {place} is not set in the environment; write the path out")
    home = os.path.expanduser(expanded)
    if home.startswith("~"):
        raise ValueError(f"{place}: there is no such home folder; write the path out")
    return home


def find_existing(place: str, within: Sequence[Path] | None = None) -> Path | None:
    """The file or folder that somebody names, links followed, if it lies in one of the folders `within`.

    None where it does not, exists not, or cannot be looked for (no such home, a loop of links, a NUL):
    one answer for all, as what lies outside is nobody's business.
    """
    try:
        found = Path(place.strip()).expanduser().resolve(strict=True)
        if within is None:
            return found
        roots = [each.expanduser().resolve() for each in within]
    except (OSError, RuntimeError, ValueError):
        return None
    return found if any(map(found.is_relative_to, roots)) else None
