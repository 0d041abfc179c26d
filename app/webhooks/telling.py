"""What happened is noted for every address that wants to know, in the transaction in which it happened."""

from collections.abc import Mapping
from typing import Literal, TypeAlias
from uuid import UUID, uuid5

from sqlalchemy import cast, literal, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from app.database import Json
from app.webhooks.models import Webhook, WebhookEvent

Kind: TypeAlias = Literal["image.done", "agent_run.finished", "dataset.frozen"]
KINDS: dict[Kind, str] = {
    "image.done": "An image’s labels were marked as done",
    "agent_run.finished": "An agent run came to its end",
    "dataset.frozen": "A dataset was frozen and built",
}
TEST = "test"
_EVENTS = UUID("5b0a3f0e-8f6c-5a70-9a38-0c1d4ce1f3a2")


def event_id_of(project_id: int, kind: str, subject: str) -> UUID:
    """The id of an event: the same wherever and however often it is noted, so that receivers know it again."""
    return uuid5(_EVENTS, f"{project_id} {kind} {subject}")


def tell(db: Session, project_id: int, kind: Kind, data: Json, *, subject: str) -> None:
    """Note an event; what wants to know of it hears within seconds of the commit.

    `subject` is what makes it this event and no other of its kind in the project.
    """
    wanting = select(
        Webhook.id,
        literal(event_id_of(project_id, kind, subject)),
        literal(kind),
        cast(literal(data, JSONB), JSONB),
    ).where(Webhook.project_id == project_id, Webhook.state == "on", Webhook.kinds.contains([kind]))
    columns = ["webhook_id", "event_id", "kind", "data"]
    db.execute(insert(WebhookEvent).from_select(columns, wanting).on_conflict_do_nothing())


def tell_many(db: Session, project_id: int, kind: Kind, events: Mapping[str, Json]) -> None:
    """Note several events of one kind, each under its subject; nothing where nobody wants to know."""
    wanting = select(Webhook.id).where(
        Webhook.project_id == project_id, Webhook.state == "on", Webhook.kinds.contains([kind])
    )
    rows = [
        {
            "webhook_id": webhook_id,
            "event_id": event_id_of(project_id, kind, subject),
            "kind": kind,
            "data": data,
        }
        for webhook_id in db.scalars(wanting)
        for subject, data in events.items()
    ]
    if rows:
        db.execute(insert(WebhookEvent).on_conflict_do_nothing(), rows)
