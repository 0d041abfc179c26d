"""A filter that is kept has an address, belongs to who keeps it, and is seen by others where it is shared."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.errors import Invalid, NotAllowed, NotFound
from app.filters.keeping import drop_filter, find_filters, get_filter, keep_filter
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


def test_a_filter_leads_to_what_it_finds_now(
    browser: TestClient, sign_in: SignIn, people: Cast
) -> None:
    client = sign_in(browser, people.ben)
    root = f"/projects/{people.project.slug}/filters"
    wall = "show=done&q=harbor&key=&polarity=negative&state=rejected&by=3&after=77"
    assert "Keep this filter" in client.get(root, params={"query": wall}).text
    sent = {"name": " My  rejects ", "query": wall, "is_shared": "true"}
    assert client.post(root, data=sent).headers["location"] == root
    page = client.get(root).text
    assert "My rejects" in page
    address = page.split(f'href="{root}/')[1].split('"')[0]
    leads = client.get(f"{root}/{address}").headers["location"]
    assert leads.startswith(
        f"/projects/{people.project.slug}/images?show=done&q=harbor&key=&polarity=negative"
    )
    assert "after" not in leads
    assert client.get(leads).status_code == 200
    refused = client.post(root, data={"name": "Nothing", "query": "show=all"})
    assert (refused.status_code, "nothing to keep" in refused.text) == (422, True)


def test_others_see_what_is_shared_and_change_nothing(db: Session, people: Cast) -> None:
    mine = {"by": people.ben, "query": "show=done"}
    shared = keep_filter(db, people.project, name="Shared", is_shared=True, **mine)  # type: ignore[arg-type]
    own = keep_filter(db, people.project, name="Own", is_shared=False, **mine)  # type: ignore[arg-type]
    assert [each.filter.name for each in find_filters(db, people.project, people.lea)] == ["Shared"]
    assert get_filter(db, people.project, shared.id, people.lea) is shared
    with pytest.raises(NotFound):
        get_filter(db, people.project, own.id, people.lea)
    with pytest.raises(NotAllowed):
        drop_filter(db, people.project, shared.id, by=people.lea)
    again = keep_filter(
        db, people.project, name="Own", query="show=new", is_shared=False, by=people.ben
    )
    assert (again.id, again.query) == (own.id, "show=new&q=")
    drop_filter(db, people.project, own.id, by=people.ben)
    assert [each.filter.name for each in find_filters(db, people.project, people.ben)] == ["Shared"]


def test_what_no_wall_knows_is_not_kept(db: Session, people: Cast) -> None:
    def keep(query: str) -> None:
        keep_filter(db, people.project, name="x", query=query, is_shared=False, by=people.ben)

    for query in ("show=everything", "key=x&state=maybe", "least=7", ""):
        with pytest.raises(Invalid):
            keep(query)
    for query in ("key=gone", "run=77", "dataset=5"):
        with pytest.raises(NotFound):
            keep(query)
