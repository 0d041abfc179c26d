"""The losses against a slow float64 version and the identities of the method (decisions.md)."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from worker.training.losses import (
    PreferenceLoss,
    cpo_loss,
    diffusion_dpo_loss,
    guided,
    sft_loss,
)

SHAPES = [(3, 4, 5, 6), (2, 7), (4, 2, 3, 2, 2)]
LOG_2 = math.log(2)


def draw(shape: tuple[int, ...], count: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)]


def gradient(e: Tensor, r: Tensor, w: Tensor, l: Tensor, **kwargs: object) -> Tensor:
    """The gradient of the summed loss in the prediction."""
    e = e.clone().requires_grad_()
    cpo_loss(e, r, w, l, **kwargs).loss.sum().backward()  # type: ignore[arg-type]
    assert e.grad is not None
    return e.grad


def flat(x: Tensor) -> Tensor:
    return x.flatten(1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    return (flat(a) * flat(b)).sum(1)


def norm(x: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(flat(x), dim=1)
    return length


def slow_cpo(
    e: np.ndarray, r: np.ndarray, w: np.ndarray, l: np.ndarray, scale: float, stabilized: bool
) -> tuple[float, float, float, float]:
    """Eq. 12 to 14 for one sample, as the paper writes them, numpy only: loss, win, lose, rho."""

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean((a - b) ** 2))

    win = distance(w, e) - distance(w, r)
    lose = distance(l, e) - distance(l, r)
    d_w, d_l = np.sqrt(np.sum((e - w) ** 2)), np.sqrt(np.sum((e - l) ** 2))
    s = win - lose
    if stabilized:
        target = e + (e - l) / d_l * d_w
        s = win + distance(target, e) - distance(target, r)
    return float(np.logaddexp(0, scale * s)), win, lose, float(d_w / d_l)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stabilized", [False, True])
@pytest.mark.parametrize("scale", [0.3, 40.0])
def test_cpo_equals_the_slow_version(
    shape: tuple[int, ...], stabilized: bool, scale: float
) -> None:
    e, r, w, l = draw(shape, 4)
    found = cpo_loss(e, r, w, l, scale=scale, stabilized=stabilized)
    for i in range(shape[0]):
        one = (e[i].numpy(), r[i].numpy(), w[i].numpy(), l[i].numpy())
        expected = slow_cpo(*one, scale, stabilized)
        actual = [x[i].item() for x in (found.loss, found.win, found.lose, found.rho)]
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_dpo_equals_the_slow_version(shape: tuple[int, ...]) -> None:
    e_w, e_l, r_w, r_l, n_w, n_l = draw(shape, 6)
    found = diffusion_dpo_loss(e_w, e_l, r_w, r_l, n_w, n_l, scale=3.0)
    win = flat((n_w - e_w) ** 2 - (n_w - r_w) ** 2).mean(1).numpy()
    lose = flat((n_l - e_l) ** 2 - (n_l - r_l) ** 2).mean(1).numpy()
    np.testing.assert_allclose(found.win.numpy(), win, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.lose.numpy(), lose, rtol=0, atol=1e-9)
    expected = np.logaddexp(0, 3.0 * (win - lose))
    np.testing.assert_allclose(found.loss.numpy(), expected, rtol=0, atol=1e-9)


def test_dpo_on_a_pair_of_identical_images_learns_nothing() -> None:
    e, r, n = draw((3, 4, 4), 3)
    e.requires_grad_()
    found = diffusion_dpo_loss(e, e, r, r, n, n, scale=5.0)
    torch.testing.assert_close(found.loss, torch.full((3,), LOG_2, dtype=torch.float64))
    found.loss.sum().backward()
    assert e.grad is not None
    torch.testing.assert_close(e.grad, torch.zeros_like(e), rtol=0, atol=1e-15)


def test_swapping_a_dpo_pair_negates_its_margin() -> None:
    e_w, e_l, r_w, r_l, n_w, n_l = draw((3, 4, 4), 6)
    one = diffusion_dpo_loss(e_w, e_l, r_w, r_l, n_w, n_l, scale=5.0)
    other = diffusion_dpo_loss(e_l, e_w, r_l, r_w, n_l, n_w, scale=5.0)
    torch.testing.assert_close(one.factor, 1 - other.factor)
    torch.testing.assert_close(one.correct, 1 - other.correct)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("stabilized", [False, True])
def test_1_starts_at_log_2_whatever_the_targets(dtype: torch.dtype, stabilized: bool) -> None:
    e, w, l = (x.to(dtype) for x in draw((3, 4, 8, 8), 3))
    found = cpo_loss(e, e, w, l, scale=2500, stabilized=stabilized)
    assert found.loss.tolist() == [torch.tensor(2.0, dtype=found.loss.dtype).log().item()] * 3
    assert found.factor.tolist() == [0.5] * 3
    assert found.correct.tolist() == [0.5] * 3
    assert found.win.tolist() == found.lose.tolist() == found.drift.tolist() == [0.0] * 3


def test_1_starts_with_gradient_k_times_loser_minus_winner() -> None:
    e, w, l = draw((3, 4, 5), 3)
    k = 7.0 / 20
    torch.testing.assert_close(gradient(e, e, w, l, scale=7.0, stabilized=False), k * (l - w))


def test_2_cpo_gradient_always_points_from_winner_to_loser() -> None:
    e, r, w, l = draw((3, 4, 5), 4)
    found = cpo_loss(e, r, w, l, scale=7.0, stabilized=False)
    factor = found.factor.view(3, 1, 1)
    torch.testing.assert_close(
        gradient(e, r, w, l, scale=7.0, stabilized=False), 2 * 7.0 / 20 * factor * (l - w)
    )


def test_3_stabilised_parts_have_equal_norm() -> None:
    e, r, w, l = draw((3, 4, 5), 4)
    k = 7.0 / 20
    found = cpo_loss(e, r, w, l, scale=7.0, stabilized=True)
    grad = gradient(e, r, w, l, scale=7.0, stabilized=True)
    winner_part = 2 * k * found.factor.view(3, 1, 1) * (e - w)
    loser_part = grad - winner_part
    torch.testing.assert_close(norm(loser_part), norm(winner_part))
    cosine = dot(loser_part, l - e) / norm(loser_part) / norm(l - e)
    torch.testing.assert_close(cosine, torch.ones(3, dtype=torch.float64))
    half_angle = torch.acos(dot(e - w, e - l) / norm(e - w) / norm(e - l)) / 2
    torch.testing.assert_close(norm(grad), 4 * k * found.factor * norm(e - w) * half_angle.sin())


def test_4_at_equal_distances_both_losses_point_the_same_way() -> None:
    e, r, w, l = draw((3, 4, 5), 4)
    l = e + (l - e) * (norm(e - w) / norm(e - l)).view(3, 1, 1)
    a = gradient(e, r, w, l, scale=7.0, stabilized=False)
    b = gradient(e, r, w, l, scale=7.0, stabilized=True)
    torch.testing.assert_close(dot(a, b), norm(a) * norm(b))


def test_5_stabilised_step_never_leaves_the_winner_nor_nears_the_loser() -> None:
    e, r, w, l = draw((200, 6), 4, seed=5)
    grad = gradient(e, r, w, l, scale=3.0, stabilized=True)
    assert (dot(grad, e - w) >= -1e-15).all()
    assert (dot(grad, e - l) <= 1e-15).all()
    plain = gradient(e, r, w, l, scale=3.0, stabilized=False)
    assert (dot(plain, e - w) < 0).any(), "the plain loss has no such guarantee"


def test_6_a_prediction_equal_to_the_winner_rests_only_when_stabilised() -> None:
    r, w, l = draw((3, 4, 5), 3)
    assert not gradient(w, r, w, l, scale=7.0, stabilized=True).any()
    assert gradient(w, r, w, l, scale=7.0, stabilized=False).any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_7_a_prediction_equal_to_the_loser_is_finite(dtype: torch.dtype) -> None:
    r, w, l = (x.to(dtype) for x in draw((3, 4, 5), 3))
    grad = gradient(l, r, w, l, scale=7.0, stabilized=True)
    assert grad.isfinite().all()
    if dtype == torch.float64:
        factor = cpo_loss(l, r, w, l, scale=7.0, stabilized=True).factor.view(3, 1, 1)
        torch.testing.assert_close(grad, 2 * 7.0 / 20 * factor * (l - w))


def test_8_equal_targets_give_no_gradient() -> None:
    e, r, w = draw((3, 4, 5), 3)
    found = cpo_loss(e, r, w, w, scale=7.0, stabilized=False)
    torch.testing.assert_close(found.loss, torch.full((3,), LOG_2, dtype=torch.float64))
    assert not gradient(e, r, w, w, scale=7.0, stabilized=False).any()
    stabilised = gradient(e, r, w, w, scale=7.0, stabilized=True)
    torch.testing.assert_close(stabilised, torch.zeros_like(stabilised))
    value = cpo_loss(e, r, w, w, scale=7.0, stabilized=True).loss
    assert not torch.isclose(value, torch.tensor(LOG_2, dtype=torch.float64)).any()


@pytest.mark.parametrize(("a", "is_zero"), [(1.5, True), (-0.5, True), (0.4, False)])
def test_9_outside_the_segment_the_stabilised_gradient_is_zero(a: float, is_zero: bool) -> None:
    r, w, l = draw((3, 4, 5), 3)
    e = l + a * (w - l)
    grad = gradient(e, r, w, l, scale=7.0, stabilized=True)
    factor = cpo_loss(e, r, w, l, scale=7.0, stabilized=True).factor
    expected = torch.zeros(3).double() if is_zero else 4 * 7.0 / 20 * factor * norm(e - w)
    torch.testing.assert_close(norm(grad), expected, rtol=1e-9, atol=1e-9)


def test_10_no_gradient_flows_through_the_surrogate_target() -> None:
    e, r, w, l = draw((3, 4, 5), 4)
    found = cpo_loss(e, r, w, l, scale=7.0, stabilized=True)
    factor, rho = found.factor.view(3, 1, 1), found.rho.view(3, 1, 1)
    closed_form = 2 * 7.0 / 20 * factor * ((e - w) - rho * (e - l))
    torch.testing.assert_close(gradient(e, r, w, l, scale=7.0, stabilized=True), closed_form)


@pytest.mark.parametrize("stabilized", [False, True])
def test_10_targets_and_reference_get_no_gradient(stabilized: bool) -> None:
    e, r, w, l = (x.requires_grad_() for x in draw((3, 4, 5), 4))
    found = cpo_loss(e, r, w, l, scale=7.0, stabilized=stabilized)
    found.loss.sum().backward()
    assert e.grad is not None
    assert r.grad is None and w.grad is None and l.grad is None
    for name in ("win", "lose", "rho", "factor", "correct", "drift"):
        assert not getattr(found, name).requires_grad, name


@pytest.mark.parametrize("stabilized", [False, True])
def test_11_translation_changes_nothing_and_scaling_is_absorbed(stabilized: bool) -> None:
    e, r, w, l = draw((3, 4, 5), 4)
    (shift,) = draw((3, 4, 5), 1, seed=9)
    before = gradient(e, r, w, l, scale=7.0, stabilized=stabilized)
    moved = gradient(e + shift, r + shift, w + shift, l + shift, scale=7.0, stabilized=stabilized)
    torch.testing.assert_close(moved, before)
    scaled = gradient(3 * e, 3 * r, 3 * w, 3 * l, scale=7.0 / 9, stabilized=stabilized)
    torch.testing.assert_close(scaled, before / 3)


@pytest.mark.parametrize("stabilized", [False, True])
def test_12_samples_do_not_see_each_other(stabilized: bool) -> None:
    tensors = draw((5, 4, 5), 4)
    whole = gradient(*tensors, scale=7.0, stabilized=stabilized)
    order = torch.tensor([3, 0, 4])
    part = gradient(*(x[order] for x in tensors), scale=7.0, stabilized=stabilized)
    torch.testing.assert_close(part, whole[order])


@pytest.mark.parametrize("stabilized", [False, True])
def test_13_errors_are_means_so_resolution_does_not_matter(stabilized: bool) -> None:
    tensors = draw((3, 4, 5), 4)
    tiled = [torch.cat([x, x, x], dim=2) for x in tensors]
    small = cpo_loss(*tensors, scale=7.0, stabilized=stabilized)
    large = cpo_loss(*tiled, scale=7.0, stabilized=stabilized)
    torch.testing.assert_close(small.loss, large.loss)


def test_14_saturated_losses_stay_exact() -> None:
    e, r, w, l = draw((1, 6), 4)
    plain = slow_cpo(e[0].numpy(), r[0].numpy(), w[0].numpy(), l[0].numpy(), 1.0, False)
    s = plain[1] - plain[2]
    sign = 1.0 if s > 0 else -1.0
    found = cpo_loss(e, r, w, l, scale=sign * 1000 / s, stabilized=False)
    assert found.loss.item() == pytest.approx(1000.0 if sign > 0 else 0.0, abs=1e-9)
    large = cpo_loss(e, r, w, l, scale=25 / s, stabilized=False)
    assert large.loss.item() == pytest.approx(25 + math.log1p(math.exp(-25)), abs=1e-13)


def test_16_equal_guidance_makes_targets_differ_by_what_the_negatives_say() -> None:
    positive, negative, everything, null = draw((3, 4, 5), 4)
    omega = 2.5
    difference = guided(negative, positive, omega) - guided(null, everything, omega)
    expected = (1 - omega) * (negative - null) + omega * (positive - everything)
    torch.testing.assert_close(difference, expected)


def test_17_guidance_one_is_the_target_itself_bit_for_bit() -> None:
    (toward,) = (x.bfloat16() for x in draw((3, 4, 5), 1))
    away = torch.full_like(toward, math.nan)
    assert guided(away, toward, 1.0) is toward


def test_guidance_extrapolates_in_float32_or_better() -> None:
    away, toward = (x.bfloat16() for x in draw((3, 4, 5), 2))
    found = guided(away, toward, 2.0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, 2 * toward.float() - away.float())


def test_win_and_lose_are_eq_12_whichever_loss_is_trained() -> None:
    tensors = draw((3, 4, 5), 4)
    plain = cpo_loss(*tensors, scale=7.0, stabilized=False)
    stabilised = cpo_loss(*tensors, scale=7.0, stabilized=True)
    assert torch.equal(plain.win, stabilised.win)
    assert torch.equal(plain.lose, stabilised.lose)
    assert torch.equal(plain.correct, stabilised.correct)
    assert not torch.equal(plain.loss, stabilised.loss)


def test_margin_of_eq_12_changes_the_factor_and_keeps_the_direction() -> None:
    e, r, w, l = draw((3, 4, 5), 4)
    usual = gradient(e, r, w, l, scale=7.0, stabilized=True)
    other = gradient(e, r, w, l, scale=7.0, stabilized=True, margin="eq12")
    torch.testing.assert_close(dot(usual, other), norm(usual) * norm(other))
    plain = cpo_loss(e, r, w, l, scale=7.0, stabilized=False)
    changed = cpo_loss(e, r, w, l, scale=7.0, stabilized=True, margin="eq12")
    torch.testing.assert_close(changed.loss, plain.loss)
    torch.testing.assert_close(changed.factor, plain.factor)


def test_small_differences_survive_bf16_inputs() -> None:
    e = torch.full((1, 64), 1.0).bfloat16()
    r = torch.full((1, 64), 1.0078125).bfloat16()  # the next bf16 number
    w, l = torch.full((1, 64), 2.0).bfloat16(), torch.full((1, 64), 1.9921875).bfloat16()
    found = cpo_loss(e, r, w, l, scale=1.0, stabilized=False)
    difference = (found.win - found.lose).item()
    assert difference == pytest.approx(-2 * 0.0078125 * -0.0078125, rel=1e-3)
    assert found.loss.dtype == torch.float32


@pytest.mark.parametrize("stabilized", [False, True])
def test_autocast_around_the_loss_does_not_reach_into_it(stabilized: bool) -> None:
    e, r, w, l = (x.float() for x in draw((3, 4, 5), 4))
    outside = cpo_loss(e, r, w, l, scale=2500.0, stabilized=stabilized)
    with torch.autocast("cpu", torch.bfloat16):
        inside = cpo_loss(e, r, w, l, scale=2500.0, stabilized=stabilized)
    assert torch.equal(inside.loss, outside.loss)


@pytest.mark.parametrize("stabilized", [False, True])
def test_everything_is_finite_in_bf16_at_real_scale(stabilized: bool) -> None:
    e, r, w, l = (x.bfloat16() for x in draw((2, 4, 16, 16), 4))
    found = cpo_loss(e, r, w, l, scale=2500.0, stabilized=stabilized)
    assert isinstance(found, PreferenceLoss)
    for name in found.__slots__:
        assert getattr(found, name).isfinite().all(), name
        assert getattr(found, name).shape == (2,), name
    assert gradient(e, r, w, l, scale=2500.0, stabilized=stabilized).isfinite().all()


def test_sft_is_the_mean_squared_error_of_each_sample() -> None:
    e, target = draw((3, 4, 5), 2)
    expected = ((e - target) ** 2).numpy().reshape(3, -1).mean(1)
    np.testing.assert_allclose(sft_loss(e, target).numpy(), expected, rtol=0, atol=1e-12)


def test_shapes_that_would_broadcast_are_refused() -> None:
    e, r, w = draw((3, 4, 5), 3)
    with pytest.raises(ValueError, match=r"loser has shape \(1, 4, 5\)"):
        cpo_loss(e, r, w, e[:1], scale=1.0, stabilized=False)
    with pytest.raises(ValueError, match="batch"):
        sft_loss(torch.zeros(3), torch.zeros(3))
