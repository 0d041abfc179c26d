"""Pictures indoors. Each scene blocks in one picture and says what is in it."""

from __future__ import annotations

import numpy as np

from method.painter.easel import (
    Board,
    around,
    box,
    ellipse,
    fill,
    lathe,
    lay,
    mirror,
    noise,
    polygon,
    radii,
    round_light,
    slope_light,
    turned_light,
)
from method.painter.indoor_things import lay_book, lay_bouquet, lay_chair, lay_fruit, lay_vessel
from method.painter.plan import HOURS, Plan, count_words, main_side


def still_life(board: Board, plan: Plan) -> None:
    """Vessels, fruit and books on a table."""
    rng = board.rng
    symmetric = plan.composition == "symmetric"
    edge = float(rng.uniform(0.60, 0.68))
    lx = board.light[0]
    dim = {"day": 0.50, "dusk": 0.34, "night": 0.16}[plan.hour]
    wash = noise(board, 2.5, 3)
    wall_role = str(rng.choice(["wall", "neutral", "drapery", "stone", "foliage"]))
    fill(
        board,
        wall_role,
        lambda x, _y: dim + 0.05 * wash - 0.24 * lx * plan.depth * (0.5 - x) * -1.6,
        angle=(0.8 + wash).astype(np.float32),
    )
    cloth = rng.random() < 0.5
    table = "linen" if cloth else "wood"
    top = dim + (0.34 if cloth else 0.10)
    lay(
        board,
        box(-0.02, edge, 1.02, 1.02),
        table,
        slope_light(top, top - 0.16, 0.10 * -lx, 0.10 * lx),
        angle=0.03,
        blur=0.003,
    )
    if cloth and not symmetric:
        for fold in rng.uniform(0.05, 0.95, 5):
            lay(
                board,
                polygon(
                    (float(fold), edge + 0.03),
                    (float(fold) + 0.02, edge + 0.03),
                    (float(fold) + float(rng.uniform(-0.12, 0.12)), 1.02),
                    (float(fold) - 0.05, 1.02),
                ),
                "linen",
                top - 0.2,
                blur=0.012,
                opacity=0.45,
            )
    else:
        lay(board, box(-0.02, 0.93, 1.02, 1.02), table, dim * 0.45, angle=0.0)
    main = main_side(board, plan)
    kind = str(rng.choice(["jug", "bottle", "vase"]))
    vessel_role = str(rng.choice(["blue", "plaster", "green", "earth", "rose"]))
    lift = 0.10 if plan.hour == "night" else 0.0
    lay_vessel(
        board,
        kind,
        main,
        edge + 0.10,
        float(rng.uniform(0.38, 0.48)),
        vessel_role,
        dim + 0.08 + lift,
        plan.depth,
    )
    if kind == "vase":
        lay_bouquet(board, main, edge + 0.10 - radii(board, 0.45)[1], 0.15, 11, dim + lift)
    fruits = int(rng.integers(2, 6))
    fruit = str(rng.choice(["orange", "red", "yellow", "green"]))
    name = {"orange": "orange", "red": "apple", "yellow": "lemon", "green": "pear"}[fruit]
    spots = (
        np.linspace(0.18, 0.40, 2)
        if symmetric
        else main + (0.5 - main) * rng.uniform(0.5, 2.9, fruits)
    )
    for x in spots:
        low = edge + (0.16 if symmetric else float(rng.uniform(0.10, 0.24)))
        lay_fruit(
            board,
            float(np.clip(x, 0.08, 0.92)),
            low,
            float(rng.uniform(0.055, 0.075)),
            fruit,
            dim + 0.06 + lift,
            plan.depth * 1.15,
        )
    book = not symmetric and rng.random() < 0.55
    if book:
        lay_book(
            board,
            1 - main,
            edge + 0.14,
            0.14,
            str(rng.choice(["red", "blue", "earth"])),
            dim - 0.04 + lift,
            plan.depth,
        )
        lay_fruit(
            board,
            1 - main + 0.02,
            edge + 0.14 - radii(board, 0.08)[1],
            0.055,
            fruit,
            dim + 0.1 + lift,
            plan.depth * 1.15,
        )
    if symmetric:
        mirror(board)
        fruits = 4
    count = fruits + int(book)
    extra = ", a book" if book else ""
    plan.title = f"Still Life with {kind.title()} and {count_words(count, name, name + 's').split(' ', 1)[1].title()}"
    plan.prompt = f"Still life with a {kind}, {count_words(count, name, name + 's')}{extra} on a {'white cloth' if cloth else 'wooden table'}, oil painting"
    plan.contents = {"vessel": kind, "fruit": name, "fruits": count, "book": book}


def figure(board: Board, plan: Plan) -> None:
    """A sitter seen from behind, head and shoulders."""
    rng = board.rng
    symmetric = plan.composition == "symmetric"
    lx = board.light[0]
    dim = {"day": 0.52, "dusk": 0.36, "night": 0.14}[plan.hour]
    wash = noise(board, 2.0, 3)
    role = str(rng.choice(["wall", "stone", "foliage", "drapery", "neutral"]))
    fill(
        board,
        role,
        lambda x, _y: dim + 0.05 * wash - 0.35 * plan.depth * lx * (0.5 - x) * -1.0,
        angle=(1.1 + 1.2 * wash).astype(np.float32),
    )
    x = 0.5 if symmetric else float(rng.choice([0.38, 0.62]))
    if not symmetric and rng.random() < 0.6:
        side = 1 - x + (0.10 if x < 0.5 else -0.10)
        frame = radii(board, 0.16)
        lay(
            board,
            box(side - frame[0], 0.10, side + frame[0], 0.10 + frame[1] * 2.4),
            "wood",
            dim - 0.12,
        )
        lay(
            board,
            box(side - frame[0] * 0.84, 0.12, side + frame[0] * 0.84, 0.08 + frame[1] * 2.4),
            "far",
            dim + 0.12,
            angle=0.3,
        )
    rx, ry = radii(board, 0.34)
    dress = str(rng.choice(["dark", "drapery", "red", "green", "earth", "blue"]))
    base = 0.24 if plan.hour != "night" else 0.14
    skin = dim + 0.20 if plan.hour != "night" else 0.42
    neck = [(0, 1.0), (0.3, 0.72), (0.6, 0.66), (1, 0.70)]
    lay(
        board,
        lathe(x, 0.70, 0.26, rx * 0.30, neck),
        "flesh",
        turned_light(board, skin, plan.depth),
        angle=np.pi / 2,
        detail=0.7,
    )
    lay(board, ellipse(x, 0.475, rx * 0.22, 0.03), "flesh", skin - 0.22, blur=0.015, opacity=0.49)
    torso = [(0, 1.0), (0.25, 0.96), (0.50, 0.88), (0.68, 0.72), (0.84, 0.40), (1, 0.20)]
    lay(
        board,
        lathe(x, 1.04, 0.425, rx * 1.38, torso),
        dress,
        turned_light(board, base, plan.depth * 0.8),
        angle=lambda u, v: (1.35 + 0.275 * u * (1 - v)).astype(np.float32),
        detail=0.5,
    )
    for fold in (-0.62, -0.30, 0.34, 0.66):
        lay(
            board,
            polygon(
                (x + rx * fold * 0.8, 0.72),
                (x + rx * fold * 0.9, 0.72),
                (x + rx * fold * 1.35, 1.04),
                (x + rx * fold * 1.1, 1.04),
            ),
            dress,
            base - 0.10,
            blur=0.015,
            opacity=0.45,
        )
    collar = rng.random() < 0.6
    if collar:
        band = [(0, 1.0), (0.4, 0.86), (1, 0.70)]
        lay(
            board,
            lathe(x, 0.675, 0.10, rx * 0.42, band),
            "linen",
            turned_light(board, skin + 0.18, plan.depth),
            angle=0.2,
            detail=0.9,
        )
    hair = str(rng.choice(["hair", "dark", "bark", "wood"]))
    tone = float(rng.uniform(0.24, 0.40)) if plan.hour != "night" else 0.22
    for ear in (-1, 1):
        lay(
            board,
            ellipse(x + ear * rx * 0.385, 0.405, rx * 0.06, ry * 0.12),
            "flesh",
            skin - 0.04 + 0.16 * plan.depth * ear * lx,
            angle=np.pi / 2,
            detail=1.0,
        )
    skull = [
        (0, 0.50),
        (0.12, 0.74),
        (0.35, 0.97),
        (0.6, 1.0),
        (0.8, 0.86),
        (0.93, 0.55),
        (1, 0.12),
    ]
    lay(
        board,
        lathe(x, 0.515, ry * 1.16, rx * 0.43, skull),
        hair,
        round_light(board, tone, plan.depth * 0.55),
        angle=lambda u, v: (np.arctan2(v - 0.75, u) + 0.15).astype(np.float32),
        detail=0.9,
    )
    _strands(board, x, 0.49, rx, ry, hair, tone, plan.depth)
    hat = rng.random() < 0.35
    if hat:
        lay(board, ellipse(x, 0.330, rx * 0.50, ry * 0.10), "dark", 0.14, blur=0.01, opacity=0.5)
        lay(
            board,
            ellipse(x, 0.300, rx * 0.92, ry * 0.20),
            "field",
            turned_light(board, dim + 0.20, plan.depth),
            angle=0.0,
            detail=0.8,
        )
        crown = [(0, 1.0), (0.5, 0.95), (0.8, 0.8), (1, 0.35)]
        lay(
            board,
            lathe(x, 0.300, ry * 0.52, rx * 0.46, crown),
            "field",
            turned_light(board, dim + 0.20, plan.depth),
            angle=0.0,
            detail=0.8,
        )
        lay(
            board,
            lathe(x, 0.300, ry * 0.13, rx * 0.47, [(0, 1.0), (1, 1.0)]),
            "red",
            turned_light(board, dim - 0.02, plan.depth),
            angle=0.0,
            detail=0.9,
        )
    else:
        lay(board, ellipse(x, 0.505, rx * 0.31, ry * 0.10), "dark", 0.10, blur=0.01, opacity=0.45)
        lay(
            board,
            ellipse(x, 0.470, rx * 0.30, ry * 0.20),
            hair,
            round_light(board, tone + 0.03, plan.depth * 0.7),
            angle=lambda u, v: around(u, v) + np.float32(0.5),
            detail=1.0,
        )
    if symmetric:
        mirror(board)
    what = "straw hat" if hat else "knotted hair"
    plan.title = f"Figure Seen from Behind, {'Straw Hat' if hat else 'Knotted Hair'}"
    plan.prompt = f"Head and shoulders of a woman seen from behind with {what}{' and a white collar' if collar else ''} in front of a wall, oil painting"
    plan.contents = {"hat": hat, "collar": collar}


def _strands(
    board: Board, x: float, y: float, rx: float, ry: float, hair: str, tone: float, depth: float
) -> None:
    """Combed hair: thin light and dark strands drawn together at the nape."""
    for side in np.linspace(-0.9, 0.9, 15):
        t = np.linspace(0, 1, 12)
        px = x + rx * 0.40 * side * np.cos(t * 1.25) ** 0.8
        py = y - ry * 0.85 * (1 - t) * (1 - 0.55 * side * side)
        half = rx * 0.012 * np.sin(np.pi * t)
        outline = np.concatenate([np.stack([px - half, py], 1), np.stack([px + half, py], 1)[::-1]])
        lit = 0.14 * depth * (0.4 + board.light[0] * side)
        lay(
            board,
            outline,
            hair,
            tone + lit + float(board.rng.uniform(-0.10, 0.08)),
            blur=0.002,
            opacity=0.45,
        )


def window(board: Board, plan: Plan) -> None:
    """A room with a bright window."""
    rng = board.rng
    symmetric = plan.composition == "symmetric"
    lx = board.light[0]
    dim = {"day": 0.34, "dusk": 0.24, "night": 0.10}[plan.hour]
    wash = noise(board, 2.0, 3)
    x = 0.5 if symmetric else (1 / 3 if lx < 0 else 2 / 3)
    fill(
        board,
        str(rng.choice(["wall", "neutral", "plaster", "drapery"])),
        lambda px, _py: dim + 0.05 * wash + 0.22 * np.exp(-(((px - x) * 2.6) ** 2)),
        angle=(np.pi / 2 + wash).astype(np.float32),
    )
    floor = 0.78
    lay(
        board, box(-0.02, floor, 1.02, 1.02), "wood", slope_light(dim + 0.02, dim + 0.10), angle=0.0
    )
    rx, ry = radii(board, 0.24)
    top, sill = 0.12, 0.12 + ry * 2.1
    lay(
        board,
        box(x - rx * 1.14, top - 0.03, x + rx * 1.14, sill + 0.03),
        "wood",
        dim + 0.14,
        angle=np.pi / 2,
    )
    bright = {"day": 0.95, "dusk": 0.86, "night": 0.34}[plan.hour]
    lay(
        board,
        box(x - rx, top, x + rx, sill),
        "sky",
        slope_light(bright - 0.06, bright),
        angle=0.2,
        detail=0.4,
    )
    hill = sill - (sill - top) * 0.34
    t = np.linspace(-1, 1, 20)
    view = np.stack([x + rx * t, hill + 0.02 * np.sin(4 * np.abs(t))], 1)
    lay(
        board,
        np.concatenate([view, [[x + rx, sill], [x - rx, sill]]]),
        "far",
        bright * 0.72,
        angle=0.1,
    )
    view[:, 1] += (sill - top) * 0.14
    lay(
        board,
        np.concatenate([view, [[x + rx, sill], [x - rx, sill]]]),
        "grass",
        bright * 0.58,
        angle=0.1,
    )
    for bar in (-1.0, 0.0, 1.0):
        lay(
            board,
            box(x + rx * bar - rx * 0.045, top, x + rx * bar + rx * 0.045, sill),
            "linen",
            dim + 0.34,
            angle=np.pi / 2,
        )
    for bar in (0.0, 0.5, 1.0):
        y = top + (sill - top) * bar
        lay(
            board,
            box(x - rx, y - ry * 0.035, x + rx, y + ry * 0.035),
            "linen",
            dim + 0.34,
            angle=0.0,
        )
    lay(
        board,
        box(x - rx * 1.25, sill + 0.02, x + rx * 1.25, sill + 0.055),
        "linen",
        bright * 0.85,
        angle=0.0,
    )
    curtain = rng.random() < 0.6
    if curtain:
        cloth = str(rng.choice(["red", "drapery", "linen", "green"]))
        for side in (-1, 1):
            for fold in range(3):
                px = x + side * rx * (1.05 + 0.16 * fold)
                lay(
                    board,
                    polygon(
                        (px - rx * 0.1, top - 0.06),
                        (px + rx * 0.1, top - 0.06),
                        (px + side * rx * 0.10 + rx * 0.1, sill + 0.16),
                        (px + side * rx * 0.10 - rx * 0.1, sill + 0.16),
                    ),
                    cloth,
                    turned_light(board, dim + 0.16, 0.35),
                    angle=np.pi / 2,
                )
    drift = 0.0 if symmetric else -lx * 0.22
    for pane in (-1, 1):
        left = x + drift + rx * (0.06 if pane > 0 else -0.98)
        lay(
            board,
            polygon(
                (left, floor + 0.05),
                (left + rx * 0.9, floor + 0.05),
                (left + rx * 0.95 + drift * 0.6, 0.97),
                (left + drift * 0.6 - rx * 0.05, 0.97),
            ),
            "sun",
            dim + 0.5 * bright,
            blur=0.006,
            angle=0.0,
            opacity=0.8,
        )
    vase = rng.random() < 0.7
    if vase:
        lay_vessel(
            board,
            "vase",
            x,
            sill + 0.03,
            0.17,
            str(rng.choice(["blue", "rose", "green"])),
            dim + 0.16,
            plan.depth,
        )
        lay_bouquet(board, x, sill + 0.03 - radii(board, 0.18)[1], 0.075, 8, dim + 0.1)
    chair = not symmetric and rng.random() < 0.6
    if chair:
        lay_chair(board, 1 - x, 0.93, dim)
    if symmetric:
        mirror(board)
    things = (
        (["a vase of flowers"] if vase else [])
        + (["curtains"] if curtain else [])
        + (["a chair"] if chair else [])
    )
    _, name = HOURS[plan.hour]
    plan.title = f"Window, {name}"
    plan.prompt = f"Room with a window onto hills{', ' if things else ''}{', '.join(things)}, light on the floor, oil painting"
    plan.contents = {"vase": vase, "curtains": curtain, "chair": chair}
