"""Jobs while trainers and workers are killed and Redis forgets everything."""

import os
import shutil
import signal
from datetime import timedelta

import redis
from sqlalchemy import update

from app.database import unit_of_work
from app.jobs import claiming, queueing
from app.jobs.models import Job
from app.settings import settings
from tests.chaos.conftest import StartWorker
from tests.chaos.processes import wait_until
from tests.chaos.trainings import (
    Materials,
    Outcome,
    ask_for_training,
    assert_finished_like,
    is_complete,
    is_over,
    job_of,
    story_of,
    sweep,
    trainers_of,
    wait_for_mid_run,
)

KILLED = "The training process was killed (SIGKILL)."


def test_a_killed_trainer_is_started_again_and_comes_to_the_same_end(
    start_worker: StartWorker, materials: Materials, unbroken: Outcome
) -> None:
    worker = start_worker()
    run = ask_for_training(materials)
    os.kill(wait_for_mid_run(run), signal.SIGKILL)
    wait_until(lambda: job_of(run).failures == 1, "the worker hears of the kill")
    # The pause after a failure passes, and then some sweeper rings.
    wait_until(lambda: sweep() and is_over(run), "the training goes on and ends")
    assert worker.is_running()
    assert story_of(run) == [
        (0, "queued", ""),
        (1, "started", ""),
        (1, "will try again", KILLED),
        (2, "started", ""),
        (2, "succeeded", ""),
    ], worker.said()
    assert_finished_like(run, unbroken)


def test_a_killed_worker_takes_its_trainer_along_and_the_next_one_finishes(
    start_worker: StartWorker, materials: Materials, unbroken: Outcome
) -> None:
    first = start_worker()
    run = ask_for_training(materials)
    wait_for_mid_run(run)
    first.kill()
    wait_until(lambda: not first.family() and not trainers_of(run), "no orphan is left", 30)
    assert not is_complete(run), "the trainer outlived its worker and went on to the end"
    assert (job_of(run).state, job_of(run).attempt) == ("running", 1)

    second = start_worker()
    wait_until(lambda: is_over(run), "the next worker finishes the training")
    # Its owner was found dead: nobody waited for the lease.
    assert story_of(run) == [
        (0, "queued", ""),
        (1, "started", ""),
        (1, "will try again", "The worker was killed."),
        (2, "started", ""),
        (2, "succeeded", ""),
    ], second.said()
    assert_finished_like(run, unbroken)


def test_jobs_whose_messages_are_lost_are_done(
    start_worker: StartWorker, materials: Materials
) -> None:
    shutil.copytree(materials.model, settings().models_folder / "tiny-there", dirs_exist_ok=True)
    with unit_of_work() as db:
        spec = {"name": "tiny-there"}
        jobs = [
            queueing.submit(db, project=None, kind="base_model", spec=spec, by=None).id
            for _ in range(3)
        ]
    url = settings().redis_url
    assert url is not None
    with redis.Redis.from_url(url.get_secret_value()) as client:
        assert client.llen("morelli:cpu") >= 3
        client.flushall()
        assert client.dbsize() == 0
    # The time passes after which a sweeper takes a message for lost.
    with unit_of_work() as db:
        late = Job.sent_at - claiming.OVERDUE - timedelta(seconds=1)
        db.execute(update(Job).values(sent_at=late))

    worker = start_worker()

    def states() -> list[tuple[str, int]]:
        with unit_of_work() as db:
            found = [db.get_one(Job, each) for each in jobs]
            return [(each.state, each.attempt) for each in found]

    wait_until(lambda: states() == [("succeeded", 1)] * 3, "all three are done, each once")
    assert worker.is_running()
