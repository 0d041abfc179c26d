"""The rules of the measured agent, as data: which measure decides which attribute pair, and where.

Thresholds were set on the 240 real paintings and the demo painter's seeds 0 to 199 described in
docs/agent-measured.md, with a band between the two sides in which nothing is proposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
    relation: Literal["opposed", "flaw"]
    positive: tuple[Condition, ...]
    negative: tuple[Condition, ...]
    reference: str
    explanation: str


def above(measure: str, threshold: float, span: float = 0.0) -> Condition:
    """The measure must lie above the threshold."""
    return Condition(measure, "above", threshold, span)


def below(measure: str, threshold: float, span: float = 0.0) -> Condition:
    """The measure must lie below the threshold."""
    return Condition(measure, "below", threshold, span)


RULES: tuple[Rule, ...] = (
    # Brushwork and texture
    Rule(
        "visible-brushwork",
        "opposed",
        (above("stroke strength", 2.0, 2.5), below("texture unevenness", 1.0)),
        (below("stroke strength", 0.75, 0.6),),
        "Johnson et al. 2008; Li et al. 2012",
        "Fine structure at the scale of brush marks stays strong even in the calm parts of the picture.",
    ),
    Rule(
        "rich-impasto-texture",
        "opposed",
        (
            above("ridge contrast", 1.6, 1.5),
            above("stroke strength", 2.3),
            below("texture unevenness", 0.85),
        ),
        (),  # A thin film and a smooth thick one look alike in a reproduction.
        "Laws 1980; Bigün & Granlund 1987",
        "Directed ridges of high contrast in the fine structure, over most of the surface and not only at details.",
    ),
    Rule(
        "even-surface-grain",
        "opposed",
        (
            below("texture unevenness", 0.42, 0.3),
            above("stroke strength", 0.7),
            below("stroke coherence", 0.32),
        ),
        (above("texture unevenness", 1.75, 1.5), above("stroke strength", 0.4)),
        "Tamura, Mori & Yamawaki 1978; Laws 1980",
        "Undirected fine texture whose strength hardly differs from one area to the next.",
    ),
    Rule(
        "varied-stroke-direction",
        "opposed",
        (
            below("stroke one-way", 0.14, 0.14),
            above("stroke strength", 1.2),
            above("stroke coherence", 0.30),
        ),
        (
            above("stroke one-way", 0.72, 0.25),
            above("stroke strength", 0.8),
            above("stroke coherence", 0.25),
        ),
        "Bigün & Granlund 1987; Li et al. 2012",
        "Resultant of the stroke directions over the surface: near 0 they differ, near 1 they are parallel.",
    ),
    # Light and shadow
    Rule(
        "wide-tonal-range",
        "opposed",
        (above("tonal extent", 74, 15), below("darkest L*", 14), above("lightest L*", 80)),
        (below("tonal extent", 44, 15),),
        "Datta et al. 2006; Machajdik & Hanbury 2010",
        "Distance between the 2nd and the 98th percentile of L*, with both ends of the scale occupied.",
    ),
    Rule(
        "strong-light-dark-contrast",
        "opposed",
        (above("squinted contrast", 18, 6),),
        (below("squinted contrast", 9.6, 4),),
        "Peli 1990",
        "Root mean square contrast of the blurred picture, that is of its masses.",
    ),
    Rule(
        "clear-light-direction",
        "opposed",
        (above("light direction", 0.105, 0.15), above("squinted contrast", 6)),
        (
            below("light direction", 0.006, 0.006),
            above("squinted contrast", 20),
            above("detail cover", 0.6),
        ),
        "Pentland 1982",
        "Agreement of the sideways direction of soft lightness gradients.",
    ),
    Rule(
        "luminous-high-key",
        "flaw",
        (above("median L*", 68, 14), above("quarter L*", 50)),
        (below("squinted contrast", 7.5, 4), above("darkest L*", 45)),
        "Machajdik & Hanbury 2010 (brightness)",
        "Most of the picture lies in light values; washed out where even the darkest are pale and nothing stands out.",
    ),
    Rule(
        "controlled-low-key",
        "flaw",
        (below("median L*", 24, 12), below("upper quarter L*", 45)),
        (below("lightest L*", 48, 20),),
        "Machajdik & Hanbury 2010 (brightness)",
        "Most of the picture lies in dark values; murky where no light is left.",
    ),
    Rule(
        "layered-midtones",
        "opposed",
        (above("midtone layers", 0.76, 0.15),),
        (below("midtone layers", 0.34, 0.2), above("tonal extent", 60)),
        "Machajdik & Hanbury 2010 (entropy)",
        "Share and evenness of the values between L* 20 and 80.",
    ),
    # Composition
    Rule(
        "bilateral-symmetry",
        "flaw",
        (above("mirror symmetry", 0.36, 0.4),),
        (above("mirror symmetry", 0.93, 0.05),),
        "Locher & Nodine 1989; Bauerly & Liu 2006",
        "Correlation with the mirror image, after what repeats along whole rows is taken out.",
    ),
    Rule(
        "focal-point-composition",
        "opposed",
        (above("focal share", 0.34, 0.15),),
        (below("focal share", 0.19, 0.06), above("detail cover", 0.5)),
        "Achanta et al. 2009; Hou & Zhang 2007",
        "Share of the visual attention that one window of a fourth of each side holds.",
    ),
    Rule(
        "visual-balance",
        "opposed",
        (below("sideways lean", 0.008, 0.008),),
        (above("sideways lean", 0.055, 0.04),),
        "Arnheim 1954; McManus, Stöver & Kim 2011",
        "Distance of the centre of visual weight from the upright middle axis.",
    ),
    Rule(
        "thirds-placement",
        "opposed",
        (below("third distance", 0.085, 0.06), above("focal share", 0.24)),
        (below("centre distance", 0.085, 0.06), above("focal share", 0.24)),
        "Datta et al. 2006; Machajdik & Hanbury 2010",
        "Distance of the main accent from a crossing of the thirds, or from the middle.",
    ),
    Rule(
        "pictorial-richness",
        "opposed",
        (above("detail cover", 0.74, 0.2), above("shape number", 28)),
        (below("detail cover", 0.28, 0.2), above("calm area", 0.45)),
        "Rosenholtz, Li & Nakano 2007",
        "Share of the picture area in which something happens.",
    ),
    Rule(
        "reserved-empty-space",
        "opposed",
        (above("calm area", 0.30, 0.3), below("calm area", 0.85)),
        (above("detail cover", 0.86, 0.1), below("calm area", 0.05)),
        "Rosenholtz, Li & Nakano 2007",
        "The largest connected calm area.",
    ),
    Rule(
        "horizontal-composition",
        "flaw",
        (above("level structure", 0.50, 0.3), below("upright structure", 0.22)),
        (above("row share", 0.84, 0.1), above("level structure", 0.6)),
        "Bigün & Granlund 1987",
        "Share of the coarse structure that runs level; bands where whole rows explain nearly all of the lightness.",
    ),
    Rule(
        "vertical-composition",
        "flaw",
        (above("upright structure", 0.42, 0.3), below("level structure", 0.30)),
        (above("column rhythm", 0.42, 0.3), above("upright structure", 0.5)),
        "Bigün & Granlund 1987",
        "Share of the coarse structure that runs upright; a fence where the uprights repeat at one distance.",
    ),
    Rule(
        "diagonal-composition",
        "flaw",
        (
            above("slant structure", 0.29, 0.3),
            below("counter slant", 0.55),
            below("level structure", 0.40),
        ),
        (below("counter slant", 0.06, 0.06), above("slant structure", 0.5)),
        "Bigün & Granlund 1987",
        "Share of the coarse structure along one diagonal; runaway where the other diagonal is missing.",
    ),
    Rule(
        "circular-composition",
        "flaw",
        (above("ring likeness", 0.665, 0.2), above("ring closure", 0.92)),
        (above("ring closure", 0.988, 0.01), above("ring likeness", 0.75)),
        "Loy & Zelinsky 2003",
        "Share of the squinted gradients that point to one centre, from all sides of it.",
    ),
    # Color relationship
    Rule(
        "rich-saturation",
        "flaw",
        (above("colourfulness", 54, 30), above("mean chroma", 18)),
        (above("colourfulness", 105, 30), above("mean chroma", 45)),
        "Hasler & Süsstrunk 2003",
        "Colourfulness M(3), together with the mean chroma of the area.",
    ),
    Rule(
        "warm-dominance",
        "flaw",
        (above("warm surplus", 0.55, 0.4),),
        (above("warm share", 0.93, 0.06), below("cool share", 0.003), above("mean chroma", 26)),
        "Machajdik & Hanbury 2010 (Itten); CIELAB hue",
        "Warm less cool share of the area; overheated where strong warm colour leaves nothing else.",
    ),
    Rule(
        "cool-dominance",
        "flaw",
        (above("cool surplus", 0.25, 0.5),),
        (above("cool share", 0.90, 0.09), below("warm share", 0.005)),
        "Machajdik & Hanbury 2010 (Itten); CIELAB hue",
        "Cool less warm share of the area; frozen where no warm spot is left.",
    ),
    Rule(
        "warm-cool-contrast",
        "opposed",
        (above("lesser temperature", 0.09, 0.2), above("temperature spread", 22)),
        (below("temperature spread", 15, 8), below("lesser temperature", 0.01)),
        "Machajdik & Hanbury 2010 (Itten: warm and cold contrast)",
        "Area of the rarer of the two temperatures, and the distance between the warmest and the coolest tenth.",
    ),
    Rule(
        "complementary-contrast",
        "flaw",
        (above("hue opposition", 0.16, 0.2), above("opposed hues", 0.72), above("mean chroma", 10)),
        (above("hue opposition", 0.40, 0.1), above("mean chroma", 32)),
        "Cohen-Or et al. 2006 (template I)",
        "Colour in the weaker of two opposite hue sectors; at war where both are equal and strong.",
    ),
    Rule(
        "analogous-harmony",
        "flaw",
        (above("hue sector", 0.955, 0.04), above("mean chroma", 11)),
        (
            below("temperature spread", 14, 8),
            above("hue sector", 0.99),
            below("squinted contrast", 11),
        ),
        "Cohen-Or et al. 2006 (template V)",
        "Share of the colour within 90 degrees of the hue circle; one note where chroma and value vary little too.",
    ),
    Rule(
        "limited-palette",
        "opposed",
        (below("hue number", 2.6, 1.2), above("hue number", 0.5)),
        (above("hue number", 5.2, 2.0), above("mean chroma", 10)),
        "Cohen-Or et al. 2006; Machajdik & Hanbury 2010",
        "Effective number of hues (exponential of the entropy of the chroma-weighted histogram).",
    ),
    Rule(
        "value-led-color",
        "opposed",
        (above("value share", 0.74, 0.2), above("squinted contrast", 11)),
        (below("value share", 0.30, 0.2), above("mean chroma", 12)),
        "Machajdik & Hanbury 2010; CIELAB variance",
        "Share of lightness in the colour differences between the masses.",
    ),
    # Edge relationship
    Rule(
        "clear-edges",
        "opposed",
        (below("edge width", 1.12, 0.5), above("hard edges", 0.6)),
        (above("edge width", 1.9, 2.0),),
        "Marziliano et al. 2002; Zhuo & Sim 2011",
        "Median width of the borders between masses.",
    ),
    Rule(
        "lost-and-found-edges",
        "opposed",
        (above("changing contours", 0.19, 0.15), above("hard edges", 0.3)),
        (
            below("changing contours", 0.025, 0.025),
            above("hard edges", 0.7),
            below("stroke strength", 1.9),
        ),
        "Elder & Zucker 1998; Zhuo & Sim 2011",
        "Length of the contours that are hard in one stretch and wide in another.",
    ),
    Rule(
        "edge-hierarchy",
        "opposed",
        (above("edge spread", 1.05, 0.4), below("hard edges", 0.65), above("hard edges", 0.12)),
        (below("edge spread", 0.66, 0.3),),
        "Elder & Zucker 1998; Zhuo & Sim 2011",
        "Borders of many widths, the hard ones not everywhere.",
    ),
    Rule(
        "soft-transitions",
        "opposed",
        (above("soft edges", 0.11, 0.3), above("edge width", 1.5)),
        (above("hard edges", 0.85, 0.1), below("soft edges", 0.05), below("stroke strength", 1.2)),
        "Marziliano et al. 2002; Zhuo & Sim 2011",
        "Share of wide borders; cut out where nearly all are hard and the paint between them is smooth.",
    ),
    # Perspective and space
    Rule(
        "atmospheric-perspective",
        "opposed",
        (
            above("distance haze", 11, 15),
            below("contrast fall", 1.2),
            above("row share", 0.25),
            above("haze steps", 2.5),
            above("format", 1.04),
        ),
        (),  # Dark far walls and near white cloths look just like air that is missing.
        "He, Sun & Tang 2009",
        "How much paler the darks get from the lower edge to the middle distance, in wide pictures built in level zones.",
    ),
    Rule(
        "foreground-background-separation",
        "opposed",
        (above("figure contrast", 1.75, 1.0), above("mass share", 0.5)),
        (below("figure contrast", 0.55, 0.4),),
        "Achanta et al. 2009; Fisher's ratio",
        "Difference of what stands out from what does not, against the spread within both.",
    ),
    # Shape and form
    Rule(
        "simplified-masses",
        "opposed",
        (above("mass share", 0.74, 0.15),),
        (below("mass share", 0.42, 0.2), above("shape number", 30)),
        "Graham & Redies 2010",
        "Share of the lightness variance that is left when one squints.",
    ),
    Rule(
        "shape-variety",
        "opposed",
        (above("shape sizes", 1.22, 0.4), above("shape outlines", 0.80)),
        (below("shape sizes", 1.0, 0.3), below("shape outlines", 0.70), above("shape number", 12)),
        "Datta et al. 2006",
        "Spread of the areas, proportions and fullness of the shapes of like value.",
    ),
)

# Pairs that stand in one exclusive dimension: at most one of their positive attributes is proposed.
EXCLUSIVE: tuple[frozenset[str], ...] = (
    frozenset({"luminous-high-key", "controlled-low-key"}),
    frozenset(
        {
            "horizontal-composition",
            "vertical-composition",
            "diagonal-composition",
            "circular-composition",
        }
    ),
    frozenset({"warm-dominance", "cool-dominance"}),
    frozenset({"complementary-contrast", "analogous-harmony"}),
)
