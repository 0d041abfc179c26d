"""The tiny models' autoencoder: begins as a linear map that keeps hue and lightness, then is fitted to paintings.

A KL autoencoder this narrow does not learn flat colours from random weights: the last group normalisation of its encoder, and
of its decoder, takes mean and scale out of every picture. Here each of these two normalises channels that sum to nothing beside
large constants, so that it hardly moves with the picture, and the SiLU after it is asked where it is nearly a straight line.
What the encoder begins with is the mean lightness and the two mean colour differences of 4x4 pixels, and how they differ across
them; the decoder begins by interpolating between these means.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

LEVEL = 24.0
"""Of the constants, beside signals of about 1."""
STRAIGHT = 8.0
"""Where SiLU is a straight line to 3 parts in 1,000."""
RATE = 2e-3
BATCH = 4
SIDE = 32
"""Of the pieces of paintings that are learned from, in pixels: a picture's edges are not its middle."""

# Rec. 601's luma and colour differences of (red, green, blue), scaled so that each differs by about 1 in paintings.
COLOURS = torch.tensor([[0.598, 1.174, 0.228], [-0.845, -1.655, 2.5], [2.5, -2.095, -0.405]])


def fit_autoencoder(
    vae: Any, pictures_BCHW: Tensor, generator: torch.Generator, steps: int
) -> float:
    """Fit to reconstruct pieces of pictures in [-1, 1]; returns the last mean squared error.

    Sets the scaling (and shift) that gives latents unit variance.
    """
    begin_linear(vae)
    optimizer = torch.optim.Adam(vae.requires_grad_().parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=steps, pct_start=0.1
    )
    most = (pictures_BCHW.shape[-1] - SIDE) // 4 + 1
    error = torch.zeros(())
    for _ in range(steps):
        top, left = (4 * torch.randint(most, (2,), generator=generator)).tolist()
        picked = pictures_BCHW[torch.randint(len(pictures_BCHW), (BATCH,), generator=generator)]
        batch = picked[:, :, top : top + SIDE, left : left + SIDE]
        latents = vae.encode(batch).latent_dist.mode()
        error = mse_loss(vae.decode(latents).sample, batch)
        # A light pull toward 0 keeps the latents where diffusion can reach them.
        (error + 1e-5 * latents.square().mean()).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    _set_scaling(vae, pictures_BCHW[:64])
    return error.item()


@torch.no_grad()
def _set_scaling(vae: Any, pictures_BCHW: Tensor) -> None:
    latents = vae.encode(pictures_BCHW).latent_dist.mode()
    vae.register_to_config(scaling_factor=round(1 / float(latents.std()), 5))
    if vae.config.shift_factor is not None:
        vae.register_to_config(shift_factor=round(float(latents.mean()), 5))


@torch.no_grad()
def begin_linear(vae: Any) -> None:
    """Set the weights of an autoencoder of three blocks of 16 channels in two groups to the linear map."""
    for module in vae.modules():
        if type(module).__name__ == "ResnetBlock2D":
            _clear(module.conv2)  # then a block passes on what it is given
    _begin_encoder(vae.encoder, vae.config.latent_channels)
    _begin_decoder(vae.decoder)
    for convolution in (vae.quant_conv, vae.post_quant_conv):
        if convolution is not None:
            _clear(convolution)
            convolution.weight[:, :, 0, 0] = torch.eye(len(convolution.weight))


def _begin_encoder(encoder: Any, latent_channels: int) -> None:
    first, second = (encoder.down_blocks[level].downsamplers[0].conv for level in (0, 1))
    _clear(encoder.conv_in, slice(0, 3))
    encoder.conv_in.weight[:3, :, 1, 1] = torch.eye(3)
    # 2x2 pixels side by side in twelve channels, then 4x4 of them weighed.
    _clear(first, slice(0, 12))
    _clear(second)
    for pixel in range(16):
        (y, row), (x, column) = divmod(pixel // 4, 2), divmod(pixel % 4, 2)
        here = 3 * (2 * row + column)
        first.weight[here : here + 3, :3, row, column] = torch.eye(3)
        second.weight[:3, here : here + 3, y, x] = COLOURS / 16
        second.weight[8, here : here + 3, y, x] = COLOURS[0] * (x + y - 1) / 16
    second.weight[9] = -second.weight[8]
    _steady(second, encoder.conv_norm_out)
    out = encoder.conv_out
    _clear(out, slice(0, 4))
    for latent, channel in enumerate((0, 1, 2, 8)):
        out.weight[latent, channel, 1, 1] = 1
        out.bias[latent] = -STRAIGHT
    _clear(out, slice(latent_channels, None))
    out.bias[latent_channels:] = -10  # the logarithm of the variance: there is none


def _begin_decoder(decoder: Any) -> None:
    half = torch.tensor([0.25, 0.5, 0.25])
    _clear(decoder.conv_in, slice(0, 4))
    decoder.conv_in.weight[:4, :4, 1, 1] = torch.eye(4)
    first, second = (decoder.up_blocks[level].upsamplers[0].conv for level in (0, 1))
    for wider in (first, second):
        _clear(wider, slice(0, 4))
        for channel in range(4):
            wider.weight[channel, channel] = half[:, None] * half
    _steady(second, decoder.conv_norm_out)
    pixels = torch.linalg.inv(COLOURS)
    _clear(decoder.conv_out)
    decoder.conv_out.weight[:, :3, 1, 1] = pixels
    decoder.conv_out.bias[:] = -STRAIGHT * pixels.sum(1)


def _steady(last: nn.Conv2d, norm: nn.GroupNorm) -> None:
    """Have the norm pass on what the last convolution before it gives, in channels 0 to 2 and 8."""
    assert last.bias is not None
    last.weight[3] = -last.weight[:3].sum(0)  # the group's mean, too, is that of the constants
    last.weight[4:8], last.weight[14:16] = 0, 0
    last.bias[4:8] = LEVEL * torch.tensor([1.0, -1.0, 1.0, -1.0])
    last.bias[14:16] = LEVEL * torch.tensor([1.0, -1.0])
    norm.weight[:8], norm.weight[8:] = LEVEL * 0.5**0.5, LEVEL * 0.5
    norm.bias[:] = STRAIGHT


def _clear(convolution: nn.Conv2d, channels: slice = slice(None)) -> None:
    assert convolution.bias is not None
    convolution.weight[channels], convolution.bias[channels] = 0, 0
