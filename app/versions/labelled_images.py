"""The images that have labels of a node: of one pair, or of all pairs below a dimension."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, func, literal, select
from sqlalchemy.orm import Session

from app.criteria.models import Node
from app.criteria.reading import find_nodes, get_node
from app.errors import Invalid
from app.images.inclusion import in_use
from app.images.models import Image
from app.labels.models import Label
from app.projects.models import Project
from app.versions.tree_rows import pairs_below
from taxonomy.tree import Polarity

STATES = ("proposed", "confirmed", "rejected")


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
    node = db.scalar(select(Node).where(Node.project_id == project.id, Node.key == key))
    if node is None or (node.removed and node.kind == "dimension"):
        node = get_node(db, project, key)
    below = {node.id} if node.kind == "pair" else pairs_below(node, find_nodes(db, project))
    wanted = _wanted(below, polarity, state if suggestions else "confirmed")
    images = db.scalars(
        select(Image)
        .where(
            Image.project_id == project.id,
            Image.id > after,
            in_use(),
            select(Label.id).where(Label.image_id == Image.id, *wanted).exists(),
        )
        .order_by(Image.id)
        .limit(limit)
    ).all()
    found = {image.id: LabelledImage(image) for image in images}
    rows = db.execute(
        select(Label.image_id, Label.polarity, Label.state, func.count())
        .where(Label.image_id.in_(found), *wanted)
        .group_by(Label.image_id, Label.polarity, Label.state)
        .order_by(Label.image_id, Label.polarity.desc(), Label.state)
    )
    for image_id, side, how, number in rows:
        found[image_id].labels.append((side, how, number))
    return node, list(found.values())


def _wanted(
    node_ids: Collection[int], polarity: str | None, state: str | None
) -> list[ColumnElement[bool]]:
    wanted = [Label.node_id == any_(literal(sorted(node_ids), ARRAY(BigInteger)))]
    if polarity is not None:
        wanted.append(Label.polarity == polarity)
    if state is not None:
        wanted.append(Label.state == state)
    return wanted
