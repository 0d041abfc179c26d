"""A comparison in words, for a terminal."""

from app.comparisons.comparing import Compared, SideRow
from app.comparisons.figures import Coefficient, Share


def in_words(found: Compared) -> str:
    """The sums, what each run took and how right it is, and the attributes that differ, most first."""
    if found.figures is None:
        return "These runs have not been compared yet."
    first, second, figures = found.first, found.second, found.figures
    names = [f"run {run.id} ({run.agent} {run.agent_version})" for run in (second, first)]
    lines = [
        f"{' against '.join(names)}, in the {found.comparison.images} images that both labelled",
        f"{found.total('in_both')} labels of both, {found.total('only_first')} lost, {found.total('only_second')} gained",
        f"agreement: AC1 {_coefficient(figures.ac1)}, kappa {_coefficient(figures.kappa)}",
    ]
    for run, precision, recall in (
        (first, figures.precision_first, figures.recall_first),
        (second, figures.precision_second, figures.recall_second),
    ):
        lines.append(
            f"run {run.id}: precision {_share(precision)}, recall {_share(recall)}; "
            f"{run.tokens_in + run.tokens_out} tokens, cost {run.cost:.2f}"
        )
    rows = [each for each in found.asked_by("both") if _differences(each)]
    lines += [_row(each) for each in sorted(rows, key=lambda row: -_differences(row))]
    if alone := len(found.sides) - len(found.asked_by("both")):
        lines.append(f"{alone} sides that only one of both looked for")
    return "\n".join(lines)


def _differences(row: SideRow) -> int:
    return row.side.only_first + row.side.only_second


def _row(row: SideRow) -> str:
    side, keys = row.side, " / ".join(node.key for node in row.nodes)
    sign = "+" if side.polarity == "positive" else "-"
    return f"{sign} {keys}: both {side.in_both}, lost {side.only_first}, gained {side.only_second}"


def _coefficient(found: Coefficient) -> str:
    if found.value is None:
        return "not known"
    if found.low is None or found.high is None:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _share(found: Share) -> str:
    if not found.of:
        return "not known"
    interval = f" ({found.interval_words})" if found.low is not None else ""
    return f"{found.words} %{interval} of {found.of}"
