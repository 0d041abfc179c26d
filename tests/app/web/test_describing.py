"""The OpenAPI document says everything that can be answered, and answers keep to it."""

import re
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.main import app, routes
from tests.factories import Make
from tests.people import cast

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_error_is_problem_details(document: dict[str, Any]) -> None:
    named = document["components"]["responses"]
    for path, method, operation in operations(document):
        errors = {status: said for status, said in operation["responses"].items() if status >= "4"}
        for status, said in errors.items():
            meant = named[said["$ref"].rpartition("/")[2]] if "$ref" in said else said
            if path != "/readyz":
                assert list(meant["content"]) == [PROBLEM], (method, path, status)


def test_every_success_says_its_type(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, said in operation["responses"].items():
            assert status in ("204", "304") or status >= "4" or said.get("content"), (method, path)


def test_what_is_no_json_says_its_own_type() -> None:
    """A route that makes its answer itself would be described as JSON unless it says what it sends."""
    silent = [
        route.path
        for route in routes()
        if route.path.startswith("/api/")
        and get_type_hints(route.endpoint).get("return") is Response
        and route.status_code != 204
        and 200 not in route.responses
    ]
    assert silent == []


def test_who_may_ask_is_said(document: dict[str, Any]) -> None:
    assert set(document["components"]["securitySchemes"]) == {"bearer", "session"}
    for path, method, operation in operations(document):
        is_open = path in ("/healthz", "/readyz") or path.startswith(
            ("/api/v1/audit/", "/api/v1/study/")
        )
        assert bool(operation["security"]) is not is_open, (method, path)
        assert ("401" in operation["responses"]) or is_open


def test_no_name_tells_of_modules(document: dict[str, Any]) -> None:
    names = document["components"]["schemas"]
    assert [name for name in names if "__" in name or "." in name] == []
    assert {"CriteriaAttributeOut", "LabelsAttributeOut"} <= names.keys()
    text = str(document)
    used = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert used <= names.keys()


def test_every_route_of_the_api_is_described(document: dict[str, Any]) -> None:
    for route in routes():
        if route.path.startswith("/api/"):
            assert route.path_format in document["paths"]


def test_what_cannot_be_read_yet_is_documented_where_it_is_read(
    api: TestClient,
    make: Make,
    token_for: Callable[[Person], dict[str, str]],
    document: dict[str, Any],
) -> None:
    people = cast(make)
    root = "/api/v1/projects/{project}/labels/attributes"
    path = root.format(project=people.project.slug)
    answer = api.get(path, headers=token_for(people.lea))
    assert answer.status_code == 409, "no version of the criteria is published"
    assert "409" in document["paths"][root]["get"]["responses"]


@pytest.mark.parametrize("path", ["/healthz", "/sign-in", "/api/v1/openapi.json", "/nothing/here"])
def test_head_gets_the_headers_of_get(api: TestClient, path: str) -> None:
    asked, head = api.get(path), api.head(path)
    assert head.status_code == asked.status_code
    assert head.headers["content-type"] == asked.headers["content-type"]
    assert head.content == b""


def test_a_wrong_method_is_told_every_right_one(api: TestClient) -> None:
    answer = api.patch("/api/v1/projects")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", ["runs/estimate", "datasets/pairs/generated"])
def test_a_word_is_not_taken_for_an_id(
    api: TestClient, make: Make, token_for: Callable[[Person], dict[str, str]], path: str
) -> None:
    people = cast(make)
    address = f"/api/v1/projects/{people.project.slug}/{path}"
    answer = api.get(address, headers=token_for(people.lea))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_number_beyond_every_column_is_named(
    api: TestClient, make: Make, token_for: Callable[[Person], dict[str, str]]
) -> None:
    people = cast(make)
    path = f"/api/v1/projects/{people.project.slug}/images/{10**30}/labels"
    answer = api.get(path, headers=token_for(people.lea))
    assert answer.status_code in (404, 422)
    if answer.status_code == 422:
        assert answer.json()["field"]


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800"])
def test_a_text_that_cannot_be_stored_is_named(
    api: TestClient, make: Make, token_for: Callable[[Person], dict[str, str]], text: str
) -> None:
    import json

    answer = api.post(
        "/api/v1/me/tokens",
        content=json.dumps({"name": text}),
        headers={**token_for(make.person()), "Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["field"] in ("name", "body.name")


def test_refusals_before_any_route_are_problem_details_too(api: TestClient) -> None:
    foreign = api.post("/api/v1/projects", json={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (foreign.status_code, foreign.headers["content-type"]) == (403, PROBLEM)
    elsewhere = api.get("/api/v1/me", headers={"Host": "evil.example"})
    assert (elsewhere.status_code, elsewhere.headers["content-type"]) == (400, PROBLEM)


def test_a_role_form_without_a_role_says_so(
    browser: TestClient, make: Make, sign_in: Callable[[TestClient, Person], TestClient]
) -> None:
    people = cast(make)
    sign_in(browser, people.lea)
    path = f"/projects/{people.project.slug}/people/{people.ben.id}/role"
    for data in ({}, {"role": ""}):
        answer = browser.post(path, data=data)
        assert answer.status_code == 422
        assert "choose a role" in answer.text


def test_a_long_note_is_refused_and_not_cut(
    api: TestClient, make: Make, token_for: Callable[[Person], dict[str, str]]
) -> None:
    people = cast(make)
    answer = api.post(
        f"/api/v1/projects/{people.project.slug}/invitations",
        json={"role": "annotator", "note": "x" * 201},
        headers=token_for(people.lea),
    )
    assert answer.status_code == 422
    assert answer.json()["field"].endswith("note")
