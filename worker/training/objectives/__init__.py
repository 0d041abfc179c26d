"""What each objective learns from and how it computes its losses; the loop knows none of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from method.training.config import Config
from worker.training.backbones import Backbone
from worker.training.batches import Batch, Drawing, Noised
from worker.training.encodings import Encodings, Stored
from worker.training.losses import PreferenceLoss
from worker.training.noise import draw_share
from worker.training.plan import Pass, Shape
from worker.training.roles import Inputs, Roles
from worker.training.stopping import Between, go_on
from worker.training.teacher import TeacherCache


@dataclass(frozen=True, slots=True)
class Losses:
    """What a pass gives the loop: the losses to descend and what else to log, each (B,)."""

    loss_B: Tensor
    logged: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Parts:
    config: Config
    backbone: Backbone
    roles: Roles
    encodings: Encodings
    drawing: Drawing
    teacher: TeacherCache | None = None
    asks_ahead: bool = False
    """Whether the roles of `cores.AHEAD` are asked while a batch is loaded, in the thread that does that."""
    between: Between = go_on
    """Called between the parts of a pass that takes long, and may raise."""


class Encoded(Protocol):
    """What has to be encoded of items. An item is a labelled image or a pair of images."""

    def pictures(self, item: Any) -> tuple[Stored, ...]:
        """The pictures that have to be encoded for an item; the first one decides its shape."""

    def texts(self, item: Any) -> tuple[str, ...]:
        """The prompts that have to be encoded for an item."""

    def windows(self, item: Any) -> tuple[int, ...]:
        """How many windows each kind of text of an item is filled up to."""


class Objective(Encoded, Protocol):
    """One way of learning."""

    def item_id(self, item: Any) -> str:
        """What the item's draws belong to."""

    def is_usable(self, item: Any) -> bool:
        """Whether there is something to learn from the item."""

    def load(self, items: Sequence[Any], this_pass: Pass, shape: Shape, epoch: int) -> Batch:
        """Put items of one shape together, on the CPU; runs ahead in a thread.

        Asks roles ahead where `Parts.asks_ahead` says so.
        """

    def compute(self, batch: Batch) -> Losses:
        """The losses of a batch on the device, without waiting for it."""


def inputs_of(view: Noised, text: Any) -> Inputs:
    return Inputs(view.noisy_BCHW, view.t_B, text, view.size_ids_B6)


def content_of(parts: Parts, item_id: str, content: str, epoch: int) -> str:
    """The content prompt, or the empty one as often as the config drops it."""
    share = parts.config.objective.drop_content
    drops = share > 0 and draw_share(parts.config.seed, epoch, item_id, "content") < share
    return "" if drops else content


def scale_of(parts: Parts, view: Noised) -> Tensor:
    """The factor before the margin, beta * T * omega(lambda_t), of each sample (B,).

    Half of beta acts on mean errors, as in the public Diffusion-DPO code.
    """
    return parts.config.objective.beta / 2 * view.omega_B


def losses_of(found: PreferenceLoss) -> Losses:
    logged = {
        "win": found.win,
        "lose": found.lose,
        "accuracy": found.correct,
        "rho": found.rho,
        "factor": found.factor,
        # What win is made of: -2 <w - r, e - r>, and |e - r|^2.
        "alignment": found.win - found.drift,
        "drift": found.drift,
        "cosine": found.cosine,
        "grad_win": found.grad_win,
        "grad_lose": found.grad_lose,
    }
    return Losses(found.loss, logged)


def weights_of(this_pass: Pass) -> Tensor:
    return torch.tensor(this_pass.weights)
