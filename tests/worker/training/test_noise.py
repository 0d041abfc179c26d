import torch

from worker.training.batches import make_plan
from worker.training.config import Optimization
from worker.training.noise import add_noise, draw_order, draw_share, draw_timestep_and_noise


def draw(seed: int, epoch: int, image_id: str) -> tuple[int, torch.Tensor]:
    return draw_timestep_and_noise(seed, epoch, image_id, shape=(4, 8, 8), num_timesteps=1000)


def test_noise_belongs_to_seed_epoch_and_image() -> None:
    t, noise = draw(1, 2, "a")
    torch.manual_seed(99)
    again_t, again = draw(1, 2, "a")
    assert t == again_t
    assert torch.equal(noise, again)
    for other in ((2, 2, "a"), (1, 3, "a"), (1, 2, "b")):
        assert not torch.equal(draw(*other)[1], noise)


def test_timesteps_are_uniform() -> None:
    drawn = torch.tensor([draw(0, 0, str(i))[0] for i in range(2000)], dtype=torch.float64)
    assert drawn.min() >= 0 and drawn.max() < 1000
    assert abs(drawn.mean() - 499.5) < 30  # five standard errors
    assert abs(drawn.std() - 288.7) < 20


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


def test_each_epoch_shows_every_image_once_in_an_order_of_its_own() -> None:
    plan = make_plan(10, 3, Optimization(epochs=2, batch_size=2, gradient_accumulation=2))
    assert (plan.steps_per_epoch, plan.total_steps) == (3, 6)
    epochs = [
        [i for step in steps for indices in plan.batches(step) for i in indices]
        for steps in (range(1, 4), range(4, 7))
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]
    assert [len(i) for i in plan.batches(3)] == [2]
    assert draw_order(3, 0, 10) == epochs[0]


def test_max_steps_decides_over_epochs() -> None:
    plan = make_plan(10, 0, Optimization(epochs=2, max_steps=50, batch_size=4))
    assert plan.total_steps == 50
    assert plan.epoch_of(50) == 16
