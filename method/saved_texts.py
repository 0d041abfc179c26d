"""Reads texts that people saved, whatever program saved them, where what they say is certain.

All readers of people's text files come through here: lists, captions, criteria, prompts, judgements,
names in archives. What is not certain is refused, with how to save it; nothing is guessed into a label.
"""

import codecs
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from method.foreign_files import describe_no_text
from method.writings import Reading, readings
from taxonomy.names import is_blank

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
KNOWN_AS = {
    "cp1252": "Windows-1252 (western Europe)",
    "cp1250": "Windows-1250 (central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "mac_roman": "Mac Roman",
    "gb18030": "GBK (Chinese)",
    "cp950": "Big5 (Chinese)",
    "cp932": "Shift JIS (Japanese)",
    "euc_jp": "EUC-JP (Japanese)",
    "cp949": "EUC-KR (Korean)",
}
HOW_TO_SAVE = (
    "Save it again as UTF-8: in Excel choose “CSV UTF-8”, in LibreOffice the character set "
    "“Unicode (UTF-8)”, in an editor the encoding “UTF-8”."
)
# Readings whose likeness is closer than this are as good as each other.
CLEAR = 0.12
ENOUGH = 0.52
SAMPLE = 200_000
# Signs that nobody sees: byte order marks, soft hyphens, turns of the reading direction. Joiners stay:
# Persian, Hindi and emoji are written with them.
UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u061c\u2060\ufeff")) | dict.fromkeys(
    [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
LINE_ENDS = re.compile(r"\r\n|\r|\n")


class UnreadableText(Exception):
    """The bytes are no text that can be read with certainty; the message says how to save it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SavedText:
    """A text, and how its file was encoded: `utf-8`, or another encoding by Python's name."""

    text: str
    encoding: str

    @property
    def note(self) -> str:
        """What to tell where the encoding had to be found out; empty for Unicode."""
        if self.encoding.startswith("utf"):
            return ""
        known = KNOWN_AS.get(self.encoding, self.encoding)
        return f"It is not UTF-8; it was read as {known}."

    def lines(self) -> list[str]:
        """Its lines, whichever system ended them."""
        return LINE_ENDS.split(self.text)


def read_text(data: bytes) -> SavedText:
    """The text of a file. Raises UnreadableText where it is none, or could be read in several ways."""
    what = describe_no_text(data)
    if what is not None:
        raise UnreadableText(f"This is {what}, not a text. {HOW_TO_SAVE}")
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return SavedText(_strictly(data, encoding).lstrip("\ufeff"), "utf-8")
    if b"\0" in data:
        return SavedText(_without_mark(data), "utf-16")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is not None and not _by_accident(text):
        return SavedText(text, "utf-8")
    found = certain(data)
    if found is None:
        raise UnreadableText(
            "Its encoding cannot be told with certainty (it is not UTF-8). " + HOW_TO_SAVE
        )
    return SavedText(found.text, found.encoding)


def certain(data: bytes) -> Reading | None:
    """The one reading of bytes that are no UTF-8, or None where there is none or more than one."""
    sample = data if len(data) <= SAMPLE else _to_line_end(data[:SAMPLE])
    found = readings(sample)
    if not found or found[0].likeness < ENOUGH:
        return None
    best = found[0]
    for other in found[1:]:
        if other.text != best.text and other.likeness > best.likeness - CLEAR:
            return None
    if sample is data:
        return best
    try:
        return Reading(best.encoding, data.decode(best.encoding), best.likeness)
    except UnicodeDecodeError:
        return None


def read_names(names: Sequence[bytes]) -> list[str] | None:
    """File names of one archive that are in one unknown encoding, read together; None if not certain."""
    try:
        return [each.decode("utf-8") for each in names]
    except UnicodeDecodeError:
        pass
    found = certain(b"\n".join(names))
    return None if found is None else found.text.split("\n")


def one_line(text: str) -> str:
    """A text on one line: line breaks and runs of white space become one space, what is not seen goes."""
    line = " ".join(text.translate(UNSEEN).split())
    return "" if is_blank(line) else line


def several_lines(text: str) -> str:
    """A text of any length, with one sign for every line end and nothing blank around it."""
    lines = LINE_ENDS.sub("\n", text).strip()
    return "" if is_blank(lines) else lines


def fault_in(text: str) -> str | None:
    """Why a text cannot be kept as it is, or None: signs that nobody wrote."""
    if "\ufffd" in text:
        return (
            "holds the sign \ufffd, which stands where an earlier program could not read a letter"
        )
    for char in text:
        if unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") and char not in "\t\r\n\f":
            if char == "\0":
                return "holds a zero byte"
            return f"holds a control character (U+{ord(char):04X})"
    return None


def _by_accident(text: str) -> bool:
    """Whether a few signs are UTF-8 by chance: Chinese in GBK can be, and is read as phonetic signs then."""
    others = {c for c in text if not c.isascii()}
    return bool(others) and all("\u0250" <= c <= "\u02ff" and c not in "əʻʼ" for c in others)


def _strictly(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableText(
            f"It begins as {encoding.removesuffix('-sig').upper()} and is damaged further on. "
            + HOW_TO_SAVE
        ) from error


def _without_mark(data: bytes) -> str:
    """UTF-16 whose first two bytes do not say so: its zero bytes all stand on one side."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    if len(data) % 2 == 0 and bool(even) != bool(odd):
        try:
            text = data.decode("utf-16-le" if odd else "utf-16-be")
        except UnicodeDecodeError:
            text = "\0"
        if fault_in(text) is None:
            return text
    # A text with a stray zero byte is a text still: the line that holds it is named later.
    if data.count(0) * 100 <= len(data) or data.count(0) <= 3:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    raise UnreadableText("This is not a text: it holds zero bytes. " + HOW_TO_SAVE)


def _to_line_end(data: bytes) -> bytes:
    # A character of several bytes must not be cut through; a line feed is never part of one.
    return data[: data.rfind(b"\n") + 1] or data
