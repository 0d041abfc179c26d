"""What we write is closed to the machine's other accounts, whoever writes it and wherever below the home."""

import os
import stat
from pathlib import Path

# Folders of the home that belong to us alone. `servers` may belong to PostgreSQL's account.
OURS = (
    "images",
    "uploads",
    "datasets",
    "pairs",
    "runs",
    "models",
    "cache",
    "logs",
    "server-logs",
)
OTHERS = 0o077


def close_what_we_write() -> None:
    """From now on files of this process, and of those it starts, are for their owner alone."""
    os.umask(OTHERS)


def close_home(home: Path) -> int:
    """Close what an earlier release, or another program, left open below the home.

    Returns the number of files and folders that were open. A folder that is closed already is not walked
    through: nobody else can pass it. What belongs to somebody else is left as it is.
    """
    return sum(_close_tree(home / name) for name in OURS)


def _close_tree(folder: Path) -> int:
    try:
        known = folder.lstat()
    except OSError:
        return 0
    # A link leads to a place that an operator chose, and its rights are theirs.
    if not stat.S_ISDIR(known.st_mode) or not known.st_mode & OTHERS:
        return 0
    # From within outwards: a walk that breaks off is done again at the next start.
    closed = 0
    for place, folders, files in os.walk(folder, topdown=False):
        for name in [*folders, *files]:
            closed += _close(Path(place) / name)
    return closed + _close(folder)


def _close(path: Path) -> int:
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode) or not mode & OTHERS:
            return 0
        path.chmod(stat.S_IMODE(mode) & ~OTHERS)
    except OSError:
        return 0
    return 1
