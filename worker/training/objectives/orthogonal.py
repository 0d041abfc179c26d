"""Stage 2 whose loser pushes across the way to the winner, and never against it."""

from worker.training.losses import PreferenceLoss
from worker.training.losses_beyond import orthogonal_loss
from worker.training.objectives import Parts
from worker.training.objectives.taught import Taught, Told


def make(parts: Parts) -> Taught:
    """Between the targets of Eq. 10 and 11."""
    return Taught(parts, _lose)


def _lose(told: Told) -> PreferenceLoss:
    return orthogonal_loss(
        told.prediction, told.reference, told.winner, told.loser, scale=told.scale_B
    )
