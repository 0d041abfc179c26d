"""One action on one label: nothing lost, nothing doubled, nothing overwritten unseen."""

from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.criteria.models import Node
from app.errors import Conflict, Invalid, NotAllowed, NotFound, Stale
from app.labels.saving import save, set_done
from tests.app.labels.conftest import Bench


def test_confirming_keeps_the_agent_as_source_and_names_who_decided(bench: Bench) -> None:
    bench.propose(("bright", "positive"), measure="m", value=0.5)
    saved = bench.save("bright", "confirmed", suggestion_visible=False)

    label = bench.label("bright")
    event = bench.events()[-1]
    assert (saved.before, saved.state, saved.kind) == ("proposed", "confirmed", "confirm")
    assert (label.state, label.source, label.measure) == ("confirmed", "agent", "m")
    assert label.decided_by == bench.people.ben.id
    assert label.decided_at == event.at
    assert saved.revision == label.revision == bench.revision() == 2
    assert (event.person_id, event.suggestion_visible) == (bench.people.ben.id, False)


def test_rejecting_an_unmade_label_is_refused(bench: Bench) -> None:
    with pytest.raises(Invalid, match="nothing to reject"):
        bench.save("bright", "rejected")
    assert bench.revision() == 0


def test_an_addition_is_confirmed_and_its_author_can_withdraw_it(bench: Bench) -> None:
    added = bench.save("circle", "confirmed", "negative")
    assert (added.kind, added.before) == ("add", None)
    assert bench.label("circle", "negative").source == "person"

    gone = bench.save("circle", "withdrawn", "negative")
    assert (gone.kind, gone.before, gone.state) == ("withdraw", "confirmed", None)
    assert bench.states() == {}
    assert len(bench.events()) == 2


def test_only_ones_own_addition_can_be_withdrawn(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    bench.save("bright", "confirmed")
    bench.save("dark", "confirmed", by=bench.people.ada)
    for key in ("bright", "dark"):
        with pytest.raises(NotAllowed, match="own addition"):
            bench.save(key, "withdrawn")
    assert len(bench.states()) == 2


def test_the_same_operation_again_is_the_same_answer(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    operation = uuid4()
    first = bench.save("bright", "rejected", operation_id=operation, based_on=1)
    bench.save("bright", "confirmed", by=bench.people.ada)
    again = bench.save("bright", "rejected", operation_id=operation, based_on=1)

    assert again == first
    assert bench.states() == {("bright", "positive"): "confirmed"}
    assert len(bench.events()) == 3


def test_an_operation_id_stands_for_one_action_only(bench: Bench) -> None:
    other = bench.make.image(bench.project)
    operation = uuid4()
    bench.save("bright", "confirmed", operation_id=operation)
    for key, polarity, state in (
        ("dark", "positive", "confirmed"),
        ("bright", "negative", "confirmed"),
        ("bright", "positive", "rejected"),
    ):
        with pytest.raises(Conflict, match="another action"):
            bench.save(key, state, polarity, operation_id=operation)
    with pytest.raises(Conflict, match="another action"):
        bench.save("bright", "confirmed", operation_id=operation, by=bench.people.ada)
    with pytest.raises(Conflict, match="another action"):
        save(
            bench.db,
            bench.project,
            other.id,
            key="bright",
            polarity="positive",
            state="confirmed",
            based_on=0,
            operation_id=operation,
            by=bench.people.ben,
        )
    with pytest.raises(Conflict, match="another action"):
        bench.undo(operation_id=operation)


def test_edits_of_different_attributes_merge(bench: Bench) -> None:
    bench.propose(("bright", "positive"), ("dark", "positive"))
    bench.save("bright", "confirmed", by=bench.people.ada, based_on=1)
    bench.save("dark", "rejected", based_on=1)
    bench.save("dark", "confirmed", "negative", based_on=1)

    assert bench.states() == {
        ("bright", "positive"): "confirmed",
        ("dark", "positive"): "rejected",
        ("dark", "negative"): "confirmed",
    }


def test_an_attribute_changed_since_is_answered_with_both_values(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    theirs = bench.save("bright", "confirmed", by=bench.people.ada, based_on=1)
    with pytest.raises(Stale) as refused:
        bench.save("bright", "rejected", based_on=1)

    details = refused.value.details
    assert details["yours"] == {"state": "rejected"}
    assert details["theirs"]["state"] == "confirmed"  # type: ignore[index]
    assert details["theirs"]["by"] == "Ada"  # type: ignore[index]
    assert "Ada confirmed" in refused.value.message
    bench.db.rollback()
    assert bench.states() == {("bright", "positive"): "confirmed"}

    # Having seen it, one may overrule it.
    mine = bench.save("bright", "rejected", based_on=theirs.revision)
    assert mine.before == "confirmed"


def test_agreeing_with_someone_is_no_conflict_and_leaves_them_the_author(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    bench.save("bright", "confirmed", by=bench.people.ada, based_on=1)
    agreed = bench.save("bright", "confirmed", based_on=1)

    assert (agreed.before, agreed.state) == ("confirmed", "confirmed")
    assert bench.label("bright").decided_by == bench.people.ada.id
    assert bench.events()[-1].person_id == bench.people.ben.id
    # Whoever saw Ada's answer saw Ben's.
    assert bench.save("bright", "rejected", based_on=2, by=bench.people.lea).state == "rejected"


def test_a_change_back_and_forth_still_counts_as_unseen(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    bench.save("bright", "confirmed", by=bench.people.ada)
    bench.undo(by=bench.people.ada)
    with pytest.raises(Stale, match="Ada undid"):
        bench.save("bright", "rejected", based_on=1)


def test_a_proposal_made_since_is_no_conflict(bench: Bench) -> None:
    bench.propose(("dark", "positive"))
    assert bench.save("dark", "confirmed", based_on=0).before == "proposed"


def test_a_refreshed_proposal_is_no_conflict(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    later = bench.make.agent_run(bench.project, bench.version)
    bench.propose(("bright", "positive"), run=later)
    assert bench.save("bright", "confirmed", based_on=1).state == "confirmed"


def test_ones_own_other_window_is_a_conflict_too(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    bench.save("bright", "confirmed", based_on=1)
    with pytest.raises(Stale, match="You, in another window, confirmed"):
        bench.save("bright", "rejected", based_on=1)


@pytest.mark.parametrize("based_on", [-1, 1, 2**40])
def test_nothing_can_be_based_on_a_revision_that_never_was(bench: Bench, based_on: int) -> None:
    with pytest.raises(Invalid, match="revision"):
        bench.save("bright", "confirmed", based_on=based_on)


def test_unknown_keys_dimensions_polarities_and_states_are_named(bench: Bench) -> None:
    with pytest.raises(Invalid, match="no-such-pair"):
        bench.save("no-such-pair", "confirmed")
    with pytest.raises(Invalid, match="dimension"):
        bench.save("tone", "confirmed")
    with pytest.raises(Invalid, match="polarity"):
        bench.save("bright", "confirmed", "sideways")
    with pytest.raises(Invalid, match="set to"):
        bench.save("bright", "proposed")
    with pytest.raises(Invalid, match="not the key"):
        bench.save("bright\x00", "confirmed")


def test_a_pair_that_is_not_published_yet_cannot_be_used(bench: Bench) -> None:
    tone = bench.db.get_one(Node, bench.nodes["bright"].parent_id)
    bench.make.pair(bench.project, tone, key="later")
    with pytest.raises(Conflict, match="not in version 1"):
        bench.save("later", "confirmed")


def test_a_retired_pair_keeps_its_labels_and_takes_no_more(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    node = bench.nodes["bright"]
    node.retired = True
    bench.db.commit()
    bench.save("bright", "confirmed")  # retired in the working criteria only
    bench.make.version(bench.project)
    with pytest.raises(Conflict, match="retired in version 2"):
        bench.save("bright", "rejected")
    assert bench.states() == {("bright", "positive"): "confirmed"}


def test_without_a_published_version_nothing_can_be_labelled(bench: Bench) -> None:
    project = bench.make.project("empty")
    image = bench.make.image(project)
    with pytest.raises(Conflict, match="not published yet"):
        save(
            bench.db,
            project,
            image.id,
            key="bright",
            polarity="positive",
            state="confirmed",
            based_on=0,
            operation_id=uuid4(),
            by=bench.people.ben,
        )


def test_a_decision_names_the_version_it_was_made_under(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    bench.nodes["dark"].positive_name = "Nocturne"
    bench.db.commit()
    second = bench.make.version(bench.project)
    bench.save("bright", "confirmed")
    assert bench.label("bright").version_id == second.id
    bench.undo()
    assert bench.label("bright").version_id == bench.version.id


def test_undo_walks_back_through_ones_own_actions(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    bench.save("bright", "confirmed")
    bench.save("bright", "rejected")
    bench.save("dark", "confirmed")

    assert bench.undo().state is None
    assert bench.undo().state == "confirmed"
    assert bench.label("bright").decided_by == bench.people.ben.id
    assert bench.undo().state == "proposed"
    label = bench.label("bright")
    assert (label.state, label.decided_by, label.decided_at) == ("proposed", None, None)
    with pytest.raises(Conflict, match="nothing here"):
        bench.undo()
    assert [each.kind for each in bench.events()] == [
        "propose",
        "confirm",
        "reject",
        "add",
        "undo",
        "undo",
        "undo",
    ]


def test_undoing_a_withdrawal_brings_the_addition_back(bench: Bench) -> None:
    bench.save("dark", "confirmed", by=bench.people.ada)
    bench.save("dark", "withdrawn", by=bench.people.ada)
    bench.undo(by=bench.people.ada)
    label = bench.label("dark")
    assert (label.state, label.source, label.decided_by) == (
        "confirmed",
        "person",
        bench.people.ada.id,
    )


def test_undo_gives_way_where_someone_else_acted_since(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    bench.save("bright", "confirmed")
    bench.save("bright", "rejected", by=bench.people.ada)
    with pytest.raises(Conflict, match="changed again since"):
        bench.undo()
    bench.db.rollback()
    assert bench.states() == {("bright", "positive"): "rejected"}
    bench.undo(by=bench.people.ada)
    assert bench.undo().state == "proposed"


def test_undo_of_a_named_action(bench: Bench) -> None:
    bench.propose(("bright", "positive"), ("dark", "positive"))
    first = bench.save("bright", "confirmed")
    bench.save("dark", "confirmed")
    undone = bench.undo(event_id=first.event_id)
    assert bench.states()["bright", "positive"] == "proposed"

    with pytest.raises(Conflict, match="cannot be undone"):
        bench.undo(event_id=undone.event_id)
    with pytest.raises(Conflict, match="changed again"):
        bench.undo(event_id=first.event_id)
    with pytest.raises(NotAllowed):
        bench.undo(event_id=bench.events()[2].id, by=bench.people.ada)
    with pytest.raises(NotFound):
        bench.undo(event_id=2**70)


def test_the_same_undo_again_undoes_nothing_more(bench: Bench) -> None:
    bench.save("bright", "confirmed")
    bench.save("dark", "confirmed")
    operation = uuid4()
    first = bench.undo(operation_id=operation)
    assert bench.undo(operation_id=operation) == first
    assert bench.states() == {("bright", "positive"): "confirmed"}


def test_done_is_a_mark_that_can_be_taken_away(bench: Bench) -> None:
    image = set_done(bench.db, bench.project, bench.image.id, done=True, by=bench.people.ben)
    since = image.done_at
    assert since is not None
    again = set_done(bench.db, bench.project, bench.image.id, done=True, by=bench.people.ada)
    assert (again.done_at, again.done_by) == (since, bench.people.ben.id)
    opened = set_done(bench.db, bench.project, bench.image.id, done=False, by=bench.people.ada)
    assert (opened.done_at, opened.done_by) == (None, None)


def test_contradictions_block_done_where_the_project_wants_that(bench: Bench) -> None:
    bench.save("circle", "confirmed", "negative")
    bench.project.options = {"contradictions_block_done": True}
    bench.db.commit()
    with pytest.raises(Conflict, match="Closed circle"):
        set_done(bench.db, bench.project, bench.image.id, done=True, by=bench.people.ben)
    bench.save("circle", "confirmed")
    image = set_done(bench.db, bench.project, bench.image.id, done=True, by=bench.people.ben)
    assert image.done_at is not None


@pytest.mark.parametrize(
    "statement", ["UPDATE label_event SET after = NULL", "DELETE FROM label_event"]
)
def test_history_is_append_only_whoever_asks(bench: Bench, statement: str) -> None:
    bench.save("bright", "confirmed")
    with pytest.raises(DBAPIError, match="append-only"):
        bench.db.execute(text(statement))
