"""Files that say which image has which prompt and metadata: CSV and JSON Lines, read row by row.

A row that is wrong is reported with its line; the others count. The rules are in docs/images.md.
"""

import csv
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from method.saved_texts import SavedText, UnreadableText, fault_in, one_line, read_text

LOCATIONS = ("file", "file_name", "filename", "path", "image", "url")
PROMPTS = ("prompt", "caption", "text")
# How else people head these columns; compared without case, spaces and punctuation.
SPELLINGS = {
    **dict.fromkeys(("file", "files", "fileref", "datei"), "file"),
    **dict.fromkeys(("filename", "imagefilename", "imagefile", "dateiname"), "file_name"),
    **dict.fromkeys(("path", "filepath", "imagepath", "relativepath", "imgpath"), "path"),
    **dict.fromkeys(("image", "imagename", "img", "imageid", "picture"), "image"),
    **dict.fromkeys(("url", "imageurl", "link", "uri"), "url"),
    **dict.fromkeys(("prompt", "prompts"), "prompt"),
    **dict.fromkeys(("caption", "captions", "imagecaption"), "caption"),
    **dict.fromkeys(("text", "texts"), "text"),
}
DELIMITERS = (",", ";", "\t", "|")
MAX_BYTES = 64 * 1024 * 1024
MAX_COLUMNS = 200
MAX_KEY = 100  # characters of the name of a piece of metadata
MAX_CELL = 4000
# A quoted cell may run over this many lines; one that is never closed would swallow all rows.
MAX_LINES_OF_A_ROW = 200
PICTURE_NAME = re.compile(
    r"\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|bmp|heic|avif)$|^https?://", re.IGNORECASE
)


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
    """The rows of one file, what is wrong with the others as (line, reason), and notes about the whole."""

    rows: list[Row] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_listing(data: bytes, *, lines_of_json: bool = False) -> Listing:
    """Read a CSV file in any encoding that is certain, with `,` `;` tab or `|`; or JSON Lines.

    Raises ListingRefused where it has no header that says where the images are.
    """
    if len(data) > MAX_BYTES:
        raise ListingRefused(f"The listing is larger than {MAX_BYTES // 1024**2} MiB.")
    try:
        saved = read_text(data)
    except UnreadableText as error:
        raise ListingRefused(error.reason) from error
    listing = Listing(notes=[saved.note] if saved.note else [])
    if lines_of_json:
        _read_json_lines(saved, listing)
    else:
        _read_csv(saved, listing)
    return listing


# CSV ----------------------------------------------------------------------------------------------


def _read_csv(saved: SavedText, listing: Listing) -> None:
    lines = saved.lines()
    first = next((n for n, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise ListingRefused("The listing is empty.")
    if lines[first].lstrip().startswith("<"):
        raise ListingRefused("This is a web page or XML, not a CSV file.")
    delimiters: tuple[str, ...] = DELIMITERS
    # Excel writes and obeys a first line that names the separator.
    said = re.fullmatch(r'"?sep=(.)"?', lines[first].strip("\n \r"), re.IGNORECASE)
    if said:
        delimiters, first = (said[1],), first + 1
    columns, delimiter, taken = _find_header(lines, first, delimiters)
    for line, cells in _records(lines, first + taken, delimiter, columns, listing):
        if not any(cell.strip() for cell in cells):
            continue
        _take(line, columns, cells, listing)


def _find_header(
    lines: list[str], first: int, delimiters: tuple[str, ...]
) -> tuple[list[str], str, int]:
    """The names of the columns, what parts them, and how many lines the header takes."""
    best: tuple[list[str], str, int] = ([], "", 0)
    for delimiter in delimiters:
        record = _record(lines, first, delimiter)
        if record is None:
            continue
        cells, taken = record
        columns = [_column(cell) for cell in cells]
        if any(each in LOCATIONS for each in columns) and len(columns) > len(best[0]):
            best = columns, delimiter, taken
    columns, delimiter, taken = best
    if not columns:
        raise ListingRefused(
            "No column says where the images are: the first line has to name one of "
            + ", ".join(LOCATIONS)
            + "."
        )
    twice = sorted({each for each in columns if each and columns.count(each) > 1})
    if twice and (twice[0] in LOCATIONS + PROMPTS or len(columns) > MAX_COLUMNS):
        raise ListingRefused(f"The column {twice[0]} is there twice.")
    if len(columns) > MAX_COLUMNS:
        raise ListingRefused(f"The listing has more than {MAX_COLUMNS} columns.")
    for number, column in enumerate(columns, 1):
        if fault := fault_in(column):
            raise ListingRefused(f"The name of column {number} {fault}.")
    return _numbered(columns), delimiter, taken


def _column(cell: str) -> str:
    """The name of a column: as it is known here, or as it is headed, in small letters on one line."""
    shown = one_line(
        "".join(c for c in cell if unicodedata.category(c) not in ("Cf", "Cc") or c.isspace())
    )
    for spelt in (shown, re.sub(r"[(\[].*", "", shown)):
        bare = "".join(c for c in spelt.lower() if c.isalnum())
        if bare in SPELLINGS:
            return SPELLINGS[bare]
    return shown.lower()[:100]


def _numbered(columns: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    named = []
    for each in columns:
        seen[each] = seen.get(each, 0) + 1
        named.append(f"{each} ({seen[each]})" if each and seen[each] > 1 else each)
    return named


def _records(
    lines: list[str], at: int, delimiter: str, columns: list[str], listing: Listing
) -> Iterator[tuple[int, list[str]]]:
    """Rows with the lines they begin in. Where a quotation mark is not closed, its line is named and
    the next one begins a row again.
    """
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        record = _record(lines, at, delimiter)
        if record is None or _swallows_rows(lines, at, record[1], delimiter, columns):
            listing.problems.append((at + 1, _why_unread(lines[at], delimiter)))
            at += 1
            continue
        cells, taken = record
        yield at + 1, cells
        at += taken


def _record(lines: list[str], at: int, delimiter: str) -> tuple[list[str], int] | None:
    """The cells of the row that begins in a line, and how many lines it takes; None if it has no end."""
    joined = lines[at]
    if '"' not in joined:
        return joined.split(delimiter), 1
    if joined.count('"') % 2 == 0:
        taken = 1
    else:
        # A row whose cells are all closed has an even number of marks; what lies before is no row.
        marks, taken = 1, 1
        for line in lines[at + 1 : at + MAX_LINES_OF_A_ROW]:
            marks += line.count('"')
            taken += 1
            if marks % 2 == 0:
                break
        joined = _single(joined, delimiter) or "\n".join(lines[at : at + taken])
        taken = 1 if joined == lines[at] else taken
    try:
        # Strict: a quotation mark that is still open at the end is an error.
        return next(csv.reader([joined], delimiter=delimiter, strict=True)), taken
    except csv.Error:
        return None


def _single(line: str, delimiter: str) -> str | None:
    """The line where it is a row by itself though its marks are odd: `5" nail` begins no quoted cell."""
    try:
        next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return line


def _swallows_rows(
    lines: list[str], at: int, taken: int, delimiter: str, columns: list[str]
) -> bool:
    """Whether a row over several lines holds lines that are rows themselves."""
    where = next(n for n, each in enumerate(columns) if each in LOCATIONS)
    for line in lines[at + 1 : at + taken]:
        cells = line.split(delimiter)
        is_full = len(cells) > where and len(cells) >= min(len(columns), 2)
        if is_full and PICTURE_NAME.search(cells[where].strip().strip('"')):
            return True
    return False


def _why_unread(line: str, delimiter: str) -> str:
    del delimiter
    if line.count('"') % 2:
        return "cannot be read as CSV: a quotation mark is opened and not closed"
    return "cannot be read as CSV: there is text behind a closing quotation mark"


def _take(line: int, columns: list[str], cells: list[str], listing: Listing) -> None:
    # Spreadsheets leave out empty cells at the end of a row, or add some.
    while len(cells) > len(columns) and not cells[-1].strip():
        cells = cells[:-1]
    cells = cells + [""] * (len(columns) - len(cells))
    problem = _problem(cells, columns)
    row = None if problem else _row(line, dict(zip(columns, cells, strict=True)))
    if row is None:
        listing.problems.append((line, problem or "says nowhere where its image is"))
    else:
        listing.rows.append(row)


def _problem(cells: list[str], columns: list[str]) -> str | None:
    if len(cells) != len(columns):
        return f"has {len(cells)} cells, but the first line names {len(columns)} columns"
    for column, cell in zip(columns, cells, strict=True):
        # Names of columns stand in each line where the lines are JSON.
        fault = fault_in(cell) or fault_in(column)
        if fault:
            return fault
        if len(cell) > MAX_CELL:
            return f"has more than {MAX_CELL} characters in the column {column or 'without a name'}"
    return None


# JSON Lines ---------------------------------------------------------------------------------------


def _read_json_lines(saved: SavedText, listing: Listing) -> None:
    for line, text in enumerate(saved.lines(), 1):
        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            listing.problems.append((line, "is not JSON"))
            continue
        if not isinstance(found, dict):
            listing.problems.append((line, "is no JSON object"))
            continue
        simple = {_column(name): str(value) for name, value in found.items() if _is_simple(value)}
        _take(line, list(simple), list(simple.values()), listing)
    if not listing.rows and not any("nowhere" not in reason for _, reason in listing.problems):
        raise ListingRefused(
            "No line says where its image is: each has to hold one of " + ", ".join(LOCATIONS) + "."
        )


def _is_simple(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


# Both ---------------------------------------------------------------------------------------------


def _row(line: int, cells: dict[str, str]) -> Row | None:
    values = {name: one_line(cell) for name, cell in cells.items() if name and cell.strip()}
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
