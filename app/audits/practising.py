"""Practice before the first image: a few attributes of images outside the sample, about which people of the
project decided. What a participant answers there is kept nowhere; they are told what those people say.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import FromClause, insert, select
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
# Practice needs no more to choose from, however much was decided.
MOST_LABELS = 2_000
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
    for label in _find_decided(db, audit, needs, sample):
        if label.node_id in nodes:
            row = (label.node_id, label.polarity, EXPECTED[label.state])
            decided.setdefault(label.image_id, []).append(row)
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
    db: Session, audit: Audit, needs: FromClause, sample: Sequence[int]
) -> Iterable[Label]:
    return db.scalars(
        select(Label)
        .where(
            Label.project_id == audit.project_id,
            Label.state.in_(EXPECTED),
            Label.decided_by.is_not(None),
            Label.image_id.not_in(sample),
            Label.image_id.not_in(left_out(audit.project_id)),
            applies(Label.image_id, Label.node_id, needs),
        )
        .order_by(Label.id.desc())
        .limit(MOST_LABELS)
    )


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
