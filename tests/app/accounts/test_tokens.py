"""Bearer tokens for programs."""

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import ApiToken, Person
from tests.factories import Make


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_a_token_is_made_on_the_account_page_and_works(
    browser: TestClient,
    api: TestClient,
    make: Make,
    sign_in: Callable[[TestClient, Person], TestClient],
    db: Session,
) -> None:
    ada = make.person("Ada")
    page = sign_in(browser, ada).post("/account/tokens", data={"name": "my script"}).text
    text = page.split('id="new-token">')[1].split("<")[0]
    assert api.get("/api/v1/me", headers=bearer(text)).json()["name"] == "Ada"
    assert text not in browser.get("/account").text
    assert text.encode() not in db.scalars(select(ApiToken.token_hash)).all()


def test_a_revoked_token_stops_working(
    api: TestClient, make: Make, token_for: Callable[[Person], dict[str, str]]
) -> None:
    ada = token_for(make.person("Ada"))
    made = api.post("/api/v1/me/tokens", json={"name": "second"}, headers=ada)
    assert made.status_code == 201
    second = bearer(made.json()["token"])
    assert api.delete(f"/api/v1/me/tokens/{made.json()['id']}", headers=ada).status_code == 204
    answer = api.get("/api/v1/me", headers=second)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_nobody_revokes_another_persons_token(
    api: TestClient, make: Make, token_for: Callable[[Person], dict[str, str]]
) -> None:
    ada, ben = token_for(make.person("Ada")), token_for(make.person("Ben"))
    token_id = api.get("/api/v1/me/tokens", headers=ada).json()["items"][0]["id"]
    assert api.delete(f"/api/v1/me/tokens/{token_id}", headers=ben).status_code == 404


def test_a_token_opens_no_page(
    api: TestClient, make: Make, token_for: Callable[[Person], dict[str, str]]
) -> None:
    assert api.get("/account", headers=token_for(make.person("Ada"))).status_code == 303


def test_unknown_fields_are_refused(
    api: TestClient, make: Make, token_for: Callable[[Person], dict[str, str]]
) -> None:
    ada = token_for(make.person("Ada"))
    answer = api.post("/api/v1/me/tokens", json={"name": "x", "person_id": 1}, headers=ada)
    assert answer.status_code == 422
    assert "person_id" in answer.json()["field"]
