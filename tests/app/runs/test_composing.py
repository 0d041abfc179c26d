"""Whatever the app composes, the trainer takes; and what the app refuses, the trainer refuses too."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.runs import launching, options
from app.settings import settings as installation
from method.training.config import PAIRED, TAUGHT
from method.training.config_reading import from_dict
from method.training.failures import InvalidConfig

KINDS = st.sampled_from(list(launching.KINDS))
PRESETS = st.sampled_from([None, *options.presets()])
by_examples = settings(deadline=None, max_examples=100)
# Options that rules about several options speak of.
CROSS: dict[str, st.SearchStrategy[Any]] = {
    "lora.alpha": st.sampled_from([None, 1.0]),
    "lora.scaling": st.sampled_from([None, 0.5]),
    "objective.drop_all": st.sampled_from([0.0, 0.6]),
    "objective.drop_to_neg": st.sampled_from([0.0, 0.4, 0.5]),
    "objective.reference": st.sampled_from(["base", "sft"]),
    "theta.init": st.sampled_from(["base", "sft"]),
    "theta.mode": st.sampled_from(["lora", "full"]),
    "optimization.optimizer": st.sampled_from(["adamw", "adamw_8bit", "adafactor"]),
    "objective.omega_l": st.sampled_from([2.0, 1.5]),
    "text.empty_neg": st.sampled_from(["skip", "null", "generic"]),
    "spo.first": st.integers(0, 30),
    "spo.steps": st.integers(3, 30),
    "validation.every": st.sampled_from([0, 10]),
    "validation.patience": st.sampled_from([None, 3]),
    "scale.processes": st.sampled_from([1, 2]),
    "scale.sharding": st.sampled_from(["none", "fsdp"]),
    "teacher.cache_folder": st.sampled_from([None, "cache"]),
}


@pytest.fixture(scope="module", autouse=True)
def _a_hub_model() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installation(), "hub_models", ["org/model"])
        yield


def with_places(config: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The config as a launch fills it in."""
    wants = options.needs_expert(config, kind)
    return {
        **config,
        "run_folder": "run",
        "dataset_folder": None if kind in PAIRED else "data",
        "pairs_folder": "pairs" if kind in PAIRED else None,
        "expert": "expert" if wants else None,
    }


def one_of(option: options.Option) -> st.SearchStrategy[Any]:
    """Values that the schema of an option allows, some of them as a form sends them."""
    part = option.schema
    found: st.SearchStrategy[Any]
    if "enum" in part:
        found = st.sampled_from(part["enum"])
    elif option.kind == "boolean":
        found = st.sampled_from([True, False, "true", "false"])
    elif option.kind == "array":
        found = st.lists(
            st.text("ab", min_size=1) if part["items"]["type"] == "string" else st.integers(0, 9),
            min_size=part.get("minItems", 0), max_size=3,
        )  # fmt: skip
    elif option.kind == "string":
        found = st.text("abc/", min_size=1, max_size=9)
    else:
        found = numbers(part, is_whole=option.kind == "integer")
    return st.one_of(st.none(), found) if option.may_be_empty else found


def numbers(part: Mapping[str, Any], *, is_whole: bool) -> st.SearchStrategy[Any]:
    low = part.get("minimum", part.get("exclusiveMinimum", -1000))
    high = part.get("maximum", 1_000_000)
    if is_whole:
        return st.integers(low, high)
    return st.floats(low, high, exclude_min="exclusiveMinimum" in part).map(
        lambda value: value or high
    )


@by_examples
@given(KINDS, PRESETS, st.data())
def test_the_trainer_takes_every_config_that_the_app_composes(
    kind: str, preset: str | None, data: st.DataObject
) -> None:
    known = options.options()
    paths = data.draw(st.sets(st.sampled_from(sorted(known)), max_size=6))
    chosen = {path: data.draw(one_of(known[path]), label=path) for path in sorted(paths)}
    with suppress(options.InvalidOptions):
        config = launching.compose_config(
            kind=kind, base_model="org/model", chosen=chosen, preset=preset
        )
        if config["theta"]["init"] == "path":
            config["theta"]["init_path"] = "run"
        assert from_dict(with_places(config, kind)).objective.kind == kind


@by_examples
@given(KINDS, st.data())
def test_app_and_trainer_refuse_the_same_combinations(kind: str, data: st.DataObject) -> None:
    config = options.defaults()
    for path, values in CROSS.items():
        options.put(config, path, data.draw(values, label=path))
    config["objective"]["kind"], config["model"]["path"] = kind, "org/model"

    def accepts(check: Callable[[], object], error: type[Exception]) -> bool:
        try:
            check()
        except error:
            return False
        return True

    assert accepts(lambda: options.check_together(config, kind), options.InvalidOptions) == accepts(
        lambda: from_dict(with_places(config, kind)), InvalidConfig
    )


@pytest.mark.parametrize("kind", launching.KINDS)
@pytest.mark.parametrize("preset", options.presets())
def test_every_preset_has_every_kind(preset: str, kind: str) -> None:
    config = launching.compose_config(kind=kind, base_model="org/model", chosen={}, preset=preset)
    read = from_dict(with_places(config, kind))
    assert (read.objective.kind, read.expert is not None) == (kind, kind in TAUGHT)


def test_the_form_shows_every_option_that_a_kind_reads_once() -> None:
    for kind in launching.KINDS:
        shown = [*options.main_options(kind)]
        shown += [each for section in options.sections(kind) for each in section.options]
        paths = [each.path for each in shown]
        assert sorted(paths) == sorted(set(paths))
        assert set(paths) == {p for p, each in options.options().items() if each.concerns(kind)}
    assert {each.path for each in options.main_options("spo")} >= {"spo.beta"}
    assert "spo" not in {each.name for each in options.sections("cpo")}


def test_only_options_that_exist_are_spoken_of() -> None:
    named = {*options.MAIN, *options.TITLES, *options.HINTS}
    assert named <= options.options().keys()
    sections = options.schema()["properties"]
    assert {each.partition(".")[0] for each in options.ONLY_FOR} <= sections.keys()
    alone = {each for each in options.ONLY_FOR if "." in each}
    assert alone <= options.options().keys()
    for section in (options.ONLY_FOR.keys() - alone) | set(options.SECTIONS) - {""}:
        assert sections[section]["type"] == "object"
