"""What happened to an image's labels, by whom."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Subquery, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from app.accounts.models import Person
from app.criteria.models import Node
from app.images.models import Image
from app.labels.access import find_in_force
from app.labels.models import LabelEvent
from app.labels.recording import trait_of
from app.labels.unfolding import Happening, happenings
from app.projects.models import Project
from taxonomy.tree import Criteria, Pair, Polarity


@dataclass(frozen=True, slots=True)
class Happened:
    """One entry of an image's history. `who` is None for an agent; a mark as done has no attribute, nor has
    what is said of its style and content: there `trait` is the kind and the id, and `name` its name. What was done to many images at once has a bulk action.
    """

    event_id: int
    key: str | None
    polarity: Polarity | None
    name: str | None
    kind: str
    before: str | None
    after: str | None
    who: str | None
    person_id: int | None
    agent_run_id: int | None
    revision: int
    at: datetime
    suggestion_visible: bool
    is_undone: bool
    trait: tuple[str, str] | None = None
    bulk_action_id: int | None = None


def find_history(
    db: Session,
    project: Project,
    image: Image,
    *,
    before: int | None = None,
    limit: int = 50,
    suggestions: bool = True,
    viewer_id: int | None = None,
) -> tuple[Sequence[Happened], int | None]:
    """What happened to an image's labels, newest first, and the `before` of the next page.

    Without `suggestions` neither an agent's events are in it nor those of others that only a proposal
    explains, and a proposal counts as no label.
    """
    told, undoing = happenings(), aliased(LabelEvent)
    wanted = [told.c.image_id == image.id]
    if not suggestions:
        wanted += _tells_no_proposal(told, viewer_id)
    # A page holds whole events, however many labels each tells of.
    page = select(told.c.id).distinct().where(*wanted).order_by(told.c.id.desc()).limit(limit + 1)
    if before is not None:
        page = page.where(told.c.id < before)
    ids = db.scalars(page).all()
    rows = db.execute(
        select(told, Node, Person.name, undoing.id)
        .outerjoin(Node, Node.id == told.c.node_id)
        .outerjoin(Person, Person.id == told.c.person_id)
        # Without the image an undoing would be looked for among those of all images.
        .outerjoin(undoing, (undoing.undoes_id == told.c.id) & (undoing.image_id == image.id))
        .where(*wanted, told.c.id.in_(ids[:limit]))
        .order_by(told.c.id.desc(), told.c.node_id.desc(), told.c.polarity.desc())
    ).all()
    in_force = find_in_force(db, project)
    criteria = in_force.criteria if in_force else None
    happened = [
        _happened(Happening(*event), node, who, undone_by, criteria=criteria)
        for *event, node, who, undone_by in rows
    ]
    if not suggestions:
        happened = [_without_proposal(each) for each in happened]
    return happened, ids[limit - 1] if len(ids) > limit else None


def _tells_no_proposal(told: Subquery, viewer_id: int | None) -> list[ColumnElement[bool]]:
    both = [told.c.before, told.c.after]
    # Of what others did with a proposal only that they confirmed it looks like an addition.
    only_proposal_explains = and_(
        *(one.in_(("proposed", "rejected", "unsure")) for one in both), told.c.kind != "add"
    )
    is_own = told.c.person_id == viewer_id
    # A publication, too, makes, moves and takes away what is only proposed.
    is_more = or_(*(func.coalesce(one, "proposed") != "proposed" for one in both))
    return [
        told.c.agent_run_id.is_(None) | told.c.trait_kind.is_not(None),
        is_more,
        is_own | ~func.coalesce(only_proposal_explains, False),
    ]


def _without_proposal(each: Happened) -> Happened:
    before, after = (None if state == "proposed" else state for state in (each.before, each.after))
    is_add = each.kind in ("confirm", "doubt") and before is None
    return replace(each, before=before, after=after, kind="add" if is_add else each.kind)


def _happened(
    event: Happening,
    node: Node | None,
    who: str | None,
    undone_by: int | None,
    *,
    criteria: Criteria | None,
) -> Happened:
    polarity: Polarity | None = None
    if event.polarity is not None:
        polarity = "positive" if event.polarity == "positive" else "negative"
    entry = criteria.find(node.key) if criteria and node else None
    pair = entry.node if entry and isinstance(entry.node, Pair) else None
    name = pair.attribute(polarity).name if pair and polarity else None
    if node is not None and name is None:  # It left the criteria; it is called what it was called.
        called = node.positive_name if polarity == "positive" else node.negative_name
        name = called or node.key
    trait = trait_of(event)
    if trait is not None:
        name = _name_of(trait, criteria)
    return Happened(
        event_id=event.id,
        key=node.key if node else None,
        polarity=polarity,
        name=name,
        kind=event.kind,
        before=event.before,
        after=event.after,
        who=who,
        person_id=event.person_id,
        agent_run_id=event.agent_run_id,
        revision=event.image_revision,
        at=event.at,
        suggestion_visible=event.suggestion_visible,
        is_undone=undone_by is not None,
        trait=trait,
        bulk_action_id=event.bulk_action_id,
    )


def _name_of(trait: tuple[str, str], criteria: Criteria | None) -> str:
    """What the version in force calls a style or content; its id where it lists it no more."""
    kind, value = trait
    listed = () if criteria is None else criteria.styles if kind == "style" else criteria.content
    return next((each.name for each in listed if each.id == value), value)
