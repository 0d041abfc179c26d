"""The study's two drawings as SVG, without a library: readable on light and on dark paper."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 62, 190, 16, 50
COLORS = ("#2f6fb3", "#c0532b", "#3f8f5b", "#8a5fb0", "#b8860b", "#4aa3a3", "#c2528b", "#777777")
STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#222}line,path.axis{stroke:#888}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>"
)

Points = Sequence[tuple[float, float]]


def scatter(series: Mapping[str, Points], x_title: str, y_title: str, x: Sequence[float]) -> str:
    """Points joined in their order, a series in each colour; y in powers. `x` are the ticks of the other axis."""
    values = [y for points in series.values() for _, y in points]
    ticks = [
        y for y in (1, 2, 5, 10, 20, 50, 100, 200, 500) if min(values) / 2 < y < max(values) * 2
    ]
    low, high = math.log(min(*values, *ticks)), math.log(max(*values, *ticks))
    return _drawing(
        series,
        x_title,
        y_title,
        x,
        ticks,
        _across(x),
        lambda y: _upward((math.log(y) - low) / (high - low)),
        has_marks=True,
    )


def lines(
    series: Mapping[str, Points], x_title: str, y_title: str, x: Sequence[float], y: Sequence[float]
) -> str:
    """Curves; `x` and `y` are the ticks, and what lies beyond the outermost is cut off."""
    low, high = min(y), max(y)
    return _drawing(
        series,
        x_title,
        y_title,
        x,
        y,
        _across(x),
        lambda value: _upward((min(max(value, low), high) - low) / (high - low)),
        has_marks=False,
    )


def _across(ticks: Sequence[float]) -> Callable[[float], float]:
    low, high = min(ticks), max(ticks)
    return lambda value: LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)


def _upward(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _drawing(
    series: Mapping[str, Points],
    x_title: str,
    y_title: str,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    across: Callable[[float], float],
    upward: Callable[[float], float],
    *,
    has_marks: bool,
) -> str:
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(y_title)} by {escape(x_title)}">'
        ),
        STYLE,
        f'<text x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_title)}</text>',
        f'<text transform="translate(14 {HEIGHT / 2:.1f}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>',
    ]
    for tick in x_ticks:
        parts.append(_line(across(tick), _upward(0), across(tick), _upward(0) + 5))
        parts.append(
            f'<text x="{across(tick):.1f}" y="{_upward(0) + 20:.1f}" text-anchor="middle">{tick:g}</text>'
        )
    for tick in y_ticks:
        parts.append(_line(LEFT, upward(tick), WIDTH - RIGHT, upward(tick), faint=True))
        parts.append(
            f'<text x="{LEFT - 6}" y="{upward(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for number, (name, points) in enumerate(series.items()):
        color = COLORS[number % len(COLORS)]
        places = [(across(x), upward(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dash = ' stroke-dasharray="5 4"' if number >= len(COLORS) else ""
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>'
        )
        if has_marks:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>' for x, y in places
            ]
        y_label = TOP + 14 + 20 * number
        across_legend = f"{WIDTH - RIGHT + 10},{y_label - 4} {WIDTH - RIGHT + 32},{y_label - 4}"
        parts.append(
            f'<polyline points="{across_legend}" stroke="{color}" stroke-width="3"{dash}/>'
        )
        parts.append(f'<text x="{WIDTH - RIGHT + 38}" y="{y_label}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(x1: float, y1: float, x2: float, y2: float, *, faint: bool = False) -> str:
    opacity = ' opacity="0.3"' if faint else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{opacity}/>'
