"""What experts answer: a proposal is accepted as it is or amended, or declined with a reason."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node
from app.errors import Invalid
from app.projects.models import Project
from app.proposals.models import CriteriaProposal
from app.proposals.proposing import LONGEST, TEXTS, decide, get_open, refuse_unknown
from app.versions import editing
from app.versions.moving import Choice
from method.saved_texts import several_lines
from taxonomy.tree import Attribute


def accept(
    db: Session,
    project: Project,
    proposal_id: int,
    *,
    by: Person,
    texts: Mapping[str, str],
    based_on: int | None = None,
    answer: str = "",
    names_moved: Choice | None = None,
) -> CriteriaProposal:
    """Make the change, or add the pair, with the proposed texts as `texts` amends them.

    A change is `based_on` the node's revision that the expert saw. Raises what the edit itself raises, and
    NotFound or Conflict for a proposal that is not open.
    """
    proposal = get_open(db, project, proposal_id)
    answer = _answer(answer)
    node = db.get_one(Node, proposal.node_id)
    known = (*TEXTS["pair"], "relation") if proposal.kind == "pair" else TEXTS[node.kind]
    refuse_unknown(texts, known)
    content = {**proposal.content, **texts}
    if proposal.kind == "change":
        if based_on is None:
            raise Invalid("Say which revision of the node this is based on.", field="based_on")
        editing.revise(
            db, project, node.key, based_on=based_on, by=by, texts=content, names_moved=names_moved
        )
    else:
        made = editing.add_pair(
            db,
            project,
            parent=node.key,
            relation=content["relation"],
            positive=Attribute(content["positive_name"], content["positive_definition"]),
            negative=Attribute(content["negative_name"], content["negative_definition"]),
            by=by,
            names_moved=names_moved,
        )
        proposal.made_node_id = made.id
    decide(proposal, "accepted", by=by, answer=answer)
    db.flush()
    return proposal


def decline(
    db: Session, project: Project, proposal_id: int, *, by: Person, answer: str
) -> CriteriaProposal:
    """Decline, with the reason that the proposer will read. Raises Invalid without one."""
    proposal = get_open(db, project, proposal_id)
    said = _answer(answer)
    if not said:
        raise Invalid("Say why, for the one who proposed it.", field="answer")
    decide(proposal, "declined", by=by, answer=said)
    db.flush()
    return proposal


def note_answer_seen(db: Session, proposal: CriteriaProposal, person: Person) -> None:
    """Note that the proposer has looked at the answer."""
    db.execute(
        update(CriteriaProposal)
        .where(
            CriteriaProposal.id == proposal.id,
            CriteriaProposal.proposed_by == person.id,
            CriteriaProposal.state.in_(("accepted", "declined")),
            CriteriaProposal.answer_seen_at.is_(None),
        )
        .values(answer_seen_at=datetime.now(UTC))
    )


def _answer(text: str) -> str:
    said = several_lines(text)
    if len(said) > LONGEST:
        raise Invalid(f"This is longer than {LONGEST:,} letters.", field="answer")
    return said
