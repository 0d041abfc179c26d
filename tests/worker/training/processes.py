"""Starts the processes of a run quickly: forked from one that has loaded torch and the trainer already.

A launcher, which loads everything anew for each, has tests of its own in test_processes.py.
"""

import multiprocessing
import os
import signal
import socket
import sys
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest.mock import patch

import worker.training.run
from method.training.config import Config
from method.training.config_reading import write_yaml
from worker.training.__main__ import main
from worker.training.ending import leave

assert worker.training.run
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])
SECONDS = 240.0


def start_processes(*configs: Config, endless: bool = False) -> list[ForkServerProcess]:
    """Start one process for each config, or as many as one config asks for.

    Each one's output is in its run folder. Endless ones do all but write the result: no machine is so
    fast that a kill comes too late.
    """
    if len(configs) == 1:
        configs *= configs[0].scale.processes
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    processes = [
        SERVER.Process(target=_work, args=(rank, len(configs), port, _write(config), endless))
        for rank, config in enumerate(configs)
    ]
    for process in processes:
        process.start()
    return processes


def run_processes(config: Config) -> None:
    """Run to the end, which has to be a good one.

    With shards on a CPU torch's own gloo loop reads a null pointer once in some fifty runs (the kernel's log
    names its thread, pt_gloo_runloop). GPUs do not use it, and a run that is started again goes on from its
    checkpoint to the same end; so that one death, and no other, is forgiven once.
    """
    codes, said = _run_once(config)
    if config.scale.sharding == "fsdp" and -signal.SIGSEGV in codes:
        codes, said = _run_once(config)
    assert set(codes) == {0}, f"{codes}: {said[-3000:]}"


def _run_once(config: Config) -> tuple[list[int | None], str]:
    processes = start_processes(config)
    for process in processes:
        process.join(SECONDS)
    codes = [process.exitcode for process in processes]
    said = "".join(output_of(config, rank) for rank in range(len(codes)))
    kill(processes)
    return codes, said


def kill(processes: list[ForkServerProcess]) -> None:
    """Kill all of them, as a machine does that loses its power."""
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


def output_of(config: Config, rank: int) -> str:
    """What a process has said on stdout and stderr."""
    return _output(Path(config.run_folder), rank).read_text()


def _output(folder: Path, rank: int) -> Path:
    return folder / f"output-{rank}.txt"


def _write(config: Config) -> Path:
    path = Path(config.run_folder) / "asked.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(write_yaml(config))
    return path


def _work(rank: int, count: int, port: int, path: Path, endless: bool) -> None:
    output = os.open(_output(path.parent, rank), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, sys.__stdout__.fileno())  # type: ignore[union-attr]  # there is one
    os.dup2(output, sys.__stderr__.fileno())  # type: ignore[union-attr]
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    if endless:
        patch("worker.training.under_way.write_results", lambda *_: time.sleep(600)).start()
    leave(main([str(path)]))
