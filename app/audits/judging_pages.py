"""Pages of those who take part in an audit: no account, the token of their link in each address."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import RedirectResponse, Response

from app.accounts.access import Public
from app.audits import judging, practising, probing
from app.audits.access import instrument
from app.audits.forms import AgainForm, MissingForm
from app.audits.models import Audit
from app.audits.practising import Practised
from app.audits.showing_examples import find_examples_for, get_example_hash
from app.errors import Conflict, Invalid, Stale
from app.images.access import KEEP_A_DAY, TileNumber
from app.images.image_files import read_shown
from app.images.models import Image
from app.images.schemas import TilesOut
from app.images.tiles import read_tile
from app.images.tiling import ask_for_tiles
from app.participants.access import get_participant
from app.participants.forms import ConsentForm, JudgementForm
from app.participants.models import Participant
from app.participants.notices import get_notice
from app.participants.taking_part import may_answer
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(include_in_schema=False)
SEAT = "/audit/{token}"


def _seat(answer: Answer, token: str) -> str:
    return answer.path("show_seat", token=token)


def _image_path(answer: Answer, token: str, position: int, item_id: int | None = None) -> str:
    path = answer.path("show_image_to_judge", token=token, position=position)
    return f"{path}#item-{item_id}" if item_id else path


def _practice_path(answer: Answer, token: str, position: int) -> str:
    return answer.path("show_practice", token=token, position=position)


@router.get(SEAT, dependencies=[Public])
def show_seat(token: str, db: Db, answer: Answering) -> Response:
    """Where a participant's link leads: the notice, the next image, thanks, or why it takes nothing any more."""
    participant = get_participant(db, token, of="audit", even_revoked=True)
    audit = db.get_one(Audit, participant.audit_id)
    if may_answer(participant, audit.state):
        practice = practising.find_practice_positions(db, audit)
        if practice and not judging.get_progress(db, participant).answered:
            return RedirectResponse(_practice_path(answer, token, practice[0]), 303)
        position = judging.next_image(db, participant)
        if position is None:
            return RedirectResponse(answer.path("show_judging_end", token=token), 303)
        return RedirectResponse(_image_path(answer, token, position), 303)
    return _show_seat(db, answer, token, participant, audit)


def _show_seat(
    db: Db,
    answer: Answer,
    token: str,
    participant: Participant,
    audit: Audit,
    *,
    problem: str = "",
    status: int = 200,
) -> Response:
    return answer.show(
        "audits/seat.html",
        status=status,
        token=token,
        audit=audit,
        participant=participant,
        notice=get_notice(db, instrument(audit)),
        progress=judging.get_progress(db, participant),
        images=judging.count_images(db, audit, participant),
        practice=len(practising.find_practice_positions(db, audit)),
        problem=problem,
    )


@router.post(SEAT + "/consent", dependencies=[Public])
def submit_consent(
    token: str,
    db: Db,
    answer: Answering,
    form: Annotated[Form[ConsentForm], Depends(submitted(ConsentForm))],
) -> Response:
    """Agree to take part."""
    if form.errors:
        raise Conflict("Your consent did not arrive whole.", hint="Go back and agree again.")
    participant = get_participant(db, token, of="audit")
    try:
        judging.consent(db, participant, read=form.values.notice)
    except Stale as changed:
        audit = db.get_one(Audit, participant.audit_id)
        problem = f"{changed.message} {changed.hint}"
        return _show_seat(
            db, answer, token, participant, audit, problem=problem, status=changed.status
        )
    return answer.done(go_to=_seat(answer, token))


@router.get(SEAT + "/withdraw", dependencies=[Public])
def show_withdrawal(token: str, db: Db, answer: Answering) -> Response:
    """What withdrawing does, before it is done."""
    participant = get_participant(db, token, of="audit", even_revoked=True)
    if participant.withdrawn_at is not None:
        return RedirectResponse(_seat(answer, token), 303)
    return answer.show(
        "audits/withdraw.html",
        token=token,
        audit=db.get_one(Audit, participant.audit_id),
        participant=participant,
        progress=judging.get_progress(db, participant),
    )


@router.post(SEAT + "/withdraw", dependencies=[Public])
def submit_withdrawal(token: str, db: Db, answer: Answering) -> Response:
    """Delete one's answers and take no part any more."""
    judging.withdraw(db, get_participant(db, token, of="audit", even_revoked=True))
    return answer.done(go_to=_seat(answer, token))


@router.get(SEAT + "/practice/{position}", dependencies=[Public])
def show_practice(token: str, position: int, db: Db, answer: Answering) -> Response:
    """An image to practise on."""
    return _show_practice(db, answer, token, position)


@router.post(SEAT + "/practice/{position}/items/{item_id}", dependencies=[Public])
def submit_practice(
    token: str,
    position: int,
    item_id: int,
    db: Db,
    answer: Answering,
    form: Annotated[Form[JudgementForm], Depends(submitted(JudgementForm))],
) -> Response:
    """What people of the project say of one question, on a page without JavaScript."""
    if form.errors:
        raise Conflict("The answer did not arrive whole.", hint="Go back and answer again.")
    audit = db.get_one(Audit, get_participant(db, token, of="audit").audit_id)
    practised = practising.practise(db, audit, item_id, form.values.answer)
    return _show_practice(db, answer, token, position, practised)


def _show_practice(
    db: Db, answer: Answer, token: str, position: int, practised: Practised | None = None
) -> Response:
    participant = get_participant(db, token, of="audit")
    audit = db.get_one(Audit, participant.audit_id)
    if not may_answer(participant, audit.state):
        return RedirectResponse(_seat(answer, token), 303)
    positions = practising.find_practice_positions(db, audit)
    image = practising.get_image_to_practise(db, audit, position)
    return answer.show(
        "audits/practice.html",
        token=token,
        audit=audit,
        participant=participant,
        image=image,
        examples=find_examples_for(db, audit, image.items),
        number=positions.index(position) + 1,
        positions=positions,
        first=judging.next_image(db, participant) or 1,
        answers=judging.ANSWERS,
        practised=practised,
    )


@router.get(SEAT + "/look/{position}", dependencies=[Public])
def show_image_to_judge(token: str, position: int, db: Db, answer: Answering) -> Response:
    """One image with its questions."""
    return _show_image(db, answer, token, position)


def _show_image(
    db: Db, answer: Answer, token: str, place: int, *, problem: str = "", status: int = 200
) -> Response:
    participant = get_participant(db, token, of="audit")
    audit = db.get_one(Audit, participant.audit_id)
    if not may_answer(participant, audit.state):
        return RedirectResponse(_seat(answer, token), 303)
    image = judging.get_image_to_judge(db, participant, audit, place)
    position = judging.position_at(db, audit, participant, place)
    is_probed = position is not None and probing.is_probed(audit, position)
    return answer.show(
        "audits/judge.html",
        status=status,
        token=token,
        audit=audit,
        participant=participant,
        progress=judging.get_progress(db, participant),
        images=judging.count_images(db, audit, participant),
        image=image,
        examples=find_examples_for(db, audit, image.items),
        ahead=judging.get_image_id(db, participant, audit, place + 1),
        answers=judging.ANSWERS,
        probe=probing.get_probe(db, audit, participant, position or 0) if is_probed else None,
        attribute_names=probing.find_names(db, audit) if is_probed else [],
        missing_problem=problem,
    )


def _missing(
    db: Db, answer: Answer, token: str, place: int, act: Callable[[Participant, int], None]
) -> Response:
    """Do something about what is missing at an image, and show that part of its page again."""
    participant = get_participant(db, token, of="audit")
    audit = db.get_one(Audit, participant.audit_id)
    try:
        act(participant, judging.position_at(db, audit, participant, place) or 0)
    except Invalid as wrong:
        problem = f"{wrong.message} {wrong.hint or ''}".strip()
        return _show_image(db, answer, token, place, problem=problem, status=wrong.status)
    path = answer.path("show_image_to_judge", token=token, position=place)
    return answer.done(go_to=f"{path}#missing")


@router.post(SEAT + "/look/{position}/missing", dependencies=[Public])
def submit_missing(
    token: str,
    position: int,
    db: Db,
    answer: Answering,
    form: Annotated[Form[MissingForm], Depends(submitted(MissingForm))],
) -> Response:
    """Name an attribute that one sees and was not asked for."""
    called = "" if form.errors else form.values.attribute
    return _missing(
        db, answer, token, position, lambda who, at: probing.name_missing(db, who, at, called)
    )


@router.post(SEAT + "/look/{position}/nothing-missing", dependencies=[Public])
def submit_nothing_missing(token: str, position: int, db: Db, answer: Answering) -> Response:
    """Say that nothing is missing at an image."""
    return _missing(db, answer, token, position, lambda who, at: probing.name_nothing(db, who, at))


@router.post(SEAT + "/look/{position}/not-missing", dependencies=[Public])
def submit_not_missing(
    token: str,
    position: int,
    db: Db,
    answer: Answering,
    form: Annotated[Form[AgainForm], Depends(submitted(AgainForm))],
) -> Response:
    """Take back an attribute that one had named."""
    if form.errors:
        raise Conflict("What to take back did not arrive whole.", hint="Go back and try again.")
    side = form.values
    return _missing(
        db,
        answer,
        token,
        position,
        lambda who, at: probing.take_back(db, who, at, side.key, side.polarity),
    )


@router.post(SEAT + "/items/{item_id}", dependencies=[Public])
def submit_judgement(
    token: str,
    item_id: int,
    db: Db,
    answer: Answering,
    form: Annotated[Form[JudgementForm], Depends(submitted(JudgementForm))],
) -> Response:
    """Answer one question, from a page without JavaScript."""
    if form.errors:
        raise Conflict("The answer did not arrive whole.", hint="Go back and answer again.")
    participant = get_participant(db, token, of="audit")
    values = form.values
    judging.judge(db, participant, item_id, values.answer, based_on=values.based_on)
    position, following = judging.item_after(db, participant, item_id)
    return answer.done(go_to=_image_path(answer, token, position, following))


@router.get(SEAT + "/end", dependencies=[Public])
def show_judging_end(token: str, db: Db, answer: Answering) -> Response:
    """What is left to answer, and the button that finishes."""
    participant = get_participant(db, token, of="audit")
    audit = db.get_one(Audit, participant.audit_id)
    if not may_answer(participant, audit.state):
        return RedirectResponse(_seat(answer, token), 303)
    return answer.show(
        "audits/end.html",
        token=token,
        audit=audit,
        participant=participant,
        progress=judging.get_progress(db, participant),
        unfinished=judging.find_unfinished_images(db, participant),
        images=judging.count_images(db, audit, participant),
    )


@router.post(SEAT + "/finish", dependencies=[Public])
def submit_finish(
    token: str,
    db: Db,
    answer: Answering,
) -> Response:
    """Let the answers stand."""
    participant = get_participant(db, token, of="audit")
    try:
        judging.finish(db, participant)
    except Conflict as refusal:
        if not refusal.details.get("left"):
            raise
        return answer.done(go_to=answer.path("show_judging_end", token=token))
    return answer.done(go_to=_seat(answer, token))


def _shown_image(token: str, image_id: int, db: Db) -> Image:
    """An image of this audit, while the participant judges."""
    participant = get_participant(db, token, of="audit")
    audit = db.get_one(Audit, participant.audit_id)
    if not may_answer(participant, audit.state):
        raise Conflict("Images are shown only while you take part.")
    return judging.get_shown_image(db, participant, image_id)


ShownImage = Annotated[Image, Depends(_shown_image)]


@router.get(SEAT + "/images/{image_id}", dependencies=[Public])
def get_audit_image(image: ShownImage) -> Response:
    """The bytes of one image of this audit, while the participant judges."""
    shown = read_shown("display", image.sha256)
    return Response(shown, media_type="image/jpeg", headers=KEEP_A_DAY)


@router.get(SEAT + "/images/{image_id}/tiles", dependencies=[Public])
def get_audit_tiles(token: str, image: ShownImage, db: Db, answer: Answering) -> TilesOut:
    """How the tiles of a large image of this audit lie; where they are missing, a worker cuts them."""
    here = answer.path("get_audit_tiles", token=token, image_id=image.id)
    project = db.get_one(Project, image.project_id)
    return TilesOut.of(ask_for_tiles(db, project, image), f"{here}/{{level}}/{{column}}/{{row}}")


@router.get(SEAT + "/images/{image_id}/tiles/{level}/{column}/{row}", dependencies=[Public])
def get_audit_tile(
    image: ShownImage, level: TileNumber, column: TileNumber, row: TileNumber
) -> Response:
    """One tile of an image of this audit."""
    size = (image.width, image.height)
    data = read_tile(image.sha256, size, level=level, column=column, row=row)
    return Response(data, media_type="image/jpeg", headers=KEEP_A_DAY)


@router.get(SEAT + "/examples/{image_id}", dependencies=[Public])
def get_audit_example(
    token: str,
    image_id: int,
    db: Db,
    v: Annotated[str, Query(max_length=64)] = "",  # noqa: ARG001
) -> Response:
    """The bytes of an image that shows what an attribute means, while the participant judges."""
    participant = get_participant(db, token, of="audit")
    audit = db.get_one(Audit, participant.audit_id)
    if not may_answer(participant, audit.state):
        raise Conflict("Images are shown only while you take part.")
    shown = read_shown("display", get_example_hash(db, audit, image_id))
    return Response(shown, media_type="image/jpeg", headers=KEEP_A_DAY)
