"""Where leads say what participants are told in practice; `judging_pages` shows it to those."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.errors import Conflict
from app.images.access import PICTURE_HEADERS
from app.images.image_files import read_shown
from app.participants.forms import JudgementForm
from app.projects.access import LeadProject
from app.studies import practising
from app.studies.access import get_study
from app.studies.judging import answers_of
from app.web.answer import Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(include_in_schema=False)
PRACTICE = "/projects/{project}/studies/{study_id}/practice"


@router.get(PRACTICE)
def show_practice_answers(
    study_id: int, db: Db, answer: Answering, project: LeadProject
) -> Response:
    """The pairs that participants practise on, and what they are told of them."""
    study = get_study(db, project, study_id)
    return answer.show(
        "studies/practice_answers.html",
        study=study,
        pairs=practising.find_pairs_to_practise(db, study, with_answers=True),
        answers=answers_of(study),
        may_say=practising.may_say(db, study),
    )


@router.post(PRACTICE + "/{position}/{key}")
def submit_practice_answer(
    study_id: int,
    position: int,
    key: str,
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[JudgementForm], Depends(submitted(JudgementForm))],
) -> Response:
    """Say what participants are told in a dimension; the same answer again takes it back."""
    if form.errors:
        raise Conflict("The answer did not arrive whole.", hint="Go back and answer again.")
    study = get_study(db, project, study_id)
    stands = {
        (pair.place, each.key): each.answer
        for pair in practising.find_pairs_to_practise(db, study, with_answers=True)
        for each in pair.questions
    }
    is_again = stands.get((position, key)) == form.values.answer
    said = None if is_again else form.values.answer
    practising.say(db, project, study_id, position, key, said, by=person)
    path = answer.path("show_practice_answers", project=project.slug, study_id=study_id)
    return answer.done(go_to=f"{path}#pair-{position}-{key}")


@router.get(PRACTICE + "/{position}/images/{side}")
def get_practice_picture(
    study_id: int, position: int, side: Literal["left", "right"], db: Db, project: LeadProject
) -> Response:
    """The bytes of one side of a practice pair."""
    study = get_study(db, project, study_id)
    shown = read_shown("display", practising.get_practice_hash(db, study, position, side))
    return Response(shown, media_type="image/jpeg", headers=PICTURE_HEADERS)
