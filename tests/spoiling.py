"""What happens to a stored file on a disk that people, full disks and power cuts get at."""

from collections.abc import Callable
from pathlib import Path

Spoil = Callable[[Path], object]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def turn_into_folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def overwrite(path: Path) -> None:
    path.write_bytes(b"nothing of a picture" * 40)


SPOILT: dict[str, Spoil] = {
    "gone": Path.unlink,
    "empty": empty,
    "cut": cut,
    "a folder": turn_into_folder,
    "other bytes": overwrite,
}
