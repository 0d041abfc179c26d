"""Labels that were decided and are in doubt: they wait for a decision again, and so do their images.

An audit puts labels in doubt, or a whole attribute whose labels held too rarely. Nothing is rejected: people look
again, and every step is an event that can be undone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.images.inclusion import in_use
from app.images.models import Image
from app.labels.access import get_in_force, hold_labels
from app.projects.models import Project


@dataclass(frozen=True, slots=True)
class Doubted:
    """One label in doubt, whether it stands or not."""

    image_id: int
    node_id: int
    polarity: str


@dataclass(frozen=True, slots=True)
class Questioned:
    """What became of labels in doubt: how many were confirmed and wait again, how many waited already, and how
    many images are open again that were done. Labels that people rejected, or that are gone, are neither.
    """

    asked_again: int
    waiting: int
    reopened: int


_ASK_AGAIN = text(
    """
    WITH doubted AS (
        SELECT label.* FROM label JOIN jsonb_to_recordset(CAST(:doubted AS jsonb)) AS d(
            image_id bigint, node_id bigint, polarity text
        ) USING (image_id, node_id, polarity)
        WHERE label.state IN ('confirmed', 'proposed') AND label.image_id = ANY(:images)
    ), again AS (
        UPDATE label SET state = 'proposed', decided_by = NULL, decided_at = NULL, bulk_action_id = NULL,
            revision = image.label_revision + 1
        FROM doubted JOIN image ON image.id = doubted.image_id
        WHERE label.id = doubted.id AND doubted.state = 'confirmed'
        RETURNING label.image_id, label.node_id, label.polarity, label.revision
    ), recorded AS (
        INSERT INTO label_event (
            image_id, node_id, polarity, kind, before, after, image_revision, person_id, version_id
        )
        SELECT image_id, node_id, polarity, 'reopen', 'confirmed', 'proposed', revision, :person, :version
        FROM again ORDER BY image_id, node_id, polarity
    ), raised AS (
        UPDATE image SET label_revision = label_revision + 1
        WHERE id IN (SELECT image_id FROM again)
    )
    SELECT (SELECT count(*) FROM again), (SELECT count(*) FROM doubted WHERE state = 'proposed'),
        ARRAY(SELECT DISTINCT image_id FROM doubted)
    """
)

_OPEN_AGAIN = text(
    """
    WITH opened AS (
        UPDATE image SET done_at = NULL, done_by = NULL, came_back_at = clock_timestamp(),
            label_revision = label_revision + 1
        WHERE done_at IS NOT NULL AND id = ANY(:images)
        RETURNING id, label_revision
    ), recorded AS (
        INSERT INTO label_event (image_id, kind, before, image_revision, person_id, version_id)
        SELECT id, 'reopen', 'done', label_revision, :person, :version FROM opened
    )
    SELECT count(*) FROM opened
    """
)


def ask_again(
    db: Session, project: Project, doubted: Sequence[Doubted], *, by: Person
) -> Questioned:
    """Have labels in doubt decided again: those that were confirmed are proposed again, and their images, where
    they were done, are open again and listed as new since. Images that are not in use are left alone.

    Doing so twice changes nothing more. Raises Conflict where nothing is published yet.
    """
    if not doubted:
        return Questioned(0, 0, 0)
    hold_labels(db, project)
    version_id = get_in_force(db, project).version_id
    # Locked in one order, so that two who do so at once wait for each other.
    images = db.scalars(
        select(Image.id)
        .where(
            Image.id.in_({each.image_id for each in doubted}),
            Image.project_id == project.id,
            in_use(),
        )
        .order_by(Image.id)
        .with_for_update(key_share=True)
    ).all()
    rows = [
        {"image_id": each.image_id, "node_id": each.node_id, "polarity": each.polarity}
        for each in doubted
    ]
    who = {"person": by.id, "version": version_id}
    asked = {"doubted": json.dumps(rows), "images": list(images)} | who
    asked_again, waiting, concerned = db.execute(_ASK_AGAIN, asked).one()
    reopened = db.scalar(_OPEN_AGAIN, {"images": concerned} | who) or 0
    db.expire_all()
    return Questioned(asked_again, waiting, reopened)
