"""CSV files that say which image has which prompt and metadata, read row by row.

A row that is wrong is reported with its line; the others count. The rules are in docs/images.md.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

LOCATIONS = ("file", "file_name", "filename", "path", "image", "url")
PROMPTS = ("prompt", "caption", "text")
DELIMITERS = (",", ";", "\t", "|")
MAX_BYTES = 64 * 1024 * 1024
MAX_COLUMNS = 200
MAX_CELL = 4000


class ListingRefused(Exception):
    """The whole file is no listing; the message says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Row:
    """One line: where the image is, its prompt y, and every other column."""

    line: int
    location: str
    prompt: str
    details: dict[str, str]


@dataclass
class Listing:
    """The rows of one CSV file, and what is wrong with the others: (line, reason)."""

    rows: list[Row] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)


def read_listing(data: bytes) -> Listing:
    """Read a CSV file: UTF-8 (with or without BOM), UTF-16 with BOM or Latin-1; `,` `;` tab or `|`.

    Raises ListingRefused where it has no header that says where the images are.
    """
    if len(data) > MAX_BYTES:
        raise ListingRefused(f"The listing is larger than {MAX_BYTES // 1024**2} MiB.")
    text = _decode(data)
    header, delimiter = _find_header(text)
    listing = Listing()
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for line, cells in _lines(reader, listing):
        if line == header.line or not any(cell.strip() for cell in cells):
            continue
        problem = _problem(cells, header.columns)
        row = None if problem else _row(line, dict(zip(header.columns, cells, strict=True)))
        if row is None:
            listing.problems.append((line, problem or "says nowhere where its image is"))
        else:
            listing.rows.append(row)
    return listing


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


@dataclass(frozen=True)
class _Header:
    line: int
    columns: list[str]


def _find_header(text: str) -> tuple[_Header, str]:
    first = next(((n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()), None)
    if first is None:
        raise ListingRefused("The listing is empty.")
    number, line = first
    if line.lstrip().startswith("<"):
        raise ListingRefused("This is a web page or XML, not a CSV file.")
    read = {each: _columns(line, each) for each in DELIMITERS}
    fitting = [each for each in DELIMITERS if set(read[each]) & set(LOCATIONS)]
    if not fitting:
        raise ListingRefused(
            "No column says where the images are: the first line has to name one of "
            + ", ".join(LOCATIONS)
            + "."
        )
    delimiter = max(fitting, key=lambda each: len(read[each]))
    columns = read[delimiter]
    twice = sorted({each for each in columns if each and columns.count(each) > 1})
    if twice:
        raise ListingRefused(f"The column {twice[0]} is there twice.")
    if len(columns) > MAX_COLUMNS:
        raise ListingRefused(f"The listing has more than {MAX_COLUMNS} columns.")
    return _Header(number, columns), delimiter


def _columns(line: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    return [cell.strip().lower()[:100] for cell in cells]


def _lines(reader: Iterator[list[str]], listing: Listing) -> Iterator[tuple[int, list[str]]]:
    while True:
        line = int(getattr(reader, "line_num", 0)) + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            listing.problems.append((line, f"cannot be read as CSV ({error})"))


def _problem(cells: list[str], columns: list[str]) -> str | None:
    if len(cells) != len(columns):
        return f"has {len(cells)} cells, but the first line names {len(columns)} columns"
    if any("\0" in cell for cell in cells):
        return "holds a zero byte"
    for column, cell in zip(columns, cells, strict=True):
        if len(cell) > MAX_CELL:
            return f"has more than {MAX_CELL} characters in the column {column or 'without a name'}"
    return None


def _row(line: int, cells: dict[str, str]) -> Row | None:
    values = {name: cell.strip() for name, cell in cells.items() if name and cell.strip()}
    where = next((name for name in LOCATIONS if name in values), None)
    if where is None:
        return None
    location = values.pop(where)
    asked = next((name for name in PROMPTS if name in values), None)
    prompt = values.pop(asked) if asked else compose_prompt(values)
    return Row(line, location, prompt, values)


def compose_prompt(details: dict[str, str]) -> str:
    """The prompt y of an image whose listing gives none: its title and style, as far as known.

    What is seen goes into a prompt; painter and year are facts about the picture and stay metadata.
    """
    return ", ".join(details[name] for name in ("title", "style") if details.get(name))
