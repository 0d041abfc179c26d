"""Every route has a policy, and no answer leaves without its security headers."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from app.accounts.access import POLICIES as PERSON_POLICIES
from app.main import routes
from app.projects.access import POLICIES as PROJECT_POLICIES
from app.web.methods import allowed

ROUTES = routes()
POLICIES = PERSON_POLICIES | PROJECT_POLICIES


def calls(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from calls(each)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.methods} {route.path}")
def test_route_states_who_may(route: APIRoute) -> None:
    found = set(calls(route.dependant)) & POLICIES
    assert found, (
        f"{route.path} has no policy: depend on one of app.accounts or app.projects.access"
    )


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.methods} {route.path}")
def test_what_lies_in_a_project_asks_for_the_project(route: APIRoute) -> None:
    if "{project}" in route.path:
        assert set(calls(route.dependant)) & PROJECT_POLICIES


def test_names_of_routes_are_unique() -> None:
    names = [route.name for route in ROUTES]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_a_number_longer_than_any_key_leads_nowhere(api: TestClient) -> None:
    """Python has an error of its own for numbers of thousands of digits; routes read theirs before anybody is asked."""
    numbered = [
        re.sub(r"{[^}:]*:int}", "9" * 5_000, each.path) for each in ROUTES if ":int}" in each.path
    ]
    assert len(numbered) > 50
    for path in numbered:
        assert api.get(re.sub(r"{[^}]*}", "1", path)).status_code == 404


def test_strangers_reach_nothing(api: TestClient) -> None:
    """Every route but the open ones refuses someone who has not signed in."""
    open_to_all = (
        "/healthz",
        "/readyz",
        "/sign-in",
        "/welcome/",
        "/invitations/",
        "/new-password/",
        "/audit/",
        "/study/",
    )
    answered = []
    for route in ROUTES:
        if route.path.startswith((*open_to_all, "/api/v1/audit/", "/api/v1/study/")):
            continue
        path = re.sub(r"{[^}]*}", "1", route.path)
        for method in route.methods or ():
            answer = api.request(method, path)
            refused = answer.status_code == 401 or (
                answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
            )
            if not refused:
                answered.append((method, path, answer.status_code))
    assert answered == []


@pytest.mark.parametrize("path", ["/sign-in", "/", "/nothing/here", "/api/v1/me", "/healthz"])
def test_security_headers(browser: TestClient, path: str) -> None:
    headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_changes_from_another_site_are_refused(api: TestClient, site: str) -> None:
    answer = api.post("/sign-in", data={"email": "a@b.c"}, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403


def test_changes_from_another_origin_are_refused_where_browsers_send_no_fetch_metadata(
    api: TestClient,
) -> None:
    answer = api.post("/sign-in", data={}, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    own = api.post("/sign-in", data={}, headers={"Origin": "http://127.0.0.1:8000"})
    assert own.status_code == 422


def test_other_host_names_are_refused(api: TestClient) -> None:
    for path in ("/sign-in", "/static/pages/keys.js", "/api/v1/projects"):
        assert api.get(path, headers={"Host": "evil.example"}).status_code == 400


def test_who_is_signed_out_goes_on_from_a_page_after_signing_in(browser: TestClient) -> None:
    """What is sent to an address is no page, and signing in leads to pages."""
    nowhere = []
    for route in ROUTES:
        if "POST" not in (route.methods or ()) or route.path.startswith("/api/"):
            continue
        sent = browser.post(re.sub(r"{[^}]*}", "1", route.path))
        if sent.status_code != 303 or not sent.headers["location"].startswith("/sign-in"):
            continue
        said = parse_qs(urlsplit(sent.headers["location"]).query)
        assert said["unsaved"] == ["true"]
        if "GET" not in allowed(ROUTES, said["next"][0]):
            nowhere.append((route.path, said["next"]))
    assert nowhere == []
