"""Whether an attribute pair applies to an image, for statements: whoever counts, draws or looks for labels asks here.

The rule is that of `taxonomy.applicability`: a pair does not apply where an image is known to lack content
that it needs, and that is known from people alone (`app.images.models.ImageTrait`).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Text,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.orm import Session

from app.criteria.models import PairNeed
from app.images.models import ImageTrait

IN_FORCE: FromClause = PairNeed.__table__
"""What the pairs of the versions in force need."""


def needs_of(needs: Sequence[tuple[int, str]]) -> FromClause:
    """What the pairs of another tree need (`app.criteria.freezing.find_needs`), in the place of `IN_FORCE`."""
    node_ids = literal([node_id for node_id, _ in needs], ARRAY(BigInteger))
    contents = literal([content for _, content in needs], ARRAY(Text))
    return (
        func.unnest(node_ids, contents)
        .table_valued("node_id", "content")
        .render_derived(name="need")
    )


def applies(image_id: Any, node_id: Any, needs: FromClause = IN_FORCE) -> ColumnElement[bool]:
    """Whether the pair of one column applies to the image of another."""
    # Not as a join of both tables: the product of what images lack and what pairs need is large.
    needed = select(needs.c.node_id, needs.c.content)
    missing = select(ImageTrait.image_id).where(
        ImageTrait.image_id == image_id,
        *_is_lacking(),
        tuple_(node_id, ImageTrait.value).in_(needed),
    )
    return ~missing.exists()


def find_not_applicable(
    db: Session, image_ids: Sequence[int], needs: FromClause = IN_FORCE
) -> dict[int, set[int]]:
    """The ids of the pairs that do not apply to each of these images; images to which all do are left out."""
    rows = db.execute(
        select(ImageTrait.image_id, needs.c.node_id)
        .join(needs, needs.c.content == ImageTrait.value)
        .where(ImageTrait.image_id == func.any(list(image_ids)), *_is_lacking())
    )
    found: dict[int, set[int]] = {}
    for image_id, node_id in rows:
        found.setdefault(image_id, set()).add(node_id)
    return found


def _is_lacking() -> tuple[ColumnElement[bool], ...]:
    # Written as the index holds it.
    return ImageTrait.kind == literal_column("'content'"), ~ImageTrait.present
