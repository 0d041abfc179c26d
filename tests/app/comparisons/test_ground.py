"""What two runs can be compared by: the same sides, also where one knew them under older criteria."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.agents.models import AgentRun
from app.agents.sides import number_of
from app.comparisons.ground import find_ground
from app.criteria.merging import NewPair, merge, split
from app.criteria.models import Node
from app.criteria.reading import current_version, get_node, nodes_by_key
from app.versions.publishing import publish
from taxonomy.tree import Attribute
from tests.app.datasets.gallery import Gallery, open_gallery
from tests.factories import Make


@pytest.fixture
def gallery(db: Session, make: Make) -> Gallery:
    return open_gallery(db, make)


def run_of(gallery: Gallery, *keys: str) -> AgentRun:
    """A run under the version in force that looked for these pairs, both sides."""
    version = current_version(gallery.db, gallery.project)
    assert version is not None
    ids = [nodes_by_key(gallery.db, gallery.project)[key].id for key in keys]
    numbers = [number_of(each, polarity) for each in ids for polarity in ("positive", "negative")]
    return gallery.make.agent_run(gallery.project, version, decides=numbers)


def sides(gallery: Gallery, first: AgentRun, second: AgentRun) -> list[tuple[set[str], str, str]]:
    keys = {node_id: key for node_id, key in gallery.db.execute(select(Node.id, Node.key))}  # noqa: C416
    ground = find_ground(gallery.db, first, second)
    return [({keys[each] for each in s.node_ids}, s.polarity, s.asked_by) for s in ground.sides]


def test_what_one_of_both_looked_for_stands_apart_in_tree_order(gallery: Gallery) -> None:
    first = run_of(gallery, "warm-dominance", "cool-dominance")
    second = run_of(gallery, "cool-dominance", "controlled-low-key")
    found = sides(gallery, first, second)
    assert [(min(keys), who) for keys, polarity, who in found if polarity == "positive"] == [
        ("warm-dominance", "first"),
        ("cool-dominance", "both"),
        ("controlled-low-key", "second"),
    ]
    assert len(found) == 6


def test_a_split_pair_is_one_with_what_took_its_place(gallery: Gallery) -> None:
    first = run_of(gallery, "warm-dominance", "cool-dominance")
    db, project, ada = gallery.db, gallery.project, gallery.people.ada
    revision = get_node(db, project, "warm-dominance").revision
    into = [
        NewPair("opposed", Attribute(f"{each} warmth"), Attribute(f"No {each} warmth"))
        for each in ("Glowing", "Dry")
    ]
    split(db, project, "warm-dominance", into=into, based_on=revision, by=ada)
    publish(db, project, by=gallery.people.lea)
    second = run_of(gallery, "glowing-warmth", "dry-warmth", "cool-dominance")
    assert ({"warm-dominance", "glowing-warmth", "dry-warmth"}, "positive", "both") in sides(
        gallery, first, second
    )
    assert ({"cool-dominance"}, "negative", "both") in sides(gallery, first, second)
    # Two runs that both knew the old version are compared by it.
    assert ({"warm-dominance"}, "positive", "both") in sides(gallery, first, first)


def test_merged_pairs_are_one_from_the_version_on_that_merged_them(gallery: Gallery) -> None:
    first = run_of(gallery, "rich-saturation", "wide-tonal-range")
    db, project = gallery.db, gallery.project
    keys = ["rich-saturation", "wide-tonal-range"]
    based_on = {key: get_node(db, project, key).revision for key in keys}
    merge(db, project, keys, into="rich-saturation", based_on=based_on, by=gallery.people.ada)
    publish(db, project, by=gallery.people.lea)
    second = run_of(gallery, "rich-saturation")
    assert sides(gallery, first, second) == [
        (set(keys), "positive", "both"),
        (set(keys), "negative", "both"),
    ]


def test_a_run_that_did_not_keep_what_it_looked_for_looked_for_all(gallery: Gallery) -> None:
    first, second = run_of(gallery, "warm-dominance"), run_of(gallery)
    second.decides = None
    found = sides(gallery, first, second)
    assert len(found) == 10
    assert [keys for keys, _, who in found if who == "both"] == [{"warm-dominance"}] * 2
