"""ZIP archives of strangers: what may come out of one, and what is refused by name.

Nothing is ever extracted to a path: an entry is read into memory, up to the limit of an image.
"""

import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from app.images.decoding import ImageRefused
from app.settings import settings

MAX_DIRECTORY_BYTES = 128 * 1024 * 1024
MAX_RATIO = 200
RATIO_FROM_BYTES = 1024 * 1024
TOTAL_PER_UPLOAD = 20
END, END64, LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
ENCRYPTED = 0x1


class ArchiveRefused(Exception):
    """The whole archive is refused; the message says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open a ZIP archive after weighing it. Raises ArchiveRefused."""
    try:
        # Python reads the whole directory into memory, so its size is looked at first.
        if _directory_bytes(path) > MAX_DIRECTORY_BYTES:
            raise ArchiveRefused("The archive lists too many files; split it.")
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, EOFError) as error:
        raise ArchiveRefused("This is not a ZIP archive, or it is damaged.") from error
    total = sum(each.file_size for each in archive.infolist())
    limit = TOTAL_PER_UPLOAD * settings().max_upload_mb * 1024 * 1024
    if total > limit:
        archive.close()
        raise ArchiveRefused(
            f"The archive unfolds to {total // 1024**2} MiB; at most {limit // 1024**2} are taken."
        )
    return archive


def _directory_bytes(path: Path) -> int:
    length = path.stat().st_size
    with path.open("rb") as file:
        start = max(0, length - 65_557)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(END)
        if at < 0:
            raise zipfile.BadZipFile
        (directory,) = struct.unpack_from("<L", tail, at + 12)
        if at >= 20 and tail[at - 20 : at - 16] == LOCATOR64:
            (record,) = struct.unpack_from("<Q", tail, at - 12)
            file.seek(record)
            wide = file.read(56)
            if wide[:4] == END64:
                (directory,) = struct.unpack_from("<Q", wide, 40)
    return int(directory)


def entries(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """The files of an archive with their names; folders are left out."""
    for info in archive.infolist():
        if not info.is_dir():
            yield entry_name(info), info


def entry_name(info: zipfile.ZipInfo) -> str:
    """The name of an entry. Archives without the UTF-8 mark are read as UTF-8 where that works."""
    name = info.filename
    if not info.flag_bits & 0x800:
        try:
            name = info.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return name.replace("\\", "/")


def problem_of(name: str, info: zipfile.ZipInfo) -> str | None:
    """Why an entry is not read at all, or None."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\0" in name:
        return "Its name leads outside the archive."
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "It is a link or a special file, not an image."
    if info.flag_bits & ENCRYPTED:
        return "It is encrypted; make the archive without a password."
    limit = settings().max_image_mb
    if info.file_size > limit * 1024 * 1024:
        return f"The file is larger than {limit} MiB, the limit of this installation."
    too_dense = info.file_size > MAX_RATIO * max(info.compress_size, 1)
    if too_dense and info.file_size > RATIO_FROM_BYTES:
        return f"It unfolds to more than {MAX_RATIO} times its size, which no image does."
    return None


def read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, limit_bytes: int) -> bytes:
    """The bytes of an entry, checked against their CRC. Raises ImageRefused."""
    try:
        with archive.open(info) as file:
            data = file.read(limit_bytes + 1)
            if len(data) <= limit_bytes:
                file.read(1)  # the end of the file is where zipfile checks the CRC
            return data
    # zlib, lzma, bz2 and zipfile each raise their own; the entry is damaged either way.
    except Exception as error:
        raise ImageRefused("The archive is damaged at this file.") from error
