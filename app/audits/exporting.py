"""Verdicts as CSV."""

import csv
import io
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime

from app.audits.results import Verdict

COLUMNS = tuple(field.name for field in fields(Verdict))
# A spreadsheet runs a cell that starts like this as a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: object) -> str:
    """A value as a CSV cell; text that a spreadsheet would run gets an apostrophe in front."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA_STARTS) else text


def write_verdicts(verdicts: Iterable[Verdict]) -> str:
    """Verdicts as CSV with a header, one row each; participants are numbers."""
    out = io.StringIO()
    # A byte order mark, so that spreadsheets read the names as UTF-8.
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([cell(getattr(each, name)) for name in COLUMNS] for each in verdicts)
    return out.getvalue()
