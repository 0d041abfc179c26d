"""What the web application knows of training, as files, because it never loads the training code.

    python -m worker.presets

writes `app/runs/training_schema.json` (every option), `app/runs/training_presets.json` (whole configs
to start from), and the page `docs/training-options.md`. A test fails while they are older than
`worker.training`.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import app.runs
from method.training import recipes
from method.training.config import TAUGHT, Config, Kind
from method.training.config_reading import to_dict
from method.training.config_schema import json_schema

FOLDER = Path(app.runs.__file__).resolve().parent
OPTIONS = FOLDER.parents[1] / "docs" / "training-options.md"
# Placeholders: the launch puts the real places in, and a preset holds none.
RUN, DATA, EXPERT = "run", "data", "expert"
PLACES = ("run_folder", "dataset_folder", "pairs_folder", "expert")
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Preset:
    """Configs to start from: their title, and the base model they are made for."""

    title: str
    base_model: str
    make: Callable[..., Config]

    def config(self, kind: Kind) -> Config:
        """The config for a kind of run."""
        expert = EXPERT if kind in TAUGHT else None
        return self.make(kind, RUN, DATA, model=self.base_model, expert=expert)


PRESETS = {
    "tiny": Preset("Tiny model on the CPU: about a minute", "tiny-sdxl", recipes.tiny),
    "sd15-small": Preset("SD 1.5 at 512 px: a small GPU", recipes.SD15, recipes.sd15_small),
    "sdxl": Preset("SDXL adapter: one GPU, to start with", recipes.SDXL, recipes.sdxl),
    "paper-sdxl": Preset(
        "SDXL as in the paper: literal, one large GPU", recipes.SDXL, recipes.paper_sdxl
    ),
    "paper-flux": Preset("FLUX.1 as in the paper: one large GPU", recipes.FLUX, recipes.paper_flux),
}


def make_presets() -> dict[str, Any]:
    """Every preset with its title, the base model it is made for, and a config for each kind of run."""
    return {
        name: {
            "title": preset.title,
            "base_model": preset.base_model,
            "configs": {kind: _without_places(preset.config(kind)) for kind in KINDS},
        }
        for name, preset in PRESETS.items()
    }


def _without_places(config: Config) -> dict[str, Any]:
    values = to_dict(config)
    for name in PLACES:
        del values[name]
    del values["model"]["path"]
    return values


def files() -> dict[Path, str]:
    """What the files have to hold."""
    return {
        FOLDER / "training_schema.json": _text(json_schema()),
        FOLDER / "training_presets.json": _text(make_presets()),
        OPTIONS: options_page(json_schema()),
    }


def options_page(schema: dict[str, Any]) -> str:
    """Every option with its kind, default and meaning, a table for each section."""
    sections: dict[str, list[str]] = {"": []}
    about = {"": schema["description"]}

    def walk(part: dict[str, Any], prefix: str) -> None:
        for name, inner in part["properties"].items():
            if inner["type"] == "object":
                sections[f"{prefix}{name}"], about[f"{prefix}{name}"] = [], inner["description"]
                walk(inner, f"{prefix}{name}.")
            else:
                is_needed = name in part["required"]
                sections[prefix.rstrip(".")].append(_row(f"{prefix}{name}", inner, is_needed))

    walk(schema, "")
    tables = [
        f"## {name or 'The run'}\n\n{about[name]}\n\n| option | kind | default | meaning |\n"
        f"| --- | --- | --- | --- |\n" + "\n".join(rows)
        for name, rows in sections.items()
    ]
    head = (
        "# All options of a training run\n\nWritten by `python -m worker.presets` from "
        "`method/training/config.py`. What they are for: [training.md](training.md).\n\n"
    )
    return head + "\n\n".join(tables) + "\n"


def _row(path: str, schema: dict[str, Any], is_needed: bool) -> str:  # noqa: FBT001  # a fact of the option
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = " \\| ".join(schema["enum"]) if "enum" in schema else kinds[0]
    default = schema.get("default")
    if isinstance(default, list):
        default = ", ".join(map(str, default))
    shown = "**needed**" if is_needed else "none" if default in (None, "") else default
    return f"| `{path}` | {kind} | {shown} | {schema['description']} |"


def _text(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write them."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
