"""python -m worker.evaluation RUN_FOLDER: compare a run's model with its base, and print the result.

The result goes to stdout, progress to stderr. 0 done, 1 failed (the last line on stderr says why in one
sentence), 2 used wrongly, 130 stopped by Ctrl-C or SIGTERM.
"""

import argparse
import json
import sys
import traceback
from pathlib import Path

from method.items import is_out_of_memory
from method.places import argument
from method.run_folder import CONFIG
from method.training.failures import Ended
from worker.stopping import STOPPED, stoppable

# Importing it also keeps the model libraries off the network, so it comes before anything of theirs.
from worker.training.disk import ended_by

LARGEST_SEED = 2**62
# The resamples of the intervals take 80 kB of memory for each.
MOST_PROMPTS = 5000


def main(arguments: list[str]) -> int:
    """Evaluate the run folder named on the command line. A wrong command raises SystemExit(2)."""
    asked = _parse(arguments)
    with stoppable() as stop:
        try:
            # Only now, because a wrong command should be refused before torch takes its seconds.
            from worker.evaluation.evaluating import evaluate
            from worker.evaluation.reporting import words

            path = evaluate(
                asked.run_folder,
                asked.prompts,
                asked.seed,
                _say,
                dataset_folder=asked.dataset,
                negative=asked.negative,
            )
        except Ended as ended:
            return _fail(str(ended))
        except BaseException as error:  # the process boundary
            if stop.is_asked:
                return _fail("Stopped; nothing was kept", STOPPED)
            if not isinstance(error, Exception):
                raise
            return _fail_unforeseen(error, asked.run_folder)
    _say(f"Images and results are in {path.parent}.")
    text = path.read_text(encoding="utf-8")
    sys.stdout.write((text if asked.json else words(json.loads(text))) + "\n")
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worker.evaluation",
        description="Generate an image for each test prompt with the base and the trained model, and "
        "count the attributes that the measured agent finds in them.",
    )
    parser.add_argument("run_folder", type=argument, help="run folder of a finished training")
    parser.add_argument("--prompts", type=int, default=16, help="how many prompts (default 16)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the images (default 0)")
    parser.add_argument(
        "--dataset",
        type=argument,
        metavar="FOLDER",
        help="dataset folder of prompts and criteria; needed for runs that learned from pairs",
    )
    parser.add_argument(
        "--negative",
        type=argument,
        metavar="RUN",
        help="run folder of an npo run: also compare base and target guided against it",
    )
    parser.add_argument("--json", action="store_true", help="print results.json instead of tables")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.prompts <= MOST_PROMPTS:
        parser.error(f"--prompts must be from 1 to {MOST_PROMPTS}; got {asked.prompts}")
    if not 0 <= asked.seed <= LARGEST_SEED:
        parser.error(f"--seed must be from 0 to {LARGEST_SEED}; got {asked.seed}")
    if not (asked.run_folder / CONFIG).is_file():
        parser.error(f"{asked.run_folder} is not a run folder: it holds no config.yaml")
    return asked


def _say(sentence: str) -> None:
    sys.stderr.write(" ".join(sentence.split()) + "\n")


def _fail_unforeseen(error: Exception, folder: Path) -> int:
    if is_out_of_memory(error):
        return _fail("Out of GPU memory: use a GPU with more, or train with precision bf16")
    told = ended_by(error, folder)
    if told is not error:
        return _fail(str(told))
    traceback.print_exception(error)
    return _fail(f"{type(error).__name__}: {error}")


def _fail(sentence: str, code: int = 1) -> int:
    _say(sentence)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
