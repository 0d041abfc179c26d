"""Taking part in a study, over HTTP: the notice, the pairs, answers that stay, finishing, withdrawing, and anonymity."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.accounts.signing_in import token_hash
from app.studies import inviting
from app.studies.models import Study, StudyChoice, StudyImage
from tests.app.studies.conftest import ROOM, ROOTS, Atelier, answer_like

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]


@pytest.fixture
def study(atelier: Atelier) -> Study:
    return atelier.study(prompts=2)


def invite(db: Session, study: Study) -> str:
    [(_, token)] = inviting.invite_participants(db, study, 1)
    db.commit()
    return token


def test_from_the_link_to_thanks_without_javascript(
    browser: TestClient, db: Session, study: Study
) -> None:
    token = invite(db, study)
    seat = f"/study/{token}"
    page = browser.get(seat)
    assert "Please read this." in page.text and "4 pairs" in page.text
    assert browser.get(f"{seat}/pairs/1").headers["location"] == seat
    assert browser.get(f"{seat}/pairs/1/images/left").status_code == 409
    assert browser.post(f"{seat}/consent", data={"notice": 1}).headers["location"] == seat
    assert browser.get(seat).headers["location"] == f"{seat}/pairs/1"
    for place in range(1, 5):
        page = browser.get(f"{seat}/pairs/{place}")
        assert f"Pair {place} of 4" in page.text and "Light" in page.text
        for side in ("left", "right"):
            shown = browser.get(f"{seat}/pairs/{place}/images/{side}")
            assert shown.headers["content-type"] == "image/jpeg"
            assert "private" in shown.headers["cache-control"]
        for key in ROOTS:
            told = browser.post(
                f"{seat}/pairs/{place}/{key}", data={"answer": "left", "based_on": 0}
            )
            assert told.headers["location"] == f"{seat}/pairs/{place}#item-{key}"
    assert browser.get(seat).headers["location"] == f"{seat}/end"
    assert "Everything is answered" in browser.get(f"{seat}/end").text
    assert browser.post(f"{seat}/finish").headers["location"] == seat
    assert "All 12 of your answers are stored" in browser.get(seat).text
    assert browser.post(f"{seat}/pairs/1/light", data={"answer": "right"}).status_code == 409


def test_finishing_early_shows_what_is_open(
    browser: TestClient, atelier: Atelier, study: Study
) -> None:
    [(_, token)] = atelier.seats(study, 1)
    assert browser.post(f"/study/{token}/finish").headers["location"] == f"/study/{token}/end"
    page = browser.get(f"/study/{token}/end").text
    assert "12 questions have no answer yet" in page and "Pair 1" in page


def test_nothing_is_taken_before_consent(api: TestClient, db: Session, study: Study) -> None:
    token = invite(db, study)
    here = f"/api/v1/study/{token}"
    assert api.get(here).json()["state"] == "invited"
    assert api.get(f"{here}/pairs").status_code == 409
    assert api.put(f"{here}/pairs/1/light", json={"answer": "left"}).status_code == 409
    inviting.rewrite_notice(db, study, "Read that.", by=db.get_one(Person, study.created_by))
    db.commit()
    assert api.post(f"{here}/consent", json={"notice": 1}).status_code == 412
    agreed = api.post(f"{here}/consent", json={"notice": 2}).json()
    assert (agreed["state"], agreed["next_place"]) == ("judging", 1)


def test_an_answer_is_kept_once_and_never_over_a_newer_one(
    api: TestClient, db: Session, atelier: Atelier, study: Study
) -> None:
    [(_, token)] = atelier.seats(study, 1)
    here = f"/api/v1/study/{token}/pairs/2/light"
    first = api.put(here, json={"answer": "left", "based_on": 0}).json()
    assert (first["revision"], first["progress"]["answered"]) == (1, 1)
    assert api.put(here, json={"answer": "left", "based_on": 0}).json()["revision"] == 1
    assert api.put(here, json={"answer": "tie", "based_on": 1}).json()["revision"] == 2
    late = api.put(here, json={"answer": "right", "based_on": 1})
    assert late.status_code == 412
    assert (late.json()["answer"], late.json()["revision"]) == ("tie", 2)
    pair = api.get(f"/api/v1/study/{token}/pairs").json()["items"][1]
    assert pair["questions"][0]["answer"] == "tie"
    assert db.scalar(select(func.count()).select_from(StudyChoice)) == 1


@pytest.mark.parametrize(
    ("path", "answer", "status"),
    [
        ("9/light", "left", 404),
        ("0/light", "left", 404),
        ("1/nowhere", "left", 404),
        ("1/light", "both", 422),
        ("99999999999999999999/light", "left", 404),
    ],
)
def test_what_is_not_asked_is_refused(
    api: TestClient, atelier: Atelier, study: Study, path: str, answer: str, status: int
) -> None:
    [(_, token)] = atelier.seats(study, 1)
    told = api.put(f"/api/v1/study/{token}/pairs/{path}", json={"answer": answer})
    assert told.status_code == status


def test_where_one_has_to_choose_there_is_no_tie(
    api: TestClient, browser: TestClient, atelier: Atelier
) -> None:
    study = atelier.study(prompts=1, has_ties=False)
    [(_, token)] = atelier.seats(study, 1)
    assert api.get(f"/api/v1/study/{token}").json()["answers"] == ["left", "right"]
    put = f"/api/v1/study/{token}/pairs/1/light"
    assert api.put(put, json={"answer": "tie"}).status_code == 422
    assert "No difference" not in browser.get(f"/study/{token}/pairs/1").text


def test_answers_of_one_moment_are_all_kept(
    api: TestClient, atelier: Atelier, study: Study
) -> None:
    [(_, token)] = atelier.seats(study, 1)

    def put(at: int) -> int:
        path = f"/api/v1/study/{token}/pairs/{at % 4 + 1}/{ROOTS[at % 3]}"
        return api.put(path, json={"answer": "left"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(put, range(24))) == {200}
    assert api.get(f"/api/v1/study/{token}").json()["progress"]["answered"] == 12


def test_withdrawing_deletes_every_answer(
    api: TestClient, browser: TestClient, db: Session, atelier: Atelier, study: Study
) -> None:
    [(one, token), (_, other)] = atelier.seats(study, 2)
    for each in (token, other):
        answer_like(api, each, {})
    inviting.revoke_participant(db, study, one.number)
    db.commit()
    assert "still stored" in browser.get(f"/study/{token}").text
    assert (
        api.put(f"/api/v1/study/{token}/pairs/1/light", json={"answer": "left"}).status_code == 404
    )
    assert "delete my answers" in browser.get(f"/study/{token}/withdraw").text
    assert browser.post(f"/study/{token}/withdraw").status_code == 303
    assert "You have withdrawn" in browser.get(f"/study/{token}").text
    assert api.post(f"/api/v1/study/{other}/withdraw").json()["state"] == "withdrawn"
    assert db.scalar(select(func.count()).select_from(StudyChoice)) == 0


def test_a_closed_study_takes_no_answer(
    api: TestClient, browser: TestClient, db: Session, atelier: Atelier, study: Study
) -> None:
    [(_, token)] = atelier.seats(study, 1)
    inviting.close_study(db, study)
    db.commit()
    assert (
        api.put(f"/api/v1/study/{token}/pairs/1/light", json={"answer": "left"}).status_code == 409
    )
    assert "This study is closed" in browser.get(f"/study/{token}").text
    assert api.get(f"/api/v1/study/{token}").json()["state"] == "closed"


def test_a_link_to_a_study_leads_to_no_audit(
    api: TestClient, browser: TestClient, atelier: Atelier, study: Study
) -> None:
    [(_, token)] = atelier.seats(study, 1)
    for path in (f"/audit/{token}", f"/audit/{token}/withdraw", f"/api/v1/audit/{token}"):
        assert browser.get(path).status_code == 404
    assert api.post(f"/api/v1/audit/{token}/withdraw").status_code == 404


def test_another_site_cannot_withdraw(
    browser: TestClient, db: Session, atelier: Atelier, study: Study
) -> None:
    [(_, token)] = atelier.seats(study, 1)
    told = browser.post(f"/study/{token}/withdraw", headers={"Sec-Fetch-Site": "cross-site"})
    assert told.status_code == 403


def test_a_participant_learns_no_model_and_no_check(
    api: TestClient, browser: TestClient, atelier: Atelier
) -> None:
    study = atelier.study(prompts=3, identical_percent=20, repeated_percent=20)
    [(_, token)] = atelier.seats(study, 1)
    places = api.get(f"/api/v1/study/{token}").json()["progress"]["pairs"]
    seen = [api.get(f"/api/v1/study/{token}/pairs").text]
    seen += [browser.get(f"/study/{token}/pairs/{at}").text for at in range(1, places + 1)]
    told = "".join(seen)
    images = atelier.db.scalars(select(StudyImage.sha256)).all()
    for hidden in ("sdxl", "flux", "G1", "identical", "repeated", *images):
        assert hidden not in told


def test_nothing_tells_who_a_participant_is(
    browser: TestClient,
    api: TestClient,
    db: Session,
    atelier: Atelier,
    study: Study,
    sign_in: SignIn,
    token_for: TokenFor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    agent = "Seldom/7 (of one person alone)"
    tokens = []
    for _ in range(3):
        token = invite(db, study)
        tokens.append(token)
        # Even somebody who is signed in meanwhile takes part as a number.
        sign_in(browser, atelier.cast.ada)
        told = {"User-Agent": agent, "Accept-Language": "rm-CH", "X-Forwarded-For": "203.0.113.7"}
        assert browser.post(f"/study/{token}/consent", headers=told).status_code == 303
        answer_like(api, token, {"light": "left"})
    sign_in(browser, atelier.cast.lea)
    lead = token_for(atelier.cast.lea)
    here = f"{ROOM}/{study.id}"
    files = ("answers.csv", "results.csv", "results.tex", "report")
    seen = [
        *(browser.get(path).text for path in (ROOM, here, f"{here}/notice")),
        *(browser.get(f"{here}/{file}").text for file in files),
        *(
            api.get(f"/api/v1{here}{path}", headers=lead).text
            for path in ("", "/results", "/participants")
        ),
        *(each.getMessage() for each in caplog.records if not each.name.startswith("http")),
    ]
    assert any('"number":3' in page for page in seen)
    hidden = [agent, "rm-CH", "203.0.113.7", atelier.cast.ada.name, atelier.cast.ada.email]
    hidden += [each for token in tokens for each in (token, token_hash(token).hex())]
    assert [each for each in hidden if any(each in page for page in seen)] == []
    # Results and files name a participant by a code that leads to no number.
    codes = db.execute(text("SELECT code FROM participant")).scalars().all()
    by_number = api.get(f"/api/v1{here}/participants", headers=lead).text
    assert not any(code in by_number for code in codes)
