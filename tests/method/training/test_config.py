import json
from pathlib import Path
from typing import Any

import pytest

from method.objectives import OBJECTIVES
from method.training import recipes
from method.training.config import Config, Lora, Objective
from method.training.config_fields import all_fields, changed, in_order, sections
from method.training.config_reading import from_dict, load_config, read_saved, to_dict, write_yaml
from method.training.failures import InvalidConfig
from method.training.options_page import PAGE, options_page

LEAST: dict[str, Any] = {
    "run_folder": "run",
    "dataset_folder": "data",
    "model": {"path": "model"},
    "objective": {"kind": "sft"},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run_folder": None}, "run_folder: must be text; got None"),
        ({"seeds": 1}, "seeds: unknown option"),
        ({"model": {}}, "model.path: is missing"),
        ({"model": "sdxl"}, "model: must be a mapping of options; got 'sdxl'"),
        ({"lora": {"rank": 0}}, "lora.rank: must be at least 1; got 0"),
        ({"lora": {"rank": 1.5}}, "lora.rank: must be a whole number; got 1.5"),
        ({"lora": {"rank": True}}, "lora.rank: must be a whole number; got True"),
        ({"lora": {"alpha": 1, "scaling": 1}}, "lora.scaling: alpha and scaling are both given"),
        ({"samples": {"seeds": []}}, "samples.seeds: must have at least 1 items; got 0"),
        ({"lora": {"targets": ["to_q", 3]}}, "lora.targets[1]: must be text; got 3"),
        ({"samples": {"seeds": [0, -1]}}, "samples.seeds[1]: must be at least 0; got -1"),
        (
            {"optimization": {"learning_rate": 0}},
            "optimization.learning_rate: must be more than 0; got 0.0",
        ),
        (
            {"optimization": {"learning_rate": float("nan")}},
            "optimization.learning_rate: must be a number; got nan",
        ),
        ({"precision": "fp8"}, "precision: must be one of fp32, bf16; got 'fp8'"),
        ({"objective": {"kind": "cpo"}}, "expert: objective cpo needs the adapter folder"),
        ({"expert": "somewhere"}, "expert: sft makes the expert and takes none"),
        (
            {"objective": {"kind": "lcm"}},
            f"objective.kind: must be one of {', '.join(OBJECTIVES)}; got 'lcm'",
        ),
        (
            {"objective": {"kind": "sft", "reference": "sft"}},
            "objective.reference: sft makes the expert and has no reference",
        ),
        (
            {"theta": {"init": "sft"}},
            "theta.init: sft makes the expert and cannot start from one",
        ),
        (
            {"objective": {"kind": "sft", "drop_all": 0.6, "drop_to_neg": 0.6}},
            "objective.drop_to_neg: drop_all + drop_to_neg is more than 1",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        from_dict(LEAST | change)
    assert str(caught.value).startswith(message)


def test_the_least_config_has_every_default() -> None:
    config = from_dict(LEAST)
    assert config.objective.omega_w == 2.0
    assert config.lora.effective_alpha == 16
    assert from_dict(LEAST | {"lora": {"rank": 8, "scaling": 0.1}}).lora.effective_alpha == 0.8


def test_numbers_may_be_written_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(LEAST)[:-1] + ', "optimization": {"learning_rate": 1e-4}}')
    assert load_config(path).optimization.learning_rate == 1e-4


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with pytest.raises(InvalidConfig, match=r"config\.yaml: cannot be read"):
        load_config(path)
    path.write_text("a: [")
    with pytest.raises(InvalidConfig, match=r"config\.yaml: is not YAML"):
        load_config(path)
    path.write_text("")
    with pytest.raises(InvalidConfig, match=r"config\.yaml: must be a mapping"):
        load_config(path)


@pytest.mark.parametrize(
    "config",
    [
        recipes.tiny_sft("run", "data", "model", ("a house",)),
        recipes.tiny_cpo("run", "data", "model", "expert"),
        *(
            make(kind, "run", "data", model="model", expert="expert")
            for make in (
                recipes.tiny,
                recipes.sd15_small,
                recipes.sdxl,
                recipes.paper_sdxl,
                recipes.paper_flux,
            )
            for kind in OBJECTIVES
        ),
    ],
)
def test_recipes_survive_the_way_through_a_file(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(write_yaml(config))
    assert load_config(path) == config
    assert from_dict(to_dict(config)) == config


def test_the_papers_recipes_say_what_the_paper_says() -> None:
    sft = recipes.paper_sdxl("sft", "run", "data")
    assert (sft.lora.rank, sft.effective_learning_rate, sft.optimization.epochs) == (16, 1e-4, 2)
    cpo = recipes.paper_sdxl("cpo_s", "run", "data", expert="expert")
    assert (cpo.theta.mode, cpo.optimization.optimizer) == ("full", "adafactor")
    assert (cpo.images_per_step, cpo.effective_learning_rate) == (1, 1e-8)
    dpo = recipes.paper_sdxl("dpo", "run", "pairs")
    assert dpo.effective_learning_rate == pytest.approx(128e-8)
    flux = recipes.paper_flux("cpo_s", "run", "data", expert="expert")
    assert (flux.lora.rank, flux.lora.effective_alpha) == (8, 0.8)


def test_all_that_does_not_go_together_is_known_at_once() -> None:
    wrong = {"lora": {"alpha": 1, "scaling": 1}, "validation": {"patience": 2}, "expert": "there"}
    with pytest.raises(InvalidConfig) as caught:
        from_dict(LEAST | wrong)
    assert list(caught.value.problems) == ["expert", "lora.scaling", "validation.patience"]
    assert str(caught.value) == f"expert: {caught.value.problems['expert']}"


def test_a_config_of_an_earlier_version_is_read_with_what_is_new_and_without_what_is_gone() -> None:
    old = LEAST | {"gone": 1, "lora": {"rank": 4, "old": True}, "run_folder": "$NOWHERE/run"}
    config = read_saved(old)
    assert config.lora == Lora(rank=4)
    assert config.run_folder == "$NOWHERE/run"  # as it was written
    assert config.theta.mode == "lora"


def test_values_are_changed_by_dotted_path_and_checked_together() -> None:
    config = from_dict(LEAST)
    values = {"seed": 3, "lora.rank": 2, "lora.alpha": 1.0, "objective.kind": "spo"}
    new = changed(config, values)
    assert (new.seed, new.lora, new.objective) == (3, Lora(rank=2, alpha=1), Objective(kind="spo"))
    assert all(all_fields()[path].of(new) == value for path, value in values.items())
    with pytest.raises(InvalidConfig, match=r"^pairs_folder: objective dpo needs this folder"):
        changed(config, {"objective.kind": "dpo"})


def test_plain_values_go_back_into_the_order_of_the_config() -> None:
    values = to_dict(from_dict(LEAST))
    mixed = {name: values[name] for name in sorted(values)}
    mixed["lora"] = {"old": 1} | dict(sorted(values["lora"].items()))
    found = in_order(mixed | {"gone": 2})
    assert list(found) == [*values, "gone"]
    assert list(found["lora"]) == [*values["lora"], "old"]


def test_every_option_is_described() -> None:
    assert all(field.help for field in all_fields().values())
    assert all(sections().values())


def test_the_documentation_lists_every_option() -> None:
    assert PAGE.read_text() == options_page(), "run: python -m method.training.options_page"
    assert "| `objective.beta` | number | 5000.0 | Strength of the pull" in PAGE.read_text()
