"""The objectives of the method as functions on tensors; nothing here knows a model.

Letters follow the paper (arXiv 2601.04300): `e` the prediction of theta, `r` of the reference, `w` and
`l` the winner and loser targets, all of one shape (B, ...). Every quantity is per sample; squared
norms are means over the D elements of a sample, so that `scale` (beta * T * omega, with the factor 1/2
of the public Diffusion-DPO code already in it) does not depend on the resolution.

Whatever the input's dtype, the arithmetic is float32 or better and outside autocast. Differences of
squared norms are written as inner products, because subtracting two nearly equal means loses exactly
the digits that carry the preference.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


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


def sft_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each sample, shape (B,) (Eq. 3)."""
    _check_shapes(prediction=prediction, target=target)
    with _outside_autocast(prediction):
        error = _precise(prediction) - _precise(target)
        return _mean(error * error)


def guided(away: Tensor, toward: Tensor, scale: float) -> Tensor:
    """Return (1 - scale) * away + scale * toward (Eq. 10 and 11).

    At scale 1 the result is `toward` itself, bit for bit, so a caller may pass anything as `away`.
    """
    if scale == 1:
        return toward
    _check_shapes(toward=toward, away=away)
    with _outside_autocast(toward):
        return (1 - scale) * _precise(away) + scale * _precise(toward)


def cpo_loss(
    prediction: Tensor,
    reference: Tensor,
    winner: Tensor,
    loser: Tensor,
    *,
    scale: float,
    stabilized: bool,
    margin: Literal["eq14", "eq12"] = "eq14",
    norm_eps: float | None = None,
) -> PreferenceLoss:
    """Complex preference optimisation: Eq. 12, or Eq. 13 and 14 when `stabilized`.

    `margin` matters only when stabilised: "eq12" keeps the gradient's direction of Eq. 14 and takes
    its scalar factor from Eq. 12. `norm_eps` bounds ||e - l|| from below (default: 1e-6 * sqrt(D) in
    float32, 1e-12 in float64), so that a prediction equal to the loser gives a finite gradient.
    """
    _check_shapes(prediction=prediction, reference=reference, winner=winner, loser=loser)
    with _outside_autocast(prediction):
        e = _precise(prediction)
        r, w, l = (_precise(x).detach() for x in (reference, winner, loser))
        moved = e - r
        win = _closer(e, r, w, moved)
        lose = _closer(e, r, l, moved)
        # win - lose, with the quadratics cancelled by hand: -2 <w - l, e - r>.
        plain = -2 * _mean((w - l) * moved)

        still = e.detach()
        winner_distance = _norm(still - w)
        loser_distance = _norm(still - l).clamp_min(
            _least_norm(e) if norm_eps is None else norm_eps
        )
        rho = winner_distance / loser_distance
        if stabilized:
            target = still + _spread(rho, e) * (still - l)
            s = win + _closer(e, r, target, moved)
            if margin == "eq12":
                s = s + (plain - s).detach()
        else:
            s = plain
        return _preference(s, scale, win=win, lose=lose, plain=plain, rho=rho, moved=moved)


def diffusion_dpo_loss(
    winner_prediction: Tensor,
    loser_prediction: Tensor,
    winner_reference: Tensor,
    loser_reference: Tensor,
    winner_noise: Tensor,
    loser_noise: Tensor,
    *,
    scale: float,
) -> PreferenceLoss:
    """Diffusion-DPO on a real pair of images, each with its own noised latent (Eq. 9)."""
    _check_shapes(
        winner_prediction=winner_prediction,
        loser_prediction=loser_prediction,
        winner_reference=winner_reference,
        loser_reference=loser_reference,
        winner_noise=winner_noise,
        loser_noise=loser_noise,
    )
    with _outside_autocast(winner_prediction):
        e_w, e_l = _precise(winner_prediction), _precise(loser_prediction)
        r_w, r_l = (
            _precise(winner_reference).detach(),
            _precise(loser_reference).detach(),
        )
        w, l = _precise(winner_noise).detach(), _precise(loser_noise).detach()
        win = _closer(e_w, r_w, w, e_w - r_w)
        lose = _closer(e_l, r_l, l, e_l - r_l)
        s = win - lose
        rho = _norm(e_w.detach() - w) / _norm(e_l.detach() - l).clamp_min(_least_norm(e_l))
        return _preference(s, scale, win=win, lose=lose, plain=s, rho=rho, moved=e_w - r_w)


def _preference(
    s: Tensor,
    scale: float,
    *,
    win: Tensor,
    lose: Tensor,
    plain: Tensor,
    rho: Tensor,
    moved: Tensor,
) -> PreferenceLoss:
    """-log sigmoid(-scale * s), with what is worth plotting beside it."""
    return PreferenceLoss(
        # logsigmoid, never log(sigmoid): the latter is -inf where this is merely large. And not
        # softplus, which torch replaces by its asymptote from 20 on.
        loss=-logsigmoid(-scale * s),
        win=win.detach(),
        lose=lose.detach(),
        rho=rho,
        factor=torch.sigmoid(scale * s.detach()),
        correct=(1 - torch.sign(plain.detach())) / 2,
        drift=_mean(moved.detach() ** 2),
    )


def _closer(e: Tensor, r: Tensor, target: Tensor, moved: Tensor) -> Tensor:
    """||target - e||^2 - ||target - r||^2 as the inner product <e - r, (e - target) + (r - target)>."""
    return _mean(moved * ((e - target) + (r - target)))


def _precise(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _mean(x: Tensor) -> Tensor:
    """The mean over everything but the batch, shape (B,)."""
    return x.flatten(1).mean(1)


def _norm(x: Tensor) -> Tensor:
    """The L2 norm over everything but the batch, shape (B,)."""
    norm: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return norm


def _spread(per_sample: Tensor, like: Tensor) -> Tensor:
    """Give a (B,) tensor the trailing dimensions of `like`."""
    return per_sample.view(-1, *[1] * (like.dim() - 1))


def _least_norm(x: Tensor) -> float:
    return 1e-12 if x.dtype == torch.float64 else 1e-6 * math.sqrt(x[0].numel())


@contextmanager
def _outside_autocast(x: Tensor) -> Iterator[None]:
    with torch.autocast(device_type=x.device.type, enabled=False):
        yield


def _check_shapes(**tensors: Tensor) -> None:
    """Refuse what would broadcast: a loss over the wrong shape is wrong without a sign of it."""
    (first, shape), *others = ((name, tuple(t.shape)) for name, t in tensors.items())
    if len(shape) < 2:
        raise ValueError(f"{first} has shape {shape}; a batch (B, ...) is needed")
    for name, other in others:
        if other != shape:
            raise ValueError(f"{name} has shape {other}, but {first} has {shape}")
