"""Agent runs through the ledger: proposals with evidence, resumed without doubling."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image as Pictures
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.agents import recording
from app.agents.models import AgentRunImage
from app.criteria.reading import get_node
from app.database import unit_of_work
from app.errors import Unavailable
from app.images import image_files, storage
from app.images.removing import set_aside, take_back
from app.jobs import claiming
from app.jobs.models import Job
from app.jobs.queueing import resume
from app.labels.models import LabelEvent
from app.settings import settings
from app.versions.editing import revise
from app.versions.publishing import publish
from tests.app.datasets.gallery import BLUE, HANDLERS, Gallery, Killed, open_gallery
from tests.factories import Make
from worker import ledger
from worker.agents import measured, running

SignIn = Callable[[TestClient, Person], TestClient]


@pytest.fixture(autouse=True)
def _small_batches(own_storage: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "BATCH", 2)
    # One after the other, so that a test can say what happens at which.
    monkeypatch.setattr(measured.MeasuredAgent, "at_once", 1)


@pytest.fixture
def gallery(db: Session, make: Make) -> Gallery:
    """Three red pictures and two blue ones."""
    gallery = open_gallery(db, make)
    gallery.hang_many(3)
    gallery.hang_many(2, BLUE)
    return gallery


def stop_in_batch(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    """Have the storing of this number end with `error` after its labels were written, uncommitted."""
    real = recording.record_images
    batches = iter(range(1, 100))

    def record(*args: Any, **values: Any) -> None:
        if next(batches) == number:
            monkeypatch.setattr(recording, "record_images", real)
            raise error
        real(*args, **values)

    monkeypatch.setattr(recording, "record_images", record)


def release(db: Session, job: Job) -> None:
    """Let a killed worker's lease run out, or a pause end, and take back what is due."""
    past = func.now() - claiming.LEASE
    db.rollback()
    db.execute(update(Job).where(Job.id == job.id, Job.state == "running").values(lease_until=past))
    db.execute(update(Job).where(Job.id == job.id).values(not_before=past))
    claiming.sweep(db)
    db.commit()


def test_labels_every_image_and_keeps_what_each_label_rests_on(gallery: Gallery) -> None:
    run, job = gallery.launch()
    gallery.work(job)
    labels = gallery.labels()
    assert (job.state, job.error) == ("succeeded", None)
    assert job.result == {"images": 5, "labels": len(labels)}
    assert (job.progress["done"], job.progress["total"]) == (5, 5)
    assert (run.images, run.labels, run.agent_version) == (5, len(labels), measured.VERSION)
    keys = {node.id: key for key, node in gallery.nodes.items()}
    found = {(label.image_id, keys[label.node_id], label.polarity) for label in labels}
    for red in gallery.images[:3]:
        assert (red.id, "warm-dominance", "positive") in found
    for blue in gallery.images[3:]:
        assert (blue.id, "cool-dominance", "positive") in found
    for label in labels:
        assert (label.state, label.source, label.agent_run_id) == ("proposed", "agent", run.id)
        assert label.version_id == gallery.version.id
        assert label.measure
        assert label.value is not None and label.threshold is not None
        assert label.confidence is not None and 0.5 < label.confidence <= 1
        assert label.decided_by is None


def test_agrees_with_the_agent_asked_directly(gallery: Gallery) -> None:
    _, job = gallery.launch()
    gallery.work(job)
    image = gallery.images[0]
    with Pictures.open(BytesIO(storage.get(storage.key_of("display", image.sha256)))) as shown:
        expected = {
            (each.key, each.polarity, each.value, each.threshold)
            for each in measured.label_image(shown)
            if each.key in gallery.nodes
        }
    keys = {node.id: key for key, node in gallery.nodes.items()}
    assert expected == {
        (keys[each.node_id], each.polarity, each.value, each.threshold)
        for each in gallery.labels()
        if each.image_id == image.id
    }


def test_a_doubled_message_does_nothing(gallery: Gallery) -> None:
    _, job = gallery.launch()
    gallery.work(job)
    before = len(gallery.labels())
    assert not ledger.run(job.id, HANDLERS)
    assert len(gallery.labels()) == before


@pytest.mark.parametrize("error", [Killed(), OSError(28, "No space left on device")])
def test_goes_on_after_a_stop_in_the_middle_and_doubles_nothing(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    run, job = gallery.launch()
    stop_in_batch(monkeypatch, 3, error)
    if isinstance(error, Killed):
        with pytest.raises(Killed):
            ledger.run(job.id, HANDLERS)
    else:
        ledger.run(job.id, HANDLERS)
    labelled = {label.image_id for label in gallery.labels()}
    assert labelled == {image.id for image in gallery.images[:2]}  # the third left nothing
    release(gallery.db, job)
    looked_at = []
    real = image_files.read_shown

    def look(kind: str, sha256: str) -> bytes:
        looked_at.append(sha256)
        return real(kind, sha256)

    monkeypatch.setattr(image_files, "read_shown", look)
    gallery.work(job)
    labels = gallery.labels()
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert sorted(looked_at) == sorted(image.sha256 for image in gallery.images[2:])
    assert (run.images, run.labels) == (5, len(labels))
    assert {label.image_id for label in labels} == {image.id for image in gallery.images}
    events = gallery.db.scalar(select(func.count()).select_from(LabelEvent))
    assert events == len(labels)  # each was proposed once


def test_cancelled_in_the_middle_keeps_what_is_done_and_can_be_resumed(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, job = gallery.launch()
    stop_in_batch(monkeypatch, 3, ledger.Stopped("cancelled"))
    gallery.work(job)
    assert (job.state, run.images) == ("cancelled", 2)
    resume(gallery.db, gallery.project, job.id)
    gallery.db.commit()
    gallery.work(job)
    assert (job.state, run.images) == ("succeeded", 5)


def test_an_image_without_bytes_is_reported_and_the_others_go_on(gallery: Gallery) -> None:
    lost = gallery.images[1]
    for kind in ("original", "display"):
        (settings().home / "images" / storage.key_of(kind, lost.sha256)).unlink()
    run, job = gallery.launch()
    gallery.work(job)
    problems = recording.find_problems(gallery.db, run)
    assert [(image.id, problem.reason) for problem, image in problems] == [
        (lost.id, "The bytes of this image are not in the storage.")
    ]
    assert (job.state, run.images) == ("succeeded", 5)
    assert {each.image_id for each in gallery.labels()} == {
        image.id for image in gallery.images if image.id != lost.id
    }


def test_a_damaged_picture_is_reported_with_the_reason(gallery: Gallery) -> None:
    for kind in ("original", "display"):
        path = settings().home / "images" / storage.key_of(kind, gallery.images[0].sha256)
        path.write_bytes(path.read_bytes()[:300])
    run, job = gallery.launch()
    gallery.work(job)
    ((problem, image),) = recording.find_problems(gallery.db, run)
    assert image.id == gallery.images[0].id
    assert problem.reason
    assert (job.state, run.images) == ("succeeded", 5)


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError(), KeyError("x"), OSError(5000, "odd")]
)
def test_whatever_one_image_does_it_is_named_and_the_others_are_labelled(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real, bad = image_files.read_shown, gallery.images[2]

    def read(kind: str, sha256: str) -> bytes:
        if sha256 == bad.sha256:
            raise error
        return real(kind, sha256)

    monkeypatch.setattr(image_files, "read_shown", read)
    run, job = gallery.launch()
    gallery.work(job)
    assert (job.state, run.images) == ("succeeded", 5)
    assert job.result is not None and job.result["failed"] == 1
    assert job.result["problems"][0]["name"] == bad.name
    assert {each.image_id for each in gallery.labels()} == {
        image.id for image in gallery.images if image.id != bad.id
    }


def test_a_label_that_makes_no_sense_costs_its_image_alone(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = measured.label_image, iter(range(100))

    def look(picture: Pictures.Image, *more: Any) -> list[measured.Finding]:
        found = real(picture, *more)
        return [replace(found[0], value=float("nan"))] if next(seen) == 1 else found

    monkeypatch.setattr(measured, "label_image", look)
    run, job = gallery.launch()
    gallery.work(job)
    assert (job.state, run.images) == ("succeeded", 5)
    assert job.result is not None and job.result["failed"] == 1
    assert len({each.image_id for each in gallery.labels()}) == 4


def test_a_lost_display_is_made_anew_from_the_original(gallery: Gallery) -> None:
    path = settings().home / "images" / storage.key_of("display", gallery.images[0].sha256)
    path.unlink()
    run, job = gallery.launch()
    gallery.work(job)
    assert recording.find_problems(gallery.db, run) == []
    assert path.exists()


def test_a_storage_that_does_not_answer_is_no_problem_of_the_images(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(kind: str, sha256: str) -> bytes:
        raise Unavailable("The image storage did not answer.")

    run, job = gallery.launch()
    with monkeypatch.context() as patch:
        patch.setattr(image_files, "read_shown", away)
        gallery.work(job)
    assert (job.state, job.error_class) == ("queued", "infrastructure")
    assert gallery.db.scalar(select(func.count()).select_from(AgentRunImage)) == 0
    release(gallery.db, job)
    gallery.work(job)
    assert (job.state, run.images) == ("succeeded", 5)


def test_a_second_run_never_touches_what_a_person_decided(gallery: Gallery) -> None:
    _, job = gallery.launch()
    gallery.work(job)
    red, other = gallery.images[:2]
    gallery.decide(red, "warm-dominance", "positive", "confirmed")
    gallery.decide(other, "warm-dominance", "positive", "rejected")
    gallery.decide(red, "wide-tonal-range", "positive", "confirmed")

    def decided() -> list[tuple[object, ...]]:
        return [
            (each.id, each.state, each.source, each.agent_run_id, each.revision, each.decided_at)
            for each in gallery.labels()
            if each.decided_by is not None
        ]

    before = decided()
    assert len(before) == 3
    second, job = gallery.launch()
    gallery.work(job)
    assert decided() == before
    proposed = [each for each in gallery.labels() if each.state == "proposed"]
    assert {each.agent_run_id for each in proposed} == {second.id}  # refreshed, not doubled
    assert second.labels == len(proposed)


def test_pairs_that_are_not_in_the_version_are_not_proposed(db: Session, make: Make) -> None:
    gallery = open_gallery(db, make)
    gallery.hang_many(1)
    # Not in the published version, which is the one that counts.
    parent = make.dimension(gallery.project, "Composition", key="composition")
    later = make.pair(gallery.project, parent, key="vertical-composition")
    _, job = gallery.launch()
    gallery.work(job)
    assert job.state == "succeeded"
    assert later.id not in {label.node_id for label in gallery.labels()}


def test_an_agent_that_this_worker_does_not_have_fails_in_words(gallery: Gallery) -> None:
    run, job = gallery.launch()
    run.agent = "oracle"
    gallery.db.commit()
    gallery.work(job)
    assert (job.state, job.error_class) == ("failed", "user_config")
    assert job.error == "This worker has no agent “oracle”."


def test_a_run_of_another_project_is_not_found(gallery: Gallery) -> None:
    run, _ = gallery.launch()
    elsewhere = gallery.make.project()
    job = gallery.make.job(elsewhere, kind="agent_run", spec={"agent_run_id": run.id})
    gallery.work(job)
    assert (job.state, job.error) == ("failed", "There is no such agent run in this project.")
    assert gallery.labels() == []


def publish_while_looking(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, edit: Callable[[Session], None]
) -> None:
    """Have an expert edit the criteria and publish them while the agent looks at its third image."""
    real, seen = image_files.read_shown, []

    def look(kind: str, sha256: str) -> bytes:
        seen.append(sha256)
        if len(seen) == 3:
            with unit_of_work() as db:
                edit(db)
                publish(db, gallery.project, by=gallery.people.ada)
        return real(kind, sha256)

    monkeypatch.setattr(image_files, "read_shown", look)


def stated(gallery: Gallery) -> set[tuple[int, str, str]]:
    """Place of the image, key and polarity of each label."""
    keys = {node.id: key for key, node in gallery.nodes.items()}
    places = {image.id: place for place, image in enumerate(gallery.images)}
    return {(places[each.image_id], keys[each.node_id], each.polarity) for each in gallery.labels()}


def test_what_is_retired_while_a_run_is_under_way_is_proposed_no_more(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, browser: TestClient, sign_in: SignIn
) -> None:
    def retire(db: Session) -> None:
        get_node(db, gallery.project, "warm-dominance").retired = True

    run, job = gallery.launch()
    publish_while_looking(gallery, monkeypatch, retire)
    gallery.work(job)
    assert (job.state, job.error) == ("succeeded", None)
    warm = {place for place, key, _ in stated(gallery) if key == "warm-dominance"}
    assert warm == {0, 1}  # all that was stored before; the third red picture came after
    made = {each.image_id: each.version_id for each in gallery.labels()}
    first, later = gallery.version.id, max(made.values())
    assert [made.get(image.id, later) for image in gallery.images] == [first] * 2 + [later] * 3
    assert later != first
    assert (run.images, job.result["later_versions"]) == (5, [2])  # type: ignore[index]
    page = sign_in(browser, gallery.people.ben).get(f"/projects/paintings/agent/{run.id}").text
    assert f"went on under version 2 from image {gallery.images[2].id} on" in " ".join(page.split())


def test_names_exchanged_while_a_run_is_under_way_turn_no_proposal_round(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was proposed before follows its name; what is proposed after says what the agent means."""

    def exchange(db: Session) -> None:
        for key, name in (
            ("warm-dominance", "For a while"),
            ("cool-dominance", "Warm dominance"),
            ("warm-dominance", "Cool dominance"),
        ):
            revise(
                db, gallery.project, key, based_on=get_node(db, gallery.project, key).revision,
                by=gallery.people.ada, texts={"positive_name": name}, names_moved="follow",
            )  # fmt: skip

    _, job = gallery.launch()
    publish_while_looking(gallery, monkeypatch, exchange)
    gallery.work(job)
    assert (job.state, job.error) == ("succeeded", None)
    said = {
        (place, key)
        for place, key, polarity in stated(gallery)
        if key.endswith("-dominance") and polarity == "positive"
    }
    # The pictures are red, red, red, blue, blue; the names were exchanged.
    assert said == {(0, "cool-dominance"), (1, "cool-dominance"), (2, "cool-dominance"),
                    (3, "warm-dominance"), (4, "warm-dominance")}  # fmt: skip


def test_a_pair_below_a_retired_dimension_is_not_proposed(gallery: Gallery) -> None:
    get_node(gallery.db, gallery.project, "color-relationship").retired = True
    publish(gallery.db, gallery.project, by=gallery.people.ada)
    gallery.db.commit()
    _, job = gallery.launch()
    gallery.work(job)
    assert {key for _, key, _ in stated(gallery)} <= {"wide-tonal-range", "controlled-low-key"}


def test_many_at_once_and_killed_label_each_image_once(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured.MeasuredAgent, "at_once", 4)
    monkeypatch.setattr(running, "STORE_SECONDS", 0.0)
    gallery.hang_many(9)
    run, job = gallery.launch()
    stop_in_batch(monkeypatch, 3, Killed())
    with pytest.raises(Killed):
        ledger.run(job.id, HANDLERS)
    release(gallery.db, job)
    gallery.work(job)
    rows = gallery.db.scalars(select(AgentRunImage)).all()
    assert {each.image_id for each in rows} == {each.id for each in gallery.images}
    assert {each.state for each in rows} == {"labelled"}
    assert (job.state, run.images, run.labels) == ("succeeded", 14, len(gallery.labels()))
    assert sum(each.proposed for each in rows) == run.labels
    events = gallery.db.scalar(select(func.count()).select_from(LabelEvent))
    assert events == len(gallery.labels())


def test_each_image_has_its_account(gallery: Gallery) -> None:
    run, job = gallery.launch()
    gallery.work(job)
    rows = gallery.db.scalars(select(AgentRunImage).order_by(AgentRunImage.image_id)).all()
    assert [each.image_sha256 for each in rows] == [each.sha256 for each in gallery.images]
    for each in rows:
        assert (each.agent_run_id, each.version_id) == (run.id, gallery.version.id)
        assert (each.attempts, each.tokens_in, each.tokens_out, float(each.cost)) == (1, 0, 0, 0.0)
        assert each.seconds is not None and each.seconds > 0


def test_what_is_set_aside_while_it_is_looked_at_is_skipped_and_said(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, gone = image_files.read_shown, gallery.images[1]

    def look(kind: str, sha256: str) -> bytes:
        if sha256 == gone.sha256:
            with unit_of_work() as db:
                set_aside(db, gallery.project, gone.id, reason="A copy.", by=gallery.people.lea)
        return real(kind, sha256)

    monkeypatch.setattr(image_files, "read_shown", look)
    run, job = gallery.launch()
    gallery.work(job)
    ((row, image),) = recording.find_problems(gallery.db, run)
    assert (image.id, row.state, row.proposed) == (gone.id, "skipped", 0)
    assert row.reason == "It was set aside or erased while the agent looked at it."
    assert gone.id not in {each.image_id for each in gallery.labels()}
    assert (job.state, run.images, run.problems) == ("succeeded", 5, 1)


def test_what_comes_back_into_use_while_a_run_is_under_way_is_looked_at(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, (first, *_, last) = image_files.read_shown, gallery.images
    with unit_of_work() as db:
        set_aside(db, gallery.project, first.id, reason="A copy.", by=gallery.people.lea)

    def look(kind: str, sha256: str) -> bytes:
        if sha256 == last.sha256:
            with unit_of_work() as db:
                take_back(db, gallery.project, first.id, by=gallery.people.lea)
        return real(kind, sha256)

    monkeypatch.setattr(image_files, "read_shown", look)
    run, job = gallery.launch()
    gallery.work(job)
    assert (job.state, run.images) == ("succeeded", 5)
    assert first.id in {each.image_id for each in gallery.labels()}
