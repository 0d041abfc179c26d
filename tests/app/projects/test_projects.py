"""Projects, roles, invitations, the first lead."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import OneTimeLink, Person
from app.projects import pages
from app.projects.inviting import create_first_lead_link, create_invitation
from app.projects.models import Membership
from tests.factories import Make
from tests.people import cast

SignInAt = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
JOIN = {"name": "Nia", "email": "nia@example.org", "password": "seven brushes in a jar"}


def role_of(db: Session, person: Person) -> str | None:
    db.rollback()
    return db.scalar(select(Membership.role).where(Membership.person_id == person.id))


def test_the_first_link_makes_the_first_lead_and_works_once(
    browser: TestClient, db: Session, make: Make
) -> None:
    make.project("paintings")
    token = create_first_lead_link(db)
    db.commit()
    # Scanners of mail and browsers that load ahead open a link; only its button uses it up.
    for _ in range(3):
        page = browser.get(f"/welcome/{token}")
        assert page.status_code == 200
        assert f'action="/welcome/{token}"' in page.text
    assert browser.get("/account").status_code == 303
    answer = browser.post(f"/welcome/{token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/projects/paintings")
    assert "You have no password yet" in browser.get("/account").text
    browser.cookies.clear()
    assert browser.get(f"/welcome/{token}").status_code == 404
    assert browser.post(f"/welcome/{token}").status_code == 404


def test_a_later_link_signs_the_same_lead_in(browser: TestClient, db: Session, make: Make) -> None:
    lead = make.person("Lea", is_operator=True)
    token = create_first_lead_link(db)
    db.commit()
    browser.post(f"/welcome/{token}")
    assert lead.email in browser.get("/account").text


def invite(client: TestClient, role: str) -> str:
    page = client.post("/projects/paintings/people/invitations", data={"role": role}).text
    return (
        page.split('id="invitation-link">')[1]
        .split("<")[0]
        .strip()
        .removeprefix("http://127.0.0.1:8000")
    )


def test_an_invitation_makes_an_account_with_its_role(
    browser: TestClient,
    open_client: Callable[..., TestClient],
    make: Make,
    sign_in: SignInAt,
    db: Session,
) -> None:
    people = cast(make)
    link = invite(sign_in(browser, people.lea), "expert")
    newcomer = open_client()
    assert "You are invited as expert" in newcomer.get(link).text
    answer = newcomer.post(link, data=JOIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/projects/paintings")
    assert newcomer.get("/projects/paintings/people").status_code == 200
    nia = db.scalars(select(Person).where(Person.email == JOIN["email"])).one()
    assert role_of(db, nia) == "expert"
    assert open_client().get(link).status_code == 404


def test_an_invitation_lowers_nobodys_role(
    browser: TestClient, make: Make, sign_in: SignInAt, db: Session
) -> None:
    people = cast(make)
    link = invite(sign_in(browser, people.lea), "annotator")
    assert browser.post(link).status_code == 303
    assert role_of(db, people.lea) == "lead"


@pytest.mark.parametrize(
    "values",
    [{"revoked_at": datetime.now(UTC)}, {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}],
    ids=["revoked", "too old"],
)
def test_a_dead_invitation_lets_nobody_in(
    browser: TestClient,
    open_client: Callable[..., TestClient],
    make: Make,
    sign_in: SignInAt,
    db: Session,
    values: dict[str, Any],
) -> None:
    link = invite(sign_in(browser, cast(make).lea), "expert")
    db.execute(update(OneTimeLink).values(**values))
    db.commit()
    assert open_client().post(link, data=JOIN).status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("email", "no address", "This is not an e-mail address."),
        ("password", "short", "Use 10 to 256 characters."),
        ("name", "", "Please fill this in."),
    ],
)
def test_a_wrong_field_is_told_and_the_invitation_stands(
    browser: TestClient,
    open_client: Callable[..., TestClient],
    make: Make,
    sign_in: SignInAt,
    field: str,
    value: str,
    words: str,
) -> None:
    link = invite(sign_in(browser, cast(make).lea), "expert")
    newcomer = open_client()
    wrong = newcomer.post(link, data={**JOIN, field: value})
    assert wrong.status_code == 422
    assert words in wrong.text
    assert newcomer.post(link, data=JOIN).status_code == 303


def test_someone_elses_address_is_refused(
    browser: TestClient, open_client: Callable[..., TestClient], make: Make, sign_in: SignInAt
) -> None:
    people = cast(make)
    link = invite(sign_in(browser, people.lea), "lead")
    answer = open_client().post(link, data={**JOIN, "email": people.ben.email})
    assert answer.status_code == 422
    assert "Sign in with it first" in answer.text


def test_who_may_invite(browser: TestClient, make: Make, sign_in: SignInAt) -> None:
    people = cast(make)
    where = "/projects/paintings/people/invitations"
    assert sign_in(browser, people.ada).post(where, data={"role": "lead"}).status_code == 403
    assert sign_in(browser, people.dora).post(where, data={"role": "lead"}).status_code == 404


def test_outsiders_learn_nothing(browser: TestClient, make: Make, sign_in: SignInAt) -> None:
    people = cast(make)
    sign_in(browser, people.dora)
    here = browser.get("/projects/paintings/people")
    nowhere = browser.get("/projects/nowhere/people")
    assert here.status_code == nowhere.status_code == 404
    assert here.text == nowhere.text


def test_a_project_keeps_a_lead(
    browser: TestClient, make: Make, sign_in: SignInAt, db: Session
) -> None:
    people = cast(make)
    sign_in(browser, people.lea)
    where = f"/projects/paintings/people/{people.lea.id}"
    for action in (f"{where}/remove", f"{where}/role"):
        answer = browser.post(action, data={"role": "expert"})
        assert answer.status_code == 422
        assert "A project keeps at least one lead." in answer.text
    assert role_of(db, people.lea) == "lead"


def test_roles_change_at_once(
    browser: TestClient, api: TestClient, make: Make, token_for: TokenFor
) -> None:
    people = cast(make)
    ben, lea = token_for(people.ben), token_for(people.lea)
    where = "/api/v1/projects/paintings/invitations"
    assert api.get(where, headers=ben).status_code == 403
    raised = api.put(
        f"/api/v1/projects/paintings/people/{people.ben.id}", json={"role": "lead"}, headers=lea
    )
    assert raised.status_code == 204
    assert api.get(where, headers=ben).status_code == 200


def test_every_invitation_is_reached_a_page_at_a_time(
    browser: TestClient,
    api: TestClient,
    make: Make,
    db: Session,
    sign_in: SignInAt,
    token_for: TokenFor,
) -> None:
    people = cast(make)
    for number in range(105):
        create_invitation(db, people.project, role="expert", note=f"number {number}", by=people.lea)
    db.commit()
    where, lea = "/api/v1/projects/paintings/invitations", token_for(people.lea)
    first = api.get(where, headers=lea).json()
    rest = api.get(f"{where}?before={first['next']}", headers=lea).json()
    notes = [each["note"] for each in first["items"] + rest["items"]]
    assert (notes, rest["next"]) == ([f"number {each}" for each in reversed(range(105))], None)
    sign_in(browser, people.lea)
    page = browser.get("/projects/paintings/people").text
    rest_page = browser.get(f"/projects/paintings/people?invited_before={first['next']}").text
    assert re.findall(r"number \d+", page + rest_page) == notes


def test_the_operator_makes_projects(
    browser: TestClient, api: TestClient, make: Make, sign_in: SignInAt, token_for: TokenFor
) -> None:
    lead, other = make.person("Lea", is_operator=True), make.person("Ben")
    sign_in(browser, lead)
    made = browser.post("/projects", data={"name": "Still life", "slug": "still-life"})
    assert made.headers["location"] == "/projects/still-life"
    again = browser.post("/projects", data={"name": "Still life", "slug": "still-life"})
    assert again.status_code == 422
    assert "Another project has this address." in again.text
    body = {"name": "X", "slug": "x"}
    assert api.post("/api/v1/projects", json=body, headers=token_for(other)).status_code == 403


def test_projects_are_listed_by_address(
    api: TestClient,
    browser: TestClient,
    make: Make,
    sign_in: SignInAt,
    token_for: TokenFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator = make.person("Olga", is_operator=True)
    addresses = [make.project(f"room-{number}").slug for number in (3, 1, 2)]
    headers, where = token_for(operator), "/api/v1/projects"
    first = api.get(where, params={"limit": 2}, headers=headers).json()
    rest = api.get(where, params={"limit": 2, "after": first["next"]}, headers=headers).json()
    assert [each["slug"] for each in first["items"] + rest["items"]] == sorted(addresses)
    assert rest["next"] is None
    monkeypatch.setattr(pages, "PAGE", 2)
    page = sign_in(browser, operator).get("/").text
    assert "room-3" not in page and 'href="?after=room-2"' in page
    last = browser.get("/?after=room-2").text
    assert "room-3" in last and "More projects" not in last


def test_members_are_listed_by_key(api: TestClient, make: Make, token_for: TokenFor) -> None:
    people = cast(make)
    headers = token_for(people.ben)
    where = "/api/v1/projects/paintings/people"
    first = api.get(where, params={"limit": 2}, headers=headers).json()
    rest = api.get(where, params={"limit": 2, "after": first["next"]}, headers=headers).json()
    names = [each["name"] for each in first["items"] + rest["items"]]
    assert names == ["Ada", "Ben", "Lea"]
    assert rest["next"] is None


def test_a_project_without_an_address_gets_one_from_its_name(
    browser: TestClient, db: Session, make: Make, sign_in: SignInAt
) -> None:
    operator = make.person("Olga", is_operator=True)
    made = sign_in(browser, operator).post("/projects", data={"name": "Still Lifes & Café Scenes"})
    assert (made.status_code, made.headers["location"]) == (
        303,
        "/projects/still-lifes-cafe-scenes",
    )


def test_a_refusal_says_who_may_and_leaves_the_way_back(
    browser: TestClient, make: Make, sign_in: SignInAt
) -> None:
    ben = make.member(make.project("paintings"), "annotator", "Ben")
    refused = sign_in(browser, ben).get("/projects/paintings/audits/new")
    assert refused.status_code == 403
    assert "Only leads of this project may do this; your role in it is annotator." in refused.text
    assert 'href="/projects/paintings/images"' in refused.text
