"""The exponential mean of the weights, which often makes better pictures than the last weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from method.training.failures import Ended
from worker.training.sharding import fill


class Ema:
    """Means of named parameters, on their device and in their dtype; they start as the parameters are.

    Early means would mostly be the start, so the decay warms up: after n updates the next one uses
    min(decay, (1 + n) / (10 + n)).
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = dict(parameters), decay
        self.means = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.num_updates = 0
        self.is_swapped = False

    @torch.no_grad()
    def update(self) -> None:
        """Move the means toward the parameters. Called after each optimizer step."""
        self._check_not_swapped()
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        values = [parameter.detach() for parameter in self.parameters.values()]
        torch._foreach_lerp_(list(self.means.values()), values, 1 - decay)
        self.num_updates += 1

    def weights(self) -> dict[str, Tensor]:
        """The means themselves, no copies: the next update changes them."""
        self._check_not_swapped()
        return dict(self.means)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Let the parameters hold the means, and afterwards what they held before, bit for bit.

        Values are exchanged in place, one tensor at a time: the parameters stay the same objects at the
        same addresses, and the memory needed is one more copy of the largest.
        """
        self._check_not_swapped()
        self._swap()
        self.is_swapped = True
        try:
            yield
        finally:
            self._swap()
            self.is_swapped = False

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint, without copies."""
        return {"num_updates": self.num_updates, "means": self.weights()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave. Raises Ended when it belongs to other parameters."""
        self._check_not_swapped()
        means: Mapping[str, Tensor] = state["means"]
        given = {name: mean.shape for name, mean in means.items()}
        if given != {name: mean.shape for name, mean in self.means.items()}:
            raise Ended(
                "The checkpoint's mean weights are those of another model; use another run folder"
            )
        for name, mean in means.items():
            fill(self.means[name], mean)
        self.num_updates = int(state["num_updates"])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self.parameters.items():
            held = parameter.detach().clone()
            parameter.copy_(self.means[name])
            self.means[name].copy_(held)

    def _check_not_swapped(self) -> None:
        if self.is_swapped:
            raise AssertionError("the parameters hold the means; leave swapped() first")
