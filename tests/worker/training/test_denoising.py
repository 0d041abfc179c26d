"""Denoising steps, held against diffusers' DDIM."""

from typing import Any, Literal

import pytest
import torch
from diffusers import DDIMScheduler

from worker.training.denoising import Spacing, estimate_x0, plan_steps, transition
from worker.training.noise import Diffusion

SHAPE = (2, 4, 3, 5)
PREDICTIONS: tuple[Literal["epsilon", "v_prediction"], ...] = ("epsilon", "v_prediction")


def ddim(**options: Any) -> Any:
    found: Any = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        **options,
    )
    # Its own arithmetic is float32, in which small variances lose four digits.
    found.alphas_cumprod = found.alphas_cumprod.double()
    found.final_alpha_cumprod = (
        torch.tensor(1.0).double() if found.config.set_alpha_to_one else found.alphas_cumprod[0]
    )
    return found


def drawn(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(
    ("spacing", "count", "offset", "ends_clean"),
    [
        ("leading", 20, 1, False),
        ("leading", 7, 0, True),
        ("trailing", 20, 0, True),
        ("trailing", 4, 0, False),
    ],
)
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_every_step_is_that_of_diffusers(
    prediction: Literal["epsilon", "v_prediction"],
    spacing: Spacing,
    count: int,
    offset: int,
    ends_clean: bool,
    eta: float,
) -> None:
    scheduler = ddim(
        prediction_type=prediction,
        timestep_spacing=spacing,
        steps_offset=offset,
        set_alpha_to_one=ends_clean,
    )
    scheduler.set_timesteps(count)
    schedule = Diffusion(scheduler.alphas_cumprod, prediction)
    steps = plan_steps(schedule, count, spacing=spacing, offset=offset, ends_clean=ends_clean)
    assert [step.t for step in steps] == scheduler.timesteps.tolist()
    for number, step in enumerate(steps):
        noisy, predicted, noise = drawn(number), drawn(100 + number), drawn(200 + number)
        found = transition(schedule, noisy, predicted, step, eta=eta)
        wanted = scheduler.step(
            predicted,
            step.t,
            noisy,
            eta=eta,
            **({"variance_noise": noise} if eta else {}),
        )
        torch.testing.assert_close(
            found.mean_BCHW + found.std * noise, wanted.prev_sample, rtol=0, atol=1e-6
        )
        x0 = estimate_x0(schedule, noisy, predicted, step)
        torch.testing.assert_close(x0, wanted.pred_original_sample, rtol=1e-9, atol=1e-6)
        assert (found.std > 0) == (eta > 0 and not (ends_clean and number == count - 1))


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_timesteps_are_those_of_diffusers_for_any_count(spacing: Spacing) -> None:
    scheduler = ddim(timestep_spacing=spacing)
    schedule = Diffusion(scheduler.alphas_cumprod)
    for count in (1, 3, 12, 50, 999):
        scheduler.set_timesteps(count)
        steps = plan_steps(schedule, count, spacing=spacing, offset=0, ends_clean=True)
        assert [step.t for step in steps] == scheduler.timesteps.tolist()[:count]
        arrives = [step.alpha_bar_after for step in steps]
        assert arrives[:-1] == [step.alpha_bar for step in steps[1:]]
        assert arrives[-1] == 1


def test_with_eta_1_samples_have_the_marginal_of_the_schedule() -> None:
    """Where the prediction is right, x_t before and after lie on the schedule: no variance is lost."""
    schedule = Diffusion(ddim().alphas_cumprod)
    step = plan_steps(schedule, 10, spacing="leading", offset=1, ends_clean=False)[4]
    x0 = torch.zeros(1, 1, 400, 400, dtype=torch.float64)
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0), dtype=x0.dtype)
    noisy = (1 - step.alpha_bar) ** 0.5 * noise
    found = transition(schedule, noisy, noise, step, eta=1)
    fresh = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1), dtype=x0.dtype)
    arrived = found.mean_BCHW + found.std * fresh
    assert float(arrived.var()) == pytest.approx(1 - step.alpha_bar_after, rel=0.02)


def test_a_model_without_signal_at_the_start_is_stepped_by_v() -> None:
    """Zero terminal SNR: alpha_bar is 0 at the last timestep."""
    scheduler = ddim(rescale_betas_zero_snr=True)
    schedule = Diffusion(scheduler.alphas_cumprod, "v_prediction")
    step = plan_steps(schedule, 10, spacing="trailing", offset=0, ends_clean=True)[0]
    assert step.alpha_bar < 1e-6
    found = transition(schedule, drawn(0), drawn(1), step, eta=1)
    assert torch.isfinite(found.mean_BCHW).all()


def test_more_steps_than_timesteps_are_refused() -> None:
    schedule = Diffusion(ddim().alphas_cumprod)
    with pytest.raises(ValueError, match="from 1 to 1000"):
        plan_steps(schedule, 1001, spacing="leading", offset=0, ends_clean=True)
