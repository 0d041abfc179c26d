"""What is answered where something went wrong between browser and server."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app import database
from app.accounts.models import Person
from tests.factories import Make
from tests.people import cast


def test_a_client_that_leaves_while_sending_is_no_error(
    servers: None, caplog: pytest.LogCaptureFixture
) -> None:
    from app.main import app

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/sign-in",
        "raw_path": b"/sign-in",
        "query_string": b"",
        "root_path": "",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"sec-fetch-site", b"same-origin"),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"content-length", b"100"),
        ],
    }
    arriving = [
        {"type": "http.request", "body": b"email=ada", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return arriving.pop(0) if arriving else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    with caplog.at_level(logging.INFO):
        asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 400
    assert not caplog.records


@pytest.mark.parametrize(
    ("method", "path", "on", "leads"),
    [
        ("GET", "/account?tab=1", "", "next=%2Faccount%3Ftab%3D1"),
        ("POST", "/projects/p/bulk/7/take", "", "next=%2Fprojects%2Fp%2Fbulk%2F7&unsaved=true"),
        (
            "GET",
            "/projects/p/criteria/branches",
            "http://127.0.0.1:8000/a?b=c",
            "next=%2Fa%3Fb%3Dc",
        ),
        (
            "POST",
            "/projects/p/queue/order",
            "http://[",
            "next=%2Fprojects%2Fp%2Fqueue&unsaved=true",
        ),
    ],
)
def test_who_is_signed_out_comes_back_to_the_page_they_were_on(
    clean_database: None, browser: TestClient, method: str, path: str, on: str, leads: str
) -> None:
    headers = {"HX-Current-URL": on, "HX-Request": "true"} if on else {}
    answer = browser.request(method, path, headers=headers)
    to = answer.headers.get("HX-Redirect") or answer.headers["location"]
    assert to == f"/sign-in?{leads}"
    assert ("was not saved" in browser.get(to).text) is ("unsaved" in leads)


def test_a_database_that_is_away_is_told_as_such(
    browser: TestClient, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = database.make_engine(
        "postgresql+psycopg://morelli@/morelli?host=/nowhere", database.limits()
    )
    monkeypatch.setattr(database, "engine", lambda: away)
    browser.cookies.set("morelli", "some token", domain="127.0.0.1")
    page = browser.get("/account")
    assert page.status_code == 503
    assert "The database did not answer." in page.text
    answer = api.get("/api/v1/me", headers={"Authorization": "Bearer mrl_x"})
    assert answer.status_code == 503
    assert "sending the same action again is harmless" in answer.json()["hint"]
    assert "/nowhere" not in page.text + answer.text


def test_numbers_the_database_cannot_hold_are_refused(
    browser: TestClient,
    make: Make,
    sign_in: Callable[[TestClient, Person], TestClient],
) -> None:
    people = cast(make)
    answer = sign_in(browser, people.lea).get(f"/projects/paintings/jobs/{10**30}")
    assert answer.status_code == 422
    assert "too large" in answer.text


def test_a_server_short_of_memory_says_so_and_asks_to_try_again() -> None:
    from app.web.errors import install_error_pages

    short = FastAPI()
    install_error_pages(short)

    @short.get("/api/v1/large")
    def ask_for_more() -> None:
        bytearray(2**62)

    with TestClient(short, raise_server_exceptions=False) as client:
        answer = client.get("/api/v1/large")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "not enough memory" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"name":', 422, "This is not JSON: Expecting value at character 8"),
        (b'{"name": "\xff"}', 400, "The body is not UTF-8."),
        (b"[" * 100_000, 400, "The body is nested too deep."),
        (b'{"name": ' + b"9" * 5000 + b"}", 400, "number of too many digits"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_why(
    api: TestClient,
    make: Make,
    token_for: Callable[[Person], dict[str, str]],
    body: bytes,
    status: int,
    said: str,
) -> None:
    headers = token_for(cast(make).lea) | {"Content-Type": "application/json"}
    answer = api.post("/api/v1/projects", content=body, headers=headers)
    told = answer.json()
    assert (answer.status_code, told["field"]) == (status, "body")
    assert said in told["detail"]


def test_an_address_that_leads_nowhere_tells_nobody_to_sign_in(
    browser: TestClient, make: Make, sign_in: Callable[[TestClient, Person], TestClient]
) -> None:
    nowhere = sign_in(browser, cast(make).ada).get("/nowhere")
    assert nowhere.status_code == 404
    assert "Sign in" not in nowhere.text and 'href="/account"' in nowhere.text
