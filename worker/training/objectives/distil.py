"""Stage 2 without a loser: theta learns what the expert says of the winner."""

from worker.training.losses import PreferenceLoss
from worker.training.losses_beyond import distil_loss
from worker.training.objectives import Parts
from worker.training.objectives.taught import Taught, Told


def make(parts: Parts) -> Taught:
    """Toward Eq. 10's winner; with omega_w 1 toward what the expert says of (y, A_pos)."""
    return Taught(parts, _lose)


def _lose(told: Told) -> PreferenceLoss:
    return distil_loss(
        told.prediction, told.reference, told.winner, told.loser, weight=told.omega_B
    )
