"""What a participant of a study sees and answers. Blind: nothing here tells which model made an image, which pair is
a check, or what others said; and places in the participant's own order stand for pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.errors import Invalid, NotFound, Stale
from app.participants import access, taking_part
from app.participants.answering import Overtaken, store_answer
from app.participants.models import Participant
from app.participants.progress import Progress
from app.studies.access import Asked, get_study_criteria, hold, instrument
from app.studies.models import (
    Study,
    StudyChoice,
    StudyDimension,
    StudyImage,
    StudyPair,
    StudyShare,
)
from app.studies.ordering import ShownPair, find_order
from app.studies.sharing import give_share

LEFT, RIGHT, TIE = "left", "right", "tie"
WORDS = {LEFT: "Left", TIE: "No difference", RIGHT: "Right"}
"""What is answered, in the order of the buttons."""


@dataclass(frozen=True, slots=True)
class Question:
    """In one dimension, which of two images is better; `answer` and `revision` are the participant's own."""

    key: str
    name: str
    definition: str
    answer: str | None
    revision: int


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height of an image, in pixels as seen."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PairToJudge:
    """Two images of one prompt with their questions; `place` is where the pair stands for the participant, from 1."""

    place: int
    prompt: str
    left: Size
    right: Size
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """An answer as it stands now, and the participant's progress with it."""

    place: int
    key: str
    answer: str
    revision: int
    progress: Progress


def answers_of(study: Study) -> dict[str, str]:
    """What participants of a study may answer, with its words."""
    return {key: words for key, words in WORDS.items() if study.has_ties or key != TIE}


def consent(db: Session, participant: Participant, *, read: int | None = None) -> None:
    """Record that the participant read the notice (number `read`) and agreed, and give them their pairs.

    Doing so twice changes nothing. Raises Stale where the notice was changed meanwhile.
    """
    study = hold(db, participant, alone=True)
    taking_part.consent(db, participant, instrument(study), read=read)
    give_share(db, study, participant)


def choose(
    db: Session,
    participant: Participant,
    place: int,
    key: str,
    answer: str,
    *,
    based_on: int | None = None,
) -> Chosen:
    """Store which image of the pair at a place is better in a dimension; a change of mind replaces it until finished.

    Sending the same answer again changes nothing. `based_on` is the revision the participant saw (0: none): an answer
    that arrives after a newer one is refused with Stale and the newer one. Raises Conflict before consent, after
    finishing and where the study is closed, NotFound for a place or dimension that is not asked, Invalid for an unknown answer.
    """
    study = hold(db, participant)
    taking_part.refuse_unless_taking_part(participant)
    known = answers_of(study)
    if answer not in known:
        raise Invalid(f"An answer is one of {', '.join(known)}.", field="answer")
    shown = _shown_at(db, study, participant, place)
    if db.get(StudyDimension, (study.id, key)) is None:
        raise NotFound(f"This study has no dimension “{key}”.")
    about = {"participant_id": participant.id, "pair_id": shown.pair_id, "root_key": key}
    try:
        revision = store_answer(
            db,
            StudyChoice,
            about,
            _of_image(shown, answer),
            based_on=based_on,
            study_id=study.id,
        )
    except Overtaken as newer:
        said = _of_side(shown, newer.answer)
        raise Stale(
            f"You answered “{WORDS[said]}” here since.",
            field="answer",
            hint="Answer again if you want to change it.",
            answer=said,
            revision=newer.revision,
        ) from newer
    return Chosen(place, key, answer, revision, get_progress(db, participant))


def _of_image(shown: ShownPair, answer: str) -> str:
    """An answer about sides as one about the pair's images."""
    if answer == TIE:
        return "tie"
    return "first" if (answer == LEFT) == shown.first_is_left else "second"


def _of_side(shown: ShownPair, answer: str) -> str:
    """An answer about the pair's images as one about sides."""
    if answer == "tie":
        return TIE
    return LEFT if (answer == "first") == shown.first_is_left else RIGHT


def finish(db: Session, participant: Participant) -> None:
    """The participant's answers stand from now on. Doing so twice changes nothing.

    Raises Conflict while questions are unanswered, with how many there are.
    """
    study = hold(db, participant, alone=True)
    hint = "Where you see none, “No difference” is an answer too." if study.has_ties else ""
    taking_part.finish(db, participant, get_progress(db, participant), hint=hint)


def withdraw(db: Session, participant: Participant) -> None:
    """Delete all answers of the participant, who takes no part any more; also in a closed study, and where
    their link was revoked.

    Doing so twice changes nothing.
    """
    # Not even what is being answered in this moment outlives it: answering holds the participant too.
    access.hold(db, participant, alone=True, even_revoked=True)
    db.execute(delete(StudyChoice).where(StudyChoice.participant_id == participant.id))
    taking_part.withdraw(db, participant)


# Reading -------------------------------------------------------------------------------------


def get_progress(db: Session, participant: Participant) -> Progress:
    """How many questions the participant has answered, of how many: one for each pair and dimension. Of none before
    they agreed, where pairs are shared out.
    """
    asked = (
        select(func.count())
        .select_from(StudyDimension)
        .where(StudyDimension.study_id == participant.study_id)
    )
    given = (
        select(func.count())
        .select_from(StudyChoice)
        .where(StudyChoice.participant_id == participant.id)
    )
    dimensions, answered = db.execute(
        select(asked.scalar_subquery(), given.scalar_subquery())
    ).one()
    return Progress(answered=answered, items=dimensions * count_places(db, participant))


def find_unfinished(db: Session, participant: Participant) -> Iterator[tuple[int, int]]:
    """Places of pairs with unanswered questions, with how many of them, in the participant's order."""
    study = db.get_one(Study, participant.study_id)
    asked = len(_asked(db, study))
    given: dict[int, int] = dict(
        db.execute(
            select(StudyChoice.pair_id, func.count())
            .where(StudyChoice.participant_id == participant.id)
            .group_by(StudyChoice.pair_id)
        ).all()
    )
    for place, shown in enumerate(find_order(db, study, participant), start=1):
        left = asked - given.get(shown.pair_id, 0)
        if left:
            yield place, left


def next_place(db: Session, participant: Participant) -> int | None:
    """Place of the first pair with an unanswered question; None where all are answered."""
    return next((place for place, _ in find_unfinished(db, participant)), None)


def count_places(db: Session, participant: Participant) -> int:
    """How many pairs the participant is asked about."""
    study = db.get_one(Study, participant.study_id)
    table = StudyPair if study.prompts_each is None else StudyShare
    own = select(func.count()).select_from(table).filter_by(study_id=study.id)
    if study.prompts_each is not None:
        own = own.filter_by(participant_id=participant.id)
    return db.scalar(own) or 0


def get_pair(db: Session, participant: Participant, place: int) -> PairToJudge:
    """The pair at this place with its questions in tree order. Raises NotFound beyond the last."""
    return find_pairs_to_judge(db, participant, after=place - 1, limit=1, least=1)[0]


def find_pairs_to_judge(
    db: Session, participant: Participant, *, after: int = 0, limit: int = 20, least: int = 0
) -> list[PairToJudge]:
    """The participant's pairs in their order, from behind the place `after`. Raises NotFound for fewer than `least`."""
    study = db.get_one(Study, participant.study_id)
    order = find_order(db, study, participant)
    shown = order[after : after + limit] if after >= 0 else ()
    if len(shown) < least:
        raise NotFound(f"There is no pair {after + 1} for you in this study.")
    ids = [each.pair_id for each in shown]
    pairs = {each.id: each for each in db.scalars(select(StudyPair).where(StudyPair.id.in_(ids)))}
    wanted = {
        image for each in pairs.values() for image in (each.first_image_id, each.second_image_id)
    }
    images = {
        each.id: each for each in db.scalars(select(StudyImage).where(StudyImage.id.in_(wanted)))
    }
    said = {
        (each.pair_id, each.root_key): each
        for each in db.scalars(
            select(StudyChoice).where(
                StudyChoice.participant_id == participant.id, StudyChoice.pair_id.in_(ids)
            )
        )
    }
    asked = _asked(db, study)
    return [
        _pair(place, each, pairs[each.pair_id], images, asked, said)
        for place, each in enumerate(shown, start=after + 1)
    ]


def _pair(
    place: int,
    shown: ShownPair,
    pair: StudyPair,
    images: dict[int, StudyImage],
    asked: tuple[Asked, ...],
    said: dict[tuple[int, str], StudyChoice],
) -> PairToJudge:
    first, second = images[pair.first_image_id], images[pair.second_image_id]
    left, right = (first, second) if shown.first_is_left else (second, first)
    return PairToJudge(
        place=place,
        prompt=first.prompt,
        left=Size(left.width, left.height),
        right=Size(right.width, right.height),
        questions=tuple(_question(each, shown, said.get((pair.id, each.key))) for each in asked),
    )


def _question(asked: Asked, shown: ShownPair, standing: StudyChoice | None) -> Question:
    return Question(
        key=asked.key,
        name=asked.name,
        definition=asked.definition,
        answer=_of_side(shown, standing.answer) if standing else None,
        revision=standing.revision if standing else 0,
    )


def _asked(db: Session, study: Study) -> tuple[Asked, ...]:
    return get_study_criteria(db, study).dimensions


def _shown_at(db: Session, study: Study, participant: Participant, place: int) -> ShownPair:
    order = find_order(db, study, participant)
    if not 1 <= place <= len(order):
        raise NotFound(f"There is no pair {place} for you in this study.")
    return order[place - 1]


def get_shown_hash(db: Session, participant: Participant, place: int, side: str) -> str:
    """The SHA-256 of the image on one side of the pair at a place. Raises NotFound."""
    study = db.get_one(Study, participant.study_id)
    shown = _shown_at(db, study, participant, place)
    pair = db.get_one(StudyPair, shown.pair_id)
    is_first = (side == LEFT) == shown.first_is_left
    image = db.get_one(StudyImage, pair.first_image_id if is_first else pair.second_image_id)
    return image.sha256
