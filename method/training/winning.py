"""What the winning part of a stage 2 run says: healthy, misdirected, overshooting or frozen.

With e, r, w, l the predictions of theta and reference and the two targets (Eq. 10 to 12),

    win = |w - e|^2 - |w - r|^2 = alignment + drift,   alignment = -2 <w - r, e - r>,   drift = |e - r|^2.

Theta that has moved the share c of the gap w - l has win = c^2 |w - l|^2 - 2 c <w - r, w - l>: lowest at
c = lead / gap, above 0 beyond twice that. Where attributes add up, that share is
(omega_w - 1) / (omega_w + omega_l - 1); with omega_w 1 the winning part has to rise whatever the model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

from method.student import student_quantile
from method.training.numbers import short, signed

MOST_ROWS = 200
"""Logged steps that are read, the newest; the later half of them counts."""
LEAST_ROWS = 8
DEAD_FACTOR = 1e-3
"""A mean factor below which images teach nothing; it begins at 1/2."""

Kind = Literal["healthy", "misdirected", "overshooting", "frozen", "unguided", "uncertain"]
TITLES: Mapping[Kind, str] = {
    "healthy": "Healthy",
    "misdirected": "Misdirected",
    "overshooting": "Overshooting",
    "frozen": "Frozen",
    "unguided": "Rising by design",
    "uncertain": "Not to be told yet",
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over logged steps and half of its 95 % interval (Student's t; steps count as independent)."""

    mean: float
    half_width: float

    @property
    def is_above(self) -> bool:
        return self.mean - self.half_width > 0

    @property
    def is_below(self) -> bool:
        return self.mean + self.half_width < 0

    def __str__(self) -> str:
        return f"{signed(self.mean)} ± {short(self.half_width)}"


@dataclass(frozen=True, slots=True)
class Geometry:
    """Shares of the gap between the two targets."""

    gone: float
    """How much of it theta has gone, <e - r, w - l> / |w - l|^2."""
    lowest: float
    """Where the winning part is lowest, lead / gap; at 0 or below it cannot fall along the gap at all."""
    expected: float | None
    """Where it would be lowest if attributes added up; None where targets are not guided."""


@dataclass(frozen=True, slots=True)
class Winning:
    """What was read from the later half of the newest logged steps."""

    kind: Kind
    rows: int
    win: Estimate
    alignment: Estimate
    drift: Estimate
    geometry: Geometry | None
    """None for runs of earlier releases, which did not log gap and lead."""

    @property
    def title(self) -> str:
        return TITLES[self.kind]

    @property
    def is_good(self) -> bool:
        return self.kind == "healthy"

    @property
    def is_bad(self) -> bool:
        return self.kind in ("misdirected", "overshooting", "frozen")

    @property
    def what(self) -> str:
        """What is seen, in a sentence or two."""
        return _WHAT[self.kind].format(
            win=self.win, alignment=self.alignment, drift=short(self.drift.mean), rows=self.rows
        )

    @property
    def geometry_in_words(self) -> str:
        """Where theta is between the two targets, and what the winning part can do there."""
        found = self.geometry
        if found is None:
            return ""
        gone = f"Theta has gone {found.gone:.0%} of the gap between the two targets"
        if found.lowest <= 0:
            return f"{gone}. The winner does not lie ahead of the reference along it, so the winning part cannot fall."
        expected = (
            "" if found.expected is None else f" (where attributes add up: {found.expected:.0%})"
        )
        return (
            f"{gone}; along it the winning part is lowest at {found.lowest:.0%}{expected} and above 0 beyond "
            f"{2 * found.lowest:.0%}."
        )

    def in_words(self) -> str:
        """All of it, for logs and model cards."""
        return " ".join(
            part
            for part in (f"{self.title}.", self.what, self.geometry_in_words, self.advice)
            if part
        )

    @property
    def advice(self) -> str:
        """What to do."""
        is_past = self.geometry is not None and 0 < self.geometry.lowest < self.geometry.gone
        if self.kind == "healthy" and is_past:
            return "It is past its lowest point: end the run here, or lower the learning rate."
        return _ADVICE[self.kind]


_WHAT: Mapping[Kind, str] = {
    "healthy": "Theta goes toward the winner and not too far: the winning part is {win}, of which alignment "
    "{alignment} and drift {drift}.",
    "misdirected": "Theta moves away from the winner: alignment is {alignment}, above 0, so the winning part "
    "({win}) rises whatever the drift ({drift}).",
    "overshooting": "Theta goes toward the winner, but too far: alignment is {alignment}, and the drift of "
    "{drift} is more than that wins, so the winning part is {win}.",
    "frozen": "Theta is further from the winner than the reference is (winning part {win}), and the factor "
    "before the gradient is dead: nothing leads it back, and a loss near 0 is no success here.",
    "unguided": "With ω of the winner at 1 the winner says nothing of what is flawed, so the winning part has "
    "to rise whatever the model; it is {win}.",
    "uncertain": "Over the last {rows} logged steps the winning part is {win} and alignment {alignment}: too "
    "near to 0 for so few images.",
}
_ADVICE: Mapping[Kind, str] = {
    "healthy": "Nothing needs to be done.",
    "misdirected": "Look at the expert's attribute gain: an expert that knows no attributes is the usual cause, "
    "and stage 1 has to be trained longer or on more images. A lower learning rate does not help.",
    "overshooting": "Lower the learning rate (drift grows with its square), stop earlier, or raise beta or "
    "set objective.drift_cap where the objective reads them.",
    "frozen": "Lower the learning rate, or set objective.drift_cap; do not go by the loss.",
    "unguided": "Judge it by the negative attributes of its pictures.",
    "uncertain": "Train longer, with a larger batch, or with validation.every.",
}


def read_winning(
    rows: Sequence[Mapping[str, Any]], omegas: tuple[float, float] | None
) -> Winning | None:
    """Read logged steps, oldest first; None where there are too few, or they have no winning part and drift.

    `omegas` are the guidance of winner and loser, or None for targets without any. Rows of earlier releases need no `alignment`: it is win - drift.
    """
    told = [row for row in rows[-MOST_ROWS:] if _has(row, "win") and _has(row, "drift")]
    late = told[len(told) // 2 :]
    if len(late) < LEAST_ROWS:
        return None
    win, drift = (_estimate([float(row[name]) for row in late]) for name in ("win", "drift"))
    alignment = _estimate([float(row["win"]) - float(row["drift"]) for row in late])
    factors = [float(row["factor"]) for row in late if _has(row, "factor")]
    is_dead = bool(factors) and fmean(factors) < DEAD_FACTOR
    return Winning(
        kind=_kind_of(
            win, alignment, is_dead=is_dead, is_unguided=omegas is not None and omegas[0] <= 1
        ),
        rows=len(late),
        win=win,
        alignment=alignment,
        drift=drift,
        geometry=_geometry(late, omegas),
    )


def _kind_of(win: Estimate, alignment: Estimate, *, is_dead: bool, is_unguided: bool) -> Kind:
    if is_unguided:
        return "unguided"
    if is_dead and win.is_above:
        return "frozen"
    if alignment.is_above:
        return "misdirected"
    if alignment.is_below and win.is_above:
        return "overshooting"
    return "healthy" if win.is_below else "uncertain"


def _geometry(
    rows: Sequence[Mapping[str, Any]], omegas: tuple[float, float] | None
) -> Geometry | None:
    whole = [row for row in rows if all(_has(row, name) for name in ("gap", "lead", "lose"))]
    gap = fmean(float(row["gap"]) for row in whole) if whole else 0.0
    if gap <= 0:
        return None
    # lose - win = 2 <w - l, e - r>.
    apart = fmean(float(row["lose"]) - float(row["win"]) for row in whole)
    lead = fmean(float(row["lead"]) for row in whole)
    expected = (omegas[0] - 1) / (sum(omegas) - 1) if omegas else None
    return Geometry(apart / 2 / gap, lead / gap, expected)


def _estimate(values: Sequence[float]) -> Estimate:
    reach = student_quantile(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Estimate(fmean(values), reach)


def _has(row: Mapping[str, Any], name: str) -> bool:
    return isinstance(row.get(name), int | float)
