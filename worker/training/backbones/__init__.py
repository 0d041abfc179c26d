"""What training needs of a diffusion model, whichever it is.

Shape letters: B batch, C channels, H and W latent height and width, N text tokens, D features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from worker.agents.agent import Reader
from worker.training.denoising import Spacing
from worker.training.noise import Schedule
from worker.training.stopping import Between, go_on

Family = Literal["sd15", "sdxl", "flux"]

Chunk = tuple[tuple[int, ...], ...]
"""One window of a prompt: for each text encoder the ids of a full window, start and end included."""


@dataclass(frozen=True, slots=True)
class ChunkEncoding:
    """One encoded window."""

    hidden_ND: Tensor
    pooled_D: Tensor
    """Empty for models that take no pooled embedding."""


@dataclass(frozen=True, slots=True)
class Text:
    """A batch of encoded prompts, all of the same number of windows."""

    hidden_BND: Tensor
    pooled_BD: Tensor

    def row(self, index: int) -> "Text":
        """One prompt of the batch, as a batch of one."""
        chosen = slice(index, index + 1)
        return Text(self.hidden_BND[chosen], self.pooled_BD[chosen])

    def split(self, rows: int) -> "list[Text]":
        """Batches of as many prompts, the last of as many as are left."""
        parts = zip(self.hidden_BND.split(rows), self.pooled_BD.split(rows), strict=True)
        return [Text(hidden, pooled) for hidden, pooled in parts]

    def to(self, device: torch.device) -> "Text":
        """The same on another device."""
        return Text(
            self.hidden_BND.to(device, non_blocking=True),
            self.pooled_BD.to(device, non_blocking=True),
        )


class Backbone(Protocol):
    """A pretrained model with one network that adapters attach to."""

    family: Family
    device: torch.device
    dtype: torch.dtype
    """What everything but the autoencoder is computed in."""
    is_mixed: bool
    """Whether a network takes part whose weights are more precise than that: then all are computed alike."""
    network: nn.Module
    """The frozen pretrained network."""
    schedule: Schedule
    lora_targets: tuple[str, ...]
    """Ends of the names of the layers that diffusers' own scripts adapt in this model."""
    judge: Reader | None
    """Who counts attributes in its pictures, where the measured agent would not know them."""
    texts_together: int
    """How many windows of prompts are encoded at once."""

    @property
    def unit(self) -> int:
        """Sides of pictures must be multiples of this many pixels."""

    @property
    def spacing(self) -> tuple[Spacing, int]:
        """How its own sampler spaces timesteps, and what it adds to leading ones."""

    def fingerprint(self) -> str:
        """A hash of all that decides the encodings of images and texts."""

    def network_fingerprint(self) -> str:
        """A hash of the network's pretrained weights."""

    def split_prompt(self, prompt: str) -> tuple[Chunk, ...]:
        """Cut a prompt into as many windows as it needs, at least one; nothing is dropped."""

    def encode_chunks(self, chunks: Sequence[Chunk]) -> list[ChunkEncoding]:
        """Encode windows; on the CPU. What comes of one depends on no other."""

    def together(self, size: tuple[int, int]) -> int:
        """How many pictures of `size` (width, height) are encoded at once."""

    def encode_images(self, pixels_BCHW: Tensor) -> Tensor:
        """Encode pixels in [-1, 1] to latents (B, C, H, W), float32, on the CPU. What comes of one depends on no
        other; what is not finite stays so.
        """

    def decode_image(self, latent_CHW: Tensor) -> Tensor:
        """Decode a latent to pixels (3, H, W) in [-1, 1], float32, on the CPU."""

    def release_encoders(self) -> None:
        """Give back the GPU memory of what only encodes texts and images."""

    def predict(
        self,
        network: nn.Module,
        noisy_BCHW: Tensor,
        t_B: Tensor,
        text: Text,
        size_ids_B6: Tensor,
    ) -> Tensor:
        """Have `network` predict what the schedule's target is, float32, (B, C, H, W).

        `network` is this backbone's, a copy of it, or either wrapped.
        """

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
        """Make one picture of `size` (width, height), as diffusers' own pipeline does.

        `between` is called after each denoising step, and may raise.
        """

    def enable_gradient_checkpointing(self, network: nn.Module) -> None:
        """Have a network compute activations again in the backward pass."""

    def save_adapter(
        self, folder: Path, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
    ) -> Path:
        """Write an adapter for `load_lora_weights` of diffusers and return the file."""

    def load_adapter(self, folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read what `save_adapter` wrote, or the adapter in a run folder. Raises InvalidConfig."""

    def save_network(self, folder: Path, weights: Mapping[str, Tensor]) -> Path:
        """Write a whole network as `from_pretrained` of diffusers reads it; return the weights file."""

    def load_network(self, folder: Path) -> dict[str, Tensor]:
        """Read what `save_network` wrote, or the network in a run folder. Raises InvalidConfig."""


def join_chunks(
    prompts: Sequence[Sequence[ChunkEncoding]], empty: ChunkEncoding, windows: int = 0
) -> Text:
    """Make a batch of prompts, each filled up with windows of the empty prompt: to `windows` of them, or
    to as many as the longest has.

    The pooled embedding is the first window's: it is one vector, made from one window.
    """
    longest = max(windows, *(len(chunks) for chunks in prompts))
    filled = [[*chunks, *[empty] * (longest - len(chunks))] for chunks in prompts]
    return Text(
        hidden_BND=torch.stack([torch.cat([c.hidden_ND for c in chunks]) for chunks in filled]),
        pooled_BD=torch.stack([chunks[0].pooled_D for chunks in filled]),
    )
