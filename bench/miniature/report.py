"""The study's report: one content, as Markdown and as a page, with drawings beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from bench.miniature.arms import BASE
from bench.miniature.drawing import lines, scatter
from bench.miniature.findings import THRESHOLDS, all_findings
from bench.miniature.running import Found, write_found
from bench.miniature.statistics import at_equal_flaws, change, curve, mean, of_group, races
from bench.miniature.worlds import EXACT, PICTURES, open_world

STYLE = """:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
.wide{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums;font-size:14px}
th,td{border-bottom:1px solid #8886;padding:.3rem .6rem;text-align:left;white-space:nowrap}td.words{white-space:normal;min-width:20rem}
img{max-width:100%}"""
GROUPS = {
    "reward": (
        "Rewards (Table 2)",
        (
            "Expert and stage 2 are told coarser words: scalar one for the picture, binary one for each of the three root "
            "dimensions (two attributes each, and none where these are even). Complex, all attributes, is CPO-S in the main table. "
            "Win, lose and drift are of each one's own targets."
        ),
    ),
    "npo": (
        "NPO (+NPO of Table 1)",
        (
            "NPO learns from swapped pairs and is meant to be painted away from. Under guidance with and without it on the "
            "unconditional side; all other tables are without guidance. Win, lose and drift are of the network without guidance."
        ),
    ),
    "lora": ("Adapters of rank 4", "The same on an adapter instead of all weights."),
    "omega": (
        "Guidance (Table S4)",
        "Beta 5000, the same omega on both sides; omega 2 stands in the main table.",
    ),
    "share": (
        "Shares of the data (Table 3)",
        "Beta 5000, 300 steps each; all pictures stand in the main table.",
    ),
    "weak": ("A weak expert", "60 steps of stage 1 instead of 1,500."),
}
TITLES = {
    EXACT: "Miniature study: the exact world",
    PICTURES: "Miniature study: pictures of 32 pixels",
}
HEAD = (
    "run",
    "change of #A_neg [95 %]",
    "#A_neg",
    "shows prompt",
    "off",
    "FD",
    "win",
    "lose",
    "drift",
)


@dataclass(frozen=True, slots=True)
class Table:
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Drawing:
    name: str
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    text: str
    parts: Sequence[Table | Drawing] = ()


def write_report(found: Found, folder: Path) -> None:
    """Write report.md, report.html, the drawings and found.json; the same results give the same bytes."""
    sections = _sections(found)
    for section in sections:
        for part in section.parts:
            if isinstance(part, Drawing):
                (folder / f"{part.name}.svg").write_text(part.svg, encoding="utf-8")
    (folder / "report.md").write_text(_as_markdown(sections), encoding="utf-8")
    (folder / "report.html").write_text(_as_page(sections), encoding="utf-8")
    write_found(found, folder / "found.json")


def _sections(found: Found) -> list[Section]:
    groups = [
        Section(title, text, [_figures(found, group)])
        for group, (title, text) in GROUPS.items()
        if of_group(found, group)
    ]
    raced = [_race(found)] if of_group(found, "speed") else []
    compared = [_compared(found)] if of_group(found, "main") else []
    return [
        _intro(found),
        _gates(found),
        _in_words(found),
        _main(found),
        *compared,
        *raced,
        *groups,
    ]


def _intro(found: Found) -> Section:
    seeds = ", ".join(map(str, found.seeds))
    flaws = len(open_world(found.world, found.seeds[0]).language.flaws)
    return Section(
        TITLES[found.world],
        f"{len(found.arms)} runs of stage 2 for each seed ({seeds}); a seed is a world with its own base and experts. "
        f"Trained by the project's own trainer. Fewer negatives (#A_neg, of {flaws} in a picture) are better; *off* is the squared distance "
        "to the nearest picture that the world has, in units of its spread (what the world holds: 1), *FD* the Frechet distance to "
        "everything it holds, *win*, *lose* and *drift* are of held-out pictures (Eq. 12). Intervals: seeds, then prompts drawn again.",
    )


def _gates(found: Found) -> Section:
    rows = [
        (str(seed), gate.what, gate.found, gate.asked, "met" if gate.is_met else "CLOSED")
        for seed in found.seeds
        for gate in found.gates[seed]
    ]
    table = Table(("seed", "what", "found", "asked for", ""), rows)
    return Section("Gates", "What had to hold before the first run.", [table])


def _in_words(found: Found) -> Section:
    rows = [(each.claim, each.verdict, each.words) for each in all_findings(found)]
    return Section(
        "In words", "Does it appear here?", [Table(("finding", "here", "counted from"), rows)]
    )


def _main(found: Found) -> Section:
    return Section(
        "All objectives",
        "All weights trained, 300 steps of 64 pictures, learning rate 3e-4, omega 2 where nothing else is said.",
        [_figures(found, "main", with_base=True)],
    )


def _figures(found: Found, group: str, *, with_base: bool = False) -> Table:
    rows = [("base", "", *_row(found, BASE))] if with_base else []
    rows += [
        (arm.title, change(found, arm.name).shown(), *_row(found, arm.name))
        for arm in of_group(found, group)
    ]
    return Table(HEAD, rows)


def _row(found: Found, name: str) -> tuple[str, ...]:
    forms = {
        "flaws_P": ".2f",
        "content": ".3f",
        "off_P": ".2f",
        "distance": ".2f",
        "win": "+.4f",
        "lose": "+.4f",
        "drift": ".4f",
    }
    return tuple(format(mean(found, name, figure), form) for figure, form in forms.items())


def _compared(found: Found) -> Section:
    rows = []
    for arm in of_group(found, "main"):
        if arm.kind == "cpo_s" and "beta" in arm.objective:
            continue
        off, drift, distance = (
            at_equal_flaws(found, arm.name, figure) for figure in ("off_P", "drift", "distance")
        )
        flaws = f"{mean(found, arm.name, 'flaws_P'):.2f}"
        if off and drift and distance:
            rows.append((arm.title, flaws, off.shown(), distance.shown(), drift.shown(3)))
        else:
            rows.append((arm.title, flaws, "fewer than CPO-S gets", "", ""))
    table = Table(("run", "#A_neg", "off", "FD", "drift"), rows)
    return Section(
        "At equal numbers of negatives",
        "Each run less CPO-S where that leaves as many negatives, read off the line through the base and CPO-S at its betas. Below zero is better.",
        [table, _strengths(found)],
    )


def _strengths(found: Found) -> Drawing:
    base = (mean(found, BASE, "flaws_P"), mean(found, BASE, "off_P"))
    series: dict[str, list[tuple[float, float]]] = {}
    for arm in of_group(found, "main"):
        title = arm.title.partition(",")[0].rstrip("0123456789. ") + (
            ", guarded" + (" by weights" if arm.guards_by == "weights" else "")
            if arm.guards_winner
            else ", eq12"
            if "margin" in arm.objective
            else ""
        )
        series.setdefault(title, [base]).append(
            (mean(found, arm.name, "flaws_P"), mean(found, arm.name, "off_P"))
        )
    ordered = {name: sorted(points, reverse=True) for name, points in series.items()}
    svg = scatter(
        ordered, "negatives in a picture", "off (logarithmic)", (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5)
    )
    return Drawing(
        "strengths",
        svg,
        "Negatives and distance from the world, from the base on: lower left is better.",
    )


def _race(found: Found) -> Section:
    rows = [
        (
            f"{race.beta:.0f}",
            f"{race.threshold:+.3f}",
            _steps(race.plain),
            _steps(race.stable),
            _factor(race.plain, race.stable),
        )
        for race in races(found, THRESHOLDS)
    ]
    table = Table(("beta", "winning part", "CPO, steps", "CPO-S, steps", "CPO / CPO-S"), rows)
    series = {
        arm.title.removesuffix(", lr 3e-5"): curve(found, arm.name)
        for arm in of_group(found, "speed")
    }
    last = max(step for points in series.values() for step, _ in points)
    svg = lines(
        series,
        "step",
        "winning part",
        [last * share / 4 for share in range(5)],
        (-0.04, -0.03, -0.02, -0.01, 0, 0.01, 0.02),
    )
    return Section(
        "Who is first at a winning part",
        "Learning rate 3e-5, validation every 10 steps, medians over seeds. A threshold that CPO never comes to makes any factor true, so both are told: where each is first, and how low each comes.",
        [table, Drawing("speed", svg, "The winning part on validation pictures, mean over seeds.")],
    )


def _steps(steps: float | None) -> str:
    return "never" if steps is None else f"{steps:.0f}"


def _factor(plain: float | None, stable: float | None) -> str:
    if stable is None:
        return "" if plain is None else "CPO alone"
    return "CPO-S alone" if plain is None else f"{plain / stable:.1f}"


def _as_markdown(sections: Sequence[Section]) -> str:
    parts = []
    for level, section in enumerate(sections):
        parts += [f"{'#' if level == 0 else '##'} {section.title}", section.text]
        for part in section.parts:
            if isinstance(part, Drawing):
                parts.append(f"![{part.caption}]({part.name}.svg)")
            else:
                head = f"| {' | '.join(part.head)} |\n|{' --- |' * len(part.head)}"
                rows = [[each.replace("|", "\\|") for each in row] for row in part.rows]
                parts.append("\n".join([head, *(f"| {' | '.join(row)} |" for row in rows)]))
    return "\n\n".join(parts) + "\n"


def _as_page(sections: Sequence[Section]) -> str:
    parts = []
    for level, section in enumerate(sections):
        name = "h1" if level == 0 else "h2"
        parts.append(
            f"<{name}>{escape(section.title)}</{name}>\n<p>{escape(section.text).replace('*', '')}</p>"
        )
        for part in section.parts:
            if isinstance(part, Drawing):
                parts.append(
                    f'<figure><img src="{part.name}.svg" alt="{escape(part.caption)}"><figcaption>{escape(part.caption)}</figcaption></figure>'
                )
            else:
                parts.append(_as_rows(part))
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(sections[0].title)}</title><style>{STYLE}</style><body><main>\n{body}\n</main></body></html>\n"
    )


def _as_rows(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(each) or "&nbsp;"}</th>' for each in table.head)
    rows = "\n".join(
        "<tr>"
        + "".join(
            f'<td class="words">{escape(x)}</td>' if len(x) > 60 else f"<td>{escape(x)}</td>"
            for x in row
        )
        + "</tr>"
        for row in table.rows
    )
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'
