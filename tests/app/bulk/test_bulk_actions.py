"""Bulk actions: what looking says is what is done, nothing else; and it is taken back exactly."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from app.bulk.models import BulkAction
from app.bulk.taking import take
from app.bulk.undoing import undo
from app.database import unit_of_work
from app.errors import AppError, Conflict, Invalid
from app.images.removing import set_aside
from app.labels.finishing import set_done
from app.labels.history import find_history
from app.labels.recounting import find_drift
from app.labels.saving import take_back
from app.labels.saving import undo as undo_action
from app.queue.assigning import find_assignments
from app.queue.models import AgentRecord
from app.queue.ordering import count_records
from app.usage.measuring import measure_usage
from app.webhooks.managing import add_webhook
from app.webhooks.models import WebhookEvent
from tests.app.bulk.conftest import Many, facts

EACH = ("proposed", "confirmed", "rejected", "unsure", None, None)


@pytest.fixture
def varied(many: Many) -> Many:
    """The label `bright` stands in each state on an image of its own, and not on the last two."""
    many.propose(0, 1, 2, 3)
    for at, state in ((1, "confirmed"), (2, "rejected"), (3, "unsure")):
        many.save(at, "bright", state)
    return many


@pytest.mark.parametrize(
    ("kind", "replace", "change", "same", "kept", "after"),
    [
        ("confirm", False, [0, 3], [1], [2], ("confirmed", "confirmed", "rejected", "confirmed", None)),
        ("confirm", True, [0, 2, 3], [1], [], ("confirmed", "confirmed", "confirmed", "confirmed", None)),
        ("add", False, [0, 3, 4, 5], [1], [2], ("confirmed", "confirmed", "rejected", "confirmed", "confirmed")),
        ("reject", False, [0, 3], [2], [1], ("rejected", "confirmed", "rejected", "rejected", None)),
        ("doubt", True, [0, 1, 2], [3], [], ("unsure", "unsure", "unsure", "unsure", None)),
    ],
)  # fmt: skip
def test_what_was_looked_at_is_done_and_nothing_else(
    varied: Many,
    kind: str,
    replace: bool,
    change: list[int],
    same: list[int],
    kept: list[int],
    after: tuple[Any, ...],
) -> None:
    before = varied.labels()
    action = varied.ask(kind, "bright", replace=replace)
    assert varied.labels() == before
    assert varied.effects(action, "change") == change
    assert varied.effects(action, "same") == same
    assert varied.effects(action, "kept") == kept
    varied.take(action)
    assert action.taken == {"changed": len(change), "passed": 0}
    assert tuple(varied.states()[:5]) == after
    assert not any(each.groups for each in find_drift(varied.bench.db))
    for at in change:
        event = varied.events(at)[-1]
        assert event.bulk_action_id == action.id
        assert event.suggestion_visible
        assert event.image_revision == varied.image(at).label_revision
    varied.undo(action)
    assert action.undone == {"undone": len(change), "stays": 0}
    assert varied.labels() == before
    assert not any(each.groups for each in find_drift(varied.bench.db))


def test_contradictions_that_it_makes_are_counted_and_listed(many: Many) -> None:
    many.save(0, "dark", "confirmed")  # another positive attribute of an exclusive dimension
    many.save(1, "bright", "confirmed", "negative")  # the other side of an opposed pair
    action = many.ask("add", "bright")
    assert facts(action) == {
        "images": 6, "change": 6, "same": 0, "kept": 0, "none": 0, "contradicting": 2
    }  # fmt: skip
    assert many.effects(action, "contradicting") == [0, 1]


def test_a_filter_or_chosen_images_say_where(varied: Many) -> None:
    query = "key=bright&state=proposed"
    action = varied.do("reject", "bright", query=query)
    assert (
        action.query
        == "show=all&q=&key=bright&polarity=&state=proposed&source=&by=&run=&least=&most="
    )
    assert action.taken == {"changed": 1, "passed": 0}
    chosen = varied.do("add", "bright", chosen=[varied.images[4]])
    assert chosen.found is not None
    assert chosen.found["images"] == 1
    assert varied.states() == ["rejected", "confirmed", "rejected", "unsure", "confirmed", None]
    set_aside(
        varied.bench.db, varied.bench.project, varied.images[5], reason="a scan", by=varied.bench.people.lea
    )  # fmt: skip
    left = varied.ask("add", "bright")
    assert left.found is not None
    assert left.found["images"] == 5


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"kind": "paint"}, "kind"),
        ({"kind": "confirm", "key": "light"}, "key"),
        ({"kind": "confirm", "key": "bright", "polarity": "both"}, "polarity"),
        ({"kind": "done", "query": "show=aside"}, "query"),
        ({"kind": "done", "query": "show=nothing"}, "query"),
        ({"kind": "done", "query": "show=done", "chosen": [1]}, "query"),
        ({"kind": "done", "chosen": [10**9]}, "chosen"),
        ({"kind": "assign"}, "person"),
    ],
)
def test_what_makes_no_sense_is_refused(many: Many, wish: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        many.ask(**wish)
    assert refused.value.field == field


def test_what_changed_since_the_look_is_not_touched(varied: Many) -> None:
    action = varied.ask("confirm", "bright")
    varied.save(0, "circle", "confirmed")
    with pytest.raises(
        Conflict, match=f"1 image has changed .*{varied.images[0]}.*nothing was done"
    ):
        varied.take(action)
    varied.bench.db.rollback()
    assert varied.states()[0] == "proposed"
    varied.bench.make.version(varied.bench.project, number=2)
    with pytest.raises(Conflict, match="published again"):
        varied.take(action)


def test_it_is_done_once_and_taken_back_once(varied: Many) -> None:
    action = varied.do("confirm", "bright")
    with pytest.raises(Conflict, match="done already"):
        varied.take(action)
    varied.undo(action)
    with pytest.raises(Conflict, match="taken back already"):
        varied.undo(action)
    nothing = varied.ask("confirm", "circle")
    with pytest.raises(Conflict, match="nothing to change"):
        varied.take(nothing)
    with pytest.raises(Conflict, match="nothing to take back"):
        varied.undo(nothing)


def test_what_somebody_changed_since_stays_when_it_is_taken_back(many: Many) -> None:
    many.propose(0, 1, 2, 3)
    action = many.do("confirm", "bright")
    many.save(0, "bright", "rejected")
    many.save(1, "bright", "confirmed")  # agrees: looked at it
    many.save(2, "circle", "confirmed")  # another attribute
    many.undo(action)
    assert many.states()[:4] == ["rejected", "confirmed", "proposed", "proposed"]
    assert many.effects(action, "stays") == [0, 1]
    assert many.effects(action, "undone") == [2, 3]


def test_an_earlier_bulk_action_can_be_taken_back_after_a_later_one(many: Many) -> None:
    many.propose(0, 1)
    before = many.labels()
    first = many.do("confirm", "bright")
    between = many.labels()
    second = many.do("reject", "bright", replace=True)
    many.undo(second)
    assert many.labels() == between
    many.undo(first)
    assert many.labels() == before


def test_marks_are_set_for_many_and_taken_back(many: Many) -> None:
    db, project = many.bench.db, many.bench.project
    set_done(db, project, many.images[0], done=True, by=many.bench.people.ben)
    many.propose(0)  # opens it again: it came back
    set_done(db, project, many.images[1], done=True, by=many.bench.people.ben)
    db.commit()
    before = [(each.done_at, each.done_by, each.came_back_at) for each in map(many.image, range(6))]
    action = many.ask("done")
    assert many.effects(action, "same") == [1]
    many.take(action)
    assert all(many.image(at).done_at for at in range(6))
    assert many.image(1).done_by == many.bench.people.ben.id
    many.undo(action)
    assert before == [
        (each.done_at, each.done_by, each.came_back_at) for each in map(many.image, range(6))
    ]
    reopened = many.do("reopen", chosen=many.images[:3])
    assert reopened.taken == {"changed": 1, "passed": 0}
    assert many.image(1).done_at is None


def test_who_wants_to_know_hears_of_each_image_that_is_done(many: Many) -> None:
    db, project = many.bench.db, many.bench.project
    add_webhook(
        db,
        project,
        address="https://example.org/hook",
        kinds=["image.done"],
        by=many.bench.people.lea,
    )
    action = many.do("done", chosen=many.images[:3])
    told = db.scalars(select(WebhookEvent).order_by(WebhookEvent.id)).all()
    assert [each.data["image"] for each in told] == many.images[:3]
    assert all(each.data["revision"] == 1 for each in told)
    many.undo(action)
    assert len(db.scalars(select(WebhookEvent)).all()) == 3


def test_contradictions_may_block_marks(many: Many) -> None:
    many.bench.project.options = {"contradictions_block_done": True}
    many.save(0, "bright", "confirmed")
    many.save(0, "dark", "confirmed")
    action = many.do("done")
    assert many.effects(action, "kept") == [0]
    assert many.image(0).done_at is None


def test_images_are_given_to_a_person_and_taken_back(many: Many) -> None:
    db, project, ben = many.bench.db, many.bench.project, many.bench.people.ben
    set_done(db, project, many.images[0], done=True, by=ben)
    action = many.do("assign", person_id=ben.id)
    assert action.taken == {"changed": 5, "passed": 0}
    [given] = find_assignments(db, project)
    assert (given.assignment.id, given.num_waiting) == (action.assignment_id, 5)
    again = many.ask("assign", person_id=many.bench.people.ada.id)
    assert many.effects(again, "kept") == [1, 2, 3, 4, 5]
    set_done(db, project, many.images[1], done=True, by=ben)
    many.undo(action)
    assert action.undone == {"undone": 4, "stays": 1}
    assert find_assignments(db, project)[0].num_waiting == 0


def test_history_tells_bulk_apart_and_single_undo_leaves_it(many: Many) -> None:
    db, project, lea = many.bench.db, many.bench.project, many.bench.people.lea
    many.propose(0)
    action = many.do("confirm", "bright")
    happened, _ = find_history(db, project, many.image(0))
    assert [each.bulk_action_id for each in happened] == [action.id, None]
    with pytest.raises(Conflict, match="many images at once"):
        undo_action(db, project, many.images[0], by=lea, event_id=happened[0].event_id)
    with pytest.raises(Conflict, match="changed nothing"):
        undo_action(db, project, many.images[0], by=lea)
    with pytest.raises(Conflict, match="nothing in this sitting"):
        take_back(db, project, by=lea, operation_id=None)  # type: ignore[arg-type]


def test_no_figure_about_an_agent_rests_on_bulk(many: Many) -> None:
    db, project = many.bench.db, many.bench.project
    many.propose(0, 1, 2, 3)
    many.save(0, "bright", "rejected")
    action = many.do("confirm", "bright")
    usage = measure_usage(db, project, "bright").positive.labels
    assert (usage.confirmed, usage.agent_confirmed, usage.agent_rejected) == (3, 0, 1)
    many.save(1, "bright", "rejected")  # looked at: it counts from now on
    usage = measure_usage(db, project, "bright").positive.labels
    assert (usage.confirmed, usage.agent_confirmed, usage.agent_rejected) == (2, 0, 2)
    count_records(db, project)
    [record] = db.scalars(select(AgentRecord)).all()
    assert (record.confirmed, record.rejected) == (0, 2)
    many.undo(action)
    assert not any(each.groups for each in find_drift(db))


# By jobs ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("by_jobs")
def test_many_images_are_looked_at_changed_and_set_back_by_jobs(varied: Many) -> None:
    before = varied.labels()
    action = varied.ask("add", "bright")
    assert action.found is None
    with pytest.raises(Conflict, match="A worker is at this"):
        varied.take(action)
    varied.bench.db.rollback()
    assert varied.work() == ["succeeded"]
    varied.bench.db.refresh(action)
    assert facts(action)["change"] == 4
    varied.take(action)
    assert varied.work() == ["succeeded"]
    varied.bench.db.refresh(action)
    assert action.taken == {"changed": 4, "passed": 0}
    varied.undo(action)
    assert varied.work() == ["succeeded"]
    assert varied.labels() == before


class Killed(BaseException):
    """The worker is gone, in the middle of whatever it did."""


@pytest.mark.usefixtures("by_jobs")
@pytest.mark.parametrize("after", [2, 4])
def test_who_is_killed_goes_on_and_comes_to_the_same_end(many: Many, after: int) -> None:
    many.propose(0, 1, 2)
    before = many.labels()
    action = many.ask("add", "bright")
    many.work()

    def dies(done: int, total: int | None) -> None:
        del total
        if done >= after:
            raise Killed

    for step in (take, undo):
        action.undone_by = many.bench.people.lea.id if step is undo else None
        many.bench.db.commit()
        with pytest.raises(Killed):
            step(action.id, transaction=unit_of_work, report=dies)
        many.bench.db.expire_all()
        step(action.id, transaction=unit_of_work)
        many.bench.db.expire_all()
    assert action.taken == {"changed": 6, "passed": 0}
    assert action.undone == {"undone": 6, "stays": 0}
    assert many.labels() == before
    for at in range(6):
        assert sum(each.bulk_action_id is not None for each in many.events(at)) == 2


@pytest.mark.usefixtures("by_jobs")
def test_what_changes_while_a_job_is_at_it_is_passed_over_and_listed(many: Many) -> None:
    action = many.ask("add", "bright")
    many.work()

    def meddle(done: int, total: int | None) -> None:
        del total
        if done == 2:
            many.save(5, "circle", "confirmed")

    take(action.id, transaction=unit_of_work, report=meddle)
    many.bench.db.expire_all()
    assert action.taken == {"changed": 5, "passed": 1}
    assert many.effects(action, "passed") == [5]
    assert many.states()[5] is None


@pytest.mark.usefixtures("by_jobs")
def test_a_job_is_refused_where_anything_changed_since_the_look(many: Many) -> None:
    action = many.ask("add", "bright")
    many.work()
    many.save(3, "circle", "confirmed")
    many.take(action)
    assert many.work() == ["failed"]
    many.bench.db.refresh(action)
    assert action.taken is None
    assert set(many.states()) == {None}


# In general -------------------------------------------------------------------------------------

ATTRIBUTE = st.sampled_from(
    [("bright", "positive"), ("bright", "negative"), ("circle", "positive")]
)
ONE = st.tuples(
    st.just("one"), st.integers(0, 5), ATTRIBUTE, st.sampled_from(("confirmed", "rejected", "unsure"))
)  # fmt: skip
PROPOSE = st.tuples(st.just("propose"), st.integers(0, 5), ATTRIBUTE)
BULK = st.tuples(
    st.just("bulk"),
    st.sampled_from(("confirm", "add", "reject", "doubt")),
    ATTRIBUTE,
    st.booleans(),
    st.sets(st.integers(0, 5)),
)


def live(many: Many, step: tuple[Any, ...]) -> BulkAction | None:
    if step[0] == "one":
        many.save(step[1], step[2][0], step[3], step[2][1])
    elif step[0] == "propose":
        many.bench.propose(step[2], image=many.image(step[1]))
    else:
        chosen = [many.images[at] for at in step[4]]
        key, side = step[2]
        return many.do(step[1], key, side, replace=step[3], chosen=chosen)
    return None


@settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    before=st.lists(st.one_of(ONE, PROPOSE, BULK), max_size=8),
    bulk=st.lists(BULK, min_size=1, max_size=3),
)
def test_bulk_actions_taken_back_in_turn_leave_labels_exactly_as_they_were(
    many: Many, before: list[tuple[Any, ...]], bulk: list[tuple[Any, ...]]
) -> None:
    many.bench.db.execute(text("TRUNCATE bulk_action, label, label_event CASCADE"))
    many.bench.db.commit()
    for step in before:
        try:
            live(many, step)
        except AppError:
            many.bench.db.rollback()
    stood, done = many.labels(), []
    for step in bulk:
        try:
            action = live(many, step)
        except Conflict:  # nothing to change
            many.bench.db.rollback()
        else:
            assert action is not None
            done.append(action)
    for action in reversed(done):
        many.undo(action)
        assert action.undone is not None
        assert action.undone["stays"] == 0
    assert many.labels() == stood
