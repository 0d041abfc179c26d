"""Audits over HTTP: pages, JSON, roles, blindness, and the participant's way through."""

import csv
import io
import re
from collections.abc import Callable
from io import BytesIO

import PIL.Image
import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.audits import inviting, judging
from app.audits.models import Audit
from app.csv_cells import cell
from app.images.image_files import keep
from tests.app.audits.conftest import Studio

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
ROOM = "/projects/paintings/audits"
API = "/api/v1/projects/paintings/audits"
TWO = [(0, "positive"), (2, "negative")]


@pytest.fixture
def audit(studio: Studio) -> Audit:
    for _ in range(2):
        studio.annotate(*TWO)
    return studio.audit()


def form(**values: object) -> dict[str, object]:
    return {
        "name": "Autumn",
        "agent_run": "",
        "min_labels": 2,
        "sample_size": 2,
        "seed": 5,
        "notice": "Please read.",
    } | values


# Leads and members ---------------------------------------------------------------------------


def test_an_empty_list_says_what_to_do_first(
    browser: TestClient, studio: Studio, sign_in: SignIn
) -> None:
    page = sign_in(browser, studio.cast.lea).get(ROOM)
    assert page.status_code == 200
    assert "No audits yet" in page.text
    assert f"{ROOM}/new" in page.text


def test_a_lead_draws_a_sample(
    browser: TestClient, db: Session, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    sign_in(browser, studio.cast.lea)
    page = browser.get(f"{ROOM}/new")
    # What is suggested can be drawn: no image has ten labels, so fewer are asked for, of all images.
    assert "images have that many labels" in page.text
    assert "Too few" not in page.text
    answer = browser.post(ROOM, data=form())
    assert answer.status_code == 303
    shown = browser.get(answer.headers["location"])
    assert "Autumn" in shown.text
    assert "seed 5" in shown.text
    assert "Autumn" in browser.get(ROOM).text


def test_the_form_keeps_what_was_typed_and_says_what_is_wrong(
    browser: TestClient, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    sign_in(browser, studio.cast.lea)
    page = browser.post(ROOM, data=form(sample_size=9))
    assert page.status_code == 422
    assert "Only 2 images have 2 or more labels" in page.text
    assert 'value="Autumn"' in page.text
    page = browser.post(ROOM, data=form(seed="x", notice=""))
    assert page.status_code == 422
    assert "This has to be a whole number." in page.text
    assert browser.post(ROOM, data=form(agent_run=99)).status_code == 404


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("min_labels=2&sample_size=2", '<p class="figure">2</p>'),
        ("min_labels=3&sample_size=2", "Too few for a sample of 2"),
        ("min_labels=x", "whole number"),
        ("min_labels=0", "Ask for 1 to"),
        ("min_labels=1&agent_run=99", "no agent run 99"),
        ("min_labels=99999999999999999999", "Ask for 1 to"),
    ],
)
def test_the_population_is_counted_while_typing(
    htmx: TestClient, studio: Studio, audit: Audit, sign_in: SignIn, query: str, shown: str
) -> None:
    page = sign_in(htmx, studio.cast.lea).get(f"{ROOM}/population?{query}")
    assert page.status_code == 200
    assert shown in page.text
    assert "<html" not in page.text


def test_links_are_shown_once(
    browser: TestClient, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    sign_in(browser, studio.cast.lea)
    here = f"{ROOM}/{audit.id}"
    page = browser.post(f"{here}/participants", data={"count": 3})
    links = re.findall(r"Participant (\d+): (http\S+)", page.text)
    assert [number for number, _ in links] == ["1", "2", "3"]
    assert browser.get(links[0][1]).status_code == 200
    assert "/audit/" not in browser.get(here).text
    assert browser.post(f"{here}/participants", data={"count": 0}).status_code == 422
    assert browser.post(f"{here}/participants", data={}).status_code == 422


def test_the_audit_page_in_parts(
    htmx: TestClient, db: Session, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    [(participant, _)] = studio.seats(audit, 1)
    for item in judging.find_items(db, participant, audit):
        judging.judge(db, participant, item.id, "appears")
    db.commit()
    page = sign_in(htmx, studio.cast.lea).get(f"{ROOM}/{audit.id}")
    assert "<html" not in page.text
    assert "Light and Shadow" in page.text
    assert '<td class="num accuracy">100</td>' in page.text  # so few judgements carry no decimals
    assert "100.0" not in page.text
    assert "every 10s" in page.text
    inviting.close_audit(db, audit)
    db.commit()
    assert "every 10s" not in htmx.get(f"{ROOM}/{audit.id}").text


def test_closing_and_revoking(
    browser: TestClient, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    [(_, token), (_, kept)] = studio.seats(audit, 2)
    sign_in(browser, studio.cast.lea)
    here = f"{ROOM}/{audit.id}"
    assert browser.post(f"{here}/participants/1/revoke").status_code == 303
    assert "This link takes no answers any more" in browser.get(f"/audit/{token}").text
    assert browser.get(f"/audit/{token}/look/1").status_code == 404
    assert browser.post(f"{here}/close").status_code == 303
    page = browser.get(f"/audit/{kept}")
    assert "This audit is closed" in page.text
    assert browser.post(f"{here}/participants", data={"count": 1}).status_code == 422


def test_roles(
    browser: TestClient, api: TestClient, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    studio.seats(audit, 1)
    here = f"{ROOM}/{audit.id}"
    assert browser.get(ROOM).status_code == 303
    for person in (studio.cast.ben, studio.cast.ada):
        sign_in(browser, person)
        assert browser.get(ROOM).status_code == 200
        page = browser.get(here)
        assert page.status_code == 200
        assert "Revoke" not in page.text
        assert "Invite participants" not in page.text
        for path in ("/new", "/population", f"/{audit.id}/verdicts.csv"):
            assert browser.get(ROOM + path).status_code == 403
        for path in ("", f"/{audit.id}/participants", f"/{audit.id}/close"):
            assert browser.post(ROOM + path, data=form()).status_code == 403
        assert browser.post(f"{here}/participants/1/revoke").status_code == 403
    sign_in(browser, studio.cast.dora)
    assert browser.get(here).status_code == 404
    assert browser.get(f"/projects/elsewhere/audits/{audit.id}").status_code == 404
    assert browser.post(f"/projects/elsewhere/audits/{audit.id}/close").status_code == 404


def test_every_verdict_as_csv(
    browser: TestClient, db: Session, studio: Studio, sign_in: SignIn
) -> None:
    studio.annotate(*TWO, name="=cmd|' /C calc'!A0.png")
    audit = studio.audit()
    [(participant, _)] = studio.seats(audit, 1)
    for item in judging.find_items(db, participant, audit):
        judging.judge(db, participant, item.id, "does_not_appear")
    db.commit()
    answer = sign_in(browser, studio.cast.lea).get(f"{ROOM}/{audit.id}/verdicts.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [
        (row["participant"], row["polarity"], row["attribute"], row["answer"]) for row in rows
    ] == [
        (participant.code, "positive", "Fine thing 0", "does_not_appear"),
        (participant.code, "negative", "Poor thing 2", "does_not_appear"),
    ]
    assert rows[0]["image_name"] == "'=cmd|' /C calc'!A0.png"
    for private in ("Lea", "example.org", "0.987"):
        assert private not in answer.text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert cell(f"{start}1+1") == f"'{start}1+1"
    assert cell(-1) == "-1"


# Participants --------------------------------------------------------------------------------


def test_the_whole_way_without_javascript(
    browser: TestClient, db: Session, studio: Studio, audit: Audit
) -> None:
    [(_, token)] = inviting.invite_participants(db, audit, 1)
    db.commit()
    seat = f"/audit/{token}"
    page = browser.get(seat)
    assert "Please read this." in page.text
    assert "I agree" in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    # Nothing is shown before consent.
    assert browser.get(f"{seat}/look/1").headers["location"] == seat
    assert browser.post(f"{seat}/consent").headers["location"] == seat
    for position in (1, 2):
        where = browser.get(seat).headers["location"]
        assert where == f"{seat}/look/{position}"
        page = browser.get(where)
        actions = re.findall(r'action="(/audit/\S+/items/\d+)"', page.text)
        assert len(actions) == 2
        for number, action in enumerate(actions):
            answer = browser.post(action, data={"answer": "appears", "based_on": 0})
            assert answer.status_code == 303
            following = actions[min(number + 1, 1)].rsplit("/", 1)[1]
            assert answer.headers["location"] == f"{where}#item-{following}"
    assert browser.get(seat).headers["location"] == f"{seat}/end"
    assert "Everything is answered" in browser.get(f"{seat}/end").text
    assert browser.post(f"{seat}/finish").headers["location"] == seat
    assert "Thank you" in browser.get(seat).text
    assert browser.get(f"{seat}/look/1").headers["location"] == seat
    assert browser.get(f"{seat}/end").headers["location"] == seat


def test_finishing_early_shows_what_is_left(
    browser: TestClient, studio: Studio, audit: Audit
) -> None:
    [(_, token)] = studio.seats(audit, 1)
    answer = browser.post(f"/audit/{token}/finish")
    assert answer.headers["location"] == f"/audit/{token}/end"
    page = browser.get(answer.headers["location"])
    assert "4 questions have no answer yet" in page.text
    assert f"/audit/{token}/look/1" in page.text


def test_an_answer_form_that_is_not_whole(
    browser: TestClient, studio: Studio, audit: Audit
) -> None:
    [(_, token)] = studio.seats(audit, 1)
    item = f"/audit/{token}/items/1"
    assert browser.post(item, data={}).status_code == 409
    assert browser.post(item, data={"answer": "maybe"}).status_code == 422
    assert browser.get(f"/audit/{token}/look/9").status_code == 404


def test_participants_are_blind(
    browser: TestClient, api: TestClient, db: Session, studio: Studio, audit: Audit
) -> None:
    (first, _), (_, token) = studio.seats(audit, 2)
    for item in judging.find_items(db, first, audit):
        judging.judge(db, first, item.id, "does_not_appear")
    db.commit()
    pages = [
        browser.get(f"/audit/{token}/look/1").text,
        api.get(f"/api/v1/audit/{token}/items").text,
    ]
    for text in pages:
        assert "Fine thing 0" in text
        assert "Poor thing 2" in text
        # Neither the agent's measure, value and confidence, nor a polarity, nor the image's file name.
        for hidden in ("0.987", "0.123", "positive", "negative", "measured", "image-", ".png"):
            assert hidden not in text
    assert 'aria-pressed="true"' not in pages[0]
    found = api.get(f"/api/v1/audit/{token}/items").json()["items"]
    assert {each["answer"] for each in found} == {None}
    assert api.get(f"/api/v1/audit/{token}").json()["progress"]["answered"] == 0


def test_images_of_this_audit_only(
    browser: TestClient, db: Session, studio: Studio, servers: None
) -> None:
    painted = BytesIO()
    PIL.Image.new("RGB", (40, 30), "#884422").save(painted, "PNG")
    kept = keep(painted.getvalue())
    shown = studio.annotate(*TWO, sha256=kept.sha256)
    audit = studio.audit()
    foreign = studio.annotate((0, "positive"))
    [(_, token)] = studio.seats(audit, 1)
    [(_, silent)] = inviting.invite_participants(db, audit, 1)
    db.commit()
    answer = browser.get(f"/audit/{token}/images/{shown.id}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["cache-control"].startswith("private")
    assert PIL.Image.open(BytesIO(answer.content)).size == (40, 30)
    assert browser.get(f"/audit/{token}/images/{foreign.id}").status_code == 404
    assert browser.get(f"/audit/{silent}/images/{shown.id}").status_code == 409
    assert browser.get(f"/audit/nonsense/images/{shown.id}").status_code == 404
    inviting.close_audit(db, audit)
    db.commit()
    assert browser.get(f"/audit/{token}/images/{shown.id}").status_code == 409


def test_another_site_cannot_answer(browser: TestClient, studio: Studio, audit: Audit) -> None:
    [(_, token)] = studio.seats(audit, 1)
    answer = browser.post(f"/audit/{token}/consent", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


# JSON ----------------------------------------------------------------------------------------


def test_the_whole_way_as_json(
    api: TestClient, studio: Studio, audit: Audit, token_for: TokenFor
) -> None:
    lead = token_for(studio.cast.lea)
    made = api.post(
        API, headers=lead, json={"name": "By program", "sample_size": 2, "min_labels": 2, "seed": 3}
    )
    assert made.status_code == 201, made.text
    here = f"{API}/{made.json()['id']}"
    assert made.json()["items"] == 4
    links = api.post(f"{here}/participants", headers=lead, json={"count": 1}).json()["items"]
    token = links[0]["link"].rsplit("/", 1)[1]
    seat = f"/api/v1/audit/{token}"
    assert api.get(seat).json()["state"] == "invited"
    assert api.get(f"{seat}/items").status_code == 409
    assert api.post(f"{seat}/consent").json()["next_image"] == 1
    page = api.get(f"{seat}/items?limit=3").json()
    rest = api.get(f"{seat}/items?after={page['next']}").json()
    assert (len(page["items"]), len(rest["items"]), rest["next"]) == (3, 1, None)
    assert api.post(f"{seat}/finish").status_code == 409
    for each in page["items"] + rest["items"]:
        answer = api.put(f"{seat}/items/{each['id']}", json={"answer": "appears", "based_on": 0})
        assert answer.json()["revision"] == 1
    late = api.put(f"{seat}/items/{each['id']}", json={"answer": "cannot_tell", "based_on": 0})
    assert late.status_code == 412
    assert (late.json()["answer"], late.json()["revision"]) == ("appears", 1)
    assert api.post(f"{seat}/finish").json()["state"] == "finished"
    assert api.put(f"{seat}/items/{each['id']}", json={"answer": "appears"}).status_code == 409
    found = api.get(f"{here}/results", headers=lead).json()
    assert found["overall"]["accuracy"] == 1.0
    assert [row["name"] for row in found["dimensions"]] == [
        "Light and Shadow",
        "Color Relationship",
    ]
    people = api.get(f"{here}/participants", headers=lead).json()["items"]
    assert [(each["number"], each["state"], each["answered"]) for each in people] == [
        (1, "finished", 4)
    ]
    assert api.delete(f"{here}/participants/1", headers=lead).status_code == 204
    assert api.get(seat).json()["state"] == "revoked"
    assert api.get(f"{seat}/items").status_code == 404
    assert api.post(f"{here}/close", headers=lead).json()["state"] == "closed"


def test_json_lists_pages_of_audits(
    api: TestClient, studio: Studio, audit: Audit, token_for: TokenFor
) -> None:
    newer = studio.audit(name="Second")
    member = token_for(studio.cast.ben)
    first = api.get(f"{API}?limit=1", headers=member).json()
    assert [each["name"] for each in first["items"]] == ["Second"]
    second = api.get(f"{API}?limit=1&before={first['next']}", headers=member).json()
    assert [each["id"] for each in second["items"]] == [audit.id]
    assert second["next"] is None
    assert api.get(f"{API}/{newer.id}", headers=member).json()["images"] == 2
    assert (
        api.get(f"{API}/{newer.id}/results", headers=member).json()["overall"]["accuracy"] is None
    )


def test_json_roles(api: TestClient, studio: Studio, audit: Audit, token_for: TokenFor) -> None:
    member, stranger = token_for(studio.cast.ben), token_for(studio.cast.dora)
    here = f"{API}/{audit.id}"
    body = {"name": "x", "sample_size": 1}
    assert api.get(API).status_code == 401
    assert api.get(f"{here}/participants", headers=member).status_code == 403
    assert api.get(f"{API}/population", headers=member).status_code == 403
    assert api.post(API, headers=member, json=body).status_code == 403
    assert api.post(f"{here}/participants", headers=member, json={"count": 1}).status_code == 403
    assert api.delete(f"{here}/participants/1", headers=member).status_code == 403
    assert api.post(f"{here}/close", headers=member).status_code == 403
    for path in ("", "/results", "/participants"):
        assert api.get(here + path, headers=stranger).status_code == 404


def test_json_says_what_is_wrong(
    api: TestClient, studio: Studio, audit: Audit, token_for: TokenFor
) -> None:
    lead = token_for(studio.cast.lea)
    for body, field in (
        ({"name": "x", "sample_size": 7}, "sample_size"),
        ({"name": "x", "sample_size": 1, "colour": "red"}, "body.colour"),
        ({"name": "x", "sample_size": 1, "seed": 2**60}, "body.seed"),
    ):
        answer = api.post(API, headers=lead, json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    found = api.get(f"{API}/population?min_labels=2", headers=lead).json()
    assert found == {"images": 2, "is_about": False}
    assert api.get("/api/v1/audit/unknown").status_code == 404


def test_a_token_never_reaches_the_log(
    browser: TestClient,
    studio: Studio,
    audit: Audit,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [(_, token)] = studio.seats(audit, 1)

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(judging, "get_progress", fail)
    assert browser.get(f"/audit/{token}/look/1").status_code == 500
    assert "RuntimeError" in caplog.text
    assert "/look/{position}" in caplog.text
    assert token not in caplog.text
