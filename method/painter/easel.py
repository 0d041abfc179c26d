"""The demo painter's hand: shapes laid on a board, then painted over with strokes that have relief.

A scene is first blocked in on a `Board` (colour, direction of the form and shape number at every pixel). The board is
then either blended or painted with strokes that follow the form, catch the light and leave the ground showing.
Points are in board units: x from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from method.painter.palettes import Palette, tint

Floats = npt.NDArray[np.float32]
Edges = Literal["crisp", "soft", "mixed"]
Value = float | Floats | Callable[[Floats, Floats], Floats]
Points = npt.NDArray[np.float64]


@dataclass
class Board:
    """What the painter knows about every pixel before a brush touches it. Arrays are `(height, width)`."""

    palette: Palette
    rng: np.random.Generator
    light: tuple[float, float, float]
    edges: Edges
    lab: Floats  # (height, width, 3), OKLab
    angle: Floats  # direction of the form, radians
    shape: npt.NDArray[np.int32]  # which shape lies here: strokes stop where it changes
    lost: npt.NDArray[np.bool_]  # where the contour is given up: strokes cross it
    detail: Floats  # 0: large brush only, 1: the smallest brush too
    shapes: int = 0

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.angle.shape
        return width, height

    @property
    def aspect(self) -> float:
        width, height = self.size
        return width / height


def blank_board(
    width: int,
    height: int,
    palette: Palette,
    rng: np.random.Generator,
    light: tuple[float, float, float],
    edges: Edges,
) -> Board:
    """An empty board of `width` by `height` pixels; `light` points from the picture to the lamp (x right, y down, z out)."""
    shape = (height, width)
    return Board(
        palette=palette,
        rng=rng,
        light=light,
        edges=edges,
        lab=np.zeros((*shape, 3), np.float32),
        angle=np.zeros(shape, np.float32),
        shape=np.zeros(shape, np.int32),
        lost=np.zeros(shape, np.bool_),
        detail=np.zeros(shape, np.float32),
    )


def noise(board: Board, cells: float, octaves: int = 4, stretch: float = 1.0) -> Floats:
    """Smooth noise over the board, about -1 to 1; `cells` bumps across, `stretch` > 1 makes them wide and low."""
    width, height = board.size
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        across = max(2, round(cells * 2**octave))
        down = max(2, round(cells * 2**octave * stretch / board.aspect))
        grid = board.rng.uniform(-1, 1, (min(down, height), min(across, width))).astype(np.float32)
        picture = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(picture) / 2**octave
    return total * 0.75


def fill(
    board: Board, role: str, value: Value, *, angle: float | Floats = 0.0, detail: float = 0.0
) -> None:
    """Cover the whole board; a callable value receives x and y in board units."""
    width, height = board.size
    x, y = _grid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    board.lab[:] = tint(board.palette, role, _values(value, x, y))
    board.angle[:] = angle
    board.detail[:] = detail


def lay(
    board: Board,
    points: Points,
    role: str,
    value: Value,
    *,
    angle: float | Callable[[Floats, Floats], Floats] | None = None,
    blur: float | None = None,
    opacity: float = 1.0,
    detail: float = 0.6,
) -> None:
    """Lay a filled shape.

    `points` is `(n, 2)`. A callable `value` or `angle` receives u, v from -1 to 1 over the shape's bounding box. `blur`
    is the softness of the edge as a share of the board's short side; left out, the picture's own manner decides.
    Shapes with opacity below 0.5 tint what lies there and give the strokes no contour to stop at.
    """
    window = _window(board, points, blur)
    if window is None:
        return
    rows, columns, mask, weight, u, v = window
    colour = tint(board.palette, role, _values(value, u, v))
    area = board.lab[rows, columns]
    area += (mask * opacity)[..., None] * (colour - area)
    if opacity < 0.5:
        return
    inside = mask > 0.5
    board.shapes += 1
    board.shape[rows, columns][inside] = board.shapes
    board.lost[rows, columns] = np.where(mask > 0.02, weight > 0.5, board.lost[rows, columns])
    board.detail[rows, columns][inside] = detail
    if angle is not None:
        turned = angle(u, v) if callable(angle) else np.full_like(mask, angle)
        board.angle[rows, columns][inside] = turned[inside]


def mirror(board: Board) -> None:
    """Make the right half the reflection of the left one."""
    half = board.size[0] // 2
    for field in (board.lab, board.shape, board.lost, board.detail):
        field[:, -half:] = field[:, :half][:, ::-1]
    board.angle[:, -half:] = np.pi - board.angle[:, :half][:, ::-1]


def ellipse(x: float, y: float, rx: float, ry: float, steps: int = 40) -> Points:
    """A closed level ellipse; `rx`, `ry` in board units of their own axis."""
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=1)


def leaf(board: Board, x: float, y: float, long: float, thick: float, turn: float) -> Points:
    """A turned ellipse (leaf, petal); half its length and thickness as shares of the short side, `turn` in radians."""
    t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    along, off = long * np.cos(t), thick * np.sin(t)
    rx, ry = radii(board, 1.0)
    across = along * np.cos(turn) - off * np.sin(turn)
    down = along * np.sin(turn) + off * np.cos(turn)
    return np.stack([x + rx * across, y + ry * down], axis=1)


def disc(board: Board, x: float, y: float, radius: float) -> Points:
    """A circle whose radius is a share of the short side, whatever the format."""
    rx, ry = radii(board, radius)
    return ellipse(x, y, rx, ry)


def radii(board: Board, radius: float) -> tuple[float, float]:
    """A length given as a share of the short side, in board units across and down."""
    width, height = board.size
    short = min(width, height)
    return radius * short / width, radius * short / height


def blob(
    board: Board, x: float, y: float, rx: float, ry: float, rough: float = 0.2, steps: int = 36
) -> Points:
    """An uneven rounded shape (foliage, cloud, rock)."""
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    reach = np.ones(steps)
    for wave in range(2, 8):
        reach += (
            rough
            / wave**0.5
            * board.rng.normal()
            * np.cos(wave * t + board.rng.uniform(0, 6.3))
            * 0.6
        )
    return np.stack([x + rx * reach * np.cos(t), y + ry * reach * np.sin(t)], axis=1)


def polygon(*corners: tuple[float, float]) -> Points:
    """The shape with these corners."""
    return np.array(corners, dtype=np.float64)


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """An upright rectangle."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def ridge(board: Board, left: float, right: float, rough: float, bumps: float = 3.0) -> Points:
    """Everything under a hilly skyline that runs from height `left` to height `right`."""
    x = np.linspace(-0.02, 1.02, 90)
    y = left + (right - left) * x
    for wave in range(1, 7):
        y = y + rough / wave**1.2 * np.sin(
            bumps * wave * x * np.pi + board.rng.uniform(0, 6.3)
        ) * board.rng.uniform(0.3, 1)
    return np.concatenate([np.stack([x, y], axis=1), [[1.02, 1.02], [-0.02, 1.02]]])


def lathe(
    x: float, bottom: float, height: float, width: float, profile: list[tuple[float, float]]
) -> Points:
    """A turned vessel: `profile` lists (height 0 to 1, radius 0 to 1) from the bottom up."""
    levels = np.array(profile)
    t = np.linspace(0, 1, 40)
    radius = np.interp(t, levels[:, 0], levels[:, 1]) * width
    radius = np.convolve(np.pad(radius, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    y = bottom - t * height
    return np.concatenate([np.stack([x - radius, y], 1), np.stack([x + radius, y], 1)[::-1]])


def round_light(board: Board, base: float, depth: float) -> Callable[[Floats, Floats], Floats]:
    """Shading of a ball that fills its bounding box: Lambert light, a reflected rim and a soft highlight."""
    lx, ly, lz = board.light

    def shade(u: Floats, v: Floats) -> Floats:
        z = np.sqrt(np.clip(1.0 - u * u - v * v, 0.0, 1.0))
        lit = u * lx + v * ly + z * lz
        rim = 0.22 * np.clip(-lit, 0, 1)
        shine = np.clip(lit, 0, 1) ** 14
        result: Floats = (base + depth * (lit - 0.45 + rim) + 0.45 * depth * shine).astype(
            np.float32
        )
        return result

    return shade


def turned_light(board: Board, base: float, depth: float) -> Callable[[Floats, Floats], Floats]:
    """Shading of an upright cylinder that fills its bounding box."""
    lx, _, lz = board.light

    def shade(u: Floats, v: Floats) -> Floats:
        lit = u * lx + np.sqrt(np.clip(1.0 - u * u, 0.0, 1.0)) * lz
        shine = np.exp(-(((u - lx * 0.55) / 0.12) ** 2)) * 0.3 * abs(lx)
        result: Floats = (base + depth * (lit - 0.45 + shine) - 0.06 * v).astype(np.float32)
        return result

    return shade


def slope_light(
    top: float, bottom: float, left: float = 0.0, right: float = 0.0
) -> Callable[[Floats, Floats], Floats]:
    """A plain gradient over the bounding box: values at top and bottom, and what is added at left and right."""

    def shade(u: Floats, v: Floats) -> Floats:
        result: Floats = (
            top + (bottom - top) * (v + 1) / 2 + left + (right - left) * (u + 1) / 2
        ).astype(np.float32)
        return result

    return shade


def around(u: Floats, v: Floats) -> Floats:
    """Stroke direction that follows the outline of a round thing."""
    result: Floats = (np.arctan2(v, u) + np.pi / 2).astype(np.float32)
    return result


def _values(value: Value, u: Floats, v: Floats) -> Floats:
    return (
        value(u, v) if callable(value) else np.broadcast_to(np.asarray(value, np.float32), u.shape)
    )


def _grid(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[Floats, Floats]:
    u, v = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return u, v


def _window(
    board: Board, points: Points, blur: float | None
) -> tuple[slice, slice, Floats, Floats, Floats, Floats] | None:
    """Bounding slices of a shape, its mask, how far its contour is given up, and u, v over its bounding box."""
    width, height = board.size
    short = min(width, height)
    crisp, soft = 0.0012 * short, 0.0095 * short
    radius = (
        {"crisp": crisp, "soft": soft, "mixed": soft}[board.edges]
        if blur is None
        else max(blur * short, crisp)
    )
    low, high = points.min(axis=0), points.max(axis=0)
    # A soft contour wider than the shape itself would leave nothing of it.
    radius = min(radius, max(crisp, 0.22 * float(min((high - low) * (width, height)))))
    pad = int(radius * 2.5) + 2
    left, top = (int(np.floor(low[0] * width)) - pad, int(np.floor(low[1] * height)) - pad)
    right, bottom = (int(np.ceil(high[0] * width)) + pad, int(np.ceil(high[1] * height)) + pad)
    left, top, right, bottom = (
        max(left, -pad),
        max(top, -pad),
        min(right, width + pad),
        min(bottom, height + pad),
    )
    if right <= max(left, 0) or bottom <= max(top, 0):
        return None
    sheet = Image.new("L", (right - left, bottom - top))
    corners = [(float(x) * width - left, float(y) * height - top) for x, y in points]
    ImageDraw.Draw(sheet).polygon(corners, fill=255)
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    crop = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    mask = _softened(sheet, radius)[crop]
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6)
    u, v = _grid(
        (np.arange(columns.start, columns.stop) / width - middle[0]) / half[0],
        (np.arange(rows.start, rows.stop) / height - middle[1]) / half[1],
    )
    weight = np.full_like(mask, 1.0 if radius > 4 * crisp else 0.0)
    if board.edges == "mixed" and blur is None:
        # The contour is found on the lit side and lost in the shadow.
        turned = u * board.light[0] + v * board.light[1] * 0.6
        weight = np.clip(0.5 - 2.2 * turned, 0.0, 1.0).astype(np.float32)
        mask = mask * weight + _softened(sheet, crisp)[crop] * (1 - weight)
    return rows, columns, mask, weight, u, v


def _softened(sheet: Image.Image, radius: float) -> Floats:
    blurred = sheet.filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(blurred, dtype=np.float32) / 255.0


@dataclass(frozen=True)
class Brush:
    """One pass over the board. Lengths are shares of the short side, jitters are OKLab distances."""

    length: float
    width: float
    cover: float  # how many times the pass covers the board
    relief: float  # how thick the paint is
    value_jitter: float
    colour_jitter: float
    turn_jitter: float  # radians
    least_detail: float = -1.0  # only where the board's detail is above this
    opacity: float = 1.0


def paint_strokes(board: Board, brush: Brush, lab: Floats, relief: Floats) -> None:
    """Paint one pass over `lab` and build up `relief`, both changed in place."""
    owner, strokes = _trace(board, brush)
    if owner is None:
        return
    steps, across = strokes.shape
    rng = board.rng
    hit = owner >= 0
    sample = owner[hit]
    stroke, rest = np.divmod(sample, steps * across)
    step, lane = np.divmod(rest, across)
    number = len(strokes.seeds)
    load = rng.normal(0, 1, (number, 3)).astype(np.float32)
    load *= np.array([brush.value_jitter, brush.colour_jitter, brush.colour_jitter], np.float32)
    colour = board.lab[strokes.seeds[:, 1], strokes.seeds[:, 0]] + load
    bristles = rng.normal(0, 1, (64, across)).astype(np.float32)
    bristles = (bristles + np.roll(bristles, 1, axis=1)) * 0.6
    streak = bristles[stroke % 64, lane]
    painted = colour[stroke]
    painted[:, 0] += streak * (0.010 + 0.25 * brush.value_jitter)
    lab[hit] += brush.opacity * (painted - lab[hit])
    # Paint is pushed out to the sides of the brush and piles up where the stroke ends.
    along = step.astype(np.float32) / max(steps - 1, 1)
    side = np.abs(2 * lane.astype(np.float32) / max(across - 1, 1) - 1)
    height = 0.55 + 0.35 * side**3 + 0.35 * along**4 + 0.30 * streak
    relief[hit] += 0.85 * (brush.relief * height - relief[hit])


@dataclass(frozen=True)
class _Strokes:
    seeds: npt.NDArray[np.intp]  # (n, 2): x, y in pixels
    shape: tuple[int, int]  # samples along and across each stroke


def _trace(board: Board, brush: Brush) -> tuple[npt.NDArray[np.intp] | None, _Strokes]:
    """For every pixel the number of the topmost stroke sample on it, or -1."""
    width, height = board.size
    short = min(width, height)
    length, thick = max(brush.length * short, 2.0), max(brush.width * short, 1.5)
    seeds = _seeds(board, brush, (length, thick))
    pace = 0.8
    steps, across = max(2, int(length / pace)), max(2, int(thick / pace) + 1)
    strokes = _Strokes(seeds, (steps, across))
    if len(seeds) == 0:
        return None, strokes
    rng = board.rng
    ahead = normal = np.zeros((len(seeds), 2), np.float32)
    swerve = rng.normal(0, brush.turn_jitter, len(seeds)).astype(np.float32)
    position = seeds.astype(np.float32)
    heading = board.angle[seeds[:, 1], seeds[:, 0]] + swerve
    position -= np.stack([np.cos(heading), np.sin(heading)], 1) * (length / 2)
    lanes = np.linspace(-thick / 2, thick / 2, across, dtype=np.float32)
    home = board.shape[seeds[:, 1], seeds[:, 0]]
    tracks = np.empty((len(seeds), steps, across), np.int32)
    for step in range(steps):
        if step % 4 == 0:
            x = np.clip(position[:, 0].astype(np.intp), 0, width - 1)
            y = np.clip(position[:, 1].astype(np.intp), 0, height - 1)
            same = (board.shape[y, x] == home) & (step > 0)
            heading = np.where(same, board.angle[y, x] + swerve, heading)
            # A direction has no front and back: keep going the way the stroke began.
            turned = np.stack([np.cos(heading), np.sin(heading)], 1).astype(np.float32)
            turned *= np.where((turned * ahead).sum(1) < 0, -1, 1)[:, None]
            ahead = turned
            normal = np.stack([-ahead[:, 1], ahead[:, 0]], 1)
        t = 2 * step / max(steps - 1, 1) - 1
        taper = (1 - abs(t) ** 5) ** 0.5 if steps > 4 else (1 - 0.7 * t * t) ** 0.5
        points = position[:, None, :] + normal[:, None, :] * (lanes * taper)[None, :, None]
        px, py = (points[..., 0] + 0.5).astype(np.int32), (points[..., 1] + 0.5).astype(np.int32)
        outside = (px < 0) | (px >= width) | (py < 0) | (py >= height)
        tracks[:, step] = np.where(outside, -1, py * width + px)
        position = position + ahead * pace
    return _topmost(board, tracks, home), strokes


def _seeds(board: Board, brush: Brush, size: tuple[float, float]) -> npt.NDArray[np.intp]:
    width, height = board.size
    number = int(brush.cover * width * height / (size[0] * size[1]))
    seeds = np.stack(
        [board.rng.integers(0, width, number), board.rng.integers(0, height, number)], axis=1
    )
    return seeds[board.detail[seeds[:, 1], seeds[:, 0]] > brush.least_detail].astype(np.intp)


def _topmost(
    board: Board, tracks: npt.NDArray[np.int32], home: npt.NDArray[np.int32]
) -> npt.NDArray[np.intp]:
    """Later strokes lie over earlier ones; a stroke leaves its shape only where the contour is lost."""
    width, height = board.size
    flat = tracks.reshape(len(tracks), -1)
    at_home = (board.shape.ravel()[flat] == home[:, None]) | board.lost.ravel()[flat]
    keep = (flat >= 0) & at_home
    owner = np.full(width * height, -1, dtype=np.intp)
    owner[flat[keep]] = np.flatnonzero(keep.ravel())
    return owner.reshape(height, width)


def relief_light(relief: Floats, strength: float) -> Floats:
    """How much lighter (OKLab L) the relief of the paint makes each pixel under a lamp at the upper left."""
    down, across = np.gradient(relief)
    return np.asarray(np.clip(-(across + down) * strength, -0.12, 0.16), np.float32)


def canvas_grain(board: Board, period: float, strength: float) -> Floats:
    """The weave of the canvas or the tooth of the paper, in OKLab L; `period` is a share of the short side."""
    width, height = board.size
    step = max(period * min(width, height), 2.0)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    weave = np.sin(2 * np.pi * x / step)[None, :] * np.sin(2 * np.pi * y / step)[:, None]
    speckle = board.rng.normal(0, 1, (height, width)).astype(np.float32)
    moved = ((0, 0), (1, 0), (0, 1), (1, 1))
    tooth = sum(np.roll(speckle, shift, (0, 1)) for shift in moved) / 2
    return np.asarray(strength * (0.5 * weave + 0.5 * tooth), np.float32)


def blend(lab: Floats, radius: float) -> Floats:
    """`lab` with a soft blur of `radius` pixels, as a dry fan brush leaves it."""
    scaled = np.clip(
        lab * np.array([255, 255, 255], np.float32) + np.array([0, 127.5, 127.5], np.float32),
        0,
        255,
    )
    blurred = Image.fromarray(scaled.astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    out: Floats = (
        np.asarray(blurred, np.float32) - np.array([0, 127.5, 127.5], np.float32)
    ) / 255.0
    return out
