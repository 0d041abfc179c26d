"""Real trainings of the tiny model under the ledger: killed, cancelled, resumed, refused."""

import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.datasets.models import Dataset
from app.jobs import queueing
from app.jobs.models import Job
from app.projects.models import Project
from app.runs import base_models, launching, reading, watching
from app.runs.models import Run
from app.settings import settings
from method.training.config import Config, Scale
from method.training.presets import plain
from tests.factories import Make
from tests.worker.training.datasets import write_dataset
from worker import ledger, training_jobs
from worker.ledger import JobFailed

HANDLERS: dict[str, ledger.Handler] = {
    "training": training_jobs.run,
    "base_model": training_jobs.make_base_model,
}
SECONDS = 90
STEPS = 150


@pytest.fixture(scope="module")
def model(servers: None) -> Iterator[str]:
    """A tiny model with random weights among the installation's base models."""
    from worker.training.tiny_model import make_tiny_sdxl

    folder = settings().models_folder / "tiny-random"
    make_tiny_sdxl(folder, fit=False)
    yield folder.name
    shutil.rmtree(folder)


@pytest.fixture
def project(make: Make) -> Project:
    return make.project("paintings")


@pytest.fixture
def dataset(db: Session, make: Make, project: Project) -> Dataset:
    folder = settings().datasets_folder / "houses"
    if not folder.exists():
        write_dataset(folder, 8)
    manifest = json.loads((folder / "manifest.json").read_text())
    dataset = Dataset(
        project_id=project.id, number=1, name="Houses", version_id=make.version(project).id,
        counts={"images": 8, "train": 8, "without_negative": 1}, folder=folder.name,
        manifest_sha256=manifest["sha256"],
    )  # fmt: skip
    db.add(dataset)
    db.commit()
    return dataset


def launch(project: Project, dataset: Dataset, model: str, steps: int, **values: Any) -> Run:
    wanted = {
        "optimization.max_steps": steps, "optimization.batch_size": 2, "checkpoints.every": 10,
        "samples.every": 0, "samples.prompts": ["a house"], "samples.steps": 2,
    }  # fmt: skip
    given: dict[str, Any] = {"kind": "sft", "preset": "tiny", "options": wanted} | values
    with unit_of_work() as db:
        return launching.launch_run(
            db, project, name="Run", dataset_id=dataset.id, base_model=model, by=None, **given
        )


def job_of(run: Run) -> Job:
    with unit_of_work() as db:
        job = db.get_one(Job, run.job_id)
        # A failed job waits a little before it is tried again; these tests do not.
        job.not_before = datetime.now(UTC)
        return job


def metrics_of(run: Run) -> list[dict[str, Any]]:
    with unit_of_work() as db:
        return [dict(row) for row in reading.find_metrics(db, run, points=10_000).rows]


def steps_of(run: Run) -> list[int]:
    return [row["step"] for row in metrics_of(run)]


def pause_after(run: Run, steps: int) -> int:
    """Suspend the trainer once it has done some steps; returns its process.

    By its own file: what the worker mirrors comes later, and a fast machine may be done by then.
    """
    path = launching.folder_of(run) / "metrics.jsonl"
    wait_until(lambda: path.exists() and len(path.read_bytes().splitlines()) > steps)
    (trainer,) = trainers_of(run)
    os.kill(trainer, signal.SIGSTOP)
    return trainer


def trainers_of(run: Run) -> list[int]:
    """Processes that train in a run's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
        except (OSError, ValueError):
            continue
        if (
            entry.name.isdigit()
            and "worker.training" in words
            and str(launching.folder_of(run)) in words[-2]
        ):
            found.append(int(entry.name))
    return found


@contextmanager
def working(run: Run) -> Iterator[None]:
    """A worker that does the run's job in the background, to its end."""
    worker = threading.Thread(target=ledger.run, args=(run.job_id, HANDLERS))
    worker.start()
    try:
        yield
    finally:
        worker.join(SECONDS)
        assert not worker.is_alive()


def wait_until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < ends, "waited too long"
        time.sleep(0.1)


def test_a_killed_trainer_goes_on_and_stage_2_learns_from_it(
    project: Project, dataset: Dataset, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sft = launch(project, dataset, model, steps=STEPS)
    heard = redis.Redis.from_url(settings().redis_url.get_secret_value()).pubsub()  # type: ignore[union-attr, no-untyped-call]
    heard.subscribe(watching.channel_of(sft.id))
    with working(sft):
        os.kill(pause_after(sft, 20), signal.SIGKILL)
    job = job_of(sft)
    assert (job.state, job.error_class, job.failures) == ("queued", "unexpected", 1)
    assert "SIGKILL" in str(job.error)
    before = {row["step"]: row["loss"] for row in metrics_of(sft)}
    assert steps_of(sft) == list(range(1, len(before) + 1))
    assert len(before) < STEPS

    ledger.run(sft.job_id, HANDLERS)
    job = job_of(sft)
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert steps_of(sft) == list(range(1, STEPS + 1))
    after = {row["step"]: row["loss"] for row in metrics_of(sft)}
    assert {step: after[step] for step in before} == before
    assert job.progress["done"] == STEPS
    log = reading.read_log(sft)
    assert "Resumed from step-" in log
    assert heard.get_message(ignore_subscribe_messages=False) is not None
    messages = [heard.get_message() for _ in range(3)]
    assert any(each and each["type"] == "message" for each in messages)
    heard.close()
    with unit_of_work() as db:
        found = db.get_one(Run, sft.id)
        assert found.result is not None and found.result["steps"] == STEPS
        assert [each.step for each in reading.find_checkpoints(db, found)] == [STEPS, STEPS - 10]
        assert {each.step for each in reading.find_samples(db, found)} == {0, STEPS}
        for each in reading.find_samples(db, found):
            assert reading.sample_path(db, found, each.file.removeprefix("samples/")).is_file()
        assert reading.adapter_path(found).stat().st_size > 1000

    cpo = launch(project, dataset, model, steps=STEPS, kind="cpo_s", expert_run_id=sft.id)
    with working(cpo):
        trainer = pause_after(cpo, 3)
        with unit_of_work() as db:
            queueing.request_cancel(db, project, cpo.job_id)
        wait_until(lambda: "asking the trainer to stop" in caplog.text)
        os.kill(trainer, signal.SIGCONT)
    assert job_of(cpo).state == "cancelled"
    stopped_at = steps_of(cpo)[-1]
    assert stopped_at < STEPS
    with unit_of_work() as db:
        assert reading.find_checkpoints(db, cpo)[0].step == stopped_at
        queueing.resume(db, project, cpo.job_id)
    ledger.run(cpo.job_id, HANDLERS)
    assert job_of(cpo).state == "succeeded"
    rows = metrics_of(cpo)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert {"win", "lose", "accuracy", "loss", "grad_norm"} <= rows[-1].keys()
    with unit_of_work() as db:
        models = {each.model for each in reading.find_samples(db, db.get_one(Run, cpo.id))}
    assert models == {"base", "expert", "target"}
    assert trainers_of(cpo) == trainers_of(sft) == []

    # The message comes once more: there is nothing to do.
    assert ledger.run(cpo.job_id, HANDLERS) is False


def test_a_config_that_cannot_work_fails_with_the_trainers_sentence(
    project: Project, dataset: Dataset, model: str
) -> None:
    run = launch(project, dataset, model, steps=2)
    with unit_of_work() as db:
        config = db.get_one(Run, run.id).config
        db.get_one(Run, run.id).config = config | {"lora": {"rank": 0}}
    ledger.run(run.job_id, HANDLERS)
    job = job_of(run)
    assert (job.state, job.error_class, job.failures) == ("failed", "user_config", 1)
    assert "lora.rank: must be at least 1" in str(job.error)


@pytest.mark.parametrize(
    ("code", "kind", "again"),
    [
        (2, "user_config", False),
        (3, "data", False),
        (4, "nan", False),
        (5, "oom_gpu", False),
        (1, "unexpected", True),
        (75, "unexpected", True),
        (-9, "unexpected", True),
    ],
)
def test_exit_codes_decide_about_another_attempt(
    tmp_path: Path, code: int, kind: str, *, again: bool
) -> None:
    (tmp_path / "errors.txt").write_text("Traceback\n  noise\nThe loss is not finite.\n\n")
    work = ledger.Work(1, 1, None, {"run_id": 1})
    with pytest.raises(JobFailed) as failed:
        training_jobs.check_exit(work, code, tmp_path)
    assert (failed.value.kind, failed.value.again) == (kind, again)
    if 0 < code < 75:
        assert failed.value.message == "The loss is not finite."


def test_a_fenced_worker_kills_its_trainer(
    db: Session, project: Project, dataset: Dataset, model: str
) -> None:
    run = launch(project, dataset, model, steps=5000)
    with working(run):
        wait_until(lambda: bool(trainers_of(run)))
        with unit_of_work() as other:
            other.get_one(Job, run.job_id).attempt += 1
    assert trainers_of(run) == []
    assert steps_of(run) == []


# Without a trainer --------------------------------------------------------------------------------


def in_hand(run: Run) -> ledger.Work:
    """The run's job as a worker that has just claimed it sees it."""
    with unit_of_work() as db:
        from app.jobs import claiming

        job = claiming.claim(db, run.job_id, owner="test")
        assert job is not None
        return ledger.Work(job.id, job.attempt, job.project_id, job.spec)


def write_lines(path: Path, steps: list[int], *, ends: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(json.dumps({"step": step, "loss": step / 2, "time": step}) for step in steps)
    # As the trainer does when it resumes: another file under the same name.
    new = path.with_name("new")
    new.write_text(text + ends)
    new.replace(path)


def test_the_mirror_follows_a_file_that_is_appended_to_torn_and_cut(
    project: Project, dataset: Dataset, model: str
) -> None:
    run = launch(project, dataset, model, steps=5)
    folder = launching.folder_of(run)
    file = folder / "metrics.jsonl"
    mirror = training_jobs.Mirror(in_hand(run), folder)
    mirror.bring()
    assert steps_of(run) == []
    write_lines(file, [1, 2])
    mirror.bring()
    with file.open("a") as more:
        more.write('{"step": 3, "loss": NaN}\n{"step": 4, "lo')
    mirror.bring()
    assert [(row["step"], row["loss"]) for row in metrics_of(run)] == [
        (1, 0.5),
        (2, 1.0),
        (3, None),
    ]
    with file.open("a") as more:
        more.write('ss": 9}\nrubbish\n[]\n')
    mirror.bring()
    assert steps_of(run) == [1, 2, 3, 4]
    write_lines(file, [1, 2])
    mirror.bring()
    assert steps_of(run) == [1, 2]


def test_samples_outside_the_run_are_not_recorded(
    project: Project, dataset: Dataset, model: str
) -> None:
    run = launch(project, dataset, model, steps=5)
    folder = launching.folder_of(run)
    (folder / "samples").mkdir(parents=True)
    row = {"step": 0, "index": 0, "prompt": "a", "seed": 2**63 - 1, "model": "target"}
    files = [
        "samples/step-000000-00.png",
        "samples/../../secret.png",
        "/etc/a.png",
        "samples/a.svg",
    ]
    lines = [json.dumps(row | {"file": file}) for file in files]
    (folder / "samples" / "samples.jsonl").write_text("\n".join(lines) + "\n")
    training_jobs.Mirror(in_hand(run), folder).bring()
    with unit_of_work() as db:
        assert [each.file for each in reading.find_samples(db, run)] == files[:1]


def test_a_new_attempt_waits_for_a_dying_trainer(
    monkeypatch: pytest.MonkeyPatch, project: Project, dataset: Dataset, model: str
) -> None:
    import fcntl

    monkeypatch.setattr(training_jobs, "POLL_SECONDS", 0.01)
    run = launch(project, dataset, model, steps=5)
    folder = launching.folder_of(run)
    folder.mkdir(parents=True)
    work = in_hand(run)
    with (folder / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        monkeypatch.setattr(training_jobs, "LOCK_SECONDS", 0.05)
        with pytest.raises(JobFailed) as failed:
            training_jobs.wait_for_folder(work, folder)
        assert (failed.value.kind, failed.value.again) == ("infrastructure", True)
        monkeypatch.setattr(training_jobs, "LOCK_SECONDS", SECONDS)
        threading.Timer(0.1, other.close).start()
        training_jobs.wait_for_folder(work, folder)


def test_the_trainer_gets_no_settings_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["MORELLI_DATABASE_URL", "MORELLI_REDIS_URL", "PGPASSWORD", "HF_TOKEN", "MY_SECRET_X"]
    for name in [*names, "OPENAI_API_KEY", "AWS_ACCESS_KEY_ID"]:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HF_HOME", "/cache")
    given = training_jobs.variables()
    assert not {*names, "OPENAI_API_KEY", "AWS_ACCESS_KEY_ID"} & given.keys()
    assert (given["HF_HOME"], given["MORELLI_DIE_WITH_PARENT"]) == ("/cache", "1")


# Several processes --------------------------------------------------------------------------------


def scaled(**scale: Any) -> Config:
    return replace(plain("sft"), scale=Scale(**scale))


def test_one_process_is_started_without_a_launcher() -> None:
    assert training_jobs.command_of(scaled(), Path("c.yaml")) == ["worker.training", "c.yaml"]


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ({"processes": 4}, ["--num_processes", "4", "--multi_gpu"]),
        ({"processes": 2, "sharding": "fsdp"}, ["--multi_gpu"]),
        ({"accelerate_config": "/hosts.yaml"}, ["--config_file", "/hosts.yaml"]),
    ],
)
def test_several_processes_are_started_by_accelerates_launcher(
    scale: dict[str, Any], words: list[str]
) -> None:
    from accelerate.commands.launch import launch_command_parser

    module, *options = training_jobs.command_of(scaled(**scale), Path("c.yaml"))
    assert module == "worker.several_processes"
    assert set(words) <= set(options)
    assert options[-3:] == ["-m", "worker.training", "c.yaml"]
    asked = launch_command_parser().parse_args(options)
    assert (asked.training_script, asked.training_script_args) == ("worker.training", ["c.yaml"])


CHILD = """
import ctypes, os, signal, sys, time
from pathlib import Path
here = Path(sys.argv[1])
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
def stop(*_):
    time.sleep(0.3)  # a checkpoint takes its time
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
mine = here / f"rank-{os.environ['RANK']}"
(here / f".{mine.name}").write_text(str(os.getpid()))
(here / f".{mine.name}").rename(mine)  # whoever sees it can read it
if sys.argv[2] == "wait":
    time.sleep(120)
sys.stderr.write("What went wrong.\\n")
sys.exit(int(sys.argv[2]))
"""


@contextmanager
def two_processes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Two processes of a module that does as it is told, once both are there."""
    (folder / "told.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{training_jobs.ROOT}")
    command = training_jobs.command_of(scaled(processes=2), Path("c.yaml"))
    command = [*command[:-2], "told", str(folder), what]
    with training_jobs.child(command, folder) as process:
        wait_until(lambda: all((folder / f"rank-{rank}").exists() for rank in (0, 1)))
        yield process


def are_gone(folder: Path) -> bool:
    return not any(
        Path(f"/proc/{(folder / f'rank-{rank}').read_text()}").exists() for rank in (0, 1)
    )


@pytest.mark.parametrize("code", [0, 4, 6])
def test_the_exit_code_is_that_of_the_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with two_processes(tmp_path, monkeypatch, str(code)) as process:
        assert process.wait(SECONDS) == code
    assert training_jobs.last_line(tmp_path / "errors.txt") == "What went wrong."


def test_a_stop_is_passed_on_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with two_processes(tmp_path, monkeypatch, "wait") as process:
        training_jobs.signal_group(process, signal.SIGTERM)
        assert process.wait(SECONDS) == training_jobs.STOPPED
        assert are_gone(tmp_path)


def test_a_killed_launcher_takes_all_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with two_processes(tmp_path, monkeypatch, "wait"):
        pass  # leaving the block kills the group
    wait_until(lambda: are_gone(tmp_path))


def test_options_that_accelerate_refuses_are_the_users(
    tmp_path: Path,
) -> None:
    config = scaled(accelerate_config=str(tmp_path / "nothing.yaml"))
    with training_jobs.child(training_jobs.command_of(config, Path("c")), tmp_path) as process:
        assert process.wait(SECONDS) == 2
    assert "nothing.yaml" in training_jobs.last_line(tmp_path / "errors.txt")


# Base models --------------------------------------------------------------------------------------


def test_makes_the_tiny_model_where_it_is_not_there(
    db: Session, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settings().models_folder / base_models.TINY
    shutil.rmtree(folder, ignore_errors=True)
    job = base_models.make_base_model(db, project, by=None)
    db.commit()
    unfitted = training_jobs.child
    monkeypatch.setattr(
        training_jobs, "child", lambda command, at: unfitted([*command, "--unfitted"], at)
    )
    ledger.run(job.id, HANDLERS)
    db.refresh(job)
    assert (job.state, job.result) == ("succeeded", {"name": base_models.TINY})
    assert [each.name for each in base_models.find_base_models()].count(base_models.TINY) == 1
    made = (folder / base_models.INDEX).stat().st_mtime_ns
    # Asked for once more, by a message that came twice: nothing is made again.
    job.state = "queued"
    db.commit()
    ledger.run(job.id, HANDLERS)
    assert (folder / base_models.INDEX).stat().st_mtime_ns == made
    shutil.rmtree(folder)
