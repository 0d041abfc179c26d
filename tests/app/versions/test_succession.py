"""What publications do to labels where pairs were merged, split, redefined, and where that is taken back."""

from typing import Any

import pytest
from sqlalchemy import select

from app.criteria.editing import add_pair
from app.criteria.merging import NewPair, merge, redefine, split
from app.criteria.reading import (
    find_versions,
    version_criteria,
)
from app.criteria.retiring import retire
from app.criteria.undoing import undo
from app.errors import Conflict
from app.labels.models import Carrying, Label
from app.versions.editing import revise
from app.versions.publishing import preview
from taxonomy.tree import Attribute
from tests.app.versions.lineage import LIGHT, OTHER, A, B, House, merge_both, seen

MERGED = [
    (("confirmed", None), "confirmed"),
    (("rejected", None), "rejected"),
    (("proposed", None), "proposed"),
    (("confirmed", "confirmed"), "confirmed"),
    (("confirmed", "proposed"), "confirmed"),
    (("confirmed", "rejected"), "proposed"),
    (("rejected", "rejected"), "rejected"),
    (("rejected", "proposed"), "proposed"),
    (("unsure", "proposed"), "unsure"),
    (("rejected", "unsure"), "unsure"),
    (("unsure", "confirmed"), "confirmed"),
    (("proposed", "proposed"), "proposed"),
]


@pytest.mark.parametrize(("before", "after"), MERGED)
@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize("into", [LIGHT, A, B])
def test_a_merge_carries_labels_over_and_its_undoing_gives_them_back(
    house: House, before: tuple[str | None, ...], after: str, is_swapped: bool, into: Any
) -> None:
    for key, state in zip((A, B), before[::-1] if is_swapped else before, strict=True):
        if state == "proposed":
            house.proposes("x", key)
        elif state is not None:
            house.says("x", key, state)
    was, is_disputed = house.whole(), set(before) == {"confirmed", "rejected"}
    house.done("x")
    target = merge_both(house, into)
    house.publish()
    assert house.labels("x") == {target.key: after}
    house.check()
    label = house.db.scalars(select(Label)).one()
    if is_disputed:
        assert (label.source, label.decided_by, label.agent_run_id) == ("criteria", None, None)
        assert label.evidence is not None
        assert "“Glow” was " in label.evidence
        assert "“Clear edges” was " in label.evidence
    elif after != "proposed":
        assert label.decided_by == house.people.ben.id
    # Only what nobody overrules by himself has to be looked at again.
    lost = after == "proposed" and any(each in before for each in ("confirmed", "rejected"))
    assert (house.image("x").done_at is None) == lost
    undo(house.db, house.project, 3, by=house.people.ada)
    version = house.publish()
    assert (
        version_criteria(version).dimensions
        == version_criteria(find_versions(house.db, house.project)[-1][0]).dimensions
    )
    assert house.whole() == was
    house.check()


def test_a_merge_takes_a_label_of_another_target_along(house: House) -> None:
    house.says("x", A, "confirmed")
    house.says("x", A, "rejected", "negative")
    house.says("x", "clear-source", "rejected", "negative")
    house.says("y", "clear-source", "confirmed")
    keys = [A, "clear-source"]
    merge(
        house.db,
        house.project,
        [A],
        into="clear-source",
        based_on=seen(house, *keys),
        by=house.people.ada,
    )
    house.publish()
    assert house.labels("x") == {"clear-source": "confirmed", "clear-source −": "rejected"}
    assert house.labels("y") == {"clear-source": "confirmed"}
    # An image that has nothing to do with it is left alone.
    assert house.image("y").label_revision == 1
    house.check()


TURNED = NewPair("opposed", Attribute("Gloom", "It is good."), Attribute("glow", "Not so."))


def test_a_merge_turns_no_label_round(house: House) -> None:
    """A name on the other side of what takes a pair's place would have its labels say the opposite."""
    house.says("x", A, "confirmed")
    with pytest.raises(Conflict, match="the opposite"):
        merge_both(house, TURNED)
    assert house.labels("x") == {A: "confirmed"}


def test_nor_does_a_rename_between_a_merge_and_its_publication(house: House) -> None:
    house.says("x", A, "confirmed")
    target = merge_both(house, LIGHT)
    texts = {"positive_name": "Glare", "negative_name": "Glow"}
    revise(house.db, house.project, target.key, based_on=1, by=house.people.ada, texts=texts)
    with pytest.raises(Conflict, match="the opposite"):
        house.publish()
    assert house.labels("x") == {A: "confirmed"}


@pytest.mark.parametrize("kind", ["split", "redefine"])
def test_a_split_and_another_meaning_are_looked_at_again(house: House, kind: str) -> None:
    house.says("sure", A, "confirmed")
    house.says("not", A, "rejected")
    house.proposes("may be", A)
    house.says("other", B, "confirmed")
    for name in ("sure", "not", "may be", "other"):
        house.done(name)
    was = house.whole()
    if kind == "split":
        new = split(
            house.db, house.project, A, into=[LIGHT, OTHER], based_on=1, by=house.people.ada
        )
    else:
        new = [redefine(house.db, house.project, A, new=LIGHT, based_on=1, by=house.people.ada)]
    house.publish()
    asked = dict.fromkeys([each.key for each in new], "proposed")
    assert (house.labels("sure"), house.labels("may be")) == (asked, asked)
    assert (house.labels("not"), house.labels("other")) == ({}, {B: "confirmed"})
    is_open = {name: image.done_at is None for name, image in house.images.items()}
    assert is_open == {"sure": True, "not": True, "may be": True, "other": False}
    label = house.db.scalars(
        select(Label).where(Label.image_id == house.images["sure"].id).limit(1)
    ).one()
    assert label.source == "criteria"
    assert label.evidence is not None
    assert label.evidence.startswith("“Glow” was confirmed here before it was ")
    # A split narrows what was looked at; another meaning may hold anywhere.
    assert (house.image("other").came_back_at is None) == (kind == "split")
    house.check()
    undo(house.db, house.project, 3, by=house.people.ada)
    house.publish()
    assert house.whole() == was
    house.check()


def test_what_was_decided_since_is_not_lost_when_a_merge_is_taken_back(house: House) -> None:
    house.says("same", A, "confirmed")
    house.says("otherwise", A, "confirmed")
    house.proposes("decided", A)
    house.proposes("refused", A)
    house.image("new")
    new = merge_both(house)
    house.publish()
    house.says("same", new.key, "confirmed")
    house.says("otherwise", new.key, "rejected")
    house.says("decided", new.key, "confirmed")
    house.says("refused", new.key, "rejected")
    house.says("new", new.key, "confirmed")
    undo(house.db, house.project, 3, by=house.people.ada)
    house.publish()
    assert house.labels("same") == {A: "confirmed", B: "proposed"}
    assert house.labels("otherwise") == {A: "proposed"}
    assert house.labels("decided") == {A: "proposed", B: "proposed"}
    assert house.labels("refused") == {A: "proposed"}
    assert house.labels("new") == {A: "proposed", B: "proposed"}
    evidence = {
        each.evidence
        for each in house.db.scalars(
            select(Label).where(Label.image_id == house.images["otherwise"].id)
        )
    }
    assert evidence == {"Was confirmed before; what it had become was rejected since."}
    house.check()


def test_what_was_decided_since_stays_at_a_pair_that_stayed(house: House) -> None:
    house.says("x", A, "confirmed")
    house.says("y", A, "confirmed")
    house.says("y", B, "confirmed")
    merge_both(house, B)
    house.publish()
    house.says("x", B, "rejected")
    undo(house.db, house.project, 3, by=house.people.ada)
    house.publish()
    assert house.labels("x") == {A: "confirmed", B: "rejected"}
    assert house.labels("y") == {A: "confirmed", B: "confirmed"}
    house.check()


def test_chains_within_one_publication_and_over_several(house: House) -> None:
    house.says("x", A, "confirmed")
    house.says("y", B, "rejected")
    house.says("z", "clear-source", "confirmed")
    was = house.whole()
    new = merge_both(house)
    parts = split(
        house.db, house.project, new.key, into=[LIGHT, OTHER], based_on=1, by=house.people.ada
    )
    house.publish()
    assert house.labels("x") == {each.key: "proposed" for each in parts}
    assert house.labels("y") == {}
    house.check()
    keys = [parts[0].key, "clear-source"]
    merge(
        house.db,
        house.project,
        keys,
        into="clear-source",
        based_on=seen(house, *keys),
        by=house.people.ada,
    )
    house.publish()
    assert house.labels("x") == {"clear-source": "proposed", parts[1].key: "proposed"}
    house.check()
    for revision in (5, 4, 3):
        undo(house.db, house.project, revision, by=house.people.ada)
    house.publish()
    assert house.whole() == was
    house.check()
    # And all of it once more, from undoing the undoing.
    undo(house.db, house.project, 8, by=house.people.ada)
    house.publish()
    assert house.labels("x") == {new.key: "confirmed"}
    house.check()


def test_what_was_undone_before_it_was_published_touches_nothing(house: House) -> None:
    house.says("x", A, "confirmed")
    merge_both(house)
    undo(house.db, house.project, 3, by=house.people.ada)
    with pytest.raises(Conflict, match="Nothing changed"):
        house.publish()
    undo(house.db, house.project, 4, by=house.people.ada)
    house.publish()
    undo(house.db, house.project, 5, by=house.people.ada)
    undo(house.db, house.project, 6, by=house.people.ada)
    with pytest.raises(Conflict, match="Nothing changed"):
        house.publish()
    house.check()
    assert len(house.db.scalars(select(Carrying)).all()) == 1


def test_the_preview_counts_and_asks_nothing_twice(house: House) -> None:
    house.says("x", A, "confirmed")
    house.says("x", B, "rejected")
    house.says("y", A, "confirmed")
    house.proposes("z", B)
    # A pair that is merged gives its names to the new one: its labels go along, and nobody is asked.
    new = NewPair("opposed", Attribute("Glow", "Both."), Attribute("Blurred edges", "Neither."))
    target = merge_both(house, new)
    found = preview(house.db, house.project)
    assert (found.moved, found.dimensions_moved) == ([], [])
    assert [(each.kind, each.key) for each in found.changes] == [
        ("added", target.key),
        ("merged", A),
        ("merged", B),
    ]
    (effect,) = found.succession
    assert (effect.kind, effect.num_images, effect.num_disputed) == ("merge", 3, 1)
    assert (effect.labels.confirmed, effect.labels.rejected, effect.labels.proposed) == (2, 1, 1)
    assert effect.sentence == (
        "“Glow / Chalky glow” and “Clear edges / Blurred edges” were merged into “Glow / Blurred edges”"
    )
    assert house.image("y").came_back_at is None
    house.publish()
    assert house.labels("x") == {target.key: "proposed"}
    undo(house.db, house.project, 3, by=house.people.ada)
    found = preview(house.db, house.project)
    assert [(each.kind, each.num_images) for each in found.succession] == [("return", 3)]
    assert {each.kind for each in found.changes} == {"came-back", "taken-back"}
    house.publish()
    assert house.labels("x") == {A: "confirmed", B: "rejected"}


def test_the_preview_of_very_many_labels_reads_some_and_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "uvwxyz":
        house.says(name, A, "confirmed")
        house.says(name, B, "rejected")
    merge_both(house, LIGHT)
    (effect,) = preview(house.db, house.project).succession
    assert (effect.num_images, effect.num_disputed, effect.is_more) == (6, 6, False)
    monkeypatch.setattr("app.versions.foreseeing.MOST_READ", 11)
    monkeypatch.setattr("app.versions.foreseeing.FEWEST_READ", 2)
    (effect,) = preview(house.db, house.project).succession
    assert (effect.num_images, effect.num_disputed, effect.is_more) == (2, 2, True)
    assert (effect.labels.confirmed, effect.labels.rejected) == (6, 6)


def test_a_retired_pair_keeps_its_labels(house: House) -> None:
    house.says("x", A, "confirmed")
    retire(house.db, house.project, A, based_on=1, by=house.people.ada)
    house.publish()
    assert house.labels("x") == {A: "confirmed"}
    with pytest.raises(Conflict, match="is retired in version 2"):
        house.says("x", A, "rejected")


def test_who_labels_what_was_replaced_is_told_by_what(house: House) -> None:
    new = merge_both(house)
    house.publish()
    with pytest.raises(Conflict, match=f"was replaced by {new.key}"):
        house.says("x", A, "confirmed")
    sides = {"positive": Attribute("Glow"), "negative": Attribute("Dull")}
    add_pair(
        house.db, house.project, parent="edges", relation="opposed", by=house.people.ada, **sides
    )
    house.publish()
    house.check()
