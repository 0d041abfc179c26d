"""Runs that are made of other runs: what they agree on is proposed, the rest by how far each is to be trusted."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.agents.launching import launch_agent_run
from app.agents.models import AgentRun, AgentRunImage
from app.criteria.retiring import retire
from app.database import unit_of_work
from app.erasing.erasing import erase
from app.errors import Invalid
from app.jobs import claiming
from app.jobs.models import Job
from app.labels.models import Label
from app.trust import keeping
from app.trust.keeping import ask_to_learn, find_agreements, find_trust
from app.trust.models import AgentDifference
from app.trust.schemas import ReportOut
from app.versions.publishing import publish
from taxonomy.tree import Side
from tests.app.datasets.gallery import Gallery, Killed, open_gallery
from tests.factories import Make
from tests.worker.ensembles import (
    COOL,
    DULL,
    HANDLERS,
    RICH,
    WARM,
    Says,
    agent,
    correct_unseen,
    have_run,
    judge_all,
    work,
)
from worker import ledger
from worker.agents import ensemble

IMAGES = 20


@pytest.fixture
def gallery(
    db: Session, make: Make, own_storage: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gallery]:
    """Two agents that agree on rich saturation; one sees warmth where the other does not, and coolness, about which the
    other knows nothing.
    """
    gallery = open_gallery(db, make)
    gallery.hang_many(IMAGES)
    bold = Says("bold", {RICH: 0.9, WARM: 0.9, COOL: 0.9})
    careful = Says("careful", {RICH: 0.6}, knows=(WARM,))
    with agent(monkeypatch, bold), agent(monkeypatch, careful):
        yield gallery


def runs(gallery: Gallery, **more: Any) -> tuple[int, int]:
    return have_run(gallery, "bold", **more).id, have_run(gallery, "careful", **more).id


def labels_of(gallery: Gallery, run: AgentRun) -> dict[Side, list[Label]]:
    keys = {node.id: key for key, node in gallery.nodes.items()}
    found: dict[Side, list[Label]] = {}
    for label in gallery.labels():
        if label.agent_run_id == run.id:
            side = Side(keys[label.node_id], label.polarity)  # type: ignore[arg-type]
            found.setdefault(side, []).append(label)
    return found


def mostly_right(image_id: int, key: str, polarity: str) -> str:
    """Rich saturation and coolness always hold, warmth in one of five images."""
    del polarity
    return "appears" if key != "warm-dominance" or image_id % 5 == 0 else "does_not_appear"


def report(gallery: Gallery, run: AgentRun | None = None) -> ReportOut:
    trust = find_trust(gallery.db, gallery.project, agent_run_id=run.id if run else None)
    assert trust is not None
    return ReportOut.model_validate(trust.report)


def test_without_answers_only_what_they_agree_on_is_proposed(gallery: Gallery) -> None:
    bold, careful = runs(gallery)
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    assert (job.state, job.error) == ("succeeded", None)
    assert job.result == {
        "images": IMAGES,
        "labels": IMAGES,
        "judged_labels": 0,
        "is_trust_known": False,
    }
    found = labels_of(gallery, run)
    assert found.keys() == {RICH}
    assert {each.confidence for each in found[RICH]} == {None}
    assert found[RICH][0].evidence == "by bold (90 % sure) and careful (60 % sure)."
    assert (run.config["ensemble"]["runs"], run.agent_version) == ([bold, careful], "1")
    of_side = {each.node_id: each for each in find_agreements(gallery.db, run)}
    rich, warm, cool = (of_side[gallery.nodes[side.key].id] for side in (RICH, WARM, COOL))
    assert (rich.agreed, rich.agreed_proposed, rich.differed) == (IMAGES, IMAGES, 0)
    assert (warm.differed, warm.differed_proposed, warm.agreed) == (IMAGES, 0, 0)
    assert (cool.alone, cool.alone_proposed, cool.differed) == (IMAGES, 0, 0)
    differing = gallery.db.scalars(select(AgentDifference)).all()
    assert {each.image_id for each in differing} == {each.id for each in gallery.images}
    assert {(each.said, each.probability, each.is_proposed) for each in differing} == {
        ("+-", None, False)
    }
    # What each run said stays as it said it.
    row = gallery.db.get(AgentRunImage, (bold, gallery.images[0].id))
    assert row is not None and row.sure == pytest.approx([0.9] * 3)


def test_what_they_differ_in_is_decided_by_trust(gallery: Gallery) -> None:
    runs(gallery)
    judge_all(gallery, mostly_right)
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    assert job.result is not None and job.result["judged_labels"] == 3 * IMAGES
    found = labels_of(gallery, run)
    # Nobody but bold knows of coolness; it was right whenever somebody looked.
    assert found.keys() == {RICH, COOL}
    assert all(each.confidence is not None and each.confidence > 0.85 for each in found[COOL])
    differing = gallery.db.scalars(select(AgentDifference)).all()
    assert all(each.probability is not None for each in differing)
    assert max(each.probability or 1.0 for each in differing) < 0.35
    told = report(gallery, run)
    assert (told.is_enough, told.sources["audit"], told.people) == (True, 3 * IMAGES, 1)
    bold, careful = told.members
    assert bold.answers == 3 * IMAGES and careful.answers == IMAGES
    assert bold.trust is not None and careful.trust is not None
    assert 0.6 < bold.trust < 0.8 < careful.trust
    # It boasts of 90 % where two in three hold.
    assert bold.own.error == pytest.approx(0.9 - (2 + 0.2) / 3, abs=0.05)
    warm = next(each for each in told.sides if each.key == "warm-dominance")
    assert warm.interval[0] < warm.trust < warm.interval[1] and warm.answers == IMAGES
    assert {each.said: each.answers for each in told.patterns} == {
        "++": IMAGES,
        "+-": IMAGES,
        "+x": IMAGES,
    }


def test_answers_change_what_is_proposed(gallery: Gallery) -> None:
    """The same runs, judged the other way round."""
    runs(gallery)
    judge_all(
        gallery, lambda _, key, __: "appears" if key == "warm-dominance" else "does_not_appear"
    )
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    # What they agree on is proposed whatever is known of it, without a wish.
    assert labels_of(gallery, run).keys() == {RICH, WARM}
    wishing, job = gallery.launch("ensemble", at_least=0.8)
    work(gallery, job)
    assert labels_of(gallery, wishing).keys() == {WARM}


def test_a_wished_share_needs_answers(gallery: Gallery) -> None:
    runs(gallery)
    run, job = gallery.launch("ensemble", at_least=0.8)
    work(gallery, job)
    assert (job.state, job.error_class) == ("failed", "user_config")
    assert "0 of their labels were judged" in str(job.error)
    assert labels_of(gallery, run) == {}


def test_quiet_runs_propose_nothing_and_are_heard_all_the_same(gallery: Gallery) -> None:
    runs(gallery, quiet=True)
    assert gallery.labels() == []
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    assert {each.agent_run_id for each in gallery.labels()} == {run.id}
    assert labels_of(gallery, run).keys() == {RICH}


def test_of_what_cannot_hold_together_the_less_likely_is_not_proposed(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(gallery)
    with agent(monkeypatch, Says("dull", {DULL: 0.99})):
        have_run(gallery, "dull")
    judge_all(
        gallery,
        lambda image_id, _, polarity: (
            "appears" if polarity == "positive" or image_id % 10 < 6 else "does_not_appear"
        ),
    )
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    assert job.state == "succeeded"
    found = labels_of(gallery, run)
    assert RICH in found and DULL not in found
    dull = gallery.nodes[DULL.key].id
    (row,) = (
        each
        for each in find_agreements(gallery.db, run)
        if each.node_id == dull and each.polarity == "negative"
    )
    assert (row.alone, row.alone_proposed) == (IMAGES, 0)


def test_what_people_decided_stays(gallery: Gallery) -> None:
    runs(gallery)
    gallery.decide(gallery.images[0], RICH.key, state="rejected")
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    assert len(labels_of(gallery, run)[RICH]) == IMAGES - 1
    assert run.labels == IMAGES - 1


@pytest.mark.parametrize("batch", [1, 2])
def test_a_killed_run_goes_on_and_counts_nothing_twice(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    runs(gallery)
    monkeypatch.setattr(ensemble, "BATCH", 5)
    real, numbers = keeping.record_decided, iter(range(100))

    def record(*args: Any) -> None:
        real(*args)
        if next(numbers) == batch:
            raise Killed

    monkeypatch.setattr(ensemble, "record_decided", record)
    run, job = gallery.launch("ensemble")
    with pytest.raises(Killed):
        ledger.run(job.id, HANDLERS)
    db, past = gallery.db, func.now() - claiming.LEASE
    db.rollback()
    assert db.scalar(select(func.count()).select_from(AgentDifference)) == 5 * batch
    db.execute(update(Job).where(Job.id == job.id).values(lease_until=past, not_before=past))
    claiming.sweep(db)
    db.commit()
    work(gallery, job)
    assert (job.state, run.images, run.labels) == ("succeeded", IMAGES, IMAGES)
    assert db.scalar(select(func.count()).select_from(AgentDifference)) == IMAGES
    assert {each.differed + each.agreed + each.alone for each in find_agreements(db, run)} == {
        IMAGES
    }


def test_what_left_the_criteria_is_proposed_no_more(gallery: Gallery) -> None:
    runs(gallery)
    retire(
        gallery.db,
        gallery.project,
        RICH.key,
        by=gallery.people.ada,
        based_on=_revision(gallery, RICH),
    )
    publish(gallery.db, gallery.project, by=gallery.people.ada)
    gallery.db.commit()
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    assert (job.state, run.images) == ("succeeded", IMAGES)
    assert labels_of(gallery, run) == {}


def _revision(gallery: Gallery, side: Side) -> int:
    gallery.db.refresh(gallery.nodes[side.key])
    return gallery.nodes[side.key].revision


def test_images_that_no_run_looked_at_are_named(gallery: Gallery) -> None:
    runs(gallery)
    (late,) = gallery.hang_many(1)
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    row = gallery.db.get(AgentRunImage, (run.id, late.id))
    assert row is not None and (row.state, row.reason) == ("skipped", ensemble.NOBODY_LOOKED)
    assert (run.images, run.problems) == (IMAGES + 1, 1)


def test_an_image_that_is_erased_takes_what_was_said_of_it_along(gallery: Gallery) -> None:
    bold, _ = runs(gallery)
    _, job = gallery.launch("ensemble")
    work(gallery, job)
    first = gallery.images[0].id
    with unit_of_work() as db:
        erase(db, gallery.project, first, reason="Asked to.", by=gallery.people.lea)
    gallery.db.rollback()
    gallery.db.expire_all()
    gone = select(AgentDifference).where(AgentDifference.image_id == first)
    assert gallery.db.scalars(gone).all() == []
    row = gallery.db.get(AgentRunImage, (bold, first))
    assert row is not None and (row.found, row.sure) == (None, None)


# Which answers count ---------------------------------------------------------------------------


def test_decoys_tell_who_says_yes_to_everything(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(gallery)
    # Of a few images somebody says what is asked about others as a decoy.
    with agent(monkeypatch, Says("odd", {Side("wide-tonal-range", "positive"): 0.9}, first=5)):
        have_run(gallery, "odd")
    judge_all(gallery, lambda *_: "appears", decoys=20)
    ask_to_learn(gallery.db, gallery.project, by=gallery.people.lea)
    gallery.db.commit()
    job = gallery.db.scalars(select(Job).where(Job.kind == "agent_trust")).one()
    work(gallery, job)
    told = report(gallery)
    assert told.decoys > 10 and told.yes_rate == pytest.approx(1, abs=0.02)
    # Who says yes to everything has said nothing of any label.
    assert told.members[0].trust is not None and told.members[0].trust < 0.8


def test_corrections_with_the_suggestion_in_view_teach_nothing(gallery: Gallery) -> None:
    runs(gallery)
    for image in gallery.images:
        gallery.decide(image, RICH.key)
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    assert report(gallery, run).labels == 0


def test_blind_corrections_count_where_their_author_leaves_little_unsaid(gallery: Gallery) -> None:
    runs(gallery)
    for image in gallery.images[:-1]:
        for side, state in ((RICH, "confirmed"), (WARM, "rejected"), (COOL, "confirmed")):
            correct_unseen(gallery, image.id, side, state)
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    told = report(gallery, run)
    assert (told.sources["correction"], told.unused_corrections) == (3 * (IMAGES - 1), 0)
    (last,) = labels_of(gallery, run)[COOL]
    assert last.image_id == gallery.images[-1].id


def test_blind_corrections_that_say_only_what_strikes_are_left_out_and_counted(
    gallery: Gallery,
) -> None:
    runs(gallery)
    for image in gallery.images:
        correct_unseen(gallery, image.id, RICH, "confirmed")
    run, job = gallery.launch("ensemble")
    work(gallery, job)
    told = report(gallery, run)
    assert (told.labels, told.unused_corrections, told.is_enough) == (0, IMAGES, False)


# Asking for one --------------------------------------------------------------------------------


def test_runs_that_cannot_be_members_are_refused(gallery: Gallery) -> None:
    def launch(**more: Any) -> None:
        launch_agent_run(gallery.db, gallery.project, agent="ensemble", by=None, **more)

    with pytest.raises(Invalid, match="no run yet"):
        launch()
    bold = have_run(gallery, "bold")
    unfinished, _ = gallery.launch("careful")
    for run_id in (unfinished.id, 10**6):
        with pytest.raises(Invalid, match=f"Run {run_id} cannot be part"):
            launch(runs=[bold.id, run_id])
    for at_least in (0.0, 1.0, 80.0):
        with pytest.raises(Invalid, match="between 0 and 1"):
            launch(at_least=at_least)
    with pytest.raises(Invalid, match="only the ensemble"):
        launch_agent_run(gallery.db, gallery.project, agent="bold", by=None, at_least=0.5)
    made = launch_agent_run(gallery.db, gallery.project, agent="ensemble", by=None, runs=[bold.id])
    assert made.config == {"ensemble": {"runs": [bold.id], "at_least": None}}
