"""The objectives beyond the paper against slow float64 formulas, and what docs/objectives.md promises of them."""

from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.worker.training import formulas
from tests.worker.training.test_losses import Case, cases, draw, many_cases, norm, same
from worker.training.losses import PreferenceLoss, cpo_loss, diffusion_dpo_loss, guided
from worker.training.losses_beyond import (
    distil_loss,
    gap_loss,
    orthogonal_loss,
    share_by_weights,
)

SHAPE = (6, 4, 5)
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], PreferenceLoss]
LOSSES: dict[str, Loss] = {
    "distil": distil_loss,
    "gap": gap_loss,
    "gap by drift": lambda e, r, w, l: gap_loss(e, r, w, l, drift=0.01),
    "orthogonal": lambda e, r, w, l: orthogonal_loss(e, r, w, l, scale=7.0),
    "guarded cpo": lambda e, r, w, l: cpo_loss(
        e, r, w, l, scale=7.0, stabilized=False, guards_winner=True
    ),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def gradient_of(found: PreferenceLoss, at: Tensor) -> Tensor:
    return formulas.gradient(found.loss.sum(), at)


def dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def across_batch(values_B: Tensor, like: Tensor) -> Tensor:
    return values_B.view(-1, *[1] * (like.dim() - 1))


@many_cases
@given(cases())
def test_distil_and_its_gradient_equal_the_formula(case: Case) -> None:
    e, r, w, l = case.draw(4)
    e.requires_grad_()
    found = distil_loss(e, r, w, l, weight=case.scale)
    expected = case.scales() * formulas.each(formulas.distance, e, w)
    same(found.loss, expected)
    same(gradient_of(found, e), formulas.gradient(expected.sum(), e))
    same(found.grad_win, norm(gradient_of(found, e)))


@many_cases
@given(cases(), st.floats(0.01, 3), st.booleans())
def test_gap_and_its_gradient_equal_the_formula(case: Case, number: float, by_drift: bool) -> None:
    e, r, w, l = case.draw(4)
    e.requires_grad_()
    share_B = torch.full(case.shape[:1], number, dtype=torch.float64)
    if by_drift:
        share_B = torch.stack(
            [formulas.share_for(number, *pair) for pair in zip(w, l, strict=True)]
        )
    drift = number if by_drift else None
    found = gap_loss(e, r, w, l, share=number, drift=drift, weight=case.scale)
    expected = case.scales() * formulas.each(formulas.gap, e, r, w, l, share_B)
    same(found.loss, expected)
    same(gradient_of(found, e), formulas.gradient(expected.sum(), e))


@many_cases
@given(cases())
def test_orthogonal_and_its_gradient_equal_the_formula(case: Case) -> None:
    e, r, w, l = case.draw(4)
    e.requires_grad_()
    found = orthogonal_loss(e, r, w, l, scale=case.scale)
    same(found.loss, formulas.cpo(e, r, w, l, case.scales()))
    slope_B = 2 * case.scales() * found.factor / e[0].numel()
    push = e - w - torch.stack([formulas.across(*each) for each in zip(e, w, l, strict=True)])
    same(gradient_of(found, e), (across_batch(slope_B, e) * push).detach())


@many_cases
@given(cases())
def test_guarded_cpo_and_its_gradient_equal_the_formula(case: Case) -> None:
    e, r, w, l = case.draw(4)
    e.requires_grad_()
    found = cpo_loss(e, r, w, l, scale=case.scale, stabilized=False, guards_winner=True)
    same(found.loss, formulas.cpo(e, r, w, l, case.scales()))
    share_B = formulas.each(formulas.safe_share, e - w, e - l)
    slope_B = 2 * case.scales() * found.factor / e[0].numel()
    push = (e - w) - across_batch(share_B, e) * (e - l)
    same(gradient_of(found, e), (across_batch(slope_B, e) * push).detach())
    same(found.grad_lose, (slope_B * share_B * norm(e - l)).detach())


@many_cases
@given(cases())
def test_sdpo_and_its_gradients_equal_the_formula(case: Case) -> None:
    e_w, e_l, r_w, r_l, w, l = case.draw(6)
    e_w.requires_grad_()
    e_l.requires_grad_()
    found = diffusion_dpo_loss(e_w, e_l, r_w, r_l, w, l, scale=case.scale, guards_winner=True)
    same(found.loss, formulas.dpo(e_w, e_l, r_w, r_l, w, l, case.scales()))
    slope_B = 2 * case.scales() * found.factor / e_w[0].numel()
    share_B = formulas.each(formulas.safe_share, e_w - w, e_l - l)
    same(gradient_of(found, e_w), (across_batch(slope_B, w) * (e_w - w)).detach())
    same(gradient_of(found, e_l), (-across_batch(slope_B * share_B, l) * (e_l - l)).detach())


def test_gap_ends_where_it_says() -> None:
    """At r + g (w - l) the loss and its gradient are zero, and anywhere else it is more."""
    r, w, l = draw(SHAPE, 3)
    for share in (0.25, 0.5, 1.0):
        end = (r + share * (w - l)).requires_grad_()
        found = gap_loss(end, r, w, l, share=share)
        same(found.loss, torch.zeros(6).double())
        same(gradient_of(found, end), torch.zeros_like(r))
        assert (gap_loss(end + 0.1, r, w, l, share=share).loss > 0.009).all()


def test_gap_is_the_margin_of_eq_12_with_an_end() -> None:
    """Less what does not depend on e, it is g (win - lose) + drift."""
    e, r, w, l = draw(SHAPE, 4)
    found, start = gap_loss(e, r, w, l, share=0.3), gap_loss(r, r, w, l, share=0.3)
    same(found.loss - start.loss, 0.3 * (found.win - found.lose) + found.drift)


def test_a_wanted_drift_is_reached_however_weak_the_expert() -> None:
    r, w, l = draw(SHAPE, 3)
    for strength in (1.0, 1e-3):
        weak = l + strength * (w - l)
        share_B = torch.stack(
            [formulas.share_for(0.02, *pair) for pair in zip(weak, l, strict=True)]
        )
        end = (r + across_batch(share_B, r) * (weak - l)).requires_grad_()
        found = gap_loss(end, r, weak, l, drift=0.02)
        same(found.drift, torch.full((6,), 0.02).double())
        same(gradient_of(found, end), torch.zeros_like(r))


@pytest.mark.parametrize("omega", [1.0, 1.5, 2.0, 3.0])
def test_how_far_along_the_gap_the_winning_part_falls(omega: float) -> None:
    """Where attributes add, win is lowest at (omega - 1) / (2 omega - 1) of the gap and positive beyond twice that."""
    r, flaw = draw(SHAPE, 2)
    w, l = guided(r + flaw, r, omega), guided(r, r + flaw, omega)

    def win(share: float) -> Tensor:
        return cpo_loss(r + share * (w - l), r, w, l, scale=1.0, stabilized=False).win

    lowest = (omega - 1) / (2 * omega - 1)
    for share in (lowest - 0.05, lowest + 0.05):
        assert (win(share) > win(lowest)).all()
    same(win(2 * lowest), torch.zeros(6).double())
    assert (win(2 * lowest + 0.05) > 0).all()


@pytest.mark.parametrize("name", ["guarded cpo", "orthogonal", "distil"])
def test_the_winners_error_cannot_rise_to_first_order(name: str) -> None:
    e, r, w, l = draw((400, 2, 3), 4, seed=5)
    e.requires_grad_()
    assert (dot(gradient_of(LOSSES[name](e, r, w, l), e), e - w) > -1e-12).all()
    plain = cpo_loss(e, r, w, l, scale=7.0, stabilized=False)
    assert (dot(gradient_of(plain, e), e - w) < 0).any()


def test_the_guard_changes_nothing_where_the_winner_is_safe() -> None:
    e, r, w, l = draw((400, 2, 3), 4, seed=5)
    e.requires_grad_()
    plain = gradient_of(cpo_loss(e, r, w, l, scale=7.0, stabilized=False), e)
    guarded = gradient_of(LOSSES["guarded cpo"](e, r, w, l), e)
    is_safe = dot(plain, e - w) >= 0
    assert is_safe.any() and not is_safe.all()
    same(guarded[is_safe], plain[is_safe])


def test_an_orthogonal_step_moves_the_winner_as_if_there_were_no_loser() -> None:
    e, r, w, l = draw(SHAPE, 4)
    e.requires_grad_()
    found = LOSSES["orthogonal"](e, r, w, l)
    alone = across_batch(2 * 7.0 * found.factor / 20, e) * (e - w)
    whole = gradient_of(found, e)
    same(dot(whole, e - w), dot(alone, e - w))
    same(dot(alone - whole, e - w), torch.zeros(6).double())
    same(norm(whole) ** 2, found.grad_win**2 + found.grad_lose**2)


def test_an_sdpo_step_that_moves_both_predictions_alike_cannot_lift_the_winners_error() -> None:
    e_w, e_l, r_w, r_l, w, l = draw((400, 2, 3), 6, seed=5)
    e_w.requires_grad_()
    e_l.requires_grad_()
    for guards, lifts in ((True, False), (False, True)):
        found = diffusion_dpo_loss(e_w, e_l, r_w, r_l, w, l, scale=3.0, guards_winner=guards)
        both = gradient_of(found, e_w) + gradient_of(found, e_l)
        assert bool((dot(both, e_w - w) < -1e-12).any()) == lifts


@every_loss
def test_curves_are_those_of_eq_12(name: str) -> None:
    tensors = draw(SHAPE, 4)
    found = LOSSES[name](*tensors)
    plain = cpo_loss(*tensors, scale=7.0, stabilized=False)
    for curve in ("win", "lose", "correct", "drift", "cosine", "rho"):
        assert torch.equal(getattr(found, curve), getattr(plain, curve)), curve


@every_loss
def test_only_theta_learns_and_samples_do_not_see_each_other(name: str) -> None:
    tensors = [x.requires_grad_() for x in draw((5, 4, 5), 4)]
    found = LOSSES[name](*tensors)
    found.loss.sum().backward()
    assert [x.grad is None for x in tensors] == [False, True, True, True]
    order = [3, 0, 4]
    part = [x.detach()[order].requires_grad_() for x in tensors]
    again = LOSSES[name](part[0], part[1], part[2], part[3])
    assert tensors[0].grad is not None
    same(gradient_of(again, part[0]), tensors[0].grad[order])


@every_loss
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("coincidence", ["none", "e = l", "w = l", "e = w", "all"])
def test_everything_is_finite_where_tensors_coincide(
    name: str, dtype: torch.dtype, coincidence: str
) -> None:
    e, r, w, l = (x.to(dtype) for x in draw((2, 4, 16, 16), 4))
    match coincidence:
        case "e = l":
            l = e.clone()
        case "w = l":
            w = l.clone()
        case "e = w":
            w = e.clone()
        case "all":
            r, w, l = e.clone(), e.clone(), e.clone()
    e.requires_grad_()
    found = LOSSES[name](e, r, w, l)
    for each in fields(found):
        values = getattr(found, each.name)
        assert values.isfinite().all() and values.shape == (2,), each.name
        assert values.requires_grad == (each.name == "loss"), each.name
    assert gradient_of(found, e).isfinite().all()


@every_loss
def test_a_loss_is_one_graph_and_autocast_does_not_reach_into_it(name: str) -> None:
    e, r, w, l = (x.float() for x in draw((2, 3, 4), 4))
    e.requires_grad_()
    outside = LOSSES[name](e, r, w, l).loss
    compiled = torch.compile(LOSSES[name], fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(e, r, w, l).loss, outside)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(LOSSES[name](e, r, w, l).loss, outside)


def test_shapes_that_would_broadcast_are_refused() -> None:
    e, r, w, _ = draw(SHAPE, 4)
    with pytest.raises(ValueError, match=r"loser has shape \(1, 4, 5\)"):
        gap_loss(e, r, w, e[:1])
    with pytest.raises(ValueError, match=r"weight has shape"):
        distil_loss(e, r, w, w, weight=torch.ones(2))


def linear(factor: Tensor, shift: Tensor, seen: Tensor) -> Tensor:
    """Predictions (B, 4, 5) of weights that all images share."""
    return torch.einsum("ij,bjk->bik", factor, seen) + shift


def pushed(factor: Tensor, shift: Tensor, seen: Tensor, errors: Tensor, slopes: Tensor) -> Tensor:
    """sum slope J^T error, image by image and number by number: slow, and by no automatic gradient."""
    for_factor, for_shift = torch.zeros_like(factor), torch.zeros_like(shift)
    for error, image, slope in zip(errors, seen, slopes, strict=True):
        for i in range(error.shape[0]):
            for k in range(error.shape[1]):
                for_shift[i, k] += slope * error[i, k]
                for j in range(factor.shape[1]):
                    for_factor[i, j] += slope * error[i, k] * image[j, k]
    return torch.cat([for_factor.flatten(), for_shift.flatten()])


@pytest.mark.parametrize("alike", [0.0, 0.9, 3.0])
def test_the_share_by_weights_equals_the_formula(alike: float) -> None:
    """Where the pushes are hardly alike, and where the loser's would outweigh the winner's."""
    generator = torch.Generator().manual_seed(7)
    seen, noise = (torch.randn(6, 3, 5, generator=generator).double() for _ in range(2))
    factor = torch.randn(4, 3, generator=generator).double().requires_grad_()
    shift = torch.randn(4, 5, generator=generator).double().requires_grad_()
    slopes = torch.rand(6, generator=generator).double()
    slopes[5] = 0  # it only fills up the pass
    e = linear(factor, shift, seen)
    w = e.detach() + torch.randn(6, 4, 5, generator=generator).double()
    l = e.detach() + alike * (w - e.detach()) + torch.einsum("ij,bjk->bik", factor.detach(), noise)
    found = share_by_weights(e, w, l, [factor, shift], slope_B=slopes)
    at = (factor.detach(), shift.detach(), seen)
    g_w, g_l = (pushed(*at, e.detach() - each, slopes) for each in (w, l))
    expected = formulas.safe_share(g_w, g_l)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert (found < 1) == (alike > 0)
    # The graph is left for the loss, whose gradient in the weights is the step that the share was made for.
    loss = cpo_loss(
        e,
        e.detach(),
        w,
        l,
        scale=2.0,
        stabilized=False,
        guards_winner=True,
        winner_share=found.expand(6),
    )
    gradient = torch.autograd.grad(loss.loss.sum(), [factor, shift])
    step = torch.cat([each.flatten() for each in gradient])
    # 2 / D * scale * factor, which is 1/2 at the start.
    even = torch.full((6,), 2 / 20, dtype=torch.float64)
    plain = [pushed(*at, e.detach() - each, even) for each in (w, l)]
    torch.testing.assert_close(step, plain[0] - found * plain[1], rtol=1e-9, atol=1e-9)


def test_a_step_by_weights_leaves_the_winners_no_farther() -> None:
    """Together, to first order; by predictions alone that does not hold for shared weights."""
    generator = torch.Generator().manual_seed(3)
    seen = torch.randn(6, 3, 5, generator=generator).double()
    factor = torch.randn(4, 3, generator=generator).double().requires_grad_()
    shift = torch.randn(4, 5, generator=generator).double().requires_grad_()
    e = linear(factor, shift, seen)
    w = e.detach() + torch.randn(6, 4, 5, generator=generator).double()
    l = e.detach() + 4 * (w - e.detach()).mean(0, keepdim=True)
    share = share_by_weights(e, w, l, [factor, shift], slope_B=torch.ones(6).double())
    assert 0 < share < 1

    def error_after(winner_share: Tensor) -> Tensor:
        loss = cpo_loss(
            e,
            e.detach(),
            w,
            l,
            scale=1.0,
            stabilized=False,
            guards_winner=True,
            winner_share=winner_share,
        )
        to_factor, to_shift = torch.autograd.grad(
            loss.loss.sum(), [factor, shift], retain_graph=True
        )
        moved = linear(factor - 1e-6 * to_factor, shift - 1e-6 * to_shift, seen)
        return ((moved - w) ** 2).sum() - ((e - w) ** 2).sum()

    assert abs(error_after(share.expand(6))) < 1e-10
    assert error_after(torch.ones(6).double()) > 1e-7
