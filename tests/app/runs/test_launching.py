"""Launching checks everything before a job exists."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.datasets import freezing
from app.errors import Conflict, Invalid
from app.jobs.models import Job
from app.projects.models import Project
from app.runs import base_models, launching, options, reading, recording
from app.runs.models import Run
from app.settings import settings
from method.training.config_reading import from_dict
from tests.app.runs.conftest import Finish, Launch, MakeDataset, MakePairs, forget_models
from tests.factories import Make


def test_writes_a_run_with_a_whole_config_and_its_job(
    db: Session, make: Make, launch: Launch
) -> None:
    project = make.project("paintings")
    run = launch(project, options={"optimization.max_steps": 3, "seed": "7"})
    job = db.get_one(Job, run.job_id)
    assert (job.kind, job.queue, job.spec, job.state) == (
        "training", "gpu", {"run_id": run.id}, "queued",
    )  # fmt: skip
    assert run.folder == f"paintings-0001-{run.id}"
    config = run.config
    assert config["run_folder"] == str(settings().runs_folder / run.folder)
    assert config["dataset_folder"].startswith(str(settings().datasets_folder))
    assert config["model"]["path"] == str(settings().models_folder / base_models.TINY)
    assert (config["optimization"]["max_steps"], config["seed"]) == (3, 7)
    assert (config["data"]["resolution"], config["objective"]["kind"]) == (64, "sft")
    assert config["expert"] is None
    assert config["samples"]["prompts"] == ["house 0", "house 1", "house 2", "house 3"]


def test_the_trainer_understands_the_config(make: Make, launch: Launch) -> None:
    run = launch(make.project(), options={"lora.alpha": 8, "samples.prompts": ["a", "b"]})
    config = from_dict(run.config)
    assert config.lora.alpha == 8
    assert config.samples.prompts == ("a", "b")


def test_pairs_stand_in_the_place_of_a_dataset(
    db: Session, make: Make, launch: Launch, make_pairs: MakePairs
) -> None:
    project = make.project()
    pairs = make_pairs(project)
    run = launch(project, pairs, kind="dpo")
    assert (run.dataset_id, run.pair_dataset_id) == (None, pairs.id)
    assert run.config["dataset_folder"] is None
    assert run.config["pairs_folder"] == str(settings().pairs_folder / str(pairs.folder))
    assert run.config["samples"]["prompts"] == ["pair 0", "pair 1", "pair 2", "pair 3"]
    assert from_dict(run.config).objective.kind == "dpo"
    assert refused(db, launch, project, make_pairs(project, number=2, ready=False)).field


def test_all_runs_share_the_caches_of_the_installation(
    db: Session, make: Make, launch: Launch, finish: Finish
) -> None:
    project = make.project()
    plain = finish(launch(project))
    assert plain.config["data"]["cache_folder"] == str(settings().training_cache_folder)
    assert plain.config["teacher"]["cache_folder"] is None
    dataset = freezing.get_dataset(db, project, plain.dataset_id or 0)
    keeps = {"teacher.cache": "true"}
    keeping = launch(project, dataset, kind="cpo", expert_run_id=plain.id, options=keeps)
    assert keeping.config["teacher"]["cache_folder"] == str(settings().training_cache_folder)


@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ({"objective.margin": "eq12"}, "objective.margin", "only cpo_s is stabilised"),
        ({"text.generic_neg": "dull"}, "text.generic_neg", "it is for stage 2"),
        ({"teacher.cache": True}, "teacher.cache", "sft has no teacher"),
        ({"validation.images": 3}, "validation.images", "validation.every is 0"),
    ],
)
def test_an_option_that_the_trainer_would_not_read_is_refused_before_there_is_a_job(
    db: Session, make: Make, launch: Launch, values: dict[str, Any], field: str, sentence: str
) -> None:
    error = refused(db, launch, make.project(), options=values)
    assert error.field == field
    assert sentence in error.message
    assert str(settings().training_cache_folder) not in error.message


def test_places_of_the_server_are_chosen_by_the_operators_names(
    db: Session, make: Make, launch: Launch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(settings(), "mlflow", {"lab": "http://ann:secret@lab.example"})
    monkeypatch.setattr(settings(), "accelerate_configs", {"two hosts": tmp_path / "two.yaml"})
    options = {"tracking.mlflow": "lab", "scale.accelerate_config": "two hosts"}
    run = launch(make.project(), options=options)
    assert "secret" not in str(run.config)
    started = launching.config_to_run(db, run)
    assert started.tracking.mlflow == "http://ann:secret@lab.example"
    assert started.scale.accelerate_config == str(tmp_path / "two.yaml")
    monkeypatch.setattr(settings(), "mlflow", {})
    with pytest.raises(Invalid) as refused:
        launching.config_to_run(db, run)
    assert refused.value.field == "tracking.mlflow"


def test_a_folder_of_models_is_open_where_the_operator_says_so(
    make: Make, launch: Launch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "open" / "sdxl"
    folder.mkdir(parents=True)
    (folder / base_models.INDEX).write_text("{}")
    refused = []
    for place in (folder, tmp_path / "nothing"):
        with pytest.raises(Invalid) as error:
            launch(make.project(), base_model=str(place))
        refused.append(error.value.message)
    assert len(set(refused)) == 1  # whether something lies there is not told
    monkeypatch.setattr(settings(), "model_folders", [tmp_path / "open"])
    assert launch(make.project(), base_model=str(folder)).config["model"]["path"] == str(folder)
    (tmp_path / "open" / "link").symlink_to("/")
    with pytest.raises(Invalid):
        launch(make.project(), base_model=f"{tmp_path}/open/link{tmp_path}/nothing")


def test_a_hub_model_has_to_be_in_the_cache(
    make: Make, launch: Launch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Invalid):
        launch(make.project(), base_model="org/model")
    version = tmp_path / "models--org--model" / "snapshots" / "0123"
    version.mkdir(parents=True)
    (version / base_models.INDEX).write_text("{}")
    assert launch(make.project(), base_model="org/model").config["model"]["path"] == "org/model"


def test_takes_the_weights_of_other_runs(
    db: Session, make: Make, launch: Launch, finish: Finish
) -> None:
    project = make.project()
    sft = finish(launch(project))
    npo = finish(launch(project, kind="npo"))
    dataset = freezing.get_dataset(db, project, sft.dataset_id or 0)
    run = launch(
        project,
        dataset,
        kind="spo",
        options={"theta.init": "path", "objective.reference": "sft"},
        expert_run_id=sft.id,
        start_run_id=sft.id,
        negative_run_id=npo.id,
    )
    assert run.config["expert"] == run.config["theta"]["init_path"]
    assert run.config["expert"] == str(launching.folder_of(sft) / "adapter")
    assert run.config["samples"]["negative"] == str(launching.folder_of(npo) / "adapter")
    from_dict(run.config)
    for values, field in (
        ({"negative_run_id": sft.id}, "negative_run_id"),
        ({"negative_run_id": npo.id, "base_model": "org/sdxl"}, "base_model"),
        (
            {"start_run_id": sft.id, "options": {"theta.init": "path", "theta.mode": "full"}},
            "start_run_id",
        ),
    ):
        assert refused(db, launch, project, dataset, **values).field == field


def test_numbers_count_within_the_project(make: Make, launch: Launch, db: Session) -> None:
    project = make.project()
    first = launch(project)
    dataset = freezing.get_dataset(db, project, first.dataset_id or 0)
    assert (first.number, launch(project, dataset).number) == (1, 2)
    assert launch(make.project()).number == 1


def test_stage_2_takes_the_adapter_of_its_expert(
    db: Session, make: Make, launch: Launch, finish: Finish
) -> None:
    project = make.project()
    expert = finish(launch(project))
    dataset = freezing.get_dataset(db, project, expert.dataset_id or 0)
    run = launch(project, dataset, kind="cpo_s", expert_run_id=expert.id)
    assert run.config["expert"] == str(launching.folder_of(expert) / "adapter")
    assert run.config["objective"]["kind"] == "cpo_s"


def refused(db: Session, launch: Launch, *given: Any, **values: Any) -> Invalid:
    before = db.scalar(select(func.count(Job.id)))
    with pytest.raises(Invalid) as caught:
        launch(*given, **values)
    db.rollback()
    assert db.scalar(select(func.count(Job.id))) == before
    return caught.value


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"kind": "lcm"}, "kind"),
        ({"dataset_id": None}, "dataset_id"),
        ({"pair_dataset_id": 1}, "pair_dataset_id"),
        ({"kind": "dpo", "dataset_id": 1}, "dataset_id"),
        ({"kind": "dpo", "pair_dataset_id": 2**62}, "pair_dataset_id"),
        ({"kind": "npo", "pair_dataset_id": None}, "pair_dataset_id"),
        ({"kind": "dpo", "options": {"objective.reference": "sft"}}, "expert_run_id"),
        ({"kind": "spo", "options": {"theta.init": "sft"}}, "expert_run_id"),
        ({"kind": "spo", "expert_run_id": 1}, "expert_run_id"),
        ({"options": {"theta.init": "path"}}, "start_run_id"),
        ({"start_run_id": 1}, "start_run_id"),
        ({"negative_run_id": 2**62}, "negative_run_id"),
        ({"kind": "npo", "negative_run_id": 1}, "negative_run_id"),
        ({"name": "  "}, "name"),
        ({"base_model": "unknown"}, "base_model"),
        ({"base_model": "/etc"}, "base_model"),
        ({"base_model": "../../etc/passwd"}, "base_model"),
        ({"base_model": "~/model"}, "base_model"),
        ({"base_model": "org/not-here"}, "base_model"),
        ({"options": {"model.variant": "../../x"}}, "model.variant"),
        ({"options": {"model.revision": "../main"}}, "model.revision"),
        ({"options": {"tracking.mlflow": "http://127.0.0.1:9/"}}, "tracking.mlflow"),
        ({"options": {"tracking.mlflow": "/tmp"}}, "tracking.mlflow"),
        ({"options": {"scale.accelerate_config": "/etc/passwd"}}, "scale.accelerate_config"),
        ({"preset": "huge"}, "preset"),
        ({"dataset_id": 2**62}, "dataset_id"),
        ({"kind": "cpo_s"}, "expert_run_id"),
        ({"kind": "cpo", "expert_run_id": 2**62}, "expert_run_id"),
        ({"expert_run_id": 1}, "expert_run_id"),
        ({"options": {"optimization.learning_rate": 0}}, "optimization.learning_rate"),
        ({"options": {"optimization.learning_rate": "fast"}}, "optimization.learning_rate"),
        ({"options": {"optimization.epochs": 1.5}}, "optimization.epochs"),
        ({"options": {"optimization.epochs": True}}, "optimization.epochs"),
        ({"options": {"lora.rank": 1025}}, "lora.rank"),
        ({"options": {"lora.rank": None}}, "lora.rank"),
        ({"options": {"device": "tpu"}}, "device"),
        ({"options": {"samples.prompts": [""]}}, "samples.prompts"),
        ({"options": {"samples.seeds": []}}, "samples.seeds"),
        ({"options": {"run_folder": "/etc"}}, "run_folder"),
        ({"options": {"data.cache_folder": "/etc"}}, "data.cache_folder"),
        ({"options": {"expert": "/etc"}}, "expert"),
        ({"options": {"no.such": 1}}, "no.such"),
        ({"options": {"teacher.cache_folder": "/etc"}}, "teacher.cache_folder"),
        ({"options": {"teacher.cache": "/etc"}}, "teacher.cache"),
        ({"options": {"samples.negative": "/etc"}}, "samples.negative"),
        ({"options": {"theta.init_path": "/etc"}}, "theta.init_path"),
        ({"options": {"theta.init": "sft"}}, "theta.init"),
        ({"options": {"objective.reference": "sft"}}, "objective.reference"),
        ({"options": {"optimization.optimizer": "adafactor"}}, "optimization.optimizer"),
        ({"options": {"validation.patience": 2}}, "validation.patience"),
        ({"kind": "spo", "options": {"spo.first": 9}}, "spo.first"),
        ({"options": {"lora.alpha": 1, "lora.scaling": 1}}, "lora.scaling"),
        (
            {"options": {"objective.drop_all": 0.6, "objective.drop_to_neg": 0.6}},
            "objective.drop_to_neg",
        ),
    ],
)
def test_refuses(
    db: Session, make: Make, launch: Launch, values: dict[str, Any], field: str
) -> None:
    assert refused(db, launch, make.project(), **values).field == field


def test_tells_all_wrong_options_at_once(db: Session, make: Make, launch: Launch) -> None:
    error = refused(
        db, launch, make.project(), options={"seed": -1, "lora.rank": "many", "precision": "bf16"}
    )
    assert isinstance(error, options.InvalidOptions)
    assert error.errors.keys() == {"seed", "lora.rank"}


def test_refuses_a_dataset_that_is_not_ready(
    db: Session, make: Make, launch: Launch, make_dataset: MakeDataset
) -> None:
    project = make.project()
    error = refused(db, launch, project, make_dataset(project, ready=False))
    assert error.field == "dataset_id"


def test_refuses_what_lies_in_another_project(
    db: Session, make: Make, launch: Launch, finish: Finish
) -> None:
    theirs = finish(launch(make.project()))
    dataset = freezing.get_dataset(
        db, db.get_one(Project, theirs.project_id), theirs.dataset_id or 0
    )
    project = make.project()
    assert refused(db, launch, project, dataset).field == "dataset_id"
    error = refused(db, launch, project, kind="cpo", expert_run_id=theirs.id)
    assert error.field == "expert_run_id"


@pytest.mark.parametrize("state", ["running", "failed", "cancelled"])
def test_refuses_an_expert_that_has_not_finished(
    db: Session, make: Make, launch: Launch, finish: Finish, state: str
) -> None:
    project = make.project()
    expert = finish(launch(project), state=state)
    dataset = freezing.get_dataset(db, project, expert.dataset_id or 0)
    error = refused(db, launch, project, dataset, kind="cpo_s", expert_run_id=expert.id)
    assert (error.field, state in error.message) == ("expert_run_id", True)


def test_refuses_an_expert_on_another_base_model(
    db: Session, make: Make, launch: Launch, finish: Finish
) -> None:
    project = make.project()
    expert = finish(launch(project))
    dataset = freezing.get_dataset(db, project, expert.dataset_id or 0)
    error = refused(
        db, launch, project, dataset, kind="cpo_s", expert_run_id=expert.id, base_model="org/sdxl"
    )
    assert error.field == "base_model"


def test_making_the_tiny_model_is_asked_for_once(db: Session, make: Make) -> None:
    forget_models()
    project = make.project()
    job = base_models.make_base_model(db, project, by=None)
    assert (job.kind, job.spec) == ("base_model", {"name": "tiny-sdxl", "seed": 0})
    with pytest.raises(Conflict):
        base_models.make_base_model(db, project, by=None)
    with pytest.raises(Invalid):
        base_models.make_base_model(db, project, by=None, name="../tiny")


def test_refuses_to_make_a_model_that_is_there(db: Session, make: Make, model: str) -> None:
    with pytest.raises(Conflict):
        base_models.make_base_model(db, make.project(), by=None, name=model)


def test_a_moved_installation_finds_its_places_again(
    db: Session, make: Make, launch: Launch
) -> None:
    run: Run = launch(make.project())
    run.config = run.config | {"run_folder": "/old/runs/x", "dataset_folder": "/old/datasets/x"}
    moved = launching.config_to_run(db, run)
    assert moved.run_folder == str(launching.folder_of(run))
    assert str(moved.dataset_folder).startswith(str(settings().datasets_folder))


def test_a_run_of_the_first_release_can_still_start_and_be_an_expert(
    db: Session, make: Make, launch: Launch, finish: Finish
) -> None:
    project = make.project()
    run = finish(launch(project))
    old = dict(run.config)
    for new in (
        "text",
        "noise",
        "flow",
        "spo",
        "theta",
        "teacher",
        "guard",
        "pairs_folder",
        "scale",
    ):
        del old[new]
    old["objective"] = {"kind": "sft", "drop_all": 0.0, "drop_to_neg": 0.2, "empty_neg": "skip"}
    run.config = old
    db.commit()
    started = launching.config_to_run(db, run)
    assert (started.theta.mode, started.objective.drop_to_neg) == ("lora", 0.2)
    dataset = freezing.get_dataset(db, project, run.dataset_id or 0)
    cpo = launch(project, dataset, kind="cpo", expert_run_id=run.id)
    assert cpo.config["expert"] == str(launching.folder_of(run) / "adapter")


# Recording ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adapter", "kohya"),
    [
        ("adapter/pytorch_lora_weights.safetensors", "adapter/kohya.safetensors"),
        ("adapter/pytorch_lora_weights.safetensors", None),
        ("network/diffusion_pytorch_model.safetensors", None),
        ("network/diffusion_pytorch_model.safetensors.index.json", None),
    ],
)
def test_a_result_names_an_adapter_or_a_network(
    db: Session, make: Make, launch: Launch, adapter: str, kohya: str | None
) -> None:
    run = launch(make.project())
    recording.record_result(db, run, {"adapter": adapter, "kohya": kohya})
    assert run.result == {"adapter": adapter, "kohya": kohya}


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"adapter": None},
        {"adapter": "adapter/../../secret.safetensors"},
        {"adapter": "/etc/passwd"},
        {"adapter": "checkpoints/a.safetensors"},
        {"adapter": "network/model.bin"},
        {"adapter": "adapter/a.safetensors", "kohya": "../b.safetensors"},
        {"adapter": "adapter/a.safetensors", "kohya": 1},
    ],
)
def test_a_result_outside_the_run_is_refused(
    db: Session, make: Make, launch: Launch, result: dict[str, Any]
) -> None:
    run = launch(make.project())
    with pytest.raises(Invalid):
        recording.record_result(db, run, result)
    assert run.result is None


def test_samples_of_the_mean_weights_are_recorded(db: Session, make: Make, launch: Launch) -> None:
    run = launch(make.project())
    row = {"step": 5, "index": 0, "prompt": "a", "seed": 0, "file": "samples/a.png", "model": "ema"}
    recording.record_samples(db, run, [row])
    (sample,) = reading.find_samples(db, run)
    assert sample.model == "ema"


def test_a_folder_that_is_no_model_hides_none_of_the_others(model: str) -> None:
    home = settings().models_folder
    strange = [home / name for name in ("empty", "index-is-a-folder", os.fsdecode(b"caf\xe9"))]
    try:
        for folder in strange:
            folder.mkdir()
        (strange[1] / base_models.INDEX).mkdir()
        (strange[2] / base_models.INDEX).write_text("{}")
        (home / "loop").symlink_to(home / "loop")
        (home / "a-file").write_bytes(b"")
        assert [each.name for each in base_models.find_base_models()] == [model]
    finally:
        (home / "loop").unlink(missing_ok=True)
        (home / "a-file").unlink(missing_ok=True)
        for folder in strange:
            shutil.rmtree(folder, ignore_errors=True)
