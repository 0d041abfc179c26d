"""One process or many: accelerate finds out which, and theta's gradients are summed up over all of them.

`python -m worker.training CONFIG` is one process; torchrun and `accelerate launch` start several, on one
host or more (docs/decisions/0004). Whatever their number, a step sees the same images with the same noise. With
`scale.sharding: fsdp` each process holds a part of the model (`worker.training.sharding`).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import Tensor, nn
from torch.distributed import DistError
from torch.distributed.device_mesh import init_device_mesh

from method.training.config import Config
from method.training.failures import Ended, InvalidConfig
from worker.training.ending import first_end
from worker.training.sharding import shard

# As long as one process may work while the others wait: the main one makes the samples of all.
PATIENCE = timedelta(hours=2)
LOST = (
    "The connection to another process of this run broke: that one was killed, or its machine is out of "
    "reach"
)
# What a config file of accelerate may ask for by its distributed_type, and Morelli does not do.
FOREIGN = {"ACCELERATE_USE_DEEPSPEED": "DeepSpeed", "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM"}


class Engine:
    """The processes of a run, seen from one of them."""

    def __init__(self, config: Config) -> None:
        """Join the other processes.

        Raises InvalidConfig where there are not as many as configured, or what is asked for does not go
        together.
        """
        if config.device == "cuda" and not torch.cuda.is_available():
            raise InvalidConfig("device: cuda is asked for, but this machine shows no GPU to torch")
        _refuse_foreign(config)
        self.is_sharded = config.scale.sharding == "fsdp"
        self.accelerator = _make_accelerator(config)
        self.processes = self.accelerator.num_processes
        self.rank = self.accelerator.process_index
        self.is_main = self.accelerator.is_main_process
        self.device: torch.device = self.accelerator.device
        if self.processes != config.scale.processes:
            raise InvalidConfig(
                f"scale.processes: is {config.scale.processes}, but {self.processes} were started; "
                "start them with accelerate launch --num_processes"
            )

    @property
    def shard(self) -> Callable[[nn.Module], None] | None:
        """What keeps this process's part of a network only, where the config asks for it."""
        if not self.is_sharded:
            return None
        mesh = init_device_mesh(self.device.type, (self.processes,))
        return lambda network: shard(network, mesh)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return what to call for theta: with several processes its gradients are summed up."""
        if self.processes == 1 or self.is_sharded:
            return network
        # accelerate moves and casts nothing here: the network is where and what it should be.
        wrapped: nn.Module = self.accelerator.prepare_model(network, device_placement=False)
        return wrapped

    def forget(self) -> None:
        """Let go of what was wrapped, so that another run may take its memory."""
        self.accelerator.free_memory()

    @contextmanager
    def passing(self, called: nn.Module, *, is_last: bool) -> Iterator[None]:
        """One of several passes of a step: gradients travel between processes with the last only.

        Sharded ones travel with each: kept back, they would take the memory of the whole model.
        """
        waits = not (is_last or self.is_sharded)
        with self.accelerator.no_sync(called) if waits else nullcontext():
            yield

    @property
    def has_all_sampling(self) -> bool:
        """Whether pictures take all processes, and not the main one alone: each has a part of the model."""
        return self.is_sharded

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

    def main_first(self) -> AbstractContextManager[None]:
        """Let the main process go first, so that the others find what it did."""
        turns: AbstractContextManager[None] = self.accelerator.main_process_first()
        return turns

    @contextmanager
    def together(self) -> Iterator[None]:
        """Work with the other processes, and part when all are done.

        Raises Ended where one of them is gone, with what that one said.
        """
        try:
            yield
        except RuntimeError as error:
            if self.processes > 1 and _is_lost_connection(error):
                end = first_end()
                raise Ended(end.sentence if end else LOST) from error
            raise
        if self.processes > 1:
            self.accelerator.end_training()


def _is_lost_connection(error: RuntimeError) -> bool:
    # What gloo raises has no class of its own.
    return isinstance(error, DistError) or "gloo" in str(error)


def _make_accelerator(config: Config) -> Accelerator:
    # Everything that computes differently is said here, so that neither an environment nor an accelerate
    # config does it unseen: precision and compilation are our config's.
    return Accelerator(
        cpu=config.device == "cpu" or not torch.cuda.is_available(),
        mixed_precision="no",
        dynamo_backend="no",
        kwargs_handlers=[
            InitProcessGroupKwargs(timeout=PATIENCE),
            DistributedDataParallelKwargs(gradient_as_bucket_view=True),
        ],
    )


def _refuse_foreign(config: Config) -> None:
    """Raise InvalidConfig where accelerate was told to do what this config does not know of."""
    for variable, name in FOREIGN.items():
        if os.environ.get(variable, "").lower() == "true":
            raise InvalidConfig(
                f"scale.accelerate_config: asks for {name}, which Morelli does not train with; give "
                "distributed_type MULTI_GPU, and scale.sharding fsdp where a GPU is too small"
            )
    asks_fsdp = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    if asks_fsdp and config.scale.sharding == "none":
        raise InvalidConfig(
            "scale.sharding: is none, but accelerate's config asks for FSDP; choose fsdp here, or "
            "distributed_type MULTI_GPU there"
        )
