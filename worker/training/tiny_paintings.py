"""What the tiny models learn from: small paintings with prompts, and the words for what is good and bad in them.

A published model has read millions of captions, and knows what "muted" means before anybody fine-tunes it. A tiny one that
has seen prompts alone takes attributes for noise: told more, it predicts worse, and stage 2 then leads nowhere.
"""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from method.painter.painting import paint, truth_of
from method.pictures import scale_to_cover
from taxonomy.prompt import conditions, wordings_of
from taxonomy.shipped import painting_criteria
from taxonomy.tree import POLARITIES, Criteria, Polarity

RESOLUTION = 64
PAINTED = 96
"""Long side that paintings are painted at before they are made small: the least at which strokes are strokes."""
FIRST = 100_000
"""The first painter's seed of a model; the demo's own pictures have smaller ones."""
FLAW: tuple[str, Polarity] = ("wide-tonal-range", "negative")
"""Of the flaws that the painter states the one that 64 pixels show best."""
KEPT_WITHOUT = 0.4
"""Share of the paintings without this flaw that are kept: about as many have it then as have not."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A painting and what can be said of it."""

    pixels_CHW: Tensor
    """In [-1, 1], (3, 64, 64)."""
    prompt: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    """The words that a text encoder is told of attributes, in tree order."""


def paint_lessons(count: int, seed: int) -> list[Lesson]:
    """Paint `count` pictures; the same seed gives the same ones, a tenth of a second each."""
    chance, criteria = random.Random(seed), painting_criteria()
    lessons: list[Lesson] = []
    number = FIRST * (seed + 1)
    while len(lessons) < count:
        key, polarity = FLAW
        if truth_of(number)[0].get(key) == polarity or chance.random() < KEPT_WITHOUT:
            lessons.append(_paint_lesson(number, criteria))
        number += 1
    return lessons


def _paint_lesson(number: int, criteria: Criteria) -> Lesson:
    painting = paint(number, PAINTED)
    small, _, _ = scale_to_cover(painting.image, (RESOLUTION, RESOLUTION))
    values_HWC = torch.from_numpy(np.array(small, dtype=np.float32))
    positive, negative = (
        tuple(
            wordings_of(criteria, [(key, side) for key, on in painting.truth.items() if on == side])
        )
        for side in POLARITIES
    )
    return Lesson(
        values_HWC.permute(2, 0, 1).contiguous() / 127.5 - 1, painting.prompt, positive, negative
    )


def say(lesson: Lesson, chance: random.Random) -> str:
    """A text for a painting as training has them: the prompt, most of its attributes, both, or nothing."""
    positive = [name for name in lesson.positive if chance.random() < 0.85]
    negative = [name for name in lesson.negative if chance.random() < 0.95]
    texts = conditions(lesson.prompt, positive, negative)
    return chance.choices(
        (texts.null, texts.negative, texts.content, texts.positive, texts.all),
        (0.1, 0.1, 0.3, 0.1, 0.4),
    )[0]


def words_of(lessons: Iterable[Lesson]) -> Sequence[str]:
    """All words of prompts, and those for every attribute of painting, each as often as it stands there."""
    texts = [each.prompt for each in lessons]
    texts += [
        pair.attribute(side).prompt_wording
        for pair in painting_criteria().active_pairs()
        for side in POLARITIES
    ]
    return re.findall(r"[a-z]+", " ".join(texts).lower())
