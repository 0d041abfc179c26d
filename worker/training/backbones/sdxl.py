"""Stable Diffusion XL."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler, EulerDiscreteScheduler, StableDiffusionXLPipeline
from diffusers.utils.logging import disable_progress_bar
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from worker.training.backbones import Chunk, ChunkEncoding, Text
from worker.training.config import Model
from worker.training.failures import InvalidConfig

WEIGHTS_NAME = "pytorch_lora_weights.safetensors"
METADATA_KEY = "lora_adapter_metadata"


class SDXL:
    """An SDXL pipeline taken apart for training. Implements Backbone."""

    def __init__(self, pipeline: Any, device: torch.device, dtype: torch.dtype) -> None:
        """Take a loaded StableDiffusionXLPipeline, its VAE in fp32: SDXL's overflows below."""
        self.device, self.dtype = device, dtype
        # diffusers' classes are invisible to a type checker, hence Any.
        self.pipeline = pipeline
        self.network: nn.Module = pipeline.unet.to(device).requires_grad_(False).eval()
        self.vae: Any = pipeline.vae.to(device).requires_grad_(False).eval()
        self.tokenizers = (pipeline.tokenizer, pipeline.tokenizer_2)
        self.text_encoders: tuple[Any, ...] = tuple(
            encoder.to(device).requires_grad_(False).eval()
            for encoder in (pipeline.text_encoder, pipeline.text_encoder_2)
        )
        schedule: Any = DDPMScheduler
        self.alphas_cumprod_T: Tensor = schedule.from_config(
            pipeline.scheduler.config
        ).alphas_cumprod

    def check_resolution(self, resolution: int) -> None:
        """Raise InvalidConfig when latents of this size do not fit the network."""
        halvings = len(self.pipeline.unet.config.block_out_channels) - 1
        unit = self.pipeline.vae_scale_factor * 2**halvings
        if resolution % unit:
            raise InvalidConfig(
                f"data.resolution: must be a multiple of {unit} for this model; got {resolution}"
            )

    def fingerprint(self) -> str:
        """A hash of the VAE, the text encoders and the precision."""
        digest = hashlib.sha256(f"sdxl/1 {self.dtype}".encode())
        digest.update(str(self.vae.config.scaling_factor).encode())
        for part in (self.vae, *self.text_encoders):
            for name, tensor in sorted(part.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor_bytes(tensor))
        return digest.hexdigest()

    def split_prompt(self, prompt: str) -> tuple[Chunk, ...]:
        """Cut a prompt into windows of 75 tokens with start, end and padding."""
        per_tokenizer = [_windows(tokenizer, prompt) for tokenizer in self.tokenizers]
        longest = max(map(len, per_tokenizer))
        for tokenizer, windows in zip(self.tokenizers, per_tokenizer, strict=True):
            windows += _windows(tokenizer, "") * (longest - len(windows))
        return tuple(zip(*per_tokenizer, strict=True))

    @torch.no_grad()
    def encode_chunk(self, chunk: Chunk) -> ChunkEncoding:
        """Encode one window: both encoders' last but one layer, the second's pooled vector."""
        hidden, pooled = [], None
        for encoder, ids in zip(self.text_encoders, chunk, strict=True):
            output = encoder(torch.tensor([ids], device=encoder.device), output_hidden_states=True)
            hidden.append(output.hidden_states[-2][0])
            pooled = output[0][0]
        assert pooled is not None
        return ChunkEncoding(torch.cat(hidden, -1).cpu(), pooled.cpu())

    @torch.no_grad()
    def encode_image(self, pixels_CHW: Tensor) -> Tensor:
        """Encode to the mean of the latent's distribution, scaled.

        One image at a time: a batch would make the last bits depend on its neighbours, and with
        them a resumed run's.
        """
        posterior = self.vae.encode(pixels_CHW[None].to(self.device)).latent_dist
        latent: Tensor = posterior.mode()[0] * self.vae.config.scaling_factor
        return latent.float().cpu()

    def release_encoders(self) -> None:
        """Move the text encoders off the GPU."""
        if self.device.type != "cpu":
            for encoder in self.text_encoders:
                encoder.to("cpu")
            torch.cuda.empty_cache()

    def predict(self, noisy_BCHW: Tensor, t_B: Tensor, text: Text, size_ids_B6: Tensor) -> Tensor:
        """Predict the noise, float32, with the adapters that are active."""
        text = text.to(self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            predicted: Tensor = self.network(
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

    @torch.no_grad()
    def sample(
        self,
        text: Text,
        empty: Text,
        *,
        seed: int,
        steps: int,
        guidance: float,
        resolution: int,
    ) -> Image.Image:
        """Make one picture with the adapters that are active, as diffusers' own pipeline does."""
        text, empty = text.to(self.device), empty.to(self.device)
        if self.pipeline.config.force_zeros_for_empty_prompt:
            # What users of the pipeline get for no negative prompt.
            empty = Text(torch.zeros_like(text.hidden_BND), torch.zeros_like(text.pooled_BD))
        self.pipeline.set_progress_bar_config(disable=True)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            latents = self.pipeline(
                prompt_embeds=text.hidden_BND,
                pooled_prompt_embeds=text.pooled_BD,
                negative_prompt_embeds=empty.hidden_BND,
                negative_pooled_prompt_embeds=empty.pooled_BD,
                height=resolution,
                width=resolution,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=torch.Generator().manual_seed(seed),
                output_type="latent",
            ).images
        pixels = self.vae.decode(latents.float() / self.vae.config.scaling_factor).sample[0]
        values = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return Image.fromarray(values.permute(1, 2, 0).cpu().numpy())

    def save_adapter(
        self, folder: Path, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
    ) -> Path:
        """Write an adapter for `load_lora_weights` of diffusers and return the file."""
        StableDiffusionXLPipeline.save_lora_weights(
            folder,
            unet_lora_layers={name: tensor.cpu() for name, tensor in weights.items()},
            unet_lora_adapter_metadata=dict(metadata),
        )
        _sort_header(folder / WEIGHTS_NAME)
        return folder / WEIGHTS_NAME

    def load_adapter(self, folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read an adapter folder, or the one in a run folder. Raises InvalidConfig."""
        places = (folder / WEIGHTS_NAME, folder / "adapter" / WEIGHTS_NAME)
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise InvalidConfig(f"{folder}: holds no {WEIGHTS_NAME}")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
                names = [name for name in file.keys() if name.startswith("unet.")]  # noqa: SIM118
                weights = {name.removeprefix("unet."): file.get_tensor(name) for name in names}
        except (SafetensorError, OSError, ValueError) as error:
            raise InvalidConfig(f"{path}: is not an adapter file: {error}") from error
        settings = {
            key.removeprefix("unet."): value
            for key, value in metadata.items()
            if key.startswith("unet.")
        }
        if not weights or "r" not in settings:
            raise InvalidConfig(f"{path}: holds no UNet adapter written by diffusers with peft")
        return weights, settings


def load_sdxl(model: Model, device: torch.device, dtype: torch.dtype) -> SDXL:
    """Load from a folder or the local hub cache; nothing is downloaded. Raises InvalidConfig."""
    disable_progress_bar()
    transformers_logging.disable_progress_bar()
    loader: Any = StableDiffusionXLPipeline
    try:
        pipeline = loader.from_pretrained(
            model.path,
            revision=model.revision,
            variant=model.variant,
            dtype={"vae": torch.float32, "default": dtype},
            local_files_only=True,
            use_safetensors=True,
            add_watermarker=False,
        )
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RuntimeError,
    ) as error:
        reason = " ".join(str(error).split())
        raise InvalidConfig(
            f"model.path: {model.path} cannot be loaded as an SDXL model from a folder or the local "
            f"hub cache: {reason}"
        ) from error
    kind = pipeline.scheduler.config.get("prediction_type", "epsilon")
    if kind != "epsilon":
        raise InvalidConfig(f"model.path: this model predicts {kind}; only epsilon is supported")
    schedule: Any = EulerDiscreteScheduler
    pipeline.scheduler = schedule.from_config(pipeline.scheduler.config)
    return SDXL(pipeline, device, dtype)


def _sort_header(path: Path) -> None:
    """Write a safetensors file's header in sorted order: its metadata comes in a random one, and the
    same weights must give the same file hash.
    """
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])


def tensor_bytes(tensor: Tensor) -> bytes:
    """The values of a tensor of any dtype, for hashing."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def _windows(tokenizer: Any, prompt: str) -> list[tuple[int, ...]]:
    """All tokens of a prompt in full windows of the encoder's length."""
    length = tokenizer.model_max_length
    ids = tokenizer(prompt, add_special_tokens=False, truncation=False, verbose=False).input_ids
    room = length - 2
    pieces = [ids[i : i + room] for i in range(0, len(ids), room)] or [[]]
    return [
        (tokenizer.bos_token_id, *piece, tokenizer.eos_token_id)
        + (tokenizer.pad_token_id,) * (room - len(piece))
        for piece in pieces
    ]
