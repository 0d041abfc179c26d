"""The options of a training run as the launch form and the API take them.

What they are, their ranges, their meaning and what goes together stand in the config itself, which
`method.training` holds; here stands how people are shown them and what they may not choose.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.errors import Invalid
from app.runs import places
from app.runs.option_values import from_text
from method.objectives import OBJECTIVES
from method.training import config_fields
from method.training.config import Config
from method.training.config_checks import is_read
from method.training.config_fields import Field, all_fields
from method.training.failures import InvalidConfig
from method.training.presets import PRESETS, plain

# Places, which say nothing about a run: where this installation keeps its data, other runs and caches.
FILLED_IN = {
    "run_folder",
    "dataset_folder",
    "pairs_folder",
    "expert",
    "data.cache_folder",
    "teacher.cache_folder",
    "theta.init_path",
    "samples.negative",
}
DECIDED_ELSEWHERE = FILLED_IN | {"model.path", "objective.kind"}
# Parts of names of files, which must not lead elsewhere.
FILE_NAMES = {
    "model.variant": re.compile(r"\w[\w.-]*"),
    "model.revision": re.compile(r"\w[\w.-]*(/\w[\w.-]*)*"),
}
# Not an option of the trainer: whether the run gets the folder of the teacher cache.
TEACHER_CACHE = "teacher.cache"
OWN = {
    TEACHER_CACHE: Field(
        TEACHER_CACHE,
        bool,
        "Keep what expert and reference predict for later runs, which then take about a third of the computing: "
        "those that differ in guidance, beta, loss or share of the data only.",
        default=False,
    )
}
# What the form calls that from which an option is filled in.
CHOSEN_AS = {
    "dataset_folder": "dataset_id",
    "pairs_folder": "pair_dataset_id",
    "expert": "expert_run_id",
    "theta.init_path": "start_run_id",
    "samples.negative": "negative_run_id",
    "teacher.cache_folder": TEACHER_CACHE,
    "objective.kind": "kind",
}
MAIN = (
    "optimization.epochs",
    "optimization.max_steps",
    "optimization.batch_size",
    "optimization.learning_rate",
    "objective.beta",
    "objective.gap",
    "spo.beta",
    "objective.omega_w",
    "objective.omega_l",
    "theta.mode",
    "lora.rank",
    "data.resolution",
    "precision",
    TEACHER_CACHE,
    "samples.every",
    "samples.prompts",
)
# Titles that say enough without the section they stand in.
TITLES = {
    TEACHER_CACHE: "Keep predictions",
    "objective.omega_w": "ω of the winner",
    "objective.omega_l": "ω of the loser",
    "objective.gap": "Share of the gap",
    "objective.gap_drift": "Wanted drift",
    "guard.winner": "Hold the loser back",
    "guard.winner_by": "Hold it back by",
    "objective.drop_all": "Share with the empty prompt",
    "objective.drop_to_neg": "Share with A_neg alone",
    "objective.drop_content": "Share without a prompt",
    "objective.norm_eps": "Least distance to the loser",
    "objective.drift_cap": "Cap on the drift",
    "validation.expert_images": "Images that examine the expert",
    "guard.frozen_steps": "Steps of a frozen loss",
    "text.null": "Empty condition",
    "text.reducer": "What is kept of the labels",
    "text.empty_neg": "Images without negatives",
    "text.generic_neg": "Generic negatives",
    "flow.space": "Space of equal weight",
    "theta.init": "Where it starts",
    "optimization.scale_lr": "Scale by the batch",
    "optimization.max_grad_norm": "Largest gradient norm",
    "optimization.ema_decay": "EMA decay",
    "theta.mode": "What is trained",
    "lora.rank": "Adapter rank",
    "samples.every": "Sample every … steps",
    "samples.prompts": "Sample prompts",
}
SECTIONS = {
    "": "This run",
    "model": "Base model files",
    "flow": "Flow matching (FLUX)",
    "spo": "SPO",
    "theta": "Trained model",
    "lora": "Adapter",
    "teacher": "Teacher cache",
    "scale": "Several GPUs",
}
# Choices of other runs that stand in a section.
CHOSEN_IN = {"start_run_id": "theta", "negative_run_id": "samples"}
# Where the launch does more than the trainer by itself.
HINTS = {
    "tracking.mlflow": "The MLflow that the run reports to: one that the operator named with MORELLI_MLFLOW.",
    "scale.accelerate_config": "For several hosts: a config of accelerate that the operator named with "
    "MORELLI_ACCELERATE_CONFIGS.",
    "samples.prompts": "Prompts to sample. Empty: four of the validation and test images.",
    "theta.init": "Where it starts: as the pretrained model, as the expert, or as another run (path), "
    "which is chosen above.",
}


class InvalidOptions(Invalid):
    """Some options make no sense; `errors` has a sentence for each, by dotted path."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        first, sentence = next(iter(errors.items()))
        super().__init__(
            f"{first}: {sentence}",
            field=first,
            problems=[{"where": where, "message": message} for where, message in errors.items()],
        )
        self.errors = dict(errors)


@contextmanager
def checking() -> Iterator[None]:
    """What the config itself refuses, as errors of the options. Raises InvalidOptions."""
    try:
        yield
    except InvalidConfig as error:
        problems = error.problems or {"config": str(error)}
        raise InvalidOptions(
            {CHOSEN_AS.get(path, path): sentence for path, sentence in problems.items()}
        ) from error


@dataclass(frozen=True)
class Option:
    """One option as the form shows it."""

    field: Field

    @property
    def path(self) -> str:
        return self.field.path

    @property
    def title(self) -> str:
        return TITLES.get(self.path) or self.field.name.replace("_", " ").capitalize()

    @property
    def hint(self) -> str:
        return HINTS.get(self.path) or self.field.help

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words, where only some are; nothing stands for none."""
        if self.path in places.PLACES:
            return ("", *places.named(self.path))
        return self.field.choices

    def concerns(self, kind: str) -> bool:
        if self.path == "samples.negative_merge":
            return not OBJECTIVES[kind].makes_negative
        return is_read(self.path, kind)

    def read(self, value: object) -> Any:
        """The value of this option, given as JSON or as typed text. Raises InvalidConfig or Invalid."""
        found = self.field.read(from_text(self.field, value) if isinstance(value, str) else value)
        if found and self.path in places.PLACES:
            places.place_of(self.path, found)
        if found and self.path in FILE_NAMES and not FILE_NAMES[self.path].fullmatch(found):
            raise InvalidConfig("has letters, digits, dots, dashes and underscores only")
        return found


@dataclass(frozen=True)
class Section:
    """Options that the form shows together."""

    name: str
    title: str
    hint: str
    options: list[Option]

    def is_wrong(self, errors: Mapping[str, str]) -> bool:
        """Whether a field shown in it has an error."""
        return any(each.path in errors for each in self.options) or any(
            field in errors for field, section in CHOSEN_IN.items() if section == self.name
        )


@cache
def options() -> dict[str, Option]:
    """Every option a person may choose, by dotted path, in the config's order."""
    fields = [*(each for each in all_fields().values() if each.path not in DECIDED_ELSEWHERE)]
    order = [each.path.partition(".")[0] for each in all_fields().values()]
    fields = sorted([*fields, *OWN.values()], key=lambda each: order.index(each.path.split(".")[0]))
    return {field.path: Option(field) for field in fields}


def main_options(kind: str) -> list[Option]:
    """What the form shows at once for a kind of run."""
    return [each for path in MAIN if (each := options()[path]).concerns(kind)]


def sections(kind: str) -> list[Section]:
    """Everything else that a kind of run reads, by section; those of the run itself come last."""
    found: dict[str, list[Option]] = {}
    for path, option in options().items():
        if path not in MAIN and option.concerns(kind):
            found.setdefault(option.field.section, []).append(option)
    own = found.pop("", [])
    return [
        Section(
            name=name,
            title=SECTIONS.get(name, name.capitalize()),
            hint=config_fields.sections()[name] if name else "",
            options=each,
        )
        for name, each in (*found.items(), ("", own))
    ]


def presets() -> dict[str, str]:
    return {name: preset.title for name, preset in PRESETS.items()}


def starting_config(preset: str | None, kind: str) -> Config:
    """A preset's config for a kind of run, or else the defaults; its places are placeholders.

    Raises Invalid.
    """
    if not preset:
        return plain(kind)
    if preset not in PRESETS:
        raise Invalid(
            f"There is no preset “{preset}”; there is {', '.join(PRESETS)}.", field="preset"
        )
    return PRESETS[preset].config(kind)


def check_options(given: Mapping[str, object]) -> dict[str, Any]:
    """Check options by dotted path, given as JSON values or as typed text; returns the typed values.

    Raises InvalidOptions with a sentence for every one that is wrong.
    """
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for path, value in given.items():
        option = options().get(path)
        if option is None:
            is_elsewhere = path in DECIDED_ELSEWHERE
            errors[path] = "is chosen elsewhere" if is_elsewhere else "there is no such option"
            continue
        try:
            values[path] = option.read(value)
        except InvalidConfig as error:
            errors[path] = str(error)
        except Invalid as error:
            errors[path] = f"{error.message} {error.hint}"
    if errors:
        raise InvalidOptions(errors)
    return values


def typed_options(form: Mapping[str, Any]) -> dict[str, str]:
    """The options of a submitted form: what is left empty takes its default. What another kind reads stays
    among them, so that the launch refuses it instead of dropping it without a word.
    """
    return {
        path: text for path in options() if isinstance(text := form.get(path), str) and text.strip()
    }
