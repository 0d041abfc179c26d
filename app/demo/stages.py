"""What the demo trains with, and how far its pictures change."""

from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image

# Config fields by dotted path that differ from the preset. Beta and learning rate are those at which stage 2 goes far enough
# to be seen, and not past the target; with more guidance all pictures have a wide tonal range, whatever is learned.
OPTIONS: dict[str, dict[str, Any]] = {
    "sft": {"samples.guidance": 1.5},
    "cpo_s": {
        "samples.guidance": 1.5,
        "objective.beta": 100.0,
        "optimization.learning_rate": 1e-3,
        "optimization.max_steps": 100,
    },
}


def tonal_range(paths: Iterable[Path]) -> float:
    """How far the darkest and the lightest twentieth of a picture's pixels lie apart, of 255, in the mean."""
    ranges = []
    for path in paths:
        with Image.open(path) as image:
            low, high = np.percentile(np.asarray(image.convert("L")), [5, 95])
        ranges.append(float(high - low))
    return fmean(ranges)
