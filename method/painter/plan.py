"""What a picture is asked for and what every scene needs: hours of the day, haze, words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from method.painter.easel import Board


@dataclass
class Plan:
    """What a scene is told (composition, haze, hour) and what it reports back (title, prompt, things painted)."""

    composition: str
    haze: float  # 0 clear air to 1 thick haze
    hour: str  # day, dusk, night
    depth: float  # how strongly forms are modelled
    title: str = ""
    prompt: str = ""
    contents: dict[str, Any] = field(default_factory=dict)


HOURS = {
    "day": ("in the morning", "Morning"),
    "dusk": ("at dusk", "Dusk"),
    "night": ("by moonlight", "Moonlight"),
}


def main_side(board: Board, plan: Plan) -> float:
    """The x of the main subject: on a third, or in the middle of a symmetrical picture."""
    if plan.composition == "symmetric":
        return 0.5
    return float(board.rng.choice([1 / 3, 2 / 3]))


def count_words(count: int, one: str, more: str) -> str:
    """A number of things in words: "a boat", "three boats"."""
    words = ("no", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return f"a {one}" if count == 1 else f"{words[count] if count < len(words) else count} {more}"


def hazed(plan: Plan, value: float, distance: float) -> float:
    """Distance (0 near, 1 far) lifts values towards the light of the air."""
    air = {"day": 0.84, "dusk": 0.72, "night": 0.30}[plan.hour]
    return value + (air - value) * distance * plan.haze
