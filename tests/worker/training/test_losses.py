"""The losses against the paper's formulas in float64, and what the code promises beyond them.

The identities of the method are in test_invariants.py.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.worker.training import formulas
from worker.training.losses import (
    PreferenceLoss,
    StepPreferenceLoss,
    cpo_loss,
    diffusion_dpo_loss,
    gaussian_log_prob,
    guided,
    sft_loss,
    spo_loss,
)

LOG_2 = math.log(2)
DTYPES = (torch.float64, torch.float32, torch.bfloat16)


@dataclass(frozen=True)
class Case:
    """A random shape, with a scale for the batch or one for each sample."""

    shape: tuple[int, ...]
    seed: int
    spread: float
    scale: float | Tensor
    omega_w: float
    omega_l: float

    def draw(self, count: int) -> list[Tensor]:
        return [self.spread * x for x in draw(self.shape, count, self.seed)]

    def scales(self) -> Tensor:
        """The scale of each sample."""
        return torch.ones(self.shape[0], dtype=torch.float64) * self.scale


@st.composite
def cases(draw_from: st.DrawFn) -> Case:
    batch = draw_from(st.integers(1, 5))
    scales = st.floats(1e-3, 2500)
    per_sample = draw_from(st.none() | st.lists(scales, min_size=batch, max_size=batch))
    return Case(
        shape=(batch, *draw_from(st.lists(st.integers(1, 6), min_size=1, max_size=4))),
        seed=draw_from(st.integers(0, 2**32)),
        spread=draw_from(st.floats(0.01, 1)),
        scale=draw_from(scales)
        if per_sample is None
        else torch.tensor(per_sample, dtype=torch.float64),
        omega_w=draw_from(st.floats(1, 5)),
        omega_l=draw_from(st.floats(1, 5)),
    )


many_cases = settings(max_examples=60, deadline=None)


def draw(shape: tuple[int, ...], count: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)]


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def norm(x: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return length


@many_cases
@given(cases(), st.booleans())
def test_cpo_and_its_gradient_equal_the_formulas(case: Case, stabilized: bool) -> None:
    e, r, negative, positive, null, everything = case.draw(6)
    w = guided(negative, positive, case.omega_w)
    l = guided(null, everything, case.omega_l)
    slow_w = formulas.guided(negative, positive, case.omega_w)
    slow_l = formulas.guided(null, everything, case.omega_l)
    e.requires_grad_()
    found = cpo_loss(e, r, w, l, scale=case.scale, stabilized=stabilized)
    slow = formulas.cpo_s if stabilized else formulas.cpo
    expected = slow(e, r, slow_w, slow_l, case.scales())
    same(found.loss, expected)
    same(formulas.gradient(found.loss.sum(), e), formulas.gradient(expected.sum(), e))


@many_cases
@given(cases())
def test_dpo_and_its_gradients_equal_the_formulas(case: Case) -> None:
    e_w, e_l, r_w, r_l, w, l = case.draw(6)
    e_w.requires_grad_()
    e_l.requires_grad_()
    found = diffusion_dpo_loss(e_w, e_l, r_w, r_l, w, l, scale=case.scale)
    expected = formulas.dpo(e_w, e_l, r_w, r_l, w, l, case.scales())
    same(found.loss, expected)
    same(found.win, formulas.each(formulas.win_or_lose, e_w, r_w, w))
    same(found.lose, formulas.each(formulas.win_or_lose, e_l, r_l, l))
    same(found.drift, formulas.each(formulas.distance, e_w, r_w))
    for e in (e_w, e_l):
        same(formulas.gradient(found.loss.sum(), e), formulas.gradient(expected.sum(), e))


@many_cases
@given(cases(), st.booleans())
def test_sft_and_its_gradient_equal_the_formulas(case: Case, weighted: bool) -> None:
    e, noise = case.draw(2)
    e.requires_grad_()
    found = sft_loss(e, noise, case.scales() if weighted else None)
    expected = formulas.sft(e, noise) * (case.scales() if weighted else 1)
    same(found, expected)
    same(formulas.gradient(found.sum(), e), formulas.gradient(expected.sum(), e))


@many_cases
@given(
    st.integers(0, 2**32),
    st.integers(1, 6),
    st.floats(0.001, 1),
    st.floats(0.1, 500),
    st.floats(0.01, 0.9),
)
def test_spo_and_its_gradient_equal_the_formulas(
    seed: int, batch: int, spread: float, beta: float, eps: float
) -> None:
    win, lose, reference_win, reference_lose = (spread * x for x in draw((batch,), 4, seed))
    win.requires_grad_()
    lose.requires_grad_()
    found = spo_loss(win, lose, reference_win, reference_lose, beta=beta, eps=eps)
    expected = formulas.spo(win, lose, reference_win, reference_lose, beta, eps)
    same(found.loss, expected)
    for x in (win, lose):
        same(formulas.gradient(found.loss.sum(), x), formulas.gradient(expected.sum(), x))


@many_cases
@given(cases())
def test_gaussian_log_prob_and_its_gradient_equal_the_formulas(case: Case) -> None:
    sample, mean = case.draw(2)
    # Below this the formula, which takes the logarithm of a density, underflows first.
    std_B = 0.5 + case.scales() / 2500
    mean.requires_grad_()
    found = gaussian_log_prob(sample, mean, std_B)
    expected = formulas.each(formulas.gaussian, sample, mean, std_B)
    same(found, expected)
    same(formulas.gradient(found.sum(), mean), formulas.gradient(expected.sum(), mean))


@many_cases
@given(cases(), st.booleans())
def test_what_is_plotted_equals_the_formulas(case: Case, stabilized: bool) -> None:
    e, r, w, l = case.draw(4)
    found = cpo_loss(e, r, w, l, scale=case.scale, stabilized=stabilized)
    win = formulas.each(formulas.win_or_lose, e, r, w)
    lose = formulas.each(formulas.win_or_lose, e, r, l)
    argument = formulas.cpo_s_argument if stabilized else formulas.cpo_argument
    same(found.win, win)
    same(found.lose, lose)
    same(found.rho, norm(e - w) / norm(e - l))
    same(found.factor, torch.sigmoid(case.scales() * formulas.each(argument, e, r, w, l)))
    same(found.correct, (win < lose).double())
    same(found.drift, formulas.each(formulas.distance, e, r))
    same(found.cosine, torch.cosine_similarity((w - l).flatten(1), (e - r).flatten(1)))


@many_cases
@given(cases(), st.booleans())
def test_gradient_norms_are_those_that_autograd_gives_the_parts(
    case: Case, stabilized: bool
) -> None:
    e, r, w, l = case.draw(4)
    e.requires_grad_()
    found = cpo_loss(e, r, w, l, scale=case.scale, stabilized=stabilized)
    weight_B = case.scales() * found.factor
    target = formulas.each(formulas.surrogate, e, w, l).detach() if stabilized else l
    winning = formulas.each(formulas.distance, e, w)
    losing = formulas.each(formulas.distance, e, target) * (1 if stabilized else -1)
    parts = [formulas.gradient((weight_B * part).sum(), e) for part in (winning, losing)]
    same(found.grad_win, norm(parts[0]))
    same(found.grad_lose, norm(parts[1]))
    # The parts together are the whole gradient, so neither can be off by a factor.
    same(parts[0] + parts[1], formulas.gradient(found.loss.sum(), e))


@many_cases
@given(cases())
def test_gradient_norms_of_a_pair_are_those_of_its_two_predictions(case: Case) -> None:
    e_w, e_l, r_w, r_l, w, l = case.draw(6)
    e_w.requires_grad_()
    e_l.requires_grad_()
    found = diffusion_dpo_loss(e_w, e_l, r_w, r_l, w, l, scale=case.scale)
    same(found.grad_win, norm(formulas.gradient(found.loss.sum(), e_w)))
    same(found.grad_lose, norm(formulas.gradient(found.loss.sum(), e_l)))
    assert not found.cosine.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_preference_loss_starts_at_exactly_log_2(dtype: torch.dtype) -> None:
    a, b, w, l = (x.to(dtype) for x in draw((3, 4, 8, 8), 4))
    started: list[PreferenceLoss | StepPreferenceLoss] = [
        cpo_loss(a, a, w, l, scale=2500, stabilized=False),
        cpo_loss(a, a, w, l, scale=2500, stabilized=True),
        cpo_loss(a, a, w, l, scale=2500, stabilized=True, margin="eq12"),
        diffusion_dpo_loss(a, b, a, b, w, l, scale=2500),
        spo_loss(*(x[:, 0, 0, 0] for x in (a, b, a, b)), beta=10, eps=0.1),
    ]
    for found in started:
        exactly = torch.tensor(2.0, dtype=found.loss.dtype).log().item()
        assert found.loss.tolist() == [exactly] * 3
        assert found.factor.tolist() == found.correct.tolist() == [0.5] * 3
        assert found.win.tolist() == found.lose.tolist() == [0.0] * 3


def test_a_pair_of_identical_images_gives_log_2_and_no_gradient() -> None:
    e, r, n = draw((3, 4, 4), 3)
    e.requires_grad_()
    found = diffusion_dpo_loss(e, e, r, r, n, n, scale=5.0)
    assert found.loss.tolist() == [LOG_2] * 3
    assert not formulas.gradient(found.loss.sum(), e).any()


def test_two_identical_candidates_give_log_2_and_no_gradient() -> None:
    log_prob, reference = draw((3,), 2)
    log_prob.requires_grad_()
    found = spo_loss(log_prob, log_prob, reference, reference, beta=10, eps=0.9)
    assert found.loss.tolist() == [LOG_2] * 3
    assert not formulas.gradient(found.loss.sum(), log_prob).any()


def test_swapping_a_pair_negates_its_margin() -> None:
    e_w, e_l, r_w, r_l, n_w, n_l = draw((3, 4, 4), 6)
    one = diffusion_dpo_loss(e_w, e_l, r_w, r_l, n_w, n_l, scale=5.0)
    other = diffusion_dpo_loss(e_l, e_w, r_l, r_w, n_l, n_w, scale=5.0)
    assert torch.equal(one.win - one.lose, -(other.win - other.lose))
    torch.testing.assert_close(one.factor, 1 - other.factor)
    torch.testing.assert_close(one.correct, 1 - other.correct)


def test_swapping_the_targets_negates_the_margin() -> None:
    e, r, w, l = draw((3, 4, 4), 4)
    one = cpo_loss(e, r, w, l, scale=5.0, stabilized=False)
    other = cpo_loss(e, r, l, w, scale=5.0, stabilized=False)
    torch.testing.assert_close(one.win - one.lose, -(other.win - other.lose))
    torch.testing.assert_close(one.factor, 1 - other.factor)


def test_swapping_the_candidates_negates_the_margin() -> None:
    a, b, reference_a, reference_b = draw((5,), 4)
    one = spo_loss(a, b, reference_a, reference_b, beta=3.0, eps=0.5)
    other = spo_loss(b, a, reference_b, reference_a, beta=3.0, eps=0.5)
    assert torch.equal(one.win, other.lose)
    torch.testing.assert_close(one.factor, 1 - other.factor)
    torch.testing.assert_close(one.correct, 1 - other.correct)


def test_npo_is_dpo_on_swapped_pairs() -> None:
    """Diffusion-NPO's training descends -log sigmoid of the negated margin, and nothing else is new."""
    e_a, e_b, r_a, r_b, a, b = draw((4, 3, 5), 6)
    e_a.requires_grad_()
    e_b.requires_grad_()
    scale_B = torch.full((4,), 3.0, dtype=torch.float64)
    swapped = diffusion_dpo_loss(e_b, e_a, r_b, r_a, b, a, scale=3.0).loss
    preferred = formulas.each(formulas.win_or_lose, e_a, r_a, a)
    rejected = formulas.each(formulas.win_or_lose, e_b, r_b, b)
    expected = formulas.minus_log_sigmoid(scale_B * (preferred - rejected))
    same(swapped, expected)
    for e in (e_a, e_b):
        same(formulas.gradient(swapped.sum(), e), formulas.gradient(expected.sum(), e))


@pytest.mark.parametrize("stabilized", [False, True])
def test_a_scale_for_each_sample_acts_on_that_sample_alone(stabilized: bool) -> None:
    tensors = draw((3, 4, 5), 4)
    scale_B = torch.tensor([0.5, 7.0, 40.0])
    whole = cpo_loss(*tensors, scale=scale_B, stabilized=stabilized)
    for i, scale in enumerate(scale_B.tolist()):
        alone = cpo_loss(*(x[i : i + 1] for x in tensors), scale=scale, stabilized=stabilized)
        for name in names_of(alone):
            torch.testing.assert_close(getattr(alone, name)[0], getattr(whole, name)[i])


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
    e.requires_grad_()
    both = [
        cpo_loss(e, r, w, l, scale=0.5, stabilized=True, margin=margin).loss.sum()
        for margin in ("eq14", "eq12")
    ]
    one, other = (formulas.gradient(total, e).flatten(1) for total in both)
    similarity = torch.cosine_similarity(one, other)
    same(similarity, torch.ones(3, dtype=torch.float64))
    plain = cpo_loss(e, r, w, l, scale=0.5, stabilized=False)
    changed = cpo_loss(e, r, w, l, scale=0.5, stabilized=True, margin="eq12")
    torch.testing.assert_close(changed.loss, plain.loss)
    torch.testing.assert_close(changed.factor, plain.factor)
    torch.testing.assert_close(changed.grad_win, plain.grad_win)
    torch.testing.assert_close(changed.grad_lose, changed.grad_win)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_distance_to_the_loser_is_bounded_from_below(dtype: torch.dtype) -> None:
    r, w = (x.to(dtype) for x in draw((1, 4, 25), 2))
    least = 1e-12 if dtype == torch.float64 else 1e-6 * math.sqrt(100)

    def rho_at(distance: float, norm_eps: float | None = None) -> float:
        """Over the distance to the winner, so that what remains is one over that to the loser."""
        l, e = torch.zeros_like(w), torch.zeros_like(w)
        e[0, 0, 0] = distance
        found = cpo_loss(e, r, w, l, scale=7.0, stabilized=True, norm_eps=norm_eps)
        return (found.rho / norm(e - w)).item()

    assert rho_at(0) == pytest.approx(1 / least, rel=1e-6)
    assert rho_at(least / 2) == pytest.approx(1 / least, rel=1e-6)
    assert rho_at(least * 2) == pytest.approx(1 / (least * 2), rel=1e-6)
    assert rho_at(0.1, norm_eps=0.5) == pytest.approx(2, rel=1e-6)


def test_cosine_tells_whether_theta_went_the_preferred_way() -> None:
    r, w, l = draw((3, 4, 5), 3)
    steps = torch.tensor([0.3, -0.2, 0.0], dtype=torch.float64).view(3, 1, 1)
    found = cpo_loss(r + steps * (w - l), r, w, l, scale=7.0, stabilized=True)
    torch.testing.assert_close(found.cosine, torch.tensor([1.0, -1, 0], dtype=torch.float64))
    assert found.cosine[2] == 0
    assert not cpo_loss(r + 1, r, w, w, scale=7.0, stabilized=True).cosine.any()


def test_cosine_is_exact_for_the_tiny_moves_of_the_first_steps() -> None:
    r, w, l = (x.float() for x in draw((2, 4, 16, 16), 3))
    e = r + 1e-6 * (w - l)
    found = cpo_loss(e, r, w, l, scale=2500, stabilized=True)
    expected = torch.cosine_similarity((w - l).flatten(1), (e - r).flatten(1))
    torch.testing.assert_close(found.cosine, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stabilized", [False, True])
@pytest.mark.parametrize("coincidence", ["none", "e = l", "w = l", "e = w", "e = w = l", "all"])
def test_everything_is_finite_where_tensors_coincide(
    dtype: torch.dtype, stabilized: bool, coincidence: str
) -> None:
    e, r, w, l = (x.to(dtype) for x in draw((2, 4, 16, 16), 4))
    match coincidence:
        case "e = l":
            l = e.clone()
        case "w = l":
            w = l.clone()
        case "e = w":
            w = e.clone()
        case "e = w = l":
            w, l = e.clone(), e.clone()
        case "all":
            r, w, l = e.clone(), e.clone(), e.clone()
    e.requires_grad_()
    found = cpo_loss(e, r, w, l, scale=2500.0, stabilized=stabilized)
    for name in names_of(found):
        assert getattr(found, name).isfinite().all(), name
        assert getattr(found, name).shape == (2,), name
        assert getattr(found, name).requires_grad == (name == "loss"), name
    assert formulas.gradient(found.loss.sum(), e).isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_everything_of_a_pair_is_finite_where_tensors_coincide(dtype: torch.dtype) -> None:
    e, r, n = (x.to(dtype) for x in draw((2, 4, 16, 16), 3))
    for e_l, n_l in ((r, n), (e, n), (n, n), (e, e)):
        found = diffusion_dpo_loss(e, e_l, r, r, n, n_l, scale=2500.0)
        for name in names_of(found):
            assert getattr(found, name).isfinite().all(), name
            assert getattr(found, name).shape == (2,), name


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


def cpo_of(x: list[Tensor]) -> PreferenceLoss:
    return cpo_loss(*x[:4], scale=torch.ones(2), stabilized=False)


def cpo_s_of(x: list[Tensor]) -> PreferenceLoss:
    return cpo_loss(*x[:4], scale=torch.ones(2), stabilized=True)


def cpo_s_eq12_of(x: list[Tensor]) -> PreferenceLoss:
    return cpo_loss(*x[:4], scale=2.0, stabilized=True, margin="eq12")


def dpo_of(x: list[Tensor]) -> PreferenceLoss:
    return diffusion_dpo_loss(*x, scale=torch.ones(2))


def spo_of(x: list[Tensor]) -> StepPreferenceLoss:
    std_B = torch.ones(2, dtype=x[0].dtype)
    log_probs = [gaussian_log_prob(x[4], mean, std_B) for mean in x[:4]]
    return spo_loss(*log_probs, beta=10, eps=0.1)


def sft_of(x: list[Tensor]) -> Tensor:
    return sft_loss(x[0], x[1], torch.ones(2))


@pytest.mark.parametrize(
    "loss", [cpo_of, cpo_s_of, cpo_s_eq12_of, dpo_of, spo_of, sft_of], ids=lambda f: f.__name__
)
def test_a_loss_is_one_graph(loss: Callable[[list[Tensor]], Any]) -> None:
    """With fullgraph a compiler refuses whatever waits for a value: .item(), if, bool(tensor)."""
    tensors = draw((2, 3, 4), 6)
    leaf = tensors[0].requires_grad_()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    outputs = [
        found if isinstance(found, Tensor) else found.loss
        for found in (loss(tensors), compiled(tensors))
    ]
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*(formulas.gradient(x.sum(), leaf) for x in outputs))


def test_guidance_extrapolates_in_float32_or_better() -> None:
    away, toward = (x.bfloat16() for x in draw((3, 4, 5), 2))
    found = guided(away, toward, 2.0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, 2 * toward.float() - away.float())


@pytest.mark.parametrize("side", ["win", "lose"])
def test_spo_passes_no_gradient_beyond_the_clip(side: Literal["win", "lose"]) -> None:
    reference = torch.zeros(2, dtype=torch.float64)
    inside = torch.tensor([0.05, -0.05], dtype=torch.float64).requires_grad_()
    outside = torch.tensor([1000.0, -1000.0], dtype=torch.float64).requires_grad_()
    pair = (outside, inside) if side == "win" else (inside, outside)
    found = spo_loss(*pair, reference, reference, beta=10, eps=0.1)
    assert found.loss.isfinite().all()
    assert found.clipped.tolist() == [0.5, 0.5]
    assert not formulas.gradient(found.loss.sum(), outside).any()
    assert formulas.gradient(found.loss.sum(), inside).all()


def test_spo_tells_how_theta_changed() -> None:
    win, lose = torch.tensor([0.2, -0.1, 0.3]), torch.tensor([0.1, 0.1, 0.3])
    found = spo_loss(win, lose, torch.zeros(3), torch.zeros(3), beta=10, eps=0.25)
    torch.testing.assert_close(found.win, win)
    torch.testing.assert_close(found.lose, lose)
    assert found.correct.tolist() == [1, 0, 0.5]
    torch.testing.assert_close(found.clipped, torch.tensor([0.0, 0, 1]))
    torch.testing.assert_close(found.factor[:2], torch.sigmoid(torch.tensor([-1.0, 2.0])))


def test_densities_pull_the_mean_and_nothing_else() -> None:
    sample, mean, std_B = (x.requires_grad_() for x in (*draw((3, 4), 2), torch.ones(3).double()))
    gaussian_log_prob(sample, mean, std_B).sum().backward()
    assert sample.grad is None and std_B.grad is None
    assert mean.grad is not None
    torch.testing.assert_close(mean.grad, ((sample - mean) / 4).detach())


def test_spo_pulls_theta_and_never_the_reference() -> None:
    log_probs = [x.requires_grad_() for x in draw((3,), 4)]
    spo_loss(*log_probs, beta=10, eps=0.99).loss.sum().backward()
    assert [x.grad is None for x in log_probs] == [False, False, True, True]


@pytest.mark.parametrize("eps", [0.0, 1.0, -0.1])
def test_spo_refuses_a_clip_that_makes_no_sense(eps: float) -> None:
    with pytest.raises(ValueError, match="eps must lie between 0 and 1"):
        spo_loss(*draw((3,), 4), beta=10, eps=eps)


def test_shapes_that_would_broadcast_are_refused() -> None:
    e, r, w = draw((3, 4, 5), 3)
    with pytest.raises(ValueError, match=r"loser has shape \(1, 4, 5\)"):
        cpo_loss(e, r, w, e[:1], scale=1.0, stabilized=False)
    with pytest.raises(ValueError, match="batch"):
        sft_loss(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ValueError, match=r"loser_log_prob has shape \(1,\)"):
        spo_loss(e[:, 0, 0], e[:1, 0, 0], r[:, 0, 0], r[:, 0, 0], beta=10, eps=0.1)


@pytest.mark.parametrize("shape", [(), (1,), (2,), (3, 1)])
def test_weights_that_are_not_one_for_each_sample_are_refused(shape: tuple[int, ...]) -> None:
    e, r, w, l = draw((3, 4, 5), 4)
    weights = torch.ones(shape)
    with pytest.raises(ValueError, match=r"scale has shape .* one value per sample, shape \(3,\)"):
        cpo_loss(e, r, w, l, scale=weights, stabilized=False)
    with pytest.raises(ValueError, match="weight_B has shape"):
        sft_loss(e, w, weights)
    with pytest.raises(ValueError, match="std_B has shape"):
        gaussian_log_prob(e, w, weights)


def names_of(found: PreferenceLoss) -> list[str]:
    return [field.name for field in dataclasses.fields(found)]
