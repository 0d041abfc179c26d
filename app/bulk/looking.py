"""What a bulk action would do, image by image, before anything is done."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from app.bulk.models import EFFECTS, OF_LABELS, OF_MARKS, BulkAction, BulkImage
from app.bulk.working import BATCH, Report, Transaction, note_effects, tell_nobody
from app.criteria.models import CriteriaVersion, Node
from app.criteria.reading import version_criteria
from app.database import Json
from app.images.applicability import applies
from app.images.asked import find_ids, read_asked
from app.images.inclusion import in_use
from app.images.models import Image
from app.labels.models import Label
from app.projects.models import Project
from app.queue.models import Assignment, WaitingImage
from taxonomy.contradictions import Rules

AFTER = {"confirm": "confirmed", "add": "confirmed", "reject": "rejected", "doubt": "unsure"}
"""The state that each kind of action on labels leads to."""
OPEN = ("proposed", "unsure")
"""States that nobody decided yet."""


def look(action_id: int, *, transaction: Transaction, report: Report = tell_nobody) -> Json:
    """Note what an action would do to each image that it is asked for, and sum it up. Safe to run again: it goes on
    behind the last image that was noted.
    """
    while True:
        with transaction() as db:
            action = db.get_one(BulkAction, action_id)
            project = db.get_one(Project, action.project_id)
            done, last = _noted(db, action)
            image_ids = _next_ids(db, project, action, last)
            if not image_ids:
                action.found = _sum(db, action)
                db.flush()
                return action.found
            note_effects(db, action.id, _effects(db, project, action, image_ids))
        report(done + len(image_ids), None)


def _noted(db: Session, action: BulkAction) -> tuple[int, int]:
    row = db.execute(
        select(func.count(), func.coalesce(func.max(BulkImage.image_id), 0)).where(
            BulkImage.bulk_action_id == action.id
        )
    ).one()
    return row[0], row[1]


def _next_ids(db: Session, project: Project, action: BulkAction, after: int) -> Sequence[int]:
    if action.chosen is None:
        return find_ids(db, project, read_asked(action.query), after=after, limit=BATCH)
    chosen = select(Image.id).where(Image.id == func.any(action.chosen), in_use())
    return db.scalars(chosen.where(Image.id > after).order_by(Image.id).limit(BATCH)).all()


def _sum(db: Session, action: BulkAction) -> Json:
    rows = db.execute(
        select(
            BulkImage.effect,
            func.count(),
            func.count().filter(BulkImage.contradictions > 0),
        )
        .where(BulkImage.bulk_action_id == action.id)
        .group_by(BulkImage.effect)
    ).all()
    numbers = {effect: number for effect, number, _ in rows}
    contradicting = {effect: number for effect, _, number in rows}
    version = db.get(CriteriaVersion, action.version_id) if action.version_id else None
    return {
        "images": sum(numbers.values()),
        **{effect: numbers.get(effect, 0) for effect in EFFECTS},
        "contradicting": contradicting.get("change", 0),
        "version": version.number if version else None,
    }


def _effects(
    db: Session, project: Project, action: BulkAction, image_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """Rows of `BulkImage` for these images."""
    if action.kind in OF_LABELS:
        return _of_labels(db, project, action, image_ids)
    if action.kind in OF_MARKS:
        return _of_marks(db, project, action, image_ids)
    return _of_assigning(db, action, image_ids)


# Labels -----------------------------------------------------------------------------------------


def effect_on_label(kind: str, state: str | None, *, is_asked: bool, replace: bool) -> str:
    """What an action does to a label in `state` (None: there is none), where the attribute `is_asked` of the image."""
    if not is_asked or (state is None and kind != "add"):
        return "none"
    if state == AFTER[kind]:
        return "same"
    return "change" if state is None or state in OPEN or replace else "kept"


def _of_labels(
    db: Session, project: Project, action: BulkAction, image_ids: Sequence[int]
) -> list[dict[str, Any]]:
    rows = db.execute(
        select(
            Image.id,
            Image.label_revision,
            Label.state,
            applies(Image.id, action.node_id).label("is_asked"),
        )
        .outerjoin(
            Label,
            (Label.image_id == Image.id)
            & (Label.node_id == action.node_id)
            & (Label.polarity == action.polarity),
        )
        .where(Image.id == func.any(list(image_ids)), in_use())
        .order_by(Image.id)
    ).all()
    effects = {
        row.id: effect_on_label(
            action.kind, row.state, is_asked=row.is_asked, replace=action.replace
        )
        for row in rows
    }
    changed = [image_id for image_id, effect in effects.items() if effect == "change"]
    produced = _count_produced(db, project, action, changed)
    return [_row(row, effects[row.id], row.state, produced.get(row.id, 0)) for row in rows]


def _row(row: Any, effect: str, before: str | None, contradictions: int = 0) -> dict[str, Any]:
    return {
        "image_id": row.id,
        "effect": effect,
        "before": before,
        "revision": row.label_revision,
        "contradictions": contradictions,
    }


def _count_produced(
    db: Session, project: Project, action: BulkAction, image_ids: Sequence[int]
) -> dict[int, int]:
    """How many contradictions each image would have that it does not have now."""
    assert action.node_id is not None
    assert action.polarity is not None
    rules, named = _rules(db, project, action)
    attribute = (named.get(action.node_id, ""), action.polarity)
    found: dict[int, int] = {}
    for image_id, held in _standing(db, image_ids, named).items():
        after = held | {attribute} if AFTER[action.kind] == "confirmed" else held - {attribute}
        if after != held:
            produced = set(rules.among(after)) - set(rules.among(held))
            found[image_id] = len(produced)
    return found


def _rules(db: Session, project: Project, action: BulkAction) -> tuple[Rules, Mapping[int, str]]:
    version = db.get_one(CriteriaVersion, action.version_id)
    pairs = select(Node.id, Node.key).where(Node.project_id == project.id, Node.kind == "pair")
    return version_criteria(version).derived(Rules), dict(db.execute(pairs).all())


def _standing(
    db: Session, image_ids: Sequence[int], named: Mapping[int, str]
) -> dict[int, set[tuple[str, str]]]:
    """The attributes of these images that are proposed or confirmed and apply; of each image, be there none."""
    held: dict[int, set[tuple[str, str]]] = {image_id: set() for image_id in image_ids}
    code = Label.node_id * 2 + case((Label.polarity == "negative", 1), else_=0)
    for image_id, codes in db.execute(_codes(code, image_ids)):
        held[image_id] = {
            (named[each // 2], "negative" if each % 2 else "positive")
            for each in codes
            if each // 2 in named
        }
    return held


def _codes(code: Any, image_ids: Collection[int]) -> Select[Any]:
    return (
        select(Label.image_id, func.array_agg(code))
        .join(Image, Image.id == Label.image_id)
        .where(
            Label.image_id == func.any(list(image_ids)),
            Label.state.in_(("proposed", "confirmed")),
            applies(Label.image_id, Label.node_id),
            in_use(),
        )
        .group_by(Label.image_id)
    )


# Marks and persons ------------------------------------------------------------------------------


def _of_marks(
    db: Session, project: Project, action: BulkAction, image_ids: Sequence[int]
) -> list[dict[str, Any]]:
    rows = db.execute(
        select(Image.id, Image.label_revision, Image.done_at, Image.came_back_at)
        .where(Image.id == func.any(list(image_ids)), in_use())
        .order_by(Image.id)
    ).all()
    is_done = action.kind == "done"
    contradictions = _count_standing(db, project, action, image_ids) if is_done else {}
    blocks = bool(project.options.get("contradictions_block_done"))

    def effect(row: Any) -> str:
        if (row.done_at is not None) == is_done and not (is_done and row.came_back_at):
            return "same"
        return "kept" if blocks and contradictions.get(row.id) else "change"

    return [
        _row(row, effect(row), "done" if row.done_at else None, contradictions.get(row.id, 0))
        for row in rows
    ]


def _count_standing(
    db: Session, project: Project, action: BulkAction, image_ids: Sequence[int]
) -> dict[int, int]:
    if action.version_id is None:
        return {}
    rules, named = _rules(db, project, action)
    held = _standing(db, image_ids, named)
    return {image_id: len(rules.among(each)) for image_id, each in held.items()}


def _of_assigning(
    db: Session, action: BulkAction, image_ids: Sequence[int]
) -> list[dict[str, Any]]:
    rows = db.execute(
        select(Image.id, Image.label_revision, WaitingImage.image_id, Assignment.person_id)
        .outerjoin(WaitingImage, WaitingImage.image_id == Image.id)
        .outerjoin(Assignment, Assignment.id == WaitingImage.assignment_id)
        .where(Image.id == func.any(list(image_ids)), in_use())
        .order_by(Image.id)
    ).all()

    def effect(row: Any) -> str:
        if row.image_id is None:
            return "none"
        if row.person_id is None:
            return "change"
        return "same" if row.person_id == action.assignee_id else "kept"

    return [_row(row, effect(row), None) for row in rows]
