"""Which answers were given without a suggestion in view, and which of them count."""

import pytest

from app.agents.sides import number_of
from app.labels.showing import note_shown
from app.trust.gathering import BlindAnswer, find_blind_answers
from tests.app.labels.conftest import bench
from tests.app.readings.conftest import Table, table

__all__ = ["bench", "table"]


def found(table: Table) -> set[tuple[str, str, bool, bool]]:
    """Source, key, whether yes, whether a decoy."""
    keys = {node.id: key for key, node in table.bench.nodes.items()}
    table.bench.db.rollback()
    return {
        (each.source, keys[abs(each.side)], each.is_yes, each.is_decoy)
        for each in find_blind_answers(table.bench.db, table.bench.project)
    }


def test_a_finished_second_reading_counts_with_its_last_answers(table: Table) -> None:
    table.first(bright="confirmed", dark="rejected", circle="confirmed")
    table.ask()
    read_id = table.claim()
    assert read_id is not None
    table.answer(read_id, "bright", "confirmed")
    table.answer(read_id, "circle", "unsure")
    assert found(table) == set()  # it is not finished
    table.read(read_id, bright="rejected", dark="confirmed")
    assert found(table) == {
        ("reading", "bright", False, False),
        ("reading", "dark", True, False),
    }


def test_what_was_added_without_being_asked_does_not_count(table: Table) -> None:
    table.first(bright="confirmed")
    table.ask()
    read_id = table.claim()
    assert read_id is not None
    table.read(read_id, bright="confirmed", dark="confirmed")
    assert found(table) == {("reading", "bright", True, False)}


def test_answers_after_suggestions_were_seen_do_not_count(table: Table) -> None:
    table.first(bright="confirmed", dark="confirmed")
    table.ask()
    read_id = table.claim()
    assert read_id is not None
    table.answer(read_id, "dark", "rejected")
    note_shown(table.bench.db, table.bench.image, table.ada)
    table.bench.db.commit()
    table.read(read_id, bright="confirmed")
    assert found(table) == {("reading", "dark", False, False)}


def test_what_settles_two_readings_does_not_count(table: Table) -> None:
    table.first(bright="confirmed")
    table.ask()
    read_id = table.claim()
    assert read_id is not None
    table.read(read_id, bright="rejected")
    table.settle(read_id, "bright", "confirmed")
    assert found(table) == {("reading", "bright", False, False)}


@pytest.mark.parametrize("visible", [True, False])
def test_corrections_count_where_suggestions_were_hidden(table: Table, visible: bool) -> None:
    bench = table.bench
    bench.propose(("bright", "positive"), ("dark", "positive"))
    bench.save("bright", "confirmed", suggestion_visible=visible)
    bench.save("dark", "rejected", suggestion_visible=visible)
    counting = {("correction", "bright", True, False), ("correction", "dark", False, False)}
    assert found(table) == (set() if visible else counting)


def test_of_corrections_the_last_counts_and_what_was_undone_does_not(table: Table) -> None:
    bench = table.bench
    bench.propose(("bright", "positive"), ("dark", "positive"))
    bench.save("bright", "confirmed", suggestion_visible=False)
    bench.save("bright", "rejected", suggestion_visible=False)
    bench.save("dark", "confirmed", suggestion_visible=False)
    bench.undo()
    assert found(table) == {("correction", "bright", False, False)}


def test_people_are_told_apart_and_nothing_else_of_them(table: Table) -> None:
    bench = table.bench
    bench.propose(("bright", "positive"))
    bench.save("bright", "confirmed", suggestion_visible=False)
    bench.db.rollback()
    (answer,) = find_blind_answers(bench.db, bench.project)
    assert answer == BlindAnswer(
        bench.image.id,
        number_of(bench.nodes["bright"].id, "positive"),
        f"member {table.ben.id}",
        is_yes=True,
        source="correction",
        is_decoy=False,
    )
