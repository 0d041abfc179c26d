"""Nobody who is not signed in costs memory or disk, and nobody at all sends without end."""

import asyncio
import itertools
import re
import tempfile
from collections.abc import Callable, Iterator

import pytest
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.access import cookie_name
from app.accounts.models import Person
from app.accounts.signing_in import sign_in as start_sign_in
from app.main import app, routes
from app.settings import settings
from app.web import bodies
from tests.app.web.asking import Heard, ask
from tests.factories import Make
from tests.people import Cast, cast

PIECE = bytes(64 * 1024)
KINDS = [
    "application/json",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "text/plain",
    "application/octet-stream",
    "",
]
GIGABYTE = 1024**3
SMALL = bodies.ANYONE_BYTES + len(PIECE)


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def cookie(people: Cast, db: Session) -> str:
    token = start_sign_in(db, people.lea, browser="test", address="127.0.0.1")
    db.commit()
    return f"{cookie_name()}={token}"


def endless(first: bytes = b"") -> Iterator[bytes]:
    if first:
        yield first
    yield from itertools.repeat(PIECE)


def send(path: str, method: str = "POST", cookie: str = "", **headers: str) -> Heard:
    """Send a body that never ends."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if "content-length" not in named:
        named["transfer-encoding"] = "chunked"
    return asyncio.run(ask(app, path, cookie, method=method, headers=named, body=endless()))


@pytest.mark.parametrize("length", ["", str(GIGABYTE), "10"], ids=["chunked", "honest", "lying"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/projects",
        "/projects/paintings/images/import/files",
        "/api/v1/projects/paintings/imports",
        "/sign-in",
        "/audit/abc",
        "/study/abc",
        "/account/profile",
        "/nowhere",
        "/api/v1/nowhere",
    ],
)
def test_strangers_bodies_are_refused_by_their_first_bytes(
    clean_database: None, path: str, length: str
) -> None:
    said = {"content_length": length} if length else {}
    for method, kind in itertools.product(("POST", "PUT", "GET", "DELETE"), KINDS):
        heard = send(path, method, content_type=kind, **said)
        if method == "GET":
            assert heard.status in (200, 303, 401, 404, 405)
        else:
            assert heard.status in (303, 401, 404, 405, 413)
        assert heard.taken <= SMALL
        assert heard.headers["connection"] == "close"
        if path.startswith("/api/") and heard.status >= 400:
            assert heard.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "route", [each for each in routes() if each.methods != {"GET"}], ids=lambda each: each.name
)
def test_no_route_reads_a_strangers_endless_body(clean_database: None, route: APIRoute) -> None:
    path = re.sub(r"{[^}]*}", "1", route.path)
    method = next(iter(route.methods or {"POST"}))
    for token in ("", "Bearer mrl_nobody"):
        heard = send(path, method, authorization=token)
        assert heard.status in (401, 404, 413)
        assert heard.taken <= SMALL


def test_a_small_form_of_a_stranger_leads_to_the_sign_in_page(browser: TestClient) -> None:
    answer = browser.post("/account/profile", data={"name": "A", "email": "a@example.org"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("kind", KINDS)
def test_people_who_are_signed_in_have_a_limit_too(cookie: str, kind: str) -> None:
    heard = send("/api/v1/projects", cookie=cookie, content_type=kind)
    assert heard.status == 413
    most = bodies.FORM_BYTES if kind.startswith("multipart") else bodies.JSON_BYTES
    assert heard.taken <= most + len(PIECE)
    assert b"the limit here" in heard.body


@pytest.mark.parametrize("path", ["/projects/paintings/images/import/files"])
def test_only_a_lead_may_upload_and_is_asked_first(people: Cast, db: Session, path: str) -> None:
    token = start_sign_in(db, people.ben, browser="test", address="127.0.0.1")
    db.commit()
    heard = send(
        path, cookie=f"{cookie_name()}={token}", content_type="multipart/form-data; boundary=x"
    )
    assert heard.status == 403
    assert heard.taken <= len(PIECE)
    assert not settings().uploads_folder.exists() or not list(settings().uploads_folder.iterdir())


def test_compressed_bodies_are_not_unpacked(cookie: str) -> None:
    heard = send("/api/v1/projects", cookie=cookie, content_encoding="gzip")
    assert heard.status == 415
    assert heard.taken == 0


def test_a_body_that_drips_is_given_up(cookie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PATIENCE_SECONDS", 0.1)
    for path, who in (("/sign-in", ""), ("/api/v1/projects", cookie)):
        heard = asyncio.run(
            ask(
                app,
                path,
                who,
                method="POST",
                body=iter([b"{", b""]),
                headers={"transfer-encoding": "chunked"},
            )
        )
        assert heard.status == 408


def test_many_forms_that_drip_keep_nobody_from_signing_in(clean_database: None) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded", "content-length": "100"}

    async def go() -> int:
        slow = [
            asyncio.ensure_future(
                ask(app, "/sign-in", method="POST", headers=kind, body=iter([b"email=", b""]))
            )
            for _ in range(bodies.ANYONES_BODIES + 10)
        ]
        await asyncio.sleep(0.5)
        assert not any(each.done() for each in slow)
        form = iter([b"email=a@example.org&password=wrong"])
        asked = ask(app, "/sign-in", method="POST", headers=kind, body=form)
        heard = await asyncio.wait_for(asked, 5)
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return heard.status

    assert asyncio.run(go()) == 422


def test_who_drips_an_upload_leaves_the_turn_to_others(
    cookie: str, people: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/projects/{people.project.slug}/images/import/files"
    kind = {"content-type": "multipart/form-data; boundary=x", "content-length": "1000"}

    async def go() -> int:
        slow = [
            asyncio.ensure_future(
                ask(app, path, cookie, method="POST", headers=kind, body=iter([b"--x\r\n", b""]))
            )
            for _ in range(settings().requests_at_once + 2)
        ]
        await asyncio.sleep(1)
        assert not any(each.done() for each in slow)
        page = await ask(app, "/account", cookie)
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return page.status

    assert asyncio.run(go()) == 200


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 5000)),
        (
            "multipart/form-data; boundary=x",
            b"".join(
                b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n1\r\n' % each
                for each in range(5000)
            )
            + b"--x--\r\n",
        ),
    ],
    ids=["urlencoded", "multipart"],
)
def test_a_form_has_so_many_fields_and_no_more(
    browser: TestClient,
    people: Cast,
    sign_in: Callable[[TestClient, Person], TestClient],
    kind: str,
    body: bytes,
) -> None:
    sign_in(browser, people.lea)
    answer = browser.post("/account/profile", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "Too many fields" in answer.text


def test_a_larger_form_goes_over_the_disk_and_comes_in_whole(
    browser: TestClient,
    people: Cast,
    sign_in: Callable[[TestClient, Person], TestClient],
) -> None:
    sign_in(browser, people.lea)
    text = "x" * 900_000
    answer = browser.post(
        "/account/profile", files={"name": (None, text), "email": (None, "a@b.c")}
    )
    assert answer.status_code == 422
    assert text in answer.text


def test_a_full_disk_is_said_where_a_body_is_taken_in(
    browser: TestClient,
    people: Cast,
    sign_in: Callable[[TestClient, Person], TestClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: object, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    sign_in(browser, people.lea)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", full)
    answer = browser.post("/account/profile", data={"name": "Lea"})
    assert answer.status_code == 507
    assert "disk is full" in answer.text
