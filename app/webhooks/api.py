"""Webhooks for programs."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.accounts.access import CurrentPerson
from app.images.access import Cursor, PathKey
from app.projects.access import LeadProject
from app.web.dependencies import Db
from app.webhooks import managing
from app.webhooks.schemas import (
    MessageOut,
    MessagesOut,
    NewWebhookOut,
    WebhookIn,
    WebhookOut,
    WebhookPatch,
    WebhooksOut,
)

router = APIRouter(prefix="/api/v1/projects/{project}/webhooks", tags=["webhooks"])


@router.get("")
def api_list_webhooks(project: LeadProject, db: Db) -> WebhooksOut:
    """The addresses that are told of what happens."""
    found = managing.find_webhooks(db, project)
    return WebhooksOut(items=[WebhookOut.of(each) for each in found])


@router.post("", status_code=201)
def api_add_webhook(
    project: LeadProject, body: WebhookIn, db: Db, person: CurrentPerson
) -> NewWebhookOut:
    """Add an address. The answer holds the secret that its messages are signed with, once."""
    added = managing.add_webhook(db, project, address=body.address, kinds=body.kinds, by=person)
    return NewWebhookOut(webhook=WebhookOut.of(added), secret=added.secret)


@router.get("/{webhook_id}")
def api_get_webhook(project: LeadProject, webhook_id: PathKey, db: Db) -> WebhookOut:
    """One address."""
    return WebhookOut.of(managing.get_webhook(db, project, webhook_id))


@router.patch("/{webhook_id}")
def api_change_webhook(
    project: LeadProject,
    webhook_id: PathKey,
    body: WebhookPatch,
    db: Db,
    person: CurrentPerson,
) -> WebhookOut:
    """Change an address, what it is told of, or whether it is on."""
    webhook = managing.get_webhook(db, project, webhook_id)
    managing.change_webhook(
        db,
        project,
        webhook_id,
        address=webhook.address if body.address is None else body.address,
        kinds=webhook.kinds if body.kinds is None else body.kinds,
    )
    if body.on is True:
        managing.turn_on(db, project, webhook_id)
    elif body.on is False:
        managing.turn_off(db, project, webhook_id, by=person)
    return WebhookOut.of(webhook)


@router.delete("/{webhook_id}", status_code=204)
def api_remove_webhook(project: LeadProject, webhook_id: PathKey, db: Db) -> None:
    """Remove an address with all that waits for it."""
    managing.remove_webhook(db, project, webhook_id)


@router.post("/{webhook_id}/test", status_code=202)
def api_test_webhook(
    project: LeadProject, webhook_id: PathKey, db: Db, person: CurrentPerson
) -> WebhookOut:
    """Send an event of type `test`, within seconds."""
    managing.send_test(db, project, webhook_id, by=person)
    return WebhookOut.of(managing.get_webhook(db, project, webhook_id))


@router.get("/{webhook_id}/messages")
def api_list_webhook_messages(
    project: LeadProject,
    webhook_id: PathKey,
    db: Db,
    before: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> MessagesOut:
    """What was sent in the last 30 days or waits, newest first."""
    webhook = managing.get_webhook(db, project, webhook_id)
    found = managing.find_messages(db, webhook, before=before, limit=limit + 1)
    return MessagesOut(
        items=[MessageOut.of(each) for each in found[:limit]],
        next=found[limit - 1].id if len(found) > limit else None,
    )


@router.post("/{webhook_id}/messages/{message_id}/again", status_code=202)
def api_send_webhook_again(
    project: LeadProject, webhook_id: PathKey, message_id: PathKey, db: Db
) -> MessageOut:
    """Send a message once more, under the same id."""
    return MessageOut.of(managing.send_again(db, project, webhook_id, message_id))
