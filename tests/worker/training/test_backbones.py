"""Every backbone through the one interface, held against diffusers' own pipelines."""

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from method.training.config import Flow, Lora, Model
from method.training.failures import InvalidConfig
from worker.training.adapters import adapter_metadata, adapter_weights, attach_theta
from worker.training.backbones import Backbone, Text, join_chunks
from worker.training.backbones.loading import load_backbone
from worker.training.noise import Diffusion
from worker.training.noise import Flow as FlowSchedule
from worker.training.tiny_model import Kind, make_tiny_model

KINDS: tuple[Kind, ...] = ("sd15", "sdxl", "sdxl-v", "flux")
PIPELINES: dict[str, Any] = {
    "sd15": diffusers.StableDiffusionPipeline,
    "sdxl": diffusers.StableDiffusionXLPipeline,
    "sdxl-v": diffusers.StableDiffusionXLPipeline,
    "flux": diffusers.FluxPipeline,
}
PROMPT = "a house by the sea, rich color"
CPU = torch.device("cpu")
SHORT_WINDOWS = Flow(max_text_tokens=64)

Folders = Callable[[Kind], Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    made: dict[Kind, Path] = {}

    def folder(kind: Kind) -> Path:
        if kind not in made:
            made[kind] = make_tiny_model(tmp_path_factory.mktemp(kind) / "tiny", kind, fit=False)
        return made[kind]

    return folder


def load(folder: Path, flow: Flow = SHORT_WINDOWS, dtype: torch.dtype = torch.float32) -> Backbone:
    return load_backbone(Model(path=str(folder)), flow, CPU, dtype)


def load_pipeline(kind: Kind, folder: Path) -> Any:
    pipeline = PIPELINES[kind].from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def encode(backbone: Backbone, *prompts: str) -> Text:
    chunks = [backbone.encode_chunks(backbone.split_prompt(p)) for p in prompts]
    return join_chunks(chunks, backbone.encode_chunks(backbone.split_prompt(""))[0])


def noisy(kind: Kind, count: int = 2) -> Tensor:
    channels = 16 if kind == "flux" else 4
    return torch.randn(count, channels, 16, 24, generator=torch.Generator().manual_seed(0))


def timesteps(kind: Kind, count: int = 2) -> Tensor:
    return torch.tensor([0.25, 0.75] if kind == "flux" else [250.0, 750.0])[:count]


def sizes(count: int = 2) -> Tensor:
    return torch.tensor([[64.0, 96, 0, 0, 64, 96]]).expand(count, 6)


def predict(
    kind: Kind, backbone: Backbone, *prompts: str, network: nn.Module | None = None
) -> Tensor:
    count = len(prompts)
    return backbone.predict(
        network or backbone.network,
        noisy(kind)[:1].expand(count, -1, -1, -1),
        timesteps(kind, 1).expand(count),
        encode(backbone, *prompts),
        sizes(count),
    )


def sample(backbone: Backbone, network: nn.Module | None = None) -> Image.Image:
    text = encode(backbone, PROMPT, "")
    return backbone.sample(
        network or backbone.network,
        text.row(0),
        text.row(1),
        seed=3,
        steps=3,
        guidance=3.0,
        size=(64, 96),
    )


def sample_with_diffusers(pipeline: Any, **options: Any) -> Image.Image:
    image = pipeline(
        PROMPT,
        width=64,
        height=96,
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(3),
        **({"guidance_scale": 3.0} | options),
        **({"max_sequence_length": 64} if isinstance(pipeline, diffusers.FluxPipeline) else {}),
    ).images[0]
    assert isinstance(image, Image.Image)
    return image


def attach(backbone: Backbone) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An adapter that changes much, attached: its weights and metadata."""
    attach_theta(backbone.network, Lora(rank=4, alpha=2.0), backbone.lora_targets, 0)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in backbone.network.named_parameters():
        if ".theta." in name:
            parameter.data.normal_(std=0.3, generator=generator)
    return adapter_weights(backbone.network, "theta"), adapter_metadata(backbone.network, "theta")


class Wrapped(nn.Module):
    """What training with several processes puts around a network."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


@pytest.mark.parametrize("kind", ["sd15", "sdxl", "sdxl-v"])
def test_unets_predict_as_in_their_pipeline(folders: Folders, kind: Kind) -> None:
    backbone, pipeline = load(folders(kind)), load_pipeline(kind, folders(kind))
    prompts = [PROMPT, ""]
    hidden, _, *pooled = pipeline.encode_prompt(
        prompts,
        device=CPU,
        num_images_per_prompt=1,
        do_classifier_free_guidance=False,
    )
    conditions = {"text_embeds": pooled[0], "time_ids": sizes()} if pooled else None
    with torch.no_grad():
        expected = pipeline.unet(
            noisy(kind), timesteps(kind), hidden, added_cond_kwargs=conditions
        ).sample
        found = backbone.predict(
            backbone.network, noisy(kind), timesteps(kind), encode(backbone, *prompts), sizes()
        )
    assert found.dtype == torch.float32 and found.shape == noisy(kind).shape
    torch.testing.assert_close(found, expected)


def test_flux_predicts_as_in_its_pipeline(folders: Folders) -> None:
    backbone = load(folders("flux"), replace(SHORT_WINDOWS, train_guidance=2.5))
    pipeline = load_pipeline("flux", folders("flux"))
    prompts = [PROMPT, ""]
    hidden, pooled, text_ids = pipeline.encode_prompt(
        prompts, prompts, device=CPU, max_sequence_length=64
    )
    with torch.no_grad():
        packed = pipeline.transformer(
            hidden_states=pipeline._pack_latents(noisy("flux"), 2, 16, 16, 24),
            timestep=timesteps("flux"),
            guidance=torch.full((2,), 2.5),
            pooled_projections=pooled,
            encoder_hidden_states=hidden,
            txt_ids=text_ids,
            img_ids=pipeline._prepare_latent_image_ids(2, 8, 12, CPU, torch.float32),
        ).sample
        expected = pipeline._unpack_latents(packed, 64, 96, pipeline.vae_scale_factor)
        found = backbone.predict(
            backbone.network, noisy("flux"), timesteps("flux"), encode(backbone, *prompts), sizes()
        )
    assert found.shape == noisy("flux").shape
    torch.testing.assert_close(found, expected)


def test_the_value_told_to_the_guidance_embedding_counts(folders: Folders) -> None:
    plain, strong = (
        predict("flux", load(folders("flux"), replace(SHORT_WINDOWS, train_guidance=g)), PROMPT)
        for g in (1.0, 3.5)
    )
    assert not torch.allclose(plain, strong)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_those_of_diffusers_with_the_adapter_loaded(
    folders: Folders, kind: Kind, tmp_path: Path
) -> None:
    backbone = load(folders(kind))
    base = sample(backbone)
    backbone.save_adapter(tmp_path, *attach(backbone))
    pipeline = load_pipeline(kind, folders(kind))
    assert base.tobytes() == sample_with_diffusers(pipeline).tobytes()
    pipeline.load_lora_weights(tmp_path)
    found = sample(backbone)
    assert found.size == (64, 96)
    assert found.tobytes() == sample_with_diffusers(pipeline).tobytes()
    assert found.tobytes() != base.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_the_network_and_a_wrapped_one_can_be_asked(folders: Folders, kind: Kind) -> None:
    backbone, pipeline = load(folders(kind)), load_pipeline(kind, folders(kind))
    before = sample(backbone)
    changed: Any = deepcopy(backbone.network)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1.05)
    setattr(pipeline, "transformer" if kind == "flux" else "unet", changed)
    expected = sample_with_diffusers(pipeline)
    assert sample(backbone, Wrapped(changed)).tobytes() == expected.tobytes()
    with torch.no_grad():
        assert torch.equal(
            predict(kind, backbone, PROMPT, network=Wrapped(changed)),
            predict(kind, backbone, PROMPT, network=changed),
        )
    assert sample(backbone).tobytes() == before.tobytes() != expected.tobytes()


def test_flux_without_guidance_embedding_is_guided_against_the_empty_prompt(
    folders: Folders, tmp_path: Path
) -> None:
    pipeline = load_pipeline("flux", folders("flux"))
    torch.manual_seed(0)
    config = dict(pipeline.transformer.config) | {"guidance_embeds": False}
    pipeline.transformer = diffusers.FluxTransformer2DModel.from_config(config)
    pipeline.save_pretrained(tmp_path / "schnell")
    backbone = load(tmp_path / "schnell")
    expected = sample_with_diffusers(
        pipeline, guidance_scale=0.0, true_cfg_scale=3.0, negative_prompt=""
    )
    unguided = sample_with_diffusers(pipeline, guidance_scale=0.0)
    assert sample(backbone).tobytes() == expected.tobytes() != unguided.tobytes()
    assert predict("flux", backbone, PROMPT).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_comes_back_as_it_was_written(
    folders: Folders, kind: Kind, tmp_path: Path
) -> None:
    backbone = load(folders(kind))
    weights, metadata = attach(backbone)
    file = backbone.save_adapter(tmp_path / "adapter", weights, metadata)
    again = backbone.save_adapter(tmp_path / "again", weights, metadata)
    assert file.read_bytes() == again.read_bytes()
    for place in (tmp_path / "adapter", tmp_path):
        found, settings = backbone.load_adapter(place)
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], weights[name]) for name in weights)
        assert (settings["r"], settings["lora_alpha"]) == (4, 2.0)
    other = load(folders("sdxl" if kind == "flux" else "flux"))
    with pytest.raises(InvalidConfig, match="holds no adapter of a"):
        other.load_adapter(tmp_path)
    with pytest.raises(InvalidConfig, match="holds no pytorch_lora_weights"):
        backbone.load_adapter(tmp_path / "nowhere")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InvalidConfig, match="is not an adapter file"):
        backbone.load_adapter(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_network_comes_back_here_and_in_diffusers(
    folders: Folders, kind: Kind, tmp_path: Path
) -> None:
    backbone = load(folders(kind))
    weights = {name: t * 1.05 for name, t in backbone.network.state_dict().items()}
    attach(backbone)  # an expert may be attached to the network that tells the names
    file = backbone.save_network(tmp_path / "network", weights)
    for place in (tmp_path / "network", tmp_path):
        found = backbone.load_network(place)
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], weights[name]) for name in weights)
    network_class: Any = type(backbone.network)
    loaded = network_class.from_pretrained(tmp_path / "network", local_files_only=True)
    assert all(torch.equal(t, weights[name]) for name, t in loaded.state_dict().items())
    assert "_name_or_path" not in (file.parent / "config.json").read_text()
    with pytest.raises(InvalidConfig, match="holds no diffusion_pytorch_model"):
        backbone.load_network(tmp_path / "nowhere")
    weights.pop(odd := min(weights))
    backbone.save_network(tmp_path / "network", weights)
    with pytest.raises(InvalidConfig, match=f"does not fit this model: {odd} is missing there"):
        backbone.load_network(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_beyond_the_first_window_still_counts(folders: Folders, kind: Kind) -> None:
    backbone = load(folders(kind))
    long = "a house " + "visible brushwork " * 98 + "by the"
    assert len(long.split()) == 200
    windows = backbone.split_prompt(f"{long} sea"), backbone.split_prompt(f"{long} river")
    assert len(windows[0]) > 2
    # Nothing but the last window tells the two apart.
    assert windows[0][:-1] == windows[1][:-1] and windows[0] != windows[1]
    with torch.no_grad():
        sea, river = predict(kind, backbone, f"{long} sea", f"{long} river")
    assert not torch.allclose(sea, river)


@pytest.mark.parametrize("kind", KINDS)
def test_the_empty_prompt_is_one_window_encoded_as_diffusers_encodes_it(
    folders: Folders, kind: Kind
) -> None:
    backbone, pipeline = load(folders(kind)), load_pipeline(kind, folders(kind))
    assert len(backbone.split_prompt("")) == 1
    found = encode(backbone, "")
    if kind == "flux":
        hidden, pooled, _ = pipeline.encode_prompt("", "", device=CPU, max_sequence_length=64)
    else:
        hidden, _, *rest = pipeline.encode_prompt(
            "", device=CPU, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        pooled = rest[0] if rest else torch.empty(1, 0)
    torch.testing.assert_close(found.hidden_BND, hidden)
    torch.testing.assert_close(found.pooled_BD, pooled)


@pytest.mark.parametrize("kind", KINDS)
def test_images_become_latents_and_images_again(folders: Folders, kind: Kind) -> None:
    backbone, vae = load(folders(kind)), load_pipeline(kind, folders(kind)).vae
    pixels = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latent = backbone.encode_images(pixels[None])[0]
    shift, scaling = vae.config.shift_factor or 0, vae.config.scaling_factor
    with torch.no_grad():
        expected = (vae.encode(pixels[None]).latent_dist.mode()[0] - shift) * scaling
        decoded = vae.decode(latent[None] / scaling + shift).sample[0].clamp(-1, 1)
    torch.testing.assert_close(latent, expected)
    torch.testing.assert_close(backbone.decode_image(latent), decoded)
    assert backbone.unit == 8
    assert latent.shape == noisy(kind)[0].shape


@pytest.mark.parametrize("kind", KINDS)
# torch tells once that it normalises in two steps where weights are wider than activations.
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
def test_everything_but_the_autoencoder_may_be_bf16(folders: Folders, kind: Kind) -> None:
    backbone: Any = load(folders(kind), dtype=torch.bfloat16)
    assert {p.dtype for p in backbone.network.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in backbone.autoencoder.vae.parameters()} == {torch.float32}
    exact = predict(kind, load(folders(kind)), PROMPT)
    with torch.no_grad():
        found = predict(kind, backbone, PROMPT)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, atol=0.1, rtol=0.1)
    # What full fine-tuning trains: a copy in float32, computing in bf16.
    full = deepcopy(backbone.network).float().requires_grad_()
    trained = predict(kind, backbone, PROMPT, network=full)
    torch.testing.assert_close(trained.detach(), exact, atol=0.1, rtol=0.1)
    trained.square().mean().backward()
    assert {p.grad.dtype for p in full.parameters() if p.grad is not None} == {torch.float32}
    attach(backbone)
    for network in (full, backbone.network):
        assert sample(backbone, network).size == (64, 96)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_checkpointing_changes_no_gradient(folders: Folders, kind: Kind) -> None:
    def gradients(*, checkpointed: bool) -> list[Tensor]:
        backbone = load(folders(kind))
        if checkpointed:
            backbone.enable_gradient_checkpointing(backbone.network)
        network: Any = backbone.network.requires_grad_()
        assert network.is_gradient_checkpointing is checkpointed
        predict(kind, backbone, PROMPT).square().mean().backward()
        return [p.grad for p in network.parameters() if p.grad is not None]

    plain = gradients(checkpointed=False)
    assert any(g.any() for g in plain)
    torch.testing.assert_close(gradients(checkpointed=True), plain)


def test_the_schedule_is_the_models_own(folders: Folders) -> None:
    flow = load(folders("flux"), Flow(shift=3.0, space="x0")).schedule
    assert flow == FlowSchedule(shift=3.0, space="x0")
    for kind, prediction in (("sdxl", "epsilon"), ("sdxl-v", "v_prediction"), ("sd15", "epsilon")):
        schedule = load(folders(kind)).schedule  # type: ignore[arg-type]  # kinds
        assert isinstance(schedule, Diffusion)
        assert schedule.prediction == prediction
        assert len(schedule.alphas_cumprod_T) == 1000
        # Rescaled to zero signal at the end only where the model was trained so.
        assert (schedule.alphas_cumprod_T[-1] == 0) == (kind == "sdxl-v")


def test_fingerprints_name_what_they_stand_for(folders: Folders, tmp_path: Path) -> None:
    one: Any = load(folders("sdxl"))
    fingerprint, network_fingerprint = one.fingerprint(), one.network_fingerprint()
    other: Any = load(folders("sdxl"))
    attach(other)  # adapters do not count
    assert other.network_fingerprint() == network_fingerprint
    assert other.fingerprint() == fingerprint
    third: Any = load(folders("sdxl"))
    with torch.no_grad():
        third.network.conv_in.bias[0] += 1
        third.text_encoders[0].get_input_embeddings().weight[0, 0] += 1
    assert third.network_fingerprint() != network_fingerprint
    assert third.fingerprint() != fingerprint
    v: Any = load(folders("sdxl-v"))
    assert v.fingerprint() == fingerprint, "the same seed makes the same autoencoder and encoders"
    assert v.network_fingerprint() != network_fingerprint
    guided: list[Any] = [load(folders("flux"), Flow(train_guidance=g)) for g in (1.0, 3.5)]
    assert len({b.network_fingerprint() for b in guided}) == 2


def test_a_model_that_is_not_in_the_cache_is_told_with_how_to_get_it() -> None:
    model = Model(path="nobody/no-such-model", revision="v2")
    with pytest.raises(InvalidConfig, match=r"^model\.path: .*downloads nothing") as raised:
        load_backbone(model, Flow(), CPU, torch.float32)
    assert "hf download nobody/no-such-model --revision v2" in str(raised.value)


@pytest.mark.parametrize("path", ["/nowhere/model", "../no/such/folder", "not an id"])
def test_a_folder_that_is_not_there_is_told(path: str) -> None:
    with pytest.raises(InvalidConfig, match=rf"^model\.path: there is no folder {path}"):
        load_backbone(Model(path=path), Flow(), CPU, torch.float32)


def test_a_single_file_is_told_how_to_become_a_folder(folders: Folders) -> None:
    path = folders("sdxl") / "unet" / "diffusion_pytorch_model.safetensors"
    with pytest.raises(InvalidConfig, match=r"^model\.path: .* is a file; .*from_single_file"):
        load(path)


def test_a_hub_id_in_the_local_cache_is_loaded(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0" * 40
    place = tmp_path / "models--someone--tiny"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    shutil.copytree(folders("sd15"), place / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    backbone = load_backbone(Model(path="someone/tiny"), Flow(), CPU, torch.float32)
    assert isinstance(backbone.network, diffusers.UNet2DConditionModel)
    (place / "snapshots" / commit / "vae" / "config.json").unlink()
    with pytest.raises(InvalidConfig, match=r"vae/config\.json missing.*hf download someone"):
        load_backbone(Model(path="someone/tiny"), Flow(), CPU, torch.float32)


@pytest.fixture
def broken(folders: Folders, tmp_path: Path) -> Path:
    return shutil.copytree(folders("sdxl"), tmp_path / "broken")


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.safetensors"),
        ("text_encoder_2/model.safetensors", "text_encoder_2/model.safetensors"),
        ("tokenizer", "tokenizer/"),
        ("scheduler", "scheduler/"),
        ("model_index.json", "holds no model_index.json"),
    ],
)
def test_a_half_complete_folder_is_told_by_what_it_lacks(
    broken: Path, removed: str, told: str
) -> None:
    place = broken / removed
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()
    with pytest.raises(InvalidConfig, match=rf"model\.path: .*{told}") as raised:
        load(broken)
    assert "hf download" not in str(raised.value)


def test_a_missing_shard_is_told_by_its_name(broken: Path) -> None:
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    shard = "diffusion_pytorch_model-00002-of-00002.safetensors"
    weights.rename(weights.with_name("diffusion_pytorch_model-00001-of-00002.safetensors"))
    index = broken / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": shard}}))
    with pytest.raises(InvalidConfig, match=f"unet/{shard} missing"):
        load(broken)
    index.write_text("{}")
    with pytest.raises(InvalidConfig, match=r"index\.json is not an index of weights"):
        load(broken)


def test_weights_of_a_variant_are_pointed_at(broken: Path) -> None:
    for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        whole = broken / part / f"{stem}.safetensors"
        whole.rename(whole.with_name(f"{stem}.fp16.safetensors"))
    with pytest.raises(InvalidConfig, match=r"set model\.variant to use them"):
        load(broken)
    model = Model(path=str(broken), variant="fp16")
    load_backbone(model, Flow(), CPU, torch.float32)


def test_a_truncated_file_is_told(broken: Path) -> None:
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(
        InvalidConfig, match=r"model\.path: .*unet.* is not a weights file, or cut short"
    ):
        load(broken)


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("model_index.json", {"_class_name": "KolorsPipeline"}, "is a KolorsPipeline; Morelli"),
        ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, "predicts sample"),
        ("vae/config.json", {"latents_mean": [0, 0, 0, 0]}, "normalises latents by channel"),
    ],
)
def test_models_that_cannot_be_trained_are_refused(
    broken: Path, file: str, change: dict[str, Any], told: str
) -> None:
    path = broken / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InvalidConfig, match=rf"model\.path: .*{told}"):
        load(broken)


@pytest.mark.parametrize("kind", ["sd15", "flux"])
def test_models_for_inpainting_are_refused(folders: Folders, kind: Kind, tmp_path: Path) -> None:
    pipeline = load_pipeline(kind, folders(kind))
    part = "transformer" if kind == "flux" else "unet"
    network = getattr(pipeline, part)
    wider = {"in_channels": 9 * (network.config.in_channels // 4), "out_channels": 4}
    setattr(pipeline, part, type(network).from_config(dict(network.config) | wider))
    pipeline.save_pretrained(tmp_path / "inpainting")
    with pytest.raises(InvalidConfig, match=r"model\.path: this .* takes \d+ channels"):
        load(tmp_path / "inpainting")


def test_models_without_a_noise_schedule_of_their_own_are_refused(
    folders: Folders, tmp_path: Path
) -> None:
    pipeline = load_pipeline("sdxl", folders("sdxl"))
    pipeline.scheduler = diffusers.EDMEulerScheduler()
    pipeline.save_pretrained(tmp_path / "edm")
    with pytest.raises(InvalidConfig, match=r"EDMEulerScheduler has no DDPM noise schedule"):
        load(tmp_path / "edm")
