"""Pages of audits: for the project's people, and, without any account, for participants."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from app.accounts.access import CurrentPerson, Public
from app.audits import inviting, judging, sampling
from app.audits import results as outcome
from app.audits.access import get_audit, instrument
from app.audits.exporting import write_verdicts
from app.audits.forms import AuditForm, JudgementForm, LinksForm
from app.audits.models import Audit
from app.audits.notice import DEFAULT_NOTICE
from app.errors import AppError, Conflict
from app.images.keeping import read_shown
from app.participants.access import get_participant
from app.participants.inviting import MOST
from app.participants.models import Participant
from app.participants.notices import get_notice
from app.participants.taking_part import is_taking_part
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.settings import settings
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from app.web.unstorable import DIGITS, INTEGER

router = APIRouter(include_in_schema=False)
PAGE = 20
ROOM = "/projects/{project}/audits"
SEAT = "/audit/{token}"
SUGGESTED_IMAGES = 100
SUGGESTED_LABELS = 10


# For the people of the project ---------------------------------------------------------------


@router.get(ROOM)
def show_audits(
    db: Db, answer: Answering, project: AnnotatorProject, before: int | None = None
) -> Response:
    """The project's audits, newest first."""
    found = outcome.find_audits(db, project, before=before, limit=PAGE + 1)
    return answer.show(
        "audits/list.html",
        audits=found[:PAGE],
        before=before,
        next=found[PAGE - 1].audit.id if len(found) > PAGE else None,
    )


def _show_form(
    db: Db, answer: Answer, project: Project, form: Form[AuditForm], *, status: int = 200
) -> Response:
    suggested = {
        **_suggest_size(db, project),
        "seed": secrets.randbelow(1_000_000),
        "notice": DEFAULT_NOTICE,
    }
    typed: dict[str, object] = suggested | form.typed
    return answer.show(
        "audits/new.html",
        status=status,
        form=form,
        suggested=suggested,
        runs=sampling.find_audited_runs(db, project),
        population=_population(
            db,
            project,
            str(typed.get("min_labels", "")),
            str(typed.get("agent_run", "")),
            str(typed.get("sample_size", "")),
        ),
    )


def _suggest_size(db: Db, project: Project) -> dict[str, object]:
    """A sample that this project has images for: as the paper's where there are enough, else all of
    them, and with fewer labels each where none has that many.
    """
    least, there = SUGGESTED_LABELS, 0
    while least and not there:
        try:
            there = sampling.population(db, project, min_labels=least, agent_run=None)
        except AppError:
            return {"min_labels": SUGGESTED_LABELS, "sample_size": SUGGESTED_IMAGES}
        least = least if there else least // 2
    return {
        "min_labels": least or 1,
        "sample_size": min(there, SUGGESTED_IMAGES) or SUGGESTED_IMAGES,
    }


def _population(
    db: Db, project: Project, min_labels: str, agent_run: str, sample_size: str
) -> dict[str, object]:
    """How many images there are to draw from, or what is wrong with the numbers asked for."""
    shown: dict[str, object] = {"count": None, "problem": None, "wanted": _whole(sample_size)}
    least, run = _whole(min_labels), _whole(agent_run)
    if least is None or (agent_run and run is None):
        return shown | {"problem": "Give the least number of labels as a whole number."}
    try:
        count = sampling.population(db, project, min_labels=least, agent_run=run)
    except AppError as error:
        return shown | {"problem": f"{error.message} {error.hint or ''}".strip()}
    return shown | {"count": count}


def _whole(text: str) -> int | None:
    """The number that is typed; beyond what columns hold it is as large as any of them."""
    return min(int(text), INTEGER) if text.isdecimal() and len(text) <= DIGITS else None


@router.get(ROOM + "/new")
def show_new_audit(db: Db, answer: Answering, project: LeadProject) -> Response:
    """The form of a new audit."""
    return _show_form(db, answer, project, Form())


@router.get(ROOM + "/population")
def show_audit_population(
    db: Db,
    answer: Answering,
    project: LeadProject,
    min_labels: str = "",
    agent_run: str = "",
    sample_size: str = "",
) -> Response:
    """How many images a sample could be drawn from, while the form is being filled in."""
    return answer.show(
        "audits/_population.html",
        population=_population(db, project, min_labels, agent_run, sample_size),
    )


@router.post(ROOM)
def submit_audit(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[AuditForm], Depends(submitted(AuditForm))],
) -> Response:
    """Draw the sample and freeze it."""
    if not form.errors:
        with form.attempt():
            values = form.values
            audit = sampling.create_audit(
                db,
                project,
                name=values.name,
                seed=values.seed,
                sample_size=values.sample_size,
                min_labels=values.min_labels,
                agent_run=values.agent_run,
                notice=values.notice,
                by=person,
            )
            return answer.done(go_to=_audit_path(answer, project, audit))
    return _show_form(db, answer, project, form, status=422)


def _audit_path(answer: Answer, project: Project, audit: Audit) -> str:
    return answer.path("show_audit", project=project.slug, audit_id=audit.id)


def _show_audit(
    db: Db,
    answer: Answer,
    audit: Audit,
    *,
    status: int = 200,
    form: Form[LinksForm] | None = None,
    links: list[tuple[int, str]] | None = None,
) -> Response:
    return answer.show(
        "audits/audit.html",
        fragment="audits/_live.html",
        status=status,
        audit=audit,
        facts=outcome.get_facts(db, audit),
        results=outcome.results(db, audit),
        participants=inviting.find_participants(db, audit, limit=MOST),
        form=form or Form(),
        links=links or [],
    )


@router.get(ROOM + "/{audit_id}")
def show_audit(audit_id: int, db: Db, answer: Answering, project: AnnotatorProject) -> Response:
    """One audit: its sample, its participants, its results as they stand."""
    return _show_audit(db, answer, get_audit(db, project, audit_id))


@router.post(ROOM + "/{audit_id}/participants")
def submit_participants(
    audit_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    form: Annotated[Form[LinksForm], Depends(submitted(LinksForm))],
) -> Response:
    """Make participants; their links are on this page once and nowhere else."""
    audit = get_audit(db, project, audit_id)
    links: list[tuple[int, str]] = []
    if not form.errors:
        with form.attempt():
            made = inviting.invite_participants(db, audit, form.values.count)
            links = [(number, _link(answer, token)) for number, token in made]
    return _show_audit(db, answer, audit, status=200 if links else 422, form=form, links=links)


def _link(answer: Answer, token: str) -> str:
    return settings().public_address + answer.path("show_seat", token=token)


@router.post(ROOM + "/{audit_id}/participants/{number}/revoke")
def revoke_participant(
    audit_id: int, number: int, db: Db, answer: Answering, project: LeadProject
) -> Response:
    """Make a participant's link useless and leave their answers out."""
    audit = get_audit(db, project, audit_id)
    inviting.revoke_participant(db, audit, number)
    return answer.done(go_to=_audit_path(answer, project, audit))


@router.post(ROOM + "/{audit_id}/close")
def close_audit(audit_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """Take no more answers."""
    audit = get_audit(db, project, audit_id)
    inviting.close_audit(db, audit)
    return answer.done(go_to=_audit_path(answer, project, audit))


@router.get(ROOM + "/{audit_id}/verdicts.csv")
def export_verdicts(audit_id: int, db: Db, project: LeadProject) -> Response:
    """Every verdict as CSV; participants are numbers."""
    audit = get_audit(db, project, audit_id)
    return Response(
        write_verdicts(outcome.iterate_verdicts(db, audit)),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{project.slug}-audit-{audit.id}.csv"'
        },
    )


# For participants ----------------------------------------------------------------------------


def _seat(answer: Answer, token: str) -> str:
    return answer.path("show_seat", token=token)


def _image_path(answer: Answer, token: str, position: int, item_id: int | None = None) -> str:
    path = answer.path("show_image_to_judge", token=token, position=position)
    return f"{path}#item-{item_id}" if item_id else path


def _is_judging(audit: Audit, participant: Participant) -> bool:
    """Whether the participant may look and answer now; else their link's first page says why not."""
    return audit.state == "open" and is_taking_part(participant)


@router.get(SEAT, dependencies=[Public])
def show_seat(token: str, db: Db, answer: Answering) -> Response:
    """Where a participant's link leads: the notice, the next image, or thanks."""
    participant = get_participant(db, token)
    audit = db.get_one(Audit, participant.audit_id)
    if _is_judging(audit, participant):
        position = judging.next_image(db, participant)
        if position is None:
            return RedirectResponse(answer.path("show_judging_end", token=token), 303)
        return RedirectResponse(_image_path(answer, token, position), 303)
    return answer.show(
        "audits/seat.html",
        token=token,
        audit=audit,
        participant=participant,
        notice=get_notice(db, instrument(audit)).text,
        progress=judging.get_progress(db, participant),
    )


@router.post(SEAT + "/consent", dependencies=[Public])
def submit_consent(
    token: str,
    db: Db,
    answer: Answering,
) -> Response:
    """Agree to take part."""
    judging.consent(db, get_participant(db, token))
    return answer.done(go_to=_seat(answer, token))


@router.get(SEAT + "/look/{position}", dependencies=[Public])
def show_image_to_judge(token: str, position: int, db: Db, answer: Answering) -> Response:
    """One image with its questions."""
    participant = get_participant(db, token)
    audit = db.get_one(Audit, participant.audit_id)
    if not _is_judging(audit, participant):
        return RedirectResponse(_seat(answer, token), 303)
    progress = judging.get_progress(db, participant)
    return answer.show(
        "audits/judge.html",
        token=token,
        audit=audit,
        participant=participant,
        progress=progress,
        image=judging.get_image_to_judge(db, participant, audit, position),
        ahead=judging.get_image_id(db, participant, position + 1),
        answers=judging.ANSWERS,
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
    participant = get_participant(db, token)
    values = form.values
    judging.judge(db, participant, item_id, values.answer, based_on=values.based_on)
    position, following = judging.item_after(db, participant, item_id)
    return answer.done(go_to=_image_path(answer, token, position, following))


@router.get(SEAT + "/end", dependencies=[Public])
def show_judging_end(token: str, db: Db, answer: Answering) -> Response:
    """What is left to answer, and the button that finishes."""
    participant = get_participant(db, token)
    audit = db.get_one(Audit, participant.audit_id)
    if not _is_judging(audit, participant):
        return RedirectResponse(_seat(answer, token), 303)
    return answer.show(
        "audits/end.html",
        token=token,
        audit=audit,
        participant=participant,
        progress=judging.get_progress(db, participant),
        unfinished=judging.find_unfinished_images(db, participant),
    )


@router.post(SEAT + "/finish", dependencies=[Public])
def submit_finish(
    token: str,
    db: Db,
    answer: Answering,
) -> Response:
    """Let the answers stand."""
    participant = get_participant(db, token)
    try:
        judging.finish(db, participant)
    except Conflict as refusal:
        if not refusal.details.get("left"):
            raise
        return answer.done(go_to=answer.path("show_judging_end", token=token))
    return answer.done(go_to=_seat(answer, token))


@router.get(SEAT + "/images/{image_id}", dependencies=[Public])
def get_audit_image(token: str, image_id: int, db: Db) -> Response:
    """The bytes of one image of this audit, while the participant judges."""
    participant = get_participant(db, token)
    audit = db.get_one(Audit, participant.audit_id)
    if not _is_judging(audit, participant):
        raise Conflict("Images are shown only while you take part.")
    sha256 = judging.get_image_hash(db, participant, image_id)
    return Response(
        read_shown("display", sha256),
        media_type="image/jpeg",
        # The bytes under an id never change; only this participant's browser may keep them.
        headers={"Cache-Control": "private, max-age=86400, immutable"},
    )
