"""Verdicts and results as files: CSV for programs and spreadsheets, LaTeX for a paper."""

import csv
import io
from collections.abc import Iterable
from dataclasses import fields

from app.audits.results import ResultRow, Results
from app.audits.verdicts import Verdict
from app.csv_cells import BYTE_ORDER_MARK, cell
from app.intervals import in_percent
from app.latex import escape_latex

COLUMNS = tuple(field.name for field in fields(Verdict))
RESULT_COLUMNS = (
    *("level", "key", "polarity", "name", "above", "labels_sampled", "labels_judged", "images"),
    *("participants", "judgements", "appears", "does_not_appear", "cannot_tell"),
    *("accuracy", "accuracy_low", "accuracy_high"),
    *("majority_accuracy", "majority_low", "majority_high", "majority_labels", "ties"),
    *("participant_mean", "participant_lowest", "participant_highest"),
    *("decoys_decided", "yes_to_decoys", "yes_to_decoys_low", "yes_to_decoys_high"),
    *("corrected_accuracy", "corrected_low", "corrected_high"),
    *("agreement", "krippendorff_alpha", "alpha_low", "alpha_high"),
    *("fleiss_kappa", "kappa_low", "kappa_high", "gwet_ac1", "ac1_low", "ac1_high"),
    "median_seconds",
)


def write_verdicts(verdicts: Iterable[Verdict]) -> str:
    """Verdicts as CSV with a header, one row each; participants are codes."""
    return _write(COLUMNS, ([getattr(each, name) for name in COLUMNS] for each in verdicts))


def write_results(rows: Iterable[ResultRow]) -> str:
    """Results as CSV with a header; fractions are in [0, 1], unrounded, and empty where there is none."""
    return _write(RESULT_COLUMNS, (_cells(row) for row in rows))


def _write(columns: Iterable[str], rows: Iterable[list[object]]) -> str:
    out = io.StringIO()
    out.write(BYTE_ORDER_MARK)
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cells(row: ResultRow) -> list[object]:
    found = row.score
    return [
        row.level,
        row.key,
        row.polarity,
        row.name,
        " > ".join(row.above),
        row.sampled,
        found.items,
        found.images,
        found.participants,
        found.judgements,
        found.appears,
        found.does_not_appear,
        found.cannot_tell,
        found.accuracy,
        *_ends(found.interval),
        found.majority_accuracy,
        *_ends(found.majority_interval),
        found.majority_items,
        found.ties,
        found.participant_mean,
        *_ends(found.participant_range),
        found.decoys_decided,
        found.yes_to_decoys,
        *_ends(found.decoys_interval),
        found.corrected,
        *_ends(found.corrected_interval),
        found.agreement,
        found.alpha.value,
        *_ends(found.alpha.interval),
        found.kappa.value,
        *_ends(found.kappa.interval),
        found.ac1.value,
        *_ends(found.ac1.interval),
        found.seconds,
    ]


def _ends(interval: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return interval or (None, None)


def write_latex(found: Results, *, caption: str, label: str) -> str:
    """The accuracies as a LaTeX table in the form of the paper's Table S5, with the interval in a column more."""
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        f"\\caption{{{escape_latex(caption)}}}",
        f"\\label{{{label}}}",
        r"\begin{tabular}{lcc}",
        r"\hline",
        r"Dimension & Accuracy (\%) & 95\,\% interval \\",
        r"\hline",
        *(_latex_row(row) for row in found.dimensions),
        r"\hline",
        _latex_row(found.overall),
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join([*lines, ""])


def _latex_row(row: ResultRow) -> str:
    found = row.score
    accuracy = found.accuracy_words if found.accuracy is not None else "--"
    interval = "--"
    if found.interval is not None:
        interval = "--".join(in_percent(end, found.decided) for end in found.interval)
    return f"{escape_latex(row.name)} & {accuracy} & {interval} \\\\"
