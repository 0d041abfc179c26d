"""Stable Diffusion XL."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from method.training.failures import InvalidConfig
from worker.training.backbones import Chunk, Family, Text
from worker.training.backbones.parts import refuse_other_width
from worker.training.backbones.text_windows import clip_windows
from worker.training.backbones.unets import UNetBackbone


class SDXL(UNetBackbone):
    """An SDXL pipeline. Implements Backbone."""

    family: Family = "sdxl"
    pipeline_class = StableDiffusionXLPipeline
    text_parts = ("text_encoder", "text_encoder_2")
    part_classes = {
        "unet": (UNet2DConditionModel,),
        "vae": (AutoencoderKL,),
        "text_encoder": (CLIPTextModel, CLIPTextModelWithProjection),
        "text_encoder_2": (CLIPTextModelWithProjection,),
    }
    unused_parts = {"image_encoder": None, "feature_extractor": None, "add_watermarker": False}

    def _check_widths(self, pipeline: Any) -> None:
        unet = pipeline.unet.config
        encoders = [pipeline.text_encoder.config, pipeline.text_encoder_2.config]
        widths = sum(each.hidden_size for each in encoders)
        refuse_other_width(
            "text_encoder and text_encoder_2 together", widths, "unet", unet.cross_attention_dim
        )
        if unet.addition_embed_type != "text_time":
            raise InvalidConfig(
                "model.path: the unet of this StableDiffusionXLPipeline does not take SDXL's sizes "
                f"(addition_embed_type is {unet.addition_embed_type}); put the unet of the encoders' model there"
            )
        refuse_other_width(
            "text_encoder_2 with six sizes",
            encoders[1].projection_dim + 6 * unet.addition_time_embed_dim,
            "unet (projection_class_embeddings_input_dim)",
            unet.projection_class_embeddings_input_dim,
        )

    def split_prompt(self, prompt: str) -> tuple[Chunk, ...]:
        """Cut a prompt into windows of 75 tokens with start, end and padding."""
        per_tokenizer = [clip_windows(tokenizer, prompt) for tokenizer in self.tokenizers]
        longest = max(map(len, per_tokenizer))
        for tokenizer, windows in zip(self.tokenizers, per_tokenizer, strict=True):
            windows += clip_windows(tokenizer, "") * (longest - len(windows))
        return tuple(zip(*per_tokenizer, strict=True))

    def _encode_windows(self, ids: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Both encoders' last but one layer, the second's pooled vector."""
        outputs = [
            encoder(ids_BN, output_hidden_states=True)
            for encoder, ids_BN in zip(self.text_encoders, ids, strict=True)
        ]
        hidden_BND = torch.cat([output.hidden_states[-2] for output in outputs], -1)
        return hidden_BND, outputs[-1][0]

    def predict(
        self,
        network: nn.Module,
        noisy_BCHW: Tensor,
        t_B: Tensor,
        text: Text,
        size_ids_B6: Tensor,
    ) -> Tensor:
        """Predict the noise or v, float32; size ids are (original h, w, crop top, left, target h, w)."""
        text = text.to(self.device)
        with self._autocast(network):
            predicted: Tensor = network(
                noisy_BCHW.to(self.device, self.dtype),
                t_B.to(self.device),
                encoder_hidden_states=text.hidden_BND,
                added_cond_kwargs={
                    "text_embeds": text.pooled_BD,
                    "time_ids": size_ids_B6.to(self.device, self.dtype),
                },
                return_dict=False,
            )[0]
        return predicted.float()

    def _paint(
        self, painter: Any, text: Text, empty: Text, guidance: float, options: dict[str, Any]
    ) -> Tensor:
        if self.pipeline.config.force_zeros_for_empty_prompt:
            # What users of the pipeline get for no negative prompt.
            empty = Text(torch.zeros_like(text.hidden_BND), torch.zeros_like(text.pooled_BD))
        latents: Tensor = painter(
            prompt_embeds=text.hidden_BND,
            pooled_prompt_embeds=text.pooled_BD,
            negative_prompt_embeds=empty.hidden_BND,
            negative_pooled_prompt_embeds=empty.pooled_BD,
            guidance_scale=guidance,
            **options,
        ).images
        return latents
