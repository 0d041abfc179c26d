"""Values as cells of a CSV file that a spreadsheet will open."""

from datetime import UTC, datetime

# A spreadsheet runs a cell that starts like this as a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
# Spreadsheets read what follows it as UTF-8.
BYTE_ORDER_MARK = "\ufeff"


def cell(value: object) -> str:
    """A value as a cell; text that a spreadsheet would run gets an apostrophe in front, nothing is empty."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    text = str(value)
    return f"'{text}" if isinstance(value, str) and _would_run(text) else text


def plain(text: str) -> str:
    """The text of a cell, as it was before `cell` made one of it."""
    return text[1:] if text.startswith("'") and _would_run(text) else text


def _would_run(text: str) -> bool:
    # What begins with apostrophes of its own gets one more, so that taking one off is always right.
    return text.lstrip("'").startswith(FORMULA_STARTS)
