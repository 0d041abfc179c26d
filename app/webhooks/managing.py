"""Adding, changing and removing addresses, and looking at what was sent to them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.errors import Conflict, Invalid, NotFound
from app.outgoing import NotFetched, parse_url
from app.projects.models import Project
from app.webhooks.models import Webhook, WebhookEvent, WebhookMessage
from app.webhooks.signing import new_secret
from app.webhooks.telling import KINDS, TEST

MOST = 20
LONGEST_ADDRESS = 2000


def add_webhook(
    db: Session, project: Project, *, address: str, kinds: Sequence[str], by: Person
) -> Webhook:
    """Add an address. Its secret is to be shown to who adds it, and never again.

    Raises Invalid for what is no web address or no kind of event. Whether the address may be reached from
    here is known when it is: a name can lead elsewhere tomorrow.
    """
    if db.scalar(select(func.count()).where(Webhook.project_id == project.id)) >= MOST:  # type: ignore[operator]
        raise Invalid(f"A project has at most {MOST} webhooks; remove one first.", field="address")
    webhook = Webhook(
        project_id=project.id,
        address=_checked_address(address),
        kinds=_checked_kinds(kinds),
        secret=new_secret(),
        created_by=by.id,
    )
    db.add(webhook)
    db.flush()
    return webhook


def change_webhook(
    db: Session, project: Project, webhook_id: int, *, address: str, kinds: Sequence[str]
) -> Webhook:
    """Change where messages go and of what. Raises Invalid as `add_webhook`."""
    webhook = get_webhook(db, project, webhook_id, lock=True)
    webhook.address, webhook.kinds = _checked_address(address), _checked_kinds(kinds)
    return webhook


def _checked_address(address: str) -> str:
    address = address.strip()
    if len(address) > LONGEST_ADDRESS:
        raise Invalid(f"An address has at most {LONGEST_ADDRESS} characters.", field="address")
    try:
        parse_url(address)
    except NotFetched as error:
        raise Invalid(error.reason, field="address") from error
    return address


def _checked_kinds(kinds: Sequence[str]) -> list[str]:
    chosen = [each for each in KINDS if each in kinds]
    if not chosen or len(chosen) != len(set(kinds)):
        raise Invalid(
            f"Choose what it is told of: {', '.join(KINDS)}.", field="kinds", hint="At least one."
        )
    return list(chosen)


def turn_on(db: Session, project: Project, webhook_id: int) -> Webhook:
    """Send to an address again, at once, what waits for it first."""
    webhook = get_webhook(db, project, webhook_id, lock=True)
    webhook.state, webhook.off_reason, webhook.failures = "on", None, 0
    webhook.not_before = datetime.now(UTC)
    return webhook


def turn_off(db: Session, project: Project, webhook_id: int, *, by: Person) -> Webhook:
    """Tell an address nothing more until it is turned on again; what waits for it goes on waiting."""
    webhook = get_webhook(db, project, webhook_id, lock=True)
    if webhook.state == "on":
        webhook.state, webhook.off_reason = "off", f"Turned off by {by.name}."
    return webhook


def remove_webhook(db: Session, project: Project, webhook_id: int) -> None:
    """Remove an address with all that was sent or waits for it."""
    db.delete(get_webhook(db, project, webhook_id, lock=True))
    db.flush()


def send_test(db: Session, project: Project, webhook_id: int, *, by: Person) -> None:
    """Send an event that says nothing, within seconds. Raises Conflict where the address is off."""
    webhook = _get_on(db, project, webhook_id)
    data = {"asked_by": by.name}
    db.add(WebhookEvent(webhook_id=webhook.id, event_id=uuid4(), kind=TEST, data=data))
    webhook.not_before = datetime.now(UTC)


def send_again(db: Session, project: Project, webhook_id: int, message_id: int) -> WebhookMessage:
    """Send a message once more, under the same id. Raises Conflict where it waits or the address is off."""
    webhook = _get_on(db, project, webhook_id)
    message = db.scalar(
        select(WebhookMessage)
        .where(WebhookMessage.id == message_id, WebhookMessage.webhook_id == webhook.id)
        .with_for_update()
    )
    if message is None:
        raise NotFound("There is no such message.")
    if message.state == "waiting":
        raise Conflict("This message is on its way already.")
    now = datetime.now(UTC)
    message.state, message.attempts, message.not_before = "waiting", 0, now
    webhook.not_before = now
    return message


def _get_on(db: Session, project: Project, webhook_id: int) -> Webhook:
    webhook = get_webhook(db, project, webhook_id, lock=True)
    if webhook.state == "off":
        raise Conflict("This webhook is off.", hint="Turn it on first.")
    return webhook


def get_webhook(db: Session, project: Project, webhook_id: int, *, lock: bool = False) -> Webhook:
    """An address of this project. Raises NotFound."""
    query = select(Webhook).where(Webhook.id == webhook_id, Webhook.project_id == project.id)
    webhook = db.scalar(query.with_for_update() if lock else query)
    if webhook is None:
        raise NotFound("There is no such webhook in this project.")
    return webhook


def find_webhooks(db: Session, project: Project) -> Sequence[Webhook]:
    """All addresses of a project, which are few, in the order in which they were added."""
    return db.scalars(
        select(Webhook).where(Webhook.project_id == project.id).order_by(Webhook.id)
    ).all()


def find_messages(
    db: Session, webhook: Webhook, *, before: int | None = None, limit: int = 50
) -> Sequence[WebhookMessage]:
    """What was sent to an address or waits, newest first, a page at a time."""
    query = (
        select(WebhookMessage)
        .where(WebhookMessage.webhook_id == webhook.id)
        .order_by(WebhookMessage.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(WebhookMessage.id < before)
    return db.scalars(query).all()
