"""The job of a run: supervises the training process, and keeps in tables what it leaves in files.

Training runs in a session of its own, so that a crash, a full GPU or a cancel takes nobody with it. It
knows neither database nor queue: what it has to say stands in the run folder.
"""

import fcntl
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from app import extras
from app.database import LARGEST_KEY, Json, unit_of_work
from app.errors import AppError
from app.runs import base_models, recording, watching
from app.runs.launching import config_to_run, folder_of
from app.runs.models import Run
from app.settings import settings
from method.run_folder import (
    ASKED,
    CHECKPOINTS,
    ERRORS,
    LOCK,
    METRICS,
    OUTPUT,
    PROGRESS,
    RESULT,
    SAMPLE_LINES,
    checkpoint_folders,
    is_complete,
)
from method.training import failures
from method.training.config import Config
from method.training.config_reading import write_yaml
from worker.ledger import JobFailed, Stopped, Work

log = logging.getLogger("morelli.worker")

POLL_SECONDS = 0.5
STOP_SECONDS = 60.0
LOCK_SECONDS = 120.0
# Why the trainer ends, as the ledger's classes of failures.
FAILURES = {
    failures.InvalidConfig.exit_code: "user_config",
    failures.InvalidDataset.exit_code: "data",
    failures.NonFinite.exit_code: "nan",
    failures.OutOfMemory.exit_code: "oom_gpu",
}
STOPPED = failures.Stopped.exit_code
ROOT = Path(__file__).resolve().parent.parent
# Training needs no secret, so it is given none.
SECRET = re.compile(
    r"MORELLI_|PG|REDIS|CELERY|AWS_|AZURE_|GOOGLE_|.*(PASSWORD|SECRET|TOKEN|CREDENTIAL|_KEY\b|DATABASE)"
)


def run(work: Work) -> Json:
    """Train, or go on with a run that was stopped or killed; safe to start again at any moment."""
    _require_training()
    with unit_of_work() as db:
        found = db.get_one(Run, work.spec["run_id"])
        folder, config = folder_of(found), config_to_run(db, found)
    folder.mkdir(parents=True, exist_ok=True)
    mirror = Mirror(work, folder)
    work.report(done=0, total=None, message="starting the trainer")
    if not (folder / RESULT).exists():
        wait_for_folder(work, folder)
        # What an earlier attempt said last would be taken for what this one says first.
        (folder / PROGRESS).unlink(missing_ok=True)
        # A name of its own: config.yaml is the trainer's, which compares the two.
        path = folder / ASKED
        path.write_text(write_yaml(config), encoding="utf-8")
        with child(command_of(config, path), folder) as process:
            watch(work, process, mirror)
        check_exit(work, process.returncode, folder)
    mirror.finish()
    result: Json = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    with work.transaction() as db:
        recording.record_result(db, db.get_one(Run, work.spec["run_id"]), result)
        watching.announce(db, work.spec["run_id"])
    return {name: result.get(name) for name in ("steps", "adapter", "sha256", "images")}


def command_of(config: Config, path: Path) -> list[str]:
    """The module that trains by a config, with its arguments: alone, or under accelerate's launcher."""
    scale = config.scale
    trainer = ["worker.training", str(path)]
    if scale.accelerate_config:
        options = ["--config_file", str(scale.accelerate_config)]
    elif scale.processes > 1:
        options = [
            *("--num_processes", str(scale.processes), "--num_machines", "1"),
            # Everything is said, so that no config file of somebody's home decides. The trainer does its
            # own arithmetic and sharding, several runs of one machine need different ports, and
            # accelerate has no word for several processes on CPUs: this one starts them.
            *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"),
            "--multi_gpu",
        ]
    else:
        return trainer
    return ["worker.several_processes", *options, "-m", *trainer]


def make_base_model(work: Work) -> Json:
    """Make a tiny base model; the folder appears whole or not at all."""
    _require_training()
    name, seed = str(work.spec["name"]), int(work.spec.get("seed", 0))
    if not base_models.NAME.fullmatch(name):
        raise JobFailed("user_config", f"“{name}” cannot be the name of a folder.")
    home = settings().models_folder
    home.mkdir(parents=True, exist_ok=True)
    made = {"name": name}
    if (home / name / base_models.INDEX).is_file():
        return made
    work.report(done=0, total=None, message="making the model")
    logs = home / f".{name}.log"
    logs.mkdir(exist_ok=True)
    # Predicting noise, it would have to tell the mean colour of a picture from a fifteenth of its strength.
    command = [
        "worker.training.tiny_model",
        str(home / name),
        "--seed",
        str(seed),
        "--kind",
        "sdxl-v",
    ]
    with child(command, logs) as process:
        watch(work, process, None, logs / ERRORS)
    # Another process that was thought dead may have been first: the model is the same.
    if not (home / name / base_models.INDEX).is_file():
        check_exit(work, process.returncode, logs)
        raise JobFailed("unexpected", "The model did not appear.", again=True)
    shutil.rmtree(logs, ignore_errors=True)
    return made


def _require_training() -> None:
    try:
        extras.require("train")
    except AppError as error:
        raise JobFailed("infrastructure", f"{error.message} {error.hint}") from error


# The process --------------------------------------------------------------------------------------


# What people are told of a job is the last line that its process wrote, so libraries keep to errors.
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
# A logger's or an interpreter's own line: "[name] ...", "file.py:3: SomeWarning: ...", source quoted below.
LIBRARY = re.compile(r"^\s*\[|^\S+:\d+: \w*Warning\b|^\w*Warning:|^\s+\S|^[WEIF]\d{4} ")


@cache
def _spawner() -> ThreadPoolExecutor:
    # Linux sends the death signal when the THREAD that started the child ends, and a worker's pool
    # may end its threads: children are started from one that lives as long as the process.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="trainers")


# A forked child has the object but not its thread.
os.register_at_fork(after_in_child=_spawner.cache_clear)


def variables() -> dict[str, str]:
    """The environment of a training process: ours without settings and secrets."""
    kept = {name: value for name, value in os.environ.items() if not SECRET.match(name)}
    return kept | QUIET | {"MORELLI_DIE_WITH_PARENT": "1", "PYTHONUNBUFFERED": "1"}


@contextmanager
def child(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Python module as a process in a session of its own, which does not survive the block."""

    def spawn() -> subprocess.Popen[bytes]:
        with (folder / OUTPUT).open("wb") as out, (folder / ERRORS).open("wb") as err:
            return subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=ROOT,
                env=variables(),
                start_new_session=True,
            )

    process = _spawner().submit(spawn).result()
    try:
        yield process
    finally:
        if process.poll() is None:
            signal_group(process, signal.SIGKILL)
            process.wait()


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a child and whatever it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def wait_for_folder(work: Work, folder: Path) -> None:
    """Wait until no other process trains in a run folder: one whose worker was killed may be dying.

    Raises Stopped, or JobFailed where it stays.
    """
    ends = time.monotonic() + LOCK_SECONDS
    with (folder / LOCK).open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                work.check()
                if time.monotonic() > ends:
                    raise JobFailed(
                        "infrastructure",
                        "Another process trains in this run's folder and does not end.",
                        again=True,
                    ) from None
                work.report(done=0, total=None, message="waiting for an earlier trainer to end")
                time.sleep(POLL_SECONDS)
            else:
                return


def watch(
    work: Work,
    process: subprocess.Popen[bytes],
    mirror: "Mirror | None",
    says: Path | None = None,
) -> None:
    """Stay with a child until it ends, passing on what it tells and whether it is to stop.

    Raises Stopped where the job is another attempt's: the child is killed at once then.
    """
    ends: float | None = None
    while process.poll() is None:
        reason = work.stop_reason
        if reason == "fenced":
            raise Stopped(reason)
        if reason is not None and ends is None:
            log.info("job %s: asking the trainer to stop (%s)", work.job_id, reason)
            signal_group(process, signal.SIGTERM)
            ends = time.monotonic() + STOP_SECONDS
        if ends is not None and time.monotonic() > ends:
            log.warning("job %s: the trainer does not stop and is killed", work.job_id)
            signal_group(process, signal.SIGKILL)
        if mirror is not None:
            mirror.follow()
        elif says is not None and (line := last_line(says)):
            work.report(**progress_in(line), message=line)
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    if mirror is not None:
        mirror.follow()


def progress_in(line: str) -> dict[str, Any]:
    """How far a child is, where its line says "3 of 8"."""
    found = re.search(r"\b(\d{1,9}) of (\d{1,9})\b", line)
    return {"done": int(found[1]), "total": int(found[2])} if found else {"done": 0, "total": None}


def check_exit(work: Work, code: int, folder: Path) -> None:
    """What an exit code means. Returns where the child came to its end.

    Raises Stopped where it was asked to stop, and JobFailed with the class of failure.
    """
    if code == 0:
        return
    if code > 128:
        code = 128 - code  # how a launcher says that one of its processes was killed
    reason = work.stop_reason
    if reason is not None and (code == STOPPED or code < 0):
        raise Stopped(reason)
    said = last_line(folder / ERRORS)
    if code in FAILURES:
        raise JobFailed(FAILURES[code], said or f"Training ended with code {code}.")
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
        said = f"The training process was killed ({name})."
    elif code == STOPPED:
        said = "The training process was stopped from outside."
    raise JobFailed("unexpected", said or f"Training ended with code {code}.", again=True)


def last_line(path: Path) -> str:
    """The last line that our programs said, of at most a thousand characters: what libraries warn of is
    for the log.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 8192))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    said = (line.strip() for line in reversed(lines) if not LIBRARY.search(line))
    return next((line[:1000] for line in said if line), "")


# What it leaves in files --------------------------------------------------------------------------


@dataclass(frozen=True)
class Portion:
    """New lines of a file. Where the file is another one than before they are all of it."""

    rows: list[Json]
    is_whole: bool
    inode: int
    offset: int


class Tail:
    """Follows a file of JSON lines that is appended to, and replaced when a run resumes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inode = -1
        self.offset = 0

    def read(self) -> Portion:
        """What is there since the last kept portion; a line that is not complete yet waits."""
        try:
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                is_whole = stat.st_ino != self.inode or stat.st_size < self.offset
                start = 0 if is_whole else self.offset
                file.seek(start)
                data = file.read()
        except FileNotFoundError:
            return Portion([], self.inode != 0, 0, 0)
        complete = data.rfind(b"\n") + 1
        rows = [row for line in data[:complete].splitlines() if (row := _row(line)) is not None]
        return Portion(rows, is_whole, stat.st_ino, start + complete)

    def keep(self, portion: Portion) -> None:
        """The portion is safe: go on after it."""
        self.inode, self.offset = portion.inode, portion.offset


def _row(line: bytes) -> Json | None:
    """A line's object; None for what a kill has torn. NaN and Infinity, which JSON lacks, become null."""
    try:
        row = json.loads(line, parse_constant=lambda _: None)
    except ValueError:
        return None
    is_row = isinstance(row, dict) and isinstance(row.get("step"), int)
    return row if is_row and 0 <= row["step"] < 2**31 else None


class Mirror:
    """Keeps the tables of a run like the files of its folder."""

    def __init__(self, work: Work, folder: Path) -> None:
        self.work = work
        self.run_id = int(work.spec["run_id"])
        self.folder = folder
        self.metrics = Tail(folder / METRICS)
        self.samples = Tail(folder / SAMPLE_LINES)
        self.checkpoints: dict[int, int] | None = None
        self.shown: tuple[object, ...] = ()

    def follow(self) -> None:
        """Bring what is new. A database that is away stops no training: it is brought later."""
        self._report()
        try:
            self.bring()
        except SQLAlchemyError as error:
            log.warning(
                "job %s: metrics wait for the database (%s)", self.work.job_id, type(error).__name__
            )

    def finish(self) -> None:
        """Bring the rest, with patience. Raises SQLAlchemyError where the database stays away."""
        for pause in (1.0, 3.0, 10.0):
            try:
                self.bring()
            except SQLAlchemyError:
                time.sleep(pause)
            else:
                return
        self.bring()

    def bring(self) -> None:
        """Write everything new in one transaction, then tell who looks at the run."""
        metrics, samples = self.metrics.read(), self.samples.read()
        checkpoints = find_checkpoints(self.folder)
        is_news = metrics.rows or samples.rows or metrics.is_whole or samples.is_whole
        if not is_news and checkpoints == self.checkpoints:
            return
        with self.work.transaction() as db:
            run = db.get_one(Run, self.run_id)
            recording.truncate_after(
                db,
                run,
                metrics=_last_step(metrics) if metrics.is_whole else None,
                samples=_last_step(samples) if samples.is_whole else None,
            )
            recording.record_metrics(db, run, metrics.rows)
            recording.record_samples(db, run, [row for row in samples.rows if _is_sample(row)])
            recording.record_checkpoints(db, run, checkpoints)
            watching.announce(db, self.run_id)
        self.metrics.keep(metrics)
        self.samples.keep(samples)
        self.checkpoints = checkpoints

    def _report(self) -> None:
        progress = _read_json(self.folder / PROGRESS)
        if progress is None:
            return
        more = {
            name: progress[name]
            for name in ("state", "images_per_second", "eta_seconds")
            if progress.get(name) is not None
        }
        # While it trains its message is the step, which the numbers say already.
        is_training = progress.get("state") == "training"
        self.work.report(
            done=int(progress.get("step", 0)),
            total=int(progress.get("total_steps", 0)) or None,
            message="" if is_training else str(progress.get("message", "")),
            **more,
        )
        shown = (progress.get("state"), progress.get("message"))
        if shown != self.shown:
            self.shown = shown
            watching.publish(self.run_id)


def _last_step(portion: Portion) -> int:
    return max((row["step"] for row in portion.rows), default=-1)


def _is_sample(row: Json) -> bool:
    """Whether a line of samples.jsonl is what the contract says; others are passed over."""
    return (
        isinstance(row.get("index"), int)
        and isinstance(row.get("prompt"), str)
        and isinstance(row.get("seed"), int)
        and 0 <= row["seed"] <= LARGEST_KEY
        and row.get("model") in recording.MODELS
        and recording.SAMPLE_FILE.fullmatch(str(row.get("file"))) is not None
    )


def find_checkpoints(folder: Path) -> dict[int, int]:
    """The complete checkpoints of a run folder: bytes by step."""
    found = {}
    for step, place in checkpoint_folders(folder / CHECKPOINTS):
        try:
            if is_complete(place):
                found[step] = sum(each.stat().st_size for each in place.iterdir())
        except OSError:  # removed while we looked: the trainer keeps only the newest
            continue
    return found


def _read_json(path: Path) -> Json | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
