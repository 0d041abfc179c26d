"""Which address is due, which message goes next, and what becomes of it. Many events make one message.

A worker takes an address, not a message: at an address that does not answer everything waits together,
and an hour of ten thousand events is a few hundred messages. A message keeps its id however often it is
sent, and so do the events in it: whoever receives something twice can tell.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from app.projects.models import Project
from app.webhooks.models import Webhook, WebhookEvent, WebhookMessage
from app.webhooks.sending import Outcome

TOGETHER = 200
"""Events in one message, at most."""
PAUSES = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800, 28800)
"""Seconds between attempts; a day and a half in all."""
ATTEMPTS = len(PAUSES) + 1
LEASE = timedelta(seconds=90)
KEPT = timedelta(days=30)
GONE = 410


@dataclass(frozen=True)
class Message:
    """What is to be sent, where, and in whose name it is recorded."""

    id: int
    webhook_id: int
    lease: UUID
    address: str
    secret: str
    message_id: str
    body: str


def pause_after(failures: int) -> timedelta:
    """How long to wait after so many failures; a fifth more or less, so that not all come back at once."""
    seconds = PAUSES[min(failures, len(PAUSES)) - 1]
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))


def take_due(db: Session) -> Message | None:
    """Take an address that has something to send, with its next message; None where none is due."""
    now = datetime.now(UTC)
    webhook = db.scalar(
        select(Webhook)
        .where(
            Webhook.state == "on",
            Webhook.not_before <= now,
            or_(Webhook.lease_until.is_(None), Webhook.lease_until < now),
            or_(
                exists().where(WebhookEvent.webhook_id == Webhook.id),
                exists().where(WebhookMessage.webhook_id == Webhook.id, *_due(now)),
            ),
        )
        .order_by(Webhook.not_before)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if webhook is None:
        return None
    message = _next_message(db, webhook, now)
    if message is None:
        return None
    webhook.lease, webhook.lease_until = uuid4(), now + LEASE
    return Message(
        message.id,
        webhook.id,
        webhook.lease,
        webhook.address,
        webhook.secret,
        f"msg_{message.message_id.hex}",
        message.body,
    )


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return WebhookMessage.state == "waiting", WebhookMessage.not_before <= now


def _next_message(db: Session, webhook: Webhook, now: datetime) -> WebhookMessage | None:
    """What failed least comes first, so that one message that an address refuses does not hold up the others."""
    waiting = db.scalar(
        select(WebhookMessage)
        .where(WebhookMessage.webhook_id == webhook.id, *_due(now))
        .order_by(WebhookMessage.attempts, WebhookMessage.id)
        .limit(1)
    )
    if waiting is not None and not waiting.attempts:
        return waiting
    return _made_of_events(db, webhook) or waiting


def _made_of_events(db: Session, webhook: Webhook) -> WebhookMessage | None:
    events = db.scalars(
        select(WebhookEvent)
        .where(WebhookEvent.webhook_id == webhook.id)
        .order_by(WebhookEvent.id)
        .limit(TOGETHER)
        .with_for_update(skip_locked=True)
    ).all()
    if not events:
        return None
    project = db.get_one(Project, webhook.project_id)
    message = WebhookMessage(
        webhook_id=webhook.id,
        message_id=uuid4(),
        events=len(events),
        kinds=sorted({each.kind for each in events}),
        body=_body(project.slug, events),
    )
    db.add(message)
    db.execute(delete(WebhookEvent).where(WebhookEvent.id.in_([each.id for each in events])))
    db.flush()
    return message


def _body(slug: str, events: Sequence[WebhookEvent]) -> str:
    told = [
        {
            "id": f"evt_{each.event_id.hex}",
            "type": each.kind,
            "timestamp": each.at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "data": each.data,
        }
        for each in events
    ]
    message = {
        "type": "morelli.events",
        "timestamp": told[-1]["timestamp"],
        "data": {"project": slug, "events": told},
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def record(db: Session, message: Message, outcome: Outcome) -> None:
    """Keep what came of an attempt and give the address back. What another worker has taken since, or
    somebody has removed, is left alone.
    """
    webhook = db.scalar(
        select(Webhook)
        .where(Webhook.id == message.webhook_id, Webhook.lease == message.lease)
        .with_for_update()
    )
    row = db.get(WebhookMessage, message.id)
    if webhook is None or row is None:
        return
    now = datetime.now(UTC)
    webhook.lease = webhook.lease_until = None
    row.attempts += 1
    row.status, row.said, row.tried_at = outcome.status, outcome.said, now
    if outcome.is_delivered:
        row.state, webhook.failures = "delivered", 0
        return
    webhook.failures += 1
    webhook.not_before = now + pause_after(webhook.failures)
    row.not_before = now + pause_after(row.attempts)
    if row.attempts >= ATTEMPTS:
        row.state = "failed"
    if outcome.status == GONE:
        _turn_off(webhook, "The address answered that it is gone (410).")
    elif webhook.failures >= ATTEMPTS:
        said = f"status {outcome.status}" if outcome.status else outcome.said
        _turn_off(webhook, f"{webhook.failures} attempts failed one after another; last: {said}")


def _turn_off(webhook: Webhook, reason: str) -> None:
    webhook.state, webhook.off_reason = "off", reason[:500]


def forget_old(db: Session) -> int:
    """Remove delivered and failed messages of long ago; returns how many."""
    old = (
        select(WebhookMessage.id)
        .where(
            WebhookMessage.state != "waiting",
            WebhookMessage.created_at < func.clock_timestamp() - KEPT,
        )
        .limit(1000)
    )
    gone = db.scalars(
        delete(WebhookMessage).where(WebhookMessage.id.in_(old)).returning(WebhookMessage.id)
    )
    return len(gone.all())
