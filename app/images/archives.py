"""ZIP archives of strangers: what may come out of one, and what is refused by name.

Nothing is ever extracted to a path: an entry is read into memory, up to the limit of an image.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from app.images.decoding import ImageRefused
from app.settings import settings
from method.items import ends_the_whole, is_out_of_memory
from method.saved_texts import read_names

MAX_DIRECTORY_BYTES = 128 * 1024 * 1024
MAX_RATIO = 200
RATIO_FROM_BYTES = 1024 * 1024
TOTAL_PER_UPLOAD = 20
ENTRY, END, END64, LOCATOR64 = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
ENCRYPTED = 0x1
UTF8 = 0x800
UNICODE_NAME = 0x7075
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class ArchiveRefused(Exception):
    """The whole archive is refused; the message says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP archive after weighing it. Raises ArchiveRefused."""
    with ExitStack() as files:
        archive = _read_directory(path, files)
        total = sum(each.file_size for each in archive.infolist())
        limit = TOTAL_PER_UPLOAD * settings().max_upload_mb * 1024 * 1024
        if total > limit:
            raise ArchiveRefused(
                f"The archive unfolds to {total // 1024**2} MiB; at most {limit // 1024**2} are taken."
            )
        yield archive


def _read_directory(path: Path, files: ExitStack) -> zipfile.ZipFile:
    """The archive; what was opened for it is closed with `files`."""
    try:
        # Python reads the whole directory into memory, so its size is looked at first.
        if _directory_bytes(path) > MAX_DIRECTORY_BYTES:
            raise ArchiveRefused("The archive lists too many files; split it.")
        source = _with_readable_names(path)
        if isinstance(source, _Corrected):
            files.enter_context(source)  # an archive closes only what it has opened itself
        return files.enter_context(zipfile.ZipFile(source))
    except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, EOFError) as error:
        raise ArchiveRefused("This is not a ZIP archive, or it is damaged.") from error


class _Corrected(io.BufferedReader):
    """A file of which some bytes read as others: marks of the directory that are wrong."""

    def __init__(self, path: Path, corrections: dict[int, int]) -> None:
        super().__init__(io.FileIO(path))
        self.corrections = corrections

    def read(self, size: int | None = -1, /) -> bytes:
        start = self.tell()
        data = super().read(size)
        hit = [at for at in self.corrections if start <= at < start + len(data)]
        if not hit:
            return data
        changed = bytearray(data)
        for at in hit:
            changed[at - start] = self.corrections[at]
        return bytes(changed)


def _with_readable_names(path: Path) -> Path | _Corrected:
    """The archive, where a name says it is UTF-8 and is not: Python would refuse the whole for one."""
    start, length = _directory_of(path)
    with path.open("rb") as file:
        file.seek(start)
        directory = file.read(length)
    wrong: dict[int, int] = {}
    at = 0
    while directory[at : at + 4] == ENTRY and at + 46 <= len(directory):
        flags, name, extra, comment = (
            struct.unpack_from("<H", directory, at + each)[0] for each in (8, 28, 30, 32)
        )
        if flags & UTF8 and not _is_utf8(directory[at + 46 : at + 46 + name]):
            wrong[start + at + 9] = (flags & ~UTF8) >> 8
        at += 46 + name + extra + comment
    return _Corrected(path, wrong) if wrong else path


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _directory_bytes(path: Path) -> int:
    return _directory_of(path)[1]


def _directory_of(path: Path) -> tuple[int, int]:
    """Where the directory of an archive lies, and how long it is."""
    length = path.stat().st_size
    with path.open("rb") as file:
        start = max(0, length - 65_557)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(END)
        if at < 0:
            raise zipfile.BadZipFile
        (directory,) = struct.unpack_from("<L", tail, at + 12)
        end = start + at
        if at >= 20 and tail[at - 20 : at - 16] == LOCATOR64:
            (record,) = struct.unpack_from("<Q", tail, at - 12)
            file.seek(record)
            wide = file.read(56)
            if wide[:4] == END64:
                (directory,) = struct.unpack_from("<Q", wide, 40)
                end = record
    # Counted from its end, because bytes may stand in front of an archive.
    return max(0, end - int(directory)), int(directory)


def entries(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """The files of an archive with their names; folders are left out."""
    # `is_dir` fails for an entry without a name; a folder that holds bytes is told of.
    files = [
        each for each in archive.infolist() if not each.filename.endswith("/") or each.file_size
    ]
    yield from zip(entry_names(files), files, strict=True)


def entry_names(files: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The names of entries. Where they are not marked as UTF-8 they were written by one machine in one
    encoding, so they are read together; what stays uncertain is spelt out byte by byte.
    """
    names = [_marked_name(each) for each in files]
    raw = [
        each.orig_filename.encode("cp437")
        for each, name in zip(files, names, strict=True)
        if name is None
    ]
    raw = [each.replace(b"\\", b"/") for each in raw]
    told = iter(read_names(raw) or [each.decode("ascii", "backslashreplace") for each in raw])
    return [next(told) if name is None else name.replace("\\", "/") for name in names]


def are_certain(files: Sequence[zipfile.ZipInfo]) -> bool:
    """Whether the names could all be read."""
    raw = [each.orig_filename.encode("cp437") for each in files if _marked_name(each) is None]
    return read_names(raw) is not None


def _marked_name(info: zipfile.ZipInfo) -> str | None:
    """The name where the archive says which encoding it is in, or None."""
    if info.flag_bits & UTF8 or info.orig_filename.isascii():
        return info.orig_filename
    return _unicode_field(info)


def _unicode_field(info: zipfile.ZipInfo) -> str | None:
    """The name that Info-ZIP keeps in UTF-8 beside the one of the code page (APPNOTE 4.6.9)."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind != UNICODE_NAME or len(body) < 6:
            continue
        (check,) = struct.unpack_from("<L", body, 1)
        # It counts only while it belongs to the name it stands beside.
        if check == zlib.crc32(info.orig_filename.encode("cp437")):
            try:
                return body[5:].decode("utf-8")
            except UnicodeDecodeError:
                return None
    return None


def problem_of(name: str, info: zipfile.ZipInfo) -> str | None:
    """Why an entry is not read at all, or None."""
    path = PurePosixPath(name)
    if "\0" in name:
        return "Its name holds a zero byte."
    if not path.parts:
        return "It has no name."
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        return "Its name leads outside the archive."
    if name.endswith("/"):
        return "It is marked as a folder and holds data, so it is not read."
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "It is a link or a special file, not an image."
    if info.flag_bits & ENCRYPTED:
        return "It is encrypted; make the archive without a password."
    if info.compress_type not in COMPRESSIONS:
        return "It is compressed in a way that is not read here; make the archive as a plain ZIP."
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
    # zlib, lzma, bz2 and zipfile each raise their own; the entry is damaged, but where the machine is at fault.
    except Exception as error:
        if ends_the_whole(error) or is_out_of_memory(error):
            raise
        raise ImageRefused("The archive is damaged at this file.") from error
