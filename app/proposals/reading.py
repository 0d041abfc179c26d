"""Reads proposals, newest first, with who made and who answered them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from app.accounts.models import Person
from app.criteria.models import Node
from app.criteria.reading import title
from app.errors import NotFound
from app.images.inclusion import in_use
from app.images.models import Image
from app.projects.models import Project
from app.proposals.models import CriteriaProposal, ProposalExample

STATES = ("open", "accepted", "declined", "withdrawn")


@dataclass(frozen=True)
class Shown:
    """A proposal with the node that it is about, and the people."""

    proposal: CriteriaProposal
    node: Node
    proposer: str
    decider: str | None
    made: str | None
    """The key of the pair that came of it."""

    @property
    def title(self) -> str:
        """What it is about, in a line."""
        content = self.proposal.content
        if self.proposal.kind == "pair":
            return f"{content['positive_name']} / {content['negative_name']}"
        return title(self.node)


@dataclass(frozen=True)
class Waiting:
    """What somebody may want to look at: open proposals, and answers to their own not looked at yet."""

    open: int
    answered: int


def get_proposal(
    db: Session, project: Project, proposal_id: int, *, lock: bool = False
) -> CriteriaProposal:
    """A proposal of this project. Raises NotFound."""
    query = select(CriteriaProposal).where(
        CriteriaProposal.id == proposal_id, CriteriaProposal.project_id == project.id
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    proposal = db.scalar(query)
    if proposal is None:
        raise NotFound(f"There is no proposal {proposal_id} in this project.")
    return proposal


def find_proposals(
    db: Session,
    project: Project,
    *,
    state: str | None = None,
    proposal_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Sequence[Shown]:
    """Proposals, newest first, from below `before`; of one state, or one by id."""
    proposer, decider, made = aliased(Person), aliased(Person), aliased(Node)
    query = (
        select(CriteriaProposal, Node, proposer.name, decider.name, made.key)
        .join(Node, Node.id == CriteriaProposal.node_id)
        .join(proposer, proposer.id == CriteriaProposal.proposed_by)
        .outerjoin(decider, decider.id == CriteriaProposal.decided_by)
        .outerjoin(made, made.id == CriteriaProposal.made_node_id)
        .where(CriteriaProposal.project_id == project.id)
        .order_by(CriteriaProposal.id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(CriteriaProposal.state == state)
    if proposal_id is not None:
        query = query.where(CriteriaProposal.id == proposal_id)
    if before is not None:
        query = query.where(CriteriaProposal.id < before)
    return [Shown(*row) for row in db.execute(query)]


def show_one(db: Session, project: Project, proposal_id: int) -> Shown:
    """One proposal. Raises NotFound."""
    get_proposal(db, project, proposal_id)
    return find_proposals(db, project, proposal_id=proposal_id)[0]


def find_examples(db: Session, proposal: CriteriaProposal) -> Sequence[tuple[str, Image]]:
    """Polarity and image of its examples that are still in use."""
    rows = db.execute(
        select(ProposalExample.polarity, Image)
        .join(Image, Image.id == ProposalExample.image_id)
        .where(ProposalExample.proposal_id == proposal.id, in_use())
        .order_by(ProposalExample.polarity.desc(), Image.id)
    )
    return [(polarity, image) for polarity, image in rows]


def count_waiting(db: Session, project: Project, person: Person) -> Waiting:
    """How many proposals are open, and how many of this person's were answered and not looked at; one query."""
    mine = CriteriaProposal.proposed_by == person.id
    answered = CriteriaProposal.state.in_(("accepted", "declined"))
    row = db.execute(
        select(
            func.count().filter(CriteriaProposal.state == "open"),
            func.count().filter(mine, answered, CriteriaProposal.answer_seen_at.is_(None)),
        ).where(CriteriaProposal.project_id == project.id)
    ).one()
    return Waiting(*row)
