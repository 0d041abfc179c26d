import json
from pathlib import Path
from typing import Any, get_args

import pytest

from method.training import recipes
from method.training.config import Config, Kind
from method.training.config_reading import from_dict, load_config, to_dict, write_yaml
from method.training.config_schema import json_schema
from method.training.failures import InvalidConfig

SCHEMA = Path(__file__).parents[3] / "app/runs/training_schema.json"
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
        ({"lora": {"alpha": 1, "scaling": 1}}, "lora: alpha and scaling are both given"),
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
            for kind in get_args(Kind)
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


def test_the_schema_of_the_launch_form_is_fresh() -> None:
    assert json.loads(SCHEMA.read_text()) == json_schema(), "run: python -m worker.presets"


def test_every_option_is_described() -> None:
    def walk(schema: dict[str, Any], place: str) -> None:
        assert schema.get("description"), place
        for name, inner in schema.get("properties", {}).items():
            walk(inner, f"{place}.{name}")

    walk(json_schema(), "config")


def test_the_documentation_lists_every_option() -> None:
    text = (SCHEMA.parents[2] / "docs/training-options.md").read_text()

    def walk(schema: dict[str, Any], prefix: str) -> None:
        for name, inner in schema["properties"].items():
            if inner["type"] == "object":
                walk(inner, f"{prefix}{name}.")
            else:
                assert f"| `{prefix}{name}` |" in text
                assert inner["description"] in text

    walk(json_schema(), "")
