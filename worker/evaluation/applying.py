"""Counts what was found in generated images as the criteria mean it for each prompt.

A prompt stands for an image of the dataset, and its style and content are that image's. What the criteria do not
ask of such an image is not counted, and what is description in its style is no negative attribute.
"""

from collections.abc import Sequence

from taxonomy.applicability import UNKNOWN, Applicability, Traits
from taxonomy.tree import POLARITIES, Criteria, Side
from worker.evaluation.counting import Found, Label
from worker.evaluation.reading import Case
from worker.training.examples import Dataset


def as_they_read(
    found: Found, criteria: Criteria, dataset: Dataset, cases: Sequence[Case]
) -> Found:
    """The same labels as they read for the image that each prompt is of."""
    applicability = criteria.derived(Applicability)
    if applicability.is_plain:
        return found
    traits = traits_of(dataset, cases)
    return {
        model: [
            _read(labels, applicability, each) for labels, each in zip(images, traits, strict=True)
        ]
        for model, images in found.items()
    }


def traits_of(dataset: Dataset, cases: Sequence[Case]) -> list[Traits]:
    """What is known of the image that each prompt is of."""
    known = {example.image_id: example.traits for example in dataset.examples}
    return [known.get(case.image_id, UNKNOWN) for case in cases]


def _read(
    labels: frozenset[Label], applicability: Applicability, traits: Traits
) -> frozenset[Label]:
    held = [
        Side(key, polarity) for key, side in labels for polarity in POLARITIES if polarity == side
    ]
    read = applicability.sort(held, traits)
    good = {(side.key, "positive") for side in read.positive}
    return frozenset(good | {(side.key, "negative") for side in read.negative})
