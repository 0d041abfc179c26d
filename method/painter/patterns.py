"""Pictures without a place: a wreath, discs, bars. Each scene blocks in one and says what is in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from method.painter.easel import Board, Floats, around, disc, fill, lay, leaf, noise, radii
from method.painter.indoor_things import lay_flower
from method.painter.plan import Plan, count_words


def wreath(board: Board, plan: Plan) -> None:
    """A ring of flowers and leaves on plain ground."""
    rng = board.rng
    dim = {"day": 0.72, "dusk": 0.40, "night": 0.16}[plan.hour]
    wash = noise(board, 2.0, 3)
    fill(
        board,
        str(rng.choice(["linen", "wall", "plaster", "neutral"])),
        dim + 0.02 * wash,
        angle=turning(board),
        detail=0.2,
    )
    tone = 0.44 if plan.hour == "day" else dim + 0.10
    ring = float(rng.uniform(0.29, 0.33))
    flowers = int(rng.integers(9, 16))
    for turn in np.linspace(0, 2 * np.pi, 90, endpoint=False):
        reach = ring * (1 + 0.14 * float(rng.normal()))
        rx, ry = radii(board, reach)
        long = float(rng.uniform(0.03, 0.058))
        lean = float(turn) + np.pi / 2 + float(rng.normal()) * 0.5
        lay(
            board,
            leaf(board, 0.5 + rx * np.cos(turn), 0.5 + ry * np.sin(turn), long, long * 0.34, lean),
            "foliage",
            tone - 0.12 + float(rng.uniform(-0.12, 0.14)),
            angle=lean,
            detail=1.0,
        )
    blooms = [
        str(kind)
        for kind in rng.choice(
            ["rose", "yellow", "red", "violet", "linen", "orange", "blue"], 3, replace=False
        )
    ]
    for index, turn in enumerate(
        np.linspace(0, 2 * np.pi, flowers, endpoint=False) + float(rng.uniform(0, 1))
    ):
        rx, ry = radii(board, ring * (1 + 0.05 * float(rng.normal())))
        lay_flower(
            board,
            0.5 + rx * float(np.cos(turn)),
            0.5 + ry * float(np.sin(turn)),
            float(rng.uniform(0.05, 0.072)),
            blooms[index % 3],
            tone + 0.22,
        )
    plan.title = f"Wreath with {count_words(flowers, 'Flower', 'Flowers').title()}"
    plan.prompt = f"Wreath of {flowers} flowers and leaves on a plain ground, oil painting"
    plan.contents = {"flowers": flowers, "kinds": blooms}


def turning(board: Board) -> Floats:
    """Strokes that turn about the middle of the board."""
    width, height = board.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    result: Floats = (np.arctan2(y - height / 2, x - width / 2) + np.pi / 2).astype(np.float32)
    return result


def rings(board: Board, plan: Plan) -> None:
    """Concentric discs cut into quarters, after Orphism."""
    rng = board.rng
    fill(board, "neutral", 0.62, angle=turning(board))
    colours = ["red", "blue", "yellow", "green", "orange", "violet", "sky", "rose", "linen"]
    count = int(rng.integers(5, 8))
    for ring in range(count):
        rx, ry = radii(board, 0.47 * (1 - ring / count))
        start = float(rng.uniform(0, np.pi / 2))
        sectors = int(rng.integers(3, 6))
        for sector in range(sectors):
            a = start + 2 * np.pi * sector / sectors
            b = start + 2 * np.pi * (sector + 1) / sectors
            t = np.linspace(a, b, 20)
            arc = np.stack([0.5 + rx * np.cos(t), 0.5 + ry * np.sin(t)], 1)
            lay(
                board,
                np.concatenate([[[0.5, 0.5]], arc]),
                str(rng.choice(colours)),
                float(rng.uniform(0.22, 0.92)),
                angle=float((a + b) / 2) + np.pi / 2,
                detail=0.5,
            )
    plan.title = f"Discs No. {int(rng.integers(2, 40))}"
    plan.prompt = "Abstract picture of nested discs cut into coloured sectors, oil painting"
    plan.contents = {"rings": count}


def abstract(board: Board, plan: Plan) -> None:
    """Bars, discs, triangles and arcs on a toned ground."""
    rng = board.rng
    wash = noise(board, 1.5, 3)
    ground = float(rng.choice([0.82, 0.74, 0.30]))
    fill(
        board,
        str(rng.choice(["linen", "plaster", "neutral", "wall"])),
        ground + 0.04 * wash,
        angle=(wash * 1.5).astype(np.float32),
    )
    colours = ["red", "blue", "yellow", "green", "orange", "violet", "dark", "sky", "rose"]
    main = {
        "diagonal": -0.72 if rng.random() < 0.5 else 0.72,
        "horizontal": 0.0,
        "vertical": np.pi / 2,
    }.get(plan.composition, 0.4)
    free = plan.composition == "thirds"
    count = int(rng.integers(9, 15))
    for _ in range(count):
        turn = float(rng.uniform(0, np.pi)) if free else float(main) + float(rng.normal()) * 0.05
        x, y = float(rng.uniform(0.12, 0.88)), float(rng.uniform(0.12, 0.88))
        if free:
            x, y = 0.36 + float(rng.normal()) * 0.13, 0.38 + float(rng.normal()) * 0.14
        role = colours[int(rng.integers(len(colours)))]
        value = (
            float(rng.uniform(0.12, 0.36))
            if ground > 0.5 and rng.random() < 0.6
            else float(rng.uniform(0.4, 0.9))
        )
        long, thick = (
            radii(board, float(rng.uniform(0.12, 0.36)))[0],
            float(rng.uniform(0.012, 0.05)),
        )
        lay(board, _bar(board, x, y, long, thick, turn), role, value, angle=turn, detail=0.6)
    discs = int(rng.integers(2, 5)) if not free else 3
    for _ in range(discs):
        x, y = float(rng.uniform(0.15, 0.85)), float(rng.uniform(0.15, 0.85))
        if free:
            x, y = 1 / 3 + float(rng.normal()) * 0.1, 0.36 + float(rng.normal()) * 0.12
        size = float(rng.uniform(0.03, 0.10))
        for ring, shrink in enumerate((1.0, 0.66, 0.33)):
            lay(
                board,
                disc(board, x, y, size * shrink),
                str(rng.choice(colours)),
                0.2 + 0.3 * ring,
                angle=around,
                detail=0.7,
            )
    plan.title = f"Improvisation No. {int(rng.integers(2, 60))}"
    plan.prompt = (
        f"Abstract picture of {count} bars and {discs} ringed discs on a plain ground, oil painting"
    )
    plan.contents = {"bars": count, "discs": discs}


def _bar(
    board: Board, x: float, y: float, long: float, thick: float, turn: float
) -> np.ndarray[Any, np.dtype[np.float64]]:
    width, height = board.size
    half = thick * min(width, height) / 2
    along = np.array([np.cos(turn), np.sin(turn)]) * long * width
    normal = np.array([-np.sin(turn), np.cos(turn)]) * half
    corners = np.array([along + normal, along - normal, -along - normal, -along + normal])
    return corners / (width, height) + (x, y)
