"""The eighteen invariants of the method (decisions.md, "The mathematics, with testable invariants").

Letters as there: K of the sum form is `scale / D` here, because the losses take means over D elements.
"""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn

from method.training.config import Config
from tests.worker.training import formulas
from worker.training.losses import cpo_loss, guided
from worker.training.run import run

LOG_2 = math.log(2)
SCALE = 7.0
SHAPE = (3, 4, 5)
D = 20
K = SCALE / D

both = pytest.mark.parametrize("stabilized", [False, True])


def draw(shape: tuple[int, ...], count: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)]


def gradient(
    e: Tensor,
    r: Tensor,
    w: Tensor,
    l: Tensor,
    *,
    stabilized: bool,
    scale: float | Tensor = SCALE,
) -> Tensor:
    """The gradient of the summed loss in the prediction."""
    e = e.detach().clone().requires_grad_()
    return formulas.gradient(cpo_loss(e, r, w, l, scale=scale, stabilized=stabilized).loss.sum(), e)


def factor(e: Tensor, r: Tensor, w: Tensor, l: Tensor, *, stabilized: bool) -> Tensor:
    """sigmoid(K s), to be multiplied with tensors of SHAPE."""
    found = cpo_loss(e, r, w, l, scale=SCALE, stabilized=stabilized)
    return found.factor.view(-1, 1, 1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def norm(x: Tensor) -> Tensor:
    return dot(x, x).sqrt()


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_invariant_01_start(dtype: torch.dtype) -> None:
    """At e = r both losses are log 2 exactly, the sigmoid is 1/2, and CPO's gradient K (l - w)."""
    e, w, l = (x.to(dtype) for x in draw(SHAPE, 3))
    for stabilized in (False, True):
        found = cpo_loss(e, e, w, l, scale=SCALE, stabilized=stabilized)
        assert found.loss.tolist() == [torch.tensor(2.0, dtype=found.loss.dtype).log().item()] * 3
        assert found.factor.tolist() == [0.5] * 3
    expected = (K * (l.double() - w.double())).to(dtype)
    torch.testing.assert_close(gradient(e, e, w, l, stabilized=False), expected)


def test_invariant_02_cpo_direction() -> None:
    """CPO's gradient is 2 K sigmoid(K s) (l - w) at every e."""
    r, w, l = draw(SHAPE, 3)
    for e in draw(SHAPE, 20, seed=1):
        expected = 2 * K * factor(e, r, w, l, stabilized=False) * (l - w)
        same(gradient(e, r, w, l, stabilized=False), expected)


def test_invariant_03_stabilised_parts_have_equal_norm() -> None:
    """The loser's part runs along -(e - l) and is as long as the winner's."""
    e, r, w, l = draw(SHAPE, 4)
    found = cpo_loss(e, r, w, l, scale=SCALE, stabilized=True)
    whole = gradient(e, r, w, l, stabilized=True)
    winner_part = 2 * K * factor(e, r, w, l, stabilized=True) * (e - w)
    loser_part = whole - winner_part
    length = 2 * K * found.factor * norm(e - w)
    for found_length in (norm(winner_part), norm(loser_part), found.grad_win, found.grad_lose):
        same(found_length, length)
    same(dot(loser_part, -(e - l)), norm(loser_part) * norm(e - l))
    phi = torch.acos(dot(e - w, e - l) / norm(e - w) / norm(e - l))
    same(norm(whole), 2 * length * (phi / 2).sin())
    assert (norm(whole) <= 2 * length).all()


def test_invariant_04_equal_distances_give_one_direction() -> None:
    """At rho = 1 both losses point the same way."""
    e, r, w, l = draw(SHAPE, 4)
    l = e + (l - e) * (norm(e - w) / norm(e - l)).view(3, 1, 1)
    a, b = (gradient(e, r, w, l, stabilized=stabilized) for stabilized in (False, True))
    same(cpo_loss(e, r, w, l, scale=SCALE, stabilized=True).rho, torch.ones(3).double())
    same(dot(a, b), norm(a) * norm(b))


def test_invariant_05_monotone_guarantee() -> None:
    """To first order a stabilised step never leaves the winner nor nears the loser; CPO's may."""
    e, r, w, l = draw((200, 2, 3), 4, seed=5)
    found = cpo_loss(e, r, w, l, scale=3.0, stabilized=True)
    whole = gradient(e, r, w, l, scale=3.0, stabilized=True)
    d_w, d_l = norm(e - w), norm(e - l)
    cosine = dot(e - w, e - l) / d_w / d_l
    along = 2 * 3.0 / 6 * found.factor * d_w * (1 - cosine)
    same(dot(whole, e - w), along * d_w)
    same(dot(whole, e - l), -along * d_l)
    assert (along >= 0).all()
    plain = gradient(e, r, w, l, scale=3.0, stabilized=False)
    assert (dot(plain, e - w) < 0).any()
    assert (dot(plain, e - l) > 0).any()


def test_invariant_06_at_the_winner() -> None:
    """At e = w the stabilised gradient is zero and CPO's is not."""
    r, w, l = draw(SHAPE, 3)
    assert not gradient(w, r, w, l, stabilized=True).any()
    assert gradient(w, r, w, l, stabilized=False).flatten(1).any(1).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_invariant_07_at_the_loser(dtype: torch.dtype) -> None:
    """At e = l the formula is NaN; bounded, the gradient is the winner's part alone."""
    r, w, l = (x.to(dtype) for x in draw(SHAPE, 3))
    naive = l.double().requires_grad_()
    ones = torch.ones(3, dtype=torch.float64)
    loss = formulas.cpo_s(naive, r.double(), w.double(), l.double(), ones)
    assert loss.isnan().all(), "the formula has become harmless, so this test shows nothing"
    found = cpo_loss(l, r, w, l, scale=SCALE, stabilized=True)
    assert found.loss.isfinite().all()
    expected = 2 * K * found.factor.view(3, 1, 1) * (l.double() - w.double())
    torch.testing.assert_close(gradient(l, r, w, l, stabilized=True), expected.to(dtype))
    assert found.grad_win.all() and not found.grad_lose.any()


@pytest.mark.parametrize("distance", [1e-13, 1e-9, 1e-3])
def test_invariant_07_near_the_loser(distance: float) -> None:
    """The bound shortens the loser's part and never lengthens it, however near e comes."""
    direction, r, w, l = draw(SHAPE, 4)
    e = l + distance * direction / norm(direction).view(3, 1, 1)
    whole = gradient(e, r, w, l, stabilized=True)
    winner_part = 2 * K * factor(e, r, w, l, stabilized=True) * (e - w)
    assert (norm(whole - winner_part) <= norm(winner_part) * (1 + 1e-9)).all()


def test_invariant_08_equal_targets() -> None:
    """At w = l CPO is log 2 without gradient; so is the stabilised gradient, not its value."""
    e, r, w = draw(SHAPE, 3)
    assert cpo_loss(e, r, w, w, scale=SCALE, stabilized=False).loss.tolist() == [LOG_2] * 3
    assert not gradient(e, r, w, w, stabilized=False).any()
    assert not gradient(e, r, w, w, stabilized=True).any()
    value = cpo_loss(e, r, w, w, scale=SCALE, stabilized=True).loss
    assert ((value - LOG_2).abs() > 0.01).all()


@pytest.mark.parametrize(("a", "is_zero"), [(1.5, True), (-0.5, True), (0.4, False)])
def test_invariant_09_on_the_line_through_the_targets(a: float, is_zero: bool) -> None:
    """Outside the segment from l to w the stabilised gradient is zero; inside, 4 K sigmoid d_w."""
    r, w, l = draw(SHAPE, 3)
    e = l + a * (w - l)
    found = cpo_loss(e, r, w, l, scale=SCALE, stabilized=True)
    expected = torch.zeros(3).double() if is_zero else 4 * K * found.factor * norm(e - w)
    same(norm(gradient(e, r, w, l, stabilized=True)), expected)


def test_invariant_10_no_gradient_flows_through_the_surrogate_target() -> None:
    """Stop-gradient matters: without it the formula's gradient is another one."""
    e, r, w, l = draw(SHAPE, 4)
    found = cpo_loss(e, r, w, l, scale=SCALE, stabilized=True)
    rho = found.rho.view(3, 1, 1)
    closed_form = 2 * K * found.factor.view(3, 1, 1) * ((e - w) - rho * (e - l))
    ours = gradient(e, r, w, l, stabilized=True)
    same(ours, closed_form)
    leaf = e.clone().requires_grad_()
    flowing = torch.stack(
        [
            formulas.cpo_s_argument(*sample, stop_gradient=False)
            for sample in zip(leaf, r, w, l, strict=True)
        ]
    )
    other = formulas.gradient(formulas.minus_log_sigmoid(-SCALE * flowing).sum(), leaf)
    assert (norm(other - ours) > 0.05 * norm(ours)).all()


@both
def test_invariant_10_targets_and_reference_get_no_gradient(stabilized: bool) -> None:
    e, r, w, l = (x.requires_grad_() for x in draw(SHAPE, 4))
    cpo_loss(e, r, w, l, scale=SCALE, stabilized=stabilized).loss.sum().backward()
    assert e.grad is not None
    assert r.grad is None and w.grad is None and l.grad is None


@both
def test_invariant_11_translation_and_scaling(stabilized: bool) -> None:
    """One shift of all four changes nothing; scaling by a with K / a^2 divides the gradient by a."""
    e, r, w, l = draw(SHAPE, 4)
    (shift,) = draw(SHAPE, 1, seed=9)
    before = gradient(e, r, w, l, stabilized=stabilized)
    same(gradient(e + shift, r + shift, w + shift, l + shift, stabilized=stabilized), before)
    scaled = gradient(3 * e, 3 * r, 3 * w, 3 * l, scale=SCALE / 9, stabilized=stabilized)
    same(scaled, before / 3)


@both
def test_invariant_12_samples_do_not_see_each_other(stabilized: bool) -> None:
    """Permuting, cutting or enlarging the batch leaves each sample's gradient as it was."""
    tensors = draw((5, 4, 5), 4)
    scale_B = torch.tensor([1.0, 3, 0.1, 7, 20])
    whole = gradient(*tensors, scale=scale_B, stabilized=stabilized)
    for order in ([3, 0, 4], [4, 3, 2, 1, 0], [2], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]):
        part = gradient(*(x[order] for x in tensors), scale=scale_B[order], stabilized=stabilized)
        same(part, whole[order])


@both
def test_invariant_13_mean_with_k_is_sum_with_k_over_d(stabilized: bool) -> None:
    tensors = draw(SHAPE, 4)
    argument = formulas.cpo_s_argument if stabilized else formulas.cpo_argument
    sums = D * formulas.each(argument, *tensors)
    found = cpo_loss(*tensors, scale=SCALE, stabilized=stabilized)
    same(found.loss, formulas.minus_log_sigmoid(-SCALE / D * sums))
    # So a picture tiled three times has the loss of the picture.
    tiled = [torch.cat([x, x, x], dim=2) for x in tensors]
    same(cpo_loss(*tiled, scale=SCALE, stabilized=stabilized).loss, found.loss)


def test_invariant_14_saturation() -> None:
    """Far out the loss is exact, its gradient dies like e^(K s) or tends to 2 K ||w - l||."""
    e, r, w, l = draw((1, 6), 4)
    found = cpo_loss(e, r, w, l, scale=1.0, stabilized=False)
    s = (found.win - found.lose).item()

    def at(argument: float) -> tuple[float, float, float]:
        """The loss, the gradient's length and K, where K s = argument."""
        if argument * s < 0:
            pair, scale = (l, w), -argument / s
        else:
            pair, scale = (w, l), argument / s
        loss = cpo_loss(e, r, *pair, scale=scale, stabilized=False).loss.item()
        length = norm(gradient(e, r, *pair, scale=scale, stabilized=False)).item()
        return loss, length, scale / 6

    most = 2 * norm(w - l).item()
    assert at(1000)[0] == pytest.approx(1000, abs=1e-9)
    assert at(25)[0] == pytest.approx(25 + math.log1p(math.exp(-25)), abs=1e-12)
    assert at(-25)[0] == pytest.approx(math.log1p(math.exp(-25)), rel=1e-9)
    assert at(-1000)[0] == 0
    _, length, k = at(40)
    assert length == pytest.approx(k * most, rel=1e-12)
    for argument in (-20, -30, -40):
        _, length, k = at(argument)
        assert length == pytest.approx(k * most * math.exp(argument), rel=1e-6)


@both
def test_invariant_15_flow_matching(stabilized: bool) -> None:
    """Errors of v, noise and image differ by a factor of sigma, and a weight makes them one loss."""
    x0, noise = draw(SHAPE, 2)
    sigma_B = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    sigma = sigma_B.view(3, 1, 1)
    x_t = (1 - sigma) * x0 + sigma * noise
    v = noise - x0

    def noise_of(velocity: Tensor) -> Tensor:
        return x_t + (1 - sigma) * velocity

    def image_of(velocity: Tensor) -> Tensor:
        return x_t - sigma * velocity

    same(noise_of(v), noise)
    same(image_of(v), x0)
    e, r, w, l = draw(SHAPE, 4, seed=1)
    v_errors = formulas.sft(e, v)
    same(formulas.sft(noise_of(e), noise), (1 - sigma_B) ** 2 * v_errors)
    same(formulas.sft(image_of(e), x0), sigma_B**2 * v_errors)

    e.requires_grad_()
    in_v = cpo_loss(e, r, w, l, scale=SCALE, stabilized=stabilized).loss
    in_noise, in_image = (
        cpo_loss(*map(convert, (e, r, w, l)), scale=SCALE / share, stabilized=stabilized).loss
        for convert, share in ((noise_of, (1 - sigma_B) ** 2), (image_of, sigma_B**2))
    )
    for other in (in_noise, in_image):
        same(other, in_v)
        same(formulas.gradient(other.sum(), e), formulas.gradient(in_v.sum(), e))


def test_invariant_16_equal_guidance() -> None:
    """w - l = (1 - omega)(neg - null) + omega (pos - all); at omega = 1, pos - all alone."""
    positive, negative, everything, null = draw(SHAPE, 4)
    for omega in (1.0, 1.5, 2.0, 5.0):
        difference = guided(negative, positive, omega) - guided(null, everything, omega)
        expected = (1 - omega) * (negative - null) + omega * (positive - everything)
        same(difference, expected)
    unused = torch.full(SHAPE, math.nan, dtype=torch.float64)
    alone = guided(unused, positive, 1.0) - guided(unused, everything, 1.0)
    assert torch.equal(alone, positive - everything)


@pytest.mark.bits
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_invariant_17_guidance_one_is_the_target_bit_for_bit(dtype: torch.dtype) -> None:
    (toward,) = (x.to(dtype) for x in draw(SHAPE, 1))
    away = torch.full_like(toward, math.nan)
    assert guided(away, toward, 1.0) is toward


def test_invariant_18_expert_and_reference_stay_as_they_were(
    cpo: Config, expert: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After N steps neither has a gradient, and their bytes are those of their files."""
    networks: dict[int, nn.Module] = {}
    forward = UNet2DConditionModel.forward

    def watched(network: nn.Module, *args: Any, **kwargs: Any) -> Any:
        networks[id(network)] = network
        return forward(network, *args, **kwargs)

    monkeypatch.setattr(UNet2DConditionModel, "forward", watched)
    files = {path: path.read_bytes() for path in files_in(expert, tiny_model)}
    run(cpo)
    assert {path: path.read_bytes() for path in files_in(expert, tiny_model)} == files

    # With a core left the expert is asked by modules of its own, around the same weights.
    (weights, *others) = (dict(network.named_parameters()) for network in networks.values())
    for other in others:
        assert {name: id(x) for name, x in other.items()} == {n: id(x) for n, x in weights.items()}
    frozen = {name: x for name, x in weights.items() if ".theta." not in name}
    assert [name for name, x in frozen.items() if x.grad is not None] == []
    base = load_file(tiny_model / "unet/diffusion_pytorch_model.safetensors")
    taught = load_file(expert / "adapter/pytorch_lora_weights.safetensors")
    original = base | {name.removeprefix("unet."): x for name, x in taught.items()}
    now = {name.replace(".base_layer", "").replace(".expert", ""): x for name, x in frozen.items()}
    assert now.keys() == original.keys()
    assert [name for name, x in now.items() if not torch.equal(x, original[name])] == []
    # And theta did learn, so that staying is no merit of a loop that does nothing.
    learned = [x for name, x in weights.items() if ".theta." in name and "lora_B" in name]
    assert learned and all(x.any() for x in learned)


def files_in(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
