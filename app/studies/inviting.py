"""Who takes part in a study, and its end. Participants are a room of their own; answers are counted here."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.errors import Conflict
from app.participants import inviting, notices, progress
from app.participants.models import ConsentNotice
from app.participants.progress import Given, ParticipantRow
from app.studies.access import instrument
from app.studies.models import Study, StudyChoice, StudyDimension, StudyPair, StudyShare


def invite_participants(db: Session, study: Study, count: int) -> list[tuple[int, str]]:
    """Make `count` participants. Returns each one's number and token; the token is not kept.

    Numbers go on from the last one and are never given twice. Raises Conflict for a study that is not open.
    """
    # The lock also makes two leads who invite at once take different numbers.
    db.refresh(study, with_for_update=True)
    if study.state == "draft":
        raise Conflict("This study has to be opened first: its pairs are not drawn.", field="count")
    if study.state == "closed":
        raise Conflict("This study is closed; no one can join it any more.", field="count")
    return inviting.invite(db, instrument(study), count)


def revoke_participant(db: Session, study: Study, number: int) -> None:
    """Make a participant's link useless and leave their answers out of every figure.

    The answers stay stored. Doing so twice changes nothing. Raises NotFound.
    """
    inviting.revoke(db, instrument(study), number)


def rewrite_notice(
    db: Session, study: Study, text: str, *, by: Person, based_on: int | None = None
) -> ConsentNotice:
    """What participants read from now on; who has agreed already stays with what they read.

    Raises Conflict for a closed study, Invalid for no text, Stale where `based_on` is not the newest.
    """
    db.refresh(study, with_for_update=True)
    if study.state == "closed":
        raise Conflict("This study is closed; no one reads its notice any more.", field="notice")
    return notices.write_notice(db, instrument(study), text, by=by, based_on=based_on)


def find_participants(
    db: Session, study: Study, *, after: int = 0, limit: int = 100
) -> Sequence[ParticipantRow]:
    """A study's participants by number, with how many questions each has answered.

    Checks are the pairs of identical images that were answered in every dimension; passed are those where more
    than half of the answers saw no difference.
    """
    found = progress.find_participants(db, instrument(study), after=after, limit=limit)
    ids = [each.id for each in found]
    asked = _count_asked(db, study, ids)
    dimensions = db.scalar(select(func.count()).where(StudyDimension.study_id == study.id)) or 0
    by_pair = (
        select(
            StudyChoice.participant_id,
            func.count().label("answered"),
            func.max(StudyChoice.at).label("last"),
            StudyPair.kind,
            func.count().filter(StudyChoice.answer == "tie").label("ties"),
        )
        .join(StudyPair, StudyPair.id == StudyChoice.pair_id)
        .where(StudyChoice.participant_id.in_(ids))
        .group_by(StudyChoice.participant_id, StudyPair.id)
        .subquery()
    )
    is_check = (by_pair.c.kind == "identical") & (by_pair.c.answered == dimensions)
    passed = is_check & (2 * by_pair.c.ties > by_pair.c.answered)
    rows = db.execute(
        select(
            by_pair.c.participant_id,
            func.sum(by_pair.c.answered),
            func.max(by_pair.c.last),
            func.sum(case((is_check, 1), else_=0)),
            func.sum(case((passed, 1), else_=0)),
        ).group_by(by_pair.c.participant_id)
    )
    given = {each: Given(asked=asked[each] * dimensions) for each in ids}
    for participant_id, answered, last, checks, right in rows:
        of_all = given[participant_id].asked
        given[participant_id] = Given(int(answered), last, of_all, int(checks), int(right))
    return progress.describe(found, given)


def _count_asked(db: Session, study: Study, participant_ids: Sequence[int]) -> dict[int, int]:
    """How many pairs each participant is asked about; none before they agreed, where pairs are shared out."""
    if study.prompts_each is None:
        pairs = db.scalar(select(func.count()).where(StudyPair.study_id == study.id)) or 0
        return dict.fromkeys(participant_ids, pairs)
    rows = db.execute(
        select(StudyShare.participant_id, func.count())
        .where(StudyShare.participant_id.in_(participant_ids))
        .group_by(StudyShare.participant_id)
    )
    return dict.fromkeys(participant_ids, 0) | dict(rows.all())


def close_study(db: Session, study: Study) -> None:
    """Take no more answers. What was answered stays and counts. Doing so twice changes nothing.

    Raises Conflict for a draft.
    """
    db.refresh(study, with_for_update=True)
    if study.state == "draft":
        raise Conflict("This study was never opened, so there is nothing to close.")
    if study.state == "open":
        study.state, study.closed_at = "closed", datetime.now(UTC)
        db.flush()
