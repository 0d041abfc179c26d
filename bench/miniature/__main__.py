"""`python -m bench.miniature FOLDER`: the whole study, or with --small its main question alone."""

import argparse
import sys
import time
from pathlib import Path

import worker.training  # noqa: F401  # first: it tells libraries what they read while they load
from bench.machine import describe
from bench.miniature.arms import Size, all_arms, small_arms
from bench.miniature.gates import GatesClosed
from bench.miniature.report import write_report
from bench.miniature.running import study

SEEDS = (0, 1, 2)


def main() -> int:
    """Run, report, and say where the report is; 1 where a gate is closed."""
    parser = argparse.ArgumentParser(prog="python -m bench.miniature", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="for the report and all runs; what is there is not done again"
    )
    parser.add_argument(
        "--small", action="store_true", help="the main objectives alone, one strength each"
    )
    parser.add_argument(
        "--processes", type=int, default=2, help="one thread each; they change nothing but the time"
    )
    asked = parser.parse_args()
    started = time.monotonic()
    try:
        found = study(
            asked.folder,
            SEEDS,
            small_arms() if asked.small else all_arms(),
            Size(),
            asked.processes,
        )
    except GatesClosed as error:
        print(f"Nothing was compared: {error}.", file=sys.stderr)
        return 1
    write_report(found, asked.folder)
    print((asked.folder / "report.md").read_text(encoding="utf-8"))
    print(
        f"{asked.folder / 'report.html'}, after {time.monotonic() - started:.0f} s on\n{describe()}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
