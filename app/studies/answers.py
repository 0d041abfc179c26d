"""All answers of a study as columns, one row for each, for its figures and its files.

Participants whose link was revoked are left out; how many is said beside every figure.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.intervals import Reals, Whole
from app.participants.models import Participant
from app.participants.progress import counted
from app.studies.access import StudyCriteria
from app.studies.models import Study, StudyChoice
from app.studies.ordering import find_pairs, find_shared_pairs, sides_of

Mask = NDArray[np.bool_]
FIRST_WON = {"first": 1.0, "tie": 0.5, "second": 0.0}


@dataclass(frozen=True, slots=True)
class Answers:
    """One row for each answer: the pair, its prompt, what kind it is and which one it repeats (0: none), who gave it, about which
    dimension (its place in the tree), the two models, whether the first stood on the left, `won` (1 where the first
    image is better, 0 where the second is, ½ for no difference), and when, in seconds.
    """

    pairs: Whole
    prompts: Whole
    kinds: NDArray[np.str_]
    repeats: Whole
    people: Whole
    codes: NDArray[np.str_]
    dimensions: Whole
    first: Whole
    second: Whole
    left: Mask
    won: Reals
    at: Reals

    def __len__(self) -> int:
        return len(self.pairs)

    def where(self, chosen: Mask) -> "Answers":
        """Those answers alone."""
        return Answers(*(getattr(self, each.name)[chosen] for each in fields(self)))

    def between(self, one: int, other: int) -> "Answers":
        """The answers that count about two models, turned so that `other` is the first everywhere."""
        chosen = self.where(
            (self.kinds == "pair")
            & np.isin(self.first, (one, other))
            & np.isin(self.second, (one, other))
        )
        turned = chosen.first != other
        parts = {each.name: getattr(chosen, each.name) for each in fields(chosen)}
        parts["won"] = np.where(turned, 1 - chosen.won, chosen.won)
        parts["left"] = chosen.left ^ turned
        parts["first"] = np.full(len(chosen), other)
        parts["second"] = np.full(len(chosen), one)
        return Answers(**parts)


def gather_answers(db: Session, study: Study, criteria: StudyCriteria) -> Answers:
    """Everything that participants answered, by participant and time; two queries, with shares four."""
    pairs = find_pairs(db, study)
    shared = find_shared_pairs(db, study) if study.prompts_each else {}
    drawn = {each.id: each for each in pairs}
    places = {each.key: place for place, each in enumerate(criteria.dimensions)}
    rows = db.execute(
        select(
            StudyChoice.pair_id,
            Participant.number,
            Participant.code,
            StudyChoice.root_key,
            StudyChoice.answer,
            func.extract("epoch", StudyChoice.at),
        )
        .join(Participant, Participant.id == StudyChoice.participant_id)
        .where(StudyChoice.study_id == study.id, counted())
        .order_by(Participant.code, StudyChoice.at)
    ).all()
    sides = {
        number: sides_of(study.seed, number, shared.get(number, pairs))
        for number in {row[1] for row in rows}
    }
    of = [drawn[row[0]] for row in rows]
    return Answers(
        pairs=np.array([each.id for each in of], dtype=np.int64),
        prompts=_numbered([each.prompt for each in of]),
        kinds=np.array([each.kind for each in of], dtype=np.str_),
        repeats=np.array([each.repeats_id or 0 for each in of], dtype=np.int64),
        people=np.array([row[1] for row in rows], dtype=np.int64),
        codes=np.array([row[2] for row in rows], dtype=np.str_),
        dimensions=np.array([places[row[3]] for row in rows], dtype=np.int64),
        first=np.array([each.first_model for each in of], dtype=np.int64),
        second=np.array([each.second_model for each in of], dtype=np.int64),
        left=np.array([sides[row[1]][row[0]] for row in rows], dtype=np.bool_),
        won=np.array([FIRST_WON[row[4]] for row in rows], dtype=np.float64),
        at=np.array([float(row[5]) for row in rows], dtype=np.float64),
    )


def _numbered(texts: list[str]) -> Whole:
    """A number for each text, the same for the same."""
    numbers = {text: number for number, text in enumerate(sorted(set(texts)))}
    return np.array([numbers[text] for text in texts], dtype=np.int64)
