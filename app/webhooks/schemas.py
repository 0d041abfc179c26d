"""Webhooks as JSON."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.webhooks.models import Webhook, WebhookMessage


class WebhookIn(BaseModel):
    """An address and what it is told of."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(max_length=2000)
    kinds: list[str] = Field(max_length=20)


class WebhookPatch(BaseModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    address: str | None = Field(default=None, max_length=2000)
    kinds: list[str] | None = Field(default=None, max_length=20)
    on: bool | None = None


class WebhookOut(BaseModel):
    """An address; `off_reason` says why nothing is sent to it."""

    id: int
    address: str
    kinds: list[str]
    on: bool
    off_reason: str | None
    failures: int
    created_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> "WebhookOut":
        return cls(
            id=webhook.id,
            address=webhook.address,
            kinds=webhook.kinds,
            on=webhook.state == "on",
            off_reason=webhook.off_reason,
            failures=webhook.failures,
            created_at=webhook.created_at,
        )


class NewWebhookOut(BaseModel):
    """An address that was just added, with the secret that its messages are signed with, shown this once."""

    webhook: WebhookOut
    secret: str


class WebhooksOut(BaseModel):
    items: list[WebhookOut]


class MessageOut(BaseModel):
    """A message: how many events it holds, and what came of sending it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    webhook_id: str = Field(
        description="The header `webhook-id`: the same however often it is sent."
    )
    events: int
    kinds: list[str]
    state: str
    attempts: int
    status: int | None
    said: str | None = Field(description="The beginning of the answer, or what went wrong.")
    created_at: datetime
    tried_at: datetime | None
    next_attempt: datetime | None

    @classmethod
    def of(cls, message: WebhookMessage) -> "MessageOut":
        return cls(
            id=message.id,
            webhook_id=f"msg_{message.message_id.hex}",
            events=message.events,
            kinds=message.kinds,
            state=message.state,
            attempts=message.attempts,
            status=message.status,
            said=message.said,
            created_at=message.created_at,
            tried_at=message.tried_at,
            next_attempt=message.not_before if message.state == "waiting" else None,
        )


class MessagesOut(BaseModel):
    items: list[MessageOut]
    next: int | None
