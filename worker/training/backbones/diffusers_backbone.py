"""What all backbones made of a diffusers pipeline have in common: everything but texts and arithmetic."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor, nn

from worker.agents.agent import Reader
from worker.training.backbones import Chunk, ChunkEncoding, Family, Text
from worker.training.backbones.adapter_files import read_adapter, write_adapter
from worker.training.backbones.autoencoder import Autoencoder, to_picture
from worker.training.backbones.network_files import read_network, write_network
from worker.training.backbones.weights import base_weights, hash_weights
from worker.training.denoising import Spacing
from worker.training.noise import Schedule
from worker.training.stopping import Between, go_on

TEXTS_TOGETHER = 16
"""On a GPU: one window leaves it waiting for the next kernel most of the time."""
ROOM_SHARE = 1 / 16
"""Of a GPU's memory, for pictures that are encoded together: steps may go on beside."""


class DiffusersBackbone:
    """A pipeline taken apart for training: its network, autoencoder, text encoders and scheduler."""

    family: Family
    pipeline_class: ClassVar[Any]
    """diffusers' classes are invisible to a type checker, hence Any here and below."""
    network_name: ClassVar[str]
    """What pipelines and adapter files call the network."""
    text_parts: ClassVar[tuple[str, ...]]
    """The pipeline's text encoders, which stand beside tokenizers of like names."""
    part_classes: ClassVar[dict[str, tuple[Any, ...]]]
    """Every part with weights, and the classes whose arithmetic this is."""
    unused_parts: ClassVar[dict[str, Any]]
    """What is not to be loaded, as options of `from_pretrained`."""
    lora_targets: tuple[str, ...]
    schedule: Schedule
    judge: Reader | None = None

    def __init__(self, pipeline: Any, device: torch.device, dtype: torch.dtype) -> None:
        """Take a loaded pipeline, its autoencoder in float32.

        The network stays where it is, as it may be too large for the device: see `models.load_models`.
        """
        self.device, self.dtype, self.is_mixed = device, dtype, False
        self.pipeline = pipeline
        network = getattr(pipeline, self.network_name)
        self.network: nn.Module = network.requires_grad_(False).eval()
        self.autoencoder = _make_autoencoder(pipeline.vae, device, dtype)
        # One by one on a CPU, which gains nothing from more.
        self.texts_together = 1 if device.type == "cpu" else TEXTS_TOGETHER
        self.text_encoders: tuple[Any, ...] = tuple(
            getattr(pipeline, name).to(device).requires_grad_(False).eval()
            for name in self.text_parts
        )
        self._check_widths(pipeline)
        self.tokenizers: tuple[Any, ...] = tuple(
            getattr(pipeline, name.replace("text_encoder", "tokenizer")) for name in self.text_parts
        )

    @property
    def spacing(self) -> tuple[Spacing, int]:
        """As its scheduler's config says, or else as diffusers does by default."""
        config = self.pipeline.scheduler.config
        return config.get("timestep_spacing", "leading"), config.get("steps_offset", 0)

    def fingerprint(self) -> str:
        """A hash of the autoencoder, the text encoders and what either computes in."""
        rounding = "" if self.autoencoder.dtype == torch.float32 else ", latents rounded to bf16"
        digest = hashlib.sha256(f"{type(self).__name__}/3 {self.dtype}{rounding}\n".encode())
        for part in (self.autoencoder.vae, *self.text_encoders):
            digest.update(f"{type(part).__name__} {_settings_of(part)}".encode())
            digest.update(hash_weights(part.state_dict()).encode())
        return digest.hexdigest()

    def network_fingerprint(self) -> str:
        """A hash of all that decides the frozen network's predictions at a timestep, computed once."""
        return self._network_fingerprint

    def together(self, size: tuple[int, int]) -> int:
        """As many as find room on a GPU, one on a CPU."""
        return self.autoencoder.together(size)

    def encode_images(self, pixels_BCHW: Tensor) -> Tensor:
        """Encode to the means of the latents' distributions, shifted and scaled."""
        return self.autoencoder.encode(pixels_BCHW)

    @torch.no_grad()
    def encode_chunks(self, chunks: Sequence[Chunk]) -> list[ChunkEncoding]:
        """Encode as many at once as `texts_together` says, the last ones filled up: see `in_full_batches`."""
        found: list[ChunkEncoding] = []
        for start in range(0, len(chunks), self.texts_together):
            some = chunks[start : start + self.texts_together]
            filled = [*some, *[some[-1]] * (self.texts_together - len(some))]
            ids = [
                torch.tensor(of_encoder, device=encoder.device)
                for encoder, of_encoder in zip(
                    self.text_encoders, zip(*filled, strict=True), strict=True
                )
            ]
            hidden_BND, pooled_BD = (each.cpu() for each in self._encode_windows(ids))
            # Copies: a row would hold on to the memory of all.
            rows = zip(hidden_BND, pooled_BD, some, strict=False)
            found += [ChunkEncoding(hidden.clone(), pooled.clone()) for hidden, pooled, _ in rows]
        return found

    def decode_image(self, latent_CHW: Tensor) -> Tensor:
        """Decode a latent to pixels (3, H, W) in [-1, 1], float32, on the CPU."""
        return self.autoencoder.decode(latent_CHW)

    def release_encoders(self) -> None:
        """Move the text encoders and the autoencoder off the GPU; what is asked of them still works."""
        if self.device.type != "cpu":
            for encoder in self.text_encoders:
                encoder.to("cpu")
            self.autoencoder.release()
            self.texts_together = 1
            torch.cuda.empty_cache()

    def sample(
        self,
        network: nn.Module,
        text: Text,
        empty: Text,
        *,
        seed: int,
        steps: int,
        guidance: float,
        size: tuple[int, int],
        between: Between = go_on,
    ) -> Image.Image:
        """Make one picture of `size` (width, height) as diffusers' own pipeline does, with the model's
        own scheduler.

        `guidance` is classifier-free guidance against `empty`; 1 or less: none. A network with a
        guidance embedding takes it there instead, and `empty` is not used. `between` is called after each
        denoising step, and may raise.
        """
        width, height = size

        def after_step(
            _pipeline: Any, _step: int, _t: Any, tensors: dict[str, Any]
        ) -> dict[str, Any]:
            between()
            return tensors

        with torch.no_grad(), self._autocast(network):
            latents = self._paint(
                self._painter(network),
                text.to(self.device),
                empty.to(self.device),
                guidance,
                {
                    "width": width,
                    "height": height,
                    "num_inference_steps": steps,
                    "generator": torch.Generator().manual_seed(seed),
                    "output_type": "latent",
                    "callback_on_step_end": after_step,
                },
            )
        return to_picture(self.decode_image(latents[0]))

    def enable_gradient_checkpointing(self, network: nn.Module) -> None:
        """Have a network compute activations again in the backward pass."""
        checkpointed: Any = network
        checkpointed.enable_gradient_checkpointing()

    def save_adapter(
        self, folder: Path, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
    ) -> Path:
        """Write an adapter for `load_lora_weights` of diffusers and return the file."""
        return write_adapter(folder, self.pipeline_class, self.network_name, weights, metadata)

    def load_adapter(self, folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read an adapter folder, or the one in a run folder. Raises InvalidConfig."""
        return read_adapter(folder, self.network_name)

    def save_network(self, folder: Path, weights: Mapping[str, Tensor]) -> Path:
        """Write a whole network as `from_pretrained` of its class reads it; return the weights file."""
        return write_network(folder, self.network, weights)

    def load_network(self, folder: Path) -> dict[str, Tensor]:
        """Read a network folder, or the one in a run folder. Raises InvalidConfig."""
        return read_network(folder, self.network)

    def _check_widths(self, pipeline: Any) -> None:
        """Raise InvalidConfig where the text encoders do not give what the network takes."""
        raise NotImplementedError

    def _encode_windows(self, ids: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Encode windows, for each text encoder their tokens (B, N): hidden states (B, N, D) and pooled (B, D)."""
        raise NotImplementedError

    def _paint(
        self, painter: Any, text: Text, empty: Text, guidance: float, options: dict[str, Any]
    ) -> Tensor:
        """Call a pipeline; return latents (1, C, H, W) as the autoencoder takes them."""
        raise NotImplementedError

    def _painter(self, network: nn.Module) -> Any:
        """A pipeline of the network alone.

        A pipeline computes where its first module lies, and that may be an encoder that was moved
        away; so it gets none.
        """
        without = dict.fromkeys((*self.text_parts, "vae"))
        tokenizers = {name.replace("text_encoder", "tokenizer"): None for name in self.text_parts}
        scheduler = self.pipeline.scheduler
        painter = self.pipeline_class(
            scheduler=type(scheduler).from_config(scheduler.config),
            **{self.network_name: network},
            **without,
            **tokenizers,
            **self.unused_parts,
        )
        painter.vae_scale_factor = self.autoencoder.scale
        painter.set_progress_bar_config(disable=True)
        return painter

    def _autocast(self, network: nn.Module) -> torch.autocast:
        """For networks whose weights are more precise than what is computed, and whatever is compared with
        them: on a GPU it has norms compute in float32.

        Not where all weights have that dtype already: then norms would only read, write and keep twice as
        much, and compute what no pipeline computes that later paints with the adapter.
        """
        own = next(each for name, each in network.named_parameters() if ".lora_" not in name)
        is_needed = self.is_mixed or own.dtype != self.dtype
        enabled = is_needed and self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype, enabled=enabled)

    @cached_property
    def _network_fingerprint(self) -> str:
        digest = hashlib.sha256(f"{type(self.network).__name__} {self.dtype}\n".encode())
        digest.update(_settings_of(self.network).encode())
        digest.update(self._network_settings().encode())
        digest.update(hash_weights(base_weights(self.network)).encode())
        return digest.hexdigest()

    def _network_settings(self) -> str:
        """What else decides a prediction."""
        raise NotImplementedError


def _make_autoencoder(vae: Any, device: torch.device, dtype: torch.dtype) -> Autoencoder:
    """On a GPU it may round as the networks do, and encodes as many pictures at once as find room."""
    if device.type != "cuda":
        return Autoencoder(vae, device)
    rounds = dtype == torch.bfloat16 and torch.cuda.is_bf16_supported(including_emulation=False)
    room = int(ROOM_SHARE * torch.cuda.get_device_properties(device).total_memory)
    return Autoencoder(vae, device, may_round=rounds, room=room)


def _settings_of(part: Any) -> str:
    """What a network's config adds to its weights, such as the number of heads or a scaling factor."""
    config = part.config
    # diffusers' configs are mappings, those of transformers are objects.
    values = config.to_dict() if hasattr(config, "to_dict") else config
    settings = {name: value for name, value in values.items() if not name.startswith("_")}
    return json.dumps(settings, sort_keys=True, default=str) + "\n"
