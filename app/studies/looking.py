"""The pairs of a study with their pictures and what was said of them, for the project's people: a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from app.errors import NotFound
from app.images.image_files import read_shown
from app.participants.models import Participant
from app.participants.progress import counted
from app.studies.models import Study, StudyChoice, StudyImage, StudyModel, StudyPair


@dataclass(frozen=True, slots=True)
class LookedAt:
    """One pair that counts: its images with their models, and how many answers, over all dimensions, preferred each."""

    id: int
    prompt: str
    group: str
    images: tuple[int, int]
    models: tuple[str, str]
    preferred: tuple[int, int]
    ties: int


def find_looked_at(
    db: Session, study: Study, *, after: int = 0, limit: int = 20
) -> Sequence[LookedAt]:
    """The pairs that count by id, from behind the pair `after`; two queries."""
    first, second = aliased(StudyImage), aliased(StudyImage)
    one, other = aliased(StudyModel), aliased(StudyModel)
    rows = db.execute(
        select(
            StudyPair.id, first.prompt, one.group_name, first.id, second.id, one.name, other.name
        )
        .join(first, first.id == StudyPair.first_image_id)
        .join(second, second.id == StudyPair.second_image_id)
        .join(one, one.id == first.model_id)
        .join(other, other.id == second.model_id)
        .where(StudyPair.study_id == study.id, StudyPair.kind == "pair", StudyPair.id > after)
        .order_by(StudyPair.id)
        .limit(limit)
    ).all()
    said = _count_answers(db, [row[0] for row in rows])
    return [
        LookedAt(
            id=row[0],
            prompt=row[1],
            group=row[2],
            images=(row[3], row[4]),
            models=(row[5], row[6]),
            preferred=(said.get((row[0], "first"), 0), said.get((row[0], "second"), 0)),
            ties=said.get((row[0], "tie"), 0),
        )
        for row in rows
    ]


def _count_answers(db: Session, pair_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """How many answers of participants who count were of each kind, by pair."""
    rows = db.execute(
        select(StudyChoice.pair_id, StudyChoice.answer, func.count())
        .join(Participant, Participant.id == StudyChoice.participant_id)
        .where(StudyChoice.pair_id.in_(pair_ids), counted())
        .group_by(StudyChoice.pair_id, StudyChoice.answer)
    )
    return {(pair_id, answer): number for pair_id, answer, number in rows}


def read_picture(db: Session, study: Study, image_id: int) -> bytes:
    """An image of a study as pages show it. Raises NotFound for one of another study."""
    found = select(StudyImage.sha256).where(
        StudyImage.id == image_id, StudyImage.study_id == study.id
    )
    sha256 = db.scalar(found)
    if sha256 is None:
        raise NotFound(f"This study has no image {image_id}.")
    return read_shown("display", sha256)
