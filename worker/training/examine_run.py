"""python -m worker.training.examine_run RUN_FOLDER: examine the expert that a finished stage 1 has left.

What is found goes to stdout and to examination.json in the run folder. 0 done, 2 config or model, 3 data,
1 anything else (the last line on stderr says why in one sentence).
"""

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

from method.places import argument
from method.run_folder import CONFIG, RESULT, weights_place
from method.training.config import Config, Guard, Lora, Objective, Samples, Teacher, Theta, Tracking
from method.training.config_reading import load_config
from method.training.examination import Examination, table, verdict
from method.training.failures import Ended, InvalidConfig, InvalidDataset


def main(arguments: list[str]) -> int:
    """Examine the run folder named on the command line. A wrong command raises SystemExit(2)."""
    asked = _parse(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        config = config_to_examine(asked.run_folder, asked.images, asked.dataset)
        found = examine_run(asked.run_folder, config)
    except Ended as ended:
        sys.stderr.write(" ".join(str(ended).split()) + "\n")
        return ended.exit_code
    sys.stdout.write(json.dumps(found.as_dict()) + "\n" if asked.json else in_words(found))
    return 0


def config_to_examine(folder: Path, images: int, dataset: Path | None = None) -> Config:
    """The config of a stage 2 that would learn from a run. Raises InvalidConfig where none could."""
    config = load_config(str(folder / CONFIG))
    if not config.objective.facts.makes_expert:
        raise InvalidConfig(
            f"{folder}: a run of {config.objective.kind} makes no expert; give the run folder of stage 1"
        )
    if not (folder / RESULT).is_file():
        raise InvalidConfig(f"{folder}: the run has not finished: it has no result.json")
    return replace(
        config,
        dataset_folder=str(dataset) if dataset is not None else config.dataset_folder,
        objective=Objective(),
        expert=str(weights_place(folder, config.theta.mode)),
        data=replace(config.data, split="train"),
        theta=Theta(),
        lora=Lora(rank=1),
        teacher=Teacher(),
        guard=Guard(),
        samples=Samples(),
        tracking=Tracking(),
        optimization=replace(config.optimization, optimizer="adamw", compile=False),
        scale=type(config.scale)(),
        validation=replace(config.validation, expert_images=images),
    )


def examine_run(folder: Path, config: Config) -> Examination:
    """Examine the config's expert and keep what is found in the run folder.

    Raises InvalidDataset where there are not two held-out images to examine it on.
    """
    # Only now, because a wrong command should be refused before torch takes its seconds.
    from worker.training.cores import set_threads
    from worker.training.engine import Engine
    from worker.training.examining import Examiner, keep_examination
    from worker.training.models import load_models
    from worker.training.objectives.registry import make_parts

    set_threads(config)
    models = load_models(config, Engine(config).device)
    examiner = Examiner(config, make_parts(config, models).encodings, models.roles)
    examiner.prepare()
    found = examiner.examine("expert", models.expert_sha256 or "")
    if found is None:
        raise InvalidDataset(
            f"{config.dataset_folder}: its validation split has less than two images with a negative attribute; "
            "name a dataset that has them with --dataset"
        )
    keep_examination(folder, found)
    return found


def in_words(found: Examination) -> str:
    """The table of errors, and what it means."""
    width = max(len(words) for words, _ in table(found))
    lines = [f"{words:<{width}}  {error:.6f}" for words, error in table(found)]
    heading = f"{'predicted from':<{width}}  mean squared error"
    return "\n".join([heading, *lines, "", verdict(found)]) + "\n"


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worker.training.examine_run",
        description="Say whether the expert of a finished stage 1 knows attributes.",
    )
    parser.add_argument("run_folder", type=argument, help="run folder of a finished stage 1")
    parser.add_argument("--images", type=int, default=64, help="how many held-out images (64)")
    parser.add_argument(
        "--dataset", type=argument, help="dataset folder, where the run's has moved"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args(arguments)
    if asked.images < 2:
        parser.error(f"--images must be 2 or more; got {asked.images}")
    if not (asked.run_folder / CONFIG).is_file():
        parser.error(f"{asked.run_folder} is not a run folder: it holds no config.yaml")
    return asked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
