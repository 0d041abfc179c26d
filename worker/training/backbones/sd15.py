"""Stable Diffusion 1.5."""

from collections.abc import Sequence
from typing import Any

from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from method.training.failures import InvalidConfig
from worker.training.backbones import Chunk, Family, Text
from worker.training.backbones.parts import refuse_other_width
from worker.training.backbones.text_windows import clip_windows
from worker.training.backbones.unets import UNetBackbone


class SD15(UNetBackbone):
    """A Stable Diffusion pipeline, its safety checker never loaded. Implements Backbone."""

    family: Family = "sd15"
    pipeline_class = StableDiffusionPipeline
    text_parts = ("text_encoder",)
    part_classes = {
        "unet": (UNet2DConditionModel,),
        "vae": (AutoencoderKL,),
        "text_encoder": (CLIPTextModel,),
    }
    unused_parts = {
        "safety_checker": None,
        "feature_extractor": None,
        "image_encoder": None,
        "requires_safety_checker": False,
    }

    def _check_widths(self, pipeline: Any) -> None:
        unet = pipeline.unet.config
        refuse_other_width(
            "text_encoder",
            pipeline.text_encoder.config.hidden_size,
            "unet",
            unet.cross_attention_dim,
        )
        if unet.addition_embed_type is not None or unet.class_embed_type is not None:
            raise InvalidConfig(
                "model.path: the unet of this StableDiffusionPipeline wants more than latents and text, as "
                "SDXL's does; put the unet of the encoder's model there"
            )

    def split_prompt(self, prompt: str) -> tuple[Chunk, ...]:
        """Cut a prompt into windows of 75 tokens with start, end and padding."""
        return tuple((window,) for window in clip_windows(self.tokenizers[0], prompt))

    def _encode_windows(self, ids: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The encoder's normalised last layer; nothing pooled."""
        (encoder,), (ids_BN,) = self.text_encoders, ids
        hidden_BND: Tensor = encoder(ids_BN)[0]
        return hidden_BND, hidden_BND.new_empty(len(hidden_BND), 0)

    def predict(
        self,
        network: nn.Module,
        noisy_BCHW: Tensor,
        t_B: Tensor,
        text: Text,
        size_ids_B6: Tensor,
    ) -> Tensor:
        """Predict the noise or v, float32; this model knows no sizes."""
        del size_ids_B6
        with self._autocast(network):
            predicted: Tensor = network(
                noisy_BCHW.to(self.device, self.dtype),
                t_B.to(self.device),
                encoder_hidden_states=text.hidden_BND.to(self.device),
                return_dict=False,
            )[0]
        return predicted.float()

    def _paint(
        self, painter: Any, text: Text, empty: Text, guidance: float, options: dict[str, Any]
    ) -> Tensor:
        latents: Tensor = painter(
            prompt_embeds=text.hidden_BND,
            negative_prompt_embeds=empty.hidden_BND,
            guidance_scale=guidance,
            **options,
        ).images
        return latents
