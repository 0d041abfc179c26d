"""Takes a multipart upload apart as it arrives, each file straight into its upload folder.

Written here because the framework's own reader keeps files of any size, and in the machine's
temporary folder.
"""

from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import Invalid, TooLarge
from app.images import uploads

MAX_FILES = 50_000
WISHES = {b"replace": "replace", b"include_erased": "include_erased"}
MAX_HEADER = 16 * 1024


class Receiver:
    """Feed it the body of a request; it leaves the files `0`, `1`, ... and their names in `folder`.

    Raises TooLarge where the body is larger than `limit_bytes`, Invalid where it is no multipart, or cut short.
    """

    def __init__(self, folder: Path, content_type: str, *, limit_bytes: int) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
            raise Invalid("Files are uploaded as multipart/form-data.", field="Content-Type")
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.names: list[str] = []
        self.wishes: dict[str, bool] = {}
        self._wish = ""
        self._received = 0
        self._header = self._value = b""
        self._disposition = b""
        self._out: BinaryIO | None = None
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._open,
                "on_part_data": self._data,
                "on_part_end": self._close,
                "on_end": self._end,
            },
            max_header_size=MAX_HEADER,
        )

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes of the body."""
        self._received += len(chunk)
        if self._received > self.limit_bytes:
            raise too_large(self.limit_bytes)
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise Invalid(
                "The upload is not well formed; nothing was kept.", field="files"
            ) from error

    def finish(self) -> list[str]:
        """The body has ended; returns the names of the files."""
        if self._received and not self._ended:
            raise Invalid(
                "The upload was cut short; nothing was kept.",
                field="files",
                hint="Please try again.",
            )
        uploads.write_names(self.folder, self.names)
        return self.names

    def close(self) -> None:
        """Close the file that is open, where the upload broke off."""
        if self._out is not None:
            self._out.close()
            self._out = None

    def _begin(self) -> None:
        self._wish = ""
        self._header = self._value = self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = _text(options.get(b"filename", b""))
        # A form without a chosen file sends one without a name; fields that are no files are let go, but
        # for the few that say what is wished beside.
        if not name:
            self._wish = WISHES.get(options.get(b"name", b""), "")
            return
        if len(self.names) >= MAX_FILES:
            raise Invalid(
                f"At most {MAX_FILES} files can be uploaded at once; make a ZIP of them.",
                field="files",
            )
        self._out = (self.folder / str(len(self.names))).open("wb")
        self.names.append(name)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._out is not None:
            self._out.write(data[start:end])
        elif self._wish and data[start:end].lower() in (b"true", b"1", b"on", b"yes"):
            self.wishes[self._wish] = True

    def _close(self) -> None:
        self.close()

    def _end(self) -> None:
        self._ended = True


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def too_large(limit_bytes: int) -> TooLarge:
    """The error for an upload over the limit."""
    return TooLarge(
        f"The upload is larger than {limit_bytes // 1024**2} MiB, the limit of this installation.",
        field="files",
        hint="Import a folder of the server instead, or in several parts.",
    )
