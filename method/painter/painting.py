"""A procedural painter whose pictures have a known ground truth.

Every decision (what, where, in which colours and light, with which hand) is drawn from the seed, and the painter
states the attributes that follow from its decisions, and only those. Nothing is downloaded and nothing is copied.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from method.painter.easel import (
    Board,
    Brush,
    Edges,
    blank_board,
    blend,
    canvas_grain,
    paint_strokes,
    relief_light,
)
from method.painter.genres import GENRES
from method.painter.palettes import choose_palette, tint, to_srgb
from method.painter.plan import Plan

# The painter works larger than it delivers, so that strokes and contours come out smooth.
OVERSIZE = 1.3
FORMATS = {"4:3": 4 / 3, "3:4": 3 / 4, "1:1": 1.0, "3:2": 3 / 2}


@dataclass(frozen=True)
class Painting:
    """A painted picture. `truth` maps a pair key to its polarity; `absent` holds pairs of which neither side applies."""

    image: Image.Image
    title: str
    prompt: str
    truth: dict[str, str]
    absent: frozenset[str]
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Decisions:
    """What the painter decided before touching the board."""

    genre: str
    composition: str
    format: str
    palette: str
    key: str
    hour: str
    light: str
    depth: float
    edges: Edges
    surface: str
    haze: float


def decide(rng: np.random.Generator) -> Decisions:
    """Draw the decisions for one picture so that they go together."""
    names = list(GENRES)
    shares = np.array([GENRES[name].share for name in names])
    genre = str(rng.choice(names, p=shares / shares.sum()))
    kind = GENRES[genre]
    composition = str(rng.choice(kind.compositions))
    hour = str(rng.choice(kind.hours))
    palette = str(
        rng.choice(
            ["warm", "cool", "complementary", "analogous", "limited", "muted", "vivid", "natural"],
            p=[0.16, 0.13, 0.14, 0.12, 0.10, 0.09, 0.12, 0.14],
        )
    )
    key = {
        "day": ["full", "full", "high", "middle"],
        "dusk": ["full", "full", "middle"],
        "night": ["low", "low", "full"],
    }
    light = (
        "front"
        if composition == "symmetric" or genre in {"wreath", "discs", "abstract"}
        else str(rng.choice(["left", "right"]))
    )
    edges: tuple[Edges, ...] = ("crisp", "crisp", "soft", "mixed")
    surface = str(
        rng.choice(
            ["impasto", "alla prima", "licked", "hatched", "dabs", "grain"],
            p=[0.25, 0.27, 0.18, 0.08, 0.11, 0.11],
        )
    )
    return Decisions(
        genre=genre,
        composition=composition,
        format=str(rng.choice(kind.formats)),
        palette=palette,
        key=str(rng.choice(key[hour])),
        hour=hour,
        light=light,
        depth=float(rng.choice([0.35, 0.55, 0.75])),
        edges=edges[int(rng.integers(len(edges)))],
        surface=surface,
        haze=float(rng.choice([0.15, 0.55, 0.9])) if kind.open_air else 0.0,
    )


def truth_of(seed: int) -> tuple[dict[str, str], frozenset[str]]:
    """The truth and the absent pairs of picture number `seed`, without painting it."""
    return known_truth(decide(_hand(seed)))


def _hand(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 7])


LAMPS = {"left": (-0.72, -0.45, 0.53), "right": (0.72, -0.45, 0.53), "front": (0.0, -0.45, 0.89)}


def paint(seed: int, size: int = 512) -> Painting:
    """Paint picture number `seed` with a long side of `size` pixels; the same arguments give the same picture.

    Raises ValueError if `size` is below 32.
    """
    if size < 32:
        raise ValueError(f"A painting needs a long side of at least 32 pixels, not {size}.")
    rng = _hand(seed)
    decisions = decide(rng)
    aspect = FORMATS[decisions.format]
    width, height = (size, round(size / aspect)) if aspect >= 1 else (round(size * aspect), size)
    palette = choose_palette(decisions.palette, decisions.key, rng)
    board = blank_board(
        round(width * OVERSIZE),
        round(height * OVERSIZE),
        palette,
        rng,
        LAMPS[decisions.light],
        decisions.edges,
    )
    plan = Plan(decisions.composition, decisions.haze, decisions.hour, decisions.depth)
    GENRES[decisions.genre].scene(board, plan)
    _set_values(board)
    lab = _finish(board, decisions.surface)
    image = Image.fromarray(to_srgb(lab)).resize((width, height), Image.Resampling.LANCZOS)
    truth, absent = known_truth(decisions)
    recipe = {"seed": seed, "size": size, **asdict(decisions), "contents": plan.contents}
    return Painting(image, plan.title, plan.prompt, truth, absent, recipe)


def _set_values(board: Board) -> None:
    """Stretch the lightness so that the darkest dark and the lightest light reach the ends of the picture's key."""
    key = board.palette.key
    lightness = board.lab[..., 0]
    low, middle, high = (float(value) for value in np.percentile(lightness, [1, 50, 99]))
    if high - low < 1e-3:
        return
    stretched = np.clip((lightness - low) / (high - low), -0.05, 1.05)
    # The key says where the bulk lies; the ends stay where they are.
    bulk, wanted = (middle - low) / (high - low), {"high": 0.62, "low": 0.20}.get(key.name)
    if wanted is not None and 0.02 < bulk < 0.98:
        power = np.clip(np.log(wanted) / np.log(bulk), 0.5, 2.6)
        stretched = np.sign(stretched) * np.abs(stretched) ** power
    board.lab[..., 0] = key.low + (key.high - key.low) * stretched


def _finish(board: Board, surface: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Take the blocked-in board to a finished surface; returns OKLab."""
    if surface in {"licked", "grain"}:
        lab = _blended(board)
        if surface == "grain":
            lab[..., 0] += canvas_grain(board, 0.009, 0.050)
        return lab
    # The toned ground: a thin warm earth that shows wherever the strokes leave a gap.
    ground = tint(board.palette, "earth", np.full((1, 1), 0.45, np.float32))
    thin = np.where(board.shape > 0, 0.15, 0.35).astype(np.float32)[..., None]
    lab = board.lab + thin * (ground - board.lab)
    relief = np.zeros(board.angle.shape, np.float32)
    if surface == "hatched":
        board.angle[:] = -0.9
    for brush in BRUSHES[surface]:
        paint_strokes(board, brush, lab, relief)
    if board.edges == "soft":
        lab = blend(lab, 0.0025 * min(board.size))
    strength = {"impasto": 0.20, "alla prima": 0.07, "hatched": 0.06, "dabs": 0.07}[surface]
    lab[..., 0] += relief_light(relief, strength)
    lab[..., 0] += canvas_grain(board, 0.008, 0.006)
    return lab


def _blended(board: Board) -> np.ndarray[Any, np.dtype[np.float32]]:
    """No mark is left standing, but the hand still varies the tone: strokes, dissolved before they are added."""
    short = min(board.size)
    painted = board.lab.copy()
    paint_strokes(
        board,
        Brush(0.14, 0.045, 2.2, 0.0, 0.016, 0.008, 0.4),
        painted,
        np.zeros(board.angle.shape, np.float32),
    )
    lab = board.lab + blend(painted - board.lab, 0.008 * short)
    return blend(lab, 0.004 * short) if board.edges == "soft" else lab


BRUSHES: dict[str, tuple[Brush, ...]] = {
    "impasto": (
        Brush(0.16, 0.040, 2.6, 0.8, 0.022, 0.012, 0.18),
        Brush(0.085, 0.022, 2.2, 1.0, 0.026, 0.013, 0.24),
        Brush(0.042, 0.011, 2.6, 0.9, 0.022, 0.010, 0.25, least_detail=0.55),
    ),
    "alla prima": (
        Brush(0.20, 0.060, 2.6, 0.5, 0.018, 0.008, 0.22),
        Brush(0.10, 0.030, 1.8, 0.7, 0.022, 0.010, 0.28),
        Brush(0.050, 0.014, 2.4, 0.7, 0.022, 0.010, 0.30, least_detail=0.55),
    ),
    "hatched": (
        Brush(0.18, 0.030, 2.4, 0.5, 0.022, 0.010, 0.06),
        Brush(0.080, 0.010, 2.2, 0.8, 0.038, 0.018, 0.06),
        Brush(0.050, 0.007, 2.0, 0.8, 0.026, 0.012, 0.06, least_detail=0.55),
    ),
    "dabs": (
        Brush(0.10, 0.040, 2.4, 0.5, 0.02, 0.012, 0.5),
        Brush(0.024, 0.016, 2.6, 0.9, 0.030, 0.018, 1.6),
        Brush(0.015, 0.010, 2.6, 0.9, 0.024, 0.014, 1.6, least_detail=0.55),
    ),
}


def known_truth(decisions: Decisions) -> tuple[dict[str, str], frozenset[str]]:
    """What follows from the decisions: polarities by pair key, and pairs of which neither side applies.

    Only what the decision settles is stated; a pair in neither result is one the painter does not know about.
    """
    truth: dict[str, str] = {}
    absent: set[str] = set()
    for state in (
        _surface_truth,
        _composition_truth,
        _colour_truth,
        _light_truth,
        _edge_truth,
        _space_truth,
    ):
        state(decisions, truth, absent)
    return truth, frozenset(absent - truth.keys())


Truth = dict[str, str]


def _surface_truth(made: Decisions, truth: Truth, absent: set[str]) -> None:
    if made.surface in {"impasto", "alla prima", "hatched", "dabs"}:
        truth["brushwork-in-evidence"] = "positive"
    if made.surface == "impasto":
        truth["rich-impasto-texture"] = "positive"
    if made.surface in {"licked", "grain"}:
        absent |= {"rich-impasto-texture"}
    if made.surface == "licked":
        truth["polished-finish"] = "positive"
        absent |= {"brushwork-in-evidence", "even-surface-grain", "varied-stroke-direction"}
    if made.surface == "grain":
        truth["even-surface-grain"] = "positive"
    if made.surface == "hatched":
        truth["varied-stroke-direction"] = "negative"
    if made.surface in {"impasto", "alla prima"} and made.genre in {
        "still life",
        "wreath",
        "discs",
    }:
        truth["varied-stroke-direction"] = "positive"


GEOMETRY = ("horizontal", "vertical", "diagonal", "circular")


def _composition_truth(made: Decisions, truth: Truth, absent: set[str]) -> None:
    if made.composition == "symmetric":
        truth["bilateral-symmetry"] = "positive"
        truth["visual-balance"] = "positive"
    elif made.genre not in {"wreath", "discs", "birches"}:
        absent.add("bilateral-symmetry")
    if made.composition in GEOMETRY:
        truth[f"{made.composition}-composition"] = "positive"
        absent |= {f"{other}-composition" for other in GEOMETRY}
        if made.composition == "circular":
            truth["visual-balance"] = "positive"


def _colour_truth(made: Decisions, truth: Truth, absent: set[str]) -> None:
    if made.palette in {"warm", "cool"}:
        truth[f"{made.palette}-dominance"] = "positive"
        truth["analogous-harmony"] = "positive"
        absent |= {"warm-dominance", "cool-dominance", "complementary-contrast"}
    if made.palette == "analogous":
        truth["analogous-harmony"] = "positive"
        absent.add("complementary-contrast")
    if made.palette in {"warm", "cool", "analogous"}:
        truth["limited-palette"] = "positive"
    if made.palette == "complementary":
        absent.add("analogous-harmony")
        truth["limited-palette"] = "positive"
        if made.genre in {"hills", "still life", "figure", "window", "abstract", "slope"}:
            truth["complementary-contrast"] = "positive"
    if made.palette == "vivid" and made.genre in {"wreath", "discs", "abstract"}:
        truth["limited-palette"] = "negative"
    if made.palette in {"limited", "muted"}:
        absent.add("rich-saturation")
    if made.palette == "vivid" and made.key == "full" and made.genre not in {"wreath", "abstract"}:
        truth["rich-saturation"] = "positive"
    if made.palette in {"muted", "limited"} and made.key == "full":
        truth["value-led-color"] = "positive"


def _light_truth(made: Decisions, truth: Truth, absent: set[str]) -> None:
    if made.key == "full":
        truth["wide-tonal-range"] = "positive"
        absent |= {"luminous-high-key"} if made.hour != "day" else set()
        absent |= {"controlled-low-key"} if made.hour == "day" else set()
    if made.key == "middle":
        truth["wide-tonal-range"] = "negative"
        truth["strong-light-dark-contrast"] = "negative"
        absent |= {"luminous-high-key", "controlled-low-key"}
    if made.key == "high":
        truth["luminous-high-key"] = "positive"
        absent.add("controlled-low-key")
    if made.key == "low":
        truth["controlled-low-key"] = "positive"
        absent.add("luminous-high-key")
    if made.light == "front":
        absent.add("clear-light-direction")
    elif made.genre in {"still life", "figure"} and made.depth > 0.5:
        truth["clear-light-direction"] = "positive"


def _edge_truth(made: Decisions, truth: Truth, absent: set[str]) -> None:
    if made.edges == "soft":
        truth["soft-transitions"] = "positive"
        truth["clear-edges"] = "negative"
    if made.edges == "crisp":
        truth["clear-edges"] = "positive"
        if made.surface == "licked":
            truth["soft-transitions"] = "negative"
    # Open strokes break contours of their own accord; only smooth paint keeps them as they were laid.
    if made.surface in {"licked", "grain"}:
        if made.edges == "mixed":
            truth["lost-and-found-edges"] = "positive"
        elif made.edges == "crisp":
            truth["lost-and-found-edges"] = "negative"
        else:
            absent.add("lost-and-found-edges")


def _space_truth(made: Decisions, truth: Truth, absent: set[str]) -> None:
    if made.genre in {"hills", "slope"} and made.haze > 0.5 and made.hour != "night":
        truth["atmospheric-perspective"] = "positive"
    if made.genre in {"still life", "figure", "discs"}:
        absent.add("atmospheric-perspective")


STATED: tuple[str, ...] = (
    "brushwork-in-evidence",
    "polished-finish",
    "rich-impasto-texture",
    "even-surface-grain",
    "varied-stroke-direction",
    "wide-tonal-range",
    "strong-light-dark-contrast",
    "clear-light-direction",
    "luminous-high-key",
    "controlled-low-key",
    "bilateral-symmetry",
    "visual-balance",
    "horizontal-composition",
    "vertical-composition",
    "diagonal-composition",
    "circular-composition",
    "rich-saturation",
    "warm-dominance",
    "cool-dominance",
    "complementary-contrast",
    "analogous-harmony",
    "limited-palette",
    "value-led-color",
    "clear-edges",
    "lost-and-found-edges",
    "soft-transitions",
    "atmospheric-perspective",
)
