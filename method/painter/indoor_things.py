"""Things indoors that the demo painter can lay: vessels, fruit, books, flowers, a chair."""

from __future__ import annotations

import numpy as np

from method.painter.easel import (
    Board,
    around,
    box,
    disc,
    ellipse,
    lathe,
    lay,
    leaf,
    polygon,
    radii,
    round_light,
    turned_light,
)

VESSELS: dict[str, list[tuple[float, float]]] = {
    "jug": [
        (0, 0.62),
        (0.08, 0.74),
        (0.35, 1.0),
        (0.6, 0.82),
        (0.78, 0.46),
        (0.92, 0.46),
        (1, 0.58),
    ],
    "bottle": [
        (0, 0.95),
        (0.05, 1.0),
        (0.55, 1.0),
        (0.68, 0.55),
        (0.75, 0.32),
        (0.97, 0.30),
        (1, 0.36),
    ],
    "vase": [(0, 0.45), (0.1, 0.5), (0.45, 1.0), (0.7, 0.85), (0.88, 0.42), (1, 0.62)],
    "bowl": [(0, 0.38), (0.12, 0.42), (0.5, 0.86), (0.9, 1.0), (1, 1.0)],
}


def drop_shadow(
    board: Board, x: float, ground: float, rx: float, ry: float, strength: float = 0.55
) -> None:
    """The soft shadow that a thing standing at (x, ground) throws away from the light."""
    away = -board.light[0]
    lay(
        board,
        ellipse(x + away * rx * 0.9, ground - ry * 0.1, rx * 1.25, ry * 0.38),
        "dark",
        0.12,
        blur=0.012,
        opacity=strength,
    )


def lay_vessel(
    board: Board,
    kind: str,
    x: float,
    ground: float,
    tall: float,
    role: str,
    base: float,
    depth: float,
) -> None:
    """A turned vessel of one of `VESSELS`; `tall` is a share of the short side."""
    slim = {"jug": 0.40, "bottle": 0.20, "vase": 0.38, "bowl": 1.0}[kind]
    width, height = radii(board, tall * slim)[0], radii(board, tall)[1]
    drop_shadow(board, x, ground, width, height * 0.3)
    if kind == "jug":
        side = 1 if board.light[0] < 0 else -1
        lay(
            board,
            ellipse(x + side * width * 0.95, ground - height * 0.58, width * 0.42, height * 0.24),
            role,
            base - 0.12 * depth,
            angle=around,
        )
        lay(
            board,
            ellipse(x + side * width * 0.95, ground - height * 0.58, width * 0.24, height * 0.15),
            "wall",
            base - 0.10,
            angle=0.6,
        )
    lay(
        board,
        lathe(x, ground, height, width, VESSELS[kind]),
        role,
        turned_light(board, base, depth),
        angle=lambda u, _v: np.float32(np.pi / 2) + 0.5 * u,
        detail=0.8,
    )
    rim = VESSELS[kind][-1][1] * width
    lay(
        board,
        ellipse(x, ground - height, rim, height * (0.04 if kind != "bowl" else 0.10)),
        role,
        max(base - 0.28, 0.06),
        angle=0.0,
        detail=1.0,
    )


def lay_fruit(
    board: Board, x: float, ground: float, size: float, role: str, base: float, depth: float
) -> None:
    """A round fruit with a stalk, lit as a ball."""
    rx, ry = radii(board, size)
    drop_shadow(board, x, ground, rx, ry)
    lay(
        board,
        ellipse(x, ground - ry, rx, ry * 0.96),
        role,
        round_light(board, base, depth),
        angle=around,
        detail=0.9,
    )
    lay(
        board,
        polygon(
            (x - rx * 0.06, ground - ry * 1.75),
            (x + rx * 0.06, ground - ry * 1.78),
            (x + rx * 0.16, ground - ry * 2.15),
            (x + rx * 0.05, ground - ry * 2.15),
        ),
        "bark",
        0.16,
        detail=1.0,
    )


def lay_book(
    board: Board, x: float, ground: float, size: float, role: str, base: float, depth: float
) -> None:
    """A book lying flat, seen from the front and a little from above."""
    rx, ry = radii(board, size)
    drop_shadow(board, x, ground, rx, ry * 0.3)
    lit = 0.5 * depth * -board.light[0]
    lay(
        board,
        polygon(
            (x - rx, ground - ry * 0.42),
            (x + rx * 0.9, ground - ry * 0.42),
            (x + rx * 1.2, ground - ry * 0.72),
            (x - rx * 0.6, ground - ry * 0.72),
        ),
        role,
        base + 0.22 * depth,
        angle=0.1,
    )
    lay(
        board,
        box(x - rx, ground - ry * 0.42, x + rx * 0.9, ground),
        role,
        base - 0.10 + lit * 0.3,
        angle=0.0,
    )
    lay(
        board,
        box(x - rx * 0.97, ground - ry * 0.33, x + rx * 0.9, ground - ry * 0.09),
        "linen",
        0.8 if base > 0.3 else 0.6,
        angle=0.0,
    )
    lay(
        board,
        polygon(
            (x + rx * 0.9, ground),
            (x + rx * 1.2, ground - ry * 0.3),
            (x + rx * 1.2, ground - ry * 0.72),
            (x + rx * 0.9, ground - ry * 0.42),
        ),
        role,
        base - 0.10 - lit * 0.3,
        angle=1.2,
    )


def lay_bouquet(board: Board, x: float, y: float, size: float, count: int, dim: float) -> None:
    """Leaves and flowers spreading from (x, y)."""
    rng = board.rng
    rx, ry = radii(board, size)
    for _ in range(count):
        turn = float(rng.uniform(0, 2 * np.pi))
        reach = float(rng.uniform(0.3, 1.1))
        lay(
            board,
            leaf(
                board,
                x + rx * reach * np.cos(turn),
                y - ry * 0.5 + ry * reach * np.sin(turn) * 0.8,
                size * 0.34,
                size * 0.10,
                turn,
            ),
            "foliage",
            dim - 0.08 + float(rng.uniform(-0.1, 0.1)),
            angle=turn,
            detail=1.0,
        )
    for _ in range(count):
        px = x + rx * float(rng.normal()) * 0.6
        py = y - ry * 0.55 + ry * float(rng.normal()) * 0.45
        lay_flower(
            board,
            px,
            py,
            size * float(rng.uniform(0.20, 0.32)),
            str(rng.choice(["rose", "yellow", "linen", "red", "violet"])),
            dim + 0.25,
        )


def lay_flower(board: Board, x: float, y: float, size: float, role: str, value: float) -> None:
    """An open flower with five to seven petals."""
    rng = board.rng
    petals = int(rng.integers(5, 8))
    start = float(rng.uniform(0, 6.3))
    for petal in range(petals):
        turn = start + 2 * np.pi * petal / petals
        rx, ry = radii(board, size)
        lay(
            board,
            leaf(
                board,
                x + rx * 0.62 * np.cos(turn),
                y + ry * 0.62 * np.sin(turn),
                size * 0.5,
                size * 0.36,
                turn,
            ),
            role,
            value + 0.12 * np.cos(turn + 2.3) + float(rng.uniform(-0.05, 0.05)),
            angle=turn,
            detail=1.0,
        )
    lay(board, disc(board, x, y, size * 0.3), "sun", value * 0.85, angle=around, detail=1.0)


def lay_chair(board: Board, x: float, ground: float, dim: float) -> None:
    """A plain wooden chair seen from the front."""
    rx, ry = radii(board, 0.11)
    wood = dim * 0.55
    for leg in (-0.85, 0.7):
        lay(
            board,
            box(x + rx * leg, ground - ry * 1.5, x + rx * (leg + 0.16), ground),
            "wood",
            wood,
            angle=np.pi / 2,
        )
    for post in (-0.85, 0.7):
        lay(
            board,
            box(x + rx * post, ground - ry * 3.3, x + rx * (post + 0.16), ground - ry * 1.4),
            "wood",
            wood + 0.05,
            angle=np.pi / 2,
        )
    for rail in (3.2, 2.6, 2.0):
        lay(
            board,
            box(x - rx * 0.8, ground - ry * rail, x + rx * 0.8, ground - ry * (rail - 0.22)),
            "wood",
            wood + 0.08,
            angle=0.0,
        )
    lay(
        board,
        polygon(
            (x - rx * 1.0, ground - ry * 1.35),
            (x + rx * 1.0, ground - ry * 1.35),
            (x + rx * 0.8, ground - ry * 1.75),
            (x - rx * 0.8, ground - ry * 1.75),
        ),
        "field",
        dim + 0.26,
        angle=0.0,
    )
