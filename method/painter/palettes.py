"""Colour of the demo painter: a few pigments per picture, mixed in OKLab.

A scene names what it paints (sky, foliage, flesh ...) and how light it is (0 to 1). The palette of the picture
decides what that looks like: it pulls every local hue towards its own scheme, and its key decides which
lightnesses exist at all. So a picture stays coherent whatever is in it, and the painter knows its colour scheme.

Colour space: OKLab, Björn Ottosson, "A perceptual color space for image processing" (2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# Local colours as they are in daylight: hue in degrees of OKLCH, chroma.
LOCAL: dict[str, tuple[float, float]] = {
    "sky": (245.0, 0.075),
    "cloud": (80.0, 0.025),
    "sun": (85.0, 0.11),
    "far": (255.0, 0.055),
    "water": (230.0, 0.07),
    "foliage": (135.0, 0.10),
    "autumn": (58.0, 0.13),
    "grass": (118.0, 0.105),
    "field": (92.0, 0.105),
    "earth": (62.0, 0.065),
    "stone": (75.0, 0.025),
    "bark": (65.0, 0.035),
    "roof": (38.0, 0.12),
    "plaster": (85.0, 0.035),
    "wood": (55.0, 0.085),
    "wall": (200.0, 0.035),
    "drapery": (262.0, 0.10),
    "linen": (85.0, 0.02),
    "flesh": (52.0, 0.065),
    "hair": (48.0, 0.06),
    "red": (27.0, 0.17),
    "orange": (55.0, 0.15),
    "yellow": (92.0, 0.145),
    "green": (145.0, 0.12),
    "blue": (258.0, 0.15),
    "violet": (305.0, 0.12),
    "rose": (5.0, 0.11),
    "neutral": (70.0, 0.012),
    "dark": (60.0, 0.03),
}


@dataclass(frozen=True)
class Key:
    """The lightness scale of a picture: OKLab L of value 0 and value 1, and the bend between them."""

    name: str
    low: float
    high: float
    bend: float


KEYS: dict[str, Key] = {
    "full": Key("full", 0.15, 0.97, 1.0),
    "middle": Key("middle", 0.46, 0.74, 1.0),
    "high": Key("high", 0.60, 0.985, 0.70),
    "low": Key("low", 0.12, 0.78, 1.0),
}


@dataclass(frozen=True)
class Palette:
    """A colour scheme.

    `poles` are the hues (degrees) that local hues are drawn to, `pull` how strongly (0 leaves the local colour, 1 snaps
    to the nearest pole), `strength` multiplies chroma, `floor` is the chroma that even neutral things take on.
    `lights` and `shadows` are hues mixed into the light and dark ends.
    """

    name: str
    poles: tuple[float, ...]
    pull: float
    strength: float
    floor: float
    lights: float
    shadows: float
    key: Key


def tint(palette: Palette, role: str, value: Floats) -> Floats:
    """The colour of `role` at `value` (any shape, 0 dark to 1 light) as OKLab, shape `(..., 3)`."""
    hue, chroma = LOCAL[role]
    hue, chroma = _into_scheme(palette, hue, chroma)
    value = np.clip(value, 0.0, 1.0)
    key = palette.key
    lightness = key.low + (key.high - key.low) * value**key.bend
    # Pigments are strongest in the middle of their range, and no screen shows strong colour near black or white.
    purity = chroma * np.clip(1.25 - 1.3 * np.abs(lightness - 0.58) ** 1.5 * 2.2, 0.12, 1.0)
    drift = np.clip((value - 0.5) * 0.5, -0.25, 0.25)
    a = purity * np.cos(np.radians(hue))
    b = purity * np.sin(np.radians(hue))
    for end, amount in (
        (palette.lights, np.maximum(drift, 0.0)),
        (palette.shadows, np.maximum(-drift, 0.0)),
    ):
        a = a + amount * (np.cos(np.radians(end)) * (purity * 0.6 + palette.floor) - a)
        b = b + amount * (np.sin(np.radians(end)) * (purity * 0.6 + palette.floor) - b)
    return np.stack([lightness, a, b], axis=-1).astype(np.float32)


def _into_scheme(palette: Palette, hue: float, chroma: float) -> tuple[float, float]:
    chroma = max(chroma * palette.strength, palette.floor)
    if not palette.poles:
        return hue, chroma
    gaps = [(hue - pole + 180.0) % 360.0 - 180.0 for pole in palette.poles]
    nearest = min(range(len(gaps)), key=lambda index: abs(gaps[index]))
    return palette.poles[nearest] + gaps[nearest] * (1.0 - palette.pull), chroma


def choose_palette(name: str, key: str, rng: np.random.Generator) -> Palette:
    """The palette called `name` (see `SCHEMES`) with small variations drawn from `rng`."""
    wander = float(rng.uniform(-8, 8))
    scale = KEYS[key]
    match name:
        case "warm":
            return Palette(name, (62.0 + wander,), 0.80, 1.05, 0.035, 88.0, 35.0, scale)
        case "cool":
            return Palette(name, (240.0 + wander,), 0.86, 0.95, 0.035, 215.0, 270.0, scale)
        case "complementary":
            first = float(rng.choice([57.0, 30.0, 92.0]))
            return Palette(
                name, (first, first + 182.0), 0.88, 1.2, 0.05, first, first + 182.0, scale
            )
        case "analogous":
            centre = float(rng.choice([75.0, 150.0, 215.0, 45.0, 268.0]))
            return Palette(name, (centre,), 0.80, 0.95, 0.03, centre + 18, centre - 18, scale)
        case "limited":
            first = float(rng.choice([65.0, 80.0, 50.0]))
            return Palette(name, (first, 240.0), 0.93, 0.42, 0.012, first, 250.0, scale)
        case "muted":
            return Palette(name, (70.0, 235.0), 0.5, 0.24, 0.006, 80.0, 250.0, scale)
        case "vivid":
            return Palette(name, (), 0.0, 1.45, 0.05, 85.0, 280.0, scale)
        case "natural":
            return Palette(name, (), 0.0, 0.92, 0.012, 82.0, 265.0, scale)
    raise ValueError(f"There is no palette called {name!r}; choose one of {', '.join(SCHEMES)}.")


SCHEMES = ("warm", "cool", "complementary", "analogous", "limited", "muted", "vivid", "natural")

_TO_CONE = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ],
    dtype=np.float32,
)
_TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ],
    dtype=np.float32,
)
_STEPS = 4095
_LEVELS = np.linspace(0.0, 1.0, _STEPS + 1)
_ENCODED = np.round(
    255
    * np.where(
        _LEVELS <= 0.0031308,
        12.92 * _LEVELS,
        1.055 * np.maximum(_LEVELS, 1e-9) ** (1 / 2.4) - 0.055,
    )
).astype(np.uint8)


def to_srgb(lab: Floats) -> npt.NDArray[np.uint8]:
    """OKLab `(..., 3)` as 8-bit sRGB of the same shape; colours outside sRGB are clipped."""
    cone = lab @ _TO_CONE.T
    linear = (cone * cone * cone) @ _TO_LINEAR.T
    encoded: npt.NDArray[np.uint8] = _ENCODED[
        (np.clip(linear, 0.0, 1.0) * _STEPS + 0.5).astype(np.int16)
    ]
    return encoded
