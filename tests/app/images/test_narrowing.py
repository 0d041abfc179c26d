"""Images narrowed down by their labels are those that a look at every label finds, a page at a time, both ways."""

import random
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.criteria.models import Node
from app.datasets.models import Dataset, DatasetImage
from app.errors import Invalid, NotFound
from app.images import walking
from app.images.asked import read_asked
from app.images.finding import Total, count_images, find_images, neighbours
from app.images.frozen import Frozen
from app.images.models import Image
from app.images.narrowing import LabelWish, Narrowing, Saying, read_narrowing
from app.images.removing import set_aside
from app.images.wall import find_choices
from app.labels.models import Label
from app.labels.reading import find_contradictions_of
from app.labels.stating import state_trait
from tests.factories import Make
from tests.people import cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]


class Collection:
    """Forty images far apart in their ids, with labels of three pairs in two branches."""

    def __init__(self, db: Session, make: Make) -> None:
        self.db, self.people = db, cast(make)
        self.project = self.people.project
        light = make.dimension(self.project, "Light", key="light")
        tone = make.dimension(self.project, "Tone", light, key="tone")
        form = make.dimension(self.project, "Form", key="form")
        self.branches = {"light": {"bright", "dark"}, "tone": {"bright", "dark"}, "form": {"edge"}}
        self.nodes = {
            "bright": make.pair(self.project, tone, key="bright", positive_name="High key"),
            "dark": make.pair(self.project, tone, key="dark"),
            "edge": make.pair(self.project, form, key="edge"),
        }
        version = make.version(self.project)
        self.runs = [make.agent_run(self.project, version, labels=1).id for _ in range(2)]
        self.silent_run = make.agent_run(self.project, version).id
        chance = random.Random(5)
        self.images: list[int] = []
        for number in range(40):
            if number % 10 == 0:  # years of other projects' imports
                db.execute(
                    text(
                        "SELECT setval(pg_get_serial_sequence('image', 'id'), max(id) + 7000) FROM image"
                    )
                )
            image = make.image(self.project, prompt=f"A harbor {number}")
            self.images.append(image.id)
            for key in self.nodes:
                for polarity in ("positive", "negative"):
                    if chance.random() < 0.4:
                        db.add(self._label(image.id, key, polarity, version.id, chance))
        db.commit()

    def _label(
        self, image_id: int, key: str, polarity: str, version_id: int, chance: random.Random
    ) -> Label:
        state = chance.choice(("proposed", "confirmed", "rejected"))
        is_agents = state != "confirmed" or chance.random() < 0.5
        return Label(
            project_id=self.project.id,
            image_id=image_id,
            node_id=self.nodes[key].id,
            polarity=polarity,
            state=state,
            source="agent" if is_agents else "person",
            agent_run_id=chance.choice(self.runs) if is_agents else None,
            version_id=version_id,
            confidence=chance.random() if is_agents else None,
            revision=1,
            decided_by=None
            if state == "proposed"
            else chance.choice((self.people.ben.id, self.people.ada.id)),
        )

    def looked_through(self, narrowing: Narrowing) -> list[int]:
        """The images that a look at every label finds."""
        keys = {node.id: key for key, node in self.nodes.items()}
        labels: dict[int, list[Label]] = {}
        for label in self.db.scalars(select(Label)):
            labels.setdefault(label.image_id, []).append(label)

        def meets(label: Label, wish: LabelWish) -> bool:
            key = keys[label.node_id]
            return (
                (not wish.key or key in self.branches.get(wish.key, {wish.key}))
                and wish.polarity in ("", label.polarity)
                and wish.state in ("", label.state)
                and wish.source in ("", label.source)
                and wish.by in (None, label.decided_by)
                and wish.run in (None, label.agent_run_id)
                and (wish.least is None or (label.confidence or -1) >= wish.least)
                and (wish.most is None or (label.confidence is not None and label.confidence <= wish.most))
            )  # fmt: skip

        return [
            image_id
            for image_id in self.images
            if all(
                any(meets(label, wish) for label in labels.get(image_id, ()))
                for wish in narrowing.labels
            )
        ]

    def walked(self, narrowing: Narrowing, **more: Any) -> list[int]:
        """The same, a page of seven at a time."""
        found: list[int] = []
        after: int | None = None
        while True:
            page = find_images(
                self.db, self.project, after=after, limit=7, narrowing=narrowing, **more
            )
            found += [each.id for each in page.images]
            after = page.after
            if after is None:
                return found

    def walked_back(self, narrowing: Narrowing) -> list[int]:
        found: list[int] = []
        before: int | None = max(self.images) + 1
        while before is not None:
            page = find_images(self.db, self.project, before=before, limit=7, narrowing=narrowing)
            found = [each.id for each in page.images] + found
            before = page.before
        return found


@pytest.fixture
def collection(db: Session, make: Make) -> Collection:
    return Collection(db, make)


def wishes(collection: Collection) -> list[Narrowing]:
    chance = random.Random(9)

    def wish() -> LabelWish:
        return LabelWish(
            key=chance.choice(("", "bright", "dark", "edge", "light", "form")),
            polarity=chance.choice(("", "", "positive", "negative")),
            state=chance.choice(("", "", "proposed", "confirmed", "rejected")),
            source=chance.choice(("", "", "", "agent", "person")),
            by=chance.choice((None, None, None, collection.people.ben.id)),
            run=chance.choice((None, None, None, collection.runs[0])),
            least=chance.choice((None, None, None, 0.4)),
            most=chance.choice((None, None, None, 0.7)),
        )

    return [Narrowing(tuple(wish() for _ in range(chance.choice((1, 1, 2, 3))))) for _ in range(60)]


def test_narrowed_walls_hold_what_a_look_at_every_label_finds(collection: Collection) -> None:
    sizes = set()
    for narrowing in wishes(collection):
        expected = collection.looked_through(narrowing)
        assert collection.walked(narrowing) == expected, narrowing
        assert collection.walked_back(narrowing) == expected, narrowing
        total = count_images(collection.db, collection.project, narrowing=narrowing)
        assert total == Total(len(expected)), narrowing
        given = {name: [value] for name, value in _parts(narrowing)}
        if len(narrowing.labels) == 1 and narrowing.labels != (LabelWish(),):
            assert read_narrowing(given, suggestions=True) == narrowing
        sizes.add(len(expected))
    assert {0, 1, 2, 3} < sizes


def test_counting_ends_when_somebody_has_waited_long_enough(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a project with more ids than are counted at once: slice by slice it comes to the same, and stops in between."""
    db, project = collection.db, collection.project
    monkeypatch.setattr(walking, "WHOLE", 0)
    monkeypatch.setattr(walking, "COUNTED_FOR", 60.0)
    for narrowing in wishes(collection)[:20]:
        expected = len(collection.looked_through(narrowing))
        assert count_images(db, project, narrowing=narrowing) == Total(expected), narrowing
    narrowing = Narrowing((LabelWish("light"),))
    expected = len(collection.looked_through(narrowing))
    monkeypatch.setattr(walking, "COUNTED_FOR", 0.0)
    total = count_images(db, project, narrowing=narrowing)
    assert total.is_more
    assert 0 < total.number < expected
    # Nothing is looked for behind the last image that may be found.
    nothing = Narrowing((LabelWish("light", run=collection.silent_run),))
    assert count_images(db, project, narrowing=nothing) == Total(0)


def _parts(narrowing: Narrowing) -> Sequence[tuple[str, str]]:
    return [tuple(each.split("=")) for each in narrowing.query.split("&")]  # type: ignore[misc]


def test_narrowing_goes_with_words_days_and_what_is_set_aside(collection: Collection) -> None:
    narrowing = Narrowing((LabelWish("light"),))
    expected = collection.looked_through(narrowing)
    set_aside(
        collection.db, collection.project, expected[0], reason="a scan", by=collection.people.ben
    )
    assert collection.walked(narrowing) == expected[1:]
    assert sorted(collection.walked(narrowing, text="harbor")) == expected[1:]
    assert collection.walked(narrowing, show="aside") == expected[:1]
    assert collection.walked(Narrowing(narrowing.labels, until=date(2001, 1, 1))) == []
    assert collection.walked(Narrowing(since=date(2001, 1, 1))) != []
    assert neighbours(collection.db, collection.project, expected[2], narrowing=narrowing) == (
        expected[1],
        expected[3],
    )


def test_words_of_very_many_images_are_found_in_the_order_of_import(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.images.finding.MOST_RANKED", 20)
    assert collection.walked(Narrowing(), text="harbor") == collection.images
    narrowing = Narrowing((LabelWish("edge"),))
    assert collection.walked(narrowing, text="harbor") == collection.looked_through(narrowing)


def test_what_does_not_apply_is_not_found(collection: Collection, make: Make) -> None:
    from app.criteria.models import Criteria

    criteria = collection.db.get_one(Criteria, collection.project.id)
    criteria.details = {"content": {"figures": {"name": "Figures"}}}
    collection.db.get_one(Node, collection.nodes["edge"].id).details = {"needs": ["figures"]}
    collection.db.commit()
    make.version(collection.project)
    narrowing = Narrowing((LabelWish("edge"),))
    first = collection.looked_through(narrowing)[0]
    state_trait(
        collection.db, collection.project, first, kind="content", value="figures", present=False,
        seen=None, by=collection.people.ben,
    )  # fmt: skip
    collection.db.commit()
    assert first not in collection.walked(narrowing)


def test_nonsense_is_refused_by_field(collection: Collection) -> None:
    for given, field in (
        ({"state": ["done"]}, "state"),
        ({"by": ["Ben"]}, "by"),
        ({"least": ["2"]}, "least"),
        ({"since": ["yesterday"]}, "since"),
        ({"until": ["9999-12-31"]}, "until"),
        ({"run": ["9" * 5_000]}, "run"),
        ({"dataset": ["9" * 5_000]}, "dataset"),
        ({"dataset": ["²"]}, "dataset"),
    ):
        with pytest.raises(Invalid) as refused:
            read_narrowing(given, suggestions=True)
        assert refused.value.field == field
    for wish in (LabelWish("no-such-key"), LabelWish(run=10**18), LabelWish("bright", run=10**18)):
        with pytest.raises(NotFound):
            collection.walked(Narrowing((wish,)))


def test_the_wall_shows_them_with_kept_counts(
    browser: TestClient, sign_in: SignIn, collection: Collection
) -> None:
    client = sign_in(browser, collection.people.ben)
    wall = f"/projects/{collection.project.slug}/images"
    query = "key=bright&polarity=positive&state=confirmed&key=light"
    expected = collection.looked_through(
        Narrowing((LabelWish("bright", "positive", "confirmed"), LabelWish("light")))
    )
    page = client.get(f"{wall}?{query}").text
    assert [each for each in collection.images if f'id="image-{each}"' in page] == expected
    number = collection.db.scalars(
        select(Label.id).where(
            Label.node_id == collection.nodes["bright"].id,
            Label.polarity == "positive",
            Label.state == "confirmed",
        )
    ).all()
    assert f'aria-current="true">{len(number)} confirmed</a>' in page
    assert f"{len(expected)} image" in client.get(f"{wall}/count?{query}").text
    client.cookies.set("morelli_suggestions", "hide")
    refused = client.get(f"{wall}?key=bright&state=proposed")
    assert refused.status_code == 422
    hidden = client.get(f"{wall}?key=bright&polarity=positive").text
    assert "proposed" not in hidden


def test_the_api_narrows_as_the_wall_does(
    api: TestClient, token_for: Tokens, collection: Collection
) -> None:
    run = collection.db.get_one(AgentRun, collection.runs[0])
    found = api.get(
        f"/api/v1/projects/{collection.project.slug}/images?key=light&run={run.id}&limit=200",
        headers=token_for(collection.people.ben),
    )
    expected = collection.looked_through(Narrowing((LabelWish("light", run=run.id),)))
    assert [each["id"] for each in found.json()["items"]] == expected
    assert collection.db.scalar(select(Image.id)) is not None


def test_next_and_previous_stay_within_what_one_came_from(
    browser: TestClient, sign_in: SignIn, collection: Collection
) -> None:
    client = sign_in(browser, collection.people.ben)
    narrowing = Narrowing((LabelWish("edge", "negative"),))
    expected = collection.looked_through(narrowing)
    root = f"/projects/{collection.project.slug}/images"
    page = client.get(f"{root}/{expected[1]}?show=all&words=&{narrowing.query}").text
    for beside in (expected[0], expected[2]):
        assert f"{root}/{beside}?show=all&amp;words=&amp;key=edge&amp;polarity=negative" in page
    assert f'data-undone="{root}/{expected[2]}?' in page


def test_images_are_found_by_what_their_metadata_says(collection: Collection) -> None:
    db, project = collection.db, collection.project
    for number, image_id in enumerate(collection.images):
        image = db.get_one(Image, image_id)
        image.details = {
            "painter": ("Rembrandt", "VERMEER")[number % 2],
            "year": 1600 + number // 4,
        }
    db.commit()
    asked = {"field": ["painter", "year"], "value": ["vermeer", "1601"]}
    narrowing = read_narrowing(asked, suggestions=False)
    found = [each.id for each in find_images(db, project, narrowing=narrowing).images]
    assert found == [collection.images[5], collection.images[7]]
    assert count_images(db, project, narrowing=narrowing) == Total(2)
    assert neighbours(db, project, found[1], narrowing=narrowing) == (found[0], None)
    both = read_narrowing(asked | {"key": ["bright"], "state": ["confirmed"]}, suggestions=False)
    labelled = collection.looked_through(Narrowing((LabelWish(key="bright", state="confirmed"),)))
    assert [each.id for each in find_images(db, project, text="harbor", narrowing=both).images] == [
        each for each in found if each in labelled
    ]
    choices = find_choices(db, project, narrowing, suggestions=False)
    assert (choices.fields, choices.values) == (("painter", "year"), ("Rembrandt", "VERMEER"))


def test_half_of_what_metadata_says_is_asked_for_as_far_as_it_goes(collection: Collection) -> None:
    db = collection.db
    for image_id, details in zip(
        collection.images, ({"painter": "Ada"}, {"owner": "Ada"}, {"painter": "Ben"}), strict=False
    ):
        db.get_one(Image, image_id).details = details
    db.commit()
    for asked, found in (
        ({"field": ["painter"]}, [0, 2]),
        ({"field": [""], "value": ["ada"]}, [0, 1]),
        ({"field": ["", ""], "value": ["", ""]}, list(range(40))),
    ):
        narrowing = read_narrowing(asked, suggestions=True)
        assert collection.walked(narrowing) == [collection.images[at] for at in found]
    with pytest.raises(Invalid):
        read_narrowing({"field": list("abcd")}, suggestions=True)


def test_contradictory_images_are_found_as_the_labelling_page_marks_them(
    browser: TestClient, api: TestClient, sign_in: SignIn, token_for: Tokens, collection: Collection
) -> None:
    db, project = collection.db, collection.project
    some = [
        image_id
        for image_id in collection.images
        if find_contradictions_of(db, project, db.get_one(Image, image_id))
    ]
    others = [each for each in collection.images if each not in some]
    assert 5 < len(some) < 35
    assert collection.walked(Narrowing(contradictory=True)) == some
    assert collection.walked_back(Narrowing(contradictory=False)) == others
    assert collection.walked(Narrowing(), show="contradictory") == some
    assert count_images(db, project, show="contradictory") == Total(len(some))
    narrowing = read_narrowing({"contradictory": ["no"], "key": ["edge"]}, suggestions=True)
    labelled = collection.looked_through(Narrowing((LabelWish("edge"),)))
    expected = [each for each in others if each in labelled]
    assert collection.walked(narrowing) == expected
    # An address, a kept filter and a bulk action hold it.
    assert read_asked(narrowing.query).narrowing == narrowing
    ben = collection.people.ben
    found = api.get(
        f"/api/v1/projects/{project.slug}/images?contradictory=no&key=edge&limit=200",
        headers=token_for(ben),
    )
    assert [each["id"] for each in found.json()["items"]] == expected
    client = sign_in(browser, ben)
    page = client.get(f"/projects/{project.slug}/images?contradictory=yes").text
    assert f"With contradictions ({len(some)})" in page
    assert [each for each in collection.images if f'id="image-{each}"' in page] == some
    wrong = client.get(f"/projects/{project.slug}/images?contradictory=maybe")
    assert wrong.status_code == 422
    client.cookies.set("morelli_suggestions", "hide")
    for query in ("contradictory=yes", "show=contradictory"):
        assert client.get(f"/projects/{project.slug}/images?{query}").status_code == 422
    assert "ontradict" not in client.get(f"/projects/{project.slug}/images?more=true").text


def test_what_several_parts_find_is_what_each_of_them_finds(
    collection: Collection, make: Make
) -> None:
    db, project = collection.db, collection.project
    chance = random.Random(3)
    version = db.scalars(select(Label.version_id).limit(1)).one()
    dataset = Dataset(
        project_id=project.id, number=1, name="First", version_id=version, images_are="kept",
        folder="x", manifest_sha256="0" * 64, counts={"images": 30, "train": 20, "test": 10},
    )  # fmt: skip
    db.add(dataset)
    db.flush()
    for image_id in collection.images[::2]:
        split = chance.choice(("train", "test"))
        db.add(DatasetImage(dataset_id=dataset.id, image_id=image_id, split=split))
    for image_id in collection.images[::3]:
        db.get_one(Image, image_id).done_at = func.now()
    for image_id in collection.images[::5]:
        db.get_one(Image, image_id).details = {"painter": "Ada"}
    db.commit()
    labels = [(), (LabelWish("light"),), (LabelWish("edge"), LabelWish("form"))]
    sayings = [(), (), (Saying("painter", "ada"),)]
    held = [None, None, Frozen(1), Frozen(1, "train"), Frozen("any", "test"), Frozen("none")]
    sizes = set()
    for _ in range(30):
        parts: list[Narrowing] = [
            Narrowing(chance.choice(labels)),
            Narrowing(sayings=chance.choice(sayings)),
            Narrowing(contradictory=chance.choice((None, True, False))),
            Narrowing(frozen=chance.choice(held)),
        ]
        show = chance.choice(("all", "done", "undone"))
        expected = set(collection.walked(Narrowing(), show=show))
        for part in parts:
            expected &= set(collection.walked(part))
        whole = Narrowing(
            parts[0].labels, sayings=parts[1].sayings,
            contradictory=parts[2].contradictory, frozen=parts[3].frozen,
        )  # fmt: skip
        assert collection.walked(whole, show=show) == sorted(expected), (whole, show)
        total = count_images(db, project, show=show, narrowing=whole)
        assert total == Total(len(expected))
        sizes.add(len(expected))
    assert len(sizes) > 5
