"""What the web application knows of training, as files, because it never loads the training code.

    python -m worker.presets

writes `app/runs/training_schema.json` (every option) and `app/runs/training_presets.json` (whole configs
to start from). A test fails while they are older than `worker.training`.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import app.runs
from worker.training import recipes
from worker.training.config import Config, json_schema, to_dict

FOLDER = Path(app.runs.__file__).resolve().parent
TINY_MODEL = "tiny-sdxl"
# Placeholders: the launch puts the real places in, and a preset holds none.
RUN, DATASET, EXPERT = "run", "dataset", "expert"


def make_presets() -> dict[str, Any]:
    """Every preset with its title, the base model it is made for, and a config for each kind of run."""
    return {
        "tiny": _preset(
            "Tiny model on the CPU: about a minute",
            recipes.tiny_sft(RUN, DATASET, TINY_MODEL),
            recipes.tiny_cpo(RUN, DATASET, TINY_MODEL, EXPERT),
        ),
        "paper-sdxl": _preset(
            "SDXL as in the paper: one GPU, hours",
            recipes.paper_sdxl_sft(RUN, DATASET),
            recipes.paper_sdxl_cpo(RUN, DATASET, EXPERT),
        ),
    }


def _preset(title: str, sft: Config, cpo_s: Config) -> dict[str, Any]:
    cpo = replace(cpo_s, objective=replace(cpo_s.objective, kind="cpo"))
    return {
        "title": title,
        "base_model": sft.model.path,
        "configs": {
            kind: _without_places(config)
            for kind, config in (("sft", sft), ("cpo", cpo), ("cpo_s", cpo_s))
        },
    }


def _without_places(config: Config) -> dict[str, Any]:
    values = to_dict(config)
    for name in ("run_folder", "dataset_folder", "expert"):
        del values[name]
    del values["model"]["path"]
    return values


def files() -> dict[Path, str]:
    """What the two files have to hold."""
    return {
        FOLDER / "training_schema.json": _text(json_schema()),
        FOLDER / "training_presets.json": _text(make_presets()),
    }


def _text(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write both files."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
