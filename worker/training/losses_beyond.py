"""Objectives beyond the paper's, on the same five tensors; docs/objectives.md derives and compares them.

Letters as in `worker.training.losses`. Each gives the curves that `cpo_loss` gives, so that all compare. Only
`loss` carries a gradient, and `factor` is 1 where nothing saturates.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from worker.training.losses import PreferenceLoss, cpo_loss
from worker.training.per_sample import (
    check_shapes,
    least_norm,
    mean_of,
    norm_of,
    outside_autocast,
    per_sample,
    precise,
    spread,
)


def distil_loss(
    prediction: Tensor,
    reference: Tensor,
    winner: Tensor,
    loser: Tensor,
    *,
    weight: float | Tensor = 1.0,
) -> PreferenceLoss:
    """Learn the winner target alone, weight * |e - w|^2, and be told nothing of the loser.

    The control of all that push away. At a guidance of 1 the winner target is what the expert says of
    (y, A_pos). Raises ValueError for shapes that differ.
    """
    found = _curves(prediction, reference, winner, loser)
    with outside_autocast(prediction):
        from_winner = precise(prediction) - precise(winner).detach()
        weight_B = _weights(weight, found)
        return replace(
            found,
            loss=weight_B * mean_of(from_winner * from_winner),
            factor=torch.ones_like(weight_B),
            grad_win=_pull(weight_B, from_winner),
            grad_lose=torch.zeros_like(weight_B),
        )


def gap_loss(
    prediction: Tensor,
    reference: Tensor,
    winner: Tensor,
    loser: Tensor,
    *,
    share: float = 0.5,
    drift: float | None = None,
    weight: float | Tensor = 1.0,
) -> PreferenceLoss:
    """Go a share g of the gap away from the reference, and stay there: weight * |e - r - g (w - l)|^2.

    Up to what does not depend on e that is Eq. 12's margin, times g, plus the drift: what CPO asks for
    without end ends at r + g E[w - l | x_t, y]. g is `share`, or sqrt(drift / |w - l|^2) of each sample where
    a wanted `drift` (a mean square) is given: then an expert that hardly tells the two apart moves theta as
    far as another. Raises ValueError for shapes that differ.
    """
    found = _curves(prediction, reference, winner, loser)
    with outside_autocast(prediction):
        e = precise(prediction)
        r, w, l = (precise(x).detach() for x in (reference, winner, loser))
        between, weight_B = w - l, _weights(weight, found)
        share_B = torch.full_like(weight_B, share)
        if drift is not None:
            tiny = torch.finfo(share_B.dtype).tiny
            share_B = (drift / mean_of(between * between).clamp_min(tiny)).sqrt()
        error = e - r - spread(share_B, e) * between
        return replace(
            found,
            loss=weight_B * mean_of(error * error),
            factor=torch.ones_like(weight_B),
            grad_win=_pull(weight_B * share_B, e - w),
            grad_lose=_pull(weight_B * share_B, e - l),
        )


def orthogonal_loss(
    prediction: Tensor,
    reference: Tensor,
    winner: Tensor,
    loser: Tensor,
    *,
    scale: float | Tensor,
) -> PreferenceLoss:
    """Eq. 12's loss, whose loser pushes across the way to the winner only.

    The push is that of Eq. 13, as long as the winner's, less its part along e - w. So a step changes the
    winner's error to first order exactly as if there were no loser. Value and factor are Eq. 12's. Raises
    ValueError for shapes that differ.
    """
    found = cpo_loss(prediction, reference, winner, loser, scale=scale, stabilized=False)
    with outside_autocast(prediction):
        e = precise(prediction)
        r, w, l = (precise(x).detach() for x in (reference, winner, loser))
        from_winner, from_loser = e.detach() - w, e.detach() - l
        own = mean_of(from_winner * from_winner).clamp_min(torch.finfo(e.dtype).tiny)
        along_B = mean_of(from_winner * from_loser) / own
        rho_B = norm_of(from_winner) / norm_of(from_loser).clamp_min(least_norm(e))
        across = spread(rho_B, e) * (from_loser - spread(along_B, e) * from_winner)
        slope_B = _weights(scale, found) * found.factor
        s_B = 2 * mean_of((from_winner - across) * (e - r))
        return replace(
            found,
            loss=found.loss.detach() + slope_B * (s_B - s_B.detach()),
            grad_lose=_pull(slope_B, across),
        )


def share_by_weights(
    prediction: Tensor,
    winner: Tensor,
    loser: Tensor,
    weights: Sequence[Tensor],
    *,
    slope_B: Tensor,
) -> Tensor:
    """How much of the loser's push the winner can bear in the weights, one number in [0, 1] (arXiv 2511.03317).

    `safe_share` with both pushes as the weights feel them, summed over the batch: g_w = sum slope J^T (e - w) and
    g_l = sum slope J^T (e - l). A step along -(g_w - c g_l) changes the sum of slope |e - w|^2 by
    -2 (|g_w|^2 - c <g_w, g_l>) to first order. `slope_B` is how much each sample counts, `weights` are what the
    prediction was made with. Takes two backward passes and leaves the prediction's graph for a third. Raises
    ValueError for shapes that differ.
    """
    check_shapes(prediction=prediction, winner=winner, loser=loser)
    with outside_autocast(prediction):
        e = precise(prediction.detach())
        slope = spread(per_sample("slope_B", slope_B, e), e)
        pushes = (
            (slope * (e - precise(target).detach())).to(prediction.dtype)
            for target in (winner, loser)
        )
        g_w, g_l = (_felt(prediction, weights, push) for push in pushes)
        felt = [(a, b) for a, b in zip(g_w, g_l, strict=True) if a is not None and b is not None]
        own = torch.stack([(precise(a) ** 2).sum() for a, _ in felt]).sum()
        together = torch.stack([(precise(a) * precise(b)).sum() for a, b in felt]).sum()
        tiny = torch.finfo(own.dtype).tiny
        return (own / together.clamp_min(tiny)).where(together > own, 1.0)


def _felt(prediction: Tensor, weights: Sequence[Tensor], push: Tensor) -> Sequence[Tensor | None]:
    """J^T push for each weight; None for one that the prediction was made without."""
    return torch.autograd.grad(prediction, weights, push, retain_graph=True, allow_unused=True)


def _curves(e: Tensor, r: Tensor, w: Tensor, l: Tensor) -> PreferenceLoss:
    check_shapes(prediction=e, reference=r, winner=w, loser=l)
    return cpo_loss(e.detach(), r, w, l, scale=1.0, stabilized=False)


def _weights(weight: float | Tensor, found: PreferenceLoss) -> Tensor:
    """One weight for each sample."""
    if isinstance(weight, Tensor):
        return per_sample("weight", weight, found.win)
    return torch.full_like(found.win, weight)


def _pull(weight_B: Tensor, error: Tensor) -> Tensor:
    """The length of the gradient of weight * |error|^2, both sums over the D elements' mean."""
    return 2 * weight_B * norm_of(error.detach()) / error[0].numel()
