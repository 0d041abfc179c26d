"""How many labels of the measured agent change in other files of a painting.

python -m bench.agent_steadiness FOLDER

Each picture of FOLDER is labelled as it is, and asked anew in other files made from it (`bench.reproducing`): cropped, saved
again, balanced otherwise; with a border, small, enlarged, turned, gray. A label is lost or gained in percent of the labels
of the pictures as they are; of the gray photograph only labels that are not of color count, since it must have none of those.

Thresholds may happen to lie where few of these pictures do. So the same is told with the thresholds moved, each measure's by
a tenth and more of its spread (normal, standard deviation 0.2, the same 100 draws for all files): what pictures that
nobody looked at would lose and gain.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from bench.machine import describe
from bench.reproducing import DISTURBANCES, FILES, GRAY, OTHERS
from taxonomy.shipped import painting_criteria
from worker.agents.looking import measure
from worker.agents.measured import NEEDED, VERSION, decide, see

Side = tuple[str, str]
Labels = frozenset[Side]
Values = Mapping[str, float]  # by measure

DRAWS, MOVED_BY = 100, 0.2
MOST_SHOWN = 5
COLOR = "color-relationship"


def measures_of(path: Path) -> dict[str, Values] | None:
    """The measures of a file as it is (under "") and of the files made from it; None where it is no picture."""
    try:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
    except (OSError, ValueError, UnidentifiedImageError):
        return None
    changed = {name: change(rgb) for name, change in (DISTURBANCES | FILES | OTHERS).items()}
    return {name: measure(see(file).rgb, NEEDED) for name, file in ({"": rgb} | changed).items()}


def labels_of(values: Values) -> Labels:
    """What the agent says of a picture of these measures."""
    return frozenset((found.key, found.polarity) for found in decide(values))


def with_moved_thresholds(seen: Sequence[Mapping[str, Values]], name: str) -> tuple[float, float]:
    """Percent of labels lost and gained in the files of this name, in the mean over moved thresholds."""
    spread = {each: _spread_of(seen, each) for each in sorted(NEEDED)}
    chance = np.random.default_rng(0)
    total = lost = gained = 0
    for _ in range(DRAWS):
        # To move what is measured of all alike is to move the thresholds.
        step = {each: width * chance.normal(0, MOVED_BY) for each, width in spread.items()}
        for each in seen:
            before, after = (labels_of(_moved(each[file], step)) for file in ("", name))
            total += len(before)
            lost += len(before - after)
            gained += len(after - before)
    return 100 * lost / max(1, total), 100 * gained / max(1, total)


def _spread_of(seen: Sequence[Mapping[str, Values]], measured: str) -> float:
    known = [each[""][measured] for each in seen if measured in each[""]]
    return float(np.std(known)) if known else 0.0


def _moved(values: Values, step: Values) -> Values:
    return {name: value + step[name] for name, value in values.items()}


@dataclass(frozen=True)
class Changes:
    """What became of the labels in the files of one name."""

    labels: int  # of the pictures as they are
    lost: Counter[Side]
    gained: Counter[Side]

    def percent(self, which: Counter[Side]) -> float:
        """In percent of the labels of the pictures as they are."""
        return 100 * which.total() / max(1, self.labels)

    def worst(self) -> str:
        """The sides that changed most."""
        most = _most(self.lost + self.gained)
        return ", ".join(
            f"{key} {polarity} -{self.lost[key, polarity]} +{self.gained[key, polarity]}"
            for (key, polarity), _ in most
        )


def changes(seen: Sequence[Mapping[str, Values]], name: str) -> Changes:
    """How the labels of the files of this name differ from those of the pictures as they are."""
    pairs = [(labels_of(each[""]), labels_of(each[name])) for each in seen]
    if name == GRAY:
        pairs = [(_without_color(before), after) for before, after in pairs]
    return Changes(
        sum(len(before) for before, _ in pairs),
        Counter(side for before, after in pairs for side in before - after),
        Counter(side for before, after in pairs for side in after - before),
    )


def _most(counts: Counter[Side]) -> list[tuple[Side, int]]:
    """The most frequent sides, in the same order each time."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:MOST_SHOWN]


def _without_color(labels: Labels) -> Labels:
    criteria = painting_criteria()
    return frozenset(side for side in labels if criteria.root_of(side[0]).key != COLOR)


def _print_others(seen: Sequence[Mapping[str, Values]]) -> None:
    for name in ("", *OTHERS):
        found = [labels_of(each[name]) for each in seen]
        often = _most(Counter(side for each in found for side in each))
        words = ", ".join(f"{key} {polarity} {times}" for (key, polarity), times in often)
        mean = sum(map(len, found)) / max(1, len(found))
        print(f"{name or 'as they are'}: {mean:.1f} labels a picture; most often {words}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder
    if not folder.is_dir():
        print(f"{folder} is not a folder.", file=sys.stderr)
        return 2
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        seen = [each for each in pool.map(measures_of, paths, chunksize=4) if each is not None]
    print(f"{describe()}\nMeasured agent, version {VERSION}, on {len(seen)} pictures.\n")
    print("| file | lost | gained | thresholds moved: lost | gained |")
    print("| --- | ---: | ---: | ---: | ---: |")
    found = {name: changes(seen, name) for name in DISTURBANCES | FILES}
    for name, each in found.items():
        elsewhere = with_moved_thresholds(seen, name) if name in DISTURBANCES else ()
        columns = (each.percent(each.lost), each.percent(each.gained), *elsewhere)
        print(f"| {name} | " + " | ".join(f"{column:.1f} %" for column in columns) + " |")
    print()
    for name, each in found.items():
        print(f"{name}: {each.worst()}")
    print()
    _print_others(seen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
