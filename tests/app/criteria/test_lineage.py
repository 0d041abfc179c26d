"""Merging, splitting, redefining, retiring, restoring and moving nodes of the working criteria."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.criteria.editing import add_dimension, add_pair, rename
from app.criteria.freezing import freeze_version
from app.criteria.history import find_changes
from app.criteria.loading import load_criteria
from app.criteria.merging import NewDimension, NewPair, merge, redefine, split
from app.criteria.models import Node, NodeChange, NodeSuccession
from app.criteria.placing import move
from app.criteria.reading import get_node, working_criteria
from app.criteria.retiring import restore, retire
from app.criteria.saying import say
from app.criteria.successions import stand_for
from app.criteria.undoing import undo
from app.errors import AppError, Conflict, Invalid, NotFound, Stale
from taxonomy.checks import check, has_errors
from taxonomy.formats.json import write_json
from taxonomy.tree import Attribute
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast

LIGHT = NewPair(
    "opposed", Attribute("Good light", "It is good."), Attribute("Bad light", "Not so.")
)
OTHER = NewPair("flaw", Attribute("Other light", "Other."), Attribute("Odd light", "Odd."))


def first(*keys: str) -> dict[str, int]:
    return dict.fromkeys(keys, 1)


def test_pairs_are_merged_into_one_that_is_there(db: Session, people: Cast) -> None:
    seen = first("glow", "clear-source")
    target = merge(db, people.project, ["glow"], into="clear-source", based_on=seen, by=people.ada)
    tree = working_criteria(db, people.project)
    assert (target.key, target.revision) == ("clear-source", 2)
    assert tree.find("glow") is None
    assert tree.successors == {"glow": ("clear-source",)}
    assert not has_errors(check(tree))
    change = find_changes(db, people.project)[0]
    assert change.sentence == (
        "Merged the pair “Glow / Chalky glow” into “One clear source / Contradicting shadows”."
    )
    for key in ("glow", "clear-source"):
        node = stand_for(db, people.project, key).node
        assert find_changes(db, people.project, node=node)[0].revision == change.revision
    with pytest.raises(NotFound, match="merged into clear-source"):
        get_node(db, people.project, "glow")


def test_pairs_are_merged_into_a_new_one_and_all_of_it_is_undone_and_done_again(
    db: Session, people: Cast
) -> None:
    before = write_json(working_criteria(db, people.project))
    keys = ["glow", "clear-edges"]
    new = merge(db, people.project, keys, into=LIGHT, based_on=first(*keys), by=people.ada)
    after = write_json(working_criteria(db, people.project))
    assert new.parent_id == get_node(db, people.project, "light").id
    undo(db, people.project, 2, by=people.lea)
    assert write_json(working_criteria(db, people.project)) == before
    assert db.scalar(select(func.count()).select_from(NodeSuccession)) == 0
    assert find_changes(db, people.project)[0].sentence == (
        "Undid change 2: the pair “Glow / Chalky glow” was put back."
    )
    undo(db, people.project, 3, by=people.ada)
    assert write_json(working_criteria(db, people.project)) == after
    # The same change stands again, so that a publication sees that nothing is new.
    made = select(NodeChange.id).where(NodeChange.revision == 2, NodeChange.part == 0)
    assert set(db.scalars(select(NodeSuccession.change_id))) == {db.scalar(made)}


def test_dimensions_are_merged_and_their_children_move(db: Session, people: Cast) -> None:
    before = working_criteria(db, people.project)
    new = NewDimension("Light and edges", "Both.")
    keys = ["light", "edges"]
    both = merge(db, people.project, keys, into=new, based_on=first(*keys), by=people.ada)
    tree = working_criteria(db, people.project)
    assert [each.key for each in tree.dimensions] == [both.key]
    assert [each.key for each in tree.dimensions[0].pairs] == ["glow", "clear-edges"]
    assert [each.key for each in tree.dimensions[0].dimensions] == ["source"]
    assert tree.resolve("edges") == (both.key,)
    assert (
        "Merged the dimensions “Light” and “Edges”" in find_changes(db, people.project)[0].sentence
    )
    undo(db, people.project, 2, by=people.ada)
    assert working_criteria(db, people.project) == before


def test_a_pair_is_split_and_redefined_and_old_keys_lead_on_for_ever(
    db: Session, people: Cast
) -> None:
    edges = NewPair(
        "opposed", Attribute("Clear edges", "Anew."), Attribute("Blurred edges", "Anew.")
    )
    new = redefine(db, people.project, "clear-edges", new=edges, based_on=1, by=people.ada)
    assert new.key == "clear-edges-2"
    parts = split(db, people.project, new.key, into=[LIGHT, OTHER], based_on=1, by=people.ada)
    tree = working_criteria(db, people.project)
    assert tree.resolve("clear-edges") == tuple(each.key for each in parts)
    found = stand_for(db, people.project, "clear-edges")
    assert (found.kind, [each.id for each in found.successors]) == (
        "redefine",
        [each.id for each in parts],
    )
    sentences = [each.sentence for each in find_changes(db, people.project, limit=2)]
    assert sentences == [
        "Split the pair “Clear edges / Blurred edges” into “Good light / Bad light” and “Other light / Odd light”.",
        "Gave the pair “Clear edges / Blurred edges” another meaning: “Clear edges / Blurred edges”.",
    ]
    with pytest.raises(Conflict, match="itself merged, split or redefined"):
        undo(db, people.project, 2, by=people.ada)
    undo(db, people.project, 3, by=people.ada)
    undo(db, people.project, 2, by=people.ada)
    assert working_criteria(db, people.project) == SMALL


def test_what_was_published_is_taken_back_and_still_leads_on(db: Session, people: Cast) -> None:
    freeze_version(db, people.project, by=people.ada)
    new = redefine(db, people.project, "glow", new=LIGHT, based_on=1, by=people.ada)
    freeze_version(db, people.project, by=people.ada)
    undo(db, people.project, 2, by=people.ada)
    tree = working_criteria(db, people.project)
    assert tree.dimensions == SMALL.dimensions
    assert tree.successors == {new.key: ("glow",)}
    undo(db, people.project, 3, by=people.ada)
    assert working_criteria(db, people.project).successors == {"glow": (new.key,)}


Act = Callable[[Session, Cast], object]


def _merge(keys: Sequence[str], into: Any, seen: Sequence[str] | None = None) -> Act:
    return lambda db, people: merge(
        db, people.project, keys, into=into, based_on=first(*(seen or keys)), by=people.ada
    )


REFUSED: list[tuple[Act, type[AppError], str]] = [
    (_merge(["glow"], LIGHT), Invalid, "at least two"),
    (_merge(["glow", "glow"], LIGHT), Invalid, "at least two"),
    (_merge(["glow", "edges"], LIGHT), Invalid, "cannot be merged with one another"),
    (_merge(["light", "source"], NewDimension("Both")), Invalid, "stands below"),
    (_merge(["glow", "clear-edges"], NewDimension("Both")), Invalid, "into an attribute pair"),
    (_merge(["light", "edges"], LIGHT), Invalid, "into a dimension"),
    (_merge(["glow", "nobody"], LIGHT), NotFound, "no node “nobody”"),
    (_merge(["glow", "clear-edges"], LIGHT, ["glow"]), Invalid, "which revision of clear-edges"),
    (
        _merge(
            ["glow", "clear-edges"],
            NewPair("opposed", Attribute("One clear source"), Attribute("B")),
        ),
        Conflict,
        "“One clear source” is taken: Light › Source of light",
    ),
    (
        lambda db, people: split(
            db, people.project, "glow", into=[LIGHT], based_on=1, by=people.ada
        ),
        Invalid,
        "at least two new pairs",
    ),
    (
        lambda db, people: split(
            db, people.project, "glow", into=[LIGHT, LIGHT], based_on=1, by=people.ada
        ),
        Conflict,
        "is taken",
    ),
    (
        lambda db, people: redefine(
            db, people.project, "light", new=LIGHT, based_on=1, by=people.ada
        ),
        Invalid,
        "is a dimension",
    ),
    (
        lambda db, people: restore(db, people.project, "light", based_on=1, by=people.ada),
        Conflict,
        "in use already",
    ),
    (
        lambda db, people: move(
            db, people.project, "light", parent="source", based_on=1, by=people.ada
        ),
        Invalid,
        "below itself",
    ),
    (
        lambda db, people: move(db, people.project, "glow", parent=None, based_on=1, by=people.ada),
        Invalid,
        "stands below a dimension",
    ),
    (
        lambda db, people: move(
            db, people.project, "glow", parent="edges", before="light", based_on=1, by=people.ada
        ),
        Invalid,
        "does not stand there",
    ),
]


@pytest.mark.parametrize(("act", "error", "message"), REFUSED)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    db: Session, people: Cast, act: Act, error: type[AppError], message: str
) -> None:
    with pytest.raises(error, match=message):
        act(db, people)
    db.commit()
    assert working_criteria(db, people.project) == SMALL
    assert len(find_changes(db, people.project)) == 1


def test_stale_merges_show_the_other_change(db: Session, people: Cast) -> None:
    rename(db, people.project, "glow", based_on=1, by=people.lea, positive="Shine")
    keys = ["glow", "clear-edges"]
    with pytest.raises(
        Stale, match=r"Lea changed “Shine / Chalky glow”.*positive name is now “Shine”"
    ):
        merge(db, people.project, keys, into=LIGHT, based_on=first(*keys), by=people.ada)
    move(db, people.project, "glow", parent="edges", based_on=2, by=people.lea)
    with pytest.raises(Stale, match="the place is now “Edges”"):
        split(db, people.project, "glow", into=[LIGHT, OTHER], based_on=2, by=people.ada)
    retire(db, people.project, "glow", based_on=3, by=people.lea)
    with pytest.raises(Stale, match="the state is now “retired”"):
        redefine(db, people.project, "glow", new=LIGHT, based_on=3, by=people.ada)


def test_names_of_what_is_retired_are_free_until_it_comes_back(db: Session, people: Cast) -> None:
    retire(db, people.project, "light", based_on=1, by=people.ada)
    glow = {"positive": Attribute("Glow"), "negative": Attribute("Dull")}
    add_pair(db, people.project, parent="edges", relation="opposed", by=people.ada, **glow)
    with pytest.raises(Conflict, match="“Glow” is taken: Edges › Glow / Dull"):
        restore(db, people.project, "light", based_on=2, by=people.ada)
    with pytest.raises(Conflict, match="“Glow” is taken"):
        undo(db, people.project, 2, by=people.ada)
    undo(db, people.project, 3, by=people.ada)
    restore(db, people.project, "light", based_on=2, by=people.ada)
    assert working_criteria(db, people.project) == SMALL
    kinds = [each.kind for each in find_changes(db, people.project)]
    assert kinds == ["restored", "undo", "added", "retired", "loaded"]


def test_nodes_move_and_change_places_and_go_back_exactly(db: Session, people: Cast) -> None:
    before = write_json(working_criteria(db, people.project))
    move(db, people.project, "edges", parent=None, before="light", based_on=1, by=people.ada)
    assert [each.key for each in working_criteria(db, people.project).dimensions] == [
        "edges",
        "light",
    ]
    move(
        db,
        people.project,
        "glow",
        parent="source",
        before="clear-source",
        based_on=1,
        by=people.ada,
    )
    source = working_criteria(db, people.project).dimension("source")
    assert [each.key for each in source.pairs] == ["glow", "clear-source"]
    sentences = [each.sentence for each in find_changes(db, people.project, limit=2)]
    assert sentences == [
        "Moved the pair “Glow / Chalky glow” from “Light” to “Source of light”.",
        "Reordered the dimension “Edges”.",
    ]
    revision = find_changes(db, people.project)[0].revision
    move(
        db,
        people.project,
        "glow",
        parent="source",
        before="clear-source",
        based_on=2,
        by=people.ada,
    )
    assert find_changes(db, people.project)[0].revision == revision  # It stands there already.
    undo(db, people.project, 3, by=people.ada)
    undo(db, people.project, 2, by=people.ada)
    assert write_json(working_criteria(db, people.project)) == before


def test_what_has_no_room_or_no_place_left_does_not_go_there(db: Session, people: Cast) -> None:
    add_dimension(db, people.project, parent="source", name="Deep", by=people.ada)
    with pytest.raises(Invalid, match="at most 4 levels"):
        move(db, people.project, "edges", parent="deep", based_on=1, by=people.ada)
    undo(db, people.project, 2, by=people.ada)
    move(db, people.project, "source", parent="edges", based_on=1, by=people.ada)
    move(db, people.project, "light", parent="source", based_on=1, by=people.lea)
    with pytest.raises(Conflict, match="below one another"):
        undo(db, people.project, 4, by=people.ada)


def test_a_file_with_successors_is_loaded_and_written_as_it_was(
    db: Session, make: Make, people: Cast
) -> None:
    tree = replace(
        SMALL, successors={"old": ("older", "glow"), "older": ("clear-edges",), "gone": ("edges",)}
    )
    project = make.project()
    load_criteria(db, project, tree, by=people.lea)
    assert write_json(working_criteria(db, project)) == write_json(tree)
    assert [each.key for each in stand_for(db, project, "old").successors] == [
        "clear-edges",
        "glow",
    ]
    assert db.scalar(select(Node.removed).where(Node.project_id == project.id, Node.key == "gone"))
    made = add_dimension(db, project, parent=None, name="Gone", by=people.ada)
    assert made.key == "gone-2"  # Never used again.
    with pytest.raises(Invalid, match="nowhere in the criteria"):
        load_criteria(db, make.project(), replace(SMALL, successors={"a": ("b",)}), by=people.lea)


def test_what_merged_and_split_nodes_say_goes_along_and_is_undone(
    db: Session, people: Cast
) -> None:
    details = {
        "positive": {
            "alternatives": ["Shine"],
            "translations": {"fr": {"name": "Lueur"}},
            "excludes": ["clear-edges/positive"],
        }
    }
    say(db, people.project, "glow", based_on=1, by=people.ada, said=details)
    before = write_json(working_criteria(db, people.project))
    merge(
        db,
        people.project,
        ["glow"],
        into="clear-source",
        based_on={"glow": 2, "clear-source": 1},
        by=people.ada,
    )
    node = get_node(db, people.project, "clear-source")
    assert node.details["positive"]["alternatives"] == ["Glow", "Shine"]
    assert node.details["positive"]["excludes"] == ["clear-edges/positive"]
    assert "translations" not in node.details["positive"]
    assert node.details["negative"] == {"alternatives": ["Chalky glow"]}
    undo(db, people.project, 3, by=people.ada)
    assert write_json(working_criteria(db, people.project)) == before
    # Of a split, each part has a copy, but for what names the whole and what is said otherwise.
    parts = [LIGHT, replace(OTHER, said={"positive": {"alternatives": ["Odd"], "prompt": "odd"}})]
    glow = get_node(db, people.project, "glow")
    made = split(db, people.project, "glow", into=parts, based_on=glow.revision, by=people.ada)
    kept = {"excludes": ["clear-edges/positive"]}
    assert made[0].details["positive"] == kept | {"alternatives": ["Glow", "Shine"]}
    assert made[1].details["positive"] == kept | {"alternatives": ["Odd"], "prompt": "odd"}


def test_what_is_said_of_a_merged_node_is_checked(db: Session, people: Cast) -> None:
    seen = first("glow", "clear-source")
    with pytest.raises(Invalid, match="list no content"):
        merge(
            db,
            people.project,
            ["glow"],
            into="clear-source",
            based_on=seen,
            by=people.ada,
            said={"needs": ["feet"]},
        )
    assert get_node(db, people.project, "glow").revision == 1
