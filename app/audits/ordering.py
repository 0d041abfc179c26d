"""The order in which a participant sees the images of the sample: random, and each one's own, so that being
tired at the end, or having learned from the beginning, falls on no image of all.

Places are where an image stands for one participant, from 1; positions are where it stands in the sample.
The order follows from the audit's seed and the participant's number, so it is the same whenever they come
back, and can be told afterwards.
"""

import hashlib
from functools import lru_cache

from sqlalchemy import ARRAY, ColumnElement, Integer, func, literal
from sqlalchemy.orm import Session

from app.audits.models import Audit, AuditItem
from app.audits.sharing import positions_of
from app.participants.models import Participant


def image_order(db: Session, audit: Audit, participant: Participant) -> tuple[int, ...]:
    """The positions of the participant's images in the participant's order."""
    return _shuffled(audit.seed, participant.number, positions_of(db, audit, participant))


@lru_cache
def _shuffled(seed: int, number: int, positions: tuple[int, ...]) -> tuple[int, ...]:
    def chance(position: int) -> bytes:
        return hashlib.sha256(f"{seed}:participant {number}:{position}".encode()).digest()

    return tuple(sorted(positions, key=chance))


def place_in(order: tuple[int, ...]) -> ColumnElement[int]:
    """The place of an item of the statement in this order."""
    return func.array_position(literal(list(order), ARRAY(Integer)), AuditItem.image_position)
