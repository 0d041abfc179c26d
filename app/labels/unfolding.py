"""What happened to labels, one line for each label: a publication writes one event for all labels of an image."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Select, Subquery, Text, bindparam, cast, func, select, true
from sqlalchemy.orm import Session

from app.images.models import Image
from app.labels.models import Carrying, LabelEvent

_SHARED = (
    *(LabelEvent.id, LabelEvent.image_id, LabelEvent.trait_kind, LabelEvent.trait_value),
    *(LabelEvent.kind, LabelEvent.image_revision, LabelEvent.agent_run_id),
    *(
        LabelEvent.suggestion_visible,
        LabelEvent.undoes_id,
        LabelEvent.bulk_action_id,
        LabelEvent.at,
    ),
)


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to one label, to a mark as done or to a statement, as a `LabelEvent` says it."""

    id: int
    image_id: int
    trait_kind: str | None
    trait_value: str | None
    kind: str
    image_revision: int
    agent_run_id: int | None
    suggestion_visible: bool
    undoes_id: int | None
    bulk_action_id: int | None
    at: datetime
    person_id: int | None
    version_id: int | None
    node_id: int | None
    polarity: str | None
    before: str | None
    after: str | None


@cache
def happenings(name: str = "happening") -> Subquery:
    """A table of them; to be asked by image, whose events are read by an index."""
    place = (
        func.jsonb_array_elements(LabelEvent.places)
        .table_valued("told")
        .render_derived(name="place")
    )
    node_id, *rest = (place.c.told.op("->>", return_type=Text())(at) for at in range(4))
    told = (cast(node_id, BigInteger), *rest)
    own = (LabelEvent.node_id, LabelEvent.polarity, LabelEvent.before, LabelEvent.after)
    by = (LabelEvent.person_id, LabelEvent.version_id)
    return (
        select(
            *_SHARED,
            *(func.coalesce(one, getattr(Carrying, one.key)).label(one.key) for one in by),
            *(func.coalesce(one, of).label(one.key) for one, of in zip(own, told, strict=True)),
        )
        .select_from(LabelEvent)
        .outerjoin(Carrying, Carrying.id == LabelEvent.carrying_id)
        .outerjoin(place, true())
        .subquery(name)
    )


def happened_to(
    db: Session, image: Image, *, node_id: int | None = None, polarity: str | None = None
) -> list[Happening]:
    """What happened to the labels of an image, oldest first; with a node to that attribute alone."""
    values = {"image_id": image.id, "node_id": node_id, "polarity": polarity}
    asked = _asked(of_one=node_id is not None)
    return [Happening(*row) for row in db.execute(asked, values)]


@cache
def _asked(*, of_one: bool) -> Select[Any]:
    told = happenings()
    asked = select(told).where(
        told.c.image_id == bindparam("image_id"), told.c.node_id.is_not(None)
    )
    if of_one:
        asked = asked.where(
            told.c.node_id == bindparam("node_id"), told.c.polarity == bindparam("polarity")
        )
    return asked.order_by(told.c.id)
