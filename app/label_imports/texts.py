"""Opens a text that people saved: whatever its encoding where it is small, as UTF-8 a little at a time where it is large."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TextIO

from app.errors import Invalid
from method.saved_texts import HOW_TO_SAVE, UnreadableText, read_text

SMALL = 16 * 1024**2
"""Bytes of a file that may be looked at whole to find its encoding out."""


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """The text of a file, with its line ends as they are. Raises Invalid, also while it is read, where it is no
    text or its encoding is not certain.
    """
    try:
        if path.stat().st_size <= SMALL:
            yield StringIO(read_text(path.read_bytes()).text, newline="")
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield file
    except UnreadableText as error:
        raise Invalid(f"The file cannot be read: {error.reason}", field="files") from error
    except UnicodeDecodeError as error:
        raise Invalid("The file is not UTF-8.", field="files", hint=HOW_TO_SAVE) from error
