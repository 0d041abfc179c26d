"""Messages: signed, together, again where they failed, once more after a killed worker, and an end to it."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.labels.finishing import set_done
from app.settings import settings
from app.webhooks import delivering, managing
from app.webhooks.delivering import ATTEMPTS, take_due
from app.webhooks.models import Webhook, WebhookEvent, WebhookMessage
from app.webhooks.sending import Outcome
from app.webhooks.telling import tell
from tests.app.webhooks.conftest import Receiver
from tests.factories import Make
from tests.people import Cast

SendAll = Callable[[], int]


@pytest.fixture
def webhook(db: Session, people: Cast, receiver: Receiver) -> Webhook:
    made = managing.add_webhook(
        db, people.project, address=receiver.address, kinds=["image.done"], by=people.lea
    )
    db.commit()
    return made


def happen(people: Cast, *numbers: int) -> None:
    with unit_of_work() as db:
        for each in numbers:
            tell(db, people.project.id, "image.done", {"image": each}, subject=f"{each}")


def again(db: Session, webhook: Webhook) -> Webhook:
    db.rollback()
    db.expire_all()
    return db.get_one(Webhook, webhook.id)


def test_many_events_are_one_message_signed_as_the_standard_says(
    db: Session, people: Cast, webhook: Webhook, receiver: Receiver, send_all: SendAll
) -> None:
    happen(people, *range(delivering.TOGETHER + 5))
    assert send_all() == 2
    assert [each["data"]["image"] for each in receiver.events()] == list(range(205))
    assert len({each["id"] for each in receiver.events()}) == 205
    headers, body = receiver.got[0]
    assert headers["content-type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    # Written out as a receiver would, not by our own functions.
    key = base64.b64decode(webhook.secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    told = json.loads(body)
    assert (told["type"], told["data"]["project"]) == ("morelli.events", "paintings")
    assert told["data"]["events"][0]["type"] == "image.done"
    assert send_all() == 0


def test_what_failed_comes_again_under_the_same_id_and_holds_up_no_other(
    db: Session,
    people: Cast,
    webhook: Webhook,
    receiver: Receiver,
    send_all: SendAll,
    time_passes: Callable[[], None],
) -> None:
    receiver.statuses = [500, 301]
    happen(people, 1)
    assert send_all() == 1  # the address rests after a failure
    happen(people, 2)
    assert send_all() == 0
    time_passes()
    assert send_all() == 1  # the fresh one goes first; a redirect is no delivery
    time_passes()
    assert send_all() == 2
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    bodies = [body for _, body in receiver.got]
    assert len(receiver.got) == 4 and ids[0] != ids[1]
    assert sorted(ids[:2]) == sorted(ids[2:]) and sorted(bodies[:2]) == sorted(bodies[2:])
    messages = db.scalars(select(WebhookMessage).order_by(WebhookMessage.id)).all()
    assert [(each.state, each.attempts, each.status) for each in messages] == [
        ("delivered", 2, 204),
        ("delivered", 2, 204),
    ]
    assert again(db, webhook).failures == 0


def test_a_killed_worker_costs_time_and_no_event(
    db: Session, people: Cast, webhook: Webhook, receiver: Receiver, send_all: SendAll
) -> None:
    happen(people, 1)
    with unit_of_work() as other:
        held = take_due(other)
    assert held is not None
    assert send_all() == 0  # another worker holds it
    with unit_of_work() as other:
        past = datetime.now(UTC) - timedelta(seconds=1)
        other.execute(update(Webhook).values(lease_until=past))
    assert send_all() == 1
    assert receiver.got[0][0]["webhook-id"] == held.message_id
    # Whoever comes back late changes nothing any more.
    with unit_of_work() as other:
        delivering.record(other, held, Outcome(None, "late"))
    message = db.scalars(select(WebhookMessage)).one()
    assert (message.state, message.attempts) == ("delivered", 1)


def test_an_address_that_never_answers_well_is_turned_off_and_says_so(
    db: Session,
    people: Cast,
    webhook: Webhook,
    receiver: Receiver,
    send_all: SendAll,
    time_passes: Callable[[], None],
) -> None:
    receiver.statuses = [503] * 100
    happen(people, 1)
    for _ in range(ATTEMPTS + 2):
        send_all()
        time_passes()
    assert len(receiver.got) == ATTEMPTS
    off = again(db, webhook)
    assert off.state == "off" and off.off_reason is not None and "503" in off.off_reason
    message = db.scalars(select(WebhookMessage)).one()
    assert (message.state, message.said) == ("failed", "no, <b>not</b> now")
    happen(people, 2)
    assert db.scalar(select(func.count()).select_from(WebhookEvent)) == 0

    receiver.statuses = [410]
    managing.turn_on(db, people.project, webhook.id)
    managing.send_test(db, people.project, webhook.id, by=people.lea)
    db.commit()
    assert send_all() == 1
    assert "410" in (again(db, webhook).off_reason or "")


def test_nothing_inside_the_network_is_asked(
    db: Session,
    people: Cast,
    webhook: Webhook,
    receiver: Receiver,
    send_all: SendAll,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings(), "allow_private_fetch", [])
    happen(people, 1)
    assert send_all() == 1
    assert receiver.got == []
    message = db.scalars(select(WebhookMessage)).one()
    assert message.status is None and "private network" in (message.said or "")


def test_a_finished_image_is_told_when_it_is_committed_and_to_whom_it_concerns(
    db: Session,
    make: Make,
    people: Cast,
    webhook: Webhook,
    receiver: Receiver,
    send_all: SendAll,
) -> None:
    image, foreign = make.image(people.project), make.image(make.project("other"))
    set_done(db, people.project, image.id, done=True, by=people.ben)
    assert send_all() == 0
    db.rollback()
    assert send_all() == 0
    set_done(db, people.project, image.id, done=True, by=people.ben)
    with unit_of_work() as other:
        tell(other, foreign.project_id, "image.done", {}, subject="1")
        tell(other, people.project.id, "dataset.frozen", {}, subject="1")
    db.commit()
    assert send_all() == 1
    (event,) = receiver.events()
    assert (event["data"]["image"], event["data"]["file"]) == (image.id, image.name)
