"""What losses do to a batch, sample by sample: (B, ...) in, (B,) out, in float32 or better."""

import math

import torch
from torch import Tensor


def precise(x: Tensor) -> Tensor:
    """The same in float32, or as it is where it is float64."""
    return x if x.dtype == torch.float64 else x.float()


def mean_of(x: Tensor) -> Tensor:
    """The mean over everything but the batch, shape (B,)."""
    return x.flatten(1).mean(1)


def norm_of(x: Tensor) -> Tensor:
    """The L2 norm over everything but the batch, shape (B,)."""
    norm: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return norm


def spread(per_sample: Tensor, like: Tensor) -> Tensor:
    """Give a (B,) tensor the trailing dimensions of `like`."""
    return per_sample.view(-1, *[1] * (like.dim() - 1))


def least_norm(x: Tensor) -> float:
    """A length below which a prediction counts as equal to what it is compared with."""
    return 1e-12 if x.dtype == torch.float64 else 1e-6 * math.sqrt(x[0].numel())


def outside_autocast(x: Tensor) -> torch.autocast:
    """Inside it x is computed with in its own precision."""
    return torch.autocast(device_type=x.device.type, enabled=False)


def per_sample(name: str, values: Tensor, like: Tensor) -> Tensor:
    """Return `values` in the precision and place of `like`. Raises ValueError for other than one a sample."""
    if values.shape != like.shape[:1]:
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}; one value per sample, shape "
            f"{tuple(like.shape[:1])}, is needed"
        )
    return values.detach().to(like)


def check_shapes(**tensors: Tensor) -> None:
    """Raise ValueError for what would broadcast: a loss over the wrong shape is wrong without a sign of it."""
    first, shape = next((name, tuple(t.shape)) for name, t in tensors.items())
    if len(shape) < 2:
        raise ValueError(f"{first} has shape {shape}; a batch (B, ...) is needed")
    check_same_shape(**tensors)


def check_same_shape(**tensors: Tensor) -> None:
    """Raise ValueError, with both names, where two shapes differ."""
    (first, shape), *others = ((name, tuple(t.shape)) for name, t in tensors.items())
    for name, other in others:
        if other != shape:
            raise ValueError(f"{name} has shape {other}, but {first} has {shape}")
