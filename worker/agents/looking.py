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

# Long sides in pixels: paint texture and borders need the first; tones, colours, masses and places the second.
FINE, COARSE = 512, 128

# What is left out at each side, as a share of it, before a picture is measured: it may be frame, mount or the lid of a
# scanner. Paint and borders are measured without more of it.
LEAST_RIM, ONE_RIM = 0.01, 0.03
# What hangs on where exactly a reproduction was cut is evened out over windows that leave out so much more of each side.
WINDOWS = (0.0, 0.03, 0.06, 0.09, 0.12)


class Look:
    """A plain RGB picture of at most `FINE` pixels without its rim at two sizes, and what several measures share."""

    def __init__(self, rgb: Image.Image, rim: float = ONE_RIM) -> None:
        self.rgb = _inside(rgb, rim)

    def within(self, share: float) -> Look:
        """The same without so much of each side. What is told of each point is cut and not worked out anew."""
        inner = Look.__new__(Look)
        inner.rgb = self.rgb
        height, width = self.lightness.shape
        down, across = round(share * height), round(share * width)
        window = (slice(down, height - down), slice(across, width - across))
        whole = (self.pixels, self.seen_lab, self.lab, self.lightness, self.attention)
        more = (self.detail, self.on_borders, *self.structure)
        cut = [np.ascontiguousarray(each[window]) for each in (*whole, *more)]
        names = ("pixels", "seen_lab", "lab", "lightness", "attention", "detail", "on_borders")
        # Where cached properties keep what was worked out.
        vars(inner).update(zip(names, cut[:7], strict=True))
        vars(inner).update(gains=self.gains, structure=(cut[7], cut[8]))
        return inner

    @cached_property
    def pixels(self) -> Bytes:
        """8-bit sRGB at `COARSE`."""
        return _at_most(self.rgb, COARSE)

    @cached_property
    def seen_lab(self) -> Floats:
        """CIELAB at `COARSE`, as it is on the screen."""
        return planes.to_lab(self.pixels)

    @cached_property
    def gains(self) -> tuple[float, float, float]:
        """What takes the cast of the light off the picture."""
        return colour.balance(self.pixels)

    @cached_property
    def lab(self) -> Floats:
        """CIELAB at `COARSE` in white light, for all that is said of colour."""
        return planes.to_lab(self.pixels, self.gains)

    @cached_property
    def lightness(self) -> Floats:
        """L* at `COARSE`."""
        return np.ascontiguousarray(self.seen_lab[..., 0])

    @cached_property
    def fine_lightness(self) -> Floats:
        """L* at `FINE`."""
        return planes.to_lightness(np.asarray(self.rgb))

    @cached_property
    def attention(self) -> Floats:
        """Where the eye is drawn, at `COARSE`."""
        return composition.saliency(self.seen_lab)

    @cached_property
    def spot(self) -> composition.Spot:
        return composition.focal_spot(self.attention)

    @cached_property
    def detail(self) -> Floats:
        """Local contrast around each point."""
        return composition.detail_map(self.lightness)

    @cached_property
    def on_borders(self) -> Floats:
        """How far each point lies on a border."""
        return composition.border_map(self.lightness)

    @cached_property
    def structure(self) -> tuple[Floats, Floats]:
        """Which way the structure runs at each point, and how strongly."""
        return composition.structure(self.lightness)

    @cached_property
    def directions(self) -> tuple[float, float, float]:
        """Level, upright and slantwise structure."""
        return composition.direction_shares(*self.structure)

    @cached_property
    def levels(self) -> dict[float, float]:
        """L* by percentile."""
        return value.lightness_levels(self.lightness)

    @cached_property
    def pieces(self) -> shapes.Shapes:
        """What the squinted picture falls into."""
        return shapes.shapes(self.lightness)

    @cached_property
    def seen_temperatures(self) -> tuple[float, float]:
        """Warm and cool share, the cast of the reproduction included."""
        return colour.temperature_shares(self.seen_lab)

    @cached_property
    def seen_hues(self) -> Floats:
        return colour.hue_histogram(self.seen_lab)

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
    def is_sharp(self) -> bool:
        """Whether the file shows as much as its pixels could: what was enlarged says nothing of paint and borders."""
        return surface.finest_share(self.fine_lightness) >= surface.LEAST_FINEST_SHARE

    @cached_property
    def skin(self) -> surface.Surface | None:
        """The paint, where the picture is large and sharp enough to show it."""
        enough = min(self.fine_lightness.shape) >= surface.LEAST_SIDE_FOR_PAINT
        return surface.surface(self.fine_lightness) if enough and self.is_sharp else None

    @cached_property
    def borders(self) -> edges.Borders | None:
        """The borders between masses, where there are enough to speak of and the file is sharp."""
        if not self.is_sharp:
            return None
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
    return lambda look: look.levels[percentile]


# Every measure by the name that rules call it; None where the picture is too small or too plain to show it.
MEASURES: dict[str, Callable[[Look], float | None]] = {
    "tonal extent": lambda look: value.tonal_extent(look.levels),
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
    "format": lambda look: look.rgb.width / look.rgb.height,
    "contrast fall": lambda look: space.contrast_fall(look.lightness),
    "mass share": lambda look: shapes.mass_share(look.lightness),
    "mirror symmetry": lambda look: composition.mirror_symmetry(look.seen_lab),
    "focal share": lambda look: look.spot.share,
    "centre distance": lambda look: composition.centre_distance(look.spot),
    "sideways lean": lambda look: composition.sideways_lean(look.attention),
    "detail cover": lambda look: composition.detail_cover(look.detail),
    "calm area": lambda look: composition.calm_area(look.detail),
    "level structure": lambda look: look.directions[0],
    "upright structure": lambda look: look.directions[1],
    "slant structure": lambda look: look.directions[2],
    "counter slant": lambda look: composition.counter_slant(look.lightness),
    "column rhythm": lambda look: composition.column_rhythm(look.lightness),
    "ring likeness": lambda look: composition.ring_likeness(look.lightness),
    "ring closure": lambda look: composition.ring_closure(look.lightness),
    "figure contrast": lambda look: space.figure_contrast(look.seen_lab, look.attention),
    "shape number": lambda look: float(look.pieces.number),
    "shape sizes": lambda look: look.pieces.size_spread,
    "shape outlines": lambda look: look.pieces.outline_spread,
    "colourfulness": lambda look: colour.colourfulness(look.pixels, look.gains),
    "mean chroma": lambda look: colour.mean_chroma(look.lab),
    "warm share": lambda look: look.temperatures[0],
    "cool share": lambda look: look.temperatures[1],
    "warm surplus": lambda look: look.temperatures[0] - look.temperatures[1],
    "cool surplus": lambda look: look.temperatures[1] - look.temperatures[0],
    "lesser temperature": lambda look: min(look.temperatures),
    "warm surplus seen": lambda look: look.seen_temperatures[0] - look.seen_temperatures[1],
    "cool surplus seen": lambda look: look.seen_temperatures[1] - look.seen_temperatures[0],
    "lesser temperature seen": lambda look: min(look.seen_temperatures),
    "hue sector seen": lambda look: colour.hue_sector(look.seen_hues),
    "hue opposition seen": lambda look: colour.hue_opposition(look.seen_hues)[0],
    "strong chroma seen": lambda look: colour.chroma_level(look.seen_lab, 95),
    "temperature spread": lambda look: colour.temperature_spread(look.lab),
    "hue sector": lambda look: colour.hue_sector(look.hues),
    "hue opposition": lambda look: look.opposition[0],
    "hue number": lambda look: colour.hue_number(look.hues),
    "value share": lambda look: colour.value_share(look.lab),
    "patch hues": lambda look: colour.patch_hues(look.lab),
    "least chroma": lambda look: colour.least_chroma(look.lab),
    "hue borders": lambda look: colour.hue_borders(look.lab),
    "murk": lambda look: value.murk(look.lightness),
    "broad mass share": lambda look: shapes.mass_share(look.lightness, 0.07),
    "detail unevenness": lambda look: composition.detail_unevenness(look.lightness),
    "border evenness": lambda look: composition.border_evenness(look.on_borders),
    "border density": lambda look: composition.border_density(look.on_borders),
    "halving step": lambda look: composition.halving_step(look.lightness),
    "strong chroma": lambda look: colour.chroma_level(look.lab, 95),
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


# What is measured at `FINE`: the median over thousands of places, so once is enough for what takes most of the time.
PLAIN = {
    *(
        "stroke strength",
        "stroke coherence",
        "texture unevenness",
        "stroke one-way",
        "ridge contrast",
    ),
    *("edge width", "hard edges", "soft edges", "edge spread", "changing contours"),
}


def measure(rgb: Image.Image, names: Iterable[str]) -> dict[str, float]:
    """The measures of these names (keys of `MEASURES`), all finite; what the picture cannot show is left out.

    Means over several windows of the picture (`WINDOWS`), those of paint and borders of one.
    """
    whole, once = Look(rgb, LEAST_RIM), [Look(rgb, ONE_RIM)]
    looks = [whole.within(share) for share in WINDOWS]
    values: dict[str, float] = {}
    for name in names:
        found = [MEASURES[name](look) for look in (once if name in PLAIN else looks)]
        known = [value for value in found if value is not None]
        if known:
            values[name] = sum(known) / len(known)
    return values


def _at_most(image: Image.Image, long: int) -> Bytes:
    ratio = long / max(image.size)
    if ratio >= 1:
        return np.asarray(image)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return np.asarray(image.resize(size, Image.Resampling.BOX))


def _inside(image: Image.Image, rim: float) -> Image.Image:
    """The picture without its rim."""
    width, height = image.size
    across, down = round(rim * width), round(rim * height)
    return image.crop((across, down, width - across, height - down))
