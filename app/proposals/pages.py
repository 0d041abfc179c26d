"""Proposals for the criteria: the list, making one, and the one that experts answer."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria import reading as criteria
from app.errors import Stale
from app.projects.access import AnnotatorProject, ExpertProject
from app.projects.models import Project
from app.proposals import deciding, proposing, reading
from app.proposals.forms import AcceptForm, ChangeProposalForm, DeclineForm, PairProposalForm
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from taxonomy.tree import Attribute

router = APIRouter(prefix="/projects/{project}/criteria/proposals", include_in_schema=False)
PAGE = 50


@router.get("")
def show_proposals(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    state: Literal["open", "accepted", "declined", "withdrawn"] | None = None,
    before: int | None = None,
) -> Response:
    """Proposals, newest first."""
    found = reading.find_proposals(db, project, state=state, before=before, limit=PAGE + 1)
    return answer.show(
        "proposals/list.html",
        found=found[:PAGE],
        state=state,
        next=found[PAGE - 1].proposal.id if len(found) > PAGE else None,
    )


# Proposing -------------------------------------------------------------------------------------


def _new(
    db: Session,
    answer: Answer,
    project: Project,
    node: str,
    kind: str,
    form: Form[Any],
    status: int = 200,
) -> Response:
    about = criteria.get_node(db, project, node)
    return answer.show(
        "proposals/new.html",
        status=status,
        node=about,
        title=criteria.title(about),
        kind="change" if about.kind == "pair" else kind,
        form=form,
    )


@router.get("/new")
def show_new_proposal(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    node: str,
    kind: Literal["pair", "change"] = "pair",
    image: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """A form for a new pair below a dimension, or for other texts of a node."""
    form: Form[Any] = Form({"positive_examples": str(image)} if image else {})
    return _new(db, answer, project, node, kind, form)


def _examples(values: PairProposalForm | ChangeProposalForm) -> proposing.Examples:
    return proposing.Examples(
        proposing.read_examples(values.positive_examples, "positive_examples"),
        proposing.read_examples(values.negative_examples, "negative_examples"),
    )


def _thanks(answer: Answer, project: Project, proposal_id: int) -> Response:
    return answer.go(answer.path("show_proposal", project=project.slug, proposal_id=proposal_id))


@router.post("/pairs")
def submit_pair_proposal(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    form: Annotated[Form[PairProposalForm], Depends(submitted(PairProposalForm))],
) -> Response:
    """Propose a new attribute pair."""
    if not form.errors:
        with form.attempt():
            values = form.values
            made = proposing.propose_pair(
                db,
                project,
                parent=values.parent,
                relation=values.relation,
                positive=Attribute(values.positive_name, values.positive_definition),
                negative=Attribute(values.negative_name, values.negative_definition),
                reason=values.reason,
                examples=_examples(values),
                by=person,
            )
            return _thanks(answer, project, made.id)
    return _new(db, answer, project, str(form.typed_or("parent")), "pair", form, 422)


@router.post("/changes")
def submit_change_proposal(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    form: Annotated[Form[ChangeProposalForm], Depends(submitted(ChangeProposalForm))],
) -> Response:
    """Propose other names or definitions."""
    if not form.errors:
        with form.attempt():
            values = form.values
            made = proposing.propose_change(
                db,
                project,
                values.node,
                based_on=values.based_on,
                texts=values.texts(),
                reason=values.reason,
                examples=_examples(values),
                by=person,
            )
            return _thanks(answer, project, made.id)
    return _new(db, answer, project, str(form.typed_or("node")), "change", form, 422)


# One proposal ----------------------------------------------------------------------------------


def _proposal(
    db: Session,
    answer: Answer,
    project: Project,
    proposal_id: int,
    form: Form[Any],
    status: int = 200,
) -> Response:
    shown = reading.show_one(db, project, proposal_id)
    fields = proposing.TEXTS["pair" if shown.proposal.kind == "pair" else shown.node.kind]
    return answer.show(
        "proposals/proposal.html",
        status=status,
        shown=shown,
        node_title=criteria.title(shown.node),
        fields=fields,
        examples=reading.find_examples(db, shown.proposal),
        form=form,
    )


@router.get("/{proposal_id}")
def show_proposal(
    proposal_id: int, db: Db, answer: Answering, project: AnnotatorProject, person: CurrentPerson
) -> Response:
    """What is proposed beside what stands, why, the examples and the answer."""
    deciding.note_answer_seen(db, reading.get_proposal(db, project, proposal_id), person)
    return _proposal(db, answer, project, proposal_id, Form())


def _attempted(form: Form[Any], do: Callable[[], None]) -> int | None:
    """Do it; the status to show the form again with where it failed."""
    status: int | None = 422
    if form.errors:
        return status
    with form.attempt():
        try:
            do()
            status = None
        except Stale:
            status = 412
            raise
    return status


@router.post("/{proposal_id}/accept")
def submit_acceptance(
    proposal_id: int,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[AcceptForm], Depends(submitted(AcceptForm))],
) -> Response:
    """Accept, as proposed or amended."""

    def accept() -> None:
        values = form.values
        relation = {"relation": str(values.relation)} if values.relation else {}
        deciding.accept(
            db,
            project,
            proposal_id,
            by=person,
            texts={**values.texts(), **relation},
            based_on=values.based_on,
            answer=values.answer,
            names_moved=values.names_moved,
        )

    status = _attempted(form, accept)
    if status is None:
        return _thanks(answer, project, proposal_id)
    return _proposal(db, answer, project, proposal_id, form, status)


@router.post("/{proposal_id}/decline")
def submit_refusal(
    proposal_id: int,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[DeclineForm], Depends(submitted(DeclineForm))],
) -> Response:
    """Decline, with a reason."""

    def decline() -> None:
        deciding.decline(db, project, proposal_id, by=person, answer=form.values.answer)

    status = _attempted(form, decline)
    if status is None:
        return _thanks(answer, project, proposal_id)
    return _proposal(db, answer, project, proposal_id, form, status)


@router.post("/{proposal_id}/withdraw")
def submit_proposal_withdrawal(
    proposal_id: int, db: Db, answer: Answering, project: AnnotatorProject, person: CurrentPerson
) -> Response:
    """Take one's own proposal back."""
    proposing.withdraw(db, project, proposal_id, by=person)
    return _thanks(answer, project, proposal_id)
