"""Adapters in kohya's format do what they do in diffusers' format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from method.training.config import Flow, Lora, Model
from method.training.failures import InvalidConfig
from worker.training.adapters import adapter_metadata, adapter_weights, attach_theta
from worker.training.backbones import Backbone, Family
from worker.training.backbones.flux import Flux
from worker.training.backbones.loading import load_backbone
from worker.training.backbones.sdxl import SDXL
from worker.training.exporting import kohya_weights, save_kohya
from worker.training.tiny_model import make_tiny_model

PIPELINES: dict[str, Any] = {
    "sd15": diffusers.StableDiffusionPipeline,
    "sdxl": diffusers.StableDiffusionXLPipeline,
    "flux": diffusers.FluxPipeline,
}
TARGETS = {"sdxl": SDXL.lora_targets, "flux": Flux.lora_targets}
FULL_SIZED: dict[str, Callable[[], Any]] = {
    "flux": diffusers.FluxTransformer2DModel,
    "sdxl": lambda: diffusers.UNet2DConditionModel(
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        use_linear_projection=True,
        cross_attention_dim=2048,
    ),
}
METADATA = {"r": 4, "lora_alpha": 0.8}


def train(backbone: Backbone, targets: tuple[str, ...]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An adapter with large random weights and an alpha that is not its rank."""
    attach_theta(backbone.network, Lora(rank=4, alpha=0.8), targets, 0)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in backbone.network.named_parameters():
        if ".theta." in name:
            parameter.data.normal_(std=0.5, generator=generator)
    return adapter_weights(backbone.network, "theta"), adapter_metadata(backbone.network, "theta")


def paint(family: Family, folder: Path, adapter: Path | None) -> Tensor:
    pipeline = PIPELINES[family].from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    if adapter is not None:
        pipeline.load_lora_weights(adapter)
    pixels = pipeline(
        "a house",
        width=64,
        height=64,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    ).images
    assert isinstance(pixels, Tensor)
    return pixels


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_diffusers_paints_the_same_with_both_formats(family: Family, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model", family, fit=False)
    backbone = load_backbone(Model(path=str(folder)), Flow(), torch.device("cpu"), torch.float32)
    # diffusers reads the single blocks of FLUX at their true size only; they have a test of their own.
    targets = backbone.lora_targets
    if family == "flux":
        targets = tuple(f"transformer_blocks.0.{target}" for target in targets)
    weights, metadata = train(backbone, targets)
    ours = backbone.save_adapter(tmp_path / "diffusers", weights, metadata)
    kohya = save_kohya(tmp_path / "kohya.safetensors", weights, metadata, family, dtype=None)
    expected = paint(family, folder, ours)
    torch.testing.assert_close(paint(family, folder, kohya), expected, atol=1e-5, rtol=1e-5)
    assert (expected - paint(family, folder, None)).abs().max() > 0.05


def random_weights(shapes: dict[str, tuple[int, int]], rank: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights: dict[str, Tensor] = {}
    for name, (width_out, width_in) in shapes.items():
        weights[f"{name}.lora_A.weight"] = torch.randn(rank, width_in, generator=generator)
        weights[f"{name}.lora_B.weight"] = torch.randn(width_out, rank, generator=generator)
    return weights


@pytest.mark.parametrize("rank", [2, 4])
@pytest.mark.parametrize("parts", [("to_q", "to_k", "to_v"), ("to_k",), ("to_q", "to_v", "mlp")])
def test_the_single_blocks_of_flux_come_back_out_of_one_layer(
    parts: tuple[str, ...], rank: int
) -> None:
    block = "single_transformer_blocks.7"
    shapes = {f"{block}.attn.{p}": (3072, 8) for p in parts if p != "mlp"}
    if "mlp" in parts:
        shapes[f"{block}.proj_mlp"] = (12288, 8)
    weights = random_weights(shapes, rank)
    renamed = kohya_weights(weights, {"r": rank, "lora_alpha": 0.1 * rank}, "flux")
    assert {name.split(".")[0] for name in renamed} == {"lora_unet_single_blocks_7_linear1"}
    assert renamed["lora_unet_single_blocks_7_linear1.lora_up.weight"].shape[0] == 3 * 3072 + 12288
    back = diffusers.FluxPipeline.lora_state_dict(
        renamed
    )  # multiplies the scaling into the factors
    for name in (
        f"{block}.attn.to_q",
        f"{block}.attn.to_k",
        f"{block}.attn.to_v",
        f"{block}.proj_mlp",
    ):
        found = (
            back[f"transformer.{name}.lora_B.weight"] @ back[f"transformer.{name}.lora_A.weight"]
        )
        if name in shapes:
            up, down = weights[f"{name}.lora_B.weight"], weights[f"{name}.lora_A.weight"]
            torch.testing.assert_close(found, 0.1 * up @ down)
        else:
            assert not found.any()


@pytest.mark.parametrize(
    ("family", "rank", "layers", "parameters"),
    [("flux", 8, 342, 22_413_312), ("sdxl", 16, 560, 23_224_320)],
)
def test_every_layer_of_the_full_sized_models_that_is_adapted_has_a_name(
    family: Family, rank: int, layers: int, parameters: int
) -> None:
    with torch.device("meta"):
        made = FULL_SIZED[family]()
    shapes = {
        name: (layer.out_features, layer.in_features)
        for name, layer in made.named_modules()
        if isinstance(layer, torch.nn.Linear)
        and any(name.endswith(f".{target}") for target in TARGETS[family])
    }
    # As many as the scripts of diffusers adapt, and so train.
    assert len(shapes) == layers
    assert rank * sum(map(sum, shapes.values())) == parameters
    weights = random_weights({name: (out, 4) for name, (out, _) in shapes.items()}, 2)
    renamed = kohya_weights(weights, {"r": 2, "lora_alpha": 0.2}, family)
    back = PIPELINES[family].lora_state_dict(renamed, unet_config=made.config)
    found = back if family == "flux" else convert_unet_state_dict_to_peft(back[0])
    prefix = "transformer" if family == "flux" else "unet"
    scaling = 0.1 if family == "flux" else 1  # already multiplied into FLUX's factors
    for name in shapes:
        up, down = found[f"{prefix}.{name}.lora_B.weight"], found[f"{prefix}.{name}.lora_A.weight"]
        expected = weights[f"{name}.lora_B.weight"] @ weights[f"{name}.lora_A.weight"]
        torch.testing.assert_close(up @ down, scaling * expected)
    if family == "sdxl":
        assert list(back[1].values()) == pytest.approx([0.2] * layers)


def test_a_file_says_what_its_readers_ask_for(tmp_path: Path) -> None:
    layer = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0"
    weights = {
        f"{layer}.lora_A.weight": torch.randn(4, 8),
        f"{layer}.lora_B.weight": torch.randn(16, 4),
    }
    path = save_kohya(tmp_path / "new" / "a.safetensors", weights, METADATA, "sdxl")
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0"
    found = load_file(path)
    assert found.keys() == {f"{name}.lora_down.weight", f"{name}.lora_up.weight", f"{name}.alpha"}
    assert found[f"{name}.lora_down.weight"].dtype == torch.float16
    assert found[f"{name}.lora_up.weight"].shape == (16, 4)
    assert found[f"{name}.alpha"].item() == pytest.approx(0.8)
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
    assert about["ss_base_model_version"].startswith("sdxl_")
    assert (about["ss_network_dim"], about["ss_network_alpha"]) == ("4", "0.8")
    content = path.read_bytes()
    save_kohya(path, weights, METADATA, "sdxl")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "metadata", "told"),
    [
        (
            "transformer_blocks.0.norm1.odd",
            {},
            "no name for FLUX's layer transformer_blocks.0.norm1",
        ),
        ("x_embedder", {}, "no name for FLUX's layer x_embedder"),
        ("transformer_blocks.0.attn.to_q", {"use_dora": True}, "has no use_dora"),
        ("transformer_blocks.0.attn.to_q", {"alpha_pattern": {"a": 1}}, "has no alpha_pattern"),
    ],
)
def test_what_the_format_cannot_say_is_refused(
    name: str, metadata: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidConfig, match=told):
        kohya_weights(random_weights({name: (8, 8)}, 4), METADATA | metadata, "flux")


def test_other_tensors_are_refused() -> None:
    weights = random_weights({"transformer_blocks.0.attn.to_q": (8, 8)}, 4)
    weights["transformer_blocks.0.attn.to_q.lora_magnitude_vector"] = torch.ones(8)
    with pytest.raises(InvalidConfig, match="lora_A and lora_B of each layer"):
        kohya_weights(weights, METADATA, "flux")
