"""Criteria as an Excel workbook: a sheet with one row per pair, others for dimensions and the rest."""

import io
import re
import zipfile
from typing import TYPE_CHECKING

from taxonomy.formats.csv import MAX_COLUMNS, unknown_column
from taxonomy.formats.existing import Existing
from taxonomy.formats.from_rows import from_rows
from taxonomy.formats.rows import SHEETS, Row, RowKind, is_column, tidy_column
from taxonomy.formats.sheets import Sheet, read_workbook
from taxonomy.formats.to_rows import columns, to_rows
from taxonomy.tree import RELATIONS, Criteria, InvalidCriteria

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

# The first moment that a zip archive can name: the same tree makes the same file on any day.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_CREATED = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*")
# Characters that XML cannot hold or would change, and what looks like their spelling in a workbook.
_SPELLED = re.compile("[\r\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def write_xlsx(criteria: Criteria) -> bytes:
    """The tree as a workbook, always the same bytes for the same tree; `read_xlsx` gives it back."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for kind, rows in sorted(
        to_rows(criteria).items(), key=lambda each: list(SHEETS).index(each[0])
    ):
        _write_sheet(book.create_sheet(SHEETS[kind]), columns(criteria, kind), rows)
    out = io.BytesIO()
    book.save(out)
    return _without_time(out.getvalue())


def _write_sheet(sheet: "Worksheet", names: list[str], rows: list[Row]) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    wrapped = Alignment(vertical="top", wrap_text=True)
    bold, grey = Font(bold=True), PatternFill("solid", fgColor="E6E6E6")
    for number, name in enumerate(names, start=1):
        head = sheet.cell(1, number, name)
        head.font, head.fill, head.alignment = bold, grey, wrapped
        column = sheet.column_dimensions[get_column_letter(number)]
        column.width, column.number_format, column.alignment = _width(name), "@", wrapped
    for line, row in enumerate(rows, start=2):
        for number, name in enumerate(names, start=1):
            if text := row.text(name):
                cell = sheet.cell(line, number)
                # As text whatever it begins with: nothing in here is a formula.
                cell.value, cell.data_type = _spelled(text), "s"
                cell.number_format, cell.alignment = "@", wrapped
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(names))}{len(rows) + 1}"
    _offer_choices(sheet, names)


# What a column is about, and how wide that makes it, in letters: the first that fits.
_WIDTHS = (
    (re.compile(r".*(definition|scope note)\b.*"), 56),
    (re.compile(r".*(name|prompt|alternatives)\b.*"), 28),
    (re.compile(r"key|dimension \d+"), 24),
    (re.compile(r"relation|exclusive|retired|language|max levels"), 12),
    (re.compile(r".*"), 20),
)


def _width(name: str) -> int:
    return next(width for pattern, width in _WIDTHS if pattern.fullmatch(name))


def _offer_choices(sheet: "Worksheet", names: list[str]) -> None:
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    choices = {"relation": RELATIONS, "exclusive": ("yes", "no"), "retired": ("yes", "no")}
    for number, name in enumerate(names, start=1):
        if name in choices:
            letter = get_column_letter(number)
            listed = f'"{",".join(choices[name])}"'
            choice = DataValidation(type="list", formula1=listed, allow_blank=True)
            choice.add(f"{letter}2:{letter}10000")
            sheet.add_data_validation(choice)


def _spelled(text: str) -> str:
    return _SPELLED.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def _without_time(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as made, zipfile.ZipFile(out, "w") as kept:
        for info in sorted(
            made.infolist(), key=lambda info: info.filename != "[Content_Types].xml"
        ):
            data = made.read(info)
            if info.filename == "docProps/core.xml":
                data = _CREATED.sub(rb"\g<1>1980-01-01T00:00:00Z", data)
            kept.writestr(zipfile.ZipInfo(info.filename, _NO_TIME), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


# Reading ----------------------------------------------------------------------------------------


def read_xlsx(content: bytes, existing: Existing | None = None) -> Criteria:
    """Read criteria from a workbook; raises InvalidCriteria with every fault and its cell.

    Sheets are known by their names; a workbook with a single sheet of any name holds pairs.
    """
    book = read_workbook(content)
    kinds = _kinds(book)
    problems: list[str] = []
    rows = [row for sheet, kind in kinds for row in _rows(sheet, kind, problems)]
    if problems:
        raise InvalidCriteria(problems)
    if not rows:
        raise InvalidCriteria(["The workbook holds no row below its headers."])
    return from_rows(rows, existing or Existing())


def _kinds(book: list[Sheet]) -> list[tuple[Sheet, RowKind]]:
    named = {name.casefold(): kind for kind, name in SHEETS.items()}
    filled = [sheet for sheet in book if sheet.rows]
    if len(filled) == 1 and filled[0].name.strip().casefold() not in named:
        return [(filled[0], "pair")]
    unknown = [sheet for sheet in filled if sheet.name.strip().casefold() not in named]
    if unknown:
        known = ", ".join(SHEETS.values())
        raise InvalidCriteria(
            [
                f"“{sheet.name[:40]}” is no sheet of criteria; known are {known}."
                for sheet in unknown
            ]
        )
    return [(sheet, named[sheet.name.strip().casefold()]) for sheet in filled]


def _rows(sheet: Sheet, kind: RowKind, problems: list[str]) -> list[Row]:
    (head, header), *lines = sheet.rows.items()
    names = {letter: tidy_column(text) for letter, text in header.items() if text.strip()}
    if len(names) > MAX_COLUMNS:
        problems.append(f"{sheet.name}: there are more than {MAX_COLUMNS} columns.")
        return []
    seen: dict[str, str] = {}
    for letter, name in names.items():
        if not is_column(kind, name):
            problems.append(unknown_column(f"{sheet.name}!{letter}{head}", name))
        elif name in seen:
            where = f"{sheet.name}!{letter}{head}"
            problems.append(f"{where}: “{name}” stands in {seen[name]} too; keep one.")
        seen.setdefault(name, letter)
    known = frozenset(names.values())
    rows = []
    for line, cells in lines:
        for letter in cells.keys() - names.keys():
            problems.append(unknown_column(f"{sheet.name}!{letter}{line}", ""))
        given = {names[letter]: text for letter, text in cells.items() if letter in names}
        rows.append(Row(kind, given, line, known, sheet.name, seen))
    return rows
