"""Points painted from words, without guidance and without noise on the way."""

import torch
from torch import Tensor, nn

from bench.miniature.schedule import make_schedule
from worker.training.denoising import Spacing, plan_steps, transition

SPACING: Spacing = "trailing"


@torch.no_grad()
def denoise(network: nn.Module, start_BD: Tensor, words_BV: Tensor, steps: int) -> Tensor:
    """Go from noise to points, (B, D), in so many steps of DDIM (arXiv 2010.02502, eta 0)."""
    schedule, points_BD = make_schedule(), start_BD
    for step in plan_steps(schedule, steps, spacing=SPACING, offset=0, ends_clean=True):
        t_B = torch.full((len(points_BD),), step.t)
        predicted_BD = network(points_BD, t_B, words_BV)
        points_BD = transition(schedule, points_BD, predicted_BD, step, eta=0).mean_BCHW
    return points_BD
