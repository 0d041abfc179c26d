"""Samples as a page shows them: by prompt, with base, expert and what is trained side by side."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.runs.models import RunSample

MODELS = ("base", "expert", "target", "ema")
# What changes from step to step: the weights that are trained, and their moving average.
TRAINED = ("target", "ema")


@dataclass(frozen=True)
class Case:
    """One prompt with one seed, and the file names of its samples by model."""

    index: int
    prompt: str
    seed: int
    files: dict[str, str]


@dataclass(frozen=True)
class Samples:
    """The samples at one step; base and expert do not change, so they stand beside every step."""

    steps: list[int]
    """Those with all their pictures: one that is being sampled comes when it is whole."""
    step: int | None
    count: int
    """How many pictures there are altogether."""
    models: list[str]
    cases: list[Case]


def sample_grid(rows: Sequence[RunSample], *, step: int | None = None) -> Samples:
    """Arrange samples for a step, by default the newest one. A first step of stage 1 shows the base
    model itself: its adapter is still zero then.
    """
    made = Counter(row.step for row in rows if row.model in TRAINED)
    steps = sorted(each for each, count in made.items() if count == max(made.values()))
    if step not in steps:
        step = steps[-1] if steps else None
    has_base = any(row.model == "base" for row in rows)
    cases: dict[int, Case] = {}
    for row in rows:
        model = row.model
        if model in TRAINED and row.step != step:
            if has_base or row.step != 0 or model != "target":
                continue
            model = "base"
        case = cases.setdefault(row.index, Case(row.index, row.prompt, row.seed, {}))
        case.files[model] = row.file.removeprefix("samples/")
        if model == "target" and row.step == 0 and not has_base:
            case.files["base"] = case.files[model]
    return Samples(
        steps=steps,
        step=step,
        count=len(rows),
        models=[each for each in MODELS if any(each in case.files for case in cases.values())],
        cases=[cases[index] for index in sorted(cases)],
    )
