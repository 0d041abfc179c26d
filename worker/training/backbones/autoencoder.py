"""Pixels to latents and back."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from method.training.failures import InvalidConfig, PictureNotFinite


class Autoencoder:
    """A pipeline's VAE in float32: SDXL's overflows below. One image at a time: a batch would make
    the last bits depend on its neighbours, and with them a resumed run's.
    """

    def __init__(self, vae: Any, device: torch.device) -> None:
        """Take the VAE, loaded in float32. Raises InvalidConfig when its latents need more than scaling."""
        if vae.config.latents_mean is not None or vae.config.latents_std is not None:
            raise InvalidConfig(
                "model.path: this model normalises latents by channel (latents_mean, latents_std); "
                "Morelli does not train such models"
            )
        self.vae = vae.to(device).requires_grad_(False).eval()
        self.device = device
        self.released = False
        self.scaling: float = vae.config.scaling_factor
        self.shift: float = vae.config.shift_factor or 0.0

    @property
    def scale(self) -> int:
        """Pixels along one side of a latent."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def channels(self) -> int:
        """Channels of a latent."""
        return int(self.vae.config.latent_channels)

    def encode(self, pixels_CHW: Tensor) -> Tensor:
        """The mean of the latent's distribution, shifted and scaled, float32, on the CPU."""
        return self._run(
            lambda pixels: (self.vae.encode(pixels).latent_dist.mode() - self.shift) * self.scaling,
            pixels_CHW,
        )

    def decode(self, latent_CHW: Tensor) -> Tensor:
        """Pixels in [-1, 1], float32, on the CPU."""
        return self._run(
            lambda latent: self.vae.decode(latent / self.scaling + self.shift).sample.clamp(-1, 1),
            latent_CHW,
        )

    def release(self) -> None:
        """Keep off the GPU, but for the time that an image takes."""
        self.released = True
        self.vae.to("cpu")

    @torch.no_grad()
    def _run(self, compute: Any, input_CHW: Tensor) -> Tensor:
        self.vae.to(self.device)
        with torch.autocast(self.device.type, enabled=False):
            output: Tensor = compute(input_CHW[None].to(self.device, torch.float32))[0]
        if self.released:
            self.vae.to("cpu")
        return output.float().cpu()


def to_picture(pixels_CHW: Tensor) -> Image.Image:
    """Pixels in [-1, 1] as a picture, rounded as diffusers' pipelines round.

    Raises PictureNotFinite, where those would give a black one.
    """
    if not bool(pixels_CHW.isfinite().all()):
        raise PictureNotFinite
    values = ((pixels_CHW * 0.5 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).cpu().numpy())
