"""Whatever the app composes, the trainer takes; and what the config refuses, the app refuses in its words."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.runs import launching, options
from app.runs.option_values import as_text
from app.runs.places import PLACES
from app.settings import settings as installation
from method.objectives import OBJECTIVES
from method.training.config_fields import all_fields, sections
from method.training.config_reading import from_dict, to_dict
from method.training.presets import PRESETS
from tests.method.training.values import valid

KINDS = st.sampled_from(list(OBJECTIVES))
STARTS = st.sampled_from([None, *PRESETS])
FREE = [
    each.field
    for path, each in options.options().items()
    if path not in PLACES and path not in options.FILE_NAMES
]
by_examples = settings(deadline=None, max_examples=100)


@pytest.fixture(scope="module", autouse=True)
def _a_hub_model() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installation(), "hub_models", ["org/model"])
        yield


@by_examples
@given(KINDS, STARTS, st.data())
def test_the_trainer_takes_every_config_that_the_app_composes(
    kind: str, preset: str | None, data: st.DataObject
) -> None:
    known = options.options()
    paths = data.draw(st.sets(st.sampled_from(sorted(known)), max_size=6))
    chosen = {
        path: data.draw(valid(known[path].field, st.sampled_from("abc/")), label=path)
        for path in sorted(paths)
    }
    with suppress(options.InvalidOptions):
        config = launching.compose_config(
            kind=kind, base_model="org/model", chosen=chosen, preset=preset
        )
        assert from_dict(to_dict(config)) == config


@by_examples
@given(st.data())
def test_what_the_form_shows_of_a_value_is_read_as_that_value(data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(FREE))
    # A list's items stand one a line, and blanks around a text are not meant.
    value = field.read(data.draw(valid(field, st.sampled_from("abc/-_"))))
    text = as_text(value)
    if text:
        assert options.options()[field.path].read(text) == value


@pytest.mark.parametrize(
    ("kind", "chosen", "errors"),
    [
        ("sft", {"lora.rank": "0"}, {"lora.rank": "must be at least 1; got 0"}),
        ("sft", {"lora.rank": "x"}, {"lora.rank": "must be a whole number; got 'x'"}),
        (
            "sft",
            {"samples.seeds": "1\n-1"},
            {"samples.seeds": "item 2: must be at least 0; got -1"},
        ),
        (
            "sft",
            {"objective.reference": "sft"},
            {"objective.reference": "sft makes the expert and has no reference"},
        ),
        (
            "sft",
            {"theta.init": "sft", "lora.alpha": 1, "lora.scaling": 1},
            {
                "theta.init": "sft makes the expert and cannot start from one",
                "lora.scaling": "alpha and scaling are both given; give one of them",
            },
        ),
        (
            "cpo",
            {"scale.sharding": "fsdp", "scale.processes": 2, "teacher.cache": True},
            {
                "teacher.cache": "each process's cache could hold other images, and with fsdp all make the "
                "same passes; remove it, or choose scale.sharding none"
            },
        ),
    ],
)
def test_all_that_is_wrong_is_said_in_the_words_of_the_config(
    kind: str, chosen: dict[str, Any], errors: dict[str, str]
) -> None:
    with pytest.raises(options.InvalidOptions) as caught:
        launching.compose_config(kind=kind, base_model="org/model", chosen=chosen)
    assert caught.value.errors == errors


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_every_kind(preset: str, kind: str) -> None:
    config = launching.compose_config(kind=kind, base_model="org/model", chosen={}, preset=preset)
    assert (config.objective.kind, config.needs_expert) == (kind, config.expert is not None)
    assert config.needs_expert == OBJECTIVES[kind].needs_expert


def test_the_form_shows_every_option_that_a_kind_reads_once() -> None:
    for kind in OBJECTIVES:
        shown = [*options.main_options(kind)]
        shown += [each for section in options.sections(kind) for each in section.options]
        paths = [each.path for each in shown]
        assert sorted(paths) == sorted(set(paths))
        assert set(paths) == {p for p, each in options.options().items() if each.concerns(kind)}
    assert {each.path for each in options.main_options("spo")} >= {"spo.beta"}
    assert "spo" not in {each.name for each in options.sections("cpo")}


def test_only_options_that_exist_are_spoken_of() -> None:
    assert {*options.MAIN, *options.TITLES, *options.HINTS} <= options.options().keys()
    assert options.DECIDED_ELSEWHERE | options.CHOSEN_AS.keys() <= all_fields().keys()
    assert options.SECTIONS.keys() <= sections().keys()
