"""Stage 2 of the paper: complex preference optimisation, plain and stabilised (Eq. 10 to 14)."""

from worker.training.losses import PreferenceLoss, cpo_loss
from worker.training.objectives import Parts
from worker.training.objectives.taught import Taught, Told


def make(parts: Parts) -> Taught:
    """Eq. 12, or Eq. 13 and 14 where the objective is stabilised."""
    objective, guard = parts.config.objective, parts.config.guard

    def lose(told: Told) -> PreferenceLoss:
        return cpo_loss(
            told.prediction,
            told.reference,
            told.winner,
            told.loser,
            scale=told.scale_B,
            stabilized=objective.facts.is_stabilised,
            margin=objective.margin,
            norm_eps=objective.norm_eps,
            guards_winner=guard.winner,
        )

    return Taught(parts, lose)
