"""One picture as the measured agent looks at it: measures by name, no more of them worked out than are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.agents.measures import colour, composition, edges, planes, shapes, space, surface, value

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

# Long sides in pixels: paint texture and borders need the first, colours the second, masses and places the third.
FINE, MIDDLE, COARSE = 512, 256, 160


class Look:
    """A plain RGB picture of at most `FINE` pixels at three sizes, and what several measures share."""

    def __init__(self, rgb: Image.Image) -> None:
        self.rgb = rgb

    @cached_property
    def pixels(self) -> Bytes:
        """8-bit sRGB at `MIDDLE`."""
        return _at_most(self.rgb, MIDDLE)

    @cached_property
    def lab(self) -> Floats:
        """CIELAB at `MIDDLE`."""
        return planes.to_lab(self.pixels)

    @cached_property
    def lightness(self) -> Floats:
        """L* at `MIDDLE`."""
        return np.ascontiguousarray(self.lab[..., 0])

    @cached_property
    def coarse_lab(self) -> Floats:
        """CIELAB at `COARSE`."""
        return planes.to_lab(_at_most(self.rgb, COARSE))

    @cached_property
    def coarse_lightness(self) -> Floats:
        """L* at `COARSE`."""
        return np.ascontiguousarray(self.coarse_lab[..., 0])

    @cached_property
    def fine_lightness(self) -> Floats:
        """L* at `FINE`."""
        return planes.to_lightness(np.asarray(self.rgb))

    @cached_property
    def attention(self) -> Floats:
        """Where the eye is drawn, at `COARSE`."""
        return composition.saliency(self.coarse_lab)

    @cached_property
    def spot(self) -> composition.Spot:
        return composition.focal_spot(self.attention)

    @cached_property
    def detail(self) -> Floats:
        """Local contrast by cell."""
        return composition.detail_map(self.coarse_lightness)

    @cached_property
    def directions(self) -> tuple[float, float, float]:
        """Level, upright and slantwise structure."""
        return composition.direction_shares(self.coarse_lightness)

    @cached_property
    def pieces(self) -> shapes.Shapes:
        """What the squinted picture falls into."""
        return shapes.shapes(self.coarse_lightness)

    @cached_property
    def temperatures(self) -> tuple[float, float]:
        """Warm and cool share."""
        return colour.temperature_shares(self.lab)

    @cached_property
    def hues(self) -> Floats:
        return colour.hue_histogram(self.lab)

    @cached_property
    def opposition(self) -> tuple[float, float]:
        """The weaker of two opposite hue sectors, and both."""
        return colour.hue_opposition(self.hues)

    @cached_property
    def skin(self) -> surface.Surface | None:
        """The paint, where the picture is large enough to show it."""
        enough = min(self.fine_lightness.shape) >= surface.LEAST_SIDE_FOR_PAINT
        return surface.surface(self.fine_lightness) if enough else None

    @cached_property
    def borders(self) -> edges.Borders | None:
        """The borders between masses, where there are enough to speak of."""
        found = edges.borders(self.fine_lightness)
        return found if found.widths.size >= edges.LEAST_BORDERS else None

    @cached_property
    def width_shares(self) -> tuple[float, float] | None:
        """Share of hard and of soft borders."""
        return edges.width_shares(self.borders.widths) if self.borders else None


def _skin(read: Callable[[surface.Surface], float]) -> Callable[[Look], float | None]:
    return lambda look: read(look.skin) if look.skin else None


def _border(read: Callable[[edges.Borders], float]) -> Callable[[Look], float | None]:
    return lambda look: read(look.borders) if look.borders else None


def _level(percentile: float) -> Callable[[Look], float | None]:
    return lambda look: value.lightness_level(look.lightness, percentile)


# Every measure by the name that rules call it; None where the picture is too small or too plain to show it.
MEASURES: dict[str, Callable[[Look], float | None]] = {
    "tonal extent": lambda look: value.tonal_extent(look.lightness),
    "darkest L*": _level(2),
    "quarter L*": _level(25),
    "median L*": _level(50),
    "upper quarter L*": _level(75),
    "lightest L*": _level(98),
    "squinted contrast": lambda look: value.squinted_contrast(look.lightness),
    "midtone layers": lambda look: value.midtone_layers(look.lightness),
    "light direction": lambda look: value.light_direction(look.lightness),
    "row share": lambda look: composition.row_share(look.lightness),
    "distance haze": lambda look: space.distance_haze(look.lightness),
    "haze steps": lambda look: float(space.haze_steps(look.lightness)),
    "format": lambda look: look.lightness.shape[1] / look.lightness.shape[0],
    "contrast fall": lambda look: space.contrast_fall(look.lightness),
    "mass share": lambda look: shapes.mass_share(look.lightness),
    "mirror symmetry": lambda look: composition.mirror_symmetry(look.coarse_lab),
    "focal share": lambda look: look.spot.share,
    "centre distance": lambda look: composition.centre_distance(look.spot),
    "sideways lean": lambda look: composition.sideways_lean(look.attention),
    "detail cover": lambda look: composition.detail_cover(look.detail),
    "calm area": lambda look: composition.calm_area(look.detail),
    "level structure": lambda look: look.directions[0],
    "upright structure": lambda look: look.directions[1],
    "slant structure": lambda look: look.directions[2],
    "counter slant": lambda look: composition.counter_slant(look.coarse_lightness),
    "column rhythm": lambda look: composition.column_rhythm(look.coarse_lightness),
    "ring likeness": lambda look: composition.ring_likeness(look.coarse_lightness),
    "ring closure": lambda look: composition.ring_closure(look.coarse_lightness),
    "figure contrast": lambda look: space.figure_contrast(look.coarse_lab, look.attention),
    "shape number": lambda look: float(look.pieces.number),
    "shape sizes": lambda look: look.pieces.size_spread,
    "shape outlines": lambda look: look.pieces.outline_spread,
    "colourfulness": lambda look: colour.colourfulness(look.pixels),
    "mean chroma": lambda look: colour.mean_chroma(look.lab),
    "warm share": lambda look: look.temperatures[0],
    "cool share": lambda look: look.temperatures[1],
    "warm surplus": lambda look: look.temperatures[0] - look.temperatures[1],
    "cool surplus": lambda look: look.temperatures[1] - look.temperatures[0],
    "lesser temperature": lambda look: min(look.temperatures),
    "temperature spread": lambda look: colour.temperature_spread(look.lab),
    "hue sector": lambda look: colour.hue_sector(look.hues),
    "hue opposition": lambda look: look.opposition[0],
    "opposed hues": lambda look: look.opposition[1],
    "hue number": lambda look: colour.hue_number(look.hues),
    "value share": lambda look: colour.value_share(look.lab),
    "stroke strength": _skin(lambda skin: skin.strength),
    "stroke coherence": _skin(lambda skin: skin.coherence),
    "texture unevenness": _skin(lambda skin: skin.unevenness),
    "stroke one-way": _skin(lambda skin: skin.one_way),
    "ridge contrast": _skin(lambda skin: skin.relief),
    "edge width": _border(lambda found: edges.typical_width(found.widths)),
    "hard edges": lambda look: look.width_shares[0] if look.width_shares else None,
    "soft edges": lambda look: look.width_shares[1] if look.width_shares else None,
    "edge spread": _border(lambda found: edges.width_spread(found.widths)),
    "changing contours": _border(edges.changing_contours),
}


def measure(look: Look, names: Iterable[str]) -> dict[str, float]:
    """The measures of these names (keys of `MEASURES`), all finite; what the picture cannot show is left out."""
    values = ((name, MEASURES[name](look)) for name in names)
    return {name: value for name, value in values if value is not None}


def _at_most(image: Image.Image, long: int) -> Bytes:
    ratio = long / max(image.size)
    if ratio >= 1:
        return np.asarray(image)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return np.asarray(image.resize(size, Image.Resampling.BOX))
