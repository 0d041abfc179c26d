"""What a run will take: steps exactly, time by a run like it or by operations, memory by parts."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.datasets import erasures, freezing
from app.datasets.models import Dataset, PairDataset
from app.runs import estimating, launching
from app.runs.estimating import Estimate
from app.runs.launching import Sources
from app.runs.model_sizes import FLUX, GIB, SD15, SDXL, size_of
from method.training.config import Config
from method.training.config_fields import changed
from method.training.presets import PRESETS
from tests.app.runs.conftest import COUNTS, Finish, Launch
from tests.factories import Make

SDXL_ID = "stabilityai/stable-diffusion-xl-base-1.0"


def config_of(kind: str, preset: str, model: str = SDXL_ID, **values: Any) -> Config:
    named = {path.replace("__", "."): value for path, value in values.items()}
    return changed(PRESETS[preset].config(kind), named | {"model.path": model})


def estimate(db: Session, make: Make, config: Config, counts: dict[str, int]) -> Estimate:
    is_paired = config.objective.facts.reads_pairs
    data = Sources(
        dataset=None if is_paired else Dataset(counts=counts),
        pairs=PairDataset(counts=counts) if is_paired else None,
    )
    return estimating.estimate(db, make.project(), data, config)


def test_a_finished_run_like_it_tells_the_time(
    db: Session, make: Make, launch: Launch, finish: Finish
) -> None:
    project = make.project()
    run = finish(launch(project))
    dataset = freezing.get_dataset(db, project, run.dataset_id or 0)
    config = launching.config_of(run)
    found = estimating.estimate(db, project, Sources(dataset), config)
    assert (found.examples, found.steps, found.like) == (8, 120, run)
    assert found.seconds == pytest.approx(120 * 4 / 20)
    longer = {"max_steps": None, "epochs": 3, "batch_size": 5}
    longer_config = changed(config, {f"optimization.{name}": n for name, n in longer.items()})
    assert estimating.estimate(db, project, Sources(dataset), longer_config).steps == 6
    slower = changed(config, {"precision": "bf16"})
    assert estimating.estimate(db, project, Sources(dataset), slower).like is None


@pytest.mark.parametrize(
    ("kind", "values", "examples", "skipped"),
    [
        ("sft", {}, 8, 0),
        ("sft", {"data__split": "all"}, 10, 0),
        ("sft", {"data__share": 0.5}, 4, 0),
        ("sft", {"data__share": 0.01}, 1, 0),
        ("cpo_s", {}, 6, 2),
        ("cpo_s", {"text__empty_neg": "generic"}, 8, 0),
        ("cpo", {"data__share": 0.5}, 3, 2),
        ("spo", {}, 8, 0),
        ("dpo", {}, 8, 0),
    ],
)
def test_counts_what_there_is_to_learn_from(
    db: Session, make: Make, kind: str, values: dict[str, Any], examples: int, skipped: int
) -> None:
    found = estimate(db, make, config_of(kind, "tiny", **values), COUNTS)
    assert (found.examples, found.skipped) == (examples, skipped)
    assert found.unit == ("pairs" if kind == "dpo" else "images")


def test_a_step_takes_the_batches_of_all_processes(db: Session, make: Make) -> None:
    config = config_of(
        "sft", "sdxl", optimization__batch_size=2, optimization__gradient_accumulation=3,
        optimization__epochs=2, scale__processes=4,
    )  # fmt: skip
    assert estimate(db, make, config, {"images": 100, "train": 100}).steps == 2 * 5


@pytest.mark.parametrize(
    ("kind", "preset", "values", "tflop"),
    [
        # The table of operations per step at 1024 px, batch 1, counted independently of this code.
        ("sft", "sdxl", {"optimization__gradient_checkpointing": False}, 14.2),
        ("cpo", "sdxl", {"optimization__gradient_checkpointing": False}, 48.0),
        ("cpo_s", "sdxl", {}, 53.1),
        ("cpo_s", "paper-sdxl", {}, 59.2),
        ("dpo", "sdxl", {}, 52.2),
        ("npo", "sdxl", {"optimization__gradient_checkpointing": False}, 41.9),
        ("cpo", "paper-flux", {}, 610),
        ("dpo", "paper-flux", {"optimization__gradient_checkpointing": False}, 476),
    ],
)
def test_counts_operations_as_the_literature_does(
    kind: str, preset: str, values: dict[str, Any], tflop: float
) -> None:
    model = "black-forest-labs/FLUX.1-dev" if preset == "paper-flux" else SDXL_ID
    config = config_of(kind, preset, model, **values)
    assert estimating.example_tflop(config, size_of(model)) == pytest.approx(tflop, rel=0.02)


def test_guidance_of_one_spares_a_prediction_of_the_expert() -> None:
    size = size_of(SDXL_ID)
    both = estimating.example_tflop(config_of("cpo", "sdxl"), size)
    one = estimating.example_tflop(config_of("cpo", "sdxl", objective__omega_w=1), size)
    assert both - one == pytest.approx(SDXL.forward_tflop(1024))


def test_spo_takes_predictions_for_candidates_and_for_what_is_learned_from() -> None:
    size = size_of(SDXL_ID)
    config = config_of("spo", "sdxl", spo__steps=3, spo__first=1, spo__train_steps=1)
    # Steps 0 and 1 are predicted once, the two candidates after step 1 once each, all under guidance.
    forward = SDXL.forward_tflop(1024)
    expected = forward * 2 * (1 + 1 + 2 + 1 + 2.84) + 2 * 10.5
    assert estimating.example_tflop(config, size) == pytest.approx(expected)
    one = config_of("spo", "sdxl", spo__train_steps=1)
    four = config_of("spo", "sdxl", spo__train_steps=4)
    kept = [estimating.memory_of(each, size).activations for each in (one, four)]
    assert kept[1] == pytest.approx(4 * kept[0])


def test_memory_by_its_parts() -> None:
    adapter = estimating.memory_of(config_of("sft", "sdxl"), size_of(SDXL_ID))
    assert adapter.weights == pytest.approx(2.567e9 * 2, rel=0.01)  # frozen, bf16
    assert adapter.trained == pytest.approx(23.2e6 * 16, rel=0.01)  # rank 16, AdamW
    assert 0.5 * GIB < adapter.activations < GIB
    whole = estimating.memory_of(config_of("cpo", "paper-sdxl"), size_of(SDXL_ID))
    # fp32 weights and gradients 10.3 GB each, Adafactor next to nothing, the copy to compute with.
    assert whole.trained == pytest.approx(2.567e9 * (4 + 4 + 2), rel=0.02)
    assert whole.total > whole.weights + whole.trained + whole.activations


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"optimization__batch_size": 8}, "activations"),
        ({"optimization__gradient_checkpointing": False}, "activations"),
        ({"data__resolution": 1536}, "activations"),
        ({"precision": "fp32"}, "weights"),
        ({"lora__rank": 64}, "trained"),
        ({"optimization__ema_decay": 0.999}, "trained"),
    ],
)
def test_what_takes_more_memory(values: dict[str, Any], part: str) -> None:
    size = size_of(SDXL_ID)
    less = estimating.memory_of(config_of("dpo", "sdxl"), size)
    more = estimating.memory_of(config_of("dpo", "sdxl", **values), size)
    assert getattr(more, part) > getattr(less, part)
    assert more.total > less.total


def test_sharding_divides_the_weights() -> None:
    size = size_of("black-forest-labs/FLUX.1-dev")
    config = config_of("cpo", "paper-flux", scale__processes=4)
    alone = estimating.memory_of(config, size)
    shared = changed(config, {"scale.sharding": "fsdp"})
    assert estimating.memory_of(shared, size).weights == alone.weights / 4


def test_says_that_a_literal_learning_rate_moves_nothing(db: Session, make: Make) -> None:
    counts = {"images": 9000, "train": 8221}
    (sentence,) = estimate(db, make, config_of("cpo_s", "paper-sdxl"), counts).warnings
    assert "1e-08" in sentence and "no visible change" in sentence
    scaled = config_of("cpo_s", "paper-sdxl", optimization__gradient_accumulation=2048)
    assert estimate(db, make, scaled, counts).warnings == []


# Sizes --------------------------------------------------------------------------------------------


def write_weights(path: Path, shapes: dict[str, list[int]]) -> None:
    """The head of a safetensors file, which is all that is read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {n: {"dtype": "F16", "shape": s, "data_offsets": [0, 0]} for n, s in shapes.items()}
    text = json.dumps(head | {"__metadata__": {"format": "pt"}}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    index = {
        "_class_name": "StableDiffusionXLPipeline",
        "unet": [],
        "vae": [],
        "text_encoder_2": [],
    }
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    shapes = {
        "block.attn1.to_q.weight": [10, 20], "block.attn1.to_out.0.weight": [20, 10],
        "block.attn1.to_out.0.bias": [20], "conv.weight": [4, 3, 3, 3],
    }  # fmt: skip
    write_weights(tmp_path / "unet" / "diffusion_pytorch_model.safetensors", shapes)
    write_weights(tmp_path / "unet" / "diffusion_pytorch_model.fp16.safetensors", {"a": [7]})
    write_weights(tmp_path / "vae" / "diffusion_pytorch_model.safetensors", {"a": [5, 5]})
    write_weights(tmp_path / "text_encoder_2" / "model.safetensors", {"a": [3]})
    return tmp_path


def test_weights_are_counted_in_the_models_own_files(folder: Path) -> None:
    size = size_of(str(folder))
    assert (size.family, size.is_counted) == (SDXL, True)
    assert (size.network, size.encoders) == (200 + 200 + 20 + 108, 25 + 3)
    assert size.adapter == 30 + 30
    assert size_of(str(folder), targets=("to_q",)).adapter == 30
    assert size_of(str(folder), variant="fp16").network == 7


@pytest.mark.parametrize(
    "content", [b"", b"\x05\x00\x00", b"\xff" * 16, b"\x02" + b"\0" * 7 + b"[]"]
)
def test_files_that_cannot_be_read_leave_it_at_the_family(folder: Path, content: bytes) -> None:
    for path in (folder / "unet").iterdir():
        path.write_bytes(content)
    assert size_of(str(folder)).network == SDXL.network
    (folder / "model_index.json").write_bytes(content)
    assert not size_of(str(folder)).is_counted


@pytest.mark.parametrize(
    ("model", "family"),
    [
        (SDXL_ID, SDXL),
        ("black-forest-labs/FLUX.1-dev", FLUX),
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", SD15),
        ("/nowhere/model", SD15),
    ],
)
def test_a_hub_id_is_known_by_its_name(model: str, family: object) -> None:
    assert size_of(model).family is family
    assert not size_of(model).is_counted


def test_what_a_run_is_counted_by_is_what_it_is_launched_by(make: Make, launch: Launch) -> None:
    run = launch(make.project())
    dataset = Dataset(counts=COUNTS)
    assert launching.count_examples(Sources(dataset), launching.config_of(run)) == 8


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"[" * 100_000,
        b'{"a": {"shape": ["x", 2]}}',
        b'{"a": {"shape": [-1, 2]}}',
        b'{"a": {"shape": 3}, "b": []}',
    ],
)
def test_a_model_whose_files_are_damaged_is_estimated_like_its_family(
    tmp_path: Path, head: bytes
) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": SDXL.pipeline}))
    (tmp_path / "unet").mkdir()
    size = len(head).to_bytes(8, "little")
    (tmp_path / "unet" / "model.safetensors").write_bytes(size + head)
    (tmp_path / "unet" / "other.safetensors").mkdir()
    found = size_of(str(tmp_path))
    assert (found.network, found.is_counted) == (SDXL.network, False)


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_says_that_the_data_hold_an_image_that_was_erased(
    db: Session, make: Make, kind: str
) -> None:
    project = make.project()
    image = make.image(project)
    ready: dict[str, Any] = {
        "project_id": project.id,
        "number": 1,
        "name": "Spring",
        "folder": "spring",
        "manifest_sha256": "a" * 64,
        "counts": {"train": 8, "images": 10},
    }
    data: Dataset | PairDataset = (
        Dataset(version_id=make.version(project, number=1).id, **ready)
        if kind == "sft"
        else PairDataset(source="import", **ready)
    )
    db.add(data)
    db.flush()
    sources = Sources(dataset=data) if isinstance(data, Dataset) else Sources(pairs=data)
    config = config_of(kind, "sdxl")
    assert estimating.estimate(db, project, sources, config).warnings == []
    erasures.mark(db, [data], image)
    (sentence,) = estimating.estimate(db, project, sources, config).warnings
    assert f"holds 1 image that was erased from the project since: image {image.id}." in sentence
