"""Launching checks everything before a job exists."""

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.datasets import freezing
from app.errors import Conflict, Invalid
from app.jobs.models import Job
from app.projects.models import Project
from app.runs import base_models, launching, options
from app.runs.models import Run
from app.settings import settings
from tests.app.runs.conftest import Finish, Launch, MakeDataset, forget_models
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
    from worker.training.config import from_dict

    run = launch(make.project(), options={"lora.alpha": 8, "samples.prompts": ["a", "b"]})
    config = from_dict(run.config)
    assert config.lora.alpha == 8
    assert config.samples.prompts == ("a", "b")


def test_numbers_count_within_the_project(make: Make, launch: Launch, db: Session) -> None:
    project = make.project()
    first = launch(project)
    dataset = freezing.get_dataset(db, project, first.dataset_id)
    assert (first.number, launch(project, dataset).number) == (1, 2)
    assert launch(make.project()).number == 1


def test_stage_2_takes_the_adapter_of_its_expert(
    db: Session, make: Make, launch: Launch, finish: Finish
) -> None:
    project = make.project()
    expert = finish(launch(project))
    dataset = freezing.get_dataset(db, project, expert.dataset_id)
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
        ({"kind": "dpo"}, "kind"),
        ({"name": "  "}, "name"),
        ({"base_model": "unknown"}, "base_model"),
        ({"base_model": "/etc"}, "base_model"),
        ({"base_model": "../../etc/passwd"}, "base_model"),
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
    dataset = freezing.get_dataset(db, db.get_one(Project, theirs.project_id), theirs.dataset_id)
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
    dataset = freezing.get_dataset(db, project, expert.dataset_id)
    error = refused(db, launch, project, dataset, kind="cpo_s", expert_run_id=expert.id)
    assert (error.field, state in error.message) == ("expert_run_id", True)


def test_refuses_an_expert_on_another_base_model(
    db: Session, make: Make, launch: Launch, finish: Finish
) -> None:
    project = make.project()
    expert = finish(launch(project))
    dataset = freezing.get_dataset(db, project, expert.dataset_id)
    error = refused(
        db, launch, project, dataset, kind="cpo_s", expert_run_id=expert.id, base_model="org/sdxl"
    )
    assert error.field == "base_model"


def test_estimates_from_a_run_like_it(
    db: Session, make: Make, launch: Launch, finish: Finish
) -> None:
    project = make.project()
    run = finish(launch(project))
    dataset = freezing.get_dataset(db, project, run.dataset_id)
    config = options.preset_config("tiny", "sft") | {"model": run.config["model"]}
    found = launching.estimate(db, project, dataset, "sft", config)
    assert (found.images, found.steps, found.like) == (8, 120, run)
    assert found.seconds == pytest.approx(120 * 4 / 20)
    config["optimization"] |= {"max_steps": None, "epochs": 3, "batch_size": 5}
    assert launching.estimate(db, project, dataset, "sft", config).steps == 6


def test_stage_2_counts_images_with_a_negative_attribute(
    make: Make, make_dataset: MakeDataset
) -> None:
    assert launching.count_images(make_dataset(make.project()), "cpo_s", "train") == 6


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
    assert moved["run_folder"] == str(launching.folder_of(run))
    assert moved["dataset_folder"].startswith(str(settings().datasets_folder))
