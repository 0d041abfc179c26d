"""Who is asked about which images, where not everyone is asked about all.

A participant who agrees gets the images that the fewest others have, so that each ends up with the wanted number of
judges, also where somebody withdraws or is left out: whoever comes next takes their place.
"""

import hashlib

from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.orm import Session

from app.audits.models import Audit, AuditItem, AuditShare
from app.participants.models import Participant

_SHARING = 0x41554449
"""What the lock is called under which shares are given out."""


def give_share(db: Session, audit: Audit, participant: Participant) -> None:
    """Choose a participant's images; those who come at once wait for one another. Doing so twice changes nothing."""
    if audit.images_each is None:
        return
    db.execute(select(func.pg_advisory_xact_lock(_SHARING, audit.id)))
    if positions_of(db, audit, participant):
        return
    taken = dict(
        db.execute(
            select(AuditShare.image_position, func.count())
            .join(Participant, Participant.id == AuditShare.participant_id)
            .where(
                AuditShare.audit_id == audit.id,
                Participant.revoked_at.is_(None),
                Participant.withdrawn_at.is_(None),
            )
            .group_by(AuditShare.image_position)
        ).all()
    )

    def chance(position: int) -> bytes:
        return hashlib.sha256(
            f"{audit.seed}:share {participant.number}:{position}".encode()
        ).digest()

    positions = sorted(
        range(1, audit.sample_size + 1), key=lambda each: (taken.get(each, 0), chance(each))
    )[: audit.images_each]
    db.execute(
        insert(AuditShare),
        [
            {"audit_id": audit.id, "participant_id": participant.id, "image_position": each}
            for each in sorted(positions)
        ],
    )


def positions_of(db: Session, audit: Audit, participant: Participant) -> tuple[int, ...]:
    """The positions of the images that a participant is asked about, in the order of the sample; none before they
    agreed, where images are shared out.
    """
    if audit.images_each is None:
        return tuple(range(1, audit.sample_size + 1))
    return tuple(
        db.scalars(
            select(AuditShare.image_position)
            .where(AuditShare.participant_id == participant.id)
            .order_by(AuditShare.image_position)
        )
    )


def is_asked(audit: Audit, participant: Participant) -> ColumnElement[bool]:
    """Whether an item of the statement, of this audit, is one that the participant is asked."""
    own = AuditItem.audit_id == audit.id
    if audit.images_each is None:
        return own
    shared = select(AuditShare.image_position).where(AuditShare.participant_id == participant.id)
    return own & AuditItem.image_position.in_(shared)


def images_for(audit: Audit) -> int:
    """How many images each participant is asked about."""
    return audit.sample_size if audit.images_each is None else audit.images_each


def people_for(audit: Audit) -> int | None:
    """How many participants it takes for the wanted number of judges; None where everyone is asked about all."""
    if audit.images_each is None or audit.judges is None:
        return None
    return -(-audit.sample_size * audit.judges // audit.images_each)
