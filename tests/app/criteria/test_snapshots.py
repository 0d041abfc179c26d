"""What a process keeps of the working criteria is what a fresh reading finds, whatever happened between."""

from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from app.criteria.editing import add_dimension, add_pair, describe, rename
from app.criteria.importing import import_criteria
from app.criteria.models import Node
from app.criteria.placing import move
from app.criteria.reading import find_nodes, get_criteria, get_node, working_criteria
from app.criteria.recording import COLUMNS
from app.criteria.retiring import retire
from app.criteria.searching import search_nodes
from app.criteria.snapshots import Snapshot, read_snapshot
from app.criteria.undoing import undo
from app.projects.models import Project
from taxonomy.tree import Attribute
from tests.people import Cast

SIDES = {"positive": Attribute("Open form"), "negative": Attribute("Closed form")}


def said(node: Node) -> dict[str, object]:
    return {column: getattr(node, column) for column in (*COLUMNS, "id", "revision", "removed")}


def check_kept(db: Session, project: Project) -> Snapshot:
    """Whatever is kept says what the rows say, in their order."""
    found = read_snapshot(db, project)
    fresh = find_nodes(db, project)
    assert [said(each) for each in found.nodes] == [said(each) for each in fresh]
    assert found.tree(get_criteria(db, project)) == replace(
        working_criteria(db, project), successors={}
    )
    return found


def test_each_edit_is_in_what_is_kept(db: Session, people: Cast) -> None:
    project, ada = people.project, people.ada
    check_kept(db, project)

    def of(key: str) -> int:
        return get_node(db, project, key).revision

    rename(db, project, "light", based_on=of("light"), by=ada, name="Light and dark")
    check_kept(db, project)
    add_dimension(db, project, parent=None, name="Colour", by=ada)
    added = add_pair(db, project, parent="light", relation="opposed", by=ada, **SIDES)
    check_kept(db, project)
    move(db, project, "edges", parent=None, before="light", based_on=of("edges"), by=ada)
    check_kept(db, project)
    retire(db, project, added.key, based_on=of(added.key), by=ada)
    check_kept(db, project)
    for revision in (6, 5, 4):
        undo(db, project, revision, by=ada)
        check_kept(db, project)
    changed = replace(working_criteria(db, project), name="Another name")
    based_on = get_criteria(db, project).revision
    import_criteria(db, project, changed, based_on=based_on, by=ada)
    check_kept(db, project)


def test_what_did_not_change_is_not_read_again(db: Session, people: Cast) -> None:
    before = check_kept(db, people.project)
    assert read_snapshot(db, people.project) is before
    describe(db, people.project, "light", based_on=1, by=people.ada, definition="Another.")
    after = check_kept(db, people.project)
    assert [key for key, node in after.by_id.items() if before.by_id[key] is not node] == [
        after.by_key["light"].id
    ]


def test_an_edit_that_was_rolled_back_is_not_kept(db: Session, people: Cast) -> None:
    check_kept(db, people.project)
    describe(db, people.project, "light", based_on=1, by=people.ada, definition="Never.")
    check_kept(db, people.project)
    db.rollback()
    check_kept(db, people.project)
    # Another edit takes the revision that the first one would have had.
    describe(db, people.project, "edges", based_on=1, by=people.ada, definition="Truly.")
    check_kept(db, people.project)


@pytest.mark.parametrize("way", ["rename", "undo"])
def test_a_search_finds_what_stands_now(db: Session, people: Cast, way: str) -> None:
    def keys(words: str) -> list[str]:
        return [each.key for each in search_nodes(db, people.project, words)]

    assert keys("zebra") == []
    change = rename(db, people.project, "light", based_on=1, by=people.ada, name="Zebra light")
    db.commit()
    assert keys("zebra") == [change.key]
    if way == "undo":
        undo(db, people.project, get_criteria(db, people.project).revision, by=people.ada)
        assert keys("zebra") == []
