"""What applies to an image and how it reads there: on the labelling page, in proposals, in its counts."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.models import Criteria
from app.errors import Invalid, Stale
from app.images.removing import erase_image
from app.images.traits import record_traits, set_trait_keys, state_trait, trait_keys
from app.labels.access import get_in_force
from app.labels.finishing import count_undecided
from app.labels.reading import find_labels
from app.labels.saving import set_done
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
        get_in_force(bench.db, bench.project).criteria,
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
    assert count_undecided(asked.db, asked.project, asked.image) == 1
    say(asked, "content", "figures", present=False)
    labels = find_labels(asked.db, asked.project, asked.image)
    assert (labels.rows, labels.contradictions) == ((), ())
    assert [(row.name, row.lacking) for row in labels.not_applicable] == [
        ("Closed circle", ("Figures",))
    ]
    assert count_undecided(asked.db, asked.project, asked.image) == 0
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
    found = [(asked.image.id, "style", "ink", False), (asked.image.id, "style", "cubism", True)]
    record_traits(asked.db, asked.run.id, criteria, found)  # type: ignore[arg-type]
    record_traits(asked.db, asked.run.id, criteria, found[:1])  # type: ignore[arg-type]

    def known() -> list[tuple[str, bool, str, str | None]]:
        asked.db.commit()
        labels = find_labels(asked.db, asked.project, asked.image)
        return [(each.value, each.present, each.source, each.by) for each in labels.known]

    assert known() == [("ink", False, "agent", None)]
    asked.image.details = {"style": "ink", "school": "Luminism"}
    assert known() == [("ink", True, "metadata", None)]
    say(asked, "style", "ink", present=False)
    assert known() == [("ink", False, "person", "Ben")]
    say(asked, "style", "ink", present=None, seen=False)
    set_trait_keys(asked.project, {"style": [" School ", "school", ""]})
    assert trait_keys(asked.project) == {"style": ("school",), "content": ()}
    assert known() == [("glow", True, "metadata", None), ("ink", False, "agent", None)]


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
