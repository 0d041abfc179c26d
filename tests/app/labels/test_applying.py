"""What applies to an image and how it reads there: on the labelling page, in proposals, in its counts."""

import random
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.models import Criteria, Node
from app.errors import Conflict, Invalid, NotAllowed, Stale
from app.images.applicability import applies, find_not_applicable
from app.images.finding import count_images, count_labels, find_images
from app.images.models import Image
from app.images.removing import erase_image
from app.images.traits import set_trait_keys, trait_keys
from app.labels.access import get_in_force
from app.labels.applying import apply
from app.labels.finishing import count_undecided
from app.labels.history import find_history
from app.labels.reading import find_labels
from app.labels.saving import set_done
from app.labels.stating import record_seen, state_trait
from app.overview.counting import count
from tests.app.labels.conftest import Bench

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
STYLES = {"ink": {"name": "Chinese ink", "alternatives": ["Shuimo"]}, "glow": {"name": "Luminism"}}


@pytest.fixture
def asked(bench: Bench) -> Bench:
    """The bench, whose composition needs figures, and where murky blacks are neutral in ink."""
    criteria = bench.db.get_one(Criteria, bench.project.id)
    criteria.details = {"content": {"figures": {"name": "Figures"}}, "styles": STYLES}
    bench.nodes["circle"].details = {"needs": ["figures"]}
    styles = {"ink": "neutral", "glow": "positive"}
    bench.nodes["dark"].details = {"negative": {"styles": styles}}
    bench.db.commit()
    bench.version = bench.make.version(bench.project)
    return bench


def say(bench: Bench, kind: str, value: str, present: bool | None, **more: object) -> None:
    values = {"seen": None, "by": bench.people.ben} | more
    state_trait(
        bench.db,
        bench.project,
        bench.image.id,
        kind=kind,  # type: ignore[arg-type]
        value=value,
        present=present,
        **values,  # type: ignore[arg-type]
    )
    bench.db.commit()


def test_a_negative_of_the_style_is_neutral_or_a_merit_and_never_in_a_neg(asked: Bench) -> None:
    asked.save("dark", "confirmed", "negative")
    seen = {}
    for style in ("Baroque", "shuimo", "Luminism; Chinese ink"):
        asked.image.details = {"style": style}
        asked.db.commit()
        labels = find_labels(asked.db, asked.project, asked.image)
        named = [[row.name for row in labels.named(side)] for side in ("positive", "negative")]
        seen[style] = (labels.rows[0].reads, *named)
    assert seen == {
        "Baroque": ("negative", [], ["Murky blacks"]),
        "shuimo": ("neutral", [], []),
        "Luminism; Chinese ink": ("positive", ["Murky blacks"], []),
    }


def test_what_does_not_apply_is_neither_proposed_nor_asked_nor_counted(asked: Bench) -> None:
    asked.propose(("circle", "negative"))
    assert count_undecided(asked.db, asked.image) == 1
    say(asked, "content", "figures", present=False)
    labels = find_labels(asked.db, asked.project, asked.image)
    assert (labels.rows, labels.contradictions) == ((), ())
    assert [(row.name, row.lacking) for row in labels.not_applicable] == [
        ("Closed circle", ("Figures",))
    ]
    assert count_undecided(asked.db, asked.image) == 0
    assert asked.propose(("circle", "positive"), ("bright", "positive")) == 1
    assert ("circle", "positive") not in asked.states()
    done = set_done(
        asked.db,
        asked.project,
        asked.image.id,
        done=True,
        by=asked.people.ben,
        allow_undecided=True,
    )
    assert done.done_at is not None


def test_people_count_before_metadata_and_metadata_before_agents(asked: Bench) -> None:
    criteria = get_in_force(asked.db, asked.project).criteria
    found = [(asked.image.id, "style", "ink"), (asked.image.id, "style", "cubism")]
    record_seen(asked.db, asked.run.id, criteria, asked.version.id, found)  # type: ignore[arg-type]
    record_seen(asked.db, asked.run.id, criteria, asked.version.id, found[:1])  # type: ignore[arg-type]

    def known() -> list[tuple[str, bool, str, str | None]]:
        asked.db.commit()
        labels = find_labels(asked.db, asked.project, asked.image)
        return [(each.value, each.present, each.source, each.by) for each in labels.known]

    assert known() == [("ink", True, "agent", None)]
    asked.image.details = {"style": "ink", "school": "Luminism"}
    assert known() == [("ink", True, "metadata", None)]
    say(asked, "style", "ink", present=False)
    assert known() == [("ink", False, "person", "Ben")]
    say(asked, "style", "ink", present=None, seen=False)
    set_trait_keys(asked.project, {"style": [" School ", "school", ""]})
    assert trait_keys(asked.project) == {"style": ("school",), "content": ()}
    assert known() == [("glow", True, "metadata", None), ("ink", True, "agent", None)]


def test_nobody_s_word_is_overwritten_unseen(asked: Bench) -> None:
    say(asked, "content", "figures", present=True)
    say(asked, "content", "figures", present=True, by=asked.people.ada)  # the same again
    with pytest.raises(Stale, match="it is there"):
        say(asked, "content", "figures", present=False, by=asked.people.ada)
    say(asked, "content", "figures", present=False, seen=True, by=asked.people.ada)
    with pytest.raises(Invalid, match="list no style"):
        say(asked, "style", "figures", present=True)


def test_an_erased_image_keeps_no_trait(asked: Bench, db: Session) -> None:
    say(asked, "content", "figures", present=True)
    erase_image(db, asked.project, asked.image.id, reason="asked for", by=None)
    assert db.scalar(text("SELECT count(*) FROM image_trait")) == 0


def test_the_page_tells_asks_and_folds(asked: Bench, browser: TestClient, sign_in: SignIn) -> None:
    asked.propose(("circle", "negative"), ("dark", "negative"))
    here = f"/projects/paintings/images/{asked.image.id}"
    page = sign_in(browser, asked.people.ben).get(here).text
    assert "Style and content not known" in page
    form = {"kind": "content", "value": "figures", "present": "no", "seen": ""}
    assert browser.post(f"{here}/traits", data=form).status_code == 303
    page = browser.get(here).text
    assert "1 label does not apply here" in page
    assert 'data-key="circle"' not in page
    form = {"kind": "style", "value": "ink", "present": "yes", "seen": ""}
    assert browser.post(f"{here}/traits", data=form).status_code == 303
    assert "neutral here" in browser.get(here).text
    assert browser.post(f"{here}/traits", data=form | {"present": "no"}).status_code == 412
    assert browser.post(f"{here}/traits", data=form | {"present": "perhaps"}).status_code == 422


def test_programs_read_and_state_traits(asked: Bench, api: TestClient, token_for: Tokens) -> None:
    mine = token_for(asked.people.ben)
    here = f"/api/v1/projects/paintings/images/{asked.image.id}"
    assert api.get(f"{here}/traits", headers=mine).json() == {"items": []}
    body = {"present": False, "seen": None}
    said = api.put(f"{here}/traits/content/figures", json=body, headers=mine)
    assert said.json()["items"] == [
        {"kind": "content", "value": "figures", "present": False, "source": "person", "by": "Ben"}
    ]
    body = {"present": True, "seen": None}
    refused = api.put(f"{here}/traits/content/figures", json=body, headers=mine)
    assert (refused.status_code, refused.json()["theirs"]) == (412, {"present": False})
    assert api.put(f"{here}/traits/content/feet", json=body, headers=mine).status_code == 422
    asked.save("dark", "confirmed", "negative")
    labels = api.get(f"{here}/labels", headers=mine).json()
    assert labels["A_neg"] == ["Murky blacks"]
    assert labels["not_applicable"] == []


def test_what_does_not_apply_is_in_no_count_of_the_wall_and_the_project(asked: Bench) -> None:
    asked.propose(("circle", "negative"))
    other = asked.make.image(asked.project)
    asked.propose(("circle", "positive"), ("bright", "positive"), image=other)
    say(asked, "content", "figures", present=False)

    def proposed() -> tuple[list[int], dict[int, int], int, int]:
        wall = find_images(asked.db, asked.project, show="proposed").images
        counts = count_labels(asked.db, [asked.image, other])
        return (
            [each.id for each in wall],
            {image_id: each.proposed for image_id, each in counts.items()},
            count_images(asked.db, asked.project, show="proposed").number,
            count(asked.db, asked.project).labels_proposed,
        )

    here = asked.image.id
    assert proposed() == ([other.id], {here: 0, other.id: 2}, 1, 2)
    kept = count_labels(asked.db, [asked.image], all_kept=True)
    assert kept[here].proposed == 1
    say(asked, "content", "figures", present=None, seen=False)
    assert proposed() == ([here, other.id], {here: 1, other.id: 2}, 2, 3)
    # Another version may ask more, or less.
    say(asked, "content", "figures", present=False)
    asked.nodes["circle"].details = {}
    asked.db.commit()
    asked.make.version(asked.project)
    assert proposed() == ([here, other.id], {here: 1, other.id: 2}, 2, 3)


def test_statements_say_what_the_tree_says(asked: Bench) -> None:
    """Over random needs at all levels and random words of people, metadata and agents."""
    chance = random.Random(7)
    contents = [f"content-{number}" for number in range(5)]
    criteria = asked.db.get_one(Criteria, asked.project.id)
    criteria.details = {"content": {each: {"name": each} for each in contents}, "styles": STYLES}
    for node in asked.db.scalars(select(Node).where(Node.project_id == asked.project.id)):
        node.details = {"needs": chance.sample(contents, chance.randrange(3))}
    asked.db.commit()
    asked.make.version(asked.project)
    tree = get_in_force(asked.db, asked.project).criteria
    for _ in range(30):
        asked.image = asked.make.image(
            asked.project, details={"content": chance.choice(["", *contents])}
        )
        for content in chance.sample(contents, 3):
            say(asked, "content", content, present=chance.random() < 0.5)
        seen = [(asked.image.id, "content", chance.choice(contents))]
        record_seen(asked.db, asked.run.id, tree, asked.version.id, seen)  # type: ignore[arg-type]
        asked.db.commit()
        here = apply(asked.db, asked.project, tree, asked.image)
        rows = asked.db.execute(
            select(Node.id, Node.key, applies(Image.id, Node.id))
            .join(Image, Image.project_id == Node.project_id)
            .where(Image.id == asked.image.id, Node.kind == "pair")
        ).all()
        assert {key: is_asked for _, key, is_asked in rows} == {
            key: here.applies(key) for _, key, _ in rows
        }
        not_here = find_not_applicable(asked.db, [asked.image.id]).get(asked.image.id, set())
        assert not_here == {node_id for node_id, _, is_asked in rows if not is_asked}


def test_agents_cannot_say_that_something_is_not_there(asked: Bench) -> None:
    with pytest.raises(IntegrityError, match="absence"):
        asked.db.execute(
            text(
                "INSERT INTO image_trait (image_id, kind, value, source, present, agent_run_id)"
                " SELECT :image, 'content', 'figures', 'agent', false, :run"
            ),
            {"image": asked.image.id, "run": asked.run.id},
        )


def told(bench: Bench, **more: Any) -> list[tuple[str, str, str | None, str | None, str | None]]:
    """The history of the image, newest first: kind, what, before, after, who."""
    happened, _ = find_history(bench.db, bench.project, bench.image, **more)
    return [
        (each.kind, f"{each.trait} {each.name}", each.before, each.after, each.who)
        for each in happened
    ]


def test_what_is_said_has_a_history_and_is_undone_as_labels_are(asked: Bench) -> None:
    """Who said what, when, from which source, and what it was before."""
    ben, ada = asked.people.ben, asked.people.ada
    figures = "('content', 'figures') Figures"
    say(asked, "content", "figures", present=True)
    say(asked, "content", "figures", present=False, seen=True, by=ada)
    criteria = get_in_force(asked.db, asked.project).criteria
    for _ in range(2):
        found = [(asked.image.id, "content", "figures"), (asked.image.id, "style", "ink")]
        record_seen(asked.db, asked.run.id, criteria, asked.version.id, found)  # type: ignore[arg-type]
    asked.db.commit()
    seen = [
        ("state", "('style', 'ink') Chinese ink", None, "present", None),
        ("state", figures, None, "present", None),
        ("state", figures, "present", "absent", "Ada"),
        ("state", figures, None, "present", "Ben"),
    ]
    assert told(asked) == told(asked, suggestions=False, viewer_id=ben.id) == seen
    assert [each.image_revision for each in asked.events()] == [1, 2, 3, 3]
    with pytest.raises(Conflict, match="changed again since"):
        asked.undo(event_id=asked.events()[0].id)
    asked.db.rollback()
    with pytest.raises(NotAllowed):
        asked.undo(event_id=asked.events()[2].id)
    asked.db.rollback()
    undone = asked.undo(by=ada, event_id=asked.events()[1].id)
    assert (undone.trait, undone.before, undone.state) == (
        ("content", "figures"),
        "absent",
        "present",
    )
    assert told(asked)[0] == ("undo", figures, "absent", "present", "Ada")
    known = {each.value: each for each in find_labels(asked.db, asked.project, asked.image).known}
    # It is Ben's word again, and he can take it back.
    assert (known["figures"].present, known["figures"].by) == (True, "Ben")
    asked.undo()
    known = {each.value: each for each in find_labels(asked.db, asked.project, asked.image).known}
    assert (known["figures"].present, known["figures"].source) == (True, "agent")
    with pytest.raises(Conflict, match="nothing here of late"):
        asked.undo()


def test_the_same_operation_says_it_once(asked: Bench) -> None:
    operation = uuid4()
    for _ in range(2):
        say(asked, "content", "figures", present=True, operation_id=operation)
    assert len(asked.events()) == 1
    with pytest.raises(Conflict, match="another action"):
        say(asked, "style", "ink", present=True, operation_id=operation)


def test_u_takes_back_what_was_said_in_this_sitting(
    asked: Bench, api: TestClient, token_for: Tokens
) -> None:
    api.headers.update(token_for(asked.people.ben))
    root, sitting = "/api/v1/projects/paintings", str(uuid4())
    here = f"{root}/images/{asked.image.id}"
    for value, present in (("ink", True), ("ink", False), ("glow", True)):
        body = {"present": present, "seen": None if present else True, "sitting": sitting}
        body["operation_id"] = str(uuid4())
        assert api.put(f"{here}/traits/style/{value}", json=body).status_code == 200
    taken = []
    for _ in range(3):
        body = {"operation_id": str(uuid4()), "sitting": sitting}
        taken.append(api.post(f"{root}/labels/undo", json=body).json())
    assert [(each["trait"]["value"], each["before"], each["state"]) for each in taken] == [
        ("glow", "present", None),
        ("ink", "absent", "present"),
        ("ink", "present", None),
    ]
    assert api.get(f"{here}/traits").json() == {"items": []}
    items = api.get(f"{here}/history").json()["items"]
    assert [each["kind"] for each in items] == ["undo"] * 3 + ["state"] * 3
    assert items[-1]["trait"] == {"kind": "style", "value": "ink"}


def test_the_page_of_the_history_tells_and_undoes(
    asked: Bench, browser: TestClient, sign_in: SignIn
) -> None:
    here = f"/projects/paintings/images/{asked.image.id}"
    sign_in(browser, asked.people.ben)
    form = {"kind": "content", "value": "figures", "present": "no", "seen": "", "sitting": ""}
    assert browser.post(f"{here}/traits", data=form).status_code == 303
    page = " ".join(browser.get(f"{here}/history").text.split())
    assert "said of content Figures" in page
    assert "nothing said → is not there" in page
    undo = {"operation_id": str(uuid4()), "event_id": str(asked.events()[0].id)}
    assert (
        browser.post(f"{here}/labels/undo", data=undo).headers["location"].endswith("traits=open")
    )
    assert "Style and content not known" in browser.get(here).text
