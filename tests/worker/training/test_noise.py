from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler

from worker.training.noise import (
    Diffusion,
    Flow,
    Schedule,
    add_noise,
    draw_share,
    draw_timestep_and_noise,
    generator_for,
)

SCHEDULER: Any = DDPMScheduler  # invisible to a type checker
ALPHAS_CUMPROD = SCHEDULER(beta_schedule="scaled_linear").alphas_cumprod
EPSILON = Diffusion(ALPHAS_CUMPROD)
V = Diffusion(ALPHAS_CUMPROD, "v_prediction")


def draw(
    seed: int, epoch: int, image_id: str, schedule: Schedule = EPSILON, offset: float = 0.0
) -> tuple[float, torch.Tensor]:
    return draw_timestep_and_noise(
        seed, epoch, image_id, shape=(4, 8, 8), schedule=schedule, offset=offset
    )


def random_latents() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 4, 8, 8, generator=generator), torch.randn(
        3, 4, 8, 8, generator=generator
    )


def test_noise_belongs_to_seed_epoch_and_image() -> None:
    t, noise = draw(1, 2, "a")
    torch.manual_seed(99)
    again_t, again = draw(1, 2, "a")
    assert t == again_t
    assert torch.equal(noise, again)
    for other in ((2, 2, "a"), (1, 3, "a"), (1, 2, "b")):
        assert not torch.equal(draw(*other)[1], noise)


def test_an_offset_moves_whole_channels_and_leaves_timestep_and_noise_as_they_were() -> None:
    t, plain = draw(1, 2, "a")
    t_offset, moved = draw(1, 2, "a", offset=0.5)
    assert t == t_offset
    difference = (moved - plain).flatten(1)
    torch.testing.assert_close(
        difference, difference[:, :1].expand_as(difference), atol=1e-6, rtol=0
    )
    assert difference[:, 0].std() > 0.01


def test_timesteps_are_uniform() -> None:
    drawn = torch.tensor([draw(0, 0, str(i))[0] for i in range(2000)], dtype=torch.float64)
    assert drawn.min() >= 0 and drawn.max() < 1000
    assert torch.equal(drawn, drawn.round())
    assert abs(drawn.mean() - 499.5) < 30  # five standard errors
    assert abs(drawn.std() - 288.7) < 20


@pytest.mark.parametrize("schedule", [EPSILON, Flow()])
def test_logit_normal_prefers_the_middle(schedule: Schedule) -> None:
    most = 1000 if schedule is EPSILON else 1
    drawn = torch.tensor(
        [schedule.draw_t(generator_for(0, 0, str(i), "t"), "logit_normal") for i in range(1000)]
    )
    middle = ((drawn > most / 4) & (drawn < 3 * most / 4)).double().mean()
    assert 0.65 < middle < 0.8  # P(|N(0, 1)| < ln 3) = 0.728


def test_a_shift_makes_timesteps_noisier() -> None:
    generators = [generator_for(0, 0, str(i), "t") for i in range(3)]
    plain = [Flow().draw_t(g, "uniform") for g in generators]
    generators = [generator_for(0, 0, str(i), "t") for i in range(3)]
    shifted = [Flow(shift=3.0).draw_t(g, "uniform") for g in generators]
    assert shifted == pytest.approx([3 * t / (1 + 2 * t) for t in plain])


def test_shares_are_shares_and_differ_by_purpose() -> None:
    shares = [draw_share(0, 0, str(i), "condition") for i in range(1000)]
    assert 0 <= min(shares) < 0.01 and 0.99 < max(shares) < 1
    assert draw_share(0, 0, "1", "other") != shares[1]


def test_noising_keeps_the_variance_and_ends_follow_the_schedule() -> None:
    alphas_cumprod = torch.tensor([1.0, 0.36, 0.0], dtype=torch.float64)
    x0 = torch.full((3, 2, 2), 2.0, dtype=torch.float64)
    noise = torch.full((3, 2, 2), 5.0, dtype=torch.float64)
    found = add_noise(x0, noise, torch.arange(3), alphas_cumprod)
    torch.testing.assert_close(found[:, 0, 0], torch.tensor([2.0, 1.2 + 4.0, 5.0]).double())


def test_noise_and_targets_are_those_of_diffusers() -> None:
    x0, noise = random_latents()
    t = torch.tensor([3, 500, 990])
    scheduler = SCHEDULER(beta_schedule="scaled_linear", prediction_type="v_prediction")
    torch.testing.assert_close(V.noisy(x0, noise, t.float()), scheduler.add_noise(x0, noise, t))
    torch.testing.assert_close(V.target(x0, noise, t.float()), scheduler.get_velocity(x0, noise, t))
    assert torch.equal(EPSILON.target(x0, noise, t.float()), noise)


def test_flow_matching_goes_straight_from_image_to_noise() -> None:
    x0, noise = random_latents()
    t = torch.tensor([0.0, 0.25, 1.0])
    noisy = Flow().noisy(x0, noise, t)
    assert torch.equal(noisy[0], x0[0])
    assert torch.equal(noisy[2], noise[2])
    torch.testing.assert_close(noisy[1] + 0.75 * Flow().target(x0, noise, t)[1], noise[1])


@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_weighs_errors_of_the_image_whatever_is_predicted(gamma: float) -> None:
    """One and the same error of x0, told as an error of eps, v or the flow's velocity, weighs the same."""
    t = torch.tensor([3.0, 500.0, 990.0])
    snr = ALPHAS_CUMPROD[t.long()] / (1 - ALPHAS_CUMPROD[t.long()])
    wanted = snr.clamp_max(gamma)
    # eps = (x_t - alpha x0) / sigma, so an error of x0 counts snr times in eps; v: 1 + snr times.
    torch.testing.assert_close(EPSILON.weight("min_snr", gamma, t) * snr, wanted)
    torch.testing.assert_close(V.weight("min_snr", gamma, t) * (snr + 1), wanted)
    sigma = torch.tensor([0.1, 0.5, 0.9])
    flow_snr = ((1 - sigma) / sigma) ** 2
    found = Flow().weight("min_snr", gamma, sigma) / sigma**2
    torch.testing.assert_close(found, flow_snr.clamp_max(gamma))


def test_other_weights() -> None:
    t = torch.tensor([3.0, 500.0])
    snr = ALPHAS_CUMPROD[t.long()] / (1 - ALPHAS_CUMPROD[t.long()])
    assert torch.equal(EPSILON.weight("const", 5, t), torch.ones(2))
    torch.testing.assert_close(V.weight("snr", 5, t), snr)
    sigma = torch.tensor([0.25, 0.75])
    torch.testing.assert_close(Flow(space="eps").weight("const", 5, sigma), (1 - sigma) ** 2)
    torch.testing.assert_close(Flow(space="x0").weight("const", 5, sigma), sigma**2)
    assert torch.equal(Flow().weight("const", 5, sigma), torch.ones(2))


def test_min_snr_is_a_number_where_nothing_is_left_of_the_image() -> None:
    schedule = Diffusion(torch.tensor([0.5, 0.0]))
    assert torch.equal(schedule.weight("min_snr", 5, torch.tensor([0.0, 1.0])), torch.ones(2))
