"""How many of the machine's cores a process of a run takes, and what to do with one that is left."""

import os
import sys

import torch

from method.training.config import Config
from worker.training.roles import Role

MOST_THREADS = 8
"""More do not make a step faster."""


def set_threads(config: Config) -> None:
    """Have torch use as many CPU threads as the config says, in the whole process."""
    torch.set_num_threads(config.threads or min(_cores(), MOST_THREADS))


def roles_ahead(config: Config, device: torch.device) -> tuple[Role, ...]:
    """The roles that should predict in a thread beside theta's, which takes cores that are idle.

    Not on a GPU, where one pass leaves little for another and both would take memory. Not compiled, as two
    threads would compile. Not sharded, as all processes have to fetch weights in one order.
    """
    is_possible = (
        device.type == "cpu"
        and not config.optimization.compile
        and config.scale.sharding != "fsdp"
        and _cores() >= 2 * torch.get_num_threads()
    )
    return config.objective.facts.ahead if is_possible else ()


def _cores() -> int:
    """Those that this process may use, the other processes of this host using theirs."""
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, available // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
