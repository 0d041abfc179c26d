"""Random histories of two people and an agent: the events alone rebuild the labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from app.agents.models import AgentRun
from app.errors import AppError, Stale
from app.labels.models import Label, LabelEvent
from app.labels.saving import Saved
from app.labels.unfolding import Happening
from tests.app.labels.conftest import Bench

KEYS = ("bright", "circle")
ATTRIBUTES = [(key, side) for key in KEYS for side in ("positive", "negative")]
attribute = st.sampled_from(ATTRIBUTES)
who = st.sampled_from(("ada", "ben"))
SAVE = st.tuples(
    st.just("save"),
    who,
    attribute,
    st.sampled_from(("confirmed", "rejected", "unsure", "withdrawn")),
    st.sampled_from((0, 0, 0, 1, 3)),  # how many revisions behind this person is
)
PROPOSE = st.tuples(st.just("propose"), st.integers(0, 2), st.sets(attribute, min_size=2))
UNDO = st.tuples(st.just("undo"), who)
RETRY = st.tuples(st.just("retry"), st.integers(0, 50))
STEPS = st.lists(st.one_of(SAVE, PROPOSE, SAVE, UNDO, SAVE, RETRY), min_size=4, max_size=16)


@dataclass
class Story:
    """What the outside world was told."""

    acknowledged: dict[UUID, tuple[dict[str, Any], Saved]] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    revision: int = 0


def step(bench: Bench, story: Story, runs: list[AgentRun], each: tuple[Any, ...]) -> None:
    kind = each[0]
    if kind == "propose":
        bench.propose(*sorted(each[2]), run=runs[each[1]])
    elif kind == "undo":
        operation = uuid4()
        values: dict[str, Any] = {"by": getattr(bench.people, str(each[1]))}
        saved = bench.undo(operation_id=operation, **values)
        story.acknowledged[operation] = (values, saved)
    elif kind == "retry" and story.acknowledged:
        place = int(each[1]) % len(story.acknowledged)
        operation, (values, told) = list(story.acknowledged.items())[place]
        verb = bench.undo if told.kind == "undo" else bench.save
        before = bench.revision()
        assert verb(operation_id=operation, **values) == told
        assert bench.revision() == before
    elif kind == "save":
        _, person, (key, side), state, behind = each
        operation = uuid4()
        values = {
            "key": key,
            "polarity": side,
            "state": state,
            "by": getattr(bench.people, person),
            "based_on": max(0, bench.revision() - behind),
        }
        saved = bench.save(operation_id=operation, **values)
        story.acknowledged[operation] = (values, saved)


def replayed(
    events: Sequence[LabelEvent | Happening],
) -> dict[tuple[int | None, str | None], tuple[str, int]]:
    """State and revision of each label, from the events alone."""
    standing: dict[tuple[int | None, str | None], tuple[str, int]] = {}
    for event in events:
        named = (event.node_id, event.polarity)
        assert standing.get(named, (None,))[0] == event.before
        standing.pop(named, None)
        if event.after is not None:
            standing[named] = (event.after, event.image_revision)
    return standing


def unseen_overwrite(events: list[LabelEvent], saved: Saved, based_on: int) -> bool:
    """Whether an action changed what someone had changed after `based_on`."""
    event = next(each for each in events if each.id == saved.event_id)
    if event.before == event.after:
        return False
    return any(
        each.node_id == event.node_id
        and each.polarity == event.polarity
        and each.person_id is not None
        and based_on < each.image_revision < event.image_revision
        and each.before != each.after
        for each in events
    )


@pytest.fixture
def runs(bench: Bench) -> list[AgentRun]:
    return [bench.run, *(bench.make.agent_run(bench.project, bench.version) for _ in range(2))]


@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking would take minutes here
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_events_rebuild_the_labels_and_no_acknowledged_action_is_lost(
    bench: Bench, runs: list[AgentRun], steps: list[tuple[Any, ...]]
) -> None:
    bench.db.execute(text("TRUNCATE label, label_event CASCADE"))
    bench.image.label_revision = 0
    bench.db.commit()
    story = Story()
    for each in steps:
        try:
            step(bench, story, runs, each)
        except AppError as refused:
            bench.db.rollback()
            if isinstance(refused, Stale):
                story.refused.append(refused.details)
        assert bench.revision() >= story.revision
        story.revision = bench.revision()

    for both in story.refused:
        assert both["yours"]["state"] != both["theirs"]["state"]
    events = bench.events()
    labels = bench.db.scalars(
        select(Label)
        .where(Label.image_id == bench.image.id)
        .execution_options(populate_existing=True)
    )
    standing = {(label.node_id, label.polarity): (label.state, label.revision) for label in labels}
    assert replayed(events) == standing
    assert max([0, *(each.image_revision for each in events)]) == story.revision
    by_operation = {each.operation_id: each for each in events if each.operation_id}
    assert by_operation.keys() == story.acknowledged.keys()
    for operation, (values, saved) in story.acknowledged.items():
        assert by_operation[operation].id == saved.event_id
        assert by_operation[operation].after == saved.state
        if saved.kind != "undo":
            assert not unseen_overwrite(events, saved, int(values["based_on"]))
