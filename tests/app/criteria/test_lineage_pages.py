"""Merging, splitting, redefining and retiring by page and by program."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.editing import add_pair, rename
from app.criteria.reading import working_criteria
from app.criteria.saying import say
from app.versions.publishing import publish
from taxonomy.tree import Attribute
from tests.app.criteria.trees import SMALL
from tests.app.versions.lineage import House
from tests.factories import Make
from tests.people import Cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria"
API = "/api/v1/projects/paintings/criteria"
NEW = {
    "relation": "opposed",
    "positive": {"name": "Good light", "definition": "Seen."},
    "negative": {"name": "Bad light", "definition": "Seen too."},
}
FORM = {
    "relation": "flaw",
    "positive_name": "Good light",
    "positive_definition": "Seen.",
    "negative_name": "Bad light",
    "negative_definition": "Seen too.",
}


def test_a_merge_is_chosen_looked_at_and_made(
    browser: TestClient, sign_in: SignIn, db: Session, make: Make, people: Cast
) -> None:
    house = House(db, make, people)
    house.says("x", "glow", "confirmed")
    house.says("x", "clear-edges", "rejected")
    sign_in(browser, people.ada)
    page = browser.get(f"{HERE}?node=glow").text
    assert f'href="{HERE}/nodes/glow/merge"' in page
    assert '<option value="clear-edges">' in browser.get(f"{HERE}/nodes/glow/merge").text
    page = browser.get(f"{HERE}/nodes/glow/merge?with=clear-edges&with=").text
    assert "2 labels on 1 image" in page
    assert "On 1 image they disagree" in page
    wrong = browser.get(f"{HERE}/nodes/glow/merge?with=edges")
    assert (wrong.status_code, "not the key of another pair" in wrong.text) == (422, True)
    seen = ["glow:1", "clear-edges:1"]
    answer = browser.post(f"{HERE}/nodes/glow/merge", data={"seen": seen, "into": "clear-edges"})
    assert answer.headers["location"] == f"{HERE}?node=clear-edges"
    # Old links lead on, and the preview shows and links what is concerned.
    assert browser.get(f"{HERE}?node=glow").headers["location"] == f"{HERE}?node=clear-edges"
    page = browser.get(f"{HERE}/publish").text
    assert "“Glow / Chalky glow” was merged into “Clear edges / Blurred edges”" in page
    images = browser.get(f"{HERE}/nodes/glow/images").text
    assert house.image("x").name in images
    assert "no longer in the working criteria" in images
    undone = browser.post(f"{HERE}/changes/3/undo")
    assert undone.headers["location"] == f"{HERE}?node=glow"


def test_merging_into_a_new_pair_shows_what_was_wrong_and_keeps_what_was_typed(
    browser: TestClient, sign_in: SignIn, db: Session, people: Cast
) -> None:
    sign_in(browser, people.ada)
    data = {"seen": ["glow:1", "clear-edges:1"], "into": ""}
    taken = browser.post(
        f"{HERE}/nodes/glow/merge", data=data | FORM | {"positive_name": "One clear source"}
    )
    assert taken.status_code == 422
    assert "“One clear source” is taken" in taken.text
    assert 'value="Bad light"' in taken.text
    rename(db, people.project, "clear-edges", based_on=1, by=people.lea, positive="Crisp edges")
    db.commit()
    stale = browser.post(f"{HERE}/nodes/glow/merge", data=data | FORM)
    assert stale.status_code == 412
    assert "Lea changed “Crisp edges / Blurred edges”" in stale.text
    assert 'value="clear-edges:2"' in stale.text
    data["seen"] = ["glow:1", "clear-edges:2"]
    answer = browser.post(f"{HERE}/nodes/glow/merge", data=data | FORM)
    assert answer.headers["location"] == f"{HERE}?node=good-light"
    both = {"seen": ["light:1", "edges:1"], "into": "", "name": "Seeing", "exclusive": "true"}
    answer = browser.post(f"{HERE}/nodes/light/merge", data=both)
    assert answer.headers["location"] == f"{HERE}?node=seeing"
    assert working_criteria(db, people.project).dimension("seeing").exclusive


def test_as_many_are_merged_as_one_adds(
    browser: TestClient, sign_in: SignIn, db: Session, people: Cast
) -> None:
    lost = {"positive": Attribute("Lost edges"), "negative": Attribute("Cut edges")}
    add_pair(db, people.project, parent="edges", relation="opposed", by=people.ada, **lost)
    db.commit()
    sign_in(browser, people.ada)
    page = browser.get(f"{HERE}/nodes/glow/merge?with=clear-edges&with=clear-source").text
    assert '<input type="hidden" name="with" value="clear-source">' in page
    assert '<option value="lost-edges">' in page
    # Those that were chosen are not offered again.
    assert '<option value="clear-edges">' not in page
    keys = ["glow", "clear-edges", "clear-source", "lost-edges"]
    query = "&".join(f"with={each}" for each in keys[1:])
    page = browser.get(f"{HERE}/nodes/glow/merge?{query}").text
    assert all(f'name="seen" value="{each}:1"' in page for each in keys)
    body = {"seen": [f"{each}:1" for each in keys], "into": "glow"}
    answer = browser.post(f"{HERE}/nodes/glow/merge", data=body)
    assert answer.headers["location"] == f"{HERE}?node=glow"
    assert working_criteria(db, people.project).resolve("lost-edges") == ("glow",)


def test_a_split_has_as_many_parts_as_the_form_has_rows(
    browser: TestClient, sign_in: SignIn, db: Session, people: Cast
) -> None:
    sign_in(browser, people.ada)
    assert "Sixth new pair" in browser.get(f"{HERE}/nodes/glow/split").text
    parts = {
        field: [f"{text} {number}" if field != "relation" else text for number in range(6)]
        for field, text in FORM.items()
    }
    refused = browser.post(f"{HERE}/nodes/glow/split", data=parts | {"based_on": 7})
    # What was typed is in view again.
    assert refused.text.count('<details class="adding" open>') == 4
    answer = browser.post(f"{HERE}/nodes/glow/split", data=parts | {"based_on": 1})
    assert answer.headers["location"] == f"{HERE}?node=good-light-0"
    assert len(working_criteria(db, people.project).dimension("light").pairs) == 6


def test_splitting_and_redefining_by_page(
    browser: TestClient, htmx: TestClient, sign_in: SignIn, db: Session, people: Cast
) -> None:
    sign_in(browser, people.ada)
    sign_in(htmx, people.ada)
    assert "First new pair" in htmx.get(f"{HERE}/nodes/glow/split").text
    blank = {field: "" for field in FORM if field != "relation"} | {"relation": "opposed"}
    parts = {
        field: [
            FORM[field],
            f"{FORM[field]} too" if field != "relation" else "opposed",
            blank[field],
        ]
        for field in FORM
    }
    one = {field: [texts[0], blank[field], blank[field]] for field, texts in parts.items()}
    refused = htmx.post(f"{HERE}/nodes/glow/split", data={"based_on": 1} | one)
    assert (refused.status_code, "at least two new pairs" in refused.text) == (422, True)
    assert 'value="Good light"' in refused.text
    answer = htmx.post(f"{HERE}/nodes/glow/split", data={"based_on": 1} | parts)
    assert answer.headers["HX-Redirect"] == f"{HERE}?node=good-light"
    assert working_criteria(db, people.project).resolve("glow") == ("good-light", "good-light-too")
    gone = browser.get(f"{HERE}?node=glow")
    assert gone.status_code == 404
    assert "it was split into good-light and good-light-too" in gone.text
    form = browser.get(f"{HERE}/nodes/clear-edges/redefine").text
    assert 'value="Clear edges"' in form
    same = {
        "based_on": 1,
        "relation": "opposed",
        "positive_name": "Clear edges",
        "positive_definition": "Meant otherwise.",
        "negative_name": "Blurred edges",
        "negative_definition": "As before.",
    }
    answer = browser.post(f"{HERE}/nodes/clear-edges/redefine", data=same)
    assert answer.headers["location"] == f"{HERE}?node=clear-edges-2"
    odd = browser.post(
        f"{HERE}/nodes/clear-edges-2/redefine", data=same | {"relation": ["flaw", "flaw"]}
    )
    assert (odd.status_code, "came incomplete" in odd.text) == (422, True)


def test_retiring_and_restoring_by_page(
    browser: TestClient, sign_in: SignIn, db: Session, people: Cast
) -> None:
    sign_in(browser, people.ada)
    assert "no longer asked for" in browser.get(f"{HERE}/nodes/light/retire").text
    answer = browser.post(f"{HERE}/nodes/light/retire", data={"based_on": 1})
    assert answer.headers["location"] == f"{HERE}?node=light"
    stale = browser.post(f"{HERE}/nodes/light/restore", data={"based_on": 1})
    assert (stale.status_code, "Ada changed “Light”" in stale.text) == (412, True)
    assert "Restore…" in browser.get(f"{HERE}?node=light").text
    browser.post(f"{HERE}/nodes/light/restore", data={"based_on": 2})
    assert working_criteria(db, people.project) == SMALL


def test_all_of_it_by_program(
    api: TestClient, token_for: Tokens, db: Session, people: Cast
) -> None:
    headers = token_for(people.ada)
    publish(db, people.project, by=people.ada)
    db.commit()
    body = {
        "keys": ["glow", "clear-source"],
        "into": NEW,
        "based_on": {"glow": 1, "clear-source": 1},
    }
    merged = api.post(f"{API}/merge", json=body, headers=headers)
    assert (merged.status_code, merged.json()["key"]) == (201, "good-light")
    assert api.post(f"{API}/merge", json=body, headers=headers).status_code == 404
    other = NEW | {"positive": {"name": "Other light"}, "negative": {"name": "Odd light"}}
    third = NEW | {"positive": {"name": "Third light"}, "negative": {"name": "Dim light"}}
    split = {"based_on": 1, "into": [other, third]}
    parts = api.post(f"{API}/nodes/good-light/split", json=split, headers=headers).json()["items"]
    assert [each["key"] for each in parts] == ["other-light", "third-light"]
    again = {"based_on": 1, "new": NEW}
    new = api.post(f"{API}/nodes/clear-edges/redefine", json=again, headers=headers).json()
    assert new["key"] == "good-light-2"
    for key, kind, successors in (
        ("glow", "merge", ["other-light", "third-light"]),
        ("good-light", "split", ["other-light", "third-light"]),
        ("clear-edges", "redefine", ["good-light-2"]),
        ("edges", None, []),
    ):
        found = api.get(f"{API}/nodes/{key}", headers=headers).json()
        assert (found["replaced"], found["successors"]) == (kind, successors)
    moved = {"based_on": 1, "parent": "edges", "before": "good-light-2"}
    there = api.post(f"{API}/nodes/other-light/move", json=moved, headers=headers).json()
    assert there["parent"] == "edges"
    retired = api.post(f"{API}/nodes/edges/retire", json={"based_on": 1}, headers=headers).json()
    assert retired["retired"] is True
    assert (
        api.post(f"{API}/nodes/edges/retire", json={"based_on": 1}, headers=headers).status_code
        == 412
    )
    api.post(f"{API}/nodes/edges/restore", json={"based_on": 2}, headers=headers)
    preview = api.get(f"{API}/preview", headers=headers).json()
    assert [(each["kind"], each["old"], each["new"]) for each in preview["succession"]] == [
        ("merge", ["glow", "clear-source"], ["good-light"]),
        ("split", ["good-light"], ["other-light", "third-light"]),
        ("redefine", ["clear-edges"], ["good-light-2"]),
    ]
    assert api.get(f"{API}/nodes/glow/images", headers=headers).json() == {
        "items": [],
        "next": None,
    }
    exported = api.get(f"{API}/export?format=json", headers=headers).json()
    assert exported["successors"]["glow"] == ["good-light"]


@pytest.mark.parametrize("verb", ["merge", "split", "redefine", "retire", "restore"])
def test_annotators_change_nothing(
    browser: TestClient, sign_in: SignIn, people: Cast, verb: str
) -> None:
    sign_in(browser, people.ben)
    assert browser.post(f"{HERE}/nodes/glow/{verb}", data={"based_on": 1}).status_code == 403
    assert f"nodes/glow/{verb}" not in browser.get(f"{HERE}?node=glow").text


def test_a_merge_says_anew_what_stays(
    browser: TestClient,
    htmx: TestClient,
    sign_in: SignIn,
    db: Session,
    people: Cast,
    api: TestClient,
    token_for: Tokens,
) -> None:
    """Names, definitions, prompt wording and languages, begun with what each of those that may stay says; one
    change, undone as a whole.
    """
    said = {
        "positive": {"prompt": "soft glow", "translations": {"de": {"name": "Schimmer"}}},
    }
    say(db, people.project, "glow", based_on=1, by=people.lea, said=said)
    db.commit()
    was = working_criteria(db, people.project)
    sign_in(browser, people.ada)
    address = f"{HERE}/nodes/glow/merge?with=clear-edges"
    page = browser.get(f"{address}&into=glow").text
    for each in ('value="Glow"', 'value="soft glow"', ">de: Schimmer</textarea>"):
        assert each in page
    assert 'value="soft glow"' not in browser.get(f"{address}&into=clear-edges").text
    assert 'value="Glow"' in browser.get(f"{address}&into=").text
    found = sign_in(htmx, people.ada).get(f"{HERE}/nodes/glow/mergeable?with=blurred").text
    assert '<option value="clear-edges">' in found
    assert "clear-source" not in found
    form = {
        "seen": ["glow:2", "clear-edges:1"],
        "into": "glow",
        "positive_name": "Clear edges",
        "positive_definition": "Both at once.",
        "positive_prompt": "crisp glow",
        "positive_alternatives": "Glow",
        "positive_translations": "de: Schimmer | Beides.\nfr: Lueur",
        "negative_name": "Clear edges",
    }
    refused = browser.post(f"{HERE}/nodes/glow/merge", data=form)
    assert (refused.status_code, "need different names" in refused.text) == (422, True)
    assert 'value="crisp glow"' in refused.text
    odd = browser.post(
        f"{HERE}/nodes/glow/merge", data=form | {"positive_translations": "no language"}
    )
    assert (odd.status_code, "is no line such as" in odd.text) == (422, True)
    made = browser.post(f"{HERE}/nodes/glow/merge", data=form | {"negative_name": "Dullness"})
    assert made.headers["location"] == f"{HERE}?node=glow"
    pair = working_criteria(db, people.project).pair("glow")
    side = pair.positive
    assert (side.name, side.definition, side.prompt) == (
        "Clear edges",
        "Both at once.",
        "crisp glow",
    )
    assert side.words.alternatives == ("Glow",)
    assert [tuple(each) for each in side.words.translations] == [
        ("de", "Schimmer", "Beides."),
        ("fr", "Lueur", ""),
    ]
    assert pair.negative.name == "Dullness"
    assert browser.post(f"{HERE}/changes/3/undo").status_code == 303
    assert working_criteria(db, people.project) == was
    body = {"keys": ["glow"], "into": "clear-edges", "based_on": {"glow": 4, "clear-edges": 3}}
    body["positive"] = {"name": "Glow"}
    merged = api.post(f"{API}/merge", json=body, headers=token_for(people.ada))
    assert (merged.status_code, merged.json()["positive"]["name"]) == (201, "Glow")


def test_the_parts_of_a_split_begin_with_what_the_whole_says(
    browser: TestClient, sign_in: SignIn, db: Session, people: Cast
) -> None:
    said = {"positive": {"prompt": "soft glow", "translations": {"de": {"name": "Schimmer"}}}}
    say(db, people.project, "glow", based_on=1, by=people.lea, said=said)
    db.commit()
    whole = working_criteria(db, people.project).pair("glow")
    sign_in(browser, people.ada)
    page = browser.get(f"{HERE}/nodes/glow/split").text
    assert page.count(f">{whole.positive.definition}</textarea>") == 6
    assert "soft glow" not in page
    assert ">de: Schimmer</textarea>" not in page
    kept = {"positive_definition": whole.positive.definition, "negative_definition": ""}
    rows = [
        kept
        | {"positive_name": "Warm glow", "negative_name": "Cold", "positive_prompt": "warm glow"},
        kept | {"positive_name": "Glow", "negative_name": "Dark", "positive_prompt": ""},
        kept | {"positive_name": "", "negative_name": "", "positive_prompt": ""},
    ]
    form = {name: [row[name] for row in rows] for name in rows[0]} | {"relation": ["flaw"] * 3}
    made = browser.post(f"{HERE}/nodes/glow/split", data=form | {"based_on": 2})
    assert made.headers["location"] == f"{HERE}?node=warm-glow"
    now = working_criteria(db, people.project)
    assert now.resolve("glow") == ("warm-glow", "glow-2")
    sides = [now.pair(each).positive for each in ("warm-glow", "glow-2")]
    assert [each.prompt for each in sides] == ["warm glow", "soft glow"]
    assert [len(each.words.translations) for each in sides] == [0, 1]
    assert {each.definition for each in sides} == {whole.positive.definition}


def test_other_names_are_seen_and_changed_before_a_merge_or_a_split(
    browser: TestClient,
    sign_in: SignIn,
    db: Session,
    people: Cast,
    api: TestClient,
    token_for: Tokens,
) -> None:
    sign_in(browser, people.ada)
    page = browser.get(f"{HERE}/nodes/glow/merge?with=clear-edges&with=").text
    assert "Clear edges\nGlow</textarea>" in page
    form = {
        "seen": ["glow:1", "clear-edges:1"],
        "into": "clear-edges",
        "positive_alternatives": "Clear edges\n Gleam \n\n",
        "negative_alternatives": "Chalky glow",
    }
    assert browser.post(f"{HERE}/nodes/glow/merge", data=form).status_code == 303
    mine = token_for(people.ada)
    node = api.get(f"{API}/nodes/clear-edges", headers=mine).json()
    assert node["details"] == {
        "positive": {"alternatives": ["Gleam"]},
        "negative": {"alternatives": ["Chalky glow"]},
    }
    found = api.get(f"{API}/search?q=chalky+glow", headers=mine).json()["items"]
    assert [each["key"] for each in found] == ["clear-edges"]
    page = browser.get(f"{HERE}/nodes/clear-edges/split").text
    assert page.count("Clear edges\nGleam</textarea>") == 6
    two = {name: [value, f"{value} too"] for name, value in FORM.items() if name != "relation"}
    two |= {"relation": ["flaw", "flaw"], "based_on": ["2"]}
    two |= {"positive_alternatives": ["Gleam", ""], "negative_alternatives": ["", "Blur"]}
    made = browser.post(f"{HERE}/nodes/clear-edges/split", data=two)
    assert made.status_code == 303
    said = [
        each["details"]
        for each in api.get(API, headers=mine).json()["nodes"]
        if each["kind"] == "pair" and each["positive"]["name"].startswith("Good light")
    ]
    assert said == [
        {"positive": {"alternatives": ["Gleam"]}},
        {"negative": {"alternatives": ["Blur"]}},
    ]
