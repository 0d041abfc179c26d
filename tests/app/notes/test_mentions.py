"""Notes on images and labels, and `@` with a name: it reaches that member, and nobody else."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete, select
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.erasing.erasing import erase
from app.errors import Invalid, NotFound
from app.labels.showing import was_shown
from app.notes import reading, writing
from app.notes.mentioning import find_mentions, find_nameable, find_named, mark_read
from app.notes.models import Discussion, Note
from app.notes.writing import Writer
from app.projects.models import Membership
from tests.app.labels.conftest import Bench, bench
from tests.factories import Make

__all__ = ["bench"]
SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
ROOT = "/projects/paintings"


def write(bench: Bench, text: str, by: Person | None = None, **more: str) -> Discussion:
    writer = Writer(by or bench.people.ben, "annotator")
    made = writing.start_on_image(
        bench.db, bench.project, bench.image, text=text, by=writer, **more
    )
    bench.db.commit()
    return made


def unread(bench: Bench, person: Person) -> list[str]:
    found = find_mentions(bench.db, bench.project, person, unread=True)
    return [each.note.text for each in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@Ada look", {1}),
        ("@ada, and @BEN.", {1, 2}),
        ("see @Ada Lovelace!", {3}),
        ("@Adam", set()),
        ("ask ada@example.org, @", set()),
        ("(@José) and @Jose", {4}),
        ("@Kim", {5, 6}),
    ],
)
def test_who_is_named(text: str, found: set[int]) -> None:
    names = ["Ada", "Ben", "Ada Lovelace", "José", "Kim", "Kim"]
    assert find_named(text, list(enumerate(names, start=1))) == found


def test_a_note_on_an_image_reaches_who_it_names(bench: Bench) -> None:
    people = bench.people
    made = write(bench, "@Ada is this glow? @Ben @Dora")
    assert unread(bench, people.ada) == ["@Ada is this glow? @Ben @Dora"]
    # Nobody writes to themselves, and nobody outside the project is reached.
    assert unread(bench, people.ben) == unread(bench, people.dora) == []
    ada = Writer(people.ada, "expert")
    writing.answer_discussion(bench.db, bench.project, made.id, text="@Ben yes", by=ada)
    assert unread(bench, people.ben) == ["@Ben yes"]
    assert mark_read(bench.db, bench.project, people.ada, discussion_id=made.id) == 1
    assert unread(bench, people.ada) == []
    assert mark_read(bench.db, bench.project, people.ada) == 0


def test_an_edit_names_others_and_a_deleted_note_nobody(bench: Bench) -> None:
    people, ben = bench.people, Writer(bench.people.ben, "annotator")
    made = write(bench, "@Ada look")
    note = bench.db.scalars(select(Note).where(Note.discussion_id == made.id)).one()
    mark_read(bench.db, bench.project, people.ada)
    writing.edit_note(bench.db, bench.project, note.id, text="@Ada @Lea look", based_on=1, by=ben)
    assert unread(bench, people.ada) == []
    assert unread(bench, people.lea) == ["@Ada @Lea look"]
    writing.edit_note(bench.db, bench.project, note.id, text="@Ada look", based_on=2, by=ben)
    assert find_mentions(bench.db, bench.project, people.lea) == []
    writing.delete_note(bench.db, bench.project, note.id, by=ben)
    assert find_mentions(bench.db, bench.project, people.ada) == []


def test_notes_on_labels_stand_apart_from_those_of_the_criteria(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    on_label = write(bench, "Too pale?", key="bright", polarity="positive")
    on_image = write(bench, "A scan")
    found = reading.find_discussions(bench.db, bench.project, image=bench.image)
    assert [each.discussion.id for each in found] == [on_image.id, on_label.id]
    assert found[1].title == f"+ High key on {bench.image.name}"
    whole = reading.find_discussions(bench.db, bench.project, image=bench.image, labels=False)
    assert [each.discussion.id for each in whole] == [on_image.id]
    assert reading.find_discussions(bench.db, bench.project) == []
    assert reading.count_open(bench.db, bench.project).all == 0
    with pytest.raises(Invalid):
        write(bench, "x", key="bright", polarity="both")
    with pytest.raises(Invalid):
        write(bench, "x", key="light", polarity="positive")
    with pytest.raises(NotFound):
        write(bench, "x", key="none", polarity="positive")


def test_what_was_written_on_an_image_goes_with_it(bench: Bench) -> None:
    write(bench, "@Ada look")
    erase(bench.db, bench.project, bench.image.id, reason="asked for", by=bench.people.lea)
    assert bench.db.scalars(select(Note)).all() == []
    assert unread(bench, bench.people.ada) == []


def test_names_are_offered_by_their_beginnings_and_no_address_is_shown(
    bench: Bench, make: Make, api: TestClient, token_for: Tokens
) -> None:
    make.member(bench.project, "annotator", "Zoë Ben-Ami")
    assert find_nameable(bench.db, bench.project, "be") == ["Ben", "Zoë Ben-Ami"]
    assert find_nameable(bench.db, bench.project, "zoe b") == ["Zoë Ben-Ami"]
    headers = token_for(bench.people.ben)
    answer = api.get(f"/api/v1{ROOT}/nameable", params={"q": "a"}, headers=headers)
    assert answer.json() == {"items": ["Ada"]}
    assert "example.org" not in answer.text
    dora = token_for(bench.people.dora)
    assert api.get(f"/api/v1{ROOT}/nameable", headers=dora).status_code == 404


def test_who_left_the_project_reads_nothing_any_more(
    bench: Bench, api: TestClient, token_for: Tokens
) -> None:
    write(bench, "@Ada look")
    headers = token_for(bench.people.ada)
    assert len(api.get(f"/api/v1{ROOT}/mentions", headers=headers).json()["items"]) == 1
    bench.db.execute(delete(Membership).where(Membership.person_id == bench.people.ada.id))
    bench.db.commit()
    assert api.get(f"/api/v1{ROOT}/mentions", headers=headers).status_code == 404


def test_programs_write_on_images_and_read_what_names_them(
    bench: Bench, api: TestClient, token_for: Tokens
) -> None:
    ben, ada = token_for(bench.people.ben), token_for(bench.people.ada)
    here = f"/api/v1{ROOT}/images/{bench.image.id}/discussions"
    body = {"text": "@Ada is it?", "key": "bright", "polarity": "positive"}
    made = api.post(here, json=body, headers=ben).json()
    assert (made["node"], made["image"], made["polarity"]) == ("bright", bench.image.id, "positive")
    assert [each["id"] for each in api.get(here, headers=ada).json()["items"]] == [made["id"]]
    [named] = api.get(f"/api/v1{ROOT}/mentions?unread=true", headers=ada).json()["items"]
    assert named["about"].startswith("+ High key on") and named["read_at"] is None
    read = {"discussion": made["id"]}
    assert api.put(f"/api/v1{ROOT}/mentions/read", json=read, headers=ada).status_code == 204
    assert api.get(f"/api/v1{ROOT}/mentions?unread=true", headers=ada).json()["items"] == []


def test_the_bar_counts_what_is_unread_and_a_page_lists_it(
    bench: Bench, open_client: Callable[..., TestClient], sign_in: SignIn
) -> None:
    ben, ada = (open_client(**{"Sec-Fetch-Site": "same-origin"}) for _ in range(2))
    sign_in(ben, bench.people.ben)
    sign_in(ada, bench.people.ada)
    bench.propose(("bright", "positive"))
    here = f"{ROOT}/images/{bench.image.id}/notes"
    assert "No notes here yet" in ben.get(here).text
    sent = ben.post(here, data={"text": "@Ada is it?", "attribute": "bright/positive"})
    assert sent.headers["location"].endswith(here)
    assert "+ High key on" in ben.get(here).text
    assert ben.post(here, data={"text": " "}).status_code == 422
    assert "1 unread" in ada.get(ROOT).text
    assert "Notes (1 open)" in ada.get(f"{ROOT}/images/{bench.image.id}").text
    page = ada.get(f"{ROOT}/mentions").text
    assert "@Ada is it?" in page and "unread" in page
    discussion = bench.db.scalars(select(Discussion)).one()
    opened = ada.get(f"{ROOT}/criteria/discussions/{discussion.id}").text
    assert "1 unread note here names you" in opened
    ada.post(f"{ROOT}/mentions", data={"discussion": discussion.id})
    assert "1 unread" not in ada.get(ROOT).text
    # What is only a suggestion is not told of by notes either.
    ada.cookies.set("morelli_suggestions", "hide")
    assert ada.get(f"{ROOT}/criteria/discussions/{discussion.id}").status_code == 403
    assert "High key" not in ada.get(here).text + ada.get(f"{ROOT}/mentions").text
    note = bench.db.scalars(select(Note)).one()
    gone = ben.post(f"{ROOT}/criteria/discussions/{discussion.id}/notes/{note.id}/delete")
    assert gone.headers["location"].endswith(here)


READ_AT = (
    "{root}/images/{image}/notes",
    "{root}/criteria/discussions/{discussion}",
    "{root}/mentions",
    "/api/v1{root}/images/{image}/discussions",
    "/api/v1{root}/criteria/discussions/{discussion}",
    "/api/v1{root}/criteria/discussions/{discussion}/notes",
    "/api/v1{root}/mentions",
)


@pytest.mark.parametrize("where", READ_AT)
def test_who_reads_a_note_on_a_label_is_told_of_a_suggestion_and_else_nobody(
    bench: Bench, browser: TestClient, sign_in: SignIn, where: str
) -> None:
    """Notes on labels are hidden with the suggestions, on pages and in what programs are answered; whoever
    reads one is blind for its image no more.
    """
    ada = bench.people.ada
    sign_in(browser, ada)
    bench.propose(("bright", "positive"))
    made = write(bench, "@Ada is it glowing?", key="bright", polarity="positive")
    here = where.format(root=ROOT, image=bench.image.id, discussion=made.id)
    browser.cookies.set("morelli_suggestions", "hide", domain="127.0.0.1")
    hidden = browser.get(here)
    assert "glowing" not in hidden.text and "High key" not in hidden.text
    assert not was_shown(bench.db, bench.image, ada)
    browser.cookies.set("morelli_suggestions", "show", domain="127.0.0.1")
    assert "glowing" in browser.get(here).text
    assert was_shown(bench.db, bench.image, ada)


def test_who_reads_a_note_on_the_image_is_told_of_no_suggestion(
    bench: Bench, api: TestClient, token_for: Tokens
) -> None:
    api.headers.update(token_for(bench.people.ada))
    bench.propose(("bright", "positive"))
    made = write(bench, "@Ada where is it from?")
    root = f"/api/v1{ROOT}"
    for at in (
        f"images/{bench.image.id}/discussions",
        f"criteria/discussions/{made.id}",
        "mentions",
    ):
        assert "where is it from" in api.get(f"{root}/{at}").text
    assert not was_shown(bench.db, bench.image, bench.people.ada)


def test_a_form_that_says_nothing_settles_nothing(
    bench: Bench, browser: TestClient, sign_in: SignIn
) -> None:
    made = write(bench, "Is it?")
    sign_in(browser, bench.people.ben)
    here = f"{ROOT}/criteria/discussions/{made.id}/settled"
    for data in ({}, {"settled": "perhaps"}):
        assert browser.post(here, data=data).status_code == 422
