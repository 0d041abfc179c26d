"""How many images an audit needs for an interval of a wanted width.

The variance of a pooled accuracy p has three parts: images differ, participants differ, and each answer has its own
chance. With I images of L labels each, P participants and J judges for each label it is about

    p (1 - p) (a / I + b / P + (1 - a - b) / (I L J)),

where a and b are the shares of the variance of one answer that lie between images and between participants
(variance components of a crossed design; Searle, Casella and McCulloch, Variance Components, 1992). What it is
larger than p (1 - p) / (I L J), which independent answers would give, is the design effect. No number of images
makes up for too few participants: b / P stays.
"""

import math
from dataclasses import dataclass

import numpy as np

from app.audits.scoring import UNSURE, Answers
from app.intervals import variances
from method.student import student_quantile

USUAL_BETWEEN_IMAGES = 0.05
USUAL_BETWEEN_PEOPLE = 0.03
MOST_IMAGES = 1_000_000


@dataclass(frozen=True, slots=True)
class Design:
    """What is expected: an accuracy, labels per image, participants and judges of each label, and which shares of
    the variance of one answer lie between images and between participants.
    """

    accuracy: float
    labels: float
    people: int
    judges: int
    between_images: float = USUAL_BETWEEN_IMAGES
    between_people: float = USUAL_BETWEEN_PEOPLE

    def half_width(self, images: int) -> float:
        """Half of the 95 % interval of the pooled accuracy with so many images."""
        return self._quantile() * math.sqrt(self._of_one() * self._factor(images))

    def design_effect(self, images: int) -> float:
        """How many times the variance of independent answers."""
        return self._factor(images) * images * self.labels * self.judges

    def images_for(self, half_width: float) -> int | None:
        """The fewest images with which half of the interval is no more than that; None where no number is enough."""
        wanted = (half_width / self._quantile()) ** 2 / self._of_one()
        left = wanted - self.between_people / self.people
        if left <= 0:
            return None
        rest = 1 - self.between_images - self.between_people
        images = math.ceil((self.between_images + rest / (self.labels * self.judges)) / left)
        return max(2, images) if images <= MOST_IMAGES else None

    def _of_one(self) -> float:
        return self.accuracy * (1 - self.accuracy)

    def _factor(self, images: int) -> float:
        rest = 1 - self.between_images - self.between_people
        return (
            self.between_images / images
            + self.between_people / self.people
            + rest / (images * self.labels * self.judges)
        )

    def _quantile(self) -> float:
        # Participants are the few; where they differ little this is on the safe side.
        return student_quantile(0.975, max(1, self.people - 1))


def between(answers: Answers) -> tuple[float, float] | None:
    """The shares of the variance between images and between participants in the answers of an audit, by the
    method of moments; None where they say too little.
    """
    labels = answers.where(~answers.decoys & (answers.said != UNSURE))
    images, people = len(np.unique(labels.images)), len(np.unique(labels.participants))
    share = float(labels.said.mean()) if len(labels) else 0.0
    if images < 10 or people < 3 or not 0 < share < 1:
        return None
    of_images, of_people, of_both = variances(
        (labels.said - share) / len(labels), labels.images, labels.participants
    )
    of_one = share * (1 - share)
    return (
        min(0.5, max(0.0, of_images - of_both) * images / of_one),
        min(0.4, max(0.0, of_people - of_both) * people / of_one),
    )
