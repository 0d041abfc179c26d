"""Whatever is typed, sent twice or sent instead of text: a page answers, and never with an error of ours."""

import re
from collections.abc import Callable, Iterator

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select
from starlette.testclient import TestClient

from app import database
from app.accounts.models import Person
from app.main import routes
from app.settings import settings
from tests.app.web.odd_input import ODD, fields_of, odd_forms, odd_queries, queries_of
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
# Answers for as long as one listens.
ENDLESS = {"stream_run"}
PATHS = ["-1", "9" * 31, "%00", "%ED%A0%80", "..%2F..", "²"]


def pages(method: str) -> list[APIRoute]:
    found = [each for each in routes() if not each.path.startswith("/api/")]
    return [each for each in found if method in (each.methods or ()) and each.name not in ENDLESS]


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def ids(people: Cast, make: Make) -> dict[str, str]:
    """Something there for every kind of address."""
    root = make.dimension(people.project)
    version = make.version(people.project)
    return {
        "project": people.project.slug,
        "person_id": str(people.ben.id),
        "key": make.pair(people.project, root).key,
        "image_id": str(make.image(people.project).id),
        "run_id": str(make.agent_run(people.project, version).id),
        "job_id": str(make.job(people.project).id),
        "number": "1",
        "revision": "1",
    }


def address(route: APIRoute, ids: dict[str, str], **other: str) -> str:
    return re.sub(r"{(\w+)[^}]*}", lambda m: (ids | other).get(m[1], "1"), route.path)


def odd_addresses(route: APIRoute, ids: dict[str, str]) -> Iterator[str]:
    for name in re.findall(r"{(\w+)", route.path):
        for value in PATHS:
            yield address(route, ids, **{name: value})


@pytest.mark.parametrize("route", pages("POST"), ids=lambda each: each.name)
def test_a_form_is_answered_whatever_it_holds(
    browser: TestClient, people: Cast, ids: dict[str, str], sign_in: SignIn, route: APIRoute
) -> None:
    for kind, body in odd_forms(fields_of(route)):
        # Signing out and ending a session are among the forms.
        sign_in(browser, people.lea)
        answer = browser.post(address(route, ids), content=body, headers={"Content-Type": kind})
        assert answer.status_code < 500, (kind, body)
    for path in odd_addresses(route, ids):
        assert browser.post(path).status_code < 500, path
    for query in odd_queries(queries_of(route)) if queries_of(route) else ():
        assert browser.post(f"{address(route, ids)}?{query.decode()}").status_code < 500, query


def test_a_page_is_answered_whatever_its_address_holds(
    browser: TestClient, people: Cast, ids: dict[str, str], sign_in: SignIn
) -> None:
    sign_in(browser, people.lea)
    for route in pages("GET"):
        for query in odd_queries(queries_of(route) or ["odd"]):
            answer = browser.get(f"{address(route, ids)}?{query.decode()}")
            assert answer.status_code < 500 or route.path == "/readyz", (route.path, query)
        for path in odd_addresses(route, ids):
            assert browser.get(path).status_code < 500, path


def test_what_cannot_be_kept_is_said_beside_its_field(
    browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    sign_in(browser, people.lea)
    for path in ("/account/tokens", "/account/profile"):
        answer = browser.post(path, data={"name": "a\0b", "email": "lea@example.org"})
        assert answer.status_code == 422
        assert "a character that cannot be kept" in answer.text


def test_a_file_in_the_place_of_text_is_refused_and_not_shown_as_text(
    browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    sign_in(browser, people.lea)
    answer = browser.post("/account/tokens", files={"name": ("odd.txt", b"odd")})
    assert answer.status_code == 422
    assert "This has to be text." in answer.text
    assert "UploadFile" not in answer.text


def test_a_write_that_the_database_refuses_has_an_error_page_as_any_other(
    browser: TestClient, people: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(browser, people.lea)
    monkeypatch.setenv("MORELLI_REQUEST_LOCK_SECONDS", "0.2")
    settings.cache_clear()
    with database.serving_requests(), database.engine().connect() as other, other.begin():
        other.execute(select(Person.id).with_for_update())
        answer = browser.post("/account/profile", data={"name": "Lou", "email": "a@example.org"})
    settings.cache_clear()
    assert answer.status_code == 503, answer.text
    assert "Somebody else is changing the same thing" in answer.text
    assert "Lea</a>" in answer.text, "the page shows who is signed in"


def test_odd_values_are_odd() -> None:
    assert len(set(ODD)) == len(ODD)
    assert max(len(fields_of(each)) for each in pages("POST")) > 50
