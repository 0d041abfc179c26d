"""Every objective on every backbone's real architecture: it starts where it should, and it learns."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from method.objectives import OBJECTIVES
from method.training.config import (
    Config,
    Data,
    Lora,
    Model,
    Objective,
    Teacher,
    Theta,
    Validation,
)
from tests.worker.training.conftest import quick
from tests.worker.training.datasets import write_dataset
from worker.pairs.from_labels import from_labels
from worker.training.metrics import read_lines
from worker.training.run import run
from worker.training.tiny_model import Kind, make_tiny_model

FAMILIES: tuple[Kind, ...] = ("sd15", "sdxl", "sdxl-v", "flux")


@pytest.fixture(scope="session")
def base_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("models")
    return {kind: make_tiny_model(home / kind, kind=kind, fit=False) for kind in FAMILIES}


@pytest.fixture(scope="session")
def two_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So few that every step sees the same ones."""
    home = tmp_path_factory.mktemp("two")
    return write_dataset(home / "images", 2, without_negative=0, validation=2)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("pairs")
    dataset = write_dataset(home / "images", 3)
    from_labels(dataset, home / "pairs", name="pairs")
    return home / "pairs"


def config(folder: Path, model: Path, kind: str, **more: Any) -> Config:
    options: dict[str, Any] = {
        "run_folder": str(folder),
        "model": Model(path=str(model)),
        "objective": Objective(kind=kind, drop_all=0, drop_to_neg=0),
        "data": Data(resolution=64),
        "lora": Lora(rank=4),
        "threads": 1,
    }
    return quick(Config(**options | more), 8)


def of_unknown_words(expert: Path, place: Path) -> Path:
    """The expert's adapter without what it says of its wording: it may be asked in any."""
    place.mkdir()
    name = "pytorch_lora_weights.safetensors"
    with safe_open(expert / "adapter" / name, "pt") as file:
        about = {key: text for key, text in file.metadata().items() if key != "morelli_origin"}
    save_file(load_file(expert / "adapter" / name), place / name, about)
    return place


def losses(made: Config) -> list[float]:
    run(made)
    return [row["loss"] for row in read_lines(Path(made.run_folder) / "metrics.jsonl")]


def slowly(made: Config, rate: float) -> Config:
    wanted = replace(made.optimization, learning_rate=rate, gradient_accumulation=1, batch_size=2)
    return replace(made, optimization=wanted)


@pytest.fixture(scope="session")
def experts(
    base_models: dict[str, Path], two_images: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A finished stage 1 for each backbone."""
    home = tmp_path_factory.mktemp("experts")
    for family, model in base_models.items():
        made = config(home / family, model, "sft", dataset_folder=str(two_images))
        run(replace(slowly(made, 1e-2), validation=Validation(every=1, keep_best=False)))
    return {family: home / family for family in base_models}


@pytest.mark.parametrize("family", FAMILIES)
def test_stage_1_learns(experts: dict[str, Path], family: str) -> None:
    # Timesteps differ from step to step, so a step's loss is no measure. The validation's are fixed.
    rows = read_lines(experts[family] / "metrics.jsonl")
    assert rows[-1]["validation_loss"] < rows[0]["validation_loss"]


@pytest.mark.parametrize("kind", ["cpo", "cpo_s"])
@pytest.mark.parametrize("family", FAMILIES)
def test_stage_2_starts_at_log_2_and_learns(
    base_models: dict[str, Path],
    experts: dict[str, Path],
    two_images: Path,
    tmp_path: Path,
    family: str,
    kind: str,
) -> None:
    made = config(
        tmp_path / "run",
        base_models[family],
        kind,
        dataset_folder=str(two_images),
        expert=str(experts[family]),
    )
    found = losses(slowly(made, 5e-3))
    assert found[0] == pytest.approx(math.log(2), abs=1e-6)
    assert sum(found[4:]) / 4 < math.log(2)


@pytest.mark.parametrize("kind", ["gap", "y_gap", "orthogonal", "distil"])
@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_objectives_beyond_the_paper_learn(
    base_models: dict[str, Path],
    experts: dict[str, Path],
    two_images: Path,
    tmp_path: Path,
    family: str,
    kind: str,
) -> None:
    made = config(
        tmp_path / "run",
        base_models[family],
        kind,
        dataset_folder=str(two_images),
        expert=str(experts[family]),
    )
    made = replace(slowly(made, 5e-3), validation=Validation(every=1, keep_best=False))
    run(made)
    rows = read_lines(tmp_path / "run" / "metrics.jsonl")
    is_logistic = OBJECTIVES[kind].pulls_by_beta
    # What the orthogonal push descends is not Eq. 12's margin: it brings the winner nearer.
    if is_logistic:
        assert rows[-1]["win"] < 0
    else:
        assert rows[-1]["validation_loss"] < rows[0]["validation_loss"]
    assert rows[-1]["drift"] > 0
    assert (rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)) == is_logistic
    assert (rows[0]["factor"] == 1) != is_logistic


@pytest.mark.parametrize(
    ("kind", "section", "options"),
    [
        ("gap", "objective", {"gap": 1.0}),
        ("gap", "objective", {"gap_drift": 0.01}),
        ("y_gap", "objective", {"gap": 1.0}),
        ("cpo", "guard", {"winner": True}),
        ("distil", "objective", {"omega_w": 1.0}),
    ],
)
def test_each_option_of_these_changes_what_is_learned(
    base_models: dict[str, Path],
    experts: dict[str, Path],
    two_images: Path,
    tmp_path: Path,
    kind: str,
    section: str,
    options: dict[str, Any],
) -> None:
    places = {"dataset_folder": str(two_images), "expert": str(experts["sdxl"])}
    plain = slowly(config(tmp_path / "plain", base_models["sdxl"], kind, **places), 1e-3)
    changed = replace(getattr(plain, section), **options)
    other = replace(plain, run_folder=str(tmp_path / "changed"), **{section: changed})
    assert losses(quick(plain, 3)) != losses(quick(other, 3))


@pytest.mark.parametrize("kind", ["y_gap", "gap"])
def test_each_kind_of_teacher_has_cache_entries_of_its_own(
    base_models: dict[str, Path],
    experts: dict[str, Path],
    two_images: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    """What y_gap asks the expert, cpo_s does not; gap asks the same."""
    places = {"dataset_folder": str(two_images), "expert": str(experts["sdxl"])}
    cache = Teacher(cache_folder=str(tmp_path / "cache"), dtype="fp32")
    plain = slowly(config(tmp_path / "plain", base_models["sdxl"], kind, **places), 1e-3)
    first = replace(plain, run_folder=str(tmp_path / "first"), teacher=cache)
    paper = replace(first, run_folder=str(tmp_path / "cpo_s"), objective=Objective(kind="cpo_s"))
    run(paper)
    before = set((tmp_path / "cache").rglob("*.safetensors"))
    rows = [losses(each) for each in (first, plain)]
    assert rows[0] == pytest.approx(rows[1], rel=1e-5)
    added = set((tmp_path / "cache").rglob("*.safetensors")) - before
    assert len(added) == (len(before) if kind == "y_gap" else 0)


@pytest.mark.parametrize("kind", ["dpo", "npo", "sdpo"])
@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_start_at_log_2_and_are_learned(
    base_models: dict[str, Path], pairs: Path, tmp_path: Path, family: str, kind: str
) -> None:
    made = config(tmp_path / "run", base_models[family], kind, pairs_folder=str(pairs))
    found = losses(slowly(made, 5e-3))
    assert found[0] == pytest.approx(math.log(2), abs=1e-6)
    assert sum(found[4:]) / 4 < math.log(2)


def test_npo_is_dpo_on_swapped_pairs(
    base_models: dict[str, Path], pairs: Path, tmp_path: Path
) -> None:
    """The first step's gradients are those of DPO with the other sign, so both are as long."""
    rows = {}
    for kind in ("dpo", "npo"):
        made = config(tmp_path / kind, base_models["sdxl"], kind, pairs_folder=str(pairs))
        run(slowly(quick(made, 1), 1e-3))
        (rows[kind],) = read_lines(tmp_path / kind / "metrics.jsonl")
    assert rows["dpo"]["grad_norm"] == pytest.approx(rows["npo"]["grad_norm"], rel=1e-4)
    assert rows["dpo"]["rho"] == pytest.approx(1 / rows["npo"]["rho"], rel=0.05)


@pytest.mark.parametrize("kind", ["sft", "cpo_s", "dpo"])
def test_a_whole_network_learns_and_loads(
    base_models: dict[str, Path],
    experts: dict[str, Path],
    two_images: Path,
    pairs: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    from diffusers import UNet2DConditionModel

    places: dict[str, Any] = {"dataset_folder": str(two_images)}
    if kind == "cpo_s":
        places["expert"] = str(experts["sdxl"])
    if kind == "dpo":
        places = {"pairs_folder": str(pairs)}
    made = config(tmp_path / "run", base_models["sdxl"], kind, theta=Theta(mode="full"), **places)
    made = slowly(made, 1e-4)
    found = losses(replace(made, optimization=replace(made.optimization, optimizer="adafactor")))
    if kind != "sft":
        assert found[0] == pytest.approx(math.log(2), abs=1e-6)
        assert sum(found[4:]) / 4 < math.log(2)
    loader: Any = UNet2DConditionModel
    base = loader.from_pretrained(base_models["sdxl"], subfolder="unet").state_dict()
    trained = loader.from_pretrained(tmp_path / "run" / "network").state_dict()
    assert base.keys() == trained.keys()
    assert any(not base[name].equal(trained[name]) for name in base)


def test_an_expert_may_be_a_whole_network(
    base_models: dict[str, Path], two_images: Path, tmp_path: Path
) -> None:
    model = base_models["sd15"]
    whole = config(
        tmp_path / "expert", model, "sft", theta=Theta(mode="full"), dataset_folder=str(two_images)
    )
    run(slowly(quick(whole, 3), 1e-3))
    made = config(
        tmp_path / "run",
        model,
        "cpo_s",
        dataset_folder=str(two_images),
        expert=str(tmp_path / "expert"),
    )
    found = losses(slowly(made, 5e-3))
    assert found[0] == pytest.approx(math.log(2), abs=1e-6)
    assert sum(found[4:]) / 4 < math.log(2)


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_theta_may_start_as_the_expert_and_be_held_to_it(
    base_models: dict[str, Path],
    experts: dict[str, Path],
    two_images: Path,
    tmp_path: Path,
    mode: str,
) -> None:
    made = config(
        tmp_path / "run",
        base_models["sdxl"],
        "cpo_s",
        dataset_folder=str(two_images),
        expert=str(experts["sdxl"]),
        theta=Theta(mode=mode, init="sft"),  # type: ignore[arg-type]
    )
    made = replace(made, objective=replace(made.objective, beta=1.0))
    held = replace(made.objective, reference="sft")
    away = losses(slowly(quick(made, 1), 1e-3))
    assert away[0] != pytest.approx(math.log(2), abs=1e-6)
    again = replace(made, run_folder=str(tmp_path / "held"), objective=held)
    assert losses(slowly(quick(again, 1), 1e-3))[0] == pytest.approx(math.log(2), abs=1e-3)
    # To go on from another run's weights is the same start.
    if mode == "lora":
        start = Theta(init="path", init_path=str(experts["sdxl"]))
        third = replace(made, run_folder=str(tmp_path / "path"), theta=start)
        assert losses(slowly(quick(third, 1), 1e-3)) == away


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("objective", {"time_weight": "min_snr"}),
        ("objective", {"time_weight": "snr", "beta": 1.0}),
        ("objective", {"omega_w": 1.0, "omega_l": 1.0}),
        ("objective", {"margin": "eq12"}),
        ("objective", {"norm_eps": 1000.0}),
        ("objective", {"drop_content": 0.5}),
        ("text", {"polarity_markers": True}),
        ("text", {"order": "name"}),
        ("text", {"null": "zeros"}),
        ("text", {"reducer": "binary"}),
        ("text", {"reducer": "scalar", "empty_neg": "generic"}),
        ("noise", {"timesteps": "logit_normal", "offset": 0.05}),
        ("data", {"share": 0.5}),
        ("data", {"bucket_step": 8}),
        ("optimization", {"schedule": "cosine", "warmup_steps": 2}),
        ("optimization", {"gradient_checkpointing": True}),
        ("optimization", {"ema_decay": 0.9}),
        ("optimization", {"scale_lr": True}),
    ],
)
def test_each_option_changes_what_is_learned(
    base_models: dict[str, Path],
    experts: dict[str, Path],
    dataset: Path,
    tmp_path: Path,
    section: str,
    options: dict[str, Any],
) -> None:
    plain = slowly(
        quick(
            config(
                tmp_path / "plain",
                base_models["sdxl"],
                "cpo_s",
                dataset_folder=str(dataset),
                expert=str(of_unknown_words(experts["sdxl"], tmp_path / "expert")),
            ),
            3,
        ),
        1e-3,
    )
    changed = replace(getattr(plain, section), **options)
    run(plain)
    run(replace(plain, run_folder=str(tmp_path / "changed"), **{section: changed}))
    weights = [
        (tmp_path / name / "adapter/pytorch_lora_weights.safetensors").read_bytes()
        for name in ("plain", "changed")
    ]
    # Recomputed activations are the same ones: this option costs time and changes nothing.
    is_same = options == {"gradient_checkpointing": True}
    assert (weights[0] == weights[1]) == is_same
