"""The curves of short runs at the tiny size, kept as text beside this file in curves/.

Run `python -m tests.worker.training.golden` where a change is meant to alter what an objective learns: it
writes them anew, and their difference belongs into the change.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL import Image

from method.training.config import Checkpoints, Config, Lora, Optimization, Samples, Spo
from method.training.recipes import tiny
from tests.worker.training.datasets import write_dataset
from worker.agents.measured import Finding
from worker.agents.rules import RULES, Ties
from worker.pairs.from_labels import from_labels
from worker.training.metrics import read_lines
from worker.training.run import run
from worker.training.tiny_model import make_tiny_sdxl

KINDS = ("cpo_s", "dpo", "spo")
CURVES = Path(__file__).parent / "curves"
COLUMNS = ("loss", "win", "lose", "grad_norm")
STEPS = 12

Curve = tuple[tuple[float, ...], ...]
"""A row for each step, with the values of COLUMNS."""


@dataclass(frozen=True)
class Materials:
    """What the runs learn from, made anew from seeds."""

    model: Path
    dataset: Path
    pairs: Path
    expert: Path
    """The run folder of a finished stage 1."""


def make_materials(home: Path) -> Materials:
    model = make_tiny_sdxl(home / "model", fit=False)
    dataset = write_dataset(home / "images", 8)
    from_labels(dataset, home / "pairs", name="pairs")
    run(_short(tiny("sft", str(home / "expert"), str(dataset), str(model)), 5e-3))
    return Materials(model, dataset, home / "pairs", home / "expert")


def curve(kind: str, materials: Materials, folder: Path, /, **changed: Any) -> Curve:
    """Train and return what was logged; `changed` are options of the objective that differ."""
    data = materials.pairs if kind == "dpo" else materials.dataset
    expert = str(materials.expert) if kind == "cpo_s" else None
    made = _short(tiny(kind, str(folder), str(data), str(materials.model), expert=expert), 5e-4)
    if kind == "spo":
        judged = Spo(steps=4, first=1, guidance=2.0, least_gap=0.0, train_steps=2)
        made = replace(made, spo=replace(judged, **changed))
    else:
        made = replace(made, objective=replace(made.objective, **changed))
    with patch("worker.agents.measured.label_image", _judge_by_brightness):
        run(made)
    rows = read_lines(folder / "metrics.jsonl")
    return tuple(tuple(row[name] for name in COLUMNS) for row in rows)


def _judge_by_brightness(image: Image.Image, ties: Ties) -> list[Finding]:
    """Stands for the agent: its limits would turn last bits into other pairs, and they change."""
    del ties
    bright = sum(image.convert("L").tobytes()) // 64
    return [
        Finding(
            min(rule.key for rule in RULES if rule.positive and rule.negative),
            "negative",
            "",
            0.0,
            0.0,
            "",
            1.0,
        )
    ] * bright


def _short(config: Config, rate: float) -> Config:
    return replace(
        config,
        lora=Lora(rank=4),
        optimization=Optimization(max_steps=STEPS, batch_size=2, learning_rate=rate),
        checkpoints=Checkpoints(every=STEPS),
        samples=Samples(every=0),
    )


def read(kind: str) -> Curve:
    _, *lines = (CURVES / f"{kind}.txt").read_text().splitlines()
    return tuple(tuple(map(float, line.split()[1:])) for line in lines)


def _write(kind: str, rows: Sequence[Sequence[float]]) -> None:
    lines = [f"step {' '.join(COLUMNS)}"]
    lines += [
        f"{step} {' '.join(format(value, '.7g') for value in row)}"
        for step, row in enumerate(rows, start=1)
    ]
    (CURVES / f"{kind}.txt").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Write all curves anew."""
    CURVES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        materials = make_materials(Path(home))
        for kind in KINDS:
            _write(kind, curve(kind, materials, Path(home) / kind))


if __name__ == "__main__":
    main()
