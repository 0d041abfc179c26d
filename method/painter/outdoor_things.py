"""Things out of doors that the demo painter can lay: sky, water, trees, boats, a cottage."""

from __future__ import annotations

import numpy as np

from method.painter.easel import (
    Board,
    Floats,
    around,
    blob,
    box,
    disc,
    ellipse,
    fill,
    lay,
    noise,
    polygon,
    radii,
    slope_light,
    turned_light,
)
from method.painter.palettes import tint
from method.painter.plan import Plan, hazed


def lay_sky(board: Board, plan: Plan, horizon: float, sun: float | None, tilt: float = 0.0) -> None:
    """Sky down to `horizon` with clouds, and a sun or moon at x = `sun`."""
    top, low = {"day": (0.62, 0.90), "dusk": (0.42, 0.86), "night": (0.14, 0.36)}[plan.hour]
    clouds = noise(board, 2.2, 4, 2.6)
    flow = (tilt + 0.5 * noise(board, 1.5, 2, 1.5)).astype(np.float32)
    fill(
        board,
        "sky",
        lambda _x, y: top + (low - top) * np.clip(y / max(horizon, 0.1), 0, 1) ** 1.3,
        angle=flow,
    )
    height = board.size[1]
    rows = slice(0, max(1, int(horizon * height)))
    if plan.hour != "night":
        glow = {"day": 0.35, "dusk": 0.85}[plan.hour]
        warm = np.linspace(0, 1, rows.stop, dtype=np.float32)[:, None] ** 2.2 * glow
        lay_veil(board, rows, warm, "sun" if plan.hour == "dusk" else "cloud", low)
    cover = np.clip(clouds[rows] * 1.6 - 0.25, 0, 1) * (0.75 if plan.hour == "day" else 0.5)
    lay_veil(board, rows, cover, "cloud", {"day": 0.97, "dusk": 0.74, "night": 0.42}[plan.hour])
    under = np.clip(np.roll(clouds, -int(0.03 * height), axis=0)[rows] * 1.4 - 0.75, 0, 1) * 0.45
    lay_veil(board, rows, under, "far", top * 0.92)
    if sun is not None:
        y = horizon * (0.40 if plan.hour == "night" else 0.62)
        size = float(board.rng.uniform(0.035, 0.06))
        for reach, strength in ((5.0, 0.10), (3.2, 0.16), (2.0, 0.22)):
            lay(
                board,
                disc(board, sun, y, size * reach),
                "sun",
                0.95,
                blur=size * reach * 0.35,
                opacity=strength,
            )
        lay(board, disc(board, sun, y, size), "sun", 1.0, angle=0.3, detail=1.0, blur=0.004)


def lay_veil(board: Board, rows: slice, amount: Floats, role: str, value: float) -> None:
    """Cover rows of the board with one colour, `amount` (0 to 1) thick."""
    colour = tint(board.palette, role, np.full((1, 1), value, np.float32))
    board.lab[rows] += np.broadcast_to(amount, board.lab[rows].shape[:2])[..., None] * (
        colour - board.lab[rows]
    )


def lay_water(board: Board, plan: Plan, horizon: float, sun: float | None) -> None:
    """Water from `horizon` down, with ripples and the glitter of a sun at x = `sun`."""
    near, far = {"day": (0.40, 0.78), "dusk": (0.22, 0.68), "night": (0.08, 0.26)}[plan.hour]
    lay(
        board,
        box(-0.02, horizon, 1.02, 1.02),
        "water",
        slope_light(far, near),
        angle=0.0,
        blur=0.004,
        detail=0.35,
    )
    for _ in range(46):
        depth = float(board.rng.uniform(0.02, 1)) ** 1.6
        y = horizon + depth * (1 - horizon)
        value = far + (near - far) * depth + float(board.rng.choice([-0.08, 0.09]))
        rx, ry = radii(board, 0.02 + 0.10 * depth)
        lay(
            board,
            ellipse(float(board.rng.uniform(0, 1)), y, rx, ry * 0.07),
            "water",
            value,
            angle=0.0,
            opacity=0.49,
        )
    if sun is None:
        return
    for _ in range(38):
        depth = float(board.rng.uniform(0.01, 1))
        y = horizon + depth * (1 - horizon)
        x = sun + float(board.rng.normal()) * (0.012 + 0.045 * depth)
        rx, ry = radii(board, 0.012 + 0.05 * depth)
        bright = {"day": 0.97, "dusk": 0.95, "night": 0.86}[plan.hour]
        lay(
            board, ellipse(x, y, rx, ry * 0.12), "sun", bright - 0.15 * depth, angle=0.0, detail=1.0
        )


def lay_boat(
    board: Board, plan: Plan, x: float, water: float, size: float, distance: float, sail: str
) -> None:
    """A sailing boat on the waterline `water`, with its reflection."""
    rx, ry = radii(board, size)
    dark = hazed(plan, {"day": 0.24, "dusk": 0.16, "night": 0.06}[plan.hour], distance)
    canvas = hazed(plan, {"day": 0.93, "dusk": 0.82, "night": 0.46}[plan.hour], distance)
    lean = float(board.rng.uniform(-0.08, 0.08))
    lx = board.light[0]
    # Reflection first: the boat's own dark and light, broken and drawn downward.
    lay(
        board,
        polygon(
            (x - rx * 0.6, water),
            (x + rx * 0.65, water),
            (x + rx * 0.25, water + ry * 1.5),
            (x - rx * 0.1, water + ry * 1.6),
        ),
        sail,
        canvas * 0.62,
        blur=0.01,
        opacity=0.45,
        angle=0.0,
    )
    lay(
        board,
        ellipse(x, water + ry * 0.22, rx * 0.95, ry * 0.2),
        "water",
        dark * 1.1,
        blur=0.008,
        opacity=0.8,
        angle=0.0,
    )
    mast = x - rx * 0.05
    top = water - ry * 2.3
    bow = 0.10 * lx
    lay(
        board,
        polygon(
            (mast + rx * 0.06, water - ry * 0.32),
            (mast + rx * (0.06 + lean), top),
            (mast + rx * 0.85, water - ry * 0.42),
        ),
        sail,
        slope_light(canvas, canvas - 0.1, -bow, bow),
        angle=1.2,
    )
    lay(
        board,
        polygon(
            (mast - rx * 0.06, water - ry * 0.32),
            (mast - rx * (0.06 - lean), top + ry * 0.3),
            (mast - rx * 0.75, water - ry * 0.36),
        ),
        sail,
        slope_light(canvas - 0.10, canvas - 0.2, -bow, bow),
        angle=1.9,
    )
    lay(
        board,
        polygon(
            (mast - rx * 0.035, water),
            (mast + rx * 0.035, water),
            (mast + rx * (0.02 + lean), top - ry * 0.1),
            (mast - rx * (0.02 - lean), top - ry * 0.1),
        ),
        "bark",
        dark,
        angle=np.pi / 2,
        detail=1.0,
    )
    lay(
        board,
        polygon(
            (x - rx, water - ry * 0.36),
            (x + rx * 1.1, water - ry * 0.42),
            (x + rx * 0.75, water + ry * 0.05),
            (x - rx * 0.7, water + ry * 0.05),
        ),
        "bark",
        slope_light(dark + 0.12, dark),
        angle=0.0,
    )


def lay_tree(
    board: Board,
    plan: Plan,
    x: float,
    ground: float,
    size: float,
    distance: float,
    role: str = "foliage",
) -> None:
    """A broad tree: trunk and three tiers of leaves, the lit ones last."""
    rx, ry = radii(board, size)
    dark = {"day": 0.26, "dusk": 0.20, "night": 0.08}[plan.hour]
    lay(
        board,
        polygon(
            (x - rx * 0.10, ground),
            (x + rx * 0.10, ground),
            (x + rx * 0.05, ground - ry * 1.2),
            (x - rx * 0.04, ground - ry * 1.2),
        ),
        "bark",
        hazed(plan, dark, distance),
        angle=np.pi / 2,
    )
    lx, ly, _ = board.light
    for tier, (count, spread, lift) in enumerate(
        ((9, 0.66, 0.0), (10, 0.58, 0.13), (11, 0.46, 0.25))
    ):
        for _ in range(count):
            cx = x + rx * (board.rng.normal() * spread * 0.7 + lx * 0.22 * tier)
            cy = (
                ground
                - ry * (1.45 + board.rng.normal() * 0.28 * spread + 0.12 * tier)
                + ry * ly * 0.1 * tier
            )
            value = hazed(plan, dark + lift * (0.6 + plan.depth), distance)
            lay(
                board,
                blob(board, cx, cy, rx * (0.40 - 0.11 * tier), ry * (0.32 - 0.09 * tier), 0.3),
                role,
                slope_light(value + 0.05, value - 0.06, 0.05 * -lx, 0.05 * lx),
                angle=around,
                detail=1.0 - distance * 0.6,
            )


def lay_poplar(
    board: Board,
    plan: Plan,
    x: float,
    ground: float,
    tall: float,
    distance: float,
    role: str = "foliage",
) -> None:
    """A slender poplar standing on `ground`; `tall` is a share of the height."""
    wide = tall * 0.13 / board.aspect
    dark = {"day": 0.28, "dusk": 0.22, "night": 0.08}[plan.hour]
    lx = board.light[0]
    t = np.linspace(0, 1, 24)
    radius = wide * np.sin(np.pi * t**0.7) ** 0.8 * (1 + 0.12 * board.rng.normal(size=24))
    y = ground - tall * (0.06 + 0.94 * t)
    outline = np.concatenate([np.stack([x - radius, y], 1), np.stack([x + radius, y], 1)[::-1]])
    lay(
        board,
        box(x - wide * 0.1, ground - tall * 0.15, x + wide * 0.1, ground),
        "bark",
        hazed(plan, dark, distance),
        angle=np.pi / 2,
    )
    value = hazed(plan, dark + 0.10, distance)
    side = 0.16 * plan.depth
    lay(
        board,
        outline,
        role,
        slope_light(value + 0.04, value - 0.05, -side * lx, side * lx),
        angle=np.pi / 2 + 0.15,
        detail=0.9,
    )


def lay_fir(board: Board, plan: Plan, x: float, ground: float, tall: float) -> None:
    """A fir in four tiers."""
    dark = {"day": 0.18, "dusk": 0.12, "night": 0.05}[plan.hour]
    wide = tall * 0.26 / board.aspect
    lx = board.light[0]
    for tier in range(4):
        y = ground - tall * (0.10 + 0.22 * tier)
        half = wide * (1 - 0.22 * tier)
        side = 0.10 * plan.depth
        lay(
            board,
            polygon((x - half, y), (x + half, y), (x, y - tall * 0.38)),
            "foliage",
            slope_light(dark + 0.08, dark, -side * lx, side * lx),
            angle=np.pi / 2,
            detail=0.8,
        )


def lay_birch(board: Board, plan: Plan, x: float, ground: float, pale: float) -> None:
    """A birch trunk that leaves the picture at the top."""
    rng = board.rng
    half = radii(board, float(rng.uniform(0.014, 0.026)))[0]
    lean = float(rng.uniform(-0.02, 0.02))
    lay(
        board,
        polygon(
            (x - half * 1.25, ground),
            (x + half * 1.25, ground),
            (x + lean + half * 0.8, -0.02),
            (x + lean - half * 0.8, -0.02),
        ),
        "linen",
        turned_light(board, pale - 0.16, 0.40 * plan.depth + 0.1),
        angle=np.pi / 2,
        detail=0.8,
    )
    for y in rng.uniform(0, ground, 11):
        place = x + lean * (1 - float(y) / ground)
        lay(
            board,
            ellipse(
                place + half * float(rng.uniform(-0.6, 0.6)),
                float(y),
                half * float(rng.uniform(0.3, 0.7)),
                0.006,
            ),
            "dark",
            0.16,
            angle=0.0,
            detail=1.0,
        )
    lay(
        board,
        ellipse(x + half * 3 * -board.light[0], ground + 0.012, half * 5, 0.012),
        "dark",
        0.18,
        blur=0.01,
        opacity=0.4,
    )


def lay_cottage(
    board: Board, plan: Plan, x: float, ground: float, size: float, distance: float
) -> None:
    """A cottage with a lit and a shaded side; its windows glow after dark."""
    rx, ry = radii(board, size)
    lit, shade = {"day": (0.86, 0.52), "dusk": (0.74, 0.36), "night": (0.34, 0.16)}[plan.hour]
    left_lit = board.light[0] < 0
    front, gable = (lit, shade) if left_lit else (shade, lit)
    edge = x + rx * 0.35
    lay(
        board,
        box(x - rx, ground - ry * 0.75, edge, ground),
        "plaster",
        hazed(plan, front, distance),
        angle=0.1,
    )
    lay(
        board,
        polygon(
            (edge, ground),
            (x + rx, ground),
            (x + rx, ground - ry * 0.75),
            ((edge + x + rx) / 2, ground - ry * 1.35),
            (edge, ground - ry * 0.75),
        ),
        "plaster",
        hazed(plan, gable, distance),
        angle=np.pi / 2,
    )
    lay(
        board,
        polygon(
            (x - rx * 1.08, ground - ry * 0.70),
            (edge + rx * 0.02, ground - ry * 0.70),
            ((edge + x + rx) / 2, ground - ry * 1.38),
            (x - rx * 0.7, ground - ry * 1.38),
        ),
        "roof",
        hazed(plan, 0.52 if plan.hour == "day" else 0.36, distance),
        angle=-0.6,
    )
    glow = 0.92 if plan.hour != "day" else 0.22
    for wx in (-0.62, -0.1):
        lay(
            board,
            box(x + rx * (wx - 0.1), ground - ry * 0.5, x + rx * (wx + 0.1), ground - ry * 0.22),
            "sun" if plan.hour != "day" else "dark",
            glow,
        )
    lay(
        board,
        box(x - rx * 0.42, ground - ry * 1.62, x - rx * 0.28, ground - ry * 1.2),
        "roof",
        hazed(plan, shade * 0.9, distance),
    )


def lay_path(board: Board, plan: Plan, main: float) -> None:
    """A path that winds into the distance."""
    t = np.linspace(0, 1, 30)
    y = 1.02 - 0.42 * t
    middle = 0.5 + (main - 0.5) * 0.4 + 0.10 * np.sin(4.2 * t + 0.5) * (1 - 0.55 * t)
    half = 0.075 * (1 - t) ** 1.5 + 0.006
    outline = np.concatenate(
        [np.stack([middle - half, y], 1), np.stack([middle + half, y], 1)[::-1]]
    )
    value = {"day": 0.74, "dusk": 0.56, "night": 0.24}[plan.hour]
    lay(board, outline, "earth", slope_light(value + 0.06, value - 0.04), angle=np.pi / 2 - 0.2)
