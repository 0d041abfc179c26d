"""FLUX.1."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import torch
from diffusers import AutoencoderKL, FluxPipeline, FluxTransformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextModel, T5EncoderModel

from method.training.failures import InvalidConfig
from worker.training.backbones import Chunk, Family, Text
from worker.training.backbones.diffusers_backbone import DiffusersBackbone
from worker.training.backbones.parts import refuse_other_width
from worker.training.backbones.text_windows import clip_windows, t5_windows
from worker.training.noise import Flow


class FlowOptions(Protocol):
    """The options that only models trained by flow matching have."""

    @property
    def train_guidance(self) -> float:
        """What the guidance embedding is told in training."""

    @property
    def shift(self) -> float:
        """See worker.training.noise.Flow."""

    @property
    def space(self) -> Literal["v", "eps", "x0"]:
        """See worker.training.noise.Flow."""

    @property
    def max_text_tokens(self) -> int:
        """Length of T5's windows."""


class Flux(DiffusersBackbone):
    """A FLUX pipeline. Implements Backbone."""

    family: Family = "flux"
    pipeline_class = FluxPipeline
    network_name = "transformer"
    text_parts = ("text_encoder", "text_encoder_2")
    part_classes = {
        "transformer": (FluxTransformer2DModel,),
        "vae": (AutoencoderKL,),
        "text_encoder": (CLIPTextModel,),
        "text_encoder_2": (T5EncoderModel,),
    }
    unused_parts = {"image_encoder": None, "feature_extractor": None}
    lora_targets: tuple[str, ...] = (
        "attn.to_q",
        "attn.to_k",
        "attn.to_v",
        "attn.to_out.0",
        "attn.add_q_proj",
        "attn.add_k_proj",
        "attn.add_v_proj",
        "attn.to_add_out",
        "ff.net.0.proj",
        "ff.net.2",
        "ff_context.net.0.proj",
        "ff_context.net.2",
    )

    def __init__(
        self, pipeline: Any, device: torch.device, dtype: torch.dtype, flow: FlowOptions
    ) -> None:
        """Take a loaded pipeline. Raises InvalidConfig for networks that need more than latents and text."""
        super().__init__(pipeline, device, dtype)
        config = pipeline.transformer.config
        if config.in_channels != 4 * self.autoencoder.channels:
            raise InvalidConfig(
                f"model.path: this network takes {config.in_channels} channels where packed latents "
                f"have {4 * self.autoencoder.channels}; models for filling or editing cannot be trained"
            )
        self.has_guidance: bool = config.guidance_embeds
        self.train_guidance = flow.train_guidance
        self.max_text_tokens = flow.max_text_tokens
        self.schedule = Flow(flow.shift, flow.space)

    @property
    def unit(self) -> int:
        """Sides of pictures must be multiples of this: latents are packed two by two."""
        return 2 * self.autoencoder.scale

    def _check_widths(self, pipeline: Any) -> None:
        network = pipeline.transformer.config
        refuse_other_width(
            "text_encoder",
            pipeline.text_encoder.config.hidden_size,
            "transformer (pooled_projection_dim)",
            network.pooled_projection_dim,
        )
        refuse_other_width(
            "text_encoder_2",
            pipeline.text_encoder_2.config.d_model,
            "transformer (joint_attention_dim)",
            network.joint_attention_dim,
        )

    def split_prompt(self, prompt: str) -> tuple[Chunk, ...]:
        """Cut a prompt into windows of T5's length, each beside CLIP's first window.

        CLIP gives one vector and no more, so it sees the prompt's first 75 tokens.
        """
        clip, t5 = self.tokenizers
        first = clip_windows(clip, prompt)[0]
        return tuple((first, window) for window in t5_windows(t5, prompt, self.max_text_tokens))

    def _encode_windows(self, ids: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """T5's last layer, CLIP's pooled vector. T5 sees its padding: the model was trained so."""
        clip, t5 = (
            encoder(ids_BN) for encoder, ids_BN in zip(self.text_encoders, ids, strict=True)
        )
        return t5[0], clip.pooler_output

    def predict(
        self,
        network: nn.Module,
        noisy_BCHW: Tensor,
        t_B: Tensor,
        text: Text,
        size_ids_B6: Tensor,
    ) -> Tensor:
        """Predict the velocity noise - x0, float32, at t in [0, 1]; this model knows no sizes."""
        del size_ids_B6
        count, _, height, width = noisy_BCHW.shape
        text = text.to(self.device)
        with self._autocast(network):
            packed_BND = network(
                hidden_states=pack(noisy_BCHW.to(self.device, self.dtype)),
                timestep=t_B.to(self.device, torch.float32),
                guidance=self._guidance(count),
                pooled_projections=text.pooled_BD,
                encoder_hidden_states=text.hidden_BND,
                txt_ids=torch.zeros(text.hidden_BND.shape[1], 3, device=self.device),
                img_ids=image_ids(height, width, self.device),
                return_dict=False,
            )[0]
        return unpack(packed_BND, height, width).float()

    def _guidance(self, count: int) -> Tensor | None:
        if not self.has_guidance:
            return None
        return torch.full((count,), self.train_guidance, device=self.device)

    def _paint(
        self, painter: Any, text: Text, empty: Text, guidance: float, options: dict[str, Any]
    ) -> Tensor:
        if self.has_guidance:
            guide: dict[str, Any] = {"guidance_scale": guidance}
        else:
            guide = {
                "true_cfg_scale": guidance,
                "negative_prompt_embeds": empty.hidden_BND,
                "negative_pooled_prompt_embeds": empty.pooled_BD,
            }
        packed_BND = painter(
            prompt_embeds=text.hidden_BND, pooled_prompt_embeds=text.pooled_BD, **guide, **options
        ).images
        scale = self.autoencoder.scale
        return unpack(packed_BND, options["height"] // scale, options["width"] // scale)

    def _network_settings(self) -> str:
        return f"{self.train_guidance if self.has_guidance else None}\n"


def pack(latents_BCHW: Tensor) -> Tensor:
    """Put each 2x2 square of a latent into one token: (B, H/2 W/2, 4C)."""
    count, channels, height, width = latents_BCHW.shape
    squares = latents_BCHW.reshape(count, channels, height // 2, 2, width // 2, 2)
    return squares.permute(0, 2, 4, 1, 3, 5).reshape(count, -1, channels * 4)


def unpack(packed_BND: Tensor, height: int, width: int) -> Tensor:
    """Undo `pack` for latents of this height and width."""
    count, _, features = packed_BND.shape
    squares = packed_BND.reshape(count, height // 2, width // 2, features // 4, 2, 2)
    return squares.permute(0, 3, 1, 4, 2, 5).reshape(count, features // 4, height, width)


def image_ids(height: int, width: int, device: torch.device) -> Tensor:
    """Each token's place in the picture, (H/2 W/2, 3): zero, row, column."""
    rows, columns = torch.meshgrid(
        torch.arange(height // 2, device=device),
        torch.arange(width // 2, device=device),
        indexing="ij",
    )
    return torch.stack([torch.zeros_like(rows), rows, columns], -1).view(-1, 3).float()
