"""Choosing the images that show an attribute: adding, describing, ordering and taking them out.

Nothing here changes the criteria or their revision.
"""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node
from app.criteria.reading import get_node, title
from app.errors import Conflict, Invalid, NotFound, Stale
from app.examples.models import LONGEST, MOST, AttributeExample
from app.images.inclusion import in_use
from app.images.models import Image
from app.projects.models import Project
from method.saved_texts import one_line
from taxonomy.tree import Polarity


def choose_example(
    db: Session,
    project: Project,
    key: str,
    *,
    polarity: Polarity,
    image_id: int,
    caption: str = "",
    by: Person,
) -> AttributeExample:
    """Add an image as the last example of one side of a pair.

    Raises NotFound; Invalid for a dimension, an image that is not in use here, or a long caption; Conflict
    where the image is an example of this side already, or the side has six that can be seen.
    """
    said = _tidied(caption)
    node = get_node(db, project, key)
    if node.kind != "pair":
        raise Invalid(
            f"“{title(node)}” is a dimension; attribute pairs have examples.",
            field="key",
            hint="Choose a pair below it.",
        )
    _refuse_image(db, project, image_id)
    standing = _lock_side(db, node.id, polarity)
    if any(each.image_id == image_id for each in standing):
        raise Conflict(f"Image {image_id} is an example of this side already.", field="image")
    standing = _make_room(db, standing)
    if len(standing) >= MOST:
        raise Conflict(
            f"This side has {MOST} examples, which is the most.",
            field="image",
            hint="Take one out first.",
        )
    example = AttributeExample(
        project_id=project.id,
        node_id=node.id,
        polarity=polarity,
        position=len(standing) + 1,
        image_id=image_id,
        caption=said,
        chosen_by=by.id,
    )
    db.add(example)
    db.flush()
    return example


def describe_example(
    db: Session, project: Project, example_id: int, *, caption: str, seen: str
) -> AttributeExample:
    """Give an example another caption. Raises NotFound, Invalid, and Stale with both captions where it is not
    the one that was `seen` any more.
    """
    said = _tidied(caption)
    example, _ = _get_locked(db, project, example_id)
    if example.caption not in (_tidied(seen), said):
        raise Stale(
            "This caption was changed meanwhile.",
            hint="Save again what should stand.",
            theirs=example.caption,
            yours=said,
        )
    example.caption = said
    db.flush()
    return example


def move_example(
    db: Session, project: Project, example_id: int, *, position: int
) -> AttributeExample:
    """Put an example at another place of its side, from 1. Raises NotFound, and Invalid for a place that is none."""
    example, standing = _get_locked(db, project, example_id)
    if not 1 <= position <= len(standing):
        raise Invalid(f"There are the places 1 to {len(standing)}.", field="position")
    others = [each for each in standing if each is not example]
    others.insert(position - 1, example)
    _number(db, others)
    return example


def drop_example(db: Session, project: Project, example_id: int) -> Node:
    """Take an example out; the others move up. Returns the pair. Raises NotFound."""
    example, standing = _get_locked(db, project, example_id)
    db.delete(example)
    _number(db, [each for each in standing if each is not example])
    return db.get_one(Node, example.node_id)


def drop_examples_of(db: Session, image: Image) -> None:
    """Take an image that is erased out of all examples, with its captions; the others move up."""
    gone = delete(AttributeExample).where(AttributeExample.image_id == image.id)
    node_ids = set(db.scalars(gone.returning(AttributeExample.node_id)))
    if not node_ids:
        return
    ranked = (
        select(
            AttributeExample.id,
            func.row_number()
            .over(
                partition_by=(AttributeExample.node_id, AttributeExample.polarity),
                order_by=AttributeExample.position,
            )
            .label("place"),
        )
        .where(AttributeExample.node_id.in_(node_ids))
        .subquery()
    )
    db.execute(
        update(AttributeExample)
        .where(AttributeExample.id == ranked.c.id)
        .values(position=ranked.c.place)
        .execution_options(synchronize_session=False)
    )


def get_example(db: Session, project: Project, example_id: int) -> AttributeExample:
    """An example of this project. Raises NotFound."""
    found = db.scalar(
        select(AttributeExample).where(
            AttributeExample.id == example_id, AttributeExample.project_id == project.id
        )
    )
    if found is None:
        raise NotFound(f"There is no example {example_id} in this project.")
    return found


def _get_locked(
    db: Session, project: Project, example_id: int
) -> tuple[AttributeExample, Sequence[AttributeExample]]:
    """An example with all of its side, which wait for one another."""
    found = get_example(db, project, example_id)
    standing = _lock_side(db, found.node_id, found.polarity)
    # Somebody may have taken it out while this waited.
    if found not in standing:
        raise NotFound(f"There is no example {example_id} in this project.")
    return found, standing


def _lock_side(db: Session, node_id: int, polarity: str) -> Sequence[AttributeExample]:
    """The examples of one side in order, those that cannot be seen included; who else chooses here waits."""
    db.scalar(select(Node.id).where(Node.id == node_id).with_for_update(key_share=True))
    return db.scalars(
        select(AttributeExample)
        .where(AttributeExample.node_id == node_id, AttributeExample.polarity == polarity)
        .order_by(AttributeExample.position)
        .execution_options(populate_existing=True)
    ).all()


def _make_room(db: Session, standing: Sequence[AttributeExample]) -> list[AttributeExample]:
    """Where all places are taken, those of images that were set aside are free again."""
    kept = list(standing)
    if len(kept) >= MOST:
        ids = [each.image_id for each in kept]
        seen = set(db.scalars(select(Image.id).where(Image.id.in_(ids), in_use())))
        for each in kept:
            if each.image_id not in seen:
                db.delete(each)
        kept = [each for each in kept if each.image_id in seen]
    _number(db, kept)
    return kept


def _number(db: Session, standing: Sequence[AttributeExample]) -> None:
    for position, each in enumerate(standing, start=1):
        each.position = position
    db.flush()


def _refuse_image(db: Session, project: Project, image_id: int) -> None:
    there = select(Image.id).where(Image.id == image_id, Image.project_id == project.id, in_use())
    if db.scalar(there) is None:
        raise Invalid(f"There is no image {image_id} in use in this project.", field="image")


def _tidied(caption: str) -> str:
    said = one_line(caption)
    if len(said) > LONGEST:
        raise Invalid(
            f"This has {len(said)} characters; a caption has at most {LONGEST}.",
            field="caption",
            hint="Say in a few words what to look at.",
        )
    return said
