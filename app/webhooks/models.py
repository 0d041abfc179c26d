"""Addresses that are told of events, the events that wait, and the messages that were sent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model


class Webhook(Model):
    """An address that is told of what happens in a project.

    `failures` counts attempts that failed one after another, and `not_before` is when the next one is due.
    One worker at a time sends: it holds `lease` until `lease_until`. Where the address is off, `off_reason`
    says why; the secret has to be readable, because every message is signed with it.
    """

    __tablename__ = "webhook"
    __table_args__ = (
        CheckConstraint("cardinality(kinds) > 0", name="kinds"),
        CheckConstraint("char_length(address) BETWEEN 8 AND 2000", name="address"),
        CheckConstraint("state IN ('on', 'off')", name="state"),
        CheckConstraint("(state = 'off') = (off_reason IS NOT NULL)", name="off_reason"),
        CheckConstraint("failures >= 0", name="failures"),
        CheckConstraint("(lease IS NULL) = (lease_until IS NULL)", name="lease"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    address: Mapped[str]
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    secret: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="on")
    off_reason: Mapped[str | None]
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    not_before: Mapped[Created]
    lease: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    created_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class WebhookEvent(Model):
    """Something that happened and waits to be told to one address. `event_id` is the same however often it is told."""

    __tablename__ = "webhook_event"
    __table_args__ = (UniqueConstraint("webhook_id", "event_id"),)

    id: Mapped[Key]
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    event_id: Mapped[UUID]
    kind: Mapped[str]
    data: Mapped[Json]
    at: Mapped[Created]


class WebhookMessage(Model):
    """Some events in one message, and how sending it went. Its `body` is kept as it is signed."""

    __tablename__ = "webhook_message"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state"),
        CheckConstraint("events > 0 AND attempts >= 0", name="counts"),
        Index(None, "webhook_id", "id"),
        Index(
            "ix_webhook_message_waiting",
            "webhook_id",
            "not_before",
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: Mapped[Key]
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    message_id: Mapped[UUID] = mapped_column(unique=True)
    events: Mapped[int]
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    body: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    not_before: Mapped[Created]
    status: Mapped[int | None]
    said: Mapped[str | None]
    tried_at: Mapped[datetime | None]
    created_at: Mapped[Created]
