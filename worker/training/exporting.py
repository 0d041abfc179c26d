"""Adapters in kohya's format, which ComfyUI and A1111 read.

Each adapted layer becomes three tensors under one name: `NAME.lora_down.weight` (r, in),
`NAME.lora_up.weight` (out, r) and `NAME.alpha`, a scalar; readers add alpha / r * up @ down to the
layer's weight. Names are `lora_unet_` and the layer's path with underscores:

- SD 1.5 and SDXL: the path in diffusers' UNet (`lora_unet_down_blocks_1_attentions_0_...`). ComfyUI lists
  these names for both; A1111 translates them into its own `input_blocks`. (kohya's own scripts write
  such names for SD 1.5, and `input_blocks` for SDXL; all three readers take both.)
- FLUX: the path in the network as Black Forest Labs published it (`lora_unet_double_blocks_0_img_attn_qkv`),
  where queries, keys and values are one layer, and in the single blocks the MLP's first layer too. The
  adapters of the parts are put side by side, which is exact: ranks add up, and alpha with them.

A1111 tells SDXL from SD 1.5 by `ss_base_model_version`. ComfyUI and A1111 were not run here; diffusers was.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from method.training.failures import InvalidConfig
from worker.training.backbones import Backbone, Family
from worker.training.backbones.weights import open_to_readers, sort_header
from worker.training.noise import Diffusion

BASE_VERSIONS: dict[Family, str] = {
    "sd15": "sd_v1",
    "sdxl": "sdxl_base_v1-0",
    "flux": "flux1",
}

SD2_WIDTH = 1024
"""Width of SD 2's text encoder, where SD 1's is 768."""
NO_SIGNAL = 1e-6
"""Below this nothing of a picture is left at the last timestep."""

# For each layer of FLUX that stands for several of diffusers': those, and how wide each is in units of the
# narrowest.
FLUX_DOUBLE: dict[str, dict[str, int]] = {
    "img_attn_qkv": {"attn.to_q": 1, "attn.to_k": 1, "attn.to_v": 1},
    "txt_attn_qkv": {"attn.add_q_proj": 1, "attn.add_k_proj": 1, "attn.add_v_proj": 1},
    "img_attn_proj": {"attn.to_out.0": 1},
    "txt_attn_proj": {"attn.to_add_out": 1},
    "img_mlp_0": {"ff.net.0.proj": 1},
    "img_mlp_2": {"ff.net.2": 1},
    "txt_mlp_0": {"ff_context.net.0.proj": 1},
    "txt_mlp_2": {"ff_context.net.2": 1},
    "img_mod_lin": {"norm1.linear": 1},
    "txt_mod_lin": {"norm1_context.linear": 1},
}
FLUX_SINGLE: dict[str, dict[str, int]] = {
    "linear1": {"attn.to_q": 1, "attn.to_k": 1, "attn.to_v": 1, "proj_mlp": 4},
    "linear2": {"proj_out": 1},
    "modulation_lin": {"norm.linear": 1},
}

Factors = tuple[Tensor, Tensor]
"""One layer's adapter: down (r, in) and up (out, r)."""


def kohya_weights(
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    family: Family,
    dtype: torch.dtype | None = None,
) -> dict[str, Tensor]:
    """Rename an adapter's weights, `LAYER.lora_A.weight` and `LAYER.lora_B.weight`, as kohya names them.

    `metadata` is peft's: its lora_alpha / r is what readers will multiply by. `dtype`, for example
    float16, is what the factors are stored in; None keeps theirs. Raises InvalidConfig for adapters
    that the format cannot express.
    """
    scaling = _scaling(metadata)
    layers = _layers(weights)
    if family == "flux":
        layers = _fuse_flux(layers)
    else:
        layers = {name.replace(".", "_"): factors for name, factors in layers.items()}
    renamed: dict[str, Tensor] = {}
    for name, (down, up) in layers.items():
        renamed[f"lora_unet_{name}.lora_down.weight"] = down.to(dtype or down.dtype).contiguous()
        renamed[f"lora_unet_{name}.lora_up.weight"] = up.to(dtype or up.dtype).contiguous()
        renamed[f"lora_unet_{name}.alpha"] = torch.tensor(scaling * down.shape[0])
    return renamed


def save_kohya(
    path: Path,
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    family: Family,
    dtype: torch.dtype | None = torch.float16,
    base: Mapping[str, str] | None = None,
) -> Path:
    """Write an adapter in kohya's format and return the file. Raises what `kohya_weights` raises.

    `base` is what `about_base` says of the model that the adapter is for.
    """
    renamed = kohya_weights(weights, metadata, family, dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "ss_network_module": "networks.lora_flux" if family == "flux" else "networks.lora",
        "ss_network_dim": str(metadata["r"]),
        "ss_network_alpha": str(float(metadata["lora_alpha"])),
        "ss_base_model_version": BASE_VERSIONS[family],
        **(base or {}),
    }
    save_file(renamed, path, metadata=about)
    sort_header(path)
    open_to_readers(path)
    return path


def about_base(backbone: Backbone) -> dict[str, str]:
    """What kohya's metadata says of a base that is not a plain one: readers sample it otherwise."""
    schedule = backbone.schedule
    about: dict[str, str] = {}
    network: Any = backbone.network
    if backbone.family == "sd15" and network.config.get("cross_attention_dim") == SD2_WIDTH:
        about |= {"ss_v2": "True", "ss_base_model_version": "sd_v2"}
    if not isinstance(schedule, Diffusion):
        return about
    if schedule.prediction == "v_prediction":
        about |= {"ss_v_parameterization": "True", "modelspec.prediction_type": "v"}
    if float(schedule.alphas_cumprod_T[-1]) < NO_SIGNAL:
        about["ss_zero_terminal_snr"] = "True"
    return about


def _scaling(metadata: Mapping[str, Any]) -> float:
    for odd in ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern"):
        if metadata.get(odd):
            raise InvalidConfig(f"kohya's format has no {odd}; this adapter uses it")
    return float(metadata["lora_alpha"]) / int(metadata["r"])


def _layers(weights: Mapping[str, Tensor]) -> dict[str, Factors]:
    """The factors of each adapted layer, on the CPU."""
    names = {re.sub(r"\.lora_[AB]\.weight$", "", name) for name in weights}
    try:
        layers = {
            name: (
                weights[f"{name}.lora_A.weight"].detach().cpu(),
                weights[f"{name}.lora_B.weight"].detach().cpu(),
            )
            for name in sorted(names)
        }
    except KeyError as error:
        raise InvalidConfig(
            f"kohya's format takes lora_A and lora_B of each layer; {error} is not there"
        ) from None
    return layers


def _fuse_flux(layers: Mapping[str, Factors]) -> dict[str, Factors]:
    fused: dict[str, Factors] = {}
    used: set[str] = set()
    for block, number in sorted({_flux_block(name) for name in layers}):
        double = block == "transformer_blocks"
        for target, widths in (FLUX_DOUBLE if double else FLUX_SINGLE).items():
            parts = {
                part: layers[name]
                for part in widths
                if (name := f"{block}.{number}.{part}") in layers
            }
            if parts:
                used.update(f"{block}.{number}.{part}" for part in parts)
                kind = "double" if double else "single"
                fused[f"{kind}_blocks_{number}_{target}"] = _side_by_side(parts, widths)
    if left := layers.keys() - used:
        raise InvalidConfig(f"kohya's format has no name for FLUX's layer {min(left)}")
    return fused


def _flux_block(name: str) -> tuple[str, int]:
    """Which block a layer of diffusers' FLUX stands in."""
    found = re.match(r"((?:single_)?transformer_blocks)\.(\d+)\.", name)
    if found is None:
        raise InvalidConfig(f"kohya's format has no name for FLUX's layer {name}")
    return found[1], int(found[2])


def _side_by_side(parts: Mapping[str, Factors], widths: Mapping[str, int]) -> Factors:
    """One layer's adapter from those of its parts: each feeds its own rows, parts without one get zeros."""
    part, (_, some_up) = next(iter(parts.items()))
    unit = some_up.shape[0] // widths[part]
    down = torch.cat([down for down, _ in parts.values()])
    up = down.new_zeros(unit * sum(widths.values()), down.shape[0])
    row = column = 0
    for part, width in widths.items():
        if part in parts:
            _, part_up = parts[part]
            rank = part_up.shape[1]
            up[row : row + unit * width, column : column + rank] = part_up
            column += rank
        row += unit * width
    return down, up
