"""Second readings for programs, and for the labelling page's own script."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.accounts.access import CurrentPerson
from app.database import LARGEST_KEY
from app.projects.access import AnnotatorProject, ExpertProject, LeadProject
from app.readings import answering, asking, settling, sheets
from app.readings.access import read_name, settle_name
from app.readings.comparing import compare_readings
from app.readings.schemas import (
    AgreementOut,
    AnsweredOut,
    AnswerIn,
    AskIn,
    DoneIn,
    DoneOut,
    NextIn,
    NextOut,
    QuestionsOut,
    ReadingOut,
    ReadingsOut,
    UndoIn,
    show_agreement,
    show_answer,
    show_questions,
)
from app.web.dependencies import Db
from taxonomy.tree import Polarity

router = APIRouter(prefix="/api/v1/projects/{project}/readings", tags=["readings"])


@router.get("", response_model=ReadingsOut)
def api_list_readings(
    project: LeadProject,
    db: Db,
    before: Annotated[int | None, Query(ge=1, le=LARGEST_KEY)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> ReadingsOut:
    """Second readings, newest first."""
    found = asking.find_readings(db, project, before=before, limit=limit + 1)
    items = [ReadingOut.of(each) for each in found[:limit]]
    return ReadingsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post("", status_code=201, response_model=ReadingOut)
def api_ask_for_reading(
    project: LeadProject, body: AskIn, db: Db, person: CurrentPerson
) -> ReadingOut:
    """Have a share of a filter's finished images read a second time, by whoever did not finish them."""
    reading = asking.ask(db, project, **body.model_dump(), by=person)
    return ReadingOut.of(asking.find_stand(db, reading))


@router.get("/{reading_id:int}", response_model=ReadingOut)
def api_get_reading(project: LeadProject, reading_id: int, db: Db) -> ReadingOut:
    """How far a second reading is."""
    return ReadingOut.of(asking.find_stand(db, asking.get_reading(db, project, reading_id)))


@router.get("/{reading_id:int}/agreement", response_model=AgreementOut)
def api_get_agreement(project: LeadProject, reading_id: int, db: Db) -> AgreementOut:
    """How far both readings agree about what is read so far: Cohen's kappa, Krippendorff's alpha, Gwet's AC1, each
    with a 95 % interval; and how often agents are right by who read blind.
    """
    return show_agreement(compare_readings(db, asking.get_reading(db, project, reading_id)))


@router.post("/{reading_id:int}/end", response_model=ReadingOut)
def api_end_reading(project: LeadProject, reading_id: int, db: Db) -> ReadingOut:
    """Ask nobody for the images that are not read yet; what was answered stays."""
    return ReadingOut.of(asking.find_stand(db, asking.end(db, project, reading_id)))


# Reading -------------------------------------------------------------------------------------


@router.post("/next", response_model=NextOut)
def api_claim_reading(
    project: AnnotatorProject, body: NextIn, db: Db, person: CurrentPerson
) -> NextOut:
    """The next image for who asks to read: not one that they finished, decided on or saw suggestions of."""
    return NextOut(read=answering.claim_next(db, project, person, besides=body.besides))


@router.get("/read-{read_id:int}", response_model=QuestionsOut)
def api_get_questions(
    project: AnnotatorProject, read_id: int, db: Db, person: CurrentPerson
) -> QuestionsOut:
    """What the reader is asked about an image, with their own answers and nobody else's."""
    read, image = answering.get_own(db, project, person, read_id)
    return show_questions(read.id, sheets.reading_sheet(db, project, read, image, person))


@router.put("/read-{read_id:int}/answers/{key}/{polarity}", response_model=AnsweredOut)
def api_answer_question(
    project: AnnotatorProject,
    read_id: int,
    key: str,
    polarity: Polarity,
    body: AnswerIn,
    db: Db,
    person: CurrentPerson,
) -> AnsweredOut:
    """Answer one attribute: one of those asked about, or one that the reader misses."""
    said = answering.answer(
        db,
        project,
        read_id,
        key=key,
        polarity=polarity,
        state=body.state,
        operation_id=body.operation_id,
        by=person,
    )
    return show_answer(read_name(read_id), said)


@router.post("/read-{read_id:int}/undo", response_model=AnsweredOut)
def api_undo_answer(
    project: AnnotatorProject, read_id: int, body: UndoIn, db: Db, person: CurrentPerson
) -> AnsweredOut:
    """Take back an answer, or the mark that the image is read."""
    said = answering.take_back(
        db, project, read_id, undoes=body.named, operation_id=body.operation_id, by=person
    )
    return show_answer(read_name(read_id), said)


@router.put("/read-{read_id:int}/done", response_model=DoneOut)
def api_set_read(
    project: AnnotatorProject, read_id: int, body: DoneIn, db: Db, person: CurrentPerson
) -> DoneOut:
    """Mark an image as read, or not."""
    read = answering.finish(db, project, read_id, done=body.done, by=person)
    return DoneOut(done=read.read_at is not None)


# Settling ------------------------------------------------------------------------------------


@router.post("/settle-next", response_model=NextOut)
def api_claim_settling(
    project: ExpertProject, body: NextIn, db: Db, person: CurrentPerson
) -> NextOut:
    """The next image on which two readings differ, for somebody who gave neither."""
    return NextOut(read=settling.claim_next(db, project, person, besides=body.besides))


@router.get("/settle-{read_id:int}", response_model=QuestionsOut)
def api_get_differences(
    project: ExpertProject, read_id: int, db: Db, person: CurrentPerson
) -> QuestionsOut:
    """Where both readings of an image differ; nothing tells who said what."""
    read, image = settling.get_to_settle(db, project, person, read_id)
    return show_questions(read.id, sheets.settling_sheet(db, project, read, image, person))


@router.put("/settle-{read_id:int}/answers/{key}/{polarity}", response_model=AnsweredOut)
def api_settle_difference(
    project: ExpertProject,
    read_id: int,
    key: str,
    polarity: Polarity,
    body: AnswerIn,
    db: Db,
    person: CurrentPerson,
) -> AnsweredOut:
    """Decide about one attribute; the decision becomes an event of the label."""
    said = settling.settle(
        db,
        project,
        read_id,
        key=key,
        polarity=polarity,
        state=body.state,
        operation_id=body.operation_id,
        by=person,
    )
    return show_answer(settle_name(read_id), said)


@router.post("/settle-{read_id:int}/undo", response_model=AnsweredOut)
def api_undo_settling(
    project: ExpertProject, read_id: int, body: UndoIn, db: Db, person: CurrentPerson
) -> AnsweredOut:
    """Take back what one decided, or the mark that the image is settled."""
    said = settling.take_back(
        db, project, read_id, undoes=body.named, operation_id=body.operation_id, by=person
    )
    return show_answer(settle_name(read_id), said)


@router.put("/settle-{read_id:int}/done", response_model=DoneOut)
def api_set_settled(
    project: ExpertProject, read_id: int, body: DoneIn, db: Db, person: CurrentPerson
) -> DoneOut:
    """Mark an image as settled, or not; 409 while differences are undecided."""
    read = settling.finish(db, project, read_id, done=body.done, by=person)
    return DoneOut(done=read.settled_at is not None)
