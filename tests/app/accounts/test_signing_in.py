"""Signing in and out through the pages."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts import guessing, signing_in
from app.accounts.models import Person, SignIn, SignInFailure
from app.accounts.pages import local_path
from app.accounts.passwords import hash_password
from app.accounts.signing_in import check_password
from app.database import unit_of_work
from app.errors import AppError, Invalid, TooMany
from tests.factories import Make

PASSWORD = "seven brushes in a jar"
SignInAt = Callable[[TestClient, Person], TestClient]


@pytest.fixture
def ada(make: Make) -> Person:
    return make.person("Ada", email="ada@example.org", password_hash=hash_password(PASSWORD))


def try_to(client: TestClient, **values: str) -> Response:
    data = {"email": "ada@example.org", "password": PASSWORD, "next": "/account"} | values
    return client.post("/sign-in", data=data)


def test_signs_in_and_goes_where_one_wanted(browser: TestClient, ada: Person) -> None:
    answer = try_to(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert browser.get("/account").status_code == 200


def test_the_same_words_for_a_wrong_password_and_an_unknown_person(
    browser: TestClient, ada: Person
) -> None:
    wrong = try_to(browser, password="not the one")
    unknown = try_to(browser, email="nobody@example.org")
    assert wrong.status_code == unknown.status_code == 422
    assert "E-mail address or password is wrong." in wrong.text
    assert "E-mail address or password is wrong." in unknown.text


def test_guessing_is_slowed_down(browser: TestClient, ada: Person) -> None:
    for _ in range(6):
        try_to(browser, password="guess")
    answer = try_to(browser)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Too many wrong passwords" in answer.text


def test_tries_in_the_same_moment_are_counted_one_by_one(
    open_client: Callable[..., TestClient], ada: Person, db: Session
) -> None:
    clients = [open_client(**{"Sec-Fetch-Site": "same-origin"}) for _ in range(30)]
    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(lambda client: try_to(client, password="guess"), clients))
    statuses = [each.status_code for each in answers]
    assert (statuses.count(422), statuses.count(429)) == (5, 25)


def test_a_stranger_who_guesses_keeps_nobody_out(ada: Person, db: Session) -> None:
    for _ in range(5):
        with pytest.raises(Invalid):
            check_password(db, ada.email, "guess", address="203.0.113.7")
    with pytest.raises(TooMany):
        check_password(db, ada.email, PASSWORD, address="203.0.113.7")
    assert check_password(db, ada.email, PASSWORD, address="192.0.2.1") is ada


def test_a_browser_that_was_signed_in_before_has_tries_of_its_own(
    browser: TestClient, open_client: Callable[..., TestClient], ada: Person
) -> None:
    assert try_to(browser).status_code == 303
    browser.post("/sign-out")
    stranger = open_client(**{"Sec-Fetch-Site": "same-origin"})
    for _ in range(6):
        try_to(stranger, password="guess")
    assert try_to(stranger).status_code == 429
    assert try_to(browser).status_code == 303
    browser.post("/sign-out")
    for _ in range(6):
        try_to(browser, password="guess")
    assert try_to(browser).status_code == 429


def test_a_mark_of_another_person_or_a_made_up_one_helps_nobody(
    browser: TestClient, ada: Person, make: Make
) -> None:
    make.person("Ben", email="ben@example.org", password_hash=hash_password(PASSWORD))
    assert try_to(browser, email="ben@example.org").status_code == 303
    browser.post("/sign-out")
    for _ in range(6):
        try_to(browser, password="guess")
    assert try_to(browser).status_code == 429
    browser.cookies.set("morelli-known", "ab" * 32, domain="127.0.0.1")
    assert try_to(browser).status_code == 429


def test_many_strangers_together_are_stopped_and_the_known_browser_is_not(
    browser: TestClient, ada: Person, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guessing, "TRIES_PER_ACCOUNT", 6)
    assert try_to(browser).status_code == 303
    browser.post("/sign-out")
    for each in range(6):
        with pytest.raises(Invalid):
            check_password(db, ada.email, "guess", address=f"203.0.113.{each}")
    with pytest.raises(TooMany):
        check_password(db, ada.email, PASSWORD, address="203.0.113.200")
    assert try_to(browser).status_code == 303


def guess_at_once(tries: list[tuple[str, str]]) -> tuple[int, int]:
    """How many of these tries (account and address), all in the same moment, were evaluated and refused."""

    def guess(each: tuple[str, str]) -> type[AppError]:
        with pytest.raises(AppError) as refused, unit_of_work() as db:
            check_password(db, each[0], "guess", address=each[1])
        return refused.type

    with ThreadPoolExecutor(len(tries)) as pool:
        found = list(pool.map(guess, tries))
    return found.count(Invalid), found.count(TooMany)


def test_a_crowd_of_addresses_at_one_account_is_counted_together(
    browser: TestClient, ada: Person, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guessing, "TRIES_PER_ACCOUNT", 8)
    assert try_to(browser).status_code == 303
    browser.post("/sign-out")
    crowd = [(ada.email, f"203.0.113.{each}") for each in range(24)]
    assert guess_at_once(crowd) == (8, 16)
    assert try_to(browser).status_code == 303, "the person's own browser is not locked out"
    db.execute(update(SignInFailure).values(at=datetime.now(UTC) - guessing.WINDOW))
    db.commit()
    assert check_password(db, ada.email, PASSWORD, address="192.0.2.1").id == ada.id


def test_a_crowd_of_accounts_from_one_address_is_counted_together(
    ada: Person, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guessing, "TRIES_PER_ADDRESS", 8)
    crowd = [(f"person{each}@example.org", "203.0.113.7") for each in range(24)]
    assert guess_at_once(crowd) == (8, 16)
    assert check_password(db, ada.email, PASSWORD, address="192.0.2.1") is ada


def test_one_network_of_ipv6_is_one_place(ada: Person, db: Session) -> None:
    crowd = [(ada.email, f"2001:db8:1:2:{each:x}::1") for each in range(12)]
    assert guess_at_once(crowd) == (5, 7)
    assert guess_at_once([(ada.email, "2001:db8:1:3::1")]) == (1, 0)
    mapped = [(ada.email, each) for each in ["::ffff:192.0.2.9", "192.0.2.9"] * 6]
    assert guess_at_once(mapped) == (5, 7)
    assert check_password(db, ada.email, PASSWORD, address="2001:db8:9::1") is ada


def test_the_old_password_is_not_guessed_in_an_open_browser(
    browser: TestClient, ada: Person, sign_in: SignInAt
) -> None:
    sign_in(browser, ada)
    for _ in range(6):
        browser.post(
            "/account/password", data={"old": "guess", "password": "another seven brushes"}
        )
    answer = browser.post(
        "/account/password", data={"old": PASSWORD, "password": "another seven brushes"}
    )
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.text


def test_throttling_ends(browser: TestClient, ada: Person, db: Session) -> None:
    for _ in range(6):
        try_to(browser, password="guess")
    db.execute(update(SignInFailure).values(at=datetime.now(UTC) - timedelta(minutes=16)))
    db.commit()
    assert try_to(browser).status_code == 303


def test_signing_out_ends_the_session(browser: TestClient, ada: Person) -> None:
    try_to(browser)
    token = browser.cookies.get("morelli")
    browser.post("/sign-out")
    browser.cookies.set("morelli", str(token), domain="127.0.0.1")
    assert browser.get("/account").status_code == 303


@pytest.mark.parametrize(
    "values",
    [
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"seen_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"ended_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
    ids=["expired", "idle", "ended"],
)
def test_a_session_ends(
    browser: TestClient,
    ada: Person,
    db: Session,
    sign_in: SignInAt,
    values: dict[str, Any],
) -> None:
    sign_in(browser, ada)
    assert browser.get("/account").status_code == 200
    db.execute(update(SignIn).values(**values))
    db.commit()
    assert browser.get("/account").status_code == 303


def test_a_disabled_person_is_out_at_once(
    browser: TestClient, ada: Person, db: Session, sign_in: SignInAt
) -> None:
    sign_in(browser, ada)
    ada.disabled_at = datetime.now(UTC)
    db.commit()
    assert browser.get("/account").status_code == 303
    assert try_to(browser).status_code == 422


def test_only_the_hash_of_a_token_is_stored(browser: TestClient, ada: Person, db: Session) -> None:
    try_to(browser)
    token = str(browser.cookies.get("morelli"))
    assert token.encode() not in db.scalars(select(SignIn.token_hash)).all()


def test_a_new_password_ends_the_other_sessions(
    browser: TestClient, ada: Person, open_client: Callable[..., TestClient], sign_in: SignInAt
) -> None:
    elsewhere = sign_in(open_client(), ada)
    sign_in(browser, ada)
    answer = browser.post(
        "/account/password", data={"old": PASSWORD, "password": "another seven brushes"}
    )
    assert answer.status_code == 303
    assert browser.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 303


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("wrong", "another seven brushes", "The present password is wrong."),
        (PASSWORD, "short", "Use 10 to 256 characters."),
        (PASSWORD, "1234567890", "first that anyone would try"),
    ],
)
def test_a_bad_new_password_is_refused(
    browser: TestClient, ada: Person, sign_in: SignInAt, old: str, new: str, words: str
) -> None:
    answer = sign_in(browser, ada).post("/account/password", data={"old": old, "password": new})
    assert answer.status_code == 422
    assert words in answer.text
    assert new not in answer.text or new == "short"


def test_changes_name_and_refuses_a_taken_address(
    browser: TestClient, ada: Person, make: Make, sign_in: SignInAt, db: Session
) -> None:
    other = make.person("Ben")
    sign_in(browser, ada)
    taken = browser.post("/account/profile", data={"name": "Ada L.", "email": other.email})
    assert taken.status_code == 422
    assert "Another account has this e-mail address." in taken.text
    done = browser.post("/account/profile", data={"name": " Ada  L. ", "email": "ADA@example.org"})
    assert done.status_code == 303
    db.refresh(ada)
    assert (ada.name, ada.email) == ("Ada L.", "ada@example.org")


def test_theme_is_on_the_page(browser: TestClient, ada: Person, sign_in: SignInAt) -> None:
    sign_in(browser, ada).post("/account/theme", data={"theme": "dark"})
    assert 'data-theme="dark"' in browser.get("/account").text


def test_sessions_are_listed_and_ended_one_by_one(
    browser: TestClient,
    api: TestClient,
    ada: Person,
    make: Make,
    sign_in: SignInAt,
    token_for: Callable[[Person], dict[str, str]],
) -> None:
    sign_in(browser, ada)
    mine = api.get("/api/v1/me/sessions", headers=token_for(ada)).json()["items"]
    assert len(mine) == 1
    ben = token_for(make.person("Ben"))
    assert api.delete(f"/api/v1/me/sessions/{mine[0]['id']}", headers=ben).status_code == 404
    answer = api.delete(f"/api/v1/me/sessions/{mine[0]['id']}", headers=token_for(ada))
    assert answer.status_code == 204
    assert browser.get("/account").status_code == 303


def test_every_session_is_reached_a_page_at_a_time(
    browser: TestClient,
    api: TestClient,
    ada: Person,
    db: Session,
    sign_in: SignInAt,
    token_for: Callable[[Person], dict[str, str]],
) -> None:
    for _ in range(60):
        signing_in.sign_in(db, ada, browser="Firefox", address="192.0.2.1")
    db.commit()
    mine = token_for(ada)
    first = api.get("/api/v1/me/sessions?limit=40", headers=mine).json()
    rest = api.get(f"/api/v1/me/sessions?limit=40&before={first['next']}", headers=mine).json()
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (40, 20, None)
    assert len({each["id"] for each in first["items"] + rest["items"]}) == 60
    page = sign_in(browser, ada).get("/account").text
    older = str(re.search(r"\?before=\d+", page)[0])  # type: ignore[index]
    assert browser.get(f"/account{older}").text.count("192.0.2.1") == 11


@pytest.mark.parametrize(
    "path", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\nb"]
)
def test_links_lead_nowhere_else(path: str) -> None:
    assert local_path(path) == "/"
    assert local_path("/projects/x?after=1") == "/projects/x?after=1"
