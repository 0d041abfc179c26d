"""Results and answers of a study as files: CSV for programs and spreadsheets, LaTeX for a paper, JSON lines for pairs.

Participants are codes. Rows are in the order of the codes, and tell not when but how many seconds after the answer before.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from app.csv_cells import BYTE_ORDER_MARK, cell
from app.database import Json
from app.intervals import in_percent
from app.latex import escape_latex
from app.studies.access import get_study_criteria
from app.studies.answers import Answers, gather_answers
from app.studies.models import Study, StudyImage, StudyPair
from app.studies.opening import find_models
from app.studies.results import Comparison, PreferenceRow, Results

RESULT_COLUMNS = (
    *("group", "model", "other", "key", "dimension", "pairs", "participants", "answers"),
    *("preferred", "not_preferred", "ties", "share", "share_low", "share_high"),
    *("pairs_preferred", "pairs_not_preferred", "p_pairs", "holm_pairs", "p_people", "holm_people"),
    *("gwet_ac1", "krippendorff_alpha"),
)
ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """One answer: who gave it, about which images in which dimension. `choice` is a model's name or empty for a tie."""

    participant: str
    group: str
    kind: str
    prompt: str
    dimension: str
    left_model: str
    right_model: str
    choice: str
    left_sha256: str
    right_sha256: str
    seconds: float | None


CHOICE_COLUMNS = tuple(field.name for field in fields(ChoiceRow))


def write_results(found: Results) -> str:
    """Every comparison as CSV with a header; fractions are in [0, 1], unrounded, and empty where there is none."""
    rows = (_cells(each, row) for each in found.comparisons for row in each.rows)
    return _write(RESULT_COLUMNS, rows)


def write_choices(rows: Iterable[ChoiceRow]) -> str:
    """Answers as CSV with a header, one row each."""
    return _write(
        CHOICE_COLUMNS, ([getattr(each, name) for name in CHOICE_COLUMNS] for each in rows)
    )


def _write(columns: Iterable[str], rows: Iterable[list[object]]) -> str:
    out = io.StringIO()
    out.write(BYTE_ORDER_MARK)
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cells(of: Comparison, row: PreferenceRow) -> list[object]:
    found = row.preference
    return [
        of.group,
        of.model,
        of.other,
        row.key,
        row.name,
        found.pairs,
        found.people,
        found.answers,
        found.wins,
        found.losses,
        found.ties,
        found.share,
        *(found.interval or (None, None)),
        found.pairs_won,
        found.pairs_lost,
        found.p_pairs,
        found.holm_pairs,
        found.p_people,
        found.holm_people,
        found.ac1.value,
        found.alpha.value,
    ]


def iterate_choices(db: Session, study: Study) -> Iterator[ChoiceRow]:
    """Every answer that counts, by code; three queries."""
    criteria = get_study_criteria(db, study)
    answers = gather_answers(db, study, criteria)
    models = {each.id: each for each in find_models(db, study)}
    compared = _find_images(db, study)
    for at in range(len(answers)):
        sides = [*compared[int(answers.pairs[at])]]
        names = [models[each.model_id].name for each in sides]
        won = answers.won[at]
        if not answers.left[at]:
            sides.reverse()
        left, right = sides
        yield ChoiceRow(
            participant=str(answers.codes[at]),
            group=models[left.model_id].group,
            kind=str(answers.kinds[at]),
            prompt=left.prompt,
            dimension=criteria.dimensions[int(answers.dimensions[at])].key,
            left_model=models[left.model_id].name,
            right_model=models[right.model_id].name,
            choice="" if won == 0.5 else names[0] if won == 1 else names[1],
            left_sha256=left.sha256,
            right_sha256=right.sha256,
            seconds=_seconds(answers, at),
        )


def _find_images(db: Session, study: Study) -> dict[int, tuple[StudyImage, StudyImage]]:
    """The first and the second image of each pair."""
    first, second = aliased(StudyImage), aliased(StudyImage)
    rows = db.execute(
        select(StudyPair.id, first, second)
        .join(first, first.id == StudyPair.first_image_id)
        .join(second, second.id == StudyPair.second_image_id)
        .where(StudyPair.study_id == study.id)
    )
    return {pair_id: (one, other) for pair_id, one, other in rows}


def _seconds(answers: Answers, at: int) -> float | None:
    if at == 0 or answers.codes[at - 1] != answers.codes[at]:
        return None
    return round(float(answers.at[at] - answers.at[at - 1]), 1)


# Pairs for training ---------------------------------------------------------------------------------


def iterate_judgements(db: Session, study: Study) -> Iterator[str]:
    """The answers about pairs that count, as lines of the file that `worker.pairs` takes (docs/pairs.md)."""
    criteria = get_study_criteria(db, study)
    answers = gather_answers(db, study, criteria)
    compared = _find_images(db, study)
    for at in range(len(answers)):
        if answers.kinds[at] != "pair":
            continue
        first, second = compared[int(answers.pairs[at])]
        line: Json = {
            "prompt": first.prompt,
            "image_a": file_name(first),
            "image_b": file_name(second),
            "choice": {1.0: "a", 0.0: "b"}.get(float(answers.won[at]), "tie"),
            "participant": str(answers.codes[at]),
            "dimension": criteria.dimensions[int(answers.dimensions[at])].key,
        }
        yield json.dumps(line, ensure_ascii=False) + "\n"


def file_name(image: StudyImage) -> str:
    """What a study's image is called where it lies beside its judgements."""
    return f"{image.sha256}.{ENDINGS[image.format]}"


def find_compared(db: Session, study: Study) -> list[StudyImage]:
    """The images of all pairs, each file once."""
    shown = {each.sha256: each for pair in _find_images(db, study).values() for each in pair}
    return [shown[sha256] for sha256 in sorted(shown)]


# LaTeX ------------------------------------------------------------------------------------------------


def write_latex(found: Results, *, caption: str, label: str) -> str:
    """The preferences as LaTeX tables: one in the form of the paper's Figure S8, and one by dimension."""
    return (
        "\n".join([*_overall_table(found, caption, label), "", *_dimension_table(found, label)])
        + "\n"
    )


def _overall_table(found: Results, caption: str, label: str) -> list[str]:
    """As under the pictures of Figure S8: groups, models, and how often each was preferred, in percent."""
    two = found.of_two
    groups = " & ".join(f"\\multicolumn{{2}}{{c}}{{{escape_latex(each.group)}}}" for each in two)
    models = " & ".join(f"{escape_latex(each.other)} & {escape_latex(each.model)}" for each in two)
    shares = " & ".join(
        f"{each.overall.preference.other_words}\\% & {each.overall.preference.share_words}\\%"
        for each in two
    )
    if not two:
        return []
    return [
        r"\begin{table}[t]",
        r"\centering",
        f"\\caption{{{escape_latex(caption)}}}",
        f"\\label{{{label}}}",
        f"\\begin{{tabular}}{{l{'cc' * len(two)}}}",
        r"\hline",
        f"Group & {groups} \\\\",
        f"Model & {models} \\\\",
        r"\hline",
        f"User Preference & {shares} \\\\".replace("–", "--"),
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]


def _dimension_table(found: Results, label: str) -> list[str]:
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        r"\caption{User preference by dimension. $p$: sign test over pairs, corrected after Holm.}",
        f"\\label{{{label}-dimensions}}",
        r"\begin{tabular}{lccc}",
        r"\hline",
        r"Dimension & Preference (\%) & 95\,\% interval & $p$ \\",
    ]
    for each in found.comparisons:
        title = f"{each.group}: {each.model} over {each.other}"
        lines += [r"\hline", f"\\multicolumn{{4}}{{l}}{{{escape_latex(title)}}} \\\\"]
        lines += [_latex_row(row) for row in each.rows]
    return [*lines, r"\hline", r"\end{tabular}", r"\end{table}"]


def _latex_row(row: PreferenceRow) -> str:
    found = row.preference
    interval = "--"
    if found.interval is not None:
        interval = "--".join(in_percent(end, found.answers) for end in found.interval)
    share = "--" if found.share is None else found.share_words
    p = found.p_pairs if found.holm_pairs is None else found.holm_pairs
    return f"{escape_latex(row.name)} & {share} & {interval} & {_latex_p(p)} \\\\".replace(
        "–", "--"
    )


def _latex_p(p: float | None) -> str:
    return p_words(p).replace("<", "$<$")


def p_words(p: float | None) -> str:
    """A p in words, as papers print it."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
