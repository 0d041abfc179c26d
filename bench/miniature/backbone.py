"""A world's model as the trainer takes models: it is trained, checkpointed and judged as SDXL is.

What a network sees of a picture is a point of its world, as a latent of one pixel.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor, nn

from bench.miniature.judging import WorldJudge
from bench.miniature.kinds import World
from bench.miniature.network import TARGETS, open_network
from bench.miniature.sampling import SPACING, denoise
from bench.miniature.schedule import make_schedule
from bench.miniature.worlds import open_world
from worker.agents.agent import Reader
from worker.training.backbones import Chunk, ChunkEncoding, Family, Text
from worker.training.backbones.adapter_files import read_adapter, write_adapter
from worker.training.backbones.autoencoder import to_picture
from worker.training.backbones.loading import OTHERS
from worker.training.backbones.network_files import read_network, write_network
from worker.training.backbones.weights import base_weights, hash_weights
from worker.training.denoising import Spacing
from worker.training.noise import Schedule
from worker.training.stopping import Between, go_on

CLASS = "MiniatureWorld"
"""In the model's index, where diffusers names a pipeline."""
WORLD = "world.json"
NETWORK = "unet"
"""What adapter files call the network: their format knows two names, and this is one."""


class MiniatureBackbone:
    """Implements Backbone."""

    # Nothing is read from this but the format of files for other programs, which the study does not write.
    family: Family = "sd15"
    lora_targets: tuple[str, ...] = TARGETS
    texts_together = 1

    def __init__(
        self, network: nn.Module, world: World, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.device, self.dtype, self.is_mixed = device, dtype, False
        self.network, self.world = network, world
        self.judge: Reader | None = WorldJudge(world)
        self.schedule: Schedule = make_schedule()

    @property
    def unit(self) -> int:
        return self.world.side

    @property
    def spacing(self) -> tuple[Spacing, int]:
        return SPACING, 0

    def fingerprint(self) -> str:
        return f"{CLASS}/3 {self.world.language.spoken} {hash_weights({'a picture': self._code()})}"

    def _code(self) -> Tensor:
        """How the autoencoder sees a picture: what it was fitted to decides that."""
        ramp = torch.linspace(-1, 1, 3 * self.unit**2).view(1, 3, self.unit, self.unit)
        return self.world.points_of(ramp)

    def network_fingerprint(self) -> str:
        return hash_weights(base_weights(self.network))

    def split_prompt(self, prompt: str) -> tuple[Chunk, ...]:
        """One window: the places of the prompt's words."""
        return (((*self.world.language.words_of([prompt])[0].nonzero().flatten().tolist(),),),)

    def encode_chunks(self, chunks: Sequence[Chunk]) -> list[ChunkEncoding]:
        """1 for each word that is there."""
        words_CV = torch.zeros(len(chunks), len(self.world.language.spoken))
        for words_V, chunk in zip(words_CV, chunks, strict=True):
            words_V[list(chunk[0])] = 1
        return [ChunkEncoding(words_V[None].clone(), torch.empty(0)) for words_V in words_CV]

    def together(self, size: tuple[int, int]) -> int:
        del size
        return 1

    def encode_images(self, pixels_BCHW: Tensor) -> Tensor:
        points = [self.world.points_of(pixels_CHW[None]) for pixels_CHW in pixels_BCHW]
        return torch.cat(points).view(len(pixels_BCHW), self.world.size, 1, 1)

    def decode_image(self, latent_CHW: Tensor) -> Tensor:
        return self.world.pixels_of(latent_CHW.view(1, -1))[0].clamp(-1, 1)

    def release_encoders(self) -> None:
        """There are none."""

    def predict(
        self, network: nn.Module, noisy_BCHW: Tensor, t_B: Tensor, text: Text, size_ids_B6: Tensor
    ) -> Tensor:
        del size_ids_B6
        predicted: Tensor = network(noisy_BCHW.flatten(1), t_B, text.hidden_BND[:, 0])
        return predicted.view_as(noisy_BCHW)

    @torch.no_grad()
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
        """A picture that holds the point which was painted; the world has no guidance and one size."""
        del empty, guidance, size
        between()
        start_1D = torch.randn(1, self.world.size, generator=torch.Generator().manual_seed(seed))
        point_1D = denoise(network, start_1D, text.hidden_BND[:, 0], steps)
        return to_picture(self.decode_image(point_1D[0]))

    def enable_gradient_checkpointing(self, network: nn.Module) -> None:
        """There is nothing to be won with so few activations."""

    def save_adapter(
        self, folder: Path, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
    ) -> Path:
        return write_adapter(folder, StableDiffusionPipeline, NETWORK, weights, metadata)

    def load_adapter(self, folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return read_adapter(folder, NETWORK)

    def save_network(self, folder: Path, weights: Mapping[str, Tensor]) -> Path:
        return write_network(folder, self.network, weights)

    def load_network(self, folder: Path) -> dict[str, Tensor]:
        return read_network(folder, self.network)


def write_model(folder: Path, network: nn.Module, world: str, seed: int) -> Path:
    """Write a network as a model that the trainer's `model.path` may name; of which world it says itself."""
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": CLASS}) + "\n")
    (folder / WORLD).write_text(json.dumps({"name": world, "seed": seed}) + "\n")
    write_network(folder / "network", network, dict(network.state_dict()))
    return folder


def load(folder: Path, device: torch.device, dtype: torch.dtype) -> MiniatureBackbone:
    """Load what `write_model` wrote."""
    world = open_world(**json.loads((folder / WORLD).read_text(encoding="utf-8")))
    return MiniatureBackbone(open_network(folder / "network"), world, device, dtype)


OTHERS[CLASS] = load
