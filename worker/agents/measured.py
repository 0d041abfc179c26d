"""The offline agent: proposes the attributes that image statistics can decide.

It looks at the pixels only. Each rule has a threshold for the positive side, one for the negative side and a band
between them in which it proposes nothing. Thresholds, references and known weaknesses: docs/agent-measured.md.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from method.agents import MEASURED_VERSION
from method.pictures import as_seen
from taxonomy.changes import places_in
from taxonomy.shipped import painting_criteria
from taxonomy.tree import POLARITIES, Criteria, Polarity, Side
from worker.agents import agent
from worker.agents.looking import FINE, MEASURES, measure
from worker.agents.rules import RULES, SHIPPED, Condition, Rule, Ties, ties_of
from worker.agents.trimming import picture_box

VERSION = MEASURED_VERSION


@dataclass(frozen=True)
class Finding:
    """A label the agent proposes, with what it rests on."""

    key: str
    polarity: Polarity
    measure: str
    value: float
    threshold: float
    reference: str
    confidence: float


class MeasuredAgent:
    """The agent of this module. Implements Agent."""

    identity = agent.Identity("measured", VERSION)
    # More than there are cores: while some findings are stored, the cores look at other images.
    at_once = 2 * (os.cpu_count() or 1)
    waits = ""

    def under(self, criteria: Criteria | None) -> MeasuredReader:
        """Made ready for these criteria; None: the shipped ones."""
        sides = frozenset(
            Side(rule.key, polarity)
            for rule in RULES
            for polarity in POLARITIES
            if rule.side(polarity)
        )
        if criteria is None:
            return MeasuredReader(SHIPPED, {side: side for side in sides})
        return MeasuredReader(ties_of(criteria), places_in(criteria, painting_criteria(), sides))

    def close(self) -> None:
        """Nothing lasts long enough to be given up."""


@dataclass(frozen=True)
class MeasuredReader:
    """The agent under one criteria version. Implements Reader; `places` is where what it knows stands in it."""

    ties: Ties
    places: Mapping[Side, Side]

    @property
    def decides(self) -> frozenset[Side]:
        """The sides that some rule decides."""
        return frozenset(self.places.values())

    def only(self, keys: Collection[str]) -> MeasuredReader:
        """The same, with what stands at these pairs."""
        return replace(
            self, places={side: at for side, at in self.places.items() if at.key in keys}
        )

    def label(
        self, image: Image.Image, account: agent.Account, memory: agent.Memory
    ) -> list[agent.Finding]:
        """What `label_image` finds, at the attributes that say so in these criteria."""
        del account, memory  # it takes nothing but time
        found = label_image(image, self.ties)
        placed = ((self.places.get(Side(each.key, each.polarity)), each) for each in found)
        return [
            agent.Finding(
                place.key,
                place.polarity,
                measure=each.measure,
                value=each.value,
                threshold=each.threshold,
                confidence=each.confidence,
            )
            for place, each in placed
            if place is not None
        ]


def open_agent() -> MeasuredAgent:
    """The measured agent; it needs nothing."""
    return MeasuredAgent()


def label_image(image: Image.Image, ties: Ties = SHIPPED) -> list[Finding]:
    """Propose attributes for one picture (any mode and size), in the order of `RULES`.

    `ties` are those of the criteria that the labels are for. Deterministic, and for any decodable picture: where there
    is too little to see it proposes less.
    """
    return decide(measure(see(image).rgb, NEEDED), ties)


def decide(values: Mapping[str, float], ties: Ties = SHIPPED) -> list[Finding]:
    """Apply the rules to the measures of one picture."""
    found: list[Finding] = []
    for rule in RULES:
        sides = [_finding(rule, polarity, values) for polarity in POLARITIES]
        found += _allowed(ties.relation_of(rule), *sides)
    return _keep_exclusive(found, ties)


# The measures that some rule asks for.
NEEDED = frozenset(
    condition.measure for rule in RULES for condition in rule.positive + rule.negative
)


def _allowed(relation: str, positive: Finding | None, negative: Finding | None) -> list[Finding]:
    """What the relation of a pair lets stand of its two sides."""
    if relation == "flaw" and not positive:
        return []  # a flaw qualifies its positive and is nothing without it
    if relation == "opposed" and positive and negative:
        return []
    return [finding for finding in (positive, negative) if finding]


def _finding(rule: Rule, polarity: Polarity, values: Mapping[str, float]) -> Finding | None:
    conditions = rule.side(polarity)
    if not _hold(conditions, values):
        return None
    first = conditions[0]
    value = values[first.measure]
    margin = abs(value - first.threshold) / first.span if first.span > 0 else 1.0
    confidence = round(0.55 + 0.4 * min(margin, 1.0), 3)
    return Finding(
        rule.key,
        polarity,
        first.measure,
        round(value, 4),
        first.threshold,
        rule.reference,
        confidence,
    )


def _hold(conditions: tuple[Condition, ...], values: Mapping[str, float]) -> bool:
    return bool(conditions) and all(condition.holds(values) for condition in conditions)


def _keep_exclusive(found: list[Finding], ties: Ties) -> list[Finding]:
    dropped: set[str] = set()
    for group in ties.exclusive:
        rivals = [
            finding for finding in found if finding.key in group and finding.polarity == "positive"
        ]
        rivals.sort(key=lambda finding: finding.confidence, reverse=True)
        dropped |= {finding.key for finding in rivals[1:]}
    return [finding for finding in found if finding.key not in dropped]


class Seen(NamedTuple):
    """A picture as this agent looks at it, and which part of the file's picture it is: left, upper, right and lower end
    as shares of width and height.
    """

    rgb: Image.Image
    inside: tuple[float, float, float, float]


def see(image: Image.Image) -> Seen:
    """Any decodable picture as people see it (8-bit sRGB) without an even border, of at most `FINE` pixels a side."""
    whole = as_seen(image)
    small = _at_most_fine(whole)
    box = picture_box(np.asarray(small))
    if (box.width, box.height) == small.size:
        return Seen(small, (0.0, 0.0, 1.0, 1.0))
    left, right = box.left / small.width, box.right / small.width
    top, bottom = box.top / small.height, box.bottom / small.height
    # Cut from the file's own pixels, so that a picture with a border is seen as finely as one without.
    first = (math.ceil(left * whole.width), math.ceil(top * whole.height))
    last = (math.floor(right * whole.width), math.floor(bottom * whole.height))
    return Seen(_at_most_fine(whole.crop((*first, *last))), (left, top, right, bottom))


def _at_most_fine(image: Image.Image) -> Image.Image:
    ratio = FINE / max(image.size)
    if ratio >= 1:
        return image
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    # Reducing by whole steps first keeps very large pictures fast.
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def measure_image(image: Image.Image) -> dict[str, float]:
    """Every measure of one picture by name (the names the rules use); all finite.

    What a picture is too small or too plain to show is left out, and no rule that needs it applies.
    """
    return measure(see(image).rgb, MEASURES)
