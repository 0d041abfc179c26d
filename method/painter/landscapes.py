"""Pictures in the open air. Each scene blocks in one picture and says what is in it."""

from __future__ import annotations

import numpy as np

from method.painter.easel import (
    Board,
    blob,
    box,
    fill,
    lay,
    mirror,
    noise,
    polygon,
    radii,
    ridge,
    slope_light,
)
from method.painter.outdoor_things import (
    lay_birch,
    lay_boat,
    lay_cottage,
    lay_fir,
    lay_path,
    lay_poplar,
    lay_sky,
    lay_tree,
    lay_water,
)
from method.painter.plan import HOURS, Plan, count_words, hazed, main_side


def sea(board: Board, plan: Plan) -> None:
    """Boats on open water."""
    rng = board.rng
    symmetric = plan.composition == "symmetric"
    horizon = (
        float(rng.uniform(0.42, 0.60))
        if plan.composition == "horizontal"
        else float(rng.choice([0.36, 0.62]))
    )
    main = main_side(board, plan)
    has_sun = plan.hour != "day" or rng.random() < 0.5
    sun = (main if symmetric else 1 - main + float(rng.uniform(-0.05, 0.05))) if has_sun else None
    lay_sky(board, plan, horizon, sun)
    for distance in (1.0, 0.75):
        if rng.random() < 0.75:
            rise = float(rng.uniform(0.02, 0.07))
            left, right = (
                (horizon - rise, horizon + 0.01)
                if rng.random() < 0.5
                else (horizon + 0.01, horizon - rise)
            )
            lay(
                board,
                ridge(board, left, right, 0.02),
                "far",
                hazed(plan, 0.35, distance),
                angle=0.0,
            )
    lay_water(board, plan, horizon, sun)
    boats = 1 if symmetric else int(rng.integers(1, 5))
    for index in reversed(range(boats)):
        distance = index / 4
        x = main if index == 0 else float(rng.uniform(0.08, 0.92))
        size = 0.13 * (1 - 0.62 * distance) * (1 if index == 0 else 0.8)
        depth = 0.30 if index == 0 else 0.16 - 0.045 * index
        sail = str(rng.choice(["linen", "orange", "linen", "red"]))
        lay_boat(board, plan, x, horizon + (1 - horizon) * depth, size, distance, sail)
    if symmetric:
        mirror(board)
    elif rng.random() < 0.5:
        lay(
            board,
            ridge(board, 0.93, 1.06, 0.015),
            "earth",
            {"day": 0.42, "dusk": 0.22, "night": 0.07}[plan.hour],
            angle=-0.1,
        )
    when, name = HOURS[plan.hour]
    noun = count_words(boats, "boat", "boats")
    plan.title = f"{name}, {noun[0].upper()}{noun[1:]}"
    plan.prompt = f"Sailing {'boat' if boats == 1 else 'boats'} on open water {when}, {noun}, distant shore, oil painting"
    plan.contents = {"boats": boats, "sun": sun is not None}


def hills(board: Board, plan: Plan) -> None:
    """Receding hills with trees and a cottage."""
    rng = board.rng
    horizon = float(rng.uniform(0.34, 0.46))
    main = main_side(board, plan)
    sun = 1 - main if plan.hour != "day" else None
    lay_sky(board, plan, horizon + 0.1, sun)
    autumn = rng.random() < 0.35
    leaves = "autumn" if autumn else "foliage"
    layers = 5
    roles = [
        "far",
        "far",
        "foliage",
        "field" if autumn else "grass",
        "grass" if rng.random() < 0.6 else "field",
    ]
    flat = plan.composition == "horizontal"
    for index in range(layers):
        distance = 1 - index / (layers - 1)
        y = horizon + (0.98 - horizon) * (index / layers) ** 1.1
        tilt = 0.0 if flat else float(rng.uniform(-0.09, 0.09)) * (1 - 0.3 * distance)
        base = (
            {"day": 0.50, "dusk": 0.34, "night": 0.13}[plan.hour]
            - 0.05 * index
            + (0.12 if index % 2 else 0.0)
        )
        value = hazed(plan, base, distance)
        rough = (0.012 if flat else 0.03) * (0.6 + distance)
        lay(
            board,
            ridge(board, y - tilt, y + tilt, rough, 2.0 + 1.5 * distance),
            roles[index],
            slope_light(value + 0.10, value - 0.06),
            angle=float(rng.uniform(-0.25, 0.25)),
            detail=0.5,
        )
        for _ in range(int(rng.integers(2, 6)) if 0 < index < 4 else 0):
            size = 0.018 + 0.05 * (1 - distance)
            x = float(rng.uniform(0, 1))
            spot = y + (tilt * (2 * x - 1)) + 0.012
            lay(
                board,
                blob(board, x, spot, *radii(board, size), 0.25),
                leaves,
                hazed(plan, base - 0.17, distance),
                angle=1.1,
                detail=0.9,
            )
    path = rng.random() < 0.55
    if path:
        lay_path(board, plan, main)
    house = rng.random() < 0.6
    if house:
        lay_cottage(board, plan, 1 - main + 0.05, 0.66, 0.075, 0.25)
    trees = int(rng.integers(1, 3))
    for index in range(trees):
        if rng.random() < 0.5 and index:
            lay_poplar(board, plan, main + 0.10 * index, 0.80 - 0.04 * index, 0.42, 0.15, leaves)
        else:
            lay_tree(
                board,
                plan,
                main + 0.15 * index,
                0.84 - 0.07 * index,
                0.20 - 0.06 * index,
                0.1 * index,
                leaves,
            )
    when, name = HOURS[plan.hour]
    things = (
        [count_words(trees, "tree", "trees")]
        + (["a cottage"] if house else [])
        + (["a path"] if path else [])
    )
    plan.title = f"{'Autumn' if autumn else 'Green'} Hills, {name}"
    plan.prompt = (
        f"Valley with {'autumn ' if autumn else ''}hills {when}, {', '.join(things)}, oil painting"
    )
    plan.contents = {"trees": trees, "cottage": house, "path": path}


def slope(board: Board, plan: Plan) -> None:
    """A mountainside that runs from corner to corner."""
    rng = board.rng
    rising = rng.random() < 0.5
    tilt = float(np.arctan2(0.62, board.aspect)) * (-1 if rising else 1)

    def across(y_left: float, y_right: float) -> tuple[float, float]:
        return (y_left, y_right) if rising else (y_right, y_left)

    lay_sky(board, plan, 0.8, None, tilt=tilt)
    snow = rng.random() < 0.6
    for index, (low, high) in enumerate(((0.62, 0.22), (0.86, 0.18), (1.10, 0.46), (1.32, 0.74))):
        distance = 1 - index / 3
        left, right = across(low, high)
        base = {"day": 0.46, "dusk": 0.30, "night": 0.12}[plan.hour] - 0.06 * index
        role = ("far", "stone", "foliage", "grass")[index]
        value = hazed(plan, base, distance)
        crest = ridge(board, left, right, 0.022 + 0.016 * (index < 2), 4.0)
        if snow and index < 2:
            bright = hazed(
                plan, {"day": 0.96, "dusk": 0.84, "night": 0.50}[plan.hour], distance * 0.6
            )
            lay(
                board,
                crest,
                "linen",
                slope_light(bright, bright - 0.2),
                angle=tilt + 0.5,
                detail=0.6,
            )
            crest = crest.copy()
            crest[:-2, 1] += (
                0.05
                + 0.035
                * np.abs(np.convolve(rng.normal(size=len(crest) + 2), np.ones(5) / 2, "same"))[
                    : len(crest) - 2
                ]
            )
        lay(board, crest, role, slope_light(value + 0.14, value - 0.05), angle=tilt, detail=0.6)
    left, right = across(1.14, 0.52)
    trees = int(rng.integers(5, 10))
    for along in np.sort(rng.uniform(0.05, 0.95, trees)):
        ground = left + (right - left) * float(along) + 0.10
        if ground < 1.05:
            lay_fir(board, plan, float(along), ground, float(rng.uniform(0.10, 0.20)))
    when, name = HOURS[plan.hour]
    plan.title = f"Mountainside, {name}"
    plan.prompt = (
        f"Steep mountainside {when} with fir trees{' and snow' if snow else ''}, oil painting"
    )
    plan.contents = {"firs": trees, "snow": snow}


def birches(board: Board, plan: Plan) -> None:
    """A grove of birch trunks."""
    rng = board.rng
    autumn = rng.random() < 0.5
    leaves = "autumn" if autumn else "foliage"
    far = hazed(plan, {"day": 0.62, "dusk": 0.48, "night": 0.16}[plan.hour], 0.8)
    mottle = noise(board, 4, 4)
    fill(
        board,
        leaves,
        lambda _x, y: far + 0.16 * mottle + 0.10 * (0.6 - y),
        angle=np.pi / 2,
        detail=0.4,
    )
    ground = 0.80
    for distance, count in ((1.0, 9), (0.5, 5)):
        for x in rng.uniform(0, 1, count):
            half = radii(board, 0.006 + 0.008 * (1 - distance))[0]
            value = hazed(plan, 0.34, distance)
            lay(
                board,
                box(float(x) - half, -0.02, float(x) + half, ground + 0.02),
                "bark",
                value,
                angle=np.pi / 2,
                opacity=0.75,
            )
    base = {"day": 0.42, "dusk": 0.28, "night": 0.10}[plan.hour]
    lay(
        board,
        ridge(board, ground, ground, 0.012),
        "autumn" if autumn else "grass",
        slope_light(base + 0.14, base - 0.1),
        angle=0.1,
        blur=0.01,
    )
    trunks = int(rng.integers(5, 9))
    pale = {"day": 0.93, "dusk": 0.80, "night": 0.46}[plan.hour]
    spread = (np.arange(trunks) + 0.5 + rng.uniform(-0.28, 0.28, trunks)) / trunks
    for x in spread:
        lay_birch(board, plan, float(x), ground + float(rng.uniform(0.03, 0.14)), pale)
    for _ in range(60):
        x, y = float(rng.uniform(0, 1)), float(rng.uniform(-0.02, 0.42))
        lay(
            board,
            blob(board, x, y, *radii(board, float(rng.uniform(0.008, 0.024)))),
            leaves,
            far + float(rng.uniform(-0.2, 0.22)),
            angle=float(rng.uniform(0, 3)),
            detail=1.0,
        )
    when, name = HOURS[plan.hour]
    plan.title = f"Birches, {name}"
    plan.prompt = f"Birch grove {when} with {'yellow autumn' if autumn else 'green'} leaves, {count_words(trunks, 'trunk', 'trunks')}, oil painting"
    plan.contents = {"trunks": trunks, "autumn": autumn}


def avenue(board: Board, plan: Plan) -> None:
    """A road between two rows of poplars, mirrored about its middle."""
    rng = board.rng
    horizon = 0.60
    lay_sky(board, plan, horizon, 0.5)
    base = {"day": 0.52, "dusk": 0.34, "night": 0.13}[plan.hour]
    lay(
        board,
        ridge(board, horizon - 0.03, horizon - 0.03, 0.02),
        "far",
        hazed(plan, base - 0.08, 1.0),
        angle=0.0,
    )
    lay(
        board,
        box(-0.02, horizon, 1.02, 1.02),
        "grass",
        slope_light(base + 0.08, base - 0.08),
        angle=0.05,
    )
    lay(
        board,
        polygon((0.485, horizon), (0.515, horizon), (0.80, 1.02), (0.20, 1.02)),
        "earth",
        slope_light(base + 0.24, base + 0.14),
        angle=np.pi / 2,
    )
    leaves = "autumn" if rng.random() < 0.4 else "foliage"
    pairs = 6
    for index in range(pairs):
        near = ((index + 1) / pairs) ** 1.7
        ground = horizon + 0.02 + 0.34 * near
        for side in (-1, 1):
            x = 0.5 + side * (0.035 + 0.40 * near)
            lay(
                board,
                polygon(
                    (x, ground),
                    (x + 0.01, ground + 0.01),
                    (0.5 + side * 0.02, ground + 0.035),
                    (0.5, ground + 0.015),
                ),
                "dark",
                base * 0.5,
                blur=0.008,
                opacity=0.35,
            )
            lay_poplar(board, plan, x, ground, 0.14 + 0.62 * near, 1 - near, leaves)
    mirror(board)
    when, name = HOURS[plan.hour]
    plan.title = f"The Avenue, {name}"
    plan.prompt = (
        f"Straight road between two rows of poplars {when}, the sun at its end, oil painting"
    )
    plan.contents = {"pairs_of_trees": pairs}
