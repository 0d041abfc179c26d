"""The edges of a run: the smallest and oddest inputs, stops at bad moments, full disks, junk in configs."""

import json
import math
import os
import resource
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional

from method.objectives import OBJECTIVES
from method.training.config import (
    Checkpoints,
    Config,
    Data,
    Flow,
    Guard,
    Lora,
    Model,
    Objective,
    Optimization,
    Samples,
    Spo,
    Teacher,
    Theta,
    Validation,
    Words,
)
from method.training.config_fields import all_fields, sections
from method.training.config_reading import from_dict, load_config, to_dict, write_yaml
from method.training.failures import Ended, InvalidConfig, InvalidDataset, Stopped
from taxonomy.prompt import conditions
from tests.method.training.values import configs
from tests.worker.training.datasets import seal, write_dataset, write_lines
from tests.worker.training.pair_datasets import write_pair_dataset
from worker.training.backbones.loading import load_backbone
from worker.training.checkpoints import newest_checkpoint, save_checkpoint
from worker.training.engine import Engine
from worker.training.files import read_tensors, write_tensors
from worker.training.guarding import SpikeGuard
from worker.training.metrics import append_line, read_lines
from worker.training.plan import Plan
from worker.training.run import run
from worker.training.tiny_model import Kind as Family
from worker.training.tiny_model import make_tiny_model
from worker.training.validating import Validator

FAMILIES: tuple[Family, ...] = ("sd15", "sdxl", "sdxl-v", "flux")
Models = Callable[[Family], Path]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    home = tmp_path_factory.mktemp("models")

    def model(family: Family) -> Path:
        folder = home / family
        return folder if folder.exists() else make_tiny_model(folder, family, fit=False)

    return model


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("images") / "houses", 3, without_negative=0)


def small(folder: Path, model: Path, kind: str = "sft", steps: int = 2, **more: Any) -> Config:
    options: dict[str, Any] = {
        "run_folder": str(folder),
        "model": Model(path=str(model)),
        "objective": Objective(kind=kind),
        "spo": Spo(steps=3, first=1, train_steps=1) if kind == "spo" else Spo(),
        "data": Data(resolution=64),
        "lora": Lora(rank=2),
        "device": "cpu",
        "threads": 1,
        "optimization": Optimization(max_steps=steps, batch_size=2, learning_rate=1e-3),
    }
    return Config(**options | more)


def rows_of(config: Config) -> list[dict[str, Any]]:
    return read_lines(Path(config.run_folder) / "metrics.jsonl")


def result_of(config: Config) -> Any:
    return json.loads((Path(config.run_folder) / "result.json").read_text())


# Small and odd inputs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimization",
    [
        Optimization(batch_size=64, gradient_accumulation=8, epochs=3),
        Optimization(batch_size=1, warmup_steps=1000, max_steps=3, schedule="cosine"),
        Optimization(batch_size=1, warmup_steps=3, max_steps=3, schedule="linear"),
    ],
    ids=["a batch larger than the dataset", "a warm-up longer than the run", "nothing but warm-up"],
)
def test_three_steps_are_three_steps(
    models: Models, images: Path, tmp_path: Path, optimization: Optimization
) -> None:
    config = small(tmp_path / "run", models("sd15"), dataset_folder=str(images))
    config = replace(config, optimization=optimization, log_every=1000)
    run(config)
    (row,) = rows_of(config)
    assert (row["step"], result_of(config)["steps"]) == (3, 3)
    assert 0 < row["lr"] <= 1e-5
    assert math.isfinite(row["loss"])


def test_one_image_and_the_largest_seeds(models: Models, tmp_path: Path) -> None:
    single = write_dataset(tmp_path / "one", 1, without_negative=0)
    config = small(tmp_path / "run", models("sd15"), dataset_folder=str(single), seed=2**63 - 1)
    seeds = Samples(every=0, prompts=("a house",), seeds=(2**63 - 1,), steps=1)
    run(replace(config, samples=seeds))
    assert result_of(config)["images"] == 1
    (sample,) = (r for r in read_lines(tmp_path / "run/samples/samples.jsonl") if r["step"] == 2)
    assert sample["seed"] == 2**63 - 1


def test_fewer_steps_than_an_epoch_encode_no_more_than_they_see(
    models: Models, tmp_path: Path
) -> None:
    many, cache = write_dataset(tmp_path / "many", 8), tmp_path / "cache"
    config = small(tmp_path / "run", models("sd15"), steps=1, dataset_folder=str(many))
    run(replace(config, data=replace(config.data, cache_folder=str(cache))))
    latents = [f for f in cache.rglob("*.safetensors") if "latent" in (read_tensors(f) or {})]
    assert len(latents) == 2


@pytest.mark.parametrize("buckets", [True, False])
def test_a_resolution_that_does_not_fit_is_refused(
    models: Models, images: Path, tmp_path: Path, buckets: bool
) -> None:
    config = small(tmp_path / "run", models("flux"), dataset_folder=str(images))
    config = replace(
        config, data=Data(resolution=68, bucket_step=8 if buckets else 64, buckets=buckets)
    )
    with pytest.raises(InvalidConfig, match=r"data\.resolution: must be a multiple of 8"):
        run(config)


@pytest.mark.parametrize("kind", ["sft", "spo", "cpo_s"])
def test_images_without_negatives(models: Models, tmp_path: Path, kind: str) -> None:
    happy = write_dataset(tmp_path / "happy", 2, without_negative=2, validation=1)
    places: dict[str, Any] = {"dataset_folder": str(happy), "validation": Validation(every=1)}
    if kind == "cpo_s":
        expert = small(tmp_path / "expert", models("sd15"), steps=1, dataset_folder=str(happy))
        run(expert)
        places["expert"] = expert.run_folder
    config = small(tmp_path / "run", models("sd15"), kind, **places)
    if kind == "cpo_s":
        with pytest.raises(InvalidDataset, match="has a negative attribute"):
            run(config)
        config = replace(config, text=Words(empty_neg="generic"))
    run(config)
    row = rows_of(config)[-1]
    assert math.isfinite(row["loss"]) and math.isfinite(row["validation_loss"])


def test_a_share_of_pairs_is_a_share(models: Models, tmp_path: Path) -> None:
    pairs = write_pair_dataset(tmp_path / "pairs", train=4, validation=2)
    config = small(tmp_path / "run", models("sd15"), "dpo", pairs_folder=str(pairs))
    run(replace(config, data=replace(config.data, share=0.5)))
    assert result_of(config)["images"] == 2


# The start: theta is the reference -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cpo_s", "dpo"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
def test_a_whole_network_starts_at_log_2_in_bf16(
    models: Models, images: Path, tmp_path: Path, family: Family, kind: str
) -> None:
    """Theta's weights are float32 copies of the reference's bf16 ones, and have to compute the same."""
    model = _worn(models(family), tmp_path / "model")
    places: dict[str, Any] = {"dataset_folder": str(images)}
    if kind == "dpo":
        places = {"pairs_folder": str(write_pair_dataset(tmp_path / "pairs"))}
    else:
        expert = small(tmp_path / "expert", model, steps=1, **places)
        run(expert)
        places["expert"] = expert.run_folder
    config = small(tmp_path / "run", model, kind, steps=1, **places)
    run(replace(config, precision="bf16", theta=Theta(mode="full")))
    assert rows_of(config)[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)


@pytest.fixture
def norms_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """There autocast has norms compute in float32, which on a CPU it does not."""

    def in_float32(norm: Any) -> Any:
        def compute(x: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
            if not torch.is_autocast_enabled("cpu"):
                return norm(x, *given, **named)  # type: ignore[no-any-return]
            with torch.autocast("cpu", enabled=False):
                exact = [e.float() if isinstance(e, torch.Tensor) else e for e in given]
                return norm(x.float(), *exact, **named)  # type: ignore[no-any-return]

        return compute

    for name in ("layer_norm", "group_norm"):
        monkeypatch.setattr(functional, name, in_float32(getattr(functional, name)))


@pytest.mark.usefixtures("norms_as_on_a_gpu")
@pytest.mark.parametrize(("mode", "start"), [("lora", "base"), ("lora", "sft"), ("full", "base")])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
def test_in_bf16_theta_starts_where_the_reference_is(
    models: Models, images: Path, tmp_path: Path, family: Family, mode: Any, start: Any
) -> None:
    model = _worn(models(family), tmp_path / "model")
    expert = small(tmp_path / "expert", model, steps=3, dataset_folder=str(images))
    run(replace(expert, optimization=replace(expert.optimization, learning_rate=0.01)))
    places = {"dataset_folder": str(images), "expert": expert.run_folder}
    config = small(tmp_path / "run", model, "cpo_s", steps=1, **places)
    objective, theta = replace(config.objective, reference=start), Theta(mode=mode, init=start)
    run(replace(config, precision="bf16", theta=theta, objective=objective))
    assert rows_of(config)[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)


def _worn(model: Path, folder: Path) -> Path:
    """The model with scales and biases as training leaves them: fresh ones are all 1 and 0, and in
    whatever precision a 1 is multiplied by, it changes nothing.
    """
    shutil.copytree(model, folder)
    (path,) = [*folder.glob("unet/*.safetensors"), *folder.glob("transformer/*.safetensors")]
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: tensor + 0.3 * torch.randn(tensor.shape, generator=generator)
        if tensor.dim() == 1
        else tensor
        for name, tensor in load_file(path).items()
    }
    save_file(weights, path, {"format": "pt"})
    return folder


def test_the_teacher_cache_starts_at_log_2_with_prompts_of_one_and_several_windows(
    models: Models, tmp_path: Path
) -> None:
    folder = write_dataset(tmp_path / "mixed", 2, without_negative=0)
    path = folder / "train" / "examples.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["prompt"] = " ".join(["painting of a house"] * 40)
    written = conditions(rows[0]["prompt"], rows[0]["positive"], rows[0]["negative"])
    rows[0]["text"] = written.all
    write_lines(folder / "train", rows)
    (folder / "manifest.json").unlink()
    seal(folder)
    data = Data(resolution=64, buckets=False)
    expert = small(
        tmp_path / "expert", models("sd15"), steps=1, dataset_folder=str(folder), data=data
    )
    run(expert)
    config = small(
        tmp_path / "run",
        models("sd15"),
        "cpo_s",
        steps=1,
        dataset_folder=str(folder),
        expert=expert.run_folder,
        data=data,
    )
    run(replace(config, teacher=Teacher(cache_folder=str(tmp_path / "cache"), dtype="fp32")))
    (row,) = rows_of(config)
    assert row["drift"] < 1e-10
    assert row["loss"] == pytest.approx(math.log(2), abs=1e-4)


# Stopping, resuming, running out -----------------------------------------------------------------


@pytest.mark.bits
def test_a_stop_while_samples_are_made_keeps_the_weights_and_not_their_means(
    models: Models, images: Path, tmp_path: Path
) -> None:
    config = small(tmp_path / "run", models("sd15"), steps=3, dataset_folder=str(images))
    config = replace(
        config,
        optimization=replace(config.optimization, ema_decay=0.9),
        samples=Samples(every=1, prompts=("a house", "a tree"), steps=1),
    )
    unbroken = replace(config, run_folder=str(tmp_path / "unbroken"))
    run(unbroken)
    progress = tmp_path / "run/progress.json"

    def stop_asked() -> bool:
        shown = json.loads(progress.read_text())
        return bool(shown["state"] == "sampling" and shown["step"] == 2)

    with pytest.raises(Stopped):
        run(config, stop_asked)
    run(config)
    name = "adapter/pytorch_lora_weights.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()


def test_another_base_model_is_refused_on_resume(
    models: Models, images: Path, tmp_path: Path
) -> None:
    base = make_tiny_model(tmp_path / "base", "sd15", fit=False)
    config = small(tmp_path / "run", base, steps=4, dataset_folder=str(images))
    progress = tmp_path / "run/progress.json"
    with pytest.raises(Stopped):
        run(config, lambda: bool(json.loads(progress.read_text())["step"] >= 2))
    base.rename(tmp_path / "before")
    make_tiny_model(base, "sd15", seed=1, fit=False)
    with pytest.raises(Ended, match="another model"):
        run(config)


def test_a_finished_run_that_is_started_again_still_shows_all_its_steps(
    models: Models, images: Path, tmp_path: Path
) -> None:
    config = small(tmp_path / "run", models("sd15"), dataset_folder=str(images))
    run(config)
    run(config)
    shown = json.loads((tmp_path / "run/progress.json").read_text())
    assert (shown["state"], shown["step"], shown["total_steps"]) == ("finished", 2, 2)


def test_the_best_weights_are_those_that_the_folder_holds_after_going_back(
    models: Models, images: Path, tmp_path: Path
) -> None:
    """A step after the checkpoint that a run goes back to may have been the best one."""
    config = small(tmp_path, models("sd15"), dataset_folder=str(images))

    def make() -> Validator:
        nothing: Any = None
        plan = Plan(((64, 64),), 0, 1, 1, 0)
        folder = tmp_path / "best"
        return Validator(config, folder, Engine(config), plan, nothing, nothing)

    def note(validator: Validator, step: int, loss: float) -> None:
        def save(folder: Path, weights: Any) -> None:
            (folder / "weights").write_text(str(weights))

        validator.note(step, loss, lambda: {"step": torch.tensor(step)}, save)

    def held() -> int:
        text = (tmp_path / "best/weights").read_text()
        return int("".join(filter(str.isdigit, text)))

    validator = make()
    note(validator, 4, 0.5)
    checkpoint = validator.state()
    note(validator, 7, 0.4)
    again = make()
    again.restore(checkpoint)
    note(again, 5, 0.45)
    assert (again.num_worse, again.best_step, held()) == (0, 7, 7)
    # On a GPU the same step does not give the same loss again.
    note(again, 7, 0.41)
    assert (again.best_step, held()) == (7, 7)
    note(again, 8, 0.3)
    assert (again.best_step, held()) == (8, 8)
    # A run that starts anew stands by nothing that lies there.
    fresh = make()
    assert not fresh.has_best
    note(fresh, 1, 0.9)
    assert (fresh.best_step, held()) == (1, 1)


def test_a_run_that_went_back_and_then_learned_is_no_failure(
    models: Models, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 2 and 3 explode, then after going back 3 and 4: as many are left out as there are steps."""
    config = small(tmp_path / "run", models("sd15"), steps=4, dataset_folder=str(images))
    config = replace(config, guard=Guard(patience=2), checkpoints=Checkpoints(every=1))
    judge, judged = SpikeGuard.judge, []

    def explode(self: SpikeGuard, loss: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
        judged.append(loss)
        is_bad = len(judged) in (2, 3, 5, 6)
        return judge(self, loss * math.nan if is_bad else loss, norm)

    monkeypatch.setattr(SpikeGuard, "judge", explode)
    run(config)
    assert result_of(config)["steps"] == 4
    assert result_of(config)["rollbacks"] == 2


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_an_expert_is_known_by_what_its_own_run_calls_it(
    models: Models, images: Path, tmp_path: Path, mode: Literal["lora", "full"]
) -> None:
    def expert(name: str, **more: Any) -> Config:
        folder = tmp_path / name
        made = small(folder, models("sd15"), steps=1, dataset_folder=str(images), **more)
        run(made)
        return made

    def named_by(taken: Config) -> Any:
        places = {"dataset_folder": str(images), "expert": taken.run_folder}
        config = small(tmp_path / "run", models("sd15"), "cpo_s", steps=1, **places)
        run(config)
        name = result_of(config)["expert_sha256"]
        shutil.rmtree(tmp_path / "run")
        return name

    first = expert("first", theta=Theta(mode=mode))
    assert named_by(first) == result_of(first)["weights_sha256"]
    if mode == "full":
        card = (tmp_path / "first/network/README.md").read_text()
        assert f"| weights | sha256 {result_of(first)['weights_sha256']}, " in card
        return
    # The same weights, but stronger, are another expert: it predicts something else.
    path = tmp_path / "first/adapter/pytorch_lora_weights.safetensors"
    with safe_open(path, "pt") as file:
        about = file.metadata()
    assert '"unet.lora_alpha": 2.0' in about["lora_adapter_metadata"]
    stronger = about["lora_adapter_metadata"].replace('alpha": 2.0', 'alpha": 4.0')
    save_file(load_file(path), path, about | {"lora_adapter_metadata": stronger})
    assert named_by(first) != result_of(first)["weights_sha256"]


def test_a_run_goes_on_with_a_version_that_has_more_options(
    models: Models, images: Path, tmp_path: Path
) -> None:
    config = small(tmp_path / "run", models("sd15"), steps=1, dataset_folder=str(images))
    run(config)
    path = tmp_path / "run/config.yaml"
    older = yaml.safe_load(path.read_text())
    del older["guard"]["patience"]
    path.write_text(yaml.safe_dump(older))
    run(config)
    with pytest.raises(InvalidConfig, match=r"guard\.patience: is 9.*started with 5"):
        run(replace(config, guard=Guard(patience=9)))


@pytest.mark.parametrize(
    ("part", "option", "value"),
    [("unet", "attention_head_dim", 8), ("vae", "scaling_factor", 0.5)],
)
def test_another_config_of_the_same_weights_is_another_model(
    models: Models, tmp_path: Path, part: str, option: str, value: float
) -> None:
    changed = tmp_path / "model"
    shutil.copytree(models("sd15"), changed)
    path = changed / part / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {option: value}))
    prints = []
    for folder in (models("sd15"), changed):
        model, cpu = Model(path=str(folder)), torch.device("cpu")
        backbone = load_backbone(model, Flow(), cpu, torch.float32)
        prints.append((backbone.network_fingerprint(), backbone.fingerprint()))
    (network, encoders), (other_network, other_encoders) = prints
    assert (network == other_network) == (part != "unet")
    assert (encoders == other_encoders) == (part != "vae")


# Files --------------------------------------------------------------------------------------------


def test_numbers_that_are_none_are_null_in_every_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"step": 1, "loss": math.nan, "parts": [math.inf, 1.0]})

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(path.read_text(), parse_constant=refuse)
    assert found == {"step": 1, "loss": None, "parts": [None, 1.0]}
    assert read_lines(path) == [found]


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size`, as on a disk that is full by then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("large", ["state", "weights"])
def test_a_checkpoint_without_room_leaves_the_ones_before_it(tmp_path: Path, large: str) -> None:
    def save(step: int, size: int) -> None:
        tensors = {"x": torch.zeros(size)}
        state, weights = (tensors if large == each else {} for each in ("state", "weights"))
        save_checkpoint(
            tmp_path, step, {}, state, lambda place: save_file(weights, place / "w"), keep=1
        )

    save(1, 10)
    with (
        files_end_at(50_000),
        pytest.raises(Ended, match=r"step 2 cannot be written: .*; make room"),
    ):
        save(2, 100_000)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 1


def test_a_cache_file_that_cannot_be_written_whole_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("worker.training.files.save", full)
    with pytest.raises(Ended, match=r"cannot be written: No space left"):
        write_tensors(tmp_path / "ab/abcd.safetensors", {"x": torch.ones(2)})
    assert list((tmp_path / "ab").iterdir()) == []


def test_a_cache_that_others_may_read_is_readable_to_them(tmp_path: Path) -> None:
    path = tmp_path / "ab/abcd.safetensors"
    before = os.umask(0o022)
    try:
        write_tensors(path, {"x": torch.ones(2)})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_cache_folder_that_is_no_folder_is_told_with_what_to_do(
    models: Models, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    config = small(tmp_path / "run", models("sd15"), dataset_folder=str(images))
    with pytest.raises(Ended, match=r"cannot be written: .*cache_folder"):
        run(replace(config, data=replace(config.data, cache_folder=str(tmp_path / "file"))))


# Configs ------------------------------------------------------------------------------------------

JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400)])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["1e400", "nan", "-inf", "1e-4", "\ud800", "a\0b", "2024-02-30"])
    | st.dates()
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=6,
)
LEAST: dict[str, Any] = {
    "run_folder": "run",
    "dataset_folder": "data",
    "model": {"path": "model"},
    "objective": {"kind": "sft"},
}


PLACES = [*((name,) for name in sections() if name), *(tuple(p.split(".")) for p in all_fields())]


def _with(values: dict[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    name, *rest = place
    if not rest:
        return values | {name: value}
    inner = values.get(name)
    return values | {name: _with(inner if isinstance(inner, dict) else {}, tuple(rest), value)}


@settings(max_examples=400, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=3))
def test_junk_in_a_config_is_invalid_or_harmless(
    changes: list[tuple[tuple[str, ...], Any]],
) -> None:
    values = LEAST
    for place, value in changes:
        values = _with(values, place, value)
    try:
        config = from_dict(values)
    except InvalidConfig:
        return
    assert from_dict(yaml.safe_load(write_yaml(config))) == config


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 10**5000},
        {"seed": -(10**5000)},
        {"lora": {"alpha": 10**5000}},
        {10**5000: 1},
        {"precision": 10**5000},
    ],
    ids=["seed", "negative seed", "alpha", "option", "choice"],
)
def test_numbers_too_long_to_write_out_are_invalid(change: dict[Any, Any]) -> None:
    with pytest.raises(InvalidConfig, match=r"too long to show|must be"):
        from_dict(LEAST | change)


@settings(max_examples=50, deadline=None)
@given(values=JUNK)
def test_junk_for_a_config_is_invalid(values: Any) -> None:
    with pytest.raises(InvalidConfig):
        from_dict(values)


@settings(max_examples=200, deadline=None)
@given(values=configs(), kind=st.sampled_from(list(OBJECTIVES)))
def test_a_valid_config_survives_the_way_through_a_file(
    values: dict[str, Any], kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    is_paired = OBJECTIVES[kind].reads_pairs
    values = values | {
        "run_folder": values.get("run_folder", "run"),
        "model": {"path": "model"} | values.get("model", {}),
        "objective": values.get("objective", {}) | {"kind": kind},
        "dataset_folder": None if is_paired else "data",
        "pairs_folder": "pairs" if is_paired else None,
        "expert": "expert" if OBJECTIVES[kind].needs_expert else None,
    }
    try:
        config = from_dict(values)
    except InvalidConfig:
        return
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    path.write_text(write_yaml(config), encoding="utf-8")
    assert load_config(path) == config
    assert from_dict(to_dict(config)) == config


@pytest.mark.parametrize(
    "text", ["a\u2028b", "a\x85 b", "\u2029", "é, 日本", " a: #b\n", "1e-4", "no"]
)
def test_prompts_come_back_as_they_were(tmp_path: Path, text: str) -> None:
    config = from_dict(LEAST | {"samples": {"prompts": [text]}})
    path = tmp_path / "config.yaml"
    path.write_text(write_yaml(config), encoding="utf-8")
    assert load_config(path).samples.prompts == (text,)


@pytest.mark.parametrize(
    "text",
    [
        "run_folder: 2024-02-30",
        f"seed: {'9' * 5000}",
        "[" * 5000,
        "optimization: {learning_rate: 1e400}",
        "a: \x00",
    ],
)
def test_a_file_that_yaml_stumbles_over_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=r"config\.yaml: "):
        load_config(path)
