"""A worker while its Redis is full or takes no writes, and after."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import update

from app.database import unit_of_work
from app.jobs import claiming, queueing
from app.jobs.models import Job
from app.settings import settings
from tests.chaos.conftest import StartWorker
from tests.chaos.processes import wait_until
from tests.chaos.trainings import Materials

# Longer than the pause after which the broker's client looks after messages that nobody acknowledged.
STAYS_SECONDS = 14.0


@pytest.fixture
def server(servers: None) -> Iterator["redis.Redis"]:
    """The tests' own Redis, as it was before, whatever a test did to it."""
    url = settings().redis_url
    assert url is not None
    with redis.Redis.from_url(url.get_secret_value()) as client:
        try:
            yield client
        finally:
            client.config_set("maxmemory", "0")
            client.replicaof("NO", "ONE")


@contextmanager
def full(server: "redis.Redis") -> Iterator[None]:
    server.config_set("maxmemory", "1")
    yield
    server.config_set("maxmemory", "0")


@contextmanager
def read_only(server: "redis.Redis") -> Iterator[None]:
    server.replicaof("127.0.0.1", "1")
    yield
    server.replicaof("NO", "ONE")


@pytest.mark.parametrize("starts_in_it", [False, True])
@pytest.mark.parametrize("trouble", [full, read_only])
def test_a_worker_outlives_it_and_does_what_was_asked_for_meanwhile(
    trouble: Callable[["redis.Redis"], Any],
    starts_in_it: bool,
    server: "redis.Redis",
    start_worker: StartWorker,
    materials: Materials,
) -> None:
    shutil.copytree(materials.model, settings().models_folder / "tiny-there", dirs_exist_ok=True)
    workers = [] if starts_in_it else [start_worker()]
    for each in workers:
        wait_until(lambda: "ready" in each.said(), "the worker is ready")  # noqa: B023
    with trouble(server):
        worker = workers[0] if workers else start_worker()
        with unit_of_work() as db:
            spec = {"name": "tiny-there"}
            job_id = queueing.submit(db, project=None, kind="base_model", spec=spec, by=None).id
        time.sleep(STAYS_SECONDS)
        assert worker.is_running(), worker.said()
    # The time passes after which a sweeper takes a message for lost.
    with unit_of_work() as db:
        late = Job.sent_at - claiming.OVERDUE - timedelta(seconds=1)
        db.execute(update(Job).values(sent_at=late))

    def state() -> str:
        with unit_of_work() as db:
            return db.get_one(Job, job_id).state

    wait_until(lambda: state() == "succeeded", f"the job is done: {worker.said()}")
    assert worker.is_running()
