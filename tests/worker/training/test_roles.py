"""Roles on one network, and that prompts are never cut."""

from pathlib import Path
from typing import Any

import pytest
import torch

from method.training.config import Flow, Lora, Model
from worker.training.adapters import (
    adapter_weights,
    attach_adapter,
    attach_theta,
    merged_copy,
)
from worker.training.backbones import Backbone, Text
from worker.training.backbones.loading import load_backbone
from worker.training.encodings import Encodings
from worker.training.roles import Inputs, Player, Role, Roles


def load(tiny_model: Path) -> Backbone:
    return load_backbone(Model(path=str(tiny_model)), Flow(), torch.device("cpu"), torch.float32)


@pytest.fixture
def backbone(tiny_model: Path) -> Backbone:
    return load(tiny_model)


@pytest.fixture
def roles(backbone: Backbone, expert: Path) -> Roles:
    network = backbone.network
    attach_theta(network, Lora(rank=4, targets=("to_q",)), (), 0)
    attach_adapter(network, "expert", *backbone.load_adapter(expert), "expert")
    return Roles(
        backbone,
        {
            "theta": Player(network, ("theta",)),
            "expert": Player(network, ("expert",)),
            "reference": Player(network),
        },
    )


def inputs(backbone: Backbone, prompts: list[str]) -> Inputs:
    count = len(prompts)
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(1, 4, 16, 16, generator=generator).expand(count, 4, 16, 16)
    sizes = torch.tensor([[64.0, 64, 0, 0, 64, 64]]).expand(count, 6)
    text = Encodings(backbone, None, null_is_zeros=False).text(prompts)
    return Inputs(noisy, torch.full((count,), 500), text, sizes)


def predict(backbone: Backbone, prompts: list[str]) -> torch.Tensor:
    given = inputs(backbone, prompts)
    return backbone.predict(
        backbone.network, given.noisy_BCHW, given.t_B, given.text, given.size_ids_B6
    )


def test_each_role_predicts_as_a_model_of_its_own(
    backbone: Backbone, roles: Roles, tiny_model: Path, expert: Path
) -> None:
    alone = load(tiny_model)
    base = predict(alone, ["a house"])
    attach_adapter(alone.network, "expert", *alone.load_adapter(expert), "expert")
    with torch.no_grad():
        expected: dict[Role, torch.Tensor] = {
            "reference": base,
            "expert": predict(alone, ["a house"]),
        }
    for parameter in roles.theta.values():
        torch.nn.init.normal_(parameter, std=0.2)
    theta = predict(backbone, ["a house"])
    given = inputs(backbone, ["a house"])
    for role, prediction in expected.items():
        # What is learned from is computed in another order than what is looked at.
        torch.testing.assert_close(roles.predict(role, given), prediction)
        assert not roles.predict(role, given).requires_grad
        with roles.frozen(role):
            assert torch.equal(predict(backbone, ["a house"]), prediction)
    assert torch.equal(roles.predict("theta", given), theta)
    assert not torch.allclose(theta, base)
    assert not torch.allclose(expected["expert"], base)


def test_a_merged_copy_predicts_as_the_adapter_does(backbone: Backbone, roles: Roles) -> None:
    given = inputs(backbone, ["a house"])
    expected = {role: roles.predict(role, given) for role in ("expert", "reference")}
    for name, role in (("expert", "expert"), (None, "reference")):
        copied = merged_copy(backbone.network, name)  # type: ignore[arg-type]  # they are names
        assert not [n for n, _ in copied.named_parameters() if "lora" in n or "base_layer" in n]
        with torch.no_grad():
            found = backbone.predict(
                copied, given.noisy_BCHW, given.t_B, given.text, given.size_ids_B6
            )
        torch.testing.assert_close(found, expected[role])
        roles.check_ready()


@pytest.mark.bits
def test_a_whole_network_learns_while_the_base_plays_the_others(
    backbone: Backbone, expert: Path
) -> None:
    attach_adapter(backbone.network, "expert", *backbone.load_adapter(expert), "expert")
    theta = merged_copy(backbone.network, None)
    roles = Roles(
        backbone,
        {
            "theta": Player(theta),
            "expert": Player(backbone.network, ("expert",)),
            "reference": Player(backbone.network),
        },
    )
    given = inputs(backbone, ["a house"])
    assert torch.equal(roles.predict("theta", given), roles.predict("reference", given))
    roles.check_ready()
    roles.predict("theta", given).square().mean().backward()
    assert all(p.grad is not None for p in roles.theta.values())
    assert len(roles.theta) == len(list(theta.parameters()))
    assert all(p.grad is None for p in roles.others.values())


@pytest.mark.bits
def test_a_fresh_theta_is_the_base_bit_for_bit(backbone: Backbone, roles: Roles) -> None:
    with roles.frozen("reference"):
        reference = predict(backbone, ["a house"])
    assert torch.equal(predict(backbone, ["a house"]), reference)


def test_one_batch_of_conditions_equals_one_by_one(backbone: Backbone, roles: Roles) -> None:
    prompts = ["a house", "a house, rich color", "dull color", ""]
    with roles.frozen("expert"):
        together = predict(backbone, prompts)
        apart = torch.cat([predict(backbone, [prompt]) for prompt in prompts])
    torch.testing.assert_close(together, apart)


def test_only_theta_learns(backbone: Backbone, roles: Roles) -> None:
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
        fresh = load(tiny_model)
        attach_theta(fresh.network, Lora(rank=4), fresh.lora_targets, seed)
        return adapter_weights(fresh.network, "theta")

    torch.manual_seed(5)
    one = weights(1)
    torch.manual_seed(6)
    again, other = weights(1), weights(2)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_short_prompts_encode_as_diffusers_encodes_them(backbone: Backbone) -> None:
    prompts = ["a house by the sea, rich color", ""]
    found = Encodings(backbone, None, null_is_zeros=False).text(prompts)
    pipeline: Any = backbone.pipeline  # type: ignore[attr-defined]  # no part of the interface
    hidden, _, pooled, _ = pipeline.encode_prompt(prompts, do_classifier_free_guidance=False)
    torch.testing.assert_close(found.hidden_BND, hidden)
    torch.testing.assert_close(found.pooled_BD, pooled)


def test_what_stands_beyond_the_first_window_still_counts(backbone: Backbone) -> None:
    encodings = Encodings(backbone, None, null_is_zeros=False)
    long = "a house" + ", visible brushwork" * 40
    assert len(encodings.split(long)) > 1
    assert encodings.split(long) != encodings.split(long + ", dull color")
    text = encodings.text([long, long + ", dull color", "a house"])
    assert isinstance(text, Text)
    assert text.hidden_BND.shape[1] % 77 == 0
    assert not torch.equal(text.hidden_BND[0], text.hidden_BND[1])
    empty = encodings.text([""]).hidden_BND[0]
    assert torch.equal(text.hidden_BND[2, 77:154], empty)


def test_the_empty_condition_may_be_zeros(backbone: Backbone) -> None:
    text = Encodings(backbone, None, null_is_zeros=True).text(["a house", ""])
    assert not text.hidden_BND[1].any() and not text.pooled_BD[1].any()
    assert text.hidden_BND[0].any() and text.pooled_BD[0].any()
