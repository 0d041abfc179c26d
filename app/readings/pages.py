"""Second readings in the browser: asking for them, reading, settling, and how far both readings agree."""

import csv
import io
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.accounts.models import Person
from app.audits.decoys import MOST_PERCENT
from app.csv_cells import BYTE_ORDER_MARK, cell
from app.database import LARGEST_KEY
from app.images import finding
from app.images.models import Image
from app.labels.access import Sight
from app.labels.forms import DoneForm, SaveForm
from app.labels.reading import ImageLabels
from app.labels.sheet import Filter, Sheet
from app.projects.access import AnnotatorProject, ExpertProject, LeadProject, may
from app.projects.models import Project
from app.readings import answering, asking, settling, sheets
from app.readings.access import read_name, settle_name
from app.readings.comparing import compare_readings, table_of
from app.readings.forms import AskForm
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(prefix="/projects/{project}/readings", include_in_schema=False)

Before = Annotated[int | None, Query(ge=1, le=LARGEST_KEY)]
READING = (
    "Second reading, blind: nobody’s labels and no suggestions are shown. Answer each attribute by what you see;"
    " some were set by nobody. Add what is missing."
)
SETTLING = (
    "Two people who did not see each other’s answers differ here. Decide by what you see: the label becomes"
    " what you decide."
)


def _list(
    db: Db,
    answer: Answer,
    project: Project,
    person: Person,
    *,
    sight: bool,
    form: Form[AskForm] | None = None,
    before: int | None = None,
) -> Response:
    role = answer.request.state.role
    found = asking.find_readings(db, project, before=before, limit=51) if may(role, "lead") else []
    return answer.show(
        "readings/list.html",
        status=422 if form is not None and form.errors else 200,
        found=found[:50],
        next=found[49].reading.id if len(found) > 50 else None,
        to_read=answering.count_waiting(db, project, person),
        to_settle=settling.count_waiting(db, project, person) if may(role, "expert") else 0,
        form=form or Form(),
        filters=finding.filters(suggestions=sight),
        most_decoys=MOST_PERCENT,
        most=asking.MOST,
    )


@router.get("")
def show_readings(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    sight: Sight,
    before: Before = None,
) -> Response:
    """What waits for a second reading, and for leads all that was asked for."""
    return _list(db, answer, project, person, sight=sight, before=before)


@router.post("")
def submit_reading(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    sight: Sight,
    form: Annotated[Form[AskForm], Depends(submitted(AskForm))],
) -> Response:
    """Have a share of a filter's finished images read a second time."""
    made = None
    if not form.errors:
        with form.attempt():
            made = asking.ask(db, project, **form.values.model_dump(), by=person)
    if made is None:
        return _list(db, answer, project, person, sight=sight, form=form)
    return answer.done(go_to=answer.path("show_reading", project=project.slug, reading_id=made.id))


@router.post("/{reading_id:int}/end")
def submit_reading_end(
    db: Db, answer: Answering, project: LeadProject, reading_id: int
) -> Response:
    """Ask nobody for what is not read yet."""
    asking.end(db, project, reading_id)
    return answer.done(
        go_to=answer.path("show_reading", project=project.slug, reading_id=reading_id)
    )


@router.get("/{reading_id:int}")
def show_reading(db: Db, answer: Answering, project: LeadProject, reading_id: int) -> Response:
    """How far a second reading is, and how far both readings agree."""
    reading = asking.get_reading(db, project, reading_id)
    return answer.show(
        "readings/reading.html",
        stand=asking.find_stand(db, reading),
        found=compare_readings(db, reading),
    )


@router.get("/{reading_id:int}/agreement.csv")
def export_agreement(db: Db, project: LeadProject, reading_id: int) -> Response:
    """How far both readings agree, as CSV."""
    found = compare_readings(db, asking.get_reading(db, project, reading_id))
    out = io.StringIO(newline="")
    out.write(BYTE_ORDER_MARK)
    csv.writer(out).writerows([cell(each) for each in row] for row in table_of(found))
    name = f"{project.slug}-second-reading-{reading_id}.csv"
    return Response(
        out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


# The labelling page, for what is read and what is settled ------------------------------------


def _sheet(
    answer: Answer,
    request: Request,
    person: Person,
    image: Image,
    labels: ImageLabels,
    sheet: Sheet,
    *,
    is_done: bool,
    next_undone: str,
    waiting: str,
) -> Response:
    held = request.state.sign_in
    context: dict[str, Any] = {
        "sheet": sheet,
        "labels": labels,
        "image": image,
        "is_done": is_done,
        "is_marked": is_done,
        "next_undone": next_undone,
        "progress": {"words": waiting},
        "within": Filter(),
        "examples": {},
        "traits": [],
        "found": [],
        **dict.fromkeys(("previous", "following", "busy", "stale", "traits_open")),
        "wanted": "",
        "hide": True,
        "q": "",
        "session": held.id if held is not None else 0,
        "new_operation": uuid4,
        "my_id": person.id,
    }
    return answer.show("labels/page.html", fragment="labels/_labelling.html", **context)


def _addresses(
    answer: Answer, project: Project, read_id: int, *, kind: str, note: str, open_word: str
) -> Sheet:
    def at(name: str) -> str:
        return answer.path(name, project=project.slug, read_id=read_id)

    first = {"key": "KEY", "polarity": "positive"}
    api_name = {"read": "api_answer_question", "settle": "api_settle_difference"}[kind]
    answers = answer.path(api_name, project=project.slug, read_id=read_id, **first)
    undo, done = {
        "read": ("api_undo_answer", "api_set_read"),
        "settle": ("api_undo_settling", "api_set_settled"),
    }[kind]
    return Sheet(
        id=(read_name if kind == "read" else settle_name)(read_id),
        here=at(f"show_{kind}_sheet"),
        back=answer.path("show_readings", project=project.slug),
        back_to="Second readings",
        save=at(f"submit_{kind}_answer"),
        done=at(f"submit_{kind}_done"),
        undo="",
        api=answers.removesuffix("/KEY/positive"),
        takeback=at(undo),
        mark=at(done),
        note=note,
        open_word=open_word,
    )


def _many(number: int, what: str) -> str:
    shown = "More than 1\u202f000" if number > 1_000 else str(number)
    return f"{shown} image{'' if number == 1 else 's'} {what}"


@router.get("/next")
def show_next_reading(
    db: Db, answer: Answering, project: AnnotatorProject, person: CurrentPerson
) -> Response:
    """To the next image that this person is to read."""
    read_id = answering.claim_next(db, project, person)
    return _to(answer, project, "show_read_sheet", read_id)


def _to(answer: Answer, project: Project, page: str, read_id: int | None) -> Response:
    if read_id is None:
        return answer.go(answer.path("show_readings", project=project.slug))
    return answer.go(answer.path(page, project=project.slug, read_id=read_id))


@router.get("/read-{read_id:int}")
def show_read_sheet(
    db: Db,
    answer: Answering,
    request: Request,
    project: AnnotatorProject,
    person: CurrentPerson,
    read_id: int,
    q: str = "",
) -> Response:
    """An image to be read a second time."""
    del q
    read, image = answering.get_own(db, project, person, read_id)
    following = answering.claim_next(db, project, person, besides=read.id)
    return _sheet(
        answer,
        request,
        person,
        image,
        sheets.reading_sheet(db, project, read, image, person),
        _addresses(answer, project, read.id, kind="read", note=READING, open_word="to answer"),
        is_done=read.read_at is not None,
        next_undone=_page_of(answer, project, "show_read_sheet", following),
        waiting=_many(answering.count_waiting(db, project, person), "to read"),
    )


def _page_of(answer: Answer, project: Project, page: str, read_id: int | None) -> str:
    return answer.path(page, project=project.slug, read_id=read_id) if read_id else ""


@router.post("/read-{read_id:int}/answers")
def submit_read_answer(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    read_id: int,
    form: Annotated[Form[SaveForm], Depends(submitted(SaveForm))],
) -> Response:
    """Answer one attribute."""
    values = form.checked()
    answering.answer(
        db,
        project,
        read_id,
        key=values.key,
        polarity=values.polarity,
        state=values.state,
        operation_id=values.operation_id,
        by=person,
    )
    return _to(answer, project, "show_read_sheet", read_id)


@router.post("/read-{read_id:int}/done")
def submit_read_done(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    read_id: int,
    form: Annotated[Form[DoneForm], Depends(submitted(DoneForm))],
) -> Response:
    """Mark an image as read and go to the next, or take the mark away."""
    done = form.checked().done
    answering.finish(db, project, read_id, done=done, by=person)
    following = answering.claim_next(db, project, person, besides=read_id) if done else read_id
    return _to(answer, project, "show_read_sheet", following)


@router.get("/settle")
def show_next_settling(
    db: Db, answer: Answering, project: ExpertProject, person: CurrentPerson
) -> Response:
    """To the next image on which two readings differ."""
    read_id = settling.claim_next(db, project, person)
    return _to(answer, project, "show_settle_sheet", read_id)


@router.get("/settle-{read_id:int}")
def show_settle_sheet(
    db: Db,
    answer: Answering,
    request: Request,
    project: ExpertProject,
    person: CurrentPerson,
    read_id: int,
    q: str = "",
) -> Response:
    """Where both readings of an image differ."""
    del q
    read, image = settling.get_to_settle(db, project, person, read_id)
    following = settling.claim_next(db, project, person, besides=read.id)
    return _sheet(
        answer,
        request,
        person,
        image,
        sheets.settling_sheet(db, project, read, image, person),
        _addresses(answer, project, read.id, kind="settle", note=SETTLING, open_word="to decide"),
        is_done=read.settled_at is not None,
        next_undone=_page_of(answer, project, "show_settle_sheet", following),
        waiting=_many(settling.count_waiting(db, project, person), "to settle"),
    )


@router.post("/settle-{read_id:int}/answers")
def submit_settle_answer(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    read_id: int,
    form: Annotated[Form[SaveForm], Depends(submitted(SaveForm))],
) -> Response:
    """Decide about one attribute."""
    values = form.checked()
    settling.settle(
        db,
        project,
        read_id,
        key=values.key,
        polarity=values.polarity,
        state=values.state,
        operation_id=values.operation_id,
        by=person,
    )
    return _to(answer, project, "show_settle_sheet", read_id)


@router.post("/settle-{read_id:int}/done")
def submit_settle_done(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    read_id: int,
    form: Annotated[Form[DoneForm], Depends(submitted(DoneForm))],
) -> Response:
    """Mark an image as settled and go to the next, or take the mark away."""
    done = form.checked().done
    settling.finish(db, project, read_id, done=done, by=person)
    following = settling.claim_next(db, project, person, besides=read_id) if done else read_id
    return _to(answer, project, "show_settle_sheet", following)
