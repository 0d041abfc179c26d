"""Pages of audits for the project's people; `judging_pages` has those of participants, `result_pages` the details of results."""

import secrets
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.audits import inviting, sampling
from app.audits import results as outcome
from app.audits.access import get_audit, instrument
from app.audits.comparing import find_comparable
from app.audits.drawing import Population
from app.audits.expecting import expect
from app.audits.forms import AuditForm, PlanForm
from app.audits.models import Audit
from app.audits.notice import DEFAULT_NOTICE
from app.audits.plotting import axis_of
from app.audits.practising import find_practice_positions
from app.audits.probing import find_missed
from app.audits.sharing import people_for
from app.errors import AppError
from app.participants.forms import LinksForm, NoticeForm
from app.participants.inviting import MOST
from app.participants.notices import find_notices, get_notice
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
SUGGESTED_IMAGES = 100
SUGGESTED_LABELS = 10
SUGGESTED_DECOYS = 20
SUGGESTED_CHECKS = 10
SUGGESTED_PEOPLE = 10
SUGGESTED_WIDTH = 3
SUGGESTED_ACCURACY = 85


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
        "decoy_percent": SUGGESTED_DECOYS,
        "check_percent": SUGGESTED_CHECKS,
        "notice": DEFAULT_NOTICE,
    }
    return answer.show(
        "audits/new.html",
        status=status,
        form=form,
        suggested=suggested,
        runs=sampling.find_audited_runs(db, project),
        population=_population(db, project, suggested | form.typed),
    )


def _suggest_size(db: Db, project: Project) -> dict[str, object]:
    """A sample that this project has images for: as the paper's where there are enough, else all of
    them, and with fewer labels each where none has that many.
    """
    least, there = SUGGESTED_LABELS, 0
    while least and not there:
        try:
            there = sampling.population(db, project, min_labels=least, agent_run=None).images
        except AppError:
            return {"min_labels": SUGGESTED_LABELS, "sample_size": SUGGESTED_IMAGES}
        least = least if there else least // 2
    return {
        "min_labels": least or 1,
        "sample_size": min(there, SUGGESTED_IMAGES) or SUGGESTED_IMAGES,
    }


def _population(db: Db, project: Project, typed: Mapping[str, object]) -> dict[str, object]:
    """How many images there are to draw from and how wide the interval would be, or what is wrong with the numbers."""
    wanted = _whole(typed.get("sample_size"))
    shown: dict[str, object] = {"found": None, "problem": None, "wanted": wanted, "plan": None}
    least, run = _whole(typed.get("min_labels")), _whole(typed.get("agent_run"))
    if least is None or (typed.get("agent_run") and run is None):
        return shown | {"problem": "Give the least number of labels as a whole number."}
    try:
        found = sampling.population(db, project, min_labels=least, agent_run=run)
    except AppError as error:
        return shown | {"problem": f"{error.message} {error.hint or ''}".strip()}
    return shown | {"found": found, "plan": _plan(db, project, found, wanted, typed)}


def _plan(
    db: Db, project: Project, found: Population, wanted: int | None, typed: Mapping[str, object]
) -> dict[str, object] | None:
    """How wide the interval would be with so many images, and how many it takes for the wanted width."""
    people = _whole(typed.get("people", SUGGESTED_PEOPLE))
    width, accuracy = (
        _percent(typed.get(name, usual))
        for name, usual in (("half_width", SUGGESTED_WIDTH), ("accuracy", SUGGESTED_ACCURACY))
    )
    if not (found.labels_each and wanted and people and width and accuracy and accuracy < 1):
        return None
    judges, each = _whole(typed.get("judges")), _whole(typed.get("images_each"))
    if judges and each:
        people = max(1, -(-wanted * judges // each))
    design = expect(
        db,
        project,
        accuracy=accuracy,
        labels=found.labels_each,
        people=people,
        judges=min(judges or people, people),
    )
    return {
        "people": people,
        "labels": found.labels_each,
        "half_width": design.half_width(wanted),
        "design_effect": design.design_effect(wanted),
        "wanted_width": width,
        "images": design.images_for(width),
        "questions": round(found.labels_each * (each or wanted)),
    }


def _percent(typed: object) -> float | None:
    try:
        number = float(str(typed))
    except ValueError:
        return None
    return number / 100 if 0 < number < 100 else None


def _whole(typed: object) -> int | None:
    """The number that is typed; beyond what columns hold it is as large as any of them."""
    text = str(typed)
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
    typed: Annotated[PlanForm, Query()],
) -> Response:
    """How many images a sample could be drawn from, and how wide the interval would be, while the form is being
    filled in.
    """
    return answer.show(
        "audits/_population.html", population=_population(db, project, typed.model_dump())
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
                design=values.design,
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
    results = outcome.results(db, audit)
    rows = [*results.dimensions, *results.polarities, results.overall]
    return answer.show(
        "audits/audit.html",
        fragment="audits/_live.html",
        status=status,
        audit=audit,
        facts=outcome.get_facts(db, audit),
        results=results,
        axis=axis_of(row.score for row in rows),
        participants=inviting.find_participants(db, audit, limit=MOST),
        notice=get_notice(db, instrument(audit)),
        practice=len(find_practice_positions(db, audit)),
        people_needed=people_for(audit),
        missed=find_missed(db, audit),
        comparable=[] if answer.wants_fragment else find_comparable(db, audit),
        form=form or Form(),
        links=links or [],
    )


@router.get(ROOM + "/{audit_id}")
def show_audit(audit_id: int, db: Db, answer: Answering, project: AnnotatorProject) -> Response:
    """One audit: its sample, its participants, its results as they stand."""
    return _show_audit(db, answer, get_audit(db, project, audit_id))


def _show_notice(
    db: Db, answer: Answer, audit: Audit, form: Form[NoticeForm], *, status: int = 200
) -> Response:
    return answer.show(
        "audits/notice.html",
        status=status,
        audit=audit,
        form=form,
        notices=find_notices(db, instrument(audit)),
    )


@router.get(ROOM + "/{audit_id}/notice")
def show_audit_notice(audit_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """What participants read, what earlier ones read, and the form of another text."""
    return _show_notice(db, answer, get_audit(db, project, audit_id), Form())


@router.post(ROOM + "/{audit_id}/notice")
def submit_audit_notice(
    audit_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[NoticeForm], Depends(submitted(NoticeForm))],
) -> Response:
    """Another text for those who have not agreed yet."""
    audit = get_audit(db, project, audit_id)
    if not form.errors:
        with form.attempt():
            values = form.values
            inviting.rewrite_notice(db, audit, values.notice, by=person, based_on=values.based_on)
            path = answer.path("show_audit_notice", project=project.slug, audit_id=audit.id)
            return answer.done(go_to=path)
    return _show_notice(db, answer, audit, form, status=422)


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
