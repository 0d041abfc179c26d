"""The objectives of the method as functions on tensors; nothing here knows a model.

Letters follow the paper (arXiv 2601.04300): `e` the prediction of theta, `r` of the reference, `w` and
`l` the winner and loser targets, all of one shape (B, ...). Every quantity is per sample; squared
norms are means over the D elements of a sample, so that `scale` (beta * T * omega(lambda_t), with the
factor 1/2 of the public Diffusion-DPO code already in it) does not depend on the resolution. It is one
number, or a tensor (B,) where omega differs from timestep to timestep.

Whatever the input's dtype, the arithmetic is float32 or better and outside autocast. Differences of
squared norms are written as inner products, because subtracting two nearly equal means loses exactly
the digits that carry the preference. Nothing here waits for the GPU or branches on a value, so all of
it compiles into one graph.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from worker.training.per_sample import (
    check_same_shape,
    check_shapes,
    least_norm,
    mean_of,
    norm_of,
    outside_autocast,
    per_sample,
    precise,
    spread,
)


@dataclass(frozen=True, slots=True)
class PreferenceLoss:
    """The per-sample results of a preference objective, each of shape (B,).

    Only `loss` carries a gradient. `win` and `lose` are always the parts as Eq. 12 (Eq. 9 for real
    pairs) defines them, whichever loss is trained: they are the curves that can be compared.
    """

    loss: Tensor
    win: Tensor
    lose: Tensor
    rho: Tensor
    """Distance to the winner over distance to the loser: the weight that Eq. 13 gives the loser."""
    factor: Tensor
    """The sigmoid before the gradient: 1/2 at the start, near 0 once the sample is learned."""
    correct: Tensor
    """Implicit accuracy: 1 where the winner gained on the loser, 0 where not, 1/2 for a tie."""
    drift: Tensor
    """Mean squared distance between theta's prediction and the reference's."""
    cosine: Tensor
    """Between w - l and e - r: 1 where theta left the reference in exactly the preferred direction. 0
    where one of the two is zero, and for real pairs, which have no common e."""
    grad_win: Tensor
    """L2 norm of what the winning part sends into the prediction: the gradient of the sample's own loss,
    before any mean over the batch (Eq. 12; Eq. S15 to S17 when stabilised)."""
    grad_lose: Tensor
    """The same of the losing part. When stabilised it equals `grad_win`."""


@dataclass(frozen=True, slots=True)
class StepPreferenceLoss:
    """The per-sample results of SPO, each of shape (B,). Only `loss` carries a gradient."""

    loss: Tensor
    win: Tensor
    """Log-ratio of theta to the reference on the preferred sample, before clipping. Positive: theta
    has become more likely to take this step."""
    lose: Tensor
    """The same on the other sample."""
    factor: Tensor
    """The sigmoid before the gradient: 1/2 at the start, near 0 once the pair is learned."""
    correct: Tensor
    """Implicit accuracy: 1 where the winner gained on the loser, 0 where not, 1/2 for a tie."""
    clipped: Tensor
    """Share of the pair's two ratios that are clipped and so pass no gradient: 0, 1/2 or 1."""


def sft_loss(prediction: Tensor, target: Tensor, weight_B: Tensor | None = None) -> Tensor:
    """Mean squared error of each sample, shape (B,) (Eq. 3), times its weight where there is one."""
    check_shapes(prediction=prediction, target=target)
    with outside_autocast(prediction):
        error = precise(prediction) - precise(target)
        loss_B = mean_of(error * error)
        return loss_B if weight_B is None else per_sample("weight_B", weight_B, loss_B) * loss_B


def guided(away: Tensor, toward: Tensor, scale: float) -> Tensor:
    """Return (1 - scale) * away + scale * toward (Eq. 10 and 11).

    At scale 1 the result is `toward` itself, bit for bit, so a caller may pass anything as `away`.
    """
    if scale == 1:
        return toward
    check_shapes(toward=toward, away=away)
    with outside_autocast(toward):
        return (1 - scale) * precise(away) + scale * precise(toward)


def cpo_loss(
    prediction: Tensor,
    reference: Tensor,
    winner: Tensor,
    loser: Tensor,
    *,
    scale: float | Tensor,
    stabilized: bool,
    margin: Literal["eq14", "eq12"] = "eq14",
    norm_eps: float | None = None,
    guards_winner: bool = False,
    winner_share: Tensor | None = None,
) -> PreferenceLoss:
    """Complex preference optimisation: Eq. 12, or Eq. 13 and 14 when `stabilized`.

    `margin` matters only when stabilised: "eq12" keeps the gradient's direction of Eq. 14 and takes
    its scalar factor from Eq. 12. `norm_eps` bounds ||e - l|| from below (default: 1e-6 * sqrt(D) in
    float32, 1e-12 in float64), so that a prediction equal to the loser gives a finite gradient.
    `guards_winner` matters only when not stabilised: the loser's push is held back by `safe_share`, and the
    loss stays what it is; where `winner_share` (B,) is given, by that. Eq. 14 needs no such guard: its push never
    leaves the winner.
    """
    check_shapes(prediction=prediction, reference=reference, winner=winner, loser=loser)
    with outside_autocast(prediction):
        e = precise(prediction)
        r, w, l = (precise(x).detach() for x in (reference, winner, loser))
        moved = e - r
        from_winner, from_loser, between = e.detach() - w, e.detach() - l, w - l
        winner_distance, loser_distance = norm_of(from_winner), norm_of(from_loser)
        least = least_norm(e) if norm_eps is None else norm_eps
        rho = winner_distance / loser_distance.clamp_min(least)
        drift = mean_of(moved.detach() ** 2)
        # win - lose, with the quadratics cancelled by hand: -2 <w - l, e - r>.
        plain = -2 * mean_of(between * moved)
        if stabilized:
            # Eq. 14 with z_lt - e = rho * (e - l) put in. As that target is no function of e, the
            # gradient of s in e is 2 * push, and what is left of s is a number.
            push = from_winner - spread(rho, e) * from_loser
            s = 2 * mean_of(push * moved) - 2 * drift
            if margin == "eq12":
                s = s + (plain - s).detach()
            loser_pull = rho * loser_distance
        elif guards_winner:
            share = safe_share(from_winner, from_loser)
            if winner_share is not None:
                share = per_sample("winner_share", winner_share, plain)
            push = from_winner - spread(share, e) * from_loser
            s = 2 * mean_of(push * moved)
            s = s + (plain - s).detach()
            loser_pull = share * loser_distance
        else:
            s, loser_pull = plain, loser_distance
        win = _closer(moved.detach(), from_winner, drift)
        return _preference(
            s,
            scale,
            win=win,
            lose=win - plain.detach(),
            plain=plain,
            rho=rho,
            drift=drift,
            cosine=_cosine(plain.detach() / -2, between, drift),
            winner_pull=winner_distance,
            # When stabilised not simply the winner's: where ||e - l|| is bounded, it is less.
            loser_pull=loser_pull,
            num_elements=e[0].numel(),
        )


def diffusion_dpo_loss(
    winner_prediction: Tensor,
    loser_prediction: Tensor,
    winner_reference: Tensor,
    loser_reference: Tensor,
    winner_noise: Tensor,
    loser_noise: Tensor,
    *,
    scale: float | Tensor,
    guards_winner: bool = False,
) -> PreferenceLoss:
    """Diffusion-DPO on a real pair of images, each with its own noised latent (Eq. 9).

    Diffusion-NPO is this with the pair swapped. The result's drift is the winner's. With `guards_winner` the
    loser's gradient is held back by `safe_share`, as Diffusion-SDPO does (arXiv 2511.03317), and the loss
    stays what it is. The two predictions are of two latents, so that is exact only where both answer a change
    of the weights alike; docs/objectives.md says more.
    """
    check_shapes(
        winner_prediction=winner_prediction,
        loser_prediction=loser_prediction,
        winner_reference=winner_reference,
        loser_reference=loser_reference,
        winner_noise=winner_noise,
        loser_noise=loser_noise,
    )
    with outside_autocast(winner_prediction):
        e_w, e_l = precise(winner_prediction), precise(loser_prediction)
        r_w, r_l = (
            precise(winner_reference).detach(),
            precise(loser_reference).detach(),
        )
        w, l = precise(winner_noise).detach(), precise(loser_noise).detach()
        moved_w, moved_l = e_w - r_w, e_l - r_l
        from_w, from_l = e_w.detach() - w, e_l.detach() - l
        drift_w, drift_l = mean_of(moved_w.detach() ** 2), mean_of(moved_l.detach() ** 2)
        win, lose = _closer(moved_w, from_w, drift_w), _closer(moved_l, from_l, drift_l)
        plain = win - lose
        share = safe_share(from_w, from_l) if guards_winner else torch.ones_like(drift_l)
        s = plain
        if guards_winner:
            s = win - share * lose
            s = s + (plain - s).detach()
        winner_distance, loser_distance = norm_of(from_w), norm_of(from_l)
        return _preference(
            s,
            scale,
            win=win,
            lose=lose,
            plain=plain,
            rho=winner_distance / loser_distance.clamp_min(least_norm(e_l)),
            drift=drift_w,
            cosine=torch.zeros_like(drift_w),
            winner_pull=winner_distance,
            loser_pull=share * loser_distance,
            num_elements=e_w[0].numel(),
        )


def safe_share(from_winner: Tensor, from_loser: Tensor) -> Tensor:
    """How much of the loser's push the winner can bear, (B,) in [0, 1] (Diffusion-SDPO, arXiv 2511.03317).

    A step along -(a - c b), with a = e - w and b = e - l, changes the winner's squared error by
    -2 (|a|^2 - c <a, b>) to first order. The largest c in [0, 1] for which it does not rise is 1 where
    <a, b> <= |a|^2, and |a|^2 / <a, b> beyond that.
    """
    own, together = mean_of(from_winner * from_winner), mean_of(from_winner * from_loser)
    return (own / together.clamp_min(torch.finfo(own.dtype).tiny)).where(together > own, 1.0)


def spo_loss(
    winner_log_prob: Tensor,
    loser_log_prob: Tensor,
    winner_reference_log_prob: Tensor,
    loser_reference_log_prob: Tensor,
    *,
    beta: float,
    eps: float,
) -> StepPreferenceLoss:
    """Step-aware preference optimisation on two samples of one denoising step (arXiv 2406.04314).

    Takes the log-probabilities (B,) that theta and the reference give each sample (`gaussian_log_prob`)
    and returns -log sigmoid(beta * (log clip(r_w) - log clip(r_l))), where r is theta's probability over
    the reference's and clip bounds it to 1 - eps .. 1 + eps. The public code: beta 10, eps 0.1.
    Raises ValueError for an eps outside of (0, 1).
    """
    if not 0 < eps < 1:
        raise ValueError(f"eps must lie between 0 and 1; got {eps}")
    check_same_shape(
        winner_log_prob=winner_log_prob,
        loser_log_prob=loser_log_prob,
        winner_reference_log_prob=winner_reference_log_prob,
        loser_reference_log_prob=loser_reference_log_prob,
    )
    with outside_autocast(winner_log_prob):
        win = precise(winner_log_prob) - precise(winner_reference_log_prob).detach()
        lose = precise(loser_log_prob) - precise(loser_reference_log_prob).detach()
        # The logarithm of the clipped ratio, without its exponential: that overflows.
        low, high = math.log1p(-eps), math.log1p(eps)
        s = win.clamp(low, high) - lose.clamp(low, high)
        win, lose = win.detach(), lose.detach()
        is_clipped = [(x < low) | (x > high) for x in (win, lose)]
        return StepPreferenceLoss(
            loss=-logsigmoid(beta * s),
            win=win,
            lose=lose,
            factor=torch.sigmoid(-beta * s.detach()),
            correct=(1 + torch.sign(win - lose)) / 2,
            clipped=(is_clipped[0].to(win.dtype) + is_clipped[1].to(win.dtype)) / 2,
        )


def gaussian_log_prob(sample: Tensor, mean: Tensor, std_B: Tensor) -> Tensor:
    """Log-density of each sample under N(mean, std^2), shape (B,), as the mean over its D elements.

    The mean, not the sum, as in the public code of SPO: the ratio of two such densities is the D-th root
    of the true one and keeps near 1 at any resolution. The gradient flows into `mean` alone. `std_B`
    must be positive: the last, noiseless step of a sampler has no density.
    """
    check_shapes(mean=mean, sample=sample)
    with outside_autocast(mean):
        mean = precise(mean)
        std_B = per_sample("std_B", std_B, mean)
        error = (precise(sample).detach() - mean) / spread(std_B, mean)
        return -mean_of(error * error) / 2 - std_B.log() - math.log(2 * math.pi) / 2


def _preference(
    s: Tensor,
    scale: float | Tensor,
    *,
    win: Tensor,
    lose: Tensor,
    plain: Tensor,
    rho: Tensor,
    drift: Tensor,
    cosine: Tensor,
    winner_pull: Tensor,
    loser_pull: Tensor,
    num_elements: int,
) -> PreferenceLoss:
    """-log sigmoid(-scale * s), with what is worth plotting beside it.

    The pulls are half the norms of the gradients of D * s in the prediction, one of each part.
    """
    if isinstance(scale, Tensor):
        scale = per_sample("scale", scale, s)
    factor = torch.sigmoid(scale * s.detach())
    slope = 2 / num_elements * scale * factor
    return PreferenceLoss(
        # logsigmoid, never log(sigmoid): the latter is -inf where this is merely large. And not
        # softplus, which torch replaces by its asymptote from 20 on.
        loss=-logsigmoid(-scale * s),
        win=win.detach(),
        lose=lose.detach(),
        rho=rho,
        factor=factor,
        correct=(1 - torch.sign(plain.detach())) / 2,
        drift=drift,
        cosine=cosine,
        grad_win=slope * winner_pull,
        grad_lose=slope * loser_pull,
    )


def _closer(moved: Tensor, from_target: Tensor, drift: Tensor) -> Tensor:
    """||target - e||^2 - ||target - r||^2 as 2 <e - target, e - r> - ||e - r||^2.

    Only `moved` = e - r carries a gradient, and it gives the right one: 2 (e - target).
    """
    return 2 * mean_of(from_target * moved) - drift


def _cosine(product: Tensor, between: Tensor, drift: Tensor) -> Tensor:
    """<w - l, e - r> over both lengths, all three as means; 0 where a length is 0."""
    lengths = mean_of(between * between).sqrt() * drift.sqrt()
    return (product / lengths.clamp_min(torch.finfo(lengths.dtype).tiny)).clamp(-1, 1)
