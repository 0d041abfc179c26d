"""Audits as JSON: for the project's people, and for participants through their link's token."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.accounts.access import CurrentPerson, Public
from app.agreement import Agreement
from app.audits import inviting, judging, practising, sampling
from app.audits import results as outcome
from app.audits.access import get_audit, instrument
from app.audits.models import Audit
from app.audits.notice import DEFAULT_NOTICE
from app.audits.probing import find_missed
from app.audits.results import ResultRow
from app.audits.sampling import Design
from app.audits.schemas import (
    DESIGNED,
    AgreementOut,
    AuditIn,
    AuditListItem,
    AuditOut,
    AuditsOut,
    ItemOut,
    ItemsOut,
    JudgementOut,
    MissedOut,
    PopulationOut,
    PractisedOut,
    ProgressOut,
    ResultsOut,
    ScoreOut,
    SeatOut,
)
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
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1", tags=["audits"])
ROOM = "/projects/{project}/audits"
SEAT = "/audit/{token}"
Limit = Annotated[int, Query(ge=1, le=200)]


def _audit(db: Db, audit: Audit) -> AuditOut:
    facts, notice = outcome.get_facts(db, audit), get_notice(db, instrument(audit))
    return AuditOut.model_validate(
        {
            "id": audit.id,
            "name": audit.name,
            "state": audit.state,
            "seed": audit.seed,
            "images": facts.images,
            "items": facts.items,
            "decoys": facts.decoys,
            "min_labels": audit.min_labels,
            "decoy_percent": audit.decoy_percent,
            "check_percent": audit.check_percent,
            "probe_percent": audit.probe_percent,
            "strata": audit.strata,
            "judges": audit.judges,
            "images_each": audit.images_each,
            "population": audit.population,
            "is_simulated": audit.is_simulated,
            "agent_run": audit.agent_run_id,
            "criteria_version": facts.version_number,
            "notice": notice.text,
            "notice_number": notice.number,
            "participants": PeopleOut.model_validate(facts.people),
            "created_at": audit.created_at,
            "closed_at": audit.closed_at,
        }
    )


@router.get(ROOM)
def api_list_audits(
    db: Db, project: AnnotatorProject, before: int | None = None, limit: Limit = 20
) -> AuditsOut:
    """The project's audits, newest first."""
    found = outcome.find_audits(db, project, before=before, limit=limit + 1)
    items = [
        AuditListItem.model_validate(
            {
                "id": each.audit.id,
                "name": each.audit.name,
                "state": each.audit.state,
                "images": each.audit.sample_size,
                "items": each.items,
                "agent_run": each.audit.agent_run_id,
                "criteria_version": each.version_number,
                "participants": PeopleOut.model_validate(each.people),
                "accuracy": each.accuracy,
                "created_at": each.audit.created_at,
            }
        )
        for each in found[:limit]
    ]
    return AuditsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post(ROOM, status_code=201)
def api_create_audit(
    body: AuditIn, db: Db, project: LeadProject, person: CurrentPerson
) -> AuditOut:
    """Draw a sample and freeze it."""
    audit = sampling.create_audit(
        db,
        project,
        name=body.name,
        design=Design(
            seed=secrets.randbelow(1_000_000) if body.seed is None else body.seed,
            **body.model_dump(include=DESIGNED),
        ),
        notice=DEFAULT_NOTICE if body.notice is None else body.notice,
        by=person,
    )
    return _audit(db, audit)


@router.get(ROOM + "/population")
def api_count_audit_population(
    db: Db, project: LeadProject, min_labels: int = 1, agent_run: int | None = None
) -> PopulationOut:
    """How many images have at least so many labels of the agent run (of any, without one)."""
    found = sampling.population(db, project, min_labels=min_labels, agent_run=agent_run)
    return PopulationOut(images=found.images, is_about=found.is_about)


@router.get(ROOM + "/{audit_id}")
def api_get_audit(audit_id: int, db: Db, project: AnnotatorProject) -> AuditOut:
    """One audit."""
    return _audit(db, get_audit(db, project, audit_id))


@router.post(ROOM + "/{audit_id}/close")
def api_close_audit(audit_id: int, db: Db, project: LeadProject) -> AuditOut:
    """Take no more answers."""
    audit = get_audit(db, project, audit_id)
    inviting.close_audit(db, audit)
    return _audit(db, audit)


@router.put(ROOM + "/{audit_id}/notice")
def api_rewrite_notice(
    audit_id: int, body: NoticeIn, db: Db, project: LeadProject, person: CurrentPerson
) -> AuditOut:
    """Another text for those who have not agreed yet; who has stays with what they read."""
    audit = get_audit(db, project, audit_id)
    inviting.rewrite_notice(db, audit, body.notice, by=person, based_on=body.based_on)
    return _audit(db, audit)


def _agreement(found: Agreement) -> AgreementOut:
    return AgreementOut(value=found.value, interval_95=found.interval)


def _score(row: ResultRow) -> ScoreOut:
    score = row.score
    return ScoreOut.model_validate(
        {
            "level": row.level,
            "key": row.key,
            "polarity": row.polarity,
            "name": row.name,
            "above": list(row.above),
            "sampled_items": row.sampled,
            "items": score.items,
            "images": score.images,
            "participants": score.participants,
            "judgements": score.judgements,
            "appears": score.appears,
            "does_not_appear": score.does_not_appear,
            "cannot_tell": score.cannot_tell,
            "cannot_tell_share": score.cannot_tell_share,
            "accuracy": score.accuracy,
            "interval_95": score.interval,
            "majority_accuracy": score.majority_accuracy,
            "majority_interval_95": score.majority_interval,
            "majority_items": score.majority_items,
            "ties": score.ties,
            "participant_mean": score.participant_mean,
            "participant_range": score.participant_range,
            "agreement": score.agreement,
            "krippendorff_alpha": _agreement(score.alpha),
            "fleiss_kappa": _agreement(score.kappa),
            "gwet_ac1": _agreement(score.ac1),
            "decoys_decided": score.decoys_decided,
            "decoys_appear": score.decoys_appear,
            "yes_to_decoys": score.yes_to_decoys,
            "yes_to_decoys_interval_95": score.decoys_interval,
            "corrected_accuracy": score.corrected,
            "corrected_interval_95": score.corrected_interval,
            "median_seconds": score.seconds,
        }
    )


@router.get(ROOM + "/{audit_id}/results")
def api_get_audit_results(audit_id: int, db: Db, project: AnnotatorProject) -> ResultsOut:
    """Accuracy overall, by polarity, dimension, sub-dimension and attribute, as it stands now."""
    audit = get_audit(db, project, audit_id)
    rows: dict[str, list[ScoreOut]] = {}
    for row in outcome.all_rows(db, audit):
        rows.setdefault(row.level, []).append(_score(row))
    return ResultsOut(
        participants=PeopleOut.model_validate(outcome.get_facts(db, audit).people),
        dimensions=rows.get("dimension", []),
        polarities=rows["polarity"],
        overall=rows["overall"][0],
        sub_dimensions=rows.get("sub_dimension", []),
        attributes=rows.get("attribute", []),
        missed=[MissedOut.model_validate(each) for each in find_missed(db, audit)],
    )


@router.get(ROOM + "/{audit_id}/participants")
def api_list_participants(
    audit_id: int, db: Db, project: LeadProject, after: int = 0, limit: Limit = 100
) -> ParticipantsOut:
    """Participants by number, with how far each is; never single answers."""
    audit = get_audit(db, project, audit_id)
    found = inviting.find_participants(db, audit, after=after, limit=limit + 1)
    items = [ParticipantOut.model_validate(each) for each in found[:limit]]
    return ParticipantsOut(items=items, next=items[-1].number if len(found) > limit else None)


@router.post(ROOM + "/{audit_id}/participants", status_code=201)
def api_invite_participants(
    request: Request, audit_id: int, body: InviteIn, db: Db, project: LeadProject
) -> LinksOut:
    """Make participants. Their links are in this answer and nowhere else."""
    audit = get_audit(db, project, audit_id)
    address = settings().public_address
    return LinksOut(
        items=[
            LinkOut(
                number=number,
                link=address + str(request.app.url_path_for("show_seat", token=token)),
            )
            for number, token in inviting.invite_participants(db, audit, body.count)
        ]
    )


@router.delete(ROOM + "/{audit_id}/participants/{number}", status_code=204)
def api_revoke_participant(audit_id: int, number: int, db: Db, project: LeadProject) -> Response:
    """Make a participant's link useless and leave their answers out of every figure."""
    inviting.revoke_participant(db, get_audit(db, project, audit_id), number)
    return Response(status_code=204)


# For participants ----------------------------------------------------------------------------


def _progress(db: Db, participant: Participant, progress: Progress) -> ProgressOut:
    audit = db.get_one(Audit, participant.audit_id)
    images = judging.count_images(db, audit, participant)
    return ProgressOut(answered=progress.answered, items=progress.items, images=images)


def _seat(db: Db, participant: Participant) -> SeatOut:
    audit = db.get_one(Audit, participant.audit_id)
    state = participant_state(participant)
    if audit.state == "closed" and state not in ("finished", "withdrawn", "revoked"):
        state = "closed"
    notice = get_notice(db, instrument(audit))
    return SeatOut.model_validate(
        {
            "audit": audit.name,
            "number": participant.number,
            "state": state,
            "notice": notice.text,
            "notice_number": notice.number,
            "progress": _progress(db, participant, judging.get_progress(db, participant)),
            "next_image": judging.next_image(db, participant),
        }
    )


@router.get(SEAT, dependencies=[Public])
def api_get_seat(token: str, db: Db) -> SeatOut:
    """What a participant's link leads to: the notice and how far they are. A link that was revoked takes no
    answer any more, and still withdraws.
    """
    return _seat(db, get_participant(db, token, of="audit", even_revoked=True))


@router.post(SEAT + "/consent", dependencies=[Public])
def api_consent(token: str, db: Db, body: ConsentIn | None = None) -> SeatOut:
    """Agree to the notice; nothing is shown or taken before.

    With the number of the notice that was read, one that was changed meanwhile is answered with 412.
    """
    participant = get_participant(db, token, of="audit")
    judging.consent(db, participant, read=body.notice if body else None)
    return _seat(db, participant)


@router.post(SEAT + "/withdraw", dependencies=[Public])
def api_withdraw(token: str, db: Db) -> SeatOut:
    """Delete all answers of the participant, who takes no part any more. This cannot be undone. A link that was
    revoked does so, too.
    """
    participant = get_participant(db, token, of="audit", even_revoked=True)
    judging.withdraw(db, participant)
    return _seat(db, participant)


@router.get(SEAT + "/items", dependencies=[Public])
def api_list_items(
    request: Request, token: str, db: Db, after: int = 0, limit: Limit = 100
) -> ItemsOut:
    """The questions in their order, with the participant's own answers."""
    participant = get_participant(db, token, of="audit")
    refuse_unless_taking_part(participant)
    audit = db.get_one(Audit, participant.audit_id)
    found = judging.find_items(db, participant, audit, after=after, limit=limit + 1)
    items = [
        ItemOut.model_validate(
            {
                "id": each.id,
                "image_position": each.image_position,
                "image": str(
                    request.app.url_path_for("get_audit_image", token=token, image_id=each.image_id)
                ),
                "dimension": each.root,
                "name": each.name,
                "definition": each.definition,
                "answer": each.answer,
                "revision": each.revision,
            }
        )
        for each in found[:limit]
    ]
    return ItemsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.put(SEAT + "/items/{item_id}", dependencies=[Public])
def api_judge(token: str, item_id: int, body: JudgementIn, db: Db) -> JudgementOut:
    """Answer one question, or change one's mind about it."""
    participant = get_participant(db, token, of="audit")
    judged = judging.judge(db, participant, item_id, body.answer, based_on=body.based_on)
    return JudgementOut(
        item_id=judged.item_id,
        answer=judged.answer,
        revision=judged.revision,
        progress=_progress(db, participant, judged.progress),
    )


@router.put(SEAT + "/practice/{item_id}", dependencies=[Public])
def api_practise(token: str, item_id: int, body: JudgementIn, db: Db) -> PractisedOut:
    """Try an answer to a question of the practice page: what the project's people say. Keeps nothing."""
    participant = get_participant(db, token, of="audit")
    refuse_unless_taking_part(participant)
    audit = db.get_one(Audit, participant.audit_id)
    return PractisedOut.model_validate(practising.practise(db, audit, item_id, body.answer))


@router.post(SEAT + "/finish", dependencies=[Public])
def api_finish(token: str, db: Db) -> SeatOut:
    """Let the answers stand; refused while questions are unanswered."""
    participant = get_participant(db, token, of="audit")
    judging.finish(db, participant)
    return _seat(db, participant)
