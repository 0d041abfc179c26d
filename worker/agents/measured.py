"""The offline agent: proposes the attributes that image statistics can decide.

It looks at the pixels only. Each rule has a threshold for the positive side, one for the negative side and a band
between them in which it proposes nothing. Thresholds, references and known weaknesses: docs/agent-measured.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.agents import measures
from worker.agents.rules import EXCLUSIVE, RULES, Condition, Rule

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

# Goes up whenever a measure, a rule or a threshold changes, so that labels can be traced to what made them.
VERSION = "1"

Polarity = Literal["positive", "negative"]

# Long sides in pixels: paint texture and borders need the first, colours the second, masses and places the third.
FINE, MIDDLE, COARSE = 512, 256, 160


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


def label_image(image: Image.Image) -> list[Finding]:
    """Propose attributes for one picture (any mode and size), in the order of `RULES`.

    Deterministic, and for any decodable picture: where there is too little to see it proposes less.
    """
    return decide(measure_image(image))


def decide(values: Mapping[str, float]) -> list[Finding]:
    """Apply the rules to the measures of one picture (`measure_image`)."""
    found: list[Finding] = []
    for rule in RULES:
        positive = _finding(rule, "positive", rule.positive, values)
        negative = _finding(rule, "negative", rule.negative, values)
        if rule.relation == "flaw":
            # A flaw qualifies its positive and is nothing without it.
            found += [finding for finding in (positive, negative) if finding and positive]
        elif positive and negative:
            continue
        else:
            found += [finding for finding in (positive, negative) if finding]
    return _keep_exclusive(found)


def _finding(
    rule: Rule, polarity: Polarity, conditions: tuple[Condition, ...], values: Mapping[str, float]
) -> Finding | None:
    if not conditions or not all(condition.holds(values) for condition in conditions):
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


def _keep_exclusive(found: list[Finding]) -> list[Finding]:
    dropped: set[str] = set()
    for group in EXCLUSIVE:
        rivals = [
            finding for finding in found if finding.key in group and finding.polarity == "positive"
        ]
        rivals.sort(key=lambda finding: finding.confidence, reverse=True)
        dropped |= {finding.key for finding in rivals[1:]}
    return [finding for finding in found if finding.key not in dropped]


def plain_rgb(image: Image.Image) -> Image.Image:
    """Any decodable picture as 8-bit RGB of at most `FINE` pixels; what is transparent lies on neutral grey."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;"):
        image = _eight_bit(image)
    ratio = FINE / max(image.size)
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in {"RGBA", "LA", "PA", "RGBa"} or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (119, 119, 119, 255))
        image = Image.alpha_composite(ground, image)
    image = image.convert("RGB")
    if ratio < 1:
        size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
        # Reducing by whole steps first keeps very large pictures fast.
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image


def _eight_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return Image.new("L", image.size, 128)
    return Image.fromarray(((values - low) / (high - low) * 255).astype(np.uint8))


def measure_image(image: Image.Image) -> dict[str, float]:
    """Every measure of one picture by name (the names the rules use); all finite.

    What a picture is too small or too plain to show is left out, and no rule that needs it applies.
    """
    rgb = plain_rgb(image)
    pixels = _at_most(rgb, MIDDLE)
    lab = measures.to_lab(pixels)
    return {
        **_tone(np.ascontiguousarray(lab[..., 0])),
        **_place(measures.to_lab(_at_most(rgb, COARSE))),
        **_colour(lab, pixels),
        **_paint(measures.to_lightness(np.asarray(rgb))),
    }


def _tone(lightness: Floats) -> dict[str, float]:
    return {
        "tonal extent": measures.tonal_extent(lightness),
        "darkest L*": measures.lightness_level(lightness, 2),
        "quarter L*": measures.lightness_level(lightness, 25),
        "median L*": measures.lightness_level(lightness, 50),
        "upper quarter L*": measures.lightness_level(lightness, 75),
        "lightest L*": measures.lightness_level(lightness, 98),
        "squinted contrast": measures.squinted_contrast(lightness),
        "midtone layers": measures.midtone_layers(lightness),
        "light direction": measures.light_direction(lightness),
        "row share": measures.row_share(lightness),
        "distance haze": measures.distance_haze(lightness),
        "haze steps": float(measures.haze_steps(lightness)),
        "format": lightness.shape[1] / lightness.shape[0],
        "contrast fall": measures.contrast_fall(lightness),
        "mass share": measures.mass_share(lightness),
    }


def _place(lab: Floats) -> dict[str, float]:
    lightness = np.ascontiguousarray(lab[..., 0])
    attention = measures.saliency(lab)
    spot = measures.focal_spot(attention)
    level, upright, slant = measures.direction_shares(lightness)
    detail = measures.detail_map(lightness)
    found = measures.shapes(lightness)
    return {
        "mirror symmetry": measures.mirror_symmetry(lab),
        "focal share": spot.share,
        "third distance": measures.third_distance(spot),
        "centre distance": measures.centre_distance(spot),
        "sideways lean": measures.sideways_lean(attention),
        "detail cover": measures.detail_cover(detail),
        "calm area": measures.calm_area(detail),
        "level structure": level,
        "upright structure": upright,
        "slant structure": slant,
        "counter slant": measures.counter_slant(lightness),
        "column rhythm": measures.column_rhythm(lightness),
        "ring likeness": measures.ring_likeness(lightness),
        "ring closure": measures.ring_closure(lightness),
        "figure contrast": measures.figure_contrast(lab, attention),
        "shape number": float(found.number),
        "shape sizes": found.size_spread,
        "shape outlines": found.outline_spread,
    }


def _colour(lab: Floats, rgb: Bytes) -> dict[str, float]:
    warm, cool = measures.temperature_shares(lab)
    hues = measures.hue_histogram(lab)
    weaker, both = measures.hue_opposition(hues)
    return {
        "colourfulness": measures.colourfulness(rgb),
        "mean chroma": measures.mean_chroma(lab),
        "warm share": warm,
        "cool share": cool,
        "warm surplus": warm - cool,
        "cool surplus": cool - warm,
        "lesser temperature": min(warm, cool),
        "temperature spread": measures.temperature_spread(lab),
        "hue sector": measures.hue_sector(hues),
        "hue opposition": weaker,
        "opposed hues": both,
        "hue number": measures.hue_number(hues),
        "value share": measures.value_share(lab),
    }


def _paint(lightness: Floats) -> dict[str, float]:
    """Measures of paint and borders, as far as the picture is large enough to show them."""
    values: dict[str, float] = {}
    if min(lightness.shape) >= measures.LEAST_SIDE_FOR_PAINT:
        skin = measures.surface(lightness)
        values |= {
            "stroke strength": skin.strength,
            "stroke coherence": skin.coherence,
            "texture unevenness": skin.unevenness,
            "stroke one-way": skin.one_way,
            "ridge contrast": skin.relief,
        }
    found = measures.borders(lightness)
    if found.widths.size >= measures.LEAST_BORDERS:
        hard, soft = measures.width_shares(found.widths)
        values |= {
            "edge width": measures.typical_width(found.widths),
            "hard edges": hard,
            "soft edges": soft,
            "edge spread": measures.width_spread(found.widths),
            "changing contours": measures.changing_contours(found),
        }
    return values


def _at_most(image: Image.Image, long: int) -> Bytes:
    ratio = long / max(image.size)
    if ratio >= 1:
        return np.asarray(image)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return np.asarray(image.resize(size, Image.Resampling.BOX))
