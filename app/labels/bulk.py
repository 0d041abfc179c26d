"""One decision on one attribute of many images, or one mark on them, in a statement; and taking these back exactly.

Each image gets an event of its own that names the bulk action, and its label revision rises by one. Whoever calls
these holds the labels of the project and has locked the images, in the order of their ids.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.images.inclusion import in_use
from app.images.models import Image
from app.labels.access import hold_labels
from app.labels.models import Label
from app.projects.models import Project
from app.webhooks.telling import tell_many

Stood: TypeAlias = dict[int, Json | None]
"""What stood before on each image, to be set back exactly; None where there was no label."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """Which bulk action acts, and for whom."""

    id: int
    by: Person


def lock_images(db: Session, project: Project, image_ids: Sequence[int]) -> dict[int, int]:
    """The label revisions of those of these images that are in use, locked as every writer of labels does, while
    publications wait.
    """
    hold_labels(db, project)
    rows = db.execute(
        select(Image.id, Image.label_revision)
        .where(Image.id == func.any(list(image_ids)), Image.project_id == project.id, in_use())
        .order_by(Image.id)
        .with_for_update(key_share=True)
    )
    return dict(rows.all())


# Labels -----------------------------------------------------------------------------------------

# All parts of one statement see the tables as they were before.
_DECIDE = text(
    """
    WITH acting AS (
        SELECT image.id AS image_id, image.project_id, image.label_revision + 1 AS revision, label.id AS label_id,
               label.state, CASE WHEN label.id IS NOT NULL THEN jsonb_build_object(
                   'state', label.state, 'version_id', label.version_id, 'decided_by', label.decided_by,
                   'decided_at', label.decided_at, 'bulk_action_id', label.bulk_action_id
               ) END AS stood
        FROM image LEFT JOIN label
            ON label.image_id = image.id AND label.node_id = :node_id AND label.polarity = :polarity
        WHERE image.id = ANY(:images)
    ), made AS (
        INSERT INTO label (
            project_id, image_id, node_id, polarity, state, source, version_id, revision, decided_by, decided_at,
            bulk_action_id
        )
        SELECT project_id, image_id, :node_id, :polarity, :after, 'person', :version_id, revision, :person_id, now(),
               :bulk_action_id
        FROM acting WHERE label_id IS NULL
    ), changed AS (
        UPDATE label SET state = :after, version_id = :version_id, revision = acting.revision,
            decided_by = :person_id, decided_at = now(), bulk_action_id = :bulk_action_id
        FROM acting WHERE label.id = acting.label_id
    ), raised AS (
        UPDATE image SET label_revision = label_revision + 1 WHERE id = ANY(:images)
    ), told AS (
        INSERT INTO label_event (
            image_id, node_id, polarity, kind, before, after, image_revision, person_id, version_id, bulk_action_id, at
        )
        SELECT image_id, :node_id, :polarity, CASE WHEN label_id IS NULL THEN 'add' ELSE :kind END, state, :after,
               revision, :person_id, :version_id, :bulk_action_id, now()
        FROM acting ORDER BY image_id
    )
    SELECT image_id, stood FROM acting ORDER BY image_id
    """
)


def decide(
    db: Session,
    bulk: Bulk,
    image_ids: Sequence[int],
    *,
    node_id: int,
    polarity: str,
    kind: str,
    after: str,
    version_id: int,
) -> Stood:
    """Set one attribute of locked images to the state `after`, adding it where no label stands."""
    values = _values(bulk, image_ids) | {"node_id": node_id, "polarity": polarity, "kind": kind}
    rows = db.execute(_DECIDE, values | {"after": after, "version_id": version_id})
    stood: Stood = dict(rows.all())
    _expire(db)
    return stood


# What the bulk action did last to this attribute, and nothing since; somebody's agreeing is something. A publication
# that moved the label is, too.
_UNDO = text(
    """
    WITH mine AS (
        SELECT label.id AS label_id, label.state, event.id AS event_id, event.image_id, event.version_id, b.stood,
               image.label_revision + 1 AS revision
        FROM label_event AS event
        JOIN image ON image.id = event.image_id
        JOIN label ON label.image_id = event.image_id AND label.node_id = :node_id AND label.polarity = :polarity
            AND label.bulk_action_id = :bulk_action_id
        JOIN jsonb_to_recordset(CAST(:stood AS jsonb)) AS b(image_id bigint, stood jsonb)
            ON b.image_id = event.image_id
        WHERE event.image_id = ANY(:images) AND event.bulk_action_id = :bulk_action_id AND event.kind <> 'undo'
            AND NOT EXISTS (
                SELECT FROM label_event AS later
                WHERE later.image_id = event.image_id AND later.id > event.id AND later.kind <> 'undo' AND (
                    later.node_id = :node_id AND later.polarity = :polarity AND NOT EXISTS (
                        SELECT FROM label_event AS undoing
                        WHERE undoing.image_id = later.image_id AND undoing.undoes_id = later.id
                    )
                    OR later.places @> jsonb_build_array(jsonb_build_array(CAST(:node_id AS bigint), CAST(:polarity AS text)))
                )
            )
    ), gone AS (
        DELETE FROM label USING mine WHERE label.id = mine.label_id AND mine.stood IS NULL
    ), changed AS (
        UPDATE label SET state = mine.stood ->> 'state', version_id = CAST(mine.stood ->> 'version_id' AS bigint),
            decided_by = CAST(mine.stood ->> 'decided_by' AS bigint),
            decided_at = CAST(mine.stood ->> 'decided_at' AS timestamptz),
            bulk_action_id = CAST(mine.stood ->> 'bulk_action_id' AS bigint), revision = mine.revision
        FROM mine WHERE label.id = mine.label_id AND mine.stood IS NOT NULL
    ), raised AS (
        UPDATE image SET label_revision = label_revision + 1 WHERE id IN (SELECT image_id FROM mine)
    ), told AS (
        INSERT INTO label_event (
            image_id, node_id, polarity, kind, before, after, image_revision, person_id, version_id, bulk_action_id,
            undoes_id
        )
        SELECT image_id, :node_id, :polarity, 'undo', state, stood ->> 'state', revision, :person_id,
               coalesce(CAST(stood ->> 'version_id' AS bigint), version_id), :bulk_action_id, event_id
        FROM mine ORDER BY image_id
    )
    SELECT image_id FROM mine
    """
)


def undo_decisions(
    db: Session, bulk: Bulk, stood: Stood, *, node_id: int, polarity: str
) -> set[int]:
    """Set one attribute of locked images back to how it stood before the bulk action; returns where. Where anything
    happened to it since, it is left.
    """
    values = _values(bulk, list(stood)) | {"node_id": node_id, "polarity": polarity}
    undone = set(db.scalars(_UNDO, values | {"stood": _as_rows(stood)}))
    _expire(db)
    return undone


# Marks ------------------------------------------------------------------------------------------

_MARK = text(
    """
    WITH acting AS (
        SELECT id AS image_id, label_revision + 1 AS revision, done_at IS NOT NULL AS was_done,
               jsonb_build_object('done_at', done_at, 'done_by', done_by, 'came_back_at', came_back_at) AS stood
        FROM image WHERE id = ANY(:images)
    ), marked AS (
        UPDATE image SET label_revision = label_revision + 1, came_back_at = NULL,
            done_at = CASE WHEN :is_done THEN now() END,
            done_by = CASE WHEN :is_done THEN CAST(:person_id AS bigint) END
        WHERE id = ANY(:images)
    ), told AS (
        INSERT INTO label_event (
            image_id, kind, before, after, image_revision, person_id, version_id, bulk_action_id
        )
        SELECT image_id, CASE WHEN :is_done THEN 'done' ELSE 'reopen' END, CASE WHEN was_done THEN 'done' END,
               CASE WHEN :is_done THEN 'done' END, revision, :person_id, :version_id, :bulk_action_id
        FROM acting ORDER BY image_id
    )
    SELECT image_id, stood FROM acting ORDER BY image_id
    """
)


def mark(
    db: Session,
    project: Project,
    bulk: Bulk,
    image_ids: Sequence[int],
    *,
    done: bool,
    version_id: int | None,
) -> Stood:
    """Mark locked images as done, or take their marks away."""
    values = _values(bulk, image_ids) | {"is_done": done, "version_id": version_id}
    stood: Stood = dict(db.execute(_MARK, values).all())
    _expire(db)
    if done:
        _tell_done(db, project, image_ids)
    return stood


def _tell_done(db: Session, project: Project, image_ids: Sequence[int]) -> None:
    columns = (Image.id, Image.name, Image.sha256, Image.label_revision)
    rows = db.execute(select(*columns).where(Image.id == func.any(list(image_ids)), in_use()))
    tell_many(
        db,
        project.id,
        "image.done",
        {
            f"{row.id} at {row.label_revision}": {
                "image": row.id,
                "file": row.name,
                "sha256": row.sha256,
                "revision": row.label_revision,
            }
            for row in rows
        },
    )


_UNMARK = text(
    """
    WITH mine AS (
        SELECT event.id AS event_id, event.image_id, event.before, event.after, event.version_id, b.stood,
               image.label_revision + 1 AS revision
        FROM label_event AS event
        JOIN image ON image.id = event.image_id AND (image.done_at IS NOT NULL) = (event.after IS NOT NULL)
        JOIN jsonb_to_recordset(CAST(:stood AS jsonb)) AS b(image_id bigint, stood jsonb)
            ON b.image_id = event.image_id
        WHERE event.image_id = ANY(:images) AND event.bulk_action_id = :bulk_action_id AND event.kind <> 'undo'
            AND NOT EXISTS (
                SELECT FROM label_event AS later
                WHERE later.image_id = event.image_id AND later.id > event.id AND later.kind <> 'undo'
                    AND later.node_id IS NULL AND later.trait_kind IS NULL AND later.carrying_id IS NULL
                    AND NOT EXISTS (
                        SELECT FROM label_event AS undoing
                        WHERE undoing.image_id = later.image_id AND undoing.undoes_id = later.id
                    )
            )
    ), marked AS (
        UPDATE image SET label_revision = image.label_revision + 1,
            done_at = CAST(mine.stood ->> 'done_at' AS timestamptz),
            done_by = CAST(mine.stood ->> 'done_by' AS bigint),
            came_back_at = CAST(mine.stood ->> 'came_back_at' AS timestamptz)
        FROM mine WHERE image.id = mine.image_id
    ), told AS (
        INSERT INTO label_event (
            image_id, kind, before, after, image_revision, person_id, version_id, bulk_action_id, undoes_id
        )
        SELECT image_id, 'undo', after, before, revision, :person_id, version_id, :bulk_action_id, event_id
        FROM mine ORDER BY image_id
    )
    SELECT image_id FROM mine
    """
)


def undo_marks(db: Session, bulk: Bulk, stood: Stood) -> set[int]:
    """Set the marks of locked images back to how they stood before the bulk action; returns where. Where somebody
    marked the image since, it is left.
    """
    undone = set(db.scalars(_UNMARK, _values(bulk, list(stood)) | {"stood": _as_rows(stood)}))
    _expire(db)
    return undone


# What all share ---------------------------------------------------------------------------------


def _values(bulk: Bulk, image_ids: Sequence[int]) -> dict[str, Any]:
    return {"bulk_action_id": bulk.id, "person_id": bulk.by.id, "images": list(image_ids)}


def _as_rows(stood: Stood) -> str:
    rows = [{"image_id": image_id, "stood": before} for image_id, before in stood.items()]
    return json.dumps(rows)


def _expire(db: Session) -> None:
    """These statements changed rows that this session may hold."""
    for held in list(db.identity_map.values()):
        if isinstance(held, (Image, Label)):
            db.expire(held)
