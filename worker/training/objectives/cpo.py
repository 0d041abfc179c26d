"""Stage 2 of the paper: complex preference optimisation, plain and stabilised (Eq. 10 to 14)."""

from torch import Tensor

from worker.training.losses import PreferenceLoss, cpo_loss
from worker.training.losses_beyond import share_by_weights
from worker.training.objectives import Parts
from worker.training.objectives.taught import Taught, Told


def make(parts: Parts) -> Taught:
    """Eq. 12, or Eq. 13 and 14 where the objective is stabilised."""
    objective, guard = parts.config.objective, parts.config.guard
    by_weights = guard.winner and guard.winner_by == "weights"

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
            winner_share=_share_by_weights(parts, told) if by_weights else None,
        )

    return Taught(parts, lose)


def _share_by_weights(parts: Parts, told: Told) -> Tensor | None:
    """The same for all images of a pass, (B,); None where nothing is learned (validation)."""
    if not told.prediction.requires_grad:
        return None
    seen = (told.prediction.detach(), told.reference, told.winner, told.loser)
    factor_B = cpo_loss(*seen, scale=told.scale_B, stabilized=False).factor
    share = share_by_weights(
        told.prediction,
        told.winner,
        told.loser,
        list(parts.roles.theta.values()),
        slope_B=told.weight_B * told.scale_B * factor_B,
    )
    return share.expand(len(factor_B))
