"""Stage 2 as a regression: theta goes a share of the gap between winner and loser, and no further."""

from worker.training.losses import PreferenceLoss
from worker.training.losses_beyond import gap_loss
from worker.training.objectives import Parts
from worker.training.objectives.taught import CONDITIONS, Taught, Told

WITH_CONTENT = ("positive", "content_negative")


def make(parts: Parts) -> Taught:
    """The gap between the targets of Eq. 10 and 11, or between (y, A_pos) and (y, A_neg)."""
    objective = parts.config.objective

    def lose(told: Told) -> PreferenceLoss:
        return gap_loss(
            told.prediction,
            told.reference,
            told.winner,
            told.loser,
            share=objective.gap,
            drift=objective.gap_drift,
            weight=told.omega_B,
        )

    return Taught(parts, lose, CONDITIONS if objective.facts.is_guided else WITH_CONTENT)
