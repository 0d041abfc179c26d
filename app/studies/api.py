"""Studies as JSON: for the project's people, and for participants through their link's token."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.accounts.access import CurrentPerson, Public
from app.agreement import Agreement
from app.datasets.pairing import pair_by_study
from app.images.access import UploadedFiles
from app.participants.access import get_participant
from app.participants.models import Participant
from app.participants.notices import get_notice
from app.participants.progress import Progress, participant_state
from app.participants.schemas import (
    ConsentIn,
    InviteIn,
    JudgementIn,
    LinkOut,
    LinksOut,
    NoticeIn,
    ParticipantOut,
    ParticipantsOut,
    PeopleOut,
)
from app.participants.taking_part import refuse_unless_taking_part
from app.projects.access import AnnotatorProject, LeadProject
from app.settings import settings
from app.studies import collecting, founding, inviting, judging, opening, practising
from app.studies import results as outcome
from app.studies.access import get_study, instrument
from app.studies.evaluations import find_evaluated
from app.studies.models import Study
from app.studies.notice import DEFAULT_NOTICE
from app.studies.results import Comparison, PreferenceRow
from app.studies.schemas import (
    ChosenOut,
    ConsistencyOut,
    EvaluatedModelsOut,
    EvaluatedOut,
    PairsToJudgeOut,
    PairToJudgeOut,
    PracticeAnswerIn,
    PracticePairOut,
    PreferenceOut,
    RankingOut,
    SidesOut,
    StudiesOut,
    StudyCoefficientOut,
    StudyComparisonOut,
    StudyDimensionOut,
    StudyGroupIn,
    StudyIn,
    StudyJobOut,
    StudyListItem,
    StudyModelOut,
    StudyOpenIn,
    StudyOut,
    StudyPairsIn,
    StudyPairsOut,
    StudyPracticeOut,
    StudyPractisedOut,
    StudyProgressOut,
    StudyQuestionOut,
    StudyResultsOut,
    StudySeatOut,
)
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1", tags=["studies"])
ROOM = "/projects/{project}/studies"
SEAT = "/study/{token}"
Limit = Annotated[int, Query(ge=1, le=200)]


def _study(db: Db, study: Study) -> StudyOut:
    facts, notice = outcome.get_facts(db, study), get_notice(db, instrument(study))
    there = opening.get_gathering(db, study)
    return StudyOut.model_validate(
        {
            "id": study.id,
            "name": study.name,
            "state": study.state,
            "seed": study.seed,
            "prompts": study.prompts,
            "has_ties": study.has_ties,
            "identical_percent": study.identical_percent,
            "repeated_percent": study.repeated_percent,
            "judges": study.judges,
            "prompts_each": study.prompts_each,
            "criteria_version": facts.criteria.number,
            "dimensions": [
                StudyDimensionOut.model_validate(each) for each in facts.criteria.dimensions
            ],
            "models": [StudyModelOut.model_validate(each) for each in facts.models],
            "common_prompts": there.common_prompts,
            "problem": there.problem if study.state == "draft" else None,
            "pairs": facts.pairs,
            "identical": facts.identical,
            "repeated": facts.repeated,
            "practice": len(practising.find_practice_positions(db, study)),
            "notice": notice.text,
            "notice_number": notice.number,
            "participants": PeopleOut.model_validate(facts.people),
            "created_at": study.created_at,
            "opened_at": study.opened_at,
            "closed_at": study.closed_at,
        }
    )


@router.get(ROOM)
def api_list_studies(
    db: Db, project: AnnotatorProject, before: int | None = None, limit: Limit = 20
) -> StudiesOut:
    """The project's studies, newest first."""
    found = outcome.find_studies(db, project, before=before, limit=limit + 1)
    items = [
        StudyListItem.model_validate(
            {
                "id": each.study.id,
                "name": each.study.name,
                "state": each.study.state,
                "groups": each.groups,
                "models": each.models,
                "pairs": each.pairs,
                "participants": PeopleOut.model_validate(each.people),
                "created_at": each.study.created_at,
            }
        )
        for each in found[:limit]
    ]
    return StudiesOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post(ROOM, status_code=201)
def api_create_study(
    body: StudyIn, db: Db, project: LeadProject, person: CurrentPerson
) -> StudyOut:
    """Make a draft, to which images are added then."""
    design = body.model_dump(exclude={"name", "notice", "seed"})
    seed = secrets.randbelow(1_000_000) if body.seed is None else body.seed
    study = founding.create_study(
        db,
        project,
        name=body.name,
        design=founding.Design(seed=seed, **design),
        notice=DEFAULT_NOTICE if body.notice is None else body.notice,
        by=person,
    )
    return _study(db, study)


@router.get(ROOM + "/evaluated")
def api_list_evaluated_models(db: Db, project: LeadProject) -> EvaluatedModelsOut:
    """Models whose images evaluations of finished runs left behind."""
    found = find_evaluated(db, project)
    return EvaluatedModelsOut(items=[EvaluatedOut.model_validate(each) for each in found])


@router.get(ROOM + "/{study_id}")
def api_get_study(study_id: int, db: Db, project: AnnotatorProject) -> StudyOut:
    """One study."""
    return _study(db, get_study(db, project, study_id))


@router.post(ROOM + "/{study_id}/uploads", status_code=202)
def api_upload_study_images(
    study_id: int, db: Db, project: LeadProject, person: CurrentPerson, source: UploadedFiles
) -> StudyJobOut:
    """Take images in: a ZIP, or files with their folders. The last folder is the model, the one above it the group."""
    job = collecting.collect_upload(db, project, study_id, source, by=person)
    return StudyJobOut(job_id=job.id)


@router.post(ROOM + "/{study_id}/groups", status_code=202)
def api_add_study_group(
    study_id: int, body: StudyGroupIn, db: Db, project: LeadProject, person: CurrentPerson
) -> StudyJobOut:
    """Take the images of evaluated models in, as one group."""
    job = collecting.collect_evaluations(
        db, project, study_id, group=body.group, models=body.models, by=person
    )
    return StudyJobOut(job_id=job.id)


@router.delete(ROOM + "/{study_id}/images", status_code=204)
def api_remove_study_images(study_id: int, db: Db, project: LeadProject) -> Response:
    """Take all images out of a draft."""
    collecting.remove_images(db, project, study_id)
    return Response(status_code=204)


@router.post(ROOM + "/{study_id}/open")
def api_open_study(study_id: int, body: StudyOpenIn, db: Db, project: LeadProject) -> StudyOut:
    """Draw the prompts and make the pairs, which then stay."""
    return _study(db, opening.open_study(db, project, study_id, prompts=body.prompts))


@router.post(ROOM + "/{study_id}/close")
def api_close_study(study_id: int, db: Db, project: LeadProject) -> StudyOut:
    """Take no more answers."""
    study = get_study(db, project, study_id)
    inviting.close_study(db, study)
    return _study(db, study)


@router.put(ROOM + "/{study_id}/notice")
def api_rewrite_study_notice(
    study_id: int, body: NoticeIn, db: Db, project: LeadProject, person: CurrentPerson
) -> StudyOut:
    """Another text for those who have not agreed yet; who has stays with what they read."""
    study = get_study(db, project, study_id)
    inviting.rewrite_notice(db, study, body.notice, by=person, based_on=body.based_on)
    return _study(db, study)


@router.post(ROOM + "/{study_id}/pair-datasets", status_code=202)
def api_pair_by_study(
    study_id: int, body: StudyPairsIn, db: Db, project: LeadProject, person: CurrentPerson
) -> StudyPairsOut:
    """Ask for the pair dataset of what participants preferred."""
    study = get_study(db, project, study_id)
    made = pair_by_study(
        db,
        project,
        name=body.name,
        study_id=study.id,
        min_agreement=body.min_agreement,
        by=person,
    )
    return StudyPairsOut(id=made.id, job_id=made.job_id)


def _coefficient(found: Agreement) -> StudyCoefficientOut:
    return StudyCoefficientOut(value=found.value, interval_95=found.interval)


def _preference(row: PreferenceRow) -> PreferenceOut:
    found = row.preference
    return PreferenceOut(
        key=row.key,
        name=row.name,
        answers=found.answers,
        preferred=found.wins,
        not_preferred=found.losses,
        ties=found.ties,
        pairs=found.pairs,
        participants=found.people,
        share=found.share,
        interval_95=found.interval,
        pairs_preferred=found.pairs_won,
        pairs_not_preferred=found.pairs_lost,
        p_pairs=found.p_pairs,
        holm_pairs=found.holm_pairs,
        p_people=found.p_people,
        holm_people=found.holm_people,
        gwet_ac1=_coefficient(found.ac1),
        krippendorff_alpha=_coefficient(found.alpha),
    )


def _comparison(found: Comparison) -> StudyComparisonOut:
    return StudyComparisonOut(
        group=found.group,
        model=found.model,
        other=found.other,
        dimensions=[_preference(row) for row in found.dimensions],
        overall=_preference(found.overall),
    )


@router.get(ROOM + "/{study_id}/results")
def api_get_study_results(study_id: int, db: Db, project: AnnotatorProject) -> StudyResultsOut:
    """Preferences by group and dimension, rankings, and how each participant answered, as it stands now."""
    study = get_study(db, project, study_id)
    found = outcome.results(db, study)
    return StudyResultsOut(
        participants=PeopleOut.model_validate(outcome.get_facts(db, study).people),
        answers=found.answers,
        comparisons=[_comparison(each) for each in found.comparisons],
        rankings=[RankingOut.model_validate(each) for each in found.rankings],
        consistency=[ConsistencyOut.model_validate(each) for each in found.participants],
        sides=SidesOut.model_validate(found.sides),
    )


def _practice(db: Db, study: Study) -> StudyPracticeOut:
    pairs = practising.find_pairs_to_practise(db, study, with_answers=True)
    return StudyPracticeOut(
        may_change=practising.may_say(db, study),
        items=[PracticePairOut.model_validate(each, from_attributes=True) for each in pairs],
    )


@router.get(ROOM + "/{study_id}/practice")
def api_get_study_practice(study_id: int, db: Db, project: LeadProject) -> StudyPracticeOut:
    """The pairs that participants practise on, with what they are told of them."""
    return _practice(db, get_study(db, project, study_id))


@router.put(ROOM + "/{study_id}/practice/{position}/{key}")
def api_say_of_practice(
    study_id: int,
    position: int,
    key: str,
    body: PracticeAnswerIn,
    db: Db,
    project: LeadProject,
    person: CurrentPerson,
) -> StudyPracticeOut:
    """Say which image of a practice pair is better in a dimension, before the first participant agrees."""
    practising.say(db, project, study_id, position, key, body.answer, by=person)
    return _practice(db, get_study(db, project, study_id))


@router.get(ROOM + "/{study_id}/participants")
def api_list_study_participants(
    study_id: int, db: Db, project: LeadProject, after: int = 0, limit: Limit = 100
) -> ParticipantsOut:
    """Participants by number, with how far each is; never single answers."""
    study = get_study(db, project, study_id)
    found = inviting.find_participants(db, study, after=after, limit=limit + 1)
    items = [ParticipantOut.model_validate(each) for each in found[:limit]]
    return ParticipantsOut(items=items, next=items[-1].number if len(found) > limit else None)


@router.post(ROOM + "/{study_id}/participants", status_code=201)
def api_invite_study_participants(
    request: Request, study_id: int, body: InviteIn, db: Db, project: LeadProject
) -> LinksOut:
    """Make participants. Their links are in this answer and nowhere else."""
    study = get_study(db, project, study_id)
    address = settings().public_address
    return LinksOut(
        items=[
            LinkOut(
                number=number,
                link=address + str(request.app.url_path_for("show_study_seat", token=token)),
            )
            for number, token in inviting.invite_participants(db, study, body.count)
        ]
    )


@router.delete(ROOM + "/{study_id}/participants/{number}", status_code=204)
def api_revoke_study_participant(
    study_id: int, number: int, db: Db, project: LeadProject
) -> Response:
    """Make a participant's link useless and leave their answers out of every figure."""
    inviting.revoke_participant(db, get_study(db, project, study_id), number)
    return Response(status_code=204)


# For participants ----------------------------------------------------------------------------


def _progress(db: Db, participant: Participant, progress: Progress) -> StudyProgressOut:
    pairs = judging.count_places(db, participant)
    return StudyProgressOut(answered=progress.answered, items=progress.items, pairs=pairs)


def _seat(db: Db, participant: Participant) -> StudySeatOut:
    study = db.get_one(Study, participant.study_id)
    state = participant_state(participant)
    if study.state == "closed" and state not in ("finished", "withdrawn", "revoked"):
        state = "closed"
    notice = get_notice(db, instrument(study))
    return StudySeatOut.model_validate(
        {
            "study": study.name,
            "number": participant.number,
            "state": state,
            "notice": notice.text,
            "notice_number": notice.number,
            "answers": list(judging.answers_of(study)),
            "progress": _progress(db, participant, judging.get_progress(db, participant)),
            "next_place": judging.next_place(db, participant),
        }
    )


@router.get(SEAT, dependencies=[Public])
def api_get_study_seat(token: str, db: Db) -> StudySeatOut:
    """What a participant's link leads to: the notice and how far they are. A link that was revoked takes no
    answer any more, and still withdraws.
    """
    return _seat(db, get_participant(db, token, of="study", even_revoked=True))


@router.post(SEAT + "/consent", dependencies=[Public])
def api_consent_to_study(token: str, db: Db, body: ConsentIn | None = None) -> StudySeatOut:
    """Agree to the notice; nothing is shown or taken before.

    With the number of the notice that was read, one that was changed meanwhile is answered with 412.
    """
    participant = get_participant(db, token, of="study")
    judging.consent(db, participant, read=body.notice if body else None)
    return _seat(db, participant)


@router.post(SEAT + "/withdraw", dependencies=[Public])
def api_withdraw_from_study(token: str, db: Db) -> StudySeatOut:
    """Delete all answers of the participant, who takes no part any more. This cannot be undone. A link that was
    revoked does so, too.
    """
    participant = get_participant(db, token, of="study", even_revoked=True)
    judging.withdraw(db, participant)
    return _seat(db, participant)


@router.get(SEAT + "/pairs", dependencies=[Public])
def api_list_pairs_to_judge(
    request: Request, token: str, db: Db, after: Annotated[int, Query(ge=0)] = 0, limit: Limit = 20
) -> PairsToJudgeOut:
    """The pairs in their order, with the participant's own answers."""
    participant = get_participant(db, token, of="study")
    refuse_unless_taking_part(participant)
    found = judging.find_pairs_to_judge(db, participant, after=after, limit=limit + 1)

    def path(place: int, side: str) -> str:
        name = "get_study_image"
        return str(request.app.url_path_for(name, token=token, place=place, side=side))

    items = [
        PairToJudgeOut(
            place=each.place,
            prompt=each.prompt,
            left=path(each.place, "left"),
            right=path(each.place, "right"),
            questions=[
                StudyQuestionOut.model_validate(one, from_attributes=True) for one in each.questions
            ],
        )
        for each in found[:limit]
    ]
    return PairsToJudgeOut(items=items, next=items[-1].place if len(found) > limit else None)


@router.put(SEAT + "/pairs/{place}/{key}", dependencies=[Public])
def api_choose(token: str, place: int, key: str, body: JudgementIn, db: Db) -> ChosenOut:
    """Say which image of a pair is better in a dimension, or change one's mind about it."""
    participant = get_participant(db, token, of="study")
    chosen = judging.choose(db, participant, place, key, body.answer, based_on=body.based_on)
    return ChosenOut.model_validate(
        {
            "place": chosen.place,
            "key": chosen.key,
            "answer": chosen.answer,
            "revision": chosen.revision,
            "progress": _progress(db, participant, chosen.progress),
        }
    )


@router.put(SEAT + "/practice/{position}/{key}", dependencies=[Public])
def api_practise_in_study(
    token: str, position: int, key: str, body: JudgementIn, db: Db
) -> StudyPractisedOut:
    """Try an answer about a practice pair: what the project's people say. Keeps nothing."""
    participant = get_participant(db, token, of="study")
    refuse_unless_taking_part(participant)
    study = db.get_one(Study, participant.study_id)
    found = practising.practise(db, study, position, key, body.answer)
    return StudyPractisedOut.model_validate(found, from_attributes=True)


@router.post(SEAT + "/finish", dependencies=[Public])
def api_finish_study(token: str, db: Db) -> StudySeatOut:
    """Let the answers stand; refused while questions are unanswered."""
    participant = get_participant(db, token, of="study")
    judging.finish(db, participant)
    return _seat(db, participant)
