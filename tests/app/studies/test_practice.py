"""Practice before the first pair: what it is drawn from, who says what is right, and that it keeps nothing."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.studies import inviting, judging
from app.studies.models import Study, StudyChoice, StudyImage, StudyPractice
from app.studies.ordering import find_pairs
from tests.app.studies.conftest import ROOM, ROOTS, Atelier

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]


@pytest.fixture
def study(atelier: Atelier) -> Study:
    return atelier.study(prompts=3, spare=4)


@pytest.fixture
def lead(browser: TestClient, atelier: Atelier, study: Study, sign_in: SignIn) -> TestClient:
    return sign_in(browser, atelier.cast.lea)


def say(lead: TestClient, study: Study, path: str, answer: str) -> int:
    told = lead.post(f"{ROOM}/{study.id}/practice/{path}", data={"answer": answer})
    return told.status_code


def test_two_pairs_of_prompts_that_were_not_drawn(atelier: Atelier, study: Study) -> None:
    rows = atelier.db.scalars(select(StudyPractice).order_by(StudyPractice.position)).all()
    assert [each.position for each in rows] == [1, 2]
    images = {each.id: each for each in atelier.db.scalars(select(StudyImage))}
    drawn = {each.prompt for each in find_pairs(atelier.db, study)}
    models = set()
    for each in rows:
        left, right = images[each.left_image_id], images[each.right_image_id]
        assert left.prompt_sha256 == right.prompt_sha256 not in drawn
        models |= {left.model_id, right.model_id}
    assert len(models) == 4  # one pair of each group


def test_where_every_prompt_is_drawn_there_is_none(
    browser: TestClient, atelier: Atelier, sign_in: SignIn
) -> None:
    study = atelier.study(prompts=2)
    [(_, token)] = atelier.seats(study, 1)
    assert browser.get(f"/study/{token}").headers["location"].endswith("/pairs/1")
    sign_in(browser, atelier.cast.lea)
    assert "none: every prompt was drawn" in browser.get(f"{ROOM}/{study.id}").text
    assert "Every prompt was drawn" in browser.get(f"{ROOM}/{study.id}/practice").text


def test_practice_comes_first_tells_and_keeps_nothing(
    api: TestClient, browser: TestClient, lead: TestClient, db: Session, study: Study
) -> None:
    assert "Nothing is said yet to 6 questions" in lead.get(f"{ROOM}/{study.id}").text
    assert say(lead, study, "1/light", "right") == 303
    assert say(lead, study, "1/color", "tie") == 303
    [(_, token)] = inviting.invite_participants(db, study, 1)
    db.commit()
    seat = f"/study/{token}"
    assert "You practise on 2 pairs" in browser.get(seat).text
    assert browser.get(f"{seat}/practice/1").headers["location"] == seat
    assert browser.get(f"{seat}/practice/1/images/left").status_code == 409
    assert browser.post(f"{seat}/practice/1/light", data={"answer": "left"}).status_code == 409
    browser.post(f"{seat}/consent")
    assert browser.get(seat).headers["location"] == f"{seat}/practice/1"
    page = browser.get(f"{seat}/practice/1").text
    assert "people say:" not in page and f"{seat}/practice/2" in page
    assert browser.get(f"{seat}/practice/1/images/left").status_code == 200
    told = browser.post(f"{seat}/practice/1/light", data={"answer": "left"}).text
    assert "people say: Right." in told and 'experts agrees"' not in told
    assert (
        "people say: No difference."
        in browser.post(f"{seat}/practice/1/color", data={"answer": "tie"}).text
    )
    silent = browser.post(f"{seat}/practice/2/light", data={"answer": "left"}).text
    assert "have said nothing of this" in silent and f"{seat}/pairs/1" in silent
    here = f"/api/v1{seat}/practice"
    assert api.put(f"{here}/1/light", json={"answer": "right"}).json() == {
        "key": "light", "answer": "right", "expected": "right", "agrees": True,
    }  # fmt: skip
    assert api.get(f"/api/v1{seat}").json()["progress"]["answered"] == 0
    assert db.scalar(select(func.count()).select_from(StudyChoice)) == 0
    # Who has begun comes back to their pairs.
    api.put(f"/api/v1{seat}/pairs/1/light", json={"answer": "left"})
    assert browser.get(seat).headers["location"] == f"{seat}/pairs/1"


def test_everyone_is_told_the_same(
    lead: TestClient, db: Session, atelier: Atelier, study: Study
) -> None:
    assert say(lead, study, "2/light", "left") == 303
    assert say(lead, study, "2/color", "left") == 303
    assert say(lead, study, "2/color", "left") == 303  # once more takes it back
    page = lead.get(f"{ROOM}/{study.id}/practice").text
    assert page.count('aria-pressed="true"') == 1
    atelier.seats(study, 1)
    assert say(lead, study, "2/light", "right") == 409
    assert "so it stays as it is" in lead.get(f"{ROOM}/{study.id}/practice").text


def test_leads_say_it_over_the_api_too(
    api: TestClient, atelier: Atelier, study: Study, token_for: TokenFor
) -> None:
    here = f"/api/v1{ROOM}/{study.id}/practice"
    lead, annotator = token_for(atelier.cast.lea), token_for(atelier.cast.ben)
    told = api.put(f"{here}/1/light", json={"answer": "left"}, headers=lead).json()
    assert told["may_change"] is True
    answers = [
        {each["key"]: each["answer"] for each in pair["questions"]} for pair in told["items"]
    ]
    assert answers == [{"light": "left", "color": None, "composition": None}, dict.fromkeys(ROOTS)]
    assert api.put(f"{here}/1/light", json={"answer": None}, headers=lead).status_code == 200
    assert api.get(here, headers=lead).json()["items"][0]["questions"][0]["answer"] is None
    assert api.get(here, headers=annotator).status_code == 403


@pytest.mark.parametrize(
    ("path", "answer", "status"),
    [("3/light", "left", 404), ("1/nowhere", "left", 404), ("1/light", "both", 422)],
)
def test_what_is_not_asked_in_practice_is_refused(
    api: TestClient, atelier: Atelier, study: Study, path: str, answer: str, status: int
) -> None:
    [(_, token)] = atelier.seats(study, 1)
    told = api.put(f"/api/v1/study/{token}/practice/{path}", json={"answer": answer})
    assert told.status_code == status


def test_nobody_practises_on_a_link_that_was_revoked_or_has_ended(
    api: TestClient, db: Session, atelier: Atelier, study: Study
) -> None:
    (revoked, link), (gone, other) = atelier.seats(study, 2)
    inviting.revoke_participant(db, study, revoked.number)
    judging.withdraw(db, gone)
    db.commit()
    for token, status in ((link, 404), (other, 409)):
        path = f"/api/v1/study/{token}/practice/1/light"
        assert api.put(path, json={"answer": "left"}).status_code == status
