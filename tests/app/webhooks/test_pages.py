"""Who manages webhooks, and what they see: the secret once, the messages, sending again."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.webhooks.models import Webhook, WebhookMessage
from tests.app.webhooks.conftest import Receiver
from tests.people import Cast

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]


def test_a_lead_adds_tests_and_sends_again(
    db: Session,
    people: Cast,
    receiver: Receiver,
    browser: TestClient,
    sign_in: SignIn,
    send_all: Callable[[], int],
) -> None:
    sign_in(browser, people.lea)
    root = "/projects/paintings/webhooks"
    assert "Nobody is told yet" in browser.get(root).text
    refused = browser.post(root, data={"address": "ftp://x", "kinds": "image.done"})
    assert refused.status_code == 422 and "Only http" in refused.text and "ftp://x" in refused.text
    assert browser.post(root, data={"address": receiver.address}).status_code == 422
    added = browser.post(root, data={"address": receiver.address, "kinds": "image.done"})
    webhook = db.scalars(select(Webhook)).one()
    assert webhook.secret in added.text
    here = f"{root}/{webhook.id}"
    for page in (root, here):
        assert webhook.secret not in browser.get(page).text

    assert browser.post(f"{here}/test").status_code == 303
    assert send_all() == 1
    assert [each["type"] for each in receiver.events()] == ["test"]
    message = db.scalars(select(WebhookMessage)).one()
    page = browser.get(here).text
    assert "delivered" in page and "Send again" in page
    assert browser.post(f"{here}/messages/{message.id}/again").status_code == 303
    twice = browser.post(f"{here}/messages/{message.id}/again")
    assert (twice.status_code, "on its way already" in twice.text) == (409, True)
    assert send_all() == 1
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]

    browser.post(f"{here}/off")
    page = browser.get(here).text
    assert "Turned off by Lea." in page and "Send again" not in page
    assert browser.post(f"{here}/test").status_code == 409
    browser.post(f"{here}/remove")
    db.expire_all()
    assert db.scalars(select(WebhookMessage)).all() == []


@pytest.mark.parametrize("who", ["ada", "ben", "dora"])
def test_only_leads_of_the_project(
    people: Cast, api: TestClient, token_for: TokenFor, who: str
) -> None:
    headers = token_for(getattr(people, who))
    address = "/api/v1/projects/paintings/webhooks"
    body = {"address": "https://example.org/x", "kinds": ["image.done"]}
    assert api.get(address, headers=headers).status_code in (403, 404)
    assert api.post(address, headers=headers, json=body).status_code in (403, 404)


def test_programs_manage_them_too(
    people: Cast,
    api: TestClient,
    token_for: TokenFor,
    receiver: Receiver,
    send_all: Callable[[], int],
) -> None:
    api.headers.update(token_for(people.lea))
    address = "/api/v1/projects/paintings/webhooks"
    body = {"address": receiver.address, "kinds": ["image.done", "dataset.frozen"]}
    made = api.post(address, json=body).json()
    assert made["secret"].startswith("whsec_")
    here = f"{address}/{made['webhook']['id']}"
    assert "secret" not in api.get(here).json()
    changed = api.patch(here, json={"on": False, "kinds": ["dataset.frozen"]}).json()
    assert (changed["on"], changed["kinds"], changed["address"]) == (
        False,
        ["dataset.frozen"],
        receiver.address,
    )
    assert api.patch(here, json={"kinds": ["nothing"]}).status_code == 422
    assert api.patch(here, json={"on": True}).json()["on"] is True
    assert api.post(f"{here}/test").status_code == 202
    assert send_all() == 1
    (message,) = api.get(f"{here}/messages").json()["items"]
    assert (message["state"], message["status"], message["kinds"]) == ("delivered", 204, ["test"])
    assert api.delete(here).status_code == 204
    assert api.get(address).json()["items"] == []
