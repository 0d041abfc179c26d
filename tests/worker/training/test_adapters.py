"""Roles on one network, and that prompts are never cut."""

from pathlib import Path

import pytest
import torch

from worker.training.adapters import Roles, adapter_weights, attach_expert, attach_theta
from worker.training.backbones import Text
from worker.training.backbones.sdxl import SDXL, load_sdxl
from worker.training.batches import Encodings
from worker.training.config import Lora, Model


@pytest.fixture
def backbone(tiny_model: Path) -> SDXL:
    return load_sdxl(Model(path=str(tiny_model)), torch.device("cpu"), torch.float32)


@pytest.fixture
def roles(backbone: SDXL, expert: Path) -> Roles:
    attach_theta(backbone.network, Lora(rank=4, targets=("to_q",)), 0)
    attach_expert(backbone.network, *backbone.load_adapter(expert))
    return Roles(backbone.network)


def predict(backbone: SDXL, prompts: list[str]) -> torch.Tensor:
    count = len(prompts)
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(1, 4, 16, 16, generator=generator).expand(count, 4, 16, 16)
    sizes = torch.tensor([[64.0, 64, 0, 0, 64, 64]]).expand(count, 6)
    text = Encodings(backbone, 64, None).text(prompts)
    return backbone.predict(noisy, torch.full((count,), 500), text, sizes)


def test_each_role_predicts_as_a_model_of_its_own(
    backbone: SDXL, roles: Roles, tiny_model: Path, expert: Path
) -> None:
    alone = load_sdxl(Model(path=str(tiny_model)), torch.device("cpu"), torch.float32)
    base = predict(alone, ["a house"])
    attach_expert(alone.network, *alone.load_adapter(expert))
    with torch.no_grad():
        expected = {"reference": base, "expert": predict(alone, ["a house"])}
    for parameter in roles.theta.values():
        torch.nn.init.normal_(parameter, std=0.2)
    theta = predict(backbone, ["a house"])
    for role, prediction in expected.items():
        with roles.frozen(role):  # type: ignore[arg-type]  # the keys are roles
            assert torch.equal(predict(backbone, ["a house"]), prediction)
    assert torch.equal(predict(backbone, ["a house"]), theta)
    assert not torch.allclose(theta, base)
    assert not torch.allclose(expected["expert"], base)


def test_a_fresh_theta_is_the_base_bit_for_bit(backbone: SDXL, roles: Roles) -> None:
    with roles.frozen("reference"):
        reference = predict(backbone, ["a house"])
    assert torch.equal(predict(backbone, ["a house"]), reference)


def test_one_batch_of_conditions_equals_one_by_one(backbone: SDXL, roles: Roles) -> None:
    prompts = ["a house", "a house, rich color", "dull color", ""]
    with roles.frozen("expert"):
        together = predict(backbone, prompts)
        apart = torch.cat([predict(backbone, [prompt]) for prompt in prompts])
    torch.testing.assert_close(together, apart)


def test_only_theta_learns(backbone: SDXL, roles: Roles) -> None:
    before = {n: w.clone() for n, w in adapter_weights(backbone.network, "expert").items()}
    with roles.frozen("expert"):
        predict(backbone, ["a house"])
    roles.check_ready()
    predict(backbone, ["a house"]).square().mean().backward()
    assert all(p.grad is not None for p in roles.theta.values())
    assert any(p.grad.any() for p in roles.theta.values() if p.grad is not None)
    assert all(p.grad is None for p in roles.others.values())
    for name, weight in adapter_weights(backbone.network, "expert").items():
        assert torch.equal(weight, before[name])


def test_a_wrong_order_of_roles_is_caught(roles: Roles) -> None:
    with roles.frozen("expert"), pytest.raises(AssertionError, match="theta is not active"):
        roles.check_ready()
    with roles.frozen("reference"), pytest.raises(AssertionError, match="theta is not active"):
        roles.check_ready()
    roles.check_ready()
    next(iter(roles.others.values())).requires_grad_(True)
    with pytest.raises(AssertionError, match="not exactly theta"):
        roles.check_ready()


def test_theta_starts_from_the_seed_alone(tiny_model: Path) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        fresh = load_sdxl(Model(path=str(tiny_model)), torch.device("cpu"), torch.float32)
        attach_theta(fresh.network, Lora(rank=4), seed)
        return adapter_weights(fresh.network, "theta")

    torch.manual_seed(5)
    one = weights(1)
    torch.manual_seed(6)
    again, other = weights(1), weights(2)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_short_prompts_encode_as_diffusers_encodes_them(backbone: SDXL) -> None:
    prompts = ["a house by the sea, rich color", ""]
    found = Encodings(backbone, 64, None).text(prompts)
    hidden, _, pooled, _ = backbone.pipeline.encode_prompt(
        prompts, do_classifier_free_guidance=False
    )
    torch.testing.assert_close(found.hidden_BND, hidden)
    torch.testing.assert_close(found.pooled_BD, pooled)


def test_what_stands_beyond_the_first_window_still_counts(backbone: SDXL) -> None:
    encodings = Encodings(backbone, 64, None)
    long = "a house" + ", visible brushwork" * 40
    assert len(encodings.split(long)) > 1
    assert encodings.split(long) != encodings.split(long + ", dull color")
    text = encodings.text([long, long + ", dull color", "a house"])
    assert isinstance(text, Text)
    assert text.hidden_BND.shape[1] % 77 == 0
    assert not torch.equal(text.hidden_BND[0], text.hidden_BND[1])
    empty = encodings.text([""]).hidden_BND[0]
    assert torch.equal(text.hidden_BND[2, 77:154], empty)
