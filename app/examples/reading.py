"""Reads the examples of attributes, each with its image. Images that were set aside or erased are left out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BindParameter,
    ColumnElement,
    Select,
    Text,
    bindparam,
    func,
    select,
)
from sqlalchemy.orm import Session

from app.criteria.models import Node, NodeSuccession
from app.criteria.reading import title
from app.criteria.successions import find_predecessors
from app.errors import NotFound
from app.examples.models import MOST, AttributeExample
from app.images.inclusion import in_use
from app.images.models import Image
from app.projects.models import Project

Side = tuple[str, str]


@dataclass(frozen=True)
class ShownExample:
    """An example with its image. `came_from` is the pair it was chosen for, where that was merged into this one."""

    example: AttributeExample
    image: Image
    came_from: Node | None

    @property
    def came_from_title(self) -> str:
        """What that pair is called; nothing where it was chosen here."""
        return title(self.came_from) if self.came_from else ""


def find_examples(
    db: Session, project: Project, keys: Collection[str]
) -> dict[Side, list[ShownExample]]:
    """The examples of these pairs by key and polarity, in order, at most six of each side; one query.

    Those of pairs that were merged into one follow its own; with the merge undone they are back where they
    were. What was split or got another meaning keeps its own: which new pair they show nobody knows.
    """
    rows = db.execute(_EXAMPLES, {"project_id": project.id, "keys": list(keys)})
    found: dict[Side, list[ShownExample]] = {}
    for key, example, image, node in rows:
        side = found.setdefault((key, example.polarity), [])
        if len(side) < MOST and all(each.image.id != image.id for each in side):
            came_from = None if node.key == key else node
            side.append(ShownExample(example, image, came_from))
    return found


def _places(*chosen: ColumnElement[bool]) -> CTE:
    """The chosen nodes, each under its key together with those that were merged into it, however many steps ago."""
    place = select(Node.key, Node.id.label("node_id")).where(*chosen).cte("place", recursive=True)
    return place.union(
        select(place.c.key, NodeSuccession.old_id)
        .join(place, place.c.node_id == NodeSuccession.new_id)
        .where(NodeSuccession.kind == "merge")
    )


def _examples() -> Select[Any]:
    """The examples of pairs with their images; every labelling page asks, and most projects have none."""
    project: BindParameter[int] = bindparam("project_id")
    any_there = select(AttributeExample.id).where(AttributeExample.project_id == project)
    named = Node.key == func.any(bindparam("keys", type_=ARRAY(Text)))
    place = _places(Node.project_id == project, named)
    return (
        select(place.c.key, AttributeExample, Image, Node)
        .join(AttributeExample, AttributeExample.node_id == place.c.node_id)
        .join(Image, Image.id == AttributeExample.image_id)
        .join(Node, Node.id == AttributeExample.node_id)
        .where(in_use(), any_there.exists())
        .order_by(place.c.key, Node.key != place.c.key, Node.id, AttributeExample.position)
    )


_EXAMPLES = _examples()


def find_earlier(db: Session, node: Node) -> Sequence[Node]:
    """The pairs that this one took the place of otherwise than by a merge, and that have examples."""
    nodes = {
        each.id: each for each in find_predecessors(db, node, by=("split", "redefine", "return"))
    }
    if not nodes:
        return []
    with_some = select(AttributeExample.node_id).where(AttributeExample.node_id.in_(nodes))
    return [nodes[each] for each in sorted(set(db.scalars(with_some)))]


def find_shown(
    db: Session, project: Project, image_id: int
) -> Sequence[tuple[AttributeExample, Node]]:
    """Which attributes an image is an example of."""
    rows = db.execute(
        select(AttributeExample, Node)
        .join(Node, Node.id == AttributeExample.node_id)
        .where(AttributeExample.image_id == image_id, AttributeExample.project_id == project.id)
        .order_by(Node.key, AttributeExample.polarity.desc())
    )
    return [(example, node) for example, node in rows]


def get_pair(db: Session, project: Project, key: str) -> Node:
    """A pair by key, also one that left the tree: its examples stay with it. Raises NotFound."""
    node = db.scalar(select(Node).where(Node.project_id == project.id, Node.key == key))
    if node is None or node.kind != "pair":
        raise NotFound(f"The criteria have no attribute pair “{key}”.")
    return node
