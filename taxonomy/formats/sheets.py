"""The cells of an Excel workbook as text, read with bounds on everything that a file can claim.

Read here and not through openpyxl: that builds what a sheet claims to be (a million rows, a thousand
columns) before anybody can look at it, leaves merged cells out, and does not say where it failed.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError

from taxonomy.formats.data import MAX_BYTES
from taxonomy.formats.reading import MAX_NODES
from taxonomy.tree import InvalidCriteria

# Of the parts inside: a workbook of the 10 000 nodes allowed takes about 20 MB unpacked.
MAX_UNPACKED = 40_000_000
MAX_PARTS = 500
MAX_ROWS = MAX_NODES + 2_000
# Of XML, filled or not: cells that only have a style count as well.
MAX_ELEMENTS = 3_000_000
MAX_PROBLEMS = 100
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_SPELLED = re.compile("_x([0-9A-Fa-f]{4})_")
_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


@dataclass
class Sheet:
    """The filled cells of a sheet: rows by number, in them texts by the letter of the column."""

    name: str
    rows: dict[int, dict[str, str]] = field(default_factory=dict)


def read_workbook(content: bytes) -> list[Sheet]:
    """Every sheet, in order. Raises InvalidCriteria where the file is no workbook, claims more than it
    may, or holds cells that say nothing by themselves (formulas, errors, merged cells), with each cell.
    """
    from defusedxml.common import DefusedXmlException

    if len(content) > MAX_BYTES:
        raise InvalidCriteria([f"The file is larger than {MAX_BYTES // 1_000_000} MB; split it."])
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read(archive)
    except DefusedXmlException as error:
        message = "The workbook declares entities, which no spreadsheet writes; save it anew."
        raise InvalidCriteria([message]) from error
    except ParseError as error:
        raise InvalidCriteria([f"The workbook is damaged: {error}."]) from error
    except _ERRORS as error:
        message = "This is no Excel workbook (.xlsx), or a damaged or encrypted one; save it anew."
        raise InvalidCriteria([message]) from error


def _read(archive: zipfile.ZipFile) -> list[Sheet]:
    parts = {info.filename: info for info in archive.infolist()}
    if len(parts) > MAX_PARTS or sum(info.file_size for info in parts.values()) > MAX_UNPACKED:
        limit = f"{MAX_PARTS} parts of {MAX_UNPACKED // 1_000_000} MB together"
        raise InvalidCriteria([f"Unpacked, the workbook is larger than {limit}."])
    if "xl/workbook.xml" not in parts:
        raise InvalidCriteria(["This is an archive, but no Excel workbook (.xlsx)."])
    targets = {
        str(each.get("Id")): str(each.get("Target"))
        for each in _elements(archive, "xl/_rels/workbook.xml.rels")
        if each.tag.endswith("}Relationship")
    }
    shared = list(_shared_texts(archive)) if "xl/sharedStrings.xml" in parts else []
    reading = _Reading(shared)
    for each in list(_elements(archive, "xl/workbook.xml")):
        if each.tag == _MAIN + "sheet":
            target = targets.get(str(each.get(_LINK)), "")
            path = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
            if path in parts and "worksheets/" in path:
                with archive.open(path) as part:
                    reading.read_sheet(str(each.get("name") or ""), part)
    if reading.problems:
        raise InvalidCriteria(reading.problems)
    return reading.sheets


def _elements(archive: zipfile.ZipFile, path: str) -> Iterator[Element]:
    try:
        part = archive.open(path)
    except KeyError as error:
        raise InvalidCriteria(
            [f"This is an Excel workbook, but a damaged one: {path} is missing."]
        ) from error
    with part:
        yield from _ended(part)


def _ended(part: IO[bytes]) -> Iterator[Element]:
    from defusedxml.ElementTree import iterparse

    for number, (_, element) in enumerate(iterparse(part, events=("end",), forbid_dtd=True)):
        if number >= MAX_ELEMENTS:
            raise InvalidCriteria(
                [f"A sheet has more than {MAX_ELEMENTS} cells; take empty ones out."]
            )
        yield element


def _shared_texts(archive: zipfile.ZipFile) -> Iterator[str]:
    for element in _elements(archive, "xl/sharedStrings.xml"):
        if element.tag == _MAIN + "si":
            yield _text_in(element)
            element.clear()


def _text_in(element: Element) -> str:
    """The text of a string item, of all its runs; readings for pronunciation (`rPh`) are left out."""
    texts = []
    for child in element:
        if child.tag == _MAIN + "t":
            texts.append(child.text or "")
        elif child.tag == _MAIN + "r":
            texts += [each.text or "" for each in child if each.tag == _MAIN + "t"]
    return _SPELLED.sub(_character, "".join(texts))


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return found[0] if 0xD800 <= number <= 0xDFFF else chr(number)


@dataclass
class _Reading:
    """The sheets so far, and what is wrong with their cells."""

    shared: list[str]
    sheets: list[Sheet] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def read_sheet(self, name: str, part: IO[bytes]) -> None:
        """Add a sheet. Raises InvalidCriteria where it has more cells than it may have."""
        sheet = Sheet(name)
        self.sheets.append(sheet)
        for element in _ended(part):
            if element.tag == _MAIN + "row":
                element.clear()
            elif element.tag == _MAIN + "mergeCell":
                self._fault(f"{name}!{element.get('ref')}: the cells are merged; unmerge them.")
            elif element.tag == _MAIN + "c":
                self._add(sheet, element)
                element.clear()

    def _fault(self, message: str) -> None:
        self.problems.append(message)
        if len(self.problems) >= MAX_PROBLEMS:
            raise InvalidCriteria(self.problems)

    def _add(self, sheet: Sheet, cell: Element) -> None:
        where = _REFERENCE.fullmatch(str(cell.get("r") or ""))
        if where is None:
            raise InvalidCriteria(
                [f"{sheet.name}: a cell does not say where it stands; save it anew."]
            )
        letter, line = where[1], int(where[2])
        place = f"{sheet.name}!{letter}{line}"
        if cell.find(_MAIN + "f") is not None:
            self._fault(f"{place}: is a formula; put its value there.")
            return
        text = self._text(cell, place)
        if text == "":
            return
        if len(sheet.rows) >= MAX_ROWS:
            raise InvalidCriteria([f"{place}: there are more than {MAX_ROWS} rows; split them."])
        sheet.rows.setdefault(line, {})[letter] = text

    def _text(self, cell: Element, place: str) -> str:
        kind = cell.get("t") or "n"
        inline = cell.find(_MAIN + "is")
        if kind == "inlineStr":
            return _text_in(inline) if inline is not None else ""
        value: Any = cell.find(_MAIN + "v")
        text = (value.text or "") if value is not None else ""
        if kind == "s" and text:
            if not text.isdecimal() or int(text[:9]) >= len(self.shared):
                raise InvalidCriteria([f"{place}: the workbook is damaged here; save it anew."])
            return self.shared[int(text[:9])]
        if kind == "b":
            return "yes" if text == "1" else "no"
        if kind == "e":
            self._fault(f"{place}: holds the error {text[:20]}; correct it.")
            return ""
        if kind == "d":
            self._fault(f"{place}: is a date; write it as text.")
            return ""
        return text.removesuffix(".0") if kind == "n" else text
