"""What publications do to labels where pairs were merged, split, redefined, and where that is taken back."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.criteria.editing import add_dimension, add_pair, rename
from app.criteria.importing import import_criteria
from app.criteria.merging import NewPair, merge, redefine, split
from app.criteria.models import CriteriaVersion, Node
from app.criteria.reading import (
    find_versions,
    get_criteria,
    version_criteria,
    working_criteria,
)
from app.criteria.retiring import retire
from app.criteria.undoing import undo
from app.errors import Conflict, NotFound
from app.images.models import Image
from app.labels.dropping import drop_labels
from app.labels.history import find_history
from app.labels.models import Label, LabelBefore, LabelEvent
from app.labels.saving import save
from app.versions.publishing import preview, publish
from app.versions.taking_back import take_back
from taxonomy.tree import Attribute, Pair
from tests.app.labels.test_replay import replayed
from tests.factories import Make
from tests.people import Cast

LIGHT = NewPair(
    "opposed", Attribute("Good light", "It is good."), Attribute("Bad light", "Not so.")
)
OTHER = NewPair("flaw", Attribute("Other light", "Other."), Attribute("Odd light", "Odd."))
A, B = "glow", "clear-edges"


class House:
    """A published project where people label images by name of the image."""

    def __init__(self, db: Session, make: Make, people: Cast) -> None:
        self.db, self.make, self.people, self.project = db, make, people, people.project
        self.images: dict[str, Image] = {}
        # So that a dimension whose other pair is merged away still holds one.
        add_pair(
            db,
            self.project,
            parent="edges",
            relation="opposed",
            positive=Attribute("Lost edges", "Forms open."),
            negative=Attribute("Cut edges", "Forms are cut out."),
            by=people.ada,
        )
        self.publish()

    def publish(self, **values: Any) -> CriteriaVersion:
        version = publish(self.db, self.project, by=self.people.ada, **values)
        self.db.commit()
        return version

    def image(self, name: str) -> Image:
        if name not in self.images:
            self.images[name] = self.make.image(self.project)
        return self.images[name]

    def says(self, name: str, key: str, state: str, polarity: str = "positive") -> None:
        image = self.image(name)
        named = key if polarity == "positive" else f"{key} −"
        if state == "rejected" and named not in self.labels(name):
            self.says(name, key, "confirmed", polarity)
        save(
            self.db,
            self.project,
            image.id,
            key=key,
            polarity=polarity,
            state=state,  # type: ignore[arg-type]
            based_on=image.label_revision,
            operation_id=uuid4(),
            by=self.people.ben,
        )
        self.db.commit()

    def proposes(self, name: str, key: str) -> None:
        node = self.node(key)
        image = self.image(name)
        version = find_versions(self.db, self.project)[0][0]
        run = self.make.agent_run(self.project, version)
        self.db.add(
            Label(
                project_id=self.project.id,
                image_id=image.id,
                node_id=node.id,
                polarity="positive",
                state="proposed",
                source="agent",
                agent_run_id=run.id,
                version_id=version.id,
                measure="edge sharpness",
                value=0.1 + 0.2,
                revision=image.label_revision + 1,
            )
        )
        self.db.add(
            LabelEvent(
                image_id=image.id,
                node_id=node.id,
                polarity="positive",
                kind="propose",
                after="proposed",
                image_revision=image.label_revision + 1,
                agent_run_id=run.id,
                version_id=version.id,
            )
        )
        image.label_revision += 1
        self.db.commit()

    def node(self, key: str) -> Node:
        return self.db.scalars(select(Node).where(Node.key == key)).one()

    def done(self, name: str) -> None:
        image = self.image(name)
        image.done_at, image.done_by = image.created_at, self.people.ben.id
        self.db.commit()

    def labels(self, name: str) -> dict[str, str]:
        rows = self.db.execute(
            select(Node.key, Label.polarity, Label.state)
            .join(Node)
            .where(Label.image_id == self.images[name].id)
        )
        return {
            key if polarity == "positive" else f"{key} −": state for key, polarity, state in rows
        }

    def whole(self) -> list[tuple[Any, ...]]:
        """Every label with all it says, but for what a publication has to change about it."""
        own = [each for each in Label.__table__.columns if each.name not in ("id", "revision")]
        return sorted(map(tuple, self.db.execute(select(*own))), key=str)

    def check(self) -> None:
        """The events rebuild the labels, and every label names a pair of the version in force."""
        self.db.expire_all()
        version = find_versions(self.db, self.project)[0][0]
        tree = version_criteria(version)
        for image in self.images.values():
            labels = self.db.execute(
                select(Label, Node.key).join(Node).where(Label.image_id == image.id)
            ).all()
            assert all(tree.find(key) for _, key in labels)
            events = self.db.scalars(
                select(LabelEvent)
                .where(LabelEvent.image_id == image.id, LabelEvent.node_id.is_not(None))
                .order_by(LabelEvent.id)
            ).all()
            assert replayed(list(events)) == {
                (each.node_id, each.polarity): (each.state, each.revision) for each, _ in labels
            }


@pytest.fixture
def house(db: Session, make: Make, people: Cast) -> House:
    return House(db, make, people)


def seen(house: House, *keys: str) -> dict[str, int]:
    return {key: house.node(key).revision for key in keys}


def merge_both(house: House, into: Any = LIGHT) -> Node:
    return merge(
        house.db, house.project, [A, B], into=into, based_on=seen(house, A, B), by=house.people.ada
    )


MERGED = [
    (("confirmed", None), "confirmed"),
    (("rejected", None), "rejected"),
    (("proposed", None), "proposed"),
    (("confirmed", "confirmed"), "confirmed"),
    (("confirmed", "proposed"), "confirmed"),
    (("confirmed", "rejected"), "proposed"),
    (("rejected", "rejected"), "rejected"),
    (("rejected", "proposed"), "proposed"),
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
    assert len(house.db.scalars(select(LabelBefore)).all()) == 1


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


def test_what_was_erased_does_not_come_back(house: House) -> None:
    house.says("x", A, "confirmed")
    merge_both(house)
    house.publish()
    drop_labels(house.db, house.image("x"))
    house.db.commit()
    undo(house.db, house.project, 3, by=house.people.ada)
    house.publish()
    assert house.labels("x") == {}
    assert house.db.scalars(select(LabelBefore)).all() == []


def test_a_publication_is_taken_back_by_a_new_version(house: House) -> None:
    house.says("x", A, "confirmed")
    house.says("y", B, "confirmed")
    was, first = house.whole(), version_criteria(find_versions(house.db, house.project)[0][0])
    rename(house.db, house.project, "light", based_on=1, by=house.people.lea, name="Lighting")
    undo(house.db, house.project, 3, by=house.people.lea)
    undo(house.db, house.project, 4, by=house.people.lea)
    rename(house.db, house.project, "source", based_on=1, by=house.people.lea, name="Lamps")
    undo(house.db, house.project, 6, by=house.people.lea)
    new = merge_both(house)
    split(house.db, house.project, new.key, into=[LIGHT, OTHER], based_on=1, by=house.people.ada)
    add_dimension(house.db, house.project, parent=None, name="Line", by=house.people.ada)
    sides = {"positive": Attribute("Sure line"), "negative": Attribute("Weak line")}
    add_pair(
        house.db, house.project, parent="line", relation="opposed", by=house.people.ada, **sides
    )
    house.publish()
    house.says("x", "sure-line", "confirmed")
    with pytest.raises(Conflict, match="Nothing was published before"):
        take_back(house.db, house.project, 1, by=house.people.ada)
    with pytest.raises(NotFound):
        take_back(house.db, house.project, 3, by=house.people.ada)
    version = take_back(house.db, house.project, 2, by=house.people.ada)
    house.db.commit()
    tree = version_criteria(version)
    assert (version.number, version.note) == (3, "Takes version 2 back.")
    assert tree.active_pairs() == first.active_pairs()
    assert tree.dimension("light").name == "Light"
    assert [each.key for each in tree.dimensions if each.retired] == ["line"]
    # What was added since is retired, and its labels are kept.
    assert len(house.whole()) == len(was) + 1
    assert house.labels("x") == {A: "confirmed", "sure-line": "confirmed"}
    assert house.labels("y") == {B: "confirmed"}
    house.check()
    rename(
        house.db,
        house.project,
        "light",
        based_on=house.node("light").revision,
        by=house.people.lea,
        name="Lamps",
    )
    with pytest.raises(Conflict, match="changed since version 3"):
        take_back(house.db, house.project, 3, by=house.people.ada)


def test_taking_back_by_page_and_by_program(
    house: House, browser: TestClient, api: TestClient, sign_in: Any, token_for: Any
) -> None:
    here = "/projects/paintings/criteria/versions"
    sign_in(browser, house.people.ada)
    assert "Take this version back" not in browser.get(f"{here}/1").text
    merge_both(house)
    house.publish()
    assert "Take this version back" in browser.get(f"{here}/2").text
    answer = browser.post(f"{here}/2/take-back")
    assert answer.headers["location"] == f"{here}/3"
    again = browser.post(f"{here}/2/take-back")
    assert (again.status_code, "is not the last one" in again.text) == (409, True)
    headers = token_for(house.people.ada)
    taken = api.post(f"/api/v1{here}/3/take-back", headers=headers)
    assert (taken.status_code, taken.json()["number"]) == (201, 4)
    assert api.post(f"/api/v1{here}/3/take-back", headers=headers).status_code == 409
    sign_in(browser, house.people.ben)
    assert browser.post(f"{here}/4/take-back").status_code == 403


def test_an_import_with_several_merges_is_taken_back_pair_by_pair(house: House) -> None:
    house.says("x", A, "confirmed")
    house.says("y", "clear-source", "confirmed")
    was, tree = house.whole(), working_criteria(house.db, house.project)
    gone = {A: ("shine",), "clear-source": ("sources", "lamps")}
    new = [
        Pair(key, "opposed", Attribute(f"One {key}"), Attribute(f"No {key}"))
        for key in ("shine", "sources", "lamps")
    ]
    edges = tree.dimension("edges")
    changed = replace(
        tree,
        dimensions=(
            replace(tree.dimension("light"), dimensions=(), pairs=tuple(new[1:])),
            replace(edges, pairs=(*edges.pairs, new[0])),
        ),
        successors=gone | {"source": ("light",)},
    )
    revision = get_criteria(house.db, house.project).revision
    import_criteria(house.db, house.project, changed, based_on=revision, by=house.people.ada)
    house.publish()
    assert house.labels("x") == {"shine": "proposed"}
    assert house.labels("y") == {"sources": "proposed", "lamps": "proposed"}
    house.says("x", "sources", "confirmed")
    house.says("y", "lamps", "rejected")
    house.check()
    take_back(house.db, house.project, 2, by=house.people.ada)
    house.db.commit()
    # Each comes back from its own: what was said of the one is nothing that the other is asked.
    assert house.labels("x") == {A: "confirmed", "clear-source": "proposed"}
    assert house.labels("y") == {"clear-source": "proposed"}
    house.check()
    assert len(was) == 2


def test_the_history_of_an_image_calls_what_left_by_its_name(house: House) -> None:
    house.says("x", A, "confirmed")
    target = merge_both(house)
    house.publish()
    happened, _ = find_history(house.db, house.project, house.image("x"))
    assert [(each.kind, each.name, each.before, each.after) for each in happened] == [
        ("merge", "Good light", None, "confirmed"),
        ("merge", "Glow", "confirmed", None),
        ("add", "Glow", None, "confirmed"),
    ]
    assert [each.key for each in happened] == [target.key, A, A]
