"""What the agent missed: at some images participants also name attributes that they see and were not asked for.

Of what is there, the share that was missed is missed / (missed + confirmed): what a participant named, of that and of
the labels of the same images that the same participant confirmed. Participants name what strikes them, not all there
is, so it is a lower bound.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.audits.access import as_polarity, get_audit_criteria, hold
from app.audits.models import Audit, AuditItem, AuditProbe, Judgement, MissedAttribute
from app.audits.sharing import is_asked
from app.criteria.models import Node
from app.errors import Invalid, NotFound
from app.intervals import Interval, in_percent, interval_words, share_interval, spread
from app.participants import taking_part
from app.participants.models import Participant
from app.participants.progress import counted
from method.saved_texts import one_line
from taxonomy.tree import Criteria, Polarity


@dataclass(frozen=True, slots=True)
class Probe:
    """What a participant said is missing at an image: the attributes by key, polarity and name; `is_answered` also where
    nothing is.
    """

    is_answered: bool
    missing: tuple[tuple[str, Polarity, str], ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """Of one root dimension or of all: attributes that were named as missing, labels that were confirmed where it was
    asked, and the share that was missed with its interval.
    """

    key: str
    name: str
    missing: int
    confirmed: int
    share: float | None
    interval: Interval | None

    @property
    def share_words(self) -> str:
        """The share in percent."""
        return in_percent(self.share, self.missing + self.confirmed)

    @property
    def interval_words(self) -> str:
        """Its interval likewise."""
        return interval_words(self.interval, self.missing + self.confirmed)


def is_probed(audit: Audit, position: int) -> bool:
    """Whether it is asked what is missing at the image at this position of the sample; the seed decides."""
    chance = hashlib.sha256(f"{audit.seed}:probe:{position}".encode()).digest()
    return int.from_bytes(chance[:4]) % 100 < audit.probe_percent


# Naming ----------------------------------------------------------------------------------------


def get_probe(db: Session, audit: Audit, participant: Participant, position: int) -> Probe:
    """What the participant said is missing at an image of the sample."""
    tree = get_audit_criteria(db, audit).tree
    rows = db.execute(
        select(Node.key, MissedAttribute.polarity)
        .join(MissedAttribute, MissedAttribute.node_id == Node.id)
        .where(
            MissedAttribute.participant_id == participant.id,
            MissedAttribute.image_position == position,
        )
        .order_by(Node.key, MissedAttribute.polarity.desc())
    )
    missing = tuple((key, as_polarity(side), _name(tree, key, side)) for key, side in rows)
    return Probe(bool(missing) or _is_answered(db, participant, position), missing)


def _name(tree: Criteria, key: str, polarity: str) -> str:
    return tree.pair(key).attribute(as_polarity(polarity)).name


def _is_answered(db: Session, participant: Participant, position: int) -> bool:
    return db.get(AuditProbe, (participant.id, position)) is not None


def names(tree: Criteria) -> dict[str, tuple[str, Polarity]]:
    """Every attribute in use by its name as it is typed, without capitals."""
    found: dict[str, tuple[str, Polarity]] = {}
    for pair in tree.active_pairs():
        for polarity, side in (("positive", pair.positive), ("negative", pair.negative)):
            found.setdefault(side.name.casefold(), (pair.key, as_polarity(polarity)))
    return found


def find_names(db: Session, audit: Audit) -> list[str]:
    """What every attribute in use is called, in alphabetical order, so that no order tells a sign."""
    pairs = get_audit_criteria(db, audit).tree.active_pairs()
    return sorted({side.name for pair in pairs for side in (pair.positive, pair.negative)})


def name_missing(db: Session, participant: Participant, position: int, attribute: str) -> None:
    """Name an attribute, as it is called, that one sees in an image and was not asked for. Doing so twice changes nothing.

    Raises Invalid for a name that no attribute has and for one that is asked for there, NotFound for an image that one
    is not asked about or that has no probe, Conflict before consent, after finishing and where the audit is closed.
    """
    audit = _hold(db, participant, position)
    called = one_line(attribute)
    key, polarity = names(get_audit_criteria(db, audit).tree).get(called.casefold(), (None, None))
    if key is None or polarity is None:
        raise Invalid(
            f"No attribute is called “{called}”.",
            field="attribute",
            hint="Choose one of the list that opens while you type.",
        )
    node_id = db.scalars(
        select(Node.id).where(Node.project_id == audit.project_id, Node.key == key)
    ).one()
    asked = select(AuditItem.id).where(
        AuditItem.audit_id == audit.id,
        AuditItem.image_position == position,
        AuditItem.node_id == node_id,
        AuditItem.polarity == polarity,
    )
    if db.scalar(asked) is not None:
        raise Invalid(f"“{called}” is among the questions of this image.", field="attribute")
    _answer(db, audit, participant, position)
    named = {
        "participant_id": participant.id,
        "image_position": position,
        "node_id": node_id,
        "polarity": polarity,
    }
    db.execute(insert(MissedAttribute).values(named).on_conflict_do_nothing())


def name_nothing(db: Session, participant: Participant, position: int) -> None:
    """Say that nothing more is missing at an image. Raises as `name_missing` does."""
    _answer(db, _hold(db, participant, position), participant, position)


def take_back(
    db: Session, participant: Participant, position: int, key: str, polarity: Polarity
) -> None:
    """Do not name an attribute after all. Raises as `name_missing` does."""
    audit = _hold(db, participant, position)
    node_id = select(Node.id).where(Node.project_id == audit.project_id, Node.key == key)
    db.execute(
        delete(MissedAttribute).where(
            MissedAttribute.participant_id == participant.id,
            MissedAttribute.image_position == position,
            MissedAttribute.node_id.in_(node_id),
            MissedAttribute.polarity == polarity,
        )
    )


def _hold(db: Session, participant: Participant, position: int) -> Audit:
    audit = hold(db, participant)
    taking_part.refuse_unless_taking_part(participant)
    own = select(AuditItem.id).where(
        is_asked(audit, participant), AuditItem.image_position == position
    )
    if not is_probed(audit, position) or db.scalar(own.limit(1)) is None:
        raise NotFound("Nothing is asked about what is missing here.")
    return audit


def _answer(db: Session, audit: Audit, participant: Participant, position: int) -> None:
    answered = {
        "participant_id": participant.id,
        "image_position": position,
        "audit_id": audit.id,
    }
    db.execute(insert(AuditProbe).values(answered).on_conflict_do_nothing())


# Counting --------------------------------------------------------------------------------------


def find_missed(db: Session, audit: Audit) -> list[Missed]:
    """Overall and by root dimension: how much of what is there the agent missed; nothing where it was not asked."""
    if not audit.probe_percent:
        return []
    tree = get_audit_criteria(db, audit).tree
    roots = {pair.key: tree.root_of(pair.key).key for pair in tree.pairs()}
    named = _count_named(db, audit, roots)
    confirmed = _count_confirmed(db, audit)
    probes = _find_probes(db, audit)
    rows = [_missed("overall", "Overall", probes, named, confirmed, None)]
    rows += [
        _missed(root.key, root.name, probes, named, confirmed, root.key) for root in tree.dimensions
    ]
    return [row for row in rows if row.key == "overall" or row.missing + row.confirmed]


_Counts = Mapping[tuple[int, int, str], int]
"""By participant, position of the image, and root dimension."""


def _find_probes(db: Session, audit: Audit) -> Sequence[tuple[int, int]]:
    rows = db.execute(
        select(AuditProbe.participant_id, AuditProbe.image_position)
        .join(Participant, Participant.id == AuditProbe.participant_id)
        .where(AuditProbe.audit_id == audit.id, counted())
    )
    return rows.all()


def _count_named(db: Session, audit: Audit, roots: Mapping[str, str]) -> _Counts:
    rows = db.execute(
        select(
            MissedAttribute.participant_id, MissedAttribute.image_position, Node.key, func.count()
        )
        .join(Node, Node.id == MissedAttribute.node_id)
        .join(Participant, Participant.id == MissedAttribute.participant_id)
        .where(Participant.audit_id == audit.id)
        .group_by(MissedAttribute.participant_id, MissedAttribute.image_position, Node.key)
    )
    found: dict[tuple[int, int, str], int] = {}
    for participant, position, key, count in rows:
        place = participant, position, roots[key]
        found[place] = found.get(place, 0) + count
    return found


def _count_confirmed(db: Session, audit: Audit) -> _Counts:
    rows = db.execute(
        select(Judgement.participant_id, AuditItem.image_position, AuditItem.root_key, func.count())
        .join(AuditItem, AuditItem.id == Judgement.item_id)
        .where(
            AuditItem.audit_id == audit.id,
            AuditItem.kind == "label",
            Judgement.answer == "appears",
        )
        .group_by(Judgement.participant_id, AuditItem.image_position, AuditItem.root_key)
    )
    return {(person, position, str(root)): count for person, position, root, count in rows}


def _missed(
    key: str,
    name: str,
    probes: Sequence[tuple[int, int]],
    named: _Counts,
    confirmed: _Counts,
    root: str | None,
) -> Missed:
    missing, there = (_by_probe(counts, probes, root) for counts in (named, confirmed))
    total = int(missing.sum() + there.sum())
    share = int(missing.sum()) / total if total else None
    interval = None
    if share is not None:
        parts = (missing - share * (missing + there)) / total
        people = np.array([person for person, _ in probes], dtype=np.int64)
        images = np.array([position for _, position in probes], dtype=np.int64)
        interval = share_interval(share, spread(parts, images, people))
    return Missed(key, name, int(missing.sum()), int(there.sum()), share, interval)


def _by_probe(
    counts: _Counts, probes: Sequence[tuple[int, int]], root: str | None
) -> np.typing.NDArray[np.int64]:
    """How many at each probe, of one root dimension or of all."""
    place = {probe: index for index, probe in enumerate(probes)}
    found = np.zeros(len(probes), dtype=np.int64)
    for (person, position, of_root), count in counts.items():
        if (person, position) in place and root in (None, of_root):
            found[place[person, position]] += count
    return found
