"""`python -m bench.miniature FOLDER`: both worlds with three seeds each, or with --small pictures with one."""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import worker.training  # noqa: F401  # first: it tells libraries what they read while they load
from bench.machine import describe
from bench.miniature.arms import EXACT_SIZE, PICTURES_SIZE, Arm, Size, all_arms, small_arms
from bench.miniature.gates import GatesClosed
from bench.miniature.report import write_report
from bench.miniature.running import study
from bench.miniature.worlds import EXACT, NAMES, PICTURES

SEEDS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Part:
    """What is done of a world."""

    world: str
    arms: tuple[Arm, ...]
    size: Size
    seeds: tuple[int, ...]


def main() -> int:
    """Run and report each world, and say where the report is; 1 where a gate is closed."""
    parser = argparse.ArgumentParser(prog="python -m bench.miniature", description=__doc__)
    parser.add_argument(
        "folder",
        type=Path,
        help="for the reports and all runs, one folder a world; what is there is not done again",
    )
    parser.add_argument("--small", action="store_true", help="pictures with one seed")
    parser.add_argument(
        "--world", choices=NAMES, action="append", help="this one alone; both by default"
    )
    parser.add_argument(
        "--processes", type=int, default=2, help="one thread each; they change nothing but the time"
    )
    asked = parser.parse_args()
    parts = (
        Part(EXACT, all_arms(), EXACT_SIZE, SEEDS),
        Part(PICTURES, small_arms(), PICTURES_SIZE, SEEDS[:1] if asked.small else SEEDS),
    )
    done = [
        _run(part, asked.folder / part.world, asked.processes)
        for part in parts
        if part.world in (asked.world or NAMES)
    ]
    print(describe())
    return 0 if all(done) else 1


def _run(part: Part, folder: Path, processes: int) -> bool:
    """Whether the gates of a world were open, and so its report is written."""
    started = time.monotonic()
    try:
        found = study(folder, part.seeds, part.arms, part.size, processes, world=part.world)
    except GatesClosed as error:
        print(f"{part.world}: nothing was compared: {error}.", file=sys.stderr)
        return False
    write_report(found, folder)
    print((folder / "report.md").read_text(encoding="utf-8"))
    print(f"{folder / 'report.html'}, after {time.monotonic() - started:.0f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
