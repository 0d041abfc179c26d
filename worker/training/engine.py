"""One process or many: accelerate finds out which, and wraps theta for it.

`python -m worker.training CONFIG` is one process; `accelerate launch ... -m worker.training CONFIG` starts
several, on one host or more. Whatever their number, a step sees the same images with the same noise.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from worker.training.config import Config
from worker.training.failures import InvalidConfig


class Engine:
    """The processes of a run, seen from one of them."""

    def __init__(self, config: Config) -> None:
        """Join the other processes. Raises InvalidConfig where there are not as many as configured."""
        if config.device == "cuda" and not torch.cuda.is_available():
            raise InvalidConfig("device: cuda is asked for, but this machine shows no GPU to torch")
        self.accelerator = Accelerator(cpu=config.device == "cpu" or not torch.cuda.is_available())
        self.processes = self.accelerator.num_processes
        self.rank = self.accelerator.process_index
        self.is_main = self.accelerator.is_main_process
        self.device: torch.device = self.accelerator.device
        if self.processes != config.scale.processes:
            raise InvalidConfig(
                f"scale.processes: is {config.scale.processes}, but {self.processes} were started; "
                "start them with accelerate launch --num_processes"
            )

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return what to call for theta: with several processes its gradients are summed up."""
        if self.processes == 1:
            return network
        # accelerate moves and casts nothing here: the network is where and what it should be.
        wrapped: nn.Module = self.accelerator.prepare_model(network, device_placement=False)
        return wrapped

    @contextmanager
    def passing(self, called: nn.Module, *, is_last: bool) -> Iterator[None]:
        """One of several passes of a step: gradients travel between processes with the last only."""
        with nullcontext() if is_last else self.accelerator.no_sync(called):
            yield

    def sum(self, values: Tensor) -> Tensor:
        """Add up over all processes."""
        if self.processes == 1:
            return values
        total: Tensor = self.accelerator.reduce(values, reduction="sum")
        return total

    def any(self, is_so: bool) -> bool:  # noqa: FBT001  # the question is the argument
        """Whether any process says so: all of them get the same answer."""
        if self.processes == 1:
            return is_so
        return bool(self.sum(torch.tensor(float(is_so), device=self.device)) > 0)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.processes > 1:
            self.accelerator.wait_for_everyone()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main process go first, so that the others find in a cache what it computed."""
        with self.accelerator.main_process_first():
            yield
