"""Pages of those who take part in a study: no account, the token of their link in each address."""

from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from app.accounts.access import Public
from app.errors import Conflict, Stale
from app.images.access import KEEP_A_DAY
from app.images.image_files import read_shown
from app.participants.access import get_participant
from app.participants.forms import ConsentForm, JudgementForm
from app.participants.models import Participant
from app.participants.notices import get_notice
from app.participants.taking_part import may_answer, refuse_unless_taking_part
from app.studies import judging, practising
from app.studies.access import get_study_criteria, instrument
from app.studies.models import Study
from app.studies.practising import Practised
from app.studies.sharing import count_asked
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(include_in_schema=False)
SEAT = "/study/{token}"
SHOWN_UNFINISHED = 50


def _seat(answer: Answer, token: str) -> str:
    return answer.path("show_study_seat", token=token)


def _practice_path(answer: Answer, token: str, position: int) -> str:
    return answer.path("show_study_practice", token=token, position=position)


def _pair_path(answer: Answer, token: str, place: int, key: str | None = None) -> str:
    path = answer.path("show_pair_to_judge", token=token, place=place)
    return f"{path}#item-{key}" if key else path


@router.get(SEAT, dependencies=[Public])
def show_study_seat(token: str, db: Db, answer: Answering) -> Response:
    """Where a participant's link leads: the notice, the next pair, thanks, or why it takes nothing any more."""
    participant = get_participant(db, token, of="study", even_revoked=True)
    study = db.get_one(Study, participant.study_id)
    if may_answer(participant, study.state):
        practice = practising.find_practice_positions(db, study)
        if practice and not judging.get_progress(db, participant).answered:
            return RedirectResponse(_practice_path(answer, token, practice[0]), 303)
        place = judging.next_place(db, participant)
        if place is None:
            return RedirectResponse(answer.path("show_study_end", token=token), 303)
        return RedirectResponse(_pair_path(answer, token, place), 303)
    return _show_seat(db, answer, token, participant, study)


def _show_seat(
    db: Db,
    answer: Answer,
    token: str,
    participant: Participant,
    study: Study,
    *,
    problem: str = "",
    status: int = 200,
) -> Response:
    return answer.show(
        "studies/seat.html",
        status=status,
        token=token,
        study=study,
        participant=participant,
        notice=get_notice(db, instrument(study)),
        progress=judging.get_progress(db, participant),
        pairs=judging.count_places(db, participant) or count_asked(db, study),
        practice=len(practising.find_practice_positions(db, study)),
        dimensions=get_study_criteria(db, study).dimensions,
        problem=problem,
    )


@router.post(SEAT + "/consent", dependencies=[Public])
def submit_study_consent(
    token: str,
    db: Db,
    answer: Answering,
    form: Annotated[Form[ConsentForm], Depends(submitted(ConsentForm))],
) -> Response:
    """Agree to take part."""
    if form.errors:
        raise Conflict("Your consent did not arrive whole.", hint="Go back and agree again.")
    participant = get_participant(db, token, of="study")
    try:
        judging.consent(db, participant, read=form.values.notice)
    except Stale as changed:
        study = db.get_one(Study, participant.study_id)
        problem = f"{changed.message} {changed.hint}"
        return _show_seat(
            db, answer, token, participant, study, problem=problem, status=changed.status
        )
    return answer.done(go_to=_seat(answer, token))


@router.get(SEAT + "/withdraw", dependencies=[Public])
def show_study_withdrawal(token: str, db: Db, answer: Answering) -> Response:
    """What withdrawing does, before it is done."""
    participant = get_participant(db, token, of="study", even_revoked=True)
    if participant.withdrawn_at is not None:
        return RedirectResponse(_seat(answer, token), 303)
    return answer.show(
        "studies/withdraw.html",
        token=token,
        study=db.get_one(Study, participant.study_id),
        participant=participant,
        progress=judging.get_progress(db, participant),
    )


@router.post(SEAT + "/withdraw", dependencies=[Public])
def submit_study_withdrawal(token: str, db: Db, answer: Answering) -> Response:
    """Delete one's answers and take no part any more."""
    judging.withdraw(db, get_participant(db, token, of="study", even_revoked=True))
    return answer.done(go_to=_seat(answer, token))


@router.get(SEAT + "/practice/{position}", dependencies=[Public])
def show_study_practice(token: str, position: int, db: Db, answer: Answering) -> Response:
    """Two images to practise on."""
    return _show_practice(db, answer, token, position)


@router.post(SEAT + "/practice/{position}/{key}", dependencies=[Public])
def submit_study_practice(
    token: str,
    position: int,
    key: str,
    db: Db,
    answer: Answering,
    form: Annotated[Form[JudgementForm], Depends(submitted(JudgementForm))],
) -> Response:
    """What people of the project say of one question, on a page without JavaScript."""
    if form.errors:
        raise Conflict("The answer did not arrive whole.", hint="Go back and answer again.")
    participant = get_participant(db, token, of="study")
    refuse_unless_taking_part(participant)
    study = db.get_one(Study, participant.study_id)
    practised = practising.practise(db, study, position, key, form.values.answer)
    return _show_practice(db, answer, token, position, practised)


def _show_practice(
    db: Db, answer: Answer, token: str, position: int, practised: Practised | None = None
) -> Response:
    participant = get_participant(db, token, of="study")
    study = db.get_one(Study, participant.study_id)
    if not may_answer(participant, study.state):
        return RedirectResponse(_seat(answer, token), 303)
    return answer.show(
        "studies/practice.html",
        token=token,
        study=study,
        participant=participant,
        pair=practising.get_pair_to_practise(db, study, position),
        positions=practising.find_practice_positions(db, study),
        first=judging.next_place(db, participant) or 1,
        answers=judging.answers_of(study),
        practised=practised,
    )


@router.get(SEAT + "/practice/{position}/images/{side}", dependencies=[Public])
def get_study_practice_image(
    token: str, position: int, side: Literal["left", "right"], db: Db
) -> Response:
    """The bytes of one side of a practice pair, while the participant judges."""
    participant = get_participant(db, token, of="study")
    study = db.get_one(Study, participant.study_id)
    if not may_answer(participant, study.state):
        raise Conflict("Images are shown only while you take part.")
    shown = read_shown("display", practising.get_practice_hash(db, study, position, side))
    return Response(shown, media_type="image/jpeg", headers=KEEP_A_DAY)


@router.get(SEAT + "/pairs/{place}", dependencies=[Public])
def show_pair_to_judge(token: str, place: int, db: Db, answer: Answering) -> Response:
    """Two images with their questions."""
    participant = get_participant(db, token, of="study")
    study = db.get_one(Study, participant.study_id)
    if not may_answer(participant, study.state):
        return RedirectResponse(_seat(answer, token), 303)
    return answer.show(
        "studies/judge.html",
        token=token,
        study=study,
        participant=participant,
        pair=judging.get_pair(db, participant, place),
        pairs=judging.count_places(db, participant),
        progress=judging.get_progress(db, participant),
        answers=judging.answers_of(study),
    )


@router.post(SEAT + "/pairs/{place}/{key}", dependencies=[Public])
def submit_choice(
    token: str,
    place: int,
    key: str,
    db: Db,
    answer: Answering,
    form: Annotated[Form[JudgementForm], Depends(submitted(JudgementForm))],
) -> Response:
    """Answer one question, from a page without JavaScript."""
    if form.errors:
        raise Conflict("The answer did not arrive whole.", hint="Go back and answer again.")
    participant = get_participant(db, token, of="study")
    values = form.values
    judging.choose(db, participant, place, key, values.answer, based_on=values.based_on)
    return answer.done(go_to=_pair_path(answer, token, place, key))


@router.get(SEAT + "/pairs/{place}/images/{side}", dependencies=[Public])
def get_study_image(token: str, place: int, side: Literal["left", "right"], db: Db) -> Response:
    """The bytes of one side of a pair, while the participant judges. The address tells neither model nor image."""
    participant = get_participant(db, token, of="study")
    if not may_answer(participant, db.get_one(Study, participant.study_id).state):
        raise Conflict("Images are shown only while you take part.")
    shown = read_shown("display", judging.get_shown_hash(db, participant, place, side))
    return Response(shown, media_type="image/jpeg", headers=KEEP_A_DAY)


@router.get(SEAT + "/end", dependencies=[Public])
def show_study_end(token: str, db: Db, answer: Answering) -> Response:
    """What is left to answer, and the button that finishes."""
    participant = get_participant(db, token, of="study")
    study = db.get_one(Study, participant.study_id)
    if not may_answer(participant, study.state):
        return RedirectResponse(_seat(answer, token), 303)
    return answer.show(
        "studies/end.html",
        token=token,
        study=study,
        participant=participant,
        progress=judging.get_progress(db, participant),
        unfinished=list(islice(judging.find_unfinished(db, participant), SHOWN_UNFINISHED)),
        pairs=judging.count_places(db, participant),
    )


@router.post(SEAT + "/finish", dependencies=[Public])
def submit_study_finish(token: str, db: Db, answer: Answering) -> Response:
    """Let the answers stand."""
    participant = get_participant(db, token, of="study")
    try:
        judging.finish(db, participant)
    except Conflict as refusal:
        if not refusal.details.get("left"):
            raise
        return answer.done(go_to=answer.path("show_study_end", token=token))
    return answer.done(go_to=_seat(answer, token))
