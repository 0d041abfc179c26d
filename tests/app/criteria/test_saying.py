"""What nodes say beside names and definitions: said, recorded, refused, taken back."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.history import find_changes
from app.criteria.reading import get_criteria, get_node, working_criteria
from app.criteria.saying import list_traits, say
from app.criteria.searching import search_attributes
from app.criteria.undoing import undo
from app.errors import Conflict, Invalid, Stale
from app.images.traits import trait_keys
from tests.people import Cast

Tokens = Callable[[Person], dict[str, str]]
SignIn = Callable[[TestClient, Person], TestClient]
API = "/api/v1/projects/paintings/criteria"
HERE = "/projects/paintings/criteria"
LISTS: dict[str, Any] = {
    "content": {"sky": {"name": "Sky"}},
    "styles": {"impressionism": {"name": "Impressionism", "alternatives": ["Plein air"]}},
}
SAID: dict[str, Any] = {
    "needs": ["sky"],
    "source": " Ruskin  1857 ",
    "positive": {"translations": {"zh-Hans": {"name": " 清晰的边缘 "}}},
    "negative": {
        "alternatives": ["Smeared  edges"],
        "prompt": "smeared edges",
        "styles": {"impressionism": "positive"},
        "excludes": ["glow/positive"],
    },
}


@pytest.fixture
def listed(db: Session, people: Cast) -> Cast:
    """The cast, with criteria that list a content and a style."""
    list_traits(db, people.project, based_on=1, by=people.ada, **LISTS)
    db.commit()
    return people


def speak(db: Session, people: Cast, said: dict[str, Any], **more: Any) -> int:
    values: dict[str, Any] = {"key": "clear-edges", "based_on": 1, "by": people.ada} | more
    node = say(db, people.project, said=said, **values)
    db.commit()
    return node.revision


def test_what_is_said_is_one_recorded_change_that_can_be_taken_back(
    db: Session, listed: Cast
) -> None:
    before = working_criteria(db, listed.project)
    assert speak(db, listed, SAID, relation="graded") == 2
    pair = working_criteria(db, listed.project).pair("clear-edges")
    assert (pair.relation, pair.needs, pair.source) == ("graded", ("sky",), "Ruskin 1857")
    assert pair.positive.words.translations[0].name == "清晰的边缘"
    assert pair.negative.words.alternatives == ("Smeared edges",)
    assert pair.negative.prompt_wording == "smeared edges"
    assert pair.negative.excludes == (("glow", "positive"),)
    change = find_changes(db, listed.project)[0]
    assert (change.kind, change.by) == ("detailed", "Ada")
    seen = {each.field: (each.before, each.after) for each in change.differences}
    assert seen["relation"] == ("opposed", "graded")
    assert seen["negative prompt wording"] == ("", "smeared edges")
    assert seen["negative styles"] == ("", "impressionism: positive")
    found = [each.name for each in search_attributes(db, listed.project, "清晰")]
    assert found == ["Clear edges"]
    undo(db, listed.project, change.revision, by=listed.lea)
    db.commit()
    assert working_criteria(db, listed.project) == before


def test_what_is_not_named_stays_and_nothing_takes_a_field_out(db: Session, listed: Cast) -> None:
    speak(db, listed, SAID)
    speak(db, listed, {"negative": {"prompt": None, "alternatives": []}, "needs": []}, based_on=2)
    pair = working_criteria(db, listed.project).pair("clear-edges")
    assert (pair.negative.prompt, pair.negative.words.alternatives, pair.needs) == ("", (), ())
    assert pair.negative.styles == (("impressionism", "positive"),)
    assert speak(db, listed, {"needs": None}, based_on=3) == 3  # nothing changed


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"needs": ["feet"]}, "list no content “feet”"),
        ({"needs": "sky"}, "must be a list"),
        ({"colour": "red"}, "unknown field"),
        ({"negative": {"styles": {"cubism": "neutral"}}}, "list no style “cubism”"),
        ({"negative": {"styles": {"impressionism": "bad"}}}, "neutral or positive"),
        ({"negative": {"excludes": ["edges/positive"]}}, "No attribute pair has the key “edges”"),
        ({"negative": {"excludes": ["clear-edges/positive"]}}, "does not exclude itself"),
        ({"negative": {"prompt": "soft, smeared"}}, "comma"),
        ({"positive": {"translations": {"zh_Hans": {"name": "A"}}}}, "language code"),
        ({"positive": {"exact_match": ["aat 3"]}}, "full URI"),
        ({"positive": {"scope_note": ["a"]}}, "must be text"),
    ],
)
def test_what_is_not_said_so_is_refused_and_changes_nothing(
    db: Session, listed: Cast, said: dict[str, Any], message: str
) -> None:
    before = working_criteria(db, listed.project)
    with pytest.raises(Invalid, match=message):
        speak(db, listed, said)
    db.rollback()
    assert working_criteria(db, listed.project) == before


def test_a_stale_word_is_refused_with_what_was_said_since(db: Session, listed: Cast) -> None:
    speak(db, listed, SAID)
    with pytest.raises(Stale, match="Ada changed “Clear edges / Blurred edges”") as refused:
        speak(db, listed, {"source": "Itten"}, by=listed.lea)
    theirs: Any = refused.value.details["theirs"]
    assert theirs["details"]["source"] == "Ruskin 1857"
    with pytest.raises(Invalid, match="only a dimension"):
        speak(db, listed, {}, based_on=2, exclusive=True)


def test_lists_in_use_stay_and_are_not_overwritten_unseen(db: Session, listed: Cast) -> None:
    speak(db, listed, SAID)
    revision = get_criteria(db, listed.project).revision
    with pytest.raises(Conflict, match="“Clear edges / Blurred edges” still names it"):
        list_traits(
            db, listed.project, based_on=revision, by=listed.ada, content={}, styles=LISTS["styles"]
        )
    with pytest.raises(Stale, match="changed the content"):
        list_traits(db, listed.project, based_on=1, by=listed.lea, **LISTS)
    with pytest.raises(Invalid, match="is missing"):
        list_traits(
            db, listed.project, based_on=revision, by=listed.ada, content={"sea": {}}, styles={}
        )
    db.rollback()
    assert find_changes(db, listed.project)[1].sentence == (
        "Changed the content and styles that nodes may name."
    )


def test_programs_say_more_and_read_it(
    db: Session, listed: Cast, api: TestClient, token_for: Tokens
) -> None:
    mine = token_for(listed.ada)
    body = {"based_on": 1, "details": SAID, "relation": "graded", "positive": {"name": "Crisp"}}
    node = api.patch(f"{API}/nodes/clear-edges", json=body, headers=mine).json()
    assert (node["relation"], node["revision"]) == ("graded", 3)
    assert node["details"]["negative"]["prompt"] == "smeared edges"
    stale = api.patch(f"{API}/nodes/clear-edges", json=body, headers=mine)
    assert stale.status_code == 412
    assert api.patch(f"{API}/nodes/edges", json={"based_on": 1}, headers=mine).status_code == 422
    lists = api.get(f"{API}/lists", headers=mine).json()
    assert lists["content"] == LISTS["content"]
    lists["content"]["sea"] = {"name": "Sea"}
    lists["based_on"] = lists.pop("revision")
    saved = api.put(f"{API}/lists", json=lists, headers=mine).json()
    assert saved["content"]["sea"] == {"name": "Sea"}
    assert get_node(db, listed.project, "clear-edges").positive_name == "Crisp"


def typed(**more: Any) -> dict[str, Any]:
    return {"based_on": "1", "relation": "graded"} | more


def test_the_panel_shows_what_is_said_and_takes_it_line_by_line(
    db: Session, listed: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    ada = sign_in(browser, listed.ada)
    form = typed(
        needs="sky",
        source="Ruskin",
        positive_translations="zh-Hans: 清晰的边缘 | 形体\nde: Klare Kanten",
        negative_alternatives="Smeared edges\r\n\r\n Soft edges ",
        negative_prompt="smeared edges",
        negative_styles=["", "impressionism:positive"],
        negative_excludes="glow/positive",
    )
    assert ada.post(f"{HERE}/nodes/clear-edges/details", data=form).status_code == 303
    pair = working_criteria(db, listed.project).pair("clear-edges")
    assert pair.positive.words.translations[1] == ("zh-Hans", "清晰的边缘", "形体")
    assert pair.negative.words.alternatives == ("Smeared edges", "Soft edges")
    assert pair.negative.styles == (("impressionism", "positive"),)
    page = ada.get(f"{HERE}?node=clear-edges").text
    for each in ("Impressionism: a merit", "zh-Hans: 清晰的边缘 | 形体", "graded", "<dd>Sky</dd>"):
        assert each in page
    page = ada.get(f"{HERE}/nodes/clear-edges/details").text
    for each in ('value="smeared edges"', 'value="impressionism:positive" selected', "de: Klare"):
        assert each in page
    again = form | {"based_on": "2"}
    assert ada.post(f"{HERE}/nodes/clear-edges/details", data=again).status_code == 303
    assert get_node(db, listed.project, "clear-edges").revision == 2  # saved as it was: no change


def test_styles_stand_in_the_panel_as_on_the_page_of_lists(
    db: Session, listed: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    styles = {each: {"name": each.capitalize()} for each in ("ink", "impressionism", "baroque")}
    revision = get_criteria(db, listed.project).revision
    list_traits(
        db,
        listed.project,
        based_on=revision,
        by=listed.ada,
        content=LISTS["content"],
        styles=styles,
    )
    reads = dict.fromkeys(("ink", "impressionism", "baroque"), "neutral")
    speak(db, listed, {"negative": {"styles": reads}}, by=listed.ada)
    db.commit()
    page = sign_in(browser, listed.ada).get(f"{HERE}?node=clear-edges").text
    places = [page.index(f"{each}: neutral") for each in ("Baroque", "Impressionism", "Ink")]
    assert places == sorted(places)


def test_the_form_comes_back_with_what_is_wrong_or_was_changed_since(
    db: Session, listed: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    speak(db, listed, {"source": "Itten", "positive": {"prompt": "crisp edges"}}, by=listed.lea)
    ada = sign_in(browser, listed.ada)
    there = f"{HERE}/nodes/clear-edges/details"
    wrong = ada.post(there, data=typed(based_on="2", positive_translations="no colon"))
    assert (wrong.status_code, "is no line such as" in wrong.text) == (422, True)
    wrong = ada.post(there, data=typed(based_on="2", positive_prompt="a, b"))
    assert (wrong.status_code, "comma" in wrong.text) == (422, True)
    stale = ada.post(there, data=typed(source="Albers"))
    assert stale.status_code == 412
    for each in ("Lea changed", "Stored now: “Itten”", 'value="Albers"', 'value="crisp edges"'):
        assert each in stale.text
    edges = ada.post(f"{HERE}/nodes/edges/details", data={"based_on": "1", "exclusive": "true"})
    assert edges.status_code == 303
    assert get_node(db, listed.project, "edges").exclusive


def test_lists_and_the_metadata_that_tells_them_are_edited_on_a_page(
    db: Session, listed: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    ada, there = sign_in(browser, listed.ada), f"{HERE}/lists"
    assert "impressionism: Impressionism | Plein air" in ada.get(there).text
    form = {
        "based_on": str(get_criteria(db, listed.project).revision),
        "styles": "impressionism: Impressionism | Plein air\r\nink: Chinese ink | Shuimo | 水墨",
        "content": "sky: Sky\nhands: Hands | Seen as hands.",
        "style_keys": "School, style",
        "content_keys": "",
    }
    assert ada.post(there, data=form).status_code == 303
    tree = working_criteria(db, listed.project)
    assert [(each.id, each.alternatives) for each in tree.styles] == [
        ("impressionism", ("Plein air",)),
        ("ink", ("Shuimo", "水墨")),
    ]
    assert tree.content[0].definition == "Seen as hands."
    db.refresh(listed.project)
    assert trait_keys(listed.project) == {"style": ("school", "style"), "content": ()}
    stale = ada.post(there, data=form | {"content": "", "based_on": "1"})
    assert (stale.status_code, "Someone changed the content" in stale.text) == (412, True)
    wrong = ada.post(there, data=form | {"styles": "ink"})
    assert (wrong.status_code, "is no line such as" in wrong.text) == (422, True)
    assert sign_in(browser, listed.ben).get(there).status_code == 403
