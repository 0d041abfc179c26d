"""What an expert knows of attributes: its denoising errors on held-out images under five conditions.

The *attribute gain* is err(y) - err(all): how much better held-out images are predicted once their attributes
are told beside the content prompt. Stage 2 moves the model along differences between these predictions (Eq. 10
and 11), so where there is no gain it moves along words and not along what attributes look like.

The trainer measures, pages and model cards show; here stands what was found and what it means.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from method.student import student_quantile
from method.training.numbers import short

CONDITIONS: Mapping[str, str] = {
    "null": "nothing",
    "negative": "its negative attributes alone",
    "content": "its content prompt (y)",
    "positive": "y and its positive attributes",
    "all": "y and all its attributes",
}
"""What an image is predicted from, in words; by the names that conditions have in the trainer."""
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Examination:
    """How an expert predicted held-out images."""

    images: int
    draws: int
    """Timesteps and noises for each image, the same under all conditions."""
    errors: Mapping[str, float]
    """Mean squared error of the prediction by condition, in the order of CONDITIONS."""
    gain: float
    """err(content) - err(all), the mean over images."""
    half_width: float
    """Half of its 95 % interval: Student's t over the images, of which each is its own pair."""
    dataset_sha256: str
    """Of the dataset whose validation split was asked for."""
    expert_sha256: str
    """Of the expert's weights."""
    resolution: int

    @property
    def low(self) -> float:
        return self.gain - self.half_width

    @property
    def high(self) -> float:
        return self.gain + self.half_width

    @property
    def has_gain(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low > 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"errors": dict(self.errors)}


def gain_of(gains: Sequence[float]) -> tuple[float, float]:
    """The mean of the images' gains and half of its 95 % interval (Student's t with n - 1 degrees of freedom).

    Raises ValueError for less than two images.
    """
    if len(gains) < 2:
        raise ValueError("an interval needs two images or more")
    reach = student_quantile((1 + LEVEL) / 2, len(gains) - 1)
    return fmean(gains), reach * stdev(gains) / math.sqrt(len(gains))


def read_examination(value: object) -> Examination | None:
    """What `as_dict` gave, read back; None where there is none, or it is of another shape."""
    if not isinstance(value, Mapping):
        return None
    try:
        found = Examination(
            images=int(value["images"]),
            draws=int(value["draws"]),
            errors={name: float(value["errors"][name]) for name in CONDITIONS},
            gain=float(value["gain"]),
            half_width=float(value["half_width"]),
            dataset_sha256=str(value["dataset_sha256"]),
            expert_sha256=str(value["expert_sha256"]),
            resolution=int(value["resolution"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
    numbers = (*found.errors.values(), found.gain, found.half_width)
    return found if all(map(math.isfinite, numbers)) else None


def gain_in_words(found: Examination) -> str:
    """`0.0084 ± 0.0008 on 64 held-out images`."""
    return f"{short(found.gain)} ± {short(found.half_width)} on {found.images} held-out images"


def verdict(found: Examination) -> str:
    """What the gain means, and where there is none what follows of it and what to do."""
    if found.has_gain:
        return (
            f"The expert predicts an image better when it is told its attributes: attribute gain "
            f"{gain_in_words(found)}."
        )
    said = (
        "predicts an image worse when it is told its attributes"
        if found.high < 0
        else "does not predict an image better when it is told its attributes"
    )
    return (
        f"The expert {said}: attribute gain {gain_in_words(found)} (95 %). Stage 2 would then move the model "
        "along words and not along what attributes look like: the winning part rises, and fewer negative "
        "attributes need not follow. Train stage 1 longer or on more images, and examine it again."
    )


def table(found: Examination) -> list[tuple[str, float]]:
    """Rows to show: what an image is predicted from, and the error."""
    return [(CONDITIONS[name], found.errors[name]) for name in CONDITIONS]
