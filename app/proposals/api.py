"""Proposals for the criteria as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from app.accounts.access import CurrentPerson
from app.accounts.models import Person
from app.errors import Invalid
from app.projects.access import AnnotatorProject, ExpertProject
from app.projects.models import Project
from app.proposals import deciding, proposing, reading
from app.proposals.models import CriteriaProposal
from app.proposals.schemas import (
    AcceptIn,
    DeclineIn,
    ExampleOut,
    ProposalIn,
    ProposalOut,
    ProposalsOut,
    State,
)
from app.web.dependencies import Db
from taxonomy.tree import Attribute

router = APIRouter(prefix="/api/v1/projects/{project}/criteria/proposals", tags=["criteria"])


def _out(shown: reading.Shown, examples: list[ExampleOut]) -> ProposalOut:
    own = shown.proposal
    fields = (
        "id",
        "kind",
        "state",
        "based_on",
        "content",
        "reason",
        "proposed_at",
        "answer",
        "decided_at",
    )
    return ProposalOut.model_validate(
        {
            **{field: getattr(own, field) for field in fields},
            "node": shown.node.key,
            "proposed_by": shown.proposer,
            "decided_by": shown.decider,
            "made": shown.made,
            "examples": examples,
        }
    )


def _one(db: Session, project: Project, proposal: CriteriaProposal) -> ProposalOut:
    shown = reading.show_one(db, project, proposal.id)
    found = reading.find_examples(db, proposal)
    examples = [
        ExampleOut.model_validate({"image": image.id, "polarity": side}) for side, image in found
    ]
    return _out(shown, examples)


@router.get("")
def api_list_proposals(
    db: Db,
    project: AnnotatorProject,
    state: State | None = None,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> ProposalsOut:
    """Proposals, newest first."""
    found = reading.find_proposals(db, project, state=state, before=before, limit=limit + 1)
    return ProposalsOut(
        items=[_out(each, []) for each in found[:limit]],
        next=found[limit - 1].proposal.id if len(found) > limit else None,
    )


@router.post("", status_code=201)
def api_propose(
    body: ProposalIn, db: Db, project: AnnotatorProject, person: CurrentPerson
) -> ProposalOut:
    """Propose a new pair or a change of texts; nothing changes in the criteria until an expert accepts."""
    return _one(db, project, _propose(db, project, body, person))


def _propose(db: Session, project: Project, body: ProposalIn, by: Person) -> CriteriaProposal:
    examples = proposing.Examples(tuple(body.examples.positive), tuple(body.examples.negative))
    if (body.pair is None) == (body.change is None):
        raise Invalid("Give either `pair` or `change`.", field="pair")
    if body.pair is not None:
        pair = body.pair
        return proposing.propose_pair(
            db,
            project,
            parent=pair.parent,
            relation=pair.relation,
            positive=Attribute(pair.positive_name, pair.positive_definition),
            negative=Attribute(pair.negative_name, pair.negative_definition),
            reason=body.reason,
            examples=examples,
            by=by,
        )
    assert body.change is not None
    return proposing.propose_change(
        db,
        project,
        body.change.node,
        based_on=body.change.based_on,
        texts=body.change.texts,
        reason=body.reason,
        examples=examples,
        by=by,
    )


@router.get("/{proposal_id}")
def api_get_proposal(proposal_id: int, db: Db, project: AnnotatorProject) -> ProposalOut:
    """One proposal with its examples."""
    return _one(db, project, reading.get_proposal(db, project, proposal_id))


@router.post("/{proposal_id}/accept")
def api_accept_proposal(
    proposal_id: int, body: AcceptIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> ProposalOut:
    """Make the change, or add the pair, as proposed or amended."""
    accepted = deciding.accept(
        db,
        project,
        proposal_id,
        by=person,
        texts=body.texts,
        based_on=body.based_on,
        answer=body.answer,
        names_moved=body.names_moved,
    )
    return _one(db, project, accepted)


@router.post("/{proposal_id}/decline")
def api_decline_proposal(
    proposal_id: int, body: DeclineIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> ProposalOut:
    """Decline, with the reason that the proposer will read."""
    declined = deciding.decline(db, project, proposal_id, by=person, answer=body.answer)
    return _one(db, project, declined)


@router.post("/{proposal_id}/withdraw")
def api_withdraw_proposal(
    proposal_id: int, db: Db, project: AnnotatorProject, person: CurrentPerson
) -> ProposalOut:
    """Take one's own proposal back."""
    return _one(db, project, proposing.withdraw(db, project, proposal_id, by=person))
