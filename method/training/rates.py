"""The learning rate that a wanted drift takes, from a short trial run.

    python -m method.training.rates RUN_FOLDER --share 0.1 --steps 300

While theta has hardly moved, its prediction moves in proportion to learning rate times steps, and the drift
|e - r|^2 grows with the square of that. That is rough: on the tiny model it came within 40 % of the rate that was
right, from trials of a quarter to two thirds of the run.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from method.places import argument
from method.run_folder import METRICS
from method.training.failures import Ended, InvalidDataset

LAST = 5
"""Logged steps at the end of the trial of which the mean drift is taken."""


def rate_for_drift(rows: Sequence[Mapping[str, Any]], *, share: float, steps: int) -> float:
    """The learning rate at which a run of `steps` ends at a drift of `share` times the gap |w - l|^2.

    `rows` are a trial's logged steps. Raises InvalidDataset where they have no drift and gap, or theta did not
    move.
    """
    told = [row for row in rows if all(_is_number(row, name) for name in ("drift", "gap", "lr"))]
    if len(told) < 2 * LAST:
        raise InvalidDataset(
            f"the trial has {len(told)} logged steps with drift, gap and lr; {2 * LAST} are needed, of a stage 2 "
            "run with log_every 1"
        )
    last = told[-LAST:]
    # Both are means over few images, and gaps differ from image to image: over all of the trial.
    reached = fmean(row["drift"] for row in last) / fmean(row["gap"] for row in told)
    if reached <= 0:
        raise InvalidDataset("theta has not moved in the trial; raise its learning rate")
    # The sum of learning rates is how far a run can go, whatever its warm-up.
    walked = sum(row["lr"] for row in told if row["step"] <= last[LAST // 2]["step"])
    return float(walked * math.sqrt(share / reached) / steps)


def _is_number(row: Mapping[str, Any], name: str) -> bool:
    return isinstance(row.get(name), int | float)


def main(arguments: list[str]) -> int:
    """Print the rate. 0 done, 3 the run folder says too little; a wrong command raises SystemExit(2)."""
    parser = argparse.ArgumentParser(prog="python -m method.training.rates")
    parser.add_argument("run_folder", type=argument, help="run folder of a short stage 2 run")
    parser.add_argument("--share", type=float, default=0.1, help="wanted drift / gap (0.1)")
    parser.add_argument("--steps", type=int, required=True, help="steps of the run to come")
    asked = parser.parse_args(arguments)
    if asked.share <= 0 or asked.steps < 1:
        parser.error("--share has to be above 0, and --steps 1 or more")
    try:
        rate = rate_for_drift(_rows(asked.run_folder), share=asked.share, steps=asked.steps)
    except Ended as ended:
        sys.stderr.write(f"{asked.run_folder}: {ended}\n")
        return ended.exit_code
    sys.stdout.write(f"{rate:.2g}\n")
    return 0


def _rows(folder: Path) -> list[dict[str, Any]]:
    try:
        lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise InvalidDataset(f"{METRICS} cannot be read: {error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
