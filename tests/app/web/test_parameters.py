"""What the query of an address of the API may hold: what it reads, once; pages pass over the rest."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.main import app, routes
from app.web.parameters import parameters_of
from tests.factories import Make
from tests.people import Cast, cast

TokenFor = Callable[[Person], dict[str, str]]
SignIn = Callable[[TestClient, Person], TestClient]


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def root(people: Cast) -> str:
    return f"/api/v1/projects/{people.project.slug}"


@pytest.mark.parametrize(
    ("query", "name", "hint"),
    [
        ("/criteria/proposals?stat=accepted", "stat", "'state'"),
        ("/criteria/proposals?State=accepted", "State", "'state'"),
        ("/images?page=2", "page", "polarity, q, run, show"),
        ("/images?limit=5&=1", "", "polarity, q, run, show"),
        ("/overview?q=", "q", "none"),
        ("/datasets/survey?only-done=false", "only-done", "'only_done'"),
    ],
)
def test_a_parameter_that_is_not_known_is_named_with_the_nearest(
    api: TestClient, people: Cast, token_for: TokenFor, root: str, query: str, name: str, hint: str
) -> None:
    answer = api.get(root + query, headers=token_for(people.lea))
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == f"query.{name}"
    assert hint in answer.json()["hint"]


def test_one_of_two_values_is_not_dropped(
    api: TestClient, people: Cast, token_for: TokenFor, root: str
) -> None:
    answer = api.get(f"{root}/images?limit=1&limit=2", headers=token_for(people.lea))
    assert answer.status_code == 422
    assert "more than once" in answer.json()["detail"]


def test_a_change_with_a_query_of_its_own_changes_nothing(
    api: TestClient, people: Cast, token_for: TokenFor
) -> None:
    path = "/api/v1/projects?dry_run=true"
    body = {"slug": "tried", "name": "Tried"}
    answer = api.post(path, json=body, headers=token_for(people.lea))
    assert answer.status_code == 422
    kept = api.get("/api/v1/projects/tried", headers=token_for(people.lea))
    assert kept.status_code == 404


def test_pages_and_probes_pass_over_what_others_add(
    browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    sign_in(browser, people.lea)
    for path in (f"/projects/{people.project.slug}/images", "/account", "/healthz"):
        assert browser.get(f"{path}?utm_source=mail&fbclid=1").status_code == 200


def test_the_document_names_every_parameter_that_is_read_and_that_others_are_refused() -> None:
    paths = app.openapi()["paths"]
    for route in routes():
        if not route.path.startswith("/api/"):
            continue
        for method in route.methods or ():
            operation = paths[route.path_format][method.lower()]
            documented = {
                each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
            }
            assert documented == set(parameters_of(route).names), route.path
            assert "422" in operation["responses"], route.path
