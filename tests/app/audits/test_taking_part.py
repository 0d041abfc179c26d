"""The notice and withdrawing, over HTTP: as a lead, as a participant, as a program."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.accounts.signing_in import token_hash
from app.audits import inviting, judging
from app.audits.models import Audit, Judgement
from tests.app.audits.conftest import Studio

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
ROOM = "/projects/paintings/audits"


@pytest.fixture
def audit(studio: Studio) -> Audit:
    studio.annotate((0, "positive"), (2, "negative"))
    return studio.audit()


def invite(db: Session, audit: Audit) -> str:
    [(_, token)] = inviting.invite_participants(db, audit, 1)
    db.commit()
    return token


# The notice ----------------------------------------------------------------------------------


def test_a_lead_changes_the_notice_for_those_who_come_later(
    browser: TestClient, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    studio.seats(audit, 1)
    sign_in(browser, studio.cast.lea)
    here = f"{ROOM}/{audit.id}"
    assert f"{here}/notice" in browser.get(here).text
    page = browser.get(f"{here}/notice")
    assert "Please read this." in page.text
    assert "1 agreed" in page.text
    answer = browser.post(f"{here}/notice", data={"notice": "Read that.", "based_on": 1})
    assert answer.headers["location"] == f"{here}/notice"
    changed = browser.get(f"{here}/notice").text
    assert "Notice 2" in changed
    assert "no one agreed to it yet" in changed
    assert "Please read this." in changed


def test_two_leads_change_it_at_once(
    browser: TestClient, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    sign_in(browser, studio.cast.lea)
    here = f"{ROOM}/{audit.id}/notice"
    browser.post(here, data={"notice": "Theirs.", "based_on": 1})
    page = browser.post(here, data={"notice": "Mine.", "based_on": 1})
    assert page.status_code == 422
    assert "Someone else changed the notice meanwhile" in page.text
    assert "Theirs." in page.text
    assert ">Mine.</textarea>" in page.text
    assert 'name="based_on" value="2"' in page.text
    assert browser.post(here, data={"notice": "Mine.", "based_on": 2}).status_code == 303


def test_a_notice_that_is_none(
    browser: TestClient, db: Session, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    sign_in(browser, studio.cast.lea)
    here = f"{ROOM}/{audit.id}/notice"
    assert browser.post(here, data={"notice": " ", "based_on": 1}).status_code == 422
    assert browser.post(here, data={"notice": "x"}).status_code == 422
    inviting.close_audit(db, audit)
    db.commit()
    page = browser.post(here, data={"notice": "x", "based_on": 1})
    assert page.status_code == 422
    assert "textarea" not in browser.get(here).text


def test_only_leads_change_it(
    browser: TestClient,
    api: TestClient,
    studio: Studio,
    audit: Audit,
    sign_in: SignIn,
    token_for: TokenFor,
) -> None:
    sign_in(browser, studio.cast.ben)
    here = f"{ROOM}/{audit.id}/notice"
    assert browser.get(here).status_code == 403
    assert browser.post(here, data={"notice": "x", "based_on": 1}).status_code == 403
    member = token_for(studio.cast.ben)
    answer = api.put(f"/api/v1{here}", headers=member, json={"notice": "x"})
    assert answer.status_code == 403


def test_who_reads_while_it_is_changed_reads_again(
    browser: TestClient, db: Session, studio: Studio, audit: Audit
) -> None:
    token = invite(db, audit)
    assert 'name="notice" value="1"' in browser.get(f"/audit/{token}").text
    inviting.rewrite_notice(db, audit, "Another text.", by=studio.cast.lea)
    db.commit()
    page = browser.post(f"/audit/{token}/consent", data={"notice": 1})
    assert page.status_code == 412
    assert "The notice was changed while you read it." in page.text
    assert "Another text." in page.text
    assert browser.post(f"/audit/{token}/consent", data={"notice": 2}).status_code == 303
    assert browser.get(f"/audit/{token}").headers["location"] == f"/audit/{token}/look/1"
    assert browser.post(f"/audit/{token}/consent", data={"notice": "x"}).status_code == 409


def test_the_notice_as_json(
    api: TestClient, db: Session, studio: Studio, audit: Audit, token_for: TokenFor
) -> None:
    lead = token_for(studio.cast.lea)
    here = f"/api/v1{ROOM}/{audit.id}"
    token = invite(db, audit)
    changed = api.put(f"{here}/notice", headers=lead, json={"notice": "B", "based_on": 1})
    assert (changed.json()["notice"], changed.json()["notice_number"]) == ("B", 2)
    late = api.put(f"{here}/notice", headers=lead, json={"notice": "C", "based_on": 1})
    assert (late.status_code, late.json()["text"]) == (412, "B")
    seat = f"/api/v1/audit/{token}"
    assert api.get(seat).json()["notice_number"] == 2
    assert api.post(f"{seat}/consent", json={"notice": 1}).status_code == 412
    assert api.post(f"{seat}/consent", json={"notice": 2}).json()["state"] == "judging"


# Withdrawing ---------------------------------------------------------------------------------


def answer_all(db: Session, studio: Studio, audit: Audit) -> str:
    [(participant, token)] = studio.seats(audit, 1)
    for item in judging.find_items(db, participant, audit):
        judging.judge(db, participant, item.id, "appears")
    db.commit()
    return token


@pytest.mark.parametrize("ended", ["", "finished", "closed"])
def test_withdrawing_deletes_the_answers(
    browser: TestClient, db: Session, studio: Studio, audit: Audit, sign_in: SignIn, ended: str
) -> None:
    token = answer_all(db, studio, audit)
    seat = f"/audit/{token}"
    if ended == "finished":
        browser.post(f"{seat}/finish")
    if ended == "closed":
        inviting.close_audit(db, audit)
        db.commit()
    assert f"{seat}/withdraw" in browser.get(seat, follow_redirects=True).text
    page = browser.get(f"{seat}/withdraw")
    assert "All 2 of your answers are deleted at once" in page.text
    assert browser.post(f"{seat}/withdraw").headers["location"] == seat
    page = browser.get(seat)
    assert "You have withdrawn" in page.text
    assert "withdraw</a>" not in page.text.lower()
    assert browser.get(f"{seat}/withdraw").headers["location"] == seat
    assert browser.get(f"{seat}/look/1").headers["location"] == seat
    assert browser.post(f"{seat}/consent").status_code == 409
    assert db.scalar(select(func.count()).select_from(Judgement)) == 0
    page = sign_in(browser, studio.cast.lea).get(f"{ROOM}/{audit.id}")
    assert "1 withdrew (answers deleted)" in page.text
    assert "Revoke participant" not in page.text


def test_withdrawing_as_json(
    api: TestClient, db: Session, studio: Studio, audit: Audit, token_for: TokenFor
) -> None:
    token = answer_all(db, studio, audit)
    gone = api.post(f"/api/v1/audit/{token}/withdraw").json()
    assert (gone["state"], gone["progress"]["answered"]) == ("withdrawn", 0)
    assert api.get(f"/api/v1/audit/{token}/items").status_code == 409
    lead = token_for(studio.cast.lea)
    people = api.get(f"/api/v1{ROOM}/{audit.id}/participants", headers=lead).json()["items"]
    assert [(each["state"], each["answered"]) for each in people] == [("withdrawn", 0)]


def test_another_site_cannot_withdraw(
    browser: TestClient, db: Session, studio: Studio, audit: Audit
) -> None:
    token = answer_all(db, studio, audit)
    answer = browser.post(f"/audit/{token}/withdraw", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert db.scalar(select(func.count()).select_from(Judgement)) == 2


# Anonymity -----------------------------------------------------------------------------------


def test_nothing_tells_who_a_participant_is(
    browser: TestClient,
    api: TestClient,
    db: Session,
    studio: Studio,
    audit: Audit,
    sign_in: SignIn,
    token_for: TokenFor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A lead who has everything that is shown or exported learns a number, and nothing of the browser."""
    caplog.set_level("DEBUG")
    agent = "Seldom/7 (of one person alone)"
    tokens = []
    for _ in range(7):
        [(_, token)] = inviting.invite_participants(db, audit, 1)
        db.commit()
        tokens.append(token)
        # Even somebody who is signed in meanwhile takes part as a number.
        sign_in(browser, studio.cast.ada)
        told = {"User-Agent": agent, "Accept-Language": "rm-CH", "X-Forwarded-For": "203.0.113.7"}
        assert browser.post(f"/audit/{token}/consent", headers=told).status_code == 303
        for item in api.get(f"/api/v1/audit/{token}/items").json()["items"]:
            page = f"/audit/{token}/items/{item['id']}"
            assert browser.post(page, data={"answer": "appears"}, headers=told).status_code == 303
    sign_in(browser, studio.cast.lea)
    lead = token_for(studio.cast.lea)
    here = f"{ROOM}/{audit.id}"
    seen = [
        *(
            browser.get(path).text
            for path in (ROOM, here, f"{here}/notice", f"{here}/verdicts.csv")
        ),
        *(
            api.get(f"/api/v1{here}{path}", headers=lead).text
            for path in ("", "/results", "/participants")
        ),
        # What the test's own browser logs is not the server's.
        *(each.getMessage() for each in caplog.records if not each.name.startswith("http")),
    ]
    assert any('"number":7' in page for page in seen)
    rows = db.execute(text("SELECT * FROM participant")).mappings().all()
    assert {name for name in rows[0] if name not in PARTICIPANT_COLUMNS} == set()
    hidden = [agent, "rm-CH", "203.0.113.7", studio.cast.ada.name, studio.cast.ada.email]
    hidden += [each for token in tokens for each in (token, token_hash(token).hex())]
    assert [each for each in hidden if any(each in page for page in seen)] == []


# What is kept of a participant: a new column that tells more has to be thought about here.
PARTICIPANT_COLUMNS = {
    *("id", "audit_id", "study_id", "number", "code", "token_hash", "notice_id"),
    *("consented_at", "finished_at", "withdrawn_at", "revoked_at", "created_at"),
}


def test_who_was_revoked_can_still_withdraw(
    browser: TestClient, api: TestClient, db: Session, studio: Studio, audit: Audit
) -> None:
    [(participant, token), (other, again)] = studio.seats(audit, 2)
    for each in (participant, other):
        for item in judging.find_items(db, each, audit):
            judging.judge(db, each, item.id, "appears")
        inviting.revoke_participant(db, audit, each.number)
    db.commit()
    page = browser.get(f"/audit/{token}")
    assert "Your 2 answers are left out of every result, but they are still stored." in page.text
    assert f"/audit/{token}/withdraw" in page.text
    assert "delete my answers" in browser.get(f"/audit/{token}/withdraw").text
    # Everything else stays shut.
    assert browser.post(f"/audit/{token}/items/1", data={"answer": "appears"}).status_code == 404
    assert browser.get(f"/audit/{token}/images/1").status_code == 404
    assert browser.post(f"/audit/{token}/withdraw").status_code == 303
    assert "You have withdrawn" in browser.get(f"/audit/{token}").text
    assert api.get(f"/api/v1/audit/{again}").json()["state"] == "revoked"
    assert api.post(f"/api/v1/audit/{again}/withdraw").json()["state"] == "withdrawn"
    assert db.scalar(select(func.count()).select_from(Judgement)) == 0
    db.rollback()
    states = [each.state for each in inviting.find_participants(db, audit)]
    assert states == ["withdrawn", "withdrawn"]
