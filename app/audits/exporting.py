"""Verdicts as CSV."""

import csv
import io
from collections.abc import Iterable
from dataclasses import fields

from app.audits.results import Verdict
from app.csv_cells import BYTE_ORDER_MARK, cell

COLUMNS = tuple(field.name for field in fields(Verdict))


def write_verdicts(verdicts: Iterable[Verdict]) -> str:
    """Verdicts as CSV with a header, one row each; participants are numbers."""
    out = io.StringIO()
    out.write(BYTE_ORDER_MARK)
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([cell(getattr(each, name)) for name in COLUMNS] for each in verdicts)
    return out.getvalue()
