"""Practice before the first pair: pairs of prompts that were not drawn. What a participant answers there is kept
nowhere; they are told what people of the project say of it, where those have said something before the first
participant agreed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, aliased

from app.accounts.models import Person
from app.errors import Conflict, Invalid, NotFound
from app.participants.models import Participant
from app.projects.models import Project
from app.studies.access import get_study, get_study_criteria
from app.studies.judging import LEFT, PairToJudge, Question, Size, answers_of
from app.studies.models import (
    Study,
    StudyDimension,
    StudyImage,
    StudyPractice,
    StudyPracticeAnswer,
)

PAIRS = 2
Models = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Practised:
    """An answer in practice, and what the project's people say: None where they have said nothing."""

    key: str
    answer: str
    expected: str | None

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self.answer == self.expected


# Choosing ------------------------------------------------------------------------------------


def choose_practice(
    db: Session, study: Study, left_over: Sequence[dict[int, int]], between: Sequence[Models]
) -> None:
    """Freeze what participants practise on: nothing where every prompt was drawn.

    `left_over` are the images of prompts that were not drawn, by model, in the order of the draw; `between` the
    models that are compared. Pairs are of different groups where there are some.
    """
    rows = []
    for number, made in enumerate(left_over[:PAIRS]):
        models = between[number * len(between) // PAIRS]
        sides = [made[model] for model in models]
        if hashlib.sha256(f"{study.seed}:practice:{number}".encode()).digest()[0] % 2:
            sides.reverse()
        rows.append(
            {
                "study_id": study.id,
                "position": number + 1,
                "left_image_id": sides[0],
                "right_image_id": sides[1],
            }
        )
    if rows:
        db.execute(insert(StudyPractice), rows)


# Reading -------------------------------------------------------------------------------------


def find_practice_positions(db: Session, study: Study) -> Sequence[int]:
    """Where the pairs to practise on stand, from 1: none, or up to two."""
    return db.scalars(
        select(StudyPractice.position)
        .where(StudyPractice.study_id == study.id)
        .order_by(StudyPractice.position)
    ).all()


def get_pair_to_practise(db: Session, study: Study, position: int) -> PairToJudge:
    """A practice pair as in judging: participants are told what was said of it only after their own answer.

    Raises NotFound beyond the last.
    """
    for pair in find_pairs_to_practise(db, study, with_answers=False):
        if pair.place == position:
            return pair
    raise NotFound(f"This study has no practice pair {position}.")


def find_pairs_to_practise(db: Session, study: Study, *, with_answers: bool) -> list[PairToJudge]:
    """All practice pairs by position; `with_answers` with what people of the project said, for themselves."""
    left, right = aliased(StudyImage), aliased(StudyImage)
    rows = db.execute(
        select(StudyPractice, left, right)
        .join(left, left.id == StudyPractice.left_image_id)
        .join(right, right.id == StudyPractice.right_image_id)
        .where(StudyPractice.study_id == study.id)
        .order_by(StudyPractice.position)
    ).all()
    said = _find_said(db, study) if with_answers else {}
    asked = get_study_criteria(db, study).dimensions if rows else ()
    return [
        PairToJudge(
            place=practice.position,
            prompt=one.prompt,
            left=Size(one.width, one.height),
            right=Size(other.width, other.height),
            questions=tuple(
                Question(each.key, each.name, each.definition, said.get((practice.id, each.key)), 0)
                for each in asked
            ),
        )
        for practice, one, other in rows
    ]


def _find_said(db: Session, study: Study) -> dict[tuple[int, str], str]:
    rows = db.scalars(select(StudyPracticeAnswer).where(StudyPracticeAnswer.study_id == study.id))
    return {(each.practice_id, each.root_key): each.answer for each in rows}


def count_unsaid(db: Session, study: Study) -> int:
    """To how many questions of practice the project's people have said nothing."""
    pairs, dimensions, said = (
        select(func.count()).select_from(table).filter_by(study_id=study.id).scalar_subquery()
        for table in (StudyPractice, StudyDimension, StudyPracticeAnswer)
    )
    return db.scalar(select(pairs * dimensions - said)) or 0


def get_practice_hash(db: Session, study: Study, position: int, side: str) -> str:
    """The SHA-256 of the image on one side of a practice pair. Raises NotFound."""
    practice = _get_practice(db, study, position)
    image_id = practice.left_image_id if side == LEFT else practice.right_image_id
    return db.get_one(StudyImage, image_id).sha256


def _get_practice(db: Session, study: Study, position: int) -> StudyPractice:
    practice = db.scalar(
        select(StudyPractice).where(
            StudyPractice.study_id == study.id, StudyPractice.position == position
        )
    )
    if practice is None:
        raise NotFound(f"This study has no practice pair {position}.")
    return practice


# Answering -----------------------------------------------------------------------------------


def practise(db: Session, study: Study, position: int, key: str, answer: str) -> Practised:
    """What the project's people say of a practice pair in a dimension; keeps nothing.

    Raises Invalid for an unknown answer, NotFound for a pair or dimension that is not asked.
    """
    practice = _get_practice(db, study, position)
    _refuse_unasked(db, study, key, answer)
    said = db.get(StudyPracticeAnswer, (practice.id, key))
    return Practised(key, answer, said.answer if said else None)


def say(
    db: Session,
    project: Project,
    study_id: int,
    position: int,
    key: str,
    answer: str | None,
    *,
    by: Person,
) -> None:
    """Settle what participants are told of a practice pair in a dimension; None takes it back.

    Raises Conflict once somebody has agreed to take part, Invalid for an unknown answer, NotFound for a pair or dimension that is not asked.
    """
    study = get_study(db, project, study_id, lock=True)
    practice = _get_practice(db, study, position)
    _refuse_unasked(db, study, key, answer)
    if not may_say(db, study):
        raise Conflict(
            "Somebody has begun already, and everyone is to be told the same in practice.",
            hint="What was said before stays.",
        )
    about = {"practice_id": practice.id, "root_key": key}
    if answer is None:
        db.execute(delete(StudyPracticeAnswer).filter_by(**about))
        return
    said = {"answer": answer, "decided_by": by.id}
    db.execute(
        upsert(StudyPracticeAnswer)
        .values(**about, **said, study_id=study.id)
        .on_conflict_do_update(index_elements=list(about), set_=said)
    )


def may_say(db: Session, study: Study) -> bool:
    """Whether what participants are told in practice can still be settled: nobody has agreed to take part yet."""
    begun = select(Participant.id).where(
        Participant.study_id == study.id, Participant.consented_at.is_not(None)
    )
    return study.state == "open" and db.scalar(begun.limit(1)) is None


def _refuse_unasked(db: Session, study: Study, key: str, answer: str | None) -> None:
    known = answers_of(study)
    if answer is not None and answer not in known:
        raise Invalid(f"An answer is one of {', '.join(known)}.", field="answer")
    if db.get(StudyDimension, (study.id, key)) is None:
        raise NotFound(f"This study has no dimension “{key}”.")
