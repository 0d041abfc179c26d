"""Single verdicts: every one, for export, and what was said of each label together, for its picture.

Who gave them is told by a code that has nothing to do with the number on a participant's link, in an order that has
nothing to do with when links were made; and not when, but how many seconds after the answer before.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session

from app.audits.access import as_polarity, get_audit_criteria
from app.audits.models import Audit, AuditItem, Judgement
from app.audits.scoring import PAUSE
from app.criteria.models import Node
from app.images.inclusion import erased
from app.images.models import Image
from app.participants.models import Participant
from app.participants.progress import counted
from taxonomy.tree import Criteria, Pair, Polarity

Opinion = Literal["held", "refuted", "tied", "unanswered"]
OPINIONS: dict[Opinion, str] = {
    "held": "most say it appears",
    "refuted": "most say it does not appear",
    "tied": "as many say so as otherwise",
    "unanswered": "nobody has decided",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One participant's answer about one item, as it is exported."""

    participant: str
    image_position: int
    image_name: str
    image_sha256: str
    dimension: str
    key: str
    polarity: str
    attribute: str
    answer: str
    revision: int
    seconds: float | None
    kind: str


@dataclass(frozen=True, slots=True)
class JudgedLabel:
    """A label of the sample, or a decoy, with its image and how many said what."""

    id: int
    image_id: int
    image_sha256: str
    image_name: str
    width: int
    height: int
    kind: str
    key: str
    polarity: Polarity
    name: str
    appears: int
    does_not_appear: int
    cannot_tell: int

    @property
    def opinion(self) -> Opinion:
        """What most participants say."""
        if self.appears == self.does_not_appear:
            return "tied" if self.appears else "unanswered"
        return "held" if self.appears > self.does_not_appear else "refuted"


def iterate_verdicts(db: Session, audit: Audit) -> Iterator[Verdict]:
    """Every verdict that counts, by participant's code and item; those of revoked participants do not."""
    tree = get_audit_criteria(db, audit).tree
    before = func.lag(Judgement.at).over(
        partition_by=Judgement.participant_id, order_by=Judgement.at
    )
    # Columns, not objects: an audit of a hundred images has tens of thousands of verdicts.
    rows = db.execute(
        select(
            Participant.code,
            AuditItem.image_position,
            AuditItem.polarity,
            Image.name,
            Image.sha256,
            Node.key,
            Judgement.answer,
            Judgement.revision,
            func.extract("epoch", Judgement.at - before),
            AuditItem.kind,
        )
        .join(AuditItem, AuditItem.id == Judgement.item_id)
        .join(Participant, Participant.id == Judgement.participant_id)
        .join(Node, Node.id == AuditItem.node_id)
        .join(Image, Image.id == AuditItem.image_id)
        .where(Participant.audit_id == audit.id, counted())
        .order_by(Participant.code, AuditItem.id)
    )
    for code, position, polarity, name, sha256, key, answer, revision, gap, kind in rows:
        entry = tree.entry(key)
        yield Verdict(
            code,
            position,
            name,
            sha256,
            entry.root.name,
            key,
            str(polarity),
            _name(tree, key, as_polarity(str(polarity))),
            answer,
            revision,
            _seconds(gap),
            kind,
        )


def _seconds(gap: Any) -> float | None:
    return None if gap is None or gap > PAUSE else round(float(gap), 1)


def _name(tree: Criteria, key: str, polarity: Polarity) -> str:
    return tree.pair(key).attribute(polarity).name


def find_judged(
    db: Session,
    audit: Audit,
    *,
    key: str | None = None,
    polarity: str | None = None,
    opinion: Opinion | None = None,
    kind: str | None = None,
    after: int = 0,
    limit: int = 60,
) -> list[JudgedLabel]:
    """Labels and decoys of the sample with what was said of them, by id, a page at a time from behind `after`.

    `key` narrows them to a node of the criteria and what is below it. Erased images are left out.
    """
    tree = get_audit_criteria(db, audit).tree
    yes, no, unsure = (
        func.count().filter(counted(), Judgement.answer == answer)
        for answer in ("appears", "does_not_appear", "cannot_tell")
    )
    rows = db.execute(
        select(
            AuditItem.id,
            Image.id,
            Image.sha256,
            Image.name,
            Image.width,
            Image.height,
            AuditItem.kind,
            Node.key,
            AuditItem.polarity,
            yes,
            no,
            unsure,
        )
        .join(Node, Node.id == AuditItem.node_id)
        .join(Image, Image.id == AuditItem.image_id)
        .outerjoin(Judgement, Judgement.item_id == AuditItem.id)
        .outerjoin(Participant, Participant.id == Judgement.participant_id)
        .where(
            AuditItem.audit_id == audit.id,
            AuditItem.id > after,
            AuditItem.image_id.not_in(erased()),
            true() if key is None else Node.key.in_(keys_below(tree, key)),
            true() if polarity is None else AuditItem.polarity == polarity,
            true() if kind is None else AuditItem.kind == kind,
        )
        .group_by(AuditItem.id, Image.id, Node.key)
        .having(true() if opinion is None else _is(opinion, yes, no))
        .order_by(AuditItem.id)
        .limit(limit)
    )
    return [_judged(tree, *row) for row in rows]


def _judged(tree: Criteria, *row: Any) -> JudgedLabel:
    item_id, image_id, sha256, called, width, height, kind, key, polarity, yes, no, unsure = row
    side = as_polarity(polarity)
    name = _name(tree, key, side)
    about = item_id, image_id, sha256, called, width, height
    return JudgedLabel(*about, kind, key, side, name, yes, no, unsure)


def keys_below(tree: Criteria, key: str) -> Collection[str]:
    """The attribute pairs at or below a node of the criteria; none for a node that they lack."""
    return [
        entry.node.key
        for entry in tree.walk()
        if isinstance(entry.node, Pair) and key in entry.path
    ]


def _is(opinion: Opinion, yes: ColumnElement[int], no: ColumnElement[int]) -> ColumnElement[bool]:
    match opinion:
        case "held":
            return yes > no
        case "refuted":
            return yes < no
        case "tied":
            return (yes == no) & (yes > 0)
        case "unanswered":
            return (yes == no) & (yes == 0)
