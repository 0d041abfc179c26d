"""python -m worker.several_processes OPTIONS -m MODULE ...: accelerate's launcher, made fit to be supervised.

OPTIONS are those of `accelerate launch`. Its own command starts each process in a session of its own, answers
SIGTERM by killing them after half a minute, and ends with code 1 whatever they ended with. Here a stop is
passed on to the processes, which take the time they need for a checkpoint; the exit code is that of
the process that failed first; and all end with this one, however it ends.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import yaml

from worker.training.death_signal import die_with_parent


def main(arguments: list[str]) -> int:
    """Launch, and return the exit code of the first process that failed, or 0."""
    if os.environ.get("MORELLI_DIE_WITH_PARENT") == "1":
        die_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _pass_on)
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # The last line on stderr is what a process says of its end, and not a report that it has ended.
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    options = launch_command_parser().parse_args(arguments)
    # Torch's own answer to a stop would be to kill.
    options.signals_to_handle = "SIGHUP"
    try:
        launch_command(options)
    except ChildFailedError as error:
        code = int(error.get_first_failure()[1].exitcode)
        return code if code > 0 else 128 - code
    except (ValueError, OSError, yaml.YAMLError) as error:
        # Options or a config file that accelerate cannot use.
        sys.stderr.write(f"scale: accelerate refuses: {' '.join(str(error).split())}\n")
        return 2
    return 0


def _pass_on(number: int, _frame: FrameType | None) -> None:
    for child in _children():
        try:
            os.kill(child, number)
        except ProcessLookupError:
            continue


def _children() -> Iterator[int]:
    """The processes that this one started."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            yield int(entry.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
