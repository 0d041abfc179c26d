"""`morelli up` with everything it starts: killed at its head, robbed of Redis, told to stop twice."""

import os
import shutil
import signal

from app import embedded
from app.database import unit_of_work
from app.jobs import queueing
from app.jobs.models import Job
from app.settings import settings
from tests.chaos.processes import House, wait_until
from tests.chaos.trainings import (
    Materials,
    Outcome,
    ask_for_training,
    assert_finished_like,
    is_over,
    job_of,
    story_of,
    sweep,
    trainers_of,
    wait_for_mid_run,
)


def state_of(job_id: int) -> str:
    with unit_of_work() as db:
        return db.get_one(Job, job_id).state


def test_a_killed_house_leaves_no_orphan_and_the_next_start_finishes_its_work(
    house: House, materials: Materials, unbroken: Outcome
) -> None:
    first = house.up("--no-seed")
    with house.entered():
        run = ask_for_training(materials)
        wait_for_mid_run(run)
    first.kill()
    wait_until(lambda: not first.family(), "everything ends with its head", 30)
    assert trainers_of(run) == []
    assert not house.answers()

    second = house.up("--no-seed")
    with house.entered():
        wait_until(lambda: is_over(run), "the next start finishes the training")
        assert job_of(run).state == "succeeded", (story_of(run), second.said())
        assert job_of(run).attempt == 2
        assert_finished_like(run, unbroken)

        # Redis is killed while a job is asked for: the worker hears of it all the same.
        shutil.copytree(materials.model, settings().models_folder / "tiny-there")
        os.kill(second.child("valkey-server"), signal.SIGKILL)
        with unit_of_work() as db:
            spec = {"name": "tiny-there"}
            asked = queueing.submit(db, project=None, kind="base_model", spec=spec, by=None).id
        wait_until(lambda: sweep() and state_of(asked) == "succeeded", "the job is done", 60)
    for _ in range(2):
        second.process.send_signal(signal.SIGINT)
    assert second.process.wait(30) == 0, second.said()
    assert not second.family()


def test_a_wish_to_stop_that_comes_twice_stops_the_house(house: House) -> None:
    for is_ready, number in (
        (house.answers, signal.SIGTERM),
        # While it starts: the servers run and the web server does not yet.
        (lambda: embedded.running(house.home) is not None, signal.SIGINT),
    ):
        program = house.start("--no-worker", "--no-seed")
        wait_until(is_ready, "the start comes that far")
        program.family()
        for _ in range(2):
            program.process.send_signal(number)
        assert program.process.wait(30) == 0, program.said()
        assert not program.family()
        assert not house.answers()


def test_a_web_server_that_hangs_is_replaced(house: House) -> None:
    program = house.up("--no-worker", "--no-seed")
    hung = program.child("app.serving")
    os.kill(hung, signal.SIGSTOP)
    # Its threads are stopped one by one, and the last may still have answered.
    wait_until(lambda: not house.answers(), "it hangs")
    wait_until(house.answers, "another web server answers", 180)
    assert program.child("app.serving") != hung
    assert "does not answer; ending it" in program.said()
