"""The images that have labels of a node: of one pair, or of all pairs below a dimension."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, func, literal, select
from sqlalchemy.orm import Session

from app.criteria.models import Node
from app.errors import Invalid
from app.images.finding import find_images
from app.images.models import Image
from app.images.narrowing import LabelWish, Narrowing, get_node_with_labels, prepare
from app.labels.models import STATES, Label
from app.projects.models import Project
from taxonomy.tree import Polarity


@dataclass(frozen=True)
class LabelledImage:
    """An image and the labels of the node that it has: side, state, how many."""

    image: Image
    labels: list[tuple[str, str, int]] = field(default_factory=list)


def find_labelled_images(
    db: Session,
    project: Project,
    key: str,
    *,
    polarity: Polarity | None = None,
    state: str | None = None,
    after: int = 0,
    limit: int = 50,
    suggestions: bool = True,
) -> tuple[Node, Sequence[LabelledImage]]:
    """The images in use with labels of a node, by id from above `after`; those of one side or state where
    asked. A pair may have left the tree since the last version.

    Without `suggestions` what nobody decided, and what was rejected of it, is left out; asking for it
    raises Invalid. Raises NotFound for a key that never was.
    """
    if state is not None and state not in STATES:
        raise Invalid(f"Labels are {', '.join(STATES)}.", field="state")
    if not suggestions and state not in (None, "confirmed"):
        raise Invalid(
            "Which labels were suggested is hidden with the suggestions.",
            field="state",
            hint="Show suggestions on the page of an image first.",
        )
    wish = LabelWish(key, polarity or "", (state or "") if suggestions else "confirmed")
    narrowing = Narrowing((wish,))
    images = find_images(db, project, after=after, limit=limit, narrowing=narrowing).images
    found = {image.id: LabelledImage(image) for image in images}
    (node_ids,) = prepare(db, project, narrowing).node_ids
    rows = db.execute(
        select(Label.image_id, Label.polarity, Label.state, func.count())
        .where(
            Label.image_id == any_(literal(list(found), ARRAY(BigInteger))),
            *_wanted(node_ids or (), wish),
        )
        .group_by(Label.image_id, Label.polarity, Label.state)
        .order_by(Label.image_id, Label.polarity.desc(), Label.state)
    )
    for image_id, side, how, number in rows:
        found[image_id].labels.append((side, how, number))
    return get_node_with_labels(db, project, key), list(found.values())


def _wanted(node_ids: Collection[int], wish: LabelWish) -> list[ColumnElement[bool]]:
    wanted = [Label.node_id == any_(literal(sorted(node_ids), ARRAY(BigInteger)))]
    if wish.polarity:
        wanted.append(Label.polarity == wish.polarity)
    if wish.state:
        wanted.append(Label.state == wish.state)
    return wanted
