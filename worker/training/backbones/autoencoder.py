"""Pixels to latents and back."""

import math
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from method.training.failures import InvalidConfig, PictureNotFinite

BYTES_A_PIXEL = 20
"""What a pixel takes while it is encoded, for each channel of the first block: five activations in float32. Counted on
SDXL's at 1024 px; 10 in bf16."""
MOST_TOGETHER = 16
"""More pictures at once are no faster."""
MOST_ERROR = 0.02
"""Latents in bf16 may be as far from those in float32, where noise has a deviation of 1: half the power of the least
noise that the schedules of SD 1.5 and SDXL ever add (0.00085), and each step adds that or more."""
PROBED_SIDE = 256
"""Pixels of the picture on which that is measured."""


class Autoencoder:
    """A pipeline's VAE, its weights in float32. It decodes in float32: SDXL's overflows in fp16, and pictures show
    what bf16 rounds.
    """

    def __init__(
        self, vae: Any, device: torch.device, *, may_round: bool = False, room: int = 0
    ) -> None:
        """Take the VAE, loaded in float32. Raises InvalidConfig when its latents need more than scaling.

        It encodes in bf16 where it `may_round` and measurably loses little by that. `room` is how many bytes
        several pictures that are encoded together may take; 0: they are encoded one by one.
        """
        if vae.config.latents_mean is not None or vae.config.latents_std is not None:
            raise InvalidConfig(
                "model.path: this model normalises latents by channel (latents_mean, latents_std); "
                "Morelli does not train such models"
            )
        self.vae = vae.to(device).requires_grad_(False).eval()
        self.device, self.may_round, self.room = device, may_round, room
        self.released = False
        self.scaling: float = vae.config.scaling_factor
        self.shift: float = vae.config.shift_factor or 0.0
        # Pictures may be encoded in one thread while another shows a sample.
        self._turn = threading.RLock()

    @property
    def scale(self) -> int:
        """Pixels along one side of a latent."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def channels(self) -> int:
        """Channels of a latent."""
        return int(self.vae.config.latent_channels)

    @cached_property
    def dtype(self) -> torch.dtype:
        """What pictures are encoded in."""
        is_near = self.may_round and self.bf16_error() <= MOST_ERROR
        return torch.bfloat16 if is_near else torch.float32

    def together(self, size: tuple[int, int]) -> int:
        """How many pictures of `size` (width, height) are encoded at once."""
        channels, (width, height) = int(self.vae.config.block_out_channels[0]), size
        return max(1, min(MOST_TOGETHER, self.room // (BYTES_A_PIXEL * channels * width * height)))

    def encode(self, pixels_BCHW: Tensor) -> Tensor:
        """The means of the latents' distributions, shifted and scaled, float32, on the CPU.

        What comes of a picture does not depend on what it is encoded with. What is not finite in bf16 is
        computed in float32.
        """
        latents_BCHW = self._encode(pixels_BCHW, self.dtype)
        is_odd_B = torch.isfinite(latents_BCHW).flatten(1).all(1).logical_not()
        if self.dtype != torch.float32 and bool(is_odd_B.any()):
            latents_BCHW[is_odd_B] = self._encode(pixels_BCHW[is_odd_B], torch.float32)
        return latents_BCHW

    def decode(self, latent_CHW: Tensor) -> Tensor:
        """Pixels in [-1, 1], float32, on the CPU."""
        return self._run(
            lambda latent: self.vae.decode(latent / self.scaling + self.shift).sample.clamp(-1, 1),
            latent_CHW[None],
            torch.float32,
        )[0]

    def bf16_error(self) -> float:
        """How far latents in bf16 lie from those in float32: the root mean square, in the units in which noise has a
        deviation of 1; infinite where they are not finite. Measured on a picture that is drawn here.
        """
        picture_BCHW = _draw_picture(PROBED_SIDE)[None]
        exact, rounded = (
            self._encode(picture_BCHW, dtype) for dtype in (torch.float32, torch.bfloat16)
        )
        error = float((rounded - exact).square().mean().sqrt())
        return error if math.isfinite(error) else math.inf

    def release(self) -> None:
        """Keep off the GPU, but for the time that an image takes."""
        with self._turn:
            self.released = True
            self.vae.to("cpu")

    def _encode(self, pixels_BCHW: Tensor, dtype: torch.dtype) -> Tensor:
        height, width = pixels_BCHW.shape[2:]
        return in_full_batches(
            lambda some: self._run(
                lambda pixels: (
                    (self.vae.encode(pixels).latent_dist.mode() - self.shift) * self.scaling
                ),
                some,
                dtype,
            ),
            pixels_BCHW,
            self.together((width, height)),
        )

    @torch.no_grad()
    def _run(self, compute: Any, inputs_BCHW: Tensor, dtype: torch.dtype) -> Tensor:
        rounds = dtype == torch.bfloat16
        with self._turn:
            self.vae.to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=rounds):
                output: Tensor = compute(inputs_BCHW.to(self.device, torch.float32))
            if self.released:
                self.vae.to("cpu")
            return output.float().cpu()


def in_full_batches(compute: Callable[[Tensor], Tensor], rows_B: Tensor, together: int) -> Tensor:
    """Compute so many rows at once, the last ones filled up with copies.

    Which kernels are chosen depends on how many rows there are, and with them the last bits: so it is always as
    many, and a run that was stopped between two pictures comes to the same ones.
    """
    found = []
    for some_B in rows_B.split(together):
        copies = some_B[-1:].expand(together - len(some_B), *some_B.shape[1:])
        found.append(compute(torch.cat([some_B, copies]))[: len(some_B)])
    return torch.cat(found)


def _draw_picture(side: int) -> Tensor:
    """A square picture (3, side, side) in [-1, 1] with slopes, edges and grain."""
    generator = torch.Generator().manual_seed(0)
    along = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(along, along, indexing="ij")
    slopes_CHW = torch.stack([x, y, torch.sin(6 * x * y)])
    edges_HW = ((torch.sin(20 * x) > 0) ^ (y > x)).float() - 0.5
    grain_CHW = 0.1 * torch.randn(3, side, side, generator=generator)
    return (0.6 * slopes_CHW + 0.5 * edges_HW + grain_CHW).clamp(-1, 1)


def to_picture(pixels_CHW: Tensor) -> Image.Image:
    """Pixels in [-1, 1] as a picture, rounded as diffusers' pipelines round.

    Raises PictureNotFinite, where those would give a black one.
    """
    if not bool(pixels_CHW.isfinite().all()):
        raise PictureNotFinite
    values = ((pixels_CHW * 0.5 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).cpu().numpy())
