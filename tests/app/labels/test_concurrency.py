"""Real sessions at the same moment."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from app.database import unit_of_work
from app.errors import Stale
from app.labels.proposing import Proposed, propose
from app.labels.saving import Saved, save
from tests.app.labels.conftest import Bench


def at_once(*actions: Any) -> list[Any]:
    """Run each action in a session and thread of its own, all starting together."""
    barrier = threading.Barrier(len(actions))

    def run(action: Any) -> Any:
        with unit_of_work() as db:
            barrier.wait()
            return action(db)

    with ThreadPoolExecutor(len(actions)) as pool:
        futures: list[Future[Any]] = [pool.submit(run, each) for each in actions]
    return [each.exception() or each.result() for each in futures]


def saving(bench: Bench, key: str, state: Any, **more: Any) -> Any:
    values: dict[str, Any] = {
        "based_on": bench.revision(),
        "operation_id": uuid4(),
        "by": bench.people.ben,
    } | more
    return lambda db: save(
        db, bench.project, bench.image.id, key=key, polarity="positive", state=state, **values
    )


def test_two_people_on_different_attributes_both_get_through(bench: Bench) -> None:
    bench.propose(("bright", "positive"), ("dark", "positive"), ("circle", "positive"))
    results = at_once(
        saving(bench, "bright", "confirmed"),
        saving(bench, "dark", "rejected", by=bench.people.ada),
        saving(bench, "circle", "confirmed", by=bench.people.lea),
    )
    assert all(isinstance(each, Saved) for each in results)
    assert sorted(each.revision for each in results) == [2, 3, 4]
    assert bench.revision() == 4
    assert sorted(bench.states().values()) == ["confirmed", "confirmed", "rejected"]


def test_of_two_people_against_each_other_one_is_told(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    results = at_once(
        saving(bench, "bright", "confirmed"),
        saving(bench, "bright", "rejected", by=bench.people.ada),
    )
    (saved,) = [each for each in results if isinstance(each, Saved)]
    (stale,) = [each for each in results if isinstance(each, Stale)]
    assert bench.states() == {("bright", "positive"): saved.state}
    assert stale.details["theirs"]["state"] == saved.state  # type: ignore[index]
    assert len(bench.events()) == 2


def test_one_operation_sent_twice_at_once_happens_once(bench: Bench) -> None:
    operation = uuid4()
    one, two = at_once(*[saving(bench, "bright", "confirmed", operation_id=operation)] * 2)
    assert one == two
    assert len(bench.events()) == 1


@pytest.mark.parametrize("key", ["bright", "dark"])
def test_an_agent_and_a_person_at_once(bench: Bench, key: str) -> None:
    bench.propose((key, "positive"))
    later = bench.make.agent_run(bench.project, bench.version)
    findings = [Proposed(bench.image.id, node.id, "positive") for node in bench.nodes.values()]
    results = at_once(
        saving(bench, key, "rejected"),
        lambda db: propose(
            db,
            bench.project,
            agent_run_id=later.id,
            version_id=bench.version.id,
            findings=findings,
        ),
    )
    assert isinstance(results[0], Saved)
    assert results[1] in (2, 3)
    assert bench.states()[key, "positive"] == "rejected"
    assert bench.revision() == 3
