"""Labels as they are shown and handed on."""

import pytest

from app.labels.reading import (
    Stated,
    contradictions,
    count_by_state,
    find_history,
    find_labels,
    find_neighbours,
)
from taxonomy.tree import Attribute, Criteria, Dimension, Pair
from tests.app.labels.conftest import Bench


def pair(key: str, relation: str = "opposed", *, retired: bool = False) -> Pair:
    good, bad = Attribute(f"good {key}"), Attribute(f"bad {key}")
    return Pair(key, relation, good, bad, retired)  # type: ignore[arg-type]


TREE = Criteria(
    "Test",
    dimensions=(
        Dimension(
            "root",
            "Root",
            dimensions=(
                Dimension(
                    "one-of",
                    "One of",
                    exclusive=True,
                    dimensions=(Dimension("below", "Below", pairs=(pair("deep"),)),),
                    pairs=(pair("a"), pair("b", "flaw"), pair("old", retired=True)),
                ),
            ),
            pairs=(pair("c", "flaw"), pair("d")),
        ),
    ),
)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("", []),
        ("+d:proposed", []),
        ("+d:proposed -d:proposed", ["opposed"]),
        ("+d:confirmed -d:proposed", ["opposed"]),
        ("+d:confirmed -d:rejected", []),
        ("+c:proposed -c:proposed", []),
        ("-c:confirmed", ["flaw"]),
        ("+c:rejected -c:confirmed", ["flaw"]),
        ("+c:rejected -c:rejected", []),
        ("+a:confirmed +b:proposed", ["exclusive"]),
        ("+a:confirmed +b:rejected", []),
        ("+a:confirmed -b:confirmed", ["flaw"]),
        ("-a:confirmed +b:confirmed", []),
        ("+a:confirmed +deep:confirmed", ["exclusive"]),
        ("+a:confirmed +old:confirmed", []),
        ("+old:confirmed -old:confirmed", []),
        ("+a:confirmed +b:confirmed -a:confirmed -c:confirmed", ["exclusive", "opposed", "flaw"]),
        ("+unknown:confirmed -unknown:confirmed", []),
    ],
)
def test_contradictions(labels: str, expected: list[str]) -> None:
    stated = [
        Stated(each[1:].split(":")[0], "positive" if each[0] == "+" else "negative", state)
        for each in labels.split()
        for state in [each.split(":")[1]]
    ]
    assert [each.kind for each in contradictions(stated, TREE)] == expected


def test_a_contradiction_names_what_stands_against_what() -> None:
    stated = [Stated(key, "positive", "confirmed") for key in ("b", "a")]
    (found,) = contradictions(stated, TREE)
    assert found.attributes == (("a", "positive"), ("b", "positive"))
    assert "One of" in found.message
    assert "“good a”" in found.message


def test_labels_are_grouped_in_tree_order_with_their_words(bench: Bench) -> None:
    bench.propose(
        ("circle", "negative"), ("dark", "negative"), ("dark", "positive"), ("bright", "positive")
    )
    bench.save("bright", "confirmed")
    labels = find_labels(bench.db, bench.project, bench.image)

    assert [(root.name, [g.path for g in root.dimensions]) for root in labels.roots] == [
        ("Light", [("Tone",)]),
        ("Composition", [()]),
    ]
    assert [(row.name, row.polarity) for row in labels.rows] == [
        ("High key", "positive"),
        ("Low key", "positive"),
        ("Murky blacks", "negative"),
        ("Closed circle", "negative"),
    ]
    assert labels.rows[0].decided_by == "Ben"
    assert labels.rows[0].opposite == "Washed out"
    assert labels.roots[0].num_undecided == 2
    assert (labels.num("proposed"), labels.num("confirmed")) == (3, 1)
    assert len(labels.contradictions) == 3
    assert [len(row.contradictions) for row in labels.rows] == [1, 2, 1, 1]


def test_hidden_suggestions_are_counted_and_nothing_else(bench: Bench) -> None:
    bench.propose(("bright", "positive"), ("bright", "negative"))
    bench.save("bright", "confirmed")
    labels = find_labels(bench.db, bench.project, bench.image, suggestions=False)
    assert [row.polarity for row in labels.rows] == ["positive"]
    assert labels.num_hidden == 1
    assert labels.contradictions == ()


def test_history_is_paged_newest_first_and_shows_what_was_undone(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    bench.save("bright", "confirmed")
    bench.undo()
    bench.save("dark", "confirmed", by=bench.people.ada)

    first, following = find_history(bench.db, bench.project, bench.image, limit=3)
    rest, end = find_history(bench.db, bench.project, bench.image, before=following, limit=3)
    assert [(each.kind, each.who, each.is_undone) for each in [*first, *rest]] == [
        ("add", "Ada", False),
        ("undo", "Ben", False),
        ("confirm", "Ben", True),
        ("propose", None, False),
    ]
    assert first[0].name == "Low key"
    assert end is None


def test_counts_are_of_this_project(bench: Bench) -> None:
    bench.propose(("bright", "positive"), ("dark", "positive"), ("dark", "negative"))
    bench.save("bright", "confirmed")
    assert count_by_state(bench.db, bench.project) == {
        "proposed": 2,
        "confirmed": 1,
        "rejected": 0,
        "unsure": 0,
    }
    assert set(count_by_state(bench.db, bench.make.project("other")).values()) == {0}


def test_retired_pairs_are_shown_and_do_not_count(bench: Bench) -> None:
    bench.save("bright", "confirmed")
    bench.nodes["bright"].retired = True
    bench.db.commit()
    bench.make.version(bench.project)
    labels = find_labels(bench.db, bench.project, bench.image)

    assert [(row.key, row.retired) for row in labels.rows] == [("bright", True)]
    assert labels.named("positive") == ()


def test_neighbours_are_those_by_id(bench: Bench) -> None:
    first, second, third = bench.image, *(bench.make.image(bench.project) for _ in range(2))
    assert find_neighbours(bench.db, bench.project, second.id) == (first.id, third.id)
    assert find_neighbours(bench.db, bench.project, first.id) == (None, second.id)
