"""How many labels of the measured agent change when a file is cropped, saved again or balanced otherwise.

python -m bench.agent_steadiness FOLDER

Each picture of FOLDER is labelled as it is and asked anew cropped by 2 % of each side, saved as JPEG of quality 60, and
with a white balance 4 % warmer and 4 % cooler (red times 1.04 or 0.96, blue the reverse), each at its full size. A label
is lost or gained in percent of the labels of the pictures as they are. None of that changes what a painter sees.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from worker.agents.measured import VERSION, label_image

Labels = frozenset[tuple[str, str]]


def _crop(rgb: Image.Image) -> Image.Image:
    across, down = round(0.02 * rgb.width), round(0.02 * rgb.height)
    return rgb.crop((across, down, rgb.width - across, rgb.height - down))


def _save_coarsely(rgb: Image.Image) -> Image.Image:
    out = BytesIO()
    rgb.save(out, "JPEG", quality=60)
    return Image.open(out).convert("RGB")


def _balance(red: float, blue: float, rgb: Image.Image) -> Image.Image:
    scaled = np.asarray(rgb) * np.array([red, 1.0, blue], np.float32)
    return Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))


DISTURBANCES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "crop 2 %": _crop,
    "JPEG 60": _save_coarsely,
    "4 % warmer": lambda rgb: _balance(1.04, 0.96, rgb),
    "4 % cooler": lambda rgb: _balance(0.96, 1.04, rgb),
}


def labels_of(path: Path) -> dict[str, Labels] | None:
    """The labels of a file as it is (under "") and by disturbance; None where it is no picture."""
    try:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
    except (OSError, ValueError, UnidentifiedImageError):
        return None
    views = {"": rgb} | {name: disturb(rgb) for name, disturb in DISTURBANCES.items()}
    return {
        name: frozenset((found.key, found.polarity) for found in label_image(view))
        for name, view in views.items()
    }


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
        seen = [each for each in pool.map(labels_of, paths, chunksize=4) if each is not None]
    total = sum(len(each[""]) for each in seen)
    print(f"Measured agent, version {VERSION}: {total} labels on {len(seen)} pictures.")
    for name in DISTURBANCES:
        lost = Counter(side for each in seen for side in each[""] - each[name])
        gained = Counter(side for each in seen for side in each[name] - each[""])
        share = 100 / max(1, total)
        print(
            f"{name:12} lost {lost.total() * share:4.1f} %  gained {gained.total() * share:4.1f} %"
        )
        for (key, polarity), times in (lost + gained).most_common(5):
            side = (key, polarity)
            print(f"    {key:35}{polarity:10}{times:3}: -{lost[side]} +{gained[side]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
