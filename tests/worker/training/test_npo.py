"""Guidance against a negative model: what it computes, and runs that sample with it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor, nn

from method.training.config import Config, Data, Flow, Lora, Model, Objective, Samples, Theta
from method.training.failures import InvalidConfig, Stopped
from tests.worker.training.conftest import quick
from tests.worker.training.pair_datasets import write_pair_dataset
from worker.training.adapters import (
    adapter_metadata,
    adapter_weights,
    attach_adapter,
    attach_theta,
    merged_copy,
    tuner_layers,
)
from worker.training.backbones import Backbone
from worker.training.backbones.loading import load_backbone
from worker.training.backbones.weights import base_weights
from worker.training.encodings import Encodings
from worker.training.guidance import against_negative
from worker.training.metrics import read_lines
from worker.training.models import Models, load_models
from worker.training.roles import Inputs, Player, Role, Roles
from worker.training.run import run
from worker.training.tiny_model import Kind, make_tiny_model

CPU = torch.device("cpu")
Loaded = Callable[..., Models]


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair_dataset(tmp_path_factory.mktemp("pairs") / "pairs")


@pytest.fixture(scope="session")
def npo_run(tiny_model: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a finished npo run of rank 3."""
    folder = tmp_path_factory.mktemp("npo") / "run"
    run(quick(replace(config(folder, tiny_model, pairs, "npo"), lora=Lora(rank=3)), 3))
    return folder


def config(folder: Path, model: Path, pairs: Path, kind: str = "dpo", **more: Any) -> Config:
    options: dict[str, Any] = {
        "run_folder": str(folder),
        "pairs_folder": str(pairs),
        "model": Model(path=str(model)),
        "objective": Objective(kind=kind),
        "data": Data(resolution=64),
        "lora": Lora(rank=4),
        "device": "cpu",
        "threads": 1,
    }
    return Config(**options | more)


@pytest.fixture
def loaded(tiny_model: Path, pairs: Path, npo_run: Path, tmp_path: Path) -> Loaded:
    """Models of a dpo run with a negative, theta and negative both far from the base."""

    def load(mode: str = "lora") -> Models:
        samples = Samples(negative=str(npo_run))
        made = config(
            tmp_path / "run",
            tiny_model,
            pairs,
            samples=samples,
            theta=Theta(mode=mode),  # type: ignore[arg-type]
        )
        models = load_models(made, CPU)
        generator = torch.Generator().manual_seed(0)
        change(models.roles.theta, generator)
        change(negative_of(models.roles), generator)
        return models

    return load


def negative_of(roles: Roles) -> dict[str, nn.Parameter]:
    return {name: p for name, p in roles.others.items() if ".negative." in name}


@torch.no_grad()
def change(parameters: dict[str, nn.Parameter], generator: torch.Generator) -> None:
    assert parameters
    for parameter in parameters.values():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def given(backbone: Backbone, *prompts: str) -> Inputs:
    count = len(prompts)
    noisy = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    text = Encodings(backbone, None, null_is_zeros=False).text(prompts)
    sizes = torch.tensor([[64.0, 64, 0, 0, 64, 64]]).expand(count, 6)
    return Inputs(noisy.expand(count, 4, 16, 16), torch.full((count,), 500.0), text, sizes)


@torch.no_grad()
def predict(backbone: Backbone, network: nn.Module, inputs: Inputs) -> Tensor:
    return backbone.predict(network, inputs.noisy_BCHW, inputs.t_B, inputs.text, inputs.size_ids_B6)


def predict_sides(models: Models, role: Role, merge: float) -> tuple[Tensor, Tensor]:
    """What the unconditional and the conditional side predict, for the empty prompt and for another."""
    inputs = given(models.backbone, "", "a house")
    with against_negative(models.roles, role, merge) as network:
        unconditional, conditional = predict(models.backbone, network, inputs).chunk(2)
    return unconditional, conditional


def predict_with(models: Models, weights: dict[str, Tensor], prompt: str) -> Tensor:
    """What a plain network of these weights predicts."""
    network = merged_copy(models.backbone.network, None)
    network.load_state_dict(weights)
    return predict(models.backbone, network, given(models.backbone, prompt))


def weights_of(models: Models) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Base, theta and base + negative as whole networks."""
    base, roles = models.backbone.network, models.roles
    theta = merged_copy(roles.theta_network, "theta" if roles.is_adapter else None)
    return base_weights(base), theta.state_dict(), merged_copy(base, "negative").state_dict()


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_the_negative_side_is_what_arithmetic_on_weights_gives(loaded: Loaded, mode: str) -> None:
    models = loaded(mode)
    base, theta, npo = weights_of(models)
    toward = predict_with(models, theta, "a house")
    others = [predict_with(models, weights, "") for weights in (theta, base, npo)]
    for merge in (0.0, 0.25, 1.0):
        expected = {name: npo[name] + (1 - merge) * (theta[name] - base[name]) for name in base}
        away = predict_with(models, expected, "")
        unconditional, conditional = predict_sides(models, "theta", merge)
        torch.testing.assert_close(unconditional, away, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(conditional, toward, rtol=1e-4, atol=1e-5)
        # With merge 1 nothing of theta is left in it, and it is the negative alone.
        for other in others[: 2 if merge == 1 else 3]:
            assert (away - other).abs().max() > 1e-3


def test_under_the_reference_the_negative_side_is_base_and_negative_alone(loaded: Loaded) -> None:
    models = loaded()
    base, _, npo = weights_of(models)
    unconditional, conditional = predict_sides(models, "reference", 0.0)
    torch.testing.assert_close(unconditional, predict_with(models, npo, ""), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        conditional, predict_with(models, base, "a house"), rtol=1e-4, atol=1e-5
    )


def test_a_negative_of_zeros_gives_plain_guidance(loaded: Loaded) -> None:
    """Exactly: with merge 0 both sides are theta's; with merge 1 the unconditional one is the base's."""
    models = loaded()
    with torch.no_grad():
        for parameter in negative_of(models.roles).values():
            parameter.zero_()
    roles, inputs = models.roles, [given(models.backbone, prompt) for prompt in ("", "a house")]
    of_theta = [roles.predict("theta", each).detach() for each in inputs]
    of_base = [roles.predict("reference", each) for each in inputs]
    for role, merge, expected in (
        ("theta", 0.0, of_theta),
        ("theta", 1.0, [of_base[0], of_theta[1]]),
        ("reference", 0.5, of_base),
    ):
        found = predict_sides(models, role, merge)  # type: ignore[arg-type]
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])
    assert not torch.equal(of_theta[0], of_base[0])


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_afterwards_everything_is_as_before(loaded: Loaded, mode: str) -> None:
    models = loaded(mode)
    roles, inputs = models.roles, given(models.backbone, "a house")
    both: tuple[Role, ...] = ("theta", "reference")
    before = {role: roles.predict(role, inputs).detach() for role in both}
    weights = {name: p.detach().clone() for name, p in {**roles.theta, **roles.others}.items()}
    # A third is no number of the machine: divided out again it would not give the same scaling.
    predict_sides(models, "theta", 1 / 3)
    with against_negative(roles, "theta", 1 / 3) as network, interrupted(network):
        predict(models.backbone, network, given(models.backbone, "", "a house"))
    roles.check_ready()
    for role, expected in before.items():
        assert torch.equal(roles.predict(role, inputs), expected)
    assert all(torch.equal(p, weights[n]) for n, p in {**roles.theta, **roles.others}.items())


@contextmanager
def interrupted(network: nn.Module) -> Iterator[None]:
    """Have the first prediction within be broken off half way, which ends the block."""

    def stop(*_: Any) -> None:
        raise Stopped("half way")

    parts = [part for name, part in network.named_modules() if name.endswith("mid_block")]
    handle = parts[0].register_forward_hook(stop)
    with pytest.raises(Stopped):
        yield
    handle.remove()


def sample(models: Models, network: nn.Module, guidance: float = 3.0) -> bytes:
    texts = Encodings(models.backbone, None, null_is_zeros=False).text(["a house", ""])
    picture = models.backbone.sample(
        network, texts.row(0), texts.row(1), seed=0, steps=3, guidance=guidance, size=(64, 64)
    )
    return picture.tobytes()


def models_of(folder: Path) -> Models:
    """A base without training, theta and negative attached and changed by hand."""
    backbone = load_backbone(Model(path=str(folder)), Flow(max_text_tokens=64), CPU, torch.float32)
    network = backbone.network
    attach_theta(network, Lora(rank=2), backbone.lora_targets, 0)
    weights, metadata = adapter_weights(network, "theta"), adapter_metadata(network, "theta")
    attach_adapter(network, "negative", weights, metadata, "samples.negative")
    players: dict[Role, Player] = {
        "theta": Player(network, ("theta",)),
        "reference": Player(network),
        "negative": Player(network, ("negative",)),
    }
    return Models(backbone, Roles(backbone, players), None, None)


def without_guidance_embedding(folder: Path, target: Path) -> Path:
    pipeline: Any = diffusers.FluxPipeline.from_pretrained(folder, local_files_only=True)
    torch.manual_seed(0)
    changed = dict(pipeline.transformer.config) | {"guidance_embeds": False}
    pipeline.transformer = diffusers.FluxTransformer2DModel.from_config(changed)
    pipeline.save_pretrained(target)
    return target


@pytest.mark.parametrize("kind", ["sd15", "sdxl-v", "flux"])
def test_diffusers_pipelines_call_both_sides(kind: Kind, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "tiny", kind, fit=False)
    if kind == "flux":
        folder = without_guidance_embedding(folder, tmp_path / "undistilled")
    models = models_of(folder)
    with models.roles.frozen("reference") as network:
        plain = sample(models, network)
    with against_negative(models.roles, "reference", 0.0) as network:
        # Nothing is in the adapters yet, but the halves of a batch are predicted one by one.
        assert close(sample(models, network), plain)
    change(negative_of(models.roles), torch.Generator().manual_seed(0))
    with against_negative(models.roles, "reference", 0.0) as network:
        with calls_of(models) as calls:
            assert not close(sample(models, network), plain)
        # What each side is told, and who predicts it; some schedulers take a step more than asked.
        negative, conditional = (
            calls.count(each) for each in (("empty", "negative"), ("prompt", "base"))
        )
        assert negative == conditional == len(calls) / 2 >= 3
    with models.roles.frozen("reference") as network:
        assert sample(models, network) == plain


@contextmanager
def calls_of(models: Models) -> Iterator[list[tuple[str, str]]]:
    """For each call of the network the text it gets and the adapter that is on."""
    layer: Any = tuner_layers(models.backbone.network)[0]
    prompt = Encodings(models.backbone, None, null_is_zeros=False).text(["a house"]).hidden_BND
    calls = []

    def note(_: nn.Module, inputs: Any, options: dict[str, Any]) -> None:
        del inputs
        is_prompt = torch.equal(options["encoder_hidden_states"], prompt)
        player = "base" if layer.disable_adapters else ",".join(layer.active_adapters)
        calls.append(("prompt" if is_prompt else "empty", player))

    handle = models.backbone.network.register_forward_pre_hook(note, with_kwargs=True)
    yield calls
    handle.remove()


def close(picture: bytes, other: bytes) -> bool:
    pairs = zip(picture, other, strict=True)
    return max(abs(value - wanted) for value, wanted in pairs) <= 1


def test_a_run_samples_against_its_negative(
    tiny_model: Path, pairs: Path, npo_run: Path, tmp_path: Path
) -> None:
    samples = Samples(every=0, prompts=("a house",), steps=2, guidance=3.0)
    rows, pictures = {}, {}
    for name, chosen in (
        ("plain", samples),
        ("against", replace(samples, negative=str(npo_run))),
    ):
        made = quick(config(tmp_path / name, tiny_model, pairs), 2)
        run(replace(made, samples=chosen))
        rows[name] = read_lines(tmp_path / name / "samples/samples.jsonl")
        pictures[name] = [(tmp_path / name / row["file"]).read_bytes() for row in rows[name]]
    models = [(0, "target"), (0, "base"), (2, "target")]
    for name in rows:
        assert [(row["step"], row["model"]) for row in rows[name]] == models
    assert all("negative" not in row for row in rows["plain"])
    assert all(row["negative"] is True for row in rows["against"])
    assert all(a != p for a, p in zip(pictures["against"], pictures["plain"], strict=True))
    # Theta starts as the base, so its negative side is the base's.
    assert pictures["against"][0] == pictures["against"][1]
    weights = [
        (tmp_path / name / "adapter/pytorch_lora_weights.safetensors").read_bytes() for name in rows
    ]
    assert weights[0] == weights[1]


def test_only_a_finished_npo_run_on_the_same_base_is_a_negative(
    tiny_model: Path, pairs: Path, npo_run: Path, expert: Path, tmp_path: Path
) -> None:
    def refusal(**samples: Any) -> str:
        made = config(tmp_path / "run", tiny_model, pairs, samples=Samples(**samples))
        with pytest.raises(InvalidConfig) as caught:
            load_models(made, CPU)
        return str(caught.value)

    assert "is of a run of sft" in refusal(negative=str(expert))
    assert "is of a run of sft" in refusal(negative=str(expert / "adapter"))
    assert "holds no pytorch_lora_weights" in refusal(negative=str(tmp_path / "nowhere"))
    assert "samples.guidance of 1 or less" in refusal(negative=str(npo_run), guidance=1.0)
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole/config.json").write_text("{}")
    assert "holds a whole network" in refusal(negative=str(tmp_path / "whole"))
    other = make_tiny_model(tmp_path / "sd15", "sd15", fit=False)
    made = config(
        tmp_path / "run", other, pairs, samples=Samples(negative=str(npo_run / "adapter"))
    )
    with pytest.raises(InvalidConfig, match=r"samples\.negative: does not fit this model"):
        load_models(made, CPU)
    result = json.loads((npo_run / "result.json").read_text())
    assert result["objective"] == "npo"


def test_a_model_with_a_guidance_embedding_takes_no_negative(
    pairs: Path, npo_run: Path, tmp_path: Path
) -> None:
    flux = make_tiny_model(tmp_path / "flux", "flux", fit=False)
    made = config(tmp_path / "run", flux, pairs, samples=Samples(negative=str(npo_run)))
    with pytest.raises(InvalidConfig, match=r"samples\.negative: this model is told its guidance"):
        load_models(made, CPU)
