"""The pages where leads say which addresses are told of what, and see how sending goes."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.images.access import Cursor, PathKey
from app.projects.access import LeadProject
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from app.webhooks import managing
from app.webhooks.delivering import ATTEMPTS
from app.webhooks.forms import WebhookForm
from app.webhooks.models import Webhook
from app.webhooks.telling import KINDS

router = APIRouter(include_in_schema=False, prefix="/projects/{project}/webhooks")
SHOWN = 30
Filled = Annotated[Form[WebhookForm], Depends(submitted(WebhookForm))]


@router.get("")
def show_webhooks(project: LeadProject, db: Db, answer: Answering) -> Response:
    return _list(db, answer, project, Form())


def _list(
    db: Db,
    answer: Answer,
    project: Project,
    form: Form[WebhookForm],
    added: Webhook | None = None,
) -> Response:
    return answer.show(
        "webhooks/list.html",
        status=form.status if form.errors else 200,
        webhooks=managing.find_webhooks(db, project),
        form=form,
        added=added,
        kinds=KINDS,
    )


@router.post("")
def submit_webhook(
    project: LeadProject, db: Db, person: CurrentPerson, answer: Answering, form: Filled
) -> Response:
    """Add an address; its secret is on this answer and on no other page."""
    added = None
    if not form.errors:
        with form.attempt():
            added = managing.add_webhook(
                db,
                project,
                address=form.values.address,
                kinds=form.values.kinds,
                by=person,
            )
    return _list(db, answer, project, Form() if added else form, added)


@router.get("/{webhook_id}")
def show_webhook(
    project: LeadProject, webhook_id: PathKey, db: Db, answer: Answering, before: Cursor = None
) -> Response:
    """One address: what it is told of, and what was sent."""
    webhook = managing.get_webhook(db, project, webhook_id)
    return _one(db, answer, webhook, Form(), before)


def _one(
    db: Db, answer: Answer, webhook: Webhook, form: Form[WebhookForm], before: int | None = None
) -> Response:
    found = managing.find_messages(db, webhook, before=before, limit=SHOWN + 1)
    return answer.show(
        "webhooks/webhook.html",
        fragment="webhooks/_messages.html",
        status=form.status if form.errors else 200,
        webhook=webhook,
        form=form,
        kinds=KINDS,
        messages=found[:SHOWN],
        next=found[SHOWN - 1].id if len(found) > SHOWN else None,
        is_live=before is None,
        attempts=ATTEMPTS,
    )


@router.post("/{webhook_id}")
def submit_webhook_change(
    project: LeadProject, webhook_id: PathKey, db: Db, answer: Answering, form: Filled
) -> Response:
    if not form.errors:
        with form.attempt():
            address, kinds = form.values.address, form.values.kinds
            managing.change_webhook(db, project, webhook_id, address=address, kinds=kinds)
    if form.errors:
        return _one(db, answer, managing.get_webhook(db, project, webhook_id), form)
    return _back(answer, project, webhook_id)


def _back(answer: Answer, project: Project, webhook_id: int) -> Response:
    return answer.go(answer.path("show_webhook", project=project.slug, webhook_id=webhook_id))


@router.post("/{webhook_id}/on")
def submit_webhook_on(
    project: LeadProject, webhook_id: PathKey, db: Db, answer: Answering
) -> Response:
    managing.turn_on(db, project, webhook_id)
    return _back(answer, project, webhook_id)


@router.post("/{webhook_id}/off")
def submit_webhook_off(
    project: LeadProject, webhook_id: PathKey, db: Db, person: CurrentPerson, answer: Answering
) -> Response:
    managing.turn_off(db, project, webhook_id, by=person)
    return _back(answer, project, webhook_id)


@router.post("/{webhook_id}/test")
def submit_webhook_test(
    project: LeadProject, webhook_id: PathKey, db: Db, person: CurrentPerson, answer: Answering
) -> Response:
    managing.send_test(db, project, webhook_id, by=person)
    return _back(answer, project, webhook_id)


@router.post("/{webhook_id}/remove")
def submit_webhook_removal(
    project: LeadProject, webhook_id: PathKey, db: Db, answer: Answering
) -> Response:
    managing.remove_webhook(db, project, webhook_id)
    return answer.go(answer.path("show_webhooks", project=project.slug))


@router.post("/{webhook_id}/messages/{message_id}/again")
def submit_webhook_again(
    project: LeadProject, webhook_id: PathKey, message_id: PathKey, db: Db, answer: Answering
) -> Response:
    managing.send_again(db, project, webhook_id, message_id)
    return _back(answer, project, webhook_id)
