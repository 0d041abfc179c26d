"""The rules of the measured agent, as data: which measure decides which attribute pair, and where.

Thresholds were set on real paintings and the demo painter's seeds 0 to 199, described in docs/agent-measured.md, with a
band between the two sides in which nothing is proposed. Sides that real paintings proved wrong are in `withdrawn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from taxonomy.tree import Criteria, Dimension, Pair, Polarity, Relation

Side = Literal["above", "below"]


@dataclass(frozen=True)
class Condition:
    """`measure` lies above or below `threshold`; `span` beyond it the agent is as sure as it gets."""

    measure: str
    side: Side
    threshold: float
    span: float = 0.0

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether the measure is known and lies on the right side."""
        value = values.get(self.measure)
        if value is None:
            return False
        return value > self.threshold if self.side == "above" else value < self.threshold


@dataclass(frozen=True)
class Rule:
    """How one attribute pair is decided.

    All conditions of a side must hold; the first is the one reported. A side without conditions is never proposed.
    """

    key: str
    relation: Relation
    positive: tuple[Condition, ...]
    negative: tuple[Condition, ...]
    reference: str
    explanation: str

    def side(self, polarity: Polarity) -> tuple[Condition, ...]:
        return self.positive if polarity == "positive" else self.negative


@dataclass(frozen=True)
class Ties:
    """How the attributes that the rules decide bind one another in a criteria tree."""

    relations: Mapping[str, Relation]  # by pair key
    exclusive: tuple[frozenset[str], ...]  # pairs of whose positive attributes one at most holds

    def relation_of(self, rule: Rule) -> Relation:
        """The relation of a rule's pair; that of the shipped tree where this one has no such pair."""
        return self.relations.get(rule.key, rule.relation)


def above(measure: str, threshold: float, span: float = 0.0) -> Condition:
    return Condition(measure, "above", threshold, span)


def below(measure: str, threshold: float, span: float = 0.0) -> Condition:
    return Condition(measure, "below", threshold, span)


RULES: tuple[Rule, ...] = (
    # Brushwork and texture
    Rule(
        "even-surface-grain",
        "opposed",
        (
            below("texture unevenness", 0.37, 0.3),
            above("stroke strength", 0.78),
            below("stroke coherence", 0.32),
        ),
        (),
        "Tamura, Mori & Yamawaki 1978; Laws 1980",
        "Undirected fine texture whose strength hardly differs from one area to the next.",
    ),
    # Light and shadow
    Rule(
        "wide-tonal-range",
        "opposed",
        (
            above("tonal extent", 74.5, 15),
            below("darkest L*", 14),
            above("lightest L*", 81.1),
        ),
        (
            below("tonal extent", 44, 15),
            above("median L*", 30),
        ),
        "Datta et al. 2006; Machajdik & Hanbury 2010",
        "Distance between the 2nd and the 98th percentile of L*, with both ends of the scale occupied; a dark picture is not grey.",
    ),
    Rule(
        "strong-light-dark-contrast",
        "opposed",
        (above("squinted contrast", 19.6, 6),),
        (
            below("squinted contrast", 9.5, 4),
            above("median L*", 32.8),
        ),
        "Peli 1990",
        "Root mean square contrast of the blurred picture, that is of its masses; a small light in the dark has little of it and is not timid.",
    ),
    Rule(
        "luminous-high-key",
        "flaw",
        (
            above("median L*", 71.7, 14),
            above("quarter L*", 50.6),
        ),
        (),
        "Machajdik & Hanbury 2010 (brightness)",
        "Most of the picture lies in light values.",
    ),
    Rule(
        "controlled-low-key",
        "flaw",
        (
            below("median L*", 21.3, 12),
            below("upper quarter L*", 45),
        ),
        (
            above("murk", 0.25, 0.3),
            below("upper quarter L*", 20),
        ),
        "Machajdik & Hanbury 2010 (brightness)",
        "Most of the picture lies in dark values.",
    ),
    Rule(
        "layered-midtones",
        "opposed",
        (above("midtone layers", 0.802, 0.15),),
        (),
        "Machajdik & Hanbury 2010 (entropy)",
        "Share and evenness of the values between L* 20 and 80.",
    ),
    Rule(
        "connected-light-pattern",
        "opposed",
        (
            above("broad mass share", 0.65, 0.2),
            above("squinted contrast", 18.8),
        ),
        (
            below("broad mass share", 0.237, 0.15),
            below("detail unevenness", 0.4),
            above("detail cover", 0.8),
        ),
        "Graham & Redies 2010; Rosenholtz, Li & Nakano 2007",
        "Share of the lightness differences that is left when one nearly closes the eyes; sprinkled where hardly any is and all parts have some.",
    ),
    # Composition
    Rule(
        "asymmetric-picture-division",
        "opposed",
        (),
        (above("halving step", 8, 10),),
        "after Arnheim 1954",
        "Step of lightness along a level border in the middle of the height that runs through 85 of 100 columns.",
    ),
    Rule(
        "pictorial-richness",
        "opposed",
        (above("detail cover", 0.793, 0.2),),
        (),
        "Rosenholtz, Li & Nakano 2007",
        "Share of the picture area in which something happens.",
    ),
    Rule(
        "reserved-empty-space",
        "opposed",
        (
            above("calm area", 0.331, 0.3),
            below("calm area", 0.85),
        ),
        (
            above("border evenness", 0.56, 0.3),
            below("broad mass share", 0.265),
            above("detail cover", 0.8),
        ),
        "Rosenholtz, Li & Nakano 2007",
        "The largest connected calm area.",
    ),
    Rule(
        "horizontal-composition",
        "flaw",
        (
            above("level structure", 0.573, 0.3),
            below("upright structure", 0.22),
        ),
        (),
        "Bigün & Granlund 1987",
        "Share of the coarse structure that runs level.",
    ),
    # Color relationship
    Rule(
        "rich-saturation",
        "flaw",
        (
            above("colourfulness", 54.8, 30),
            above("mean chroma", 26.3),
        ),
        (
            above("least chroma", 20, 20),
            above("mean chroma", 34),
        ),
        "Hasler & Süsstrunk 2003",
        "Colourfulness M(3), together with the mean chroma of the area: strong colour must cover much, not only differ.",
    ),
    Rule(
        "muted-color",
        "flaw",
        (
            below("strong chroma", 19.2, 10),
            below("strong chroma seen", 42),
            above("mean chroma", 1.5),
        ),
        (),
        "Hasler & Süsstrunk 2003; CIELAB chroma",
        "Nineteen of twenty points have little chroma, but some: a gray photograph says nothing of color.",
    ),
    Rule(
        "warm-dominance",
        "flaw",
        (
            above("warm surplus", 0.426, 0.4),
            above("warm surplus seen", 0.2),
        ),
        (),
        "Machajdik & Hanbury 2010 (Itten); CIELAB hue",
        "Warm less cool share of the area.",
    ),
    Rule(
        "cool-dominance",
        "flaw",
        (
            above("cool surplus", 0.27, 0.4),
            above("cool surplus seen", 0.091),
            above("median L*", 12),
        ),
        (),
        "Machajdik & Hanbury 2010 (Itten); CIELAB hue",
        "Cool less warm share of the area.",
    ),
    Rule(
        "warm-cool-contrast",
        "opposed",
        (
            above("lesser temperature", 0.148, 0.2),
            above("temperature spread", 23.3),
            above("lesser temperature seen", 0.024),
        ),
        (),
        "Machajdik & Hanbury 2010 (Itten: warm and cold contrast)",
        "Area of the rarer of the two temperatures, and the distance between the warmest and the coolest tenth.",
    ),
    Rule(
        "complementary-contrast",
        "flaw",
        (
            above("hue opposition", 0.229, 0.2),
            above("hue opposition seen", 0.034),
            above("mean chroma", 10.1),
        ),
        (),
        "Cohen-Or et al. 2006 (template I)",
        "Colour in the weaker of two opposite hue sectors.",
    ),
    Rule(
        "analogous-harmony",
        "flaw",
        (
            above("hue sector", 0.966, 0.034),
            above("hue sector seen", 0.8),
            above("mean chroma", 9.1),
        ),
        (),
        "Cohen-Or et al. 2006 (template V)",
        "Share of the colour within 90 degrees of the hue circle.",
    ),
    Rule(
        "limited-palette",
        "opposed",
        (
            below("hue number", 2.4, 1.2),
            above("hue number", 0.5),
        ),
        (above("patch hues", 5.4, 2),),
        "Cohen-Or et al. 2006; Machajdik & Hanbury 2010",
        "Effective number of hues (exponential of the entropy of the chroma-weighted histogram).",
    ),
    Rule(
        "value-led-color",
        "opposed",
        (
            above("value share", 0.729, 0.2),
            above("squinted contrast", 11.6),
            above("mean chroma", 1.5),
        ),
        (
            above("hue borders", 0.66, 0.2),
            below("squinted contrast", 7.5),
            above("median L*", 30),
        ),
        "Machajdik & Hanbury 2010; CIELAB variance",
        "Share of lightness in the colour differences between the masses, where there is color.",
    ),
    # Edge relationship
    Rule(
        "clear-edges",
        "opposed",
        (
            below("edge width", 0.918, 0.4),
            above("hard edges", 0.6),
            above("squinted contrast", 10.5),
        ),
        (),
        "Marziliano et al. 2002; Zhuo & Sim 2011",
        "Median width of the borders between masses; where the masses hardly differ, the borders found are those of brush marks.",
    ),
    Rule(
        "soft-transitions",
        "opposed",
        (
            above("soft edges", 0.111, 0.2),
            above("edge width", 1.629),
        ),
        (
            above("hard edges", 0.85, 0.1),
            below("soft edges", 0.05),
            below("stroke strength", 1.2),
        ),
        "Marziliano et al. 2002; Zhuo & Sim 2011",
        "Share of wide borders; cut out where nearly all are hard and the paint between them is smooth.",
    ),
    # Perspective and space
    Rule(
        "atmospheric-perspective",
        "opposed",
        (
            above("distance haze", 17.2, 15),
            below("contrast fall", 1.08),
            above("row share", 0.25),
            above("haze steps", 2.5),
            above("format", 1.04),
            above("level structure", 0.403),
        ),
        (),
        "after He, Sun & Tang 2009",
        "How much paler the darks get from the lower edge to the middle distance, in wide pictures built in level zones.",
    ),
    Rule(
        "foreground-background-separation",
        "opposed",
        (
            above("figure contrast", 1.79, 1),
            above("mass share", 0.563),
        ),
        (),
        "Achanta et al. 2009; Fisher's ratio",
        "Difference of what stands out from what does not, against the spread within both.",
    ),
    # Shape and form
    Rule(
        "simplified-masses",
        "opposed",
        (above("mass share", 0.818, 0.15),),
        (
            below("mass share", 0.35, 0.2),
            above("border density", 0.2),
        ),
        "Graham & Redies 2010",
        "Share of the lightness variance that is left when one squints.",
    ),
)

# What the shipped tree says of these pairs: at most one of the positive attributes of a group is proposed.
SHIPPED = Ties(
    relations={rule.key: rule.relation for rule in RULES},
    exclusive=(
        frozenset({"luminous-high-key", "controlled-low-key"}),
        frozenset({"rich-saturation", "muted-color"}),
        frozenset({"warm-dominance", "cool-dominance"}),
        frozenset({"complementary-contrast", "analogous-harmony"}),
    ),
)


def ties_of(criteria: Criteria) -> Ties:
    """What a criteria tree says of the pairs that the rules decide."""
    known = {rule.key for rule in RULES}
    nodes = [entry.node for entry in criteria.walk()]
    groups = (
        frozenset(pair.key for pair in node.pairs) & known
        for node in nodes
        if isinstance(node, Dimension) and node.exclusive
    )
    return Ties(
        relations={node.key: node.relation for node in nodes if isinstance(node, Pair)},
        exclusive=tuple(group for group in groups if len(group) > 1),
    )
