"""The teacher cache: what expert and reference predict of a noised image, computed once.

Timestep and noise are functions of run seed, epoch and image, and neither the expert nor the reference
changes. So their raw predictions can be kept, under the hash of everything they depend on, and every run
that differs in guidance, beta, loss or share of the data alone costs one pass of theta a step. Winner and
loser targets are not kept: they depend on the guidance.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from method.training.failures import NonFinite
from worker.training.files import read_tensors, write_tensors

FORMAT = "morelli-teacher/4"
DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the predictions for one noised image lie, and what they are where they lie there already."""

    path: Path
    predictions: dict[str, Tensor] | None
    """By name: "reference" and the expert's conditions, each (C, H, W)."""


class TeacherCache:
    """Predictions in a folder that runs may share."""

    def __init__(self, folder: Path, dtype: str, identity: Mapping[str, Any]) -> None:
        """`identity` names what all entries depend on: weights, precision, noise options, seed."""
        self.folder = folder
        self.dtype = DTYPES[dtype]
        facts = {"format": FORMAT, "dtype": dtype, **identity}
        self.identity = json.dumps(facts, sort_keys=True)

    def look_up(self, facts: Mapping[str, Any]) -> Entry:
        """Find the entry of one noised image; `facts` name the image, its crop, epoch, t and texts."""
        text = self.identity + json.dumps(facts, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder / key[:2] / f"{key}.safetensors"
        return Entry(path, read_tensors(path))

    def as_kept(self, predictions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Predictions (B, C, H, W) as they will be read, so that both give the same run.

        Waits for the device once. Raises NonFinite for what is never to be kept.
        """
        together = torch.stack(list(predictions.values())).to(self.dtype).cpu()
        for name, each in zip(predictions, together, strict=True):
            if not bool(torch.isfinite(each).all()):
                who = "reference" if name == "reference" else f"expert (asked for: {name})"
                raise NonFinite(
                    f"What the {who} predicts is not finite in {str(self.dtype).removeprefix('torch.')}. "
                    "Nothing was kept; choose teacher.dtype fp32 or precision fp32, and look at the base "
                    "model's and the expert's weights"
                )
        return dict(zip(predictions, together, strict=True))

    def keep(self, entry: Entry, predictions: Mapping[str, Tensor]) -> None:
        write_tensors(entry.path, {name: each.contiguous() for name, each in predictions.items()})


def stack(found: Sequence[Mapping[str, Tensor]], device: torch.device) -> dict[str, Tensor]:
    """Put predictions of several images together, float32 (B, C, H, W) each."""
    return {
        name: torch.stack([each[name] for each in found]).to(device, non_blocking=True).float()
        for name in found[0]
    }
