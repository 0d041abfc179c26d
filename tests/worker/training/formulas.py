"""The paper's formulas, slow and literal, in float64: what `worker.training.losses` is checked against.

Written from the paper alone. A squared norm is a sum of squares over a sample's D elements, divided by D
(decision 13); nothing is cancelled by hand; each sample is computed by itself; gradients are autograd's.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def each(formula: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Apply a formula for one sample to each sample of a batch, (B,)."""
    return torch.stack([formula(*sample) for sample in zip(*tensors, strict=True)])


def gradient(total: Tensor, at: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(total, at, retain_graph=True)
    return found


def distance(a: Tensor, b: Tensor) -> Tensor:
    """||a - b||^2 of one sample."""
    return torch.sum((a - b) ** 2) / a.numel()


def minus_log_sigmoid(x: Tensor) -> Tensor:
    """log(1 + e^-x), which does not overflow."""
    return torch.logaddexp(torch.zeros_like(x), -x)


def win_or_lose(e: Tensor, r: Tensor, target: Tensor) -> Tensor:
    """||target - e||^2 - ||target - r||^2 of one sample (Eq. 9 and 12)."""
    return distance(target, e) - distance(target, r)


def guided(away: Tensor, toward: Tensor, omega: float) -> Tensor:
    """Eq. 10 and 11."""
    return away - omega * away + omega * toward


def sft(e: Tensor, noise: Tensor) -> Tensor:
    """Eq. 3."""
    return each(distance, e, noise)


def surrogate(e: Tensor, w: Tensor, l: Tensor) -> Tensor:
    """z_lt of one sample (Eq. 13), with its dependence on e."""
    return e + (e - l) / torch.sqrt(torch.sum((e - l) ** 2)) * torch.sqrt(torch.sum((e - w) ** 2))


def cpo_argument(e: Tensor, r: Tensor, w: Tensor, l: Tensor) -> Tensor:
    """win - lose of one sample (Eq. 12)."""
    return win_or_lose(e, r, w) - win_or_lose(e, r, l)


def cpo_s_argument(
    e: Tensor, r: Tensor, w: Tensor, l: Tensor, *, stop_gradient: bool = True
) -> Tensor:
    """win + ||z_lt - e||^2 - ||z_lt - r||^2 of one sample (Eq. 14)."""
    target = surrogate(e, w, l)
    return win_or_lose(e, r, w) + win_or_lose(e, r, target.detach() if stop_gradient else target)


def cpo(e: Tensor, r: Tensor, w: Tensor, l: Tensor, scale_B: Tensor) -> Tensor:
    """Eq. 12, each sample's loss."""
    return minus_log_sigmoid(-scale_B * each(cpo_argument, e, r, w, l))


def cpo_s(e: Tensor, r: Tensor, w: Tensor, l: Tensor, scale_B: Tensor) -> Tensor:
    """Eq. 13 and 14, each sample's loss."""
    return minus_log_sigmoid(-scale_B * each(cpo_s_argument, e, r, w, l))


def dpo(
    e_w: Tensor, e_l: Tensor, r_w: Tensor, r_l: Tensor, w: Tensor, l: Tensor, scale_B: Tensor
) -> Tensor:
    """Eq. 9, each pair's loss."""
    win, lose = each(win_or_lose, e_w, r_w, w), each(win_or_lose, e_l, r_l, l)
    return minus_log_sigmoid(-scale_B * (win - lose))


def spo(
    win: Tensor,
    lose: Tensor,
    reference_win: Tensor,
    reference_lose: Tensor,
    beta: float,
    eps: float,
) -> Tensor:
    """SPO's loss of each pair, from probabilities and not their logarithms."""
    ratio_win = torch.exp(win) / torch.exp(reference_win)
    ratio_lose = torch.exp(lose) / torch.exp(reference_lose)
    clipped_win = torch.clip(ratio_win, 1 - eps, 1 + eps)
    clipped_lose = torch.clip(ratio_lose, 1 - eps, 1 + eps)
    return minus_log_sigmoid(beta * (torch.log(clipped_win) - torch.log(clipped_lose)))


def gaussian(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """log N(x; mean, std^2) of one sample, divided by D."""
    density = torch.exp(-(((x - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))
    return torch.sum(torch.log(density)) / x.numel()


# Beyond the paper (docs/objectives.md) ------------------------------------------------------------


def gap(e: Tensor, r: Tensor, w: Tensor, l: Tensor, share: Tensor) -> Tensor:
    """||e - (r + share (w - l))||^2 of one sample."""
    return distance(e, r + share * (w - l))


def share_for(drift: float, w: Tensor, l: Tensor) -> Tensor:
    """The share of one sample's gap whose mean square is `drift`."""
    return torch.sqrt(drift / distance(w, l))


def across(e: Tensor, w: Tensor, l: Tensor) -> Tensor:
    """Of one sample: the way from the loser, cut to the winner's distance, less its part along the way from w."""
    away = (e - l) / torch.sqrt(torch.sum((e - l) ** 2)) * torch.sqrt(torch.sum((e - w) ** 2))
    unit = (e - w) / torch.sqrt(torch.sum((e - w) ** 2))
    return away - torch.sum(away * unit) * unit


def safe_share(a: Tensor, b: Tensor) -> Tensor:
    """The largest c of 0 .. 1 with <a, a - c b> >= 0, of one sample."""
    against = torch.sum(a * b)
    if against <= 0:
        return torch.ones_like(against)
    return torch.minimum(torch.sum(a * a) / against, torch.ones_like(against))
