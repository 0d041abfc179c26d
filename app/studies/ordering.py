"""In which order a participant sees the pairs, and which image stands on which side.

Both follow from the study's seed, the participant's number and the pairs that they are asked about, so they are the same
whenever somebody comes back, and can be told afterwards. The order is random and each one's own. Of every two models
each stands left in half of a participant's pairs; where everyone is asked about all, each pair stands one way round for
half of the participants. A repeated pair comes in the second half, after the pair that it repeats, with the sides changed.
"""

import hashlib
from collections import defaultdict
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from app.participants.models import Participant
from app.studies.models import Study, StudyImage, StudyPair, StudyShare


@dataclass(frozen=True, slots=True)
class DrawnPair:
    """A pair as it was drawn: what it is, which pair it repeats, the two models, and the prompt by its hash."""

    id: int
    kind: str
    repeats_id: int | None
    first_model: int
    second_model: int
    prompt: str


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A pair as a participant sees it: whether its first image stands on the left."""

    pair_id: int
    first_is_left: bool


Pairs = tuple[DrawnPair, ...]


def find_pairs(db: Session, study: Study) -> Pairs:
    """All pairs of a study by id; one query."""
    first, second = aliased(StudyImage), aliased(StudyImage)
    rows = db.execute(
        select(
            StudyPair.id,
            StudyPair.kind,
            StudyPair.repeats_id,
            first.model_id,
            second.model_id,
            first.prompt_sha256,
        )
        .join(first, first.id == StudyPair.first_image_id)
        .join(second, second.id == StudyPair.second_image_id)
        .where(StudyPair.study_id == study.id)
        .order_by(StudyPair.id)
    )
    return _kept(tuple(DrawnPair(*row) for row in rows))


@lru_cache(maxsize=8)
def _kept(pairs: Pairs) -> Pairs:
    """The same object for equal pairs, so that what is kept of their orders holds them once."""
    return pairs


@lru_cache(maxsize=32)
def order_of(seed: int, number: int, pairs: Pairs) -> tuple[ShownPair, ...]:
    """Pairs in the order of participant `number`, who is asked about them and no others, each with its sides."""
    sides = sides_of(seed, number, pairs)
    repeated = {each.repeats_id for each in pairs}

    def place(each: DrawnPair) -> float:
        at = _chance(seed, f"participant {number}", each.id)
        if each.kind == "repeated":
            return (1 + at) / 2
        return at / 2 if each.id in repeated else at

    return tuple(ShownPair(each.id, sides[each.id]) for each in sorted(pairs, key=place))


@lru_cache(maxsize=32)
def sides_of(seed: int, number: int, pairs: Pairs) -> dict[int, bool]:
    """Whether the first image of each pair stands on the left for participant `number`."""
    strata: dict[tuple[int, int], list[DrawnPair]] = defaultdict(list)
    for each in pairs:
        if each.kind != "repeated":
            strata[each.first_model, each.second_model].append(each)
    sides: dict[int, bool] = {}
    for alike in strata.values():
        ordered = sorted(alike, key=lambda each: _chance(seed, "side", each.id))
        for rank, each in enumerate(ordered):
            sides[each.id] = (rank + number) % 2 == 0
    for each in pairs:
        if each.repeats_id is not None:
            sides[each.id] = not sides[each.repeats_id]
    return sides


def _chance(seed: int, what: str, pair_id: int) -> float:
    """A number in [0, 1) that follows from the seed, the use it is for, and the pair."""
    digest = hashlib.sha256(f"{seed}:{what}:{pair_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def find_own_pairs(db: Session, study: Study, participant: Participant) -> Pairs:
    """The pairs that a participant is asked about, by id; none before they agreed, where pairs are shared out."""
    pairs = find_pairs(db, study)
    if study.prompts_each is None:
        return pairs
    own = select(StudyShare.pair_id).where(StudyShare.participant_id == participant.id)
    return _among(pairs, frozenset(db.scalars(own)))


def find_shared_pairs(db: Session, study: Study) -> dict[int, Pairs]:
    """The pairs that each participant is asked about, by the participant's number; two queries."""
    pairs = find_pairs(db, study)
    rows = db.execute(
        select(Participant.number, StudyShare.pair_id)
        .join(StudyShare, StudyShare.participant_id == Participant.id)
        .where(StudyShare.study_id == study.id)
    )
    shares: dict[int, set[int]] = defaultdict(set)
    for number, pair_id in rows:
        shares[number].add(pair_id)
    return {number: _among(pairs, own) for number, own in shares.items()}


def _among(pairs: Pairs, ids: AbstractSet[int]) -> Pairs:
    return tuple(each for each in pairs if each.id in ids)


def find_order(db: Session, study: Study, participant: Participant) -> tuple[ShownPair, ...]:
    """What a participant sees, place by place."""
    own = find_own_pairs(db, study, participant)
    return order_of(study.seed, participant.number, own)
