"""Uploaded files on their way to their import job: one folder each, whose names no person chose."""

import json
import secrets
import shutil
import time
from pathlib import Path

from app.errors import Invalid, disk_full
from app.settings import settings

KEEP_SECONDS = 7 * 24 * 3600
NAMES = "names.json"
# The database and everything else go on writing beside an upload.
ROOM_TO_WORK = 16 * 1024**2


def new_token() -> str:
    """A name for an upload folder that nobody can guess."""
    return secrets.token_hex(16)


def _is_token(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef")


def upload_folder(token: str) -> Path:
    if not _is_token(token):
        raise ValueError("not a token of an upload")
    return settings().uploads_folder / token


def make_upload_folder(token: str) -> Path:
    """Make the folder of an upload, closed to other accounts of the machine."""
    folder = upload_folder(token)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def refuse_without_room(num_bytes: int) -> None:
    """Raise DiskFull where so many bytes would not fit, before the first of them is sent."""
    home = settings().home
    if home.is_dir() and shutil.disk_usage(home).free < num_bytes + ROOM_TO_WORK:
        raise disk_full("The upload")


def write_names(folder: Path, names: list[str]) -> None:
    """Say how the files `0`, `1`, ... were called. Written last: an upload without it is not whole."""
    part = folder / f"{NAMES}.part"
    part.write_text(json.dumps(names), encoding="utf-8")
    part.replace(folder / NAMES)


def read_names(folder: Path) -> list[str] | None:
    """How the uploaded files were called, or None where the upload is not whole."""
    try:
        names: list[str] = json.loads((folder / NAMES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return names


# A large upload comes in parts, each of which can be sent again -------------------------------------


def make_part(token: str, number: int) -> Path:
    """An empty folder for a part under way; whatever an earlier try left of this number is gone."""
    folder = make_upload_folder(token) / f"part-{number}.new"
    for left in (folder, folder.with_suffix("")):
        shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def keep_part(token: str, number: int) -> None:
    """A part has come in whole; it takes the place of an earlier one of this number."""
    folder = upload_folder(token) / f"part-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    (upload_folder(token) / f"part-{number}.new").rename(folder)


def bytes_of(token: str) -> int:
    folder = upload_folder(token)
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def join_parts(token: str, number: int) -> list[str]:
    """Make one upload of its parts 0 to `number` - 1; returns the names of the files in order.

    Called again it returns the same. Raises Invalid where a part is missing.
    """
    folder = upload_folder(token)
    known = read_names(folder)
    if known is not None:
        return known
    parts = [folder / f"part-{each}" for each in range(number)]
    if any(read_names(each) is None for each in parts):
        raise Invalid(
            "Not all parts of the upload have come in.", field="parts", hint="Please send it again."
        )
    names: list[str] = []
    for part in parts:
        for at, name in enumerate(read_names(part) or []):
            source = part / str(at)
            # A join that was cut short has moved some of them already.
            if source.exists():
                source.rename(folder / str(len(names)))
            names.append(name)
    write_names(folder, names)
    return names


def _mark(token: str) -> Path:
    return upload_folder(token).with_suffix(".done")


def is_done(token: str) -> bool:
    """Whether the import of this upload came to its end before."""
    return _mark(token).exists()


def finish_upload(token: str) -> None:
    """Remove an upload whose import has ended. The mark tells a repeated job that nothing is left to do."""
    _mark(token).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _mark(token).touch()
    discard_upload(token)


def discard_upload(token: str) -> None:
    shutil.rmtree(upload_folder(token), ignore_errors=True)


def sweep_uploads() -> None:
    """Remove uploads and marks that nobody came back for within a week."""
    folder = settings().uploads_folder
    if not folder.is_dir():
        return
    for each in folder.iterdir():
        if _is_token(each.stem) and time.time() - each.stat().st_mtime > KEEP_SECONDS:
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)
