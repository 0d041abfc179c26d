"""Practice before the first image: a few attributes of images outside the sample, about which people of the
project decided. What a participant answers there is kept nowhere; they are told what those people say.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Result,
    Select,
    Text,
    cast,
    column,
    func,
    insert,
    select,
    true,
    union,
    values,
)
from sqlalchemy.orm import Session

from app.audits.access import as_polarity, get_audit_criteria
from app.audits.judging import ANSWERS, ImageToJudge, Item
from app.audits.models import Audit, PracticeItem
from app.criteria.models import Node
from app.errors import Invalid, NotFound
from app.images.applicability import applies
from app.images.inclusion import erased, left_out
from app.images.models import Image
from app.labels.models import Label
from taxonomy.tree import Criteria, Pair

IMAGES = 2
ITEMS = 4
MOST_IMAGES = 100
EXPECTED = {"confirmed": "appears", "rejected": "does_not_appear"}


@dataclass(frozen=True, slots=True)
class Practised:
    """An answer in practice, and what the project's people say."""

    item_id: int
    answer: str
    expected: str

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self.answer == self.expected


# Choosing ------------------------------------------------------------------------------------


def choose_practice(
    db: Session,
    audit: Audit,
    *,
    nodes: Collection[int],
    needs: FromClause,
    sample: Sequence[int],
) -> None:
    """Freeze what participants practise on: nothing where too little is decided outside the sample.

    `nodes` are the pairs in use, `needs` what they need (`app.images.applicability`). Images of which some attributes were confirmed and some rejected come
    first; else the seed decides.
    """
    decided: dict[int, list[tuple[int, str, str]]] = {}
    for image_id, node_id, polarity, state in _find_decided(db, audit, nodes, needs, sample):
        decided.setdefault(image_id, []).append((node_id, polarity, EXPECTED[state]))
    images = sorted(
        (image_id for image_id, rows in decided.items() if len(rows) > 1),
        key=lambda image_id: (
            -len({expected for _, _, expected in decided[image_id]}),
            _chance(audit.seed, image_id),
        ),
    )[:IMAGES]
    items = [
        {
            "audit_id": audit.id,
            "image_position": position,
            "image_id": image_id,
            "node_id": node_id,
            "polarity": polarity,
            "expected": expected,
        }
        for position, image_id in enumerate(images, start=1)
        for node_id, polarity, expected in _mixed(audit.seed, image_id, decided[image_id])
    ]
    if items:
        db.execute(insert(PracticeItem), items)


def _find_decided(
    db: Session, audit: Audit, nodes: Collection[int], needs: FromClause, sample: Sequence[int]
) -> Result[int, int, str, str]:
    """What was decided about a few images outside the sample: image, node, polarity and state."""
    images = sorted(
        _find_images(db, audit, nodes, sample), key=lambda each: _chance(audit.seed, each)
    )
    return db.execute(
        select(Label.image_id, Label.node_id, Label.polarity, Label.state)
        .where(
            Label.image_id.in_(images[:MOST_IMAGES]),
            Label.state.in_(EXPECTED),
            Label.decided_by.is_not(None),
            Label.node_id.in_(nodes),
            applies(Label.image_id, Label.node_id, needs),
        )
        .order_by(Label.id)
    )


def _find_images(
    db: Session, audit: Audit, nodes: Collection[int], sample: Sequence[int]
) -> Sequence[int]:
    """Some images of which something was decided: for each attribute and answer the next ones from a random image on,
    and around. An index leads to each, however much was decided and however little.
    """
    first, last = db.execute(
        select(func.min(Image.id), func.max(Image.id)).where(Image.project_id == audit.project_id)
    ).one()
    start = first + int.from_bytes(_chance(audit.seed, "practice")[:6]) % (last - first + 1)
    asked = (
        func.unnest(cast(list(nodes), ARRAY(BigInteger)))
        .table_valued("node_id")
        .render_derived(name="asked")
    )
    polarities = values(column("polarity", Text), name="of").data([("positive",), ("negative",)])
    states = values(column("state", Text), name="decided").data([(each,) for each in EXPECTED])

    def next_ones(where: ColumnElement[bool], name: str) -> Select[int]:
        near = (
            select(Label.image_id)
            .where(
                Label.node_id == asked.c.node_id,
                Label.polarity == polarities.c.polarity,
                Label.state == states.c.state,
                Label.decided_by.is_not(None),
                Label.image_id.not_in(sample),
                Label.image_id.not_in(left_out(audit.project_id)),
                where,
            )
            .order_by(Label.image_id)
            .limit(IMAGES)
            .lateral(name)
        )
        return select(near.c.image_id).select_from(
            asked.join(polarities, true()).join(states, true()).join(near, true())
        )

    after = next_ones(Label.image_id >= start, "after")
    before = next_ones(Label.image_id < start, "before")
    return db.scalars(union(after, before)).all()


def _mixed(
    seed: int, image_id: int, rows: list[tuple[int, str, str]]
) -> list[tuple[int, str, str]]:
    """A few of an image's attributes, of both answers where there are both."""
    rows = sorted(rows, key=lambda row: _chance(seed, image_id, *row))
    there = [row for row in rows if row[2] == "appears"]
    absent = [row for row in rows if row[2] != "appears"]
    fewer = min(len(there), len(absent), ITEMS // 2)
    chosen = there[: max(fewer, ITEMS - len(absent))] + absent[: max(fewer, ITEMS - len(there))]
    return sorted(chosen)


def _chance(*parts: object) -> bytes:
    return hashlib.sha256(":".join(map(str, parts)).encode()).digest()


# Practising ----------------------------------------------------------------------------------


def find_practice_positions(db: Session, audit: Audit) -> Sequence[int]:
    """Where the practice images are that can be shown: none, or up to two."""
    return db.scalars(
        select(PracticeItem.image_position)
        .where(PracticeItem.audit_id == audit.id, PracticeItem.image_id.not_in(erased()))
        .distinct()
        .order_by(PracticeItem.image_position)
    ).all()


def get_image_to_practise(db: Session, audit: Audit, position: int) -> ImageToJudge:
    """A practice image with its items in tree order, as in judging. Raises NotFound beyond the last."""
    rows = db.execute(
        select(PracticeItem, Node.key, Image)
        .join(Node, Node.id == PracticeItem.node_id)
        .join(Image, Image.id == PracticeItem.image_id)
        .where(
            PracticeItem.audit_id == audit.id,
            PracticeItem.image_position == position,
            PracticeItem.image_id.not_in(erased()),
        )
        .order_by(PracticeItem.id)
    ).all()
    if not rows:
        raise NotFound(f"This audit has no practice image {position}.")
    tree = get_audit_criteria(db, audit).tree
    place = {pair.key: number for number, pair in enumerate(tree.pairs())}
    rows = sorted(rows, key=lambda row: (place[row[1]], row[0].id))
    image = rows[0][2]
    return ImageToJudge(
        id=image.id,
        position=position,
        width=image.width,
        height=image.height,
        items=tuple(_item(tree, item, key) for item, key, _ in rows),
    )


def _item(tree: Criteria, item: PracticeItem, key: str) -> Item:
    entry = tree.entry(key)
    assert isinstance(entry.node, Pair)
    side = entry.node.attribute(as_polarity(item.polarity))
    return Item(
        id=item.id,
        image_id=item.image_id,
        image_position=item.image_position,
        root=entry.root.name,
        name=side.name,
        definition=side.definition,
        answer=None,
        revision=0,
        key=key,
        polarity=item.polarity,
    )


def practise(db: Session, audit: Audit, item_id: int, answer: str) -> Practised:
    """What the project's people say about a practice item; keeps nothing.

    Raises Invalid for an unknown answer, NotFound for an item of another audit.
    """
    if answer not in ANSWERS:
        raise Invalid(f"An answer is one of {', '.join(ANSWERS)}.", field="answer")
    item = db.get(PracticeItem, item_id)
    if item is None or item.audit_id != audit.id:
        raise NotFound(f"This audit has no practice item {item_id}.")
    return Practised(item_id, answer, item.expected)
