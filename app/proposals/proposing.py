"""Proposing something for the criteria, and taking it back. Any member may; nothing changes in the criteria."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria import editing
from app.criteria.reading import get_node
from app.database import only_tried
from app.errors import Conflict, Invalid, NotAllowed
from app.images.inclusion import in_use
from app.images.models import Image
from app.projects.models import Project
from app.proposals.models import CriteriaProposal, ProposalExample
from app.proposals.reading import get_proposal
from method.saved_texts import several_lines
from taxonomy.tree import POLARITIES, Attribute, Polarity

MOST_EXAMPLES = 12
LONGEST = 2000
TEXTS = {
    "pair": ("positive_name", "positive_definition", "negative_name", "negative_definition"),
    "dimension": ("name", "definition"),
}


@dataclass(frozen=True)
class Examples:
    """Images, by id, that show the positive and the negative side (of a dimension: what is meant by it)."""

    positive: tuple[int, ...] = ()
    negative: tuple[int, ...] = ()

    def of(self, polarity: Polarity) -> tuple[int, ...]:
        """Those of one side."""
        return self.positive if polarity == "positive" else self.negative


def read_examples(text: str, field: str) -> tuple[int, ...]:
    """The images in a text of their numbers, or of the addresses of their pages. Raises Invalid."""
    found = []
    for word in re.split(r"[\s,;]+", text.strip()):
        if not word:
            continue
        number = re.search(r"(?:^#?|/images/)(\d{1,18})(?:[/?#].*)?$", word)
        if number is None:
            raise Invalid(
                f"“{word}” is no image.",
                field=field,
                hint="Give the numbers of images, or paste the addresses of their pages.",
            )
        found.append(int(number.group(1)))
    return tuple(dict.fromkeys(found))


def propose_pair(
    db: Session,
    project: Project,
    *,
    parent: str,
    relation: str,
    positive: Attribute,
    negative: Attribute,
    reason: str,
    examples: Examples,
    by: Person,
) -> CriteriaProposal:
    """Propose a new attribute pair below a dimension.

    Raises what adding it would raise now (Invalid by field, NotFound, Conflict), and Invalid for examples
    that are no images in use here.
    """
    with only_tried(db):
        editing.add_pair(
            db,
            project,
            parent=parent,
            relation=relation,
            positive=positive,
            negative=negative,
            by=by,
        )
    content = {
        "relation": relation,
        "positive_name": positive.name,
        "positive_definition": positive.definition,
        "negative_name": negative.name,
        "negative_definition": negative.definition,
    }
    proposal = CriteriaProposal(
        project_id=project.id,
        kind="pair",
        node_id=get_node(db, project, parent).id,
        content=content,
        reason=_said(reason, "reason", needed=True),
        proposed_by=by.id,
    )
    return _keep(db, project, proposal, examples)


def propose_change(
    db: Session,
    project: Project,
    key: str,
    *,
    based_on: int,
    texts: Mapping[str, str],
    reason: str,
    examples: Examples,
    by: Person,
) -> CriteriaProposal:
    """Propose other names or definitions for a node; only what differs is kept.

    Raises what making the change would raise now (Stale, too), and Invalid where nothing differs.
    """
    node = get_node(db, project, key)
    refuse_unknown(texts, TEXTS[node.kind])
    with only_tried(db):
        editing.revise(db, project, key, based_on=based_on, by=by, texts=texts)
    written = {field: several_lines(text) for field, text in texts.items()}
    content = {
        field: text for field, text in written.items() if text != (getattr(node, field) or "")
    }
    if not content:
        raise Invalid("Nothing is different.", field="texts", hint="Change a name or a definition.")
    proposal = CriteriaProposal(
        project_id=project.id,
        kind="change",
        node_id=node.id,
        based_on=based_on,
        content=content,
        reason=_said(reason, "reason", needed=True),
        proposed_by=by.id,
    )
    return _keep(db, project, proposal, examples)


def withdraw(db: Session, project: Project, proposal_id: int, *, by: Person) -> CriteriaProposal:
    """Take one's own proposal back. Raises NotFound, NotAllowed, or Conflict where it has been decided."""
    proposal = get_open(db, project, proposal_id)
    if proposal.proposed_by != by.id:
        raise NotAllowed("This proposal is someone else's.", hint="Experts can decline it.")
    decide(proposal, "withdrawn", by=by)
    return proposal


def get_open(db: Session, project: Project, proposal_id: int) -> CriteriaProposal:
    """A proposal under lock that nobody has decided about. Raises NotFound or Conflict."""
    proposal = get_proposal(db, project, proposal_id, lock=True)
    if proposal.state != "open":
        raise Conflict(
            f"This proposal has been {proposal.state} already.",
            hint="Load the page again to see how.",
        )
    return proposal


def decide(proposal: CriteriaProposal, state: str, *, by: Person, answer: str = "") -> None:
    """Give an open proposal its end."""
    proposal.state, proposal.answer = state, answer
    proposal.decided_by, proposal.decided_at = by.id, datetime.now(UTC)


def refuse_unknown(texts: Mapping[str, str], known: Iterable[str]) -> None:
    """Raise Invalid where a text is of no field that can be changed."""
    known = tuple(known)
    for field in texts:
        if field not in known:
            raise Invalid(
                f"“{field}” cannot be changed here.",
                field=field,
                hint=f"There is {', '.join(known)}.",
            )


def _said(text: str, field: str, *, needed: bool = False) -> str:
    said = several_lines(text)
    if needed and not said:
        raise Invalid("Please say why.", field=field)
    if len(said) > LONGEST:
        raise Invalid(f"This is longer than {LONGEST:,} letters.", field=field)
    return said


def _keep(
    db: Session, project: Project, proposal: CriteriaProposal, examples: Examples
) -> CriteriaProposal:
    wanted = [*examples.positive, *examples.negative]
    _refuse_examples(db, project, wanted, set(examples.positive) & set(examples.negative))
    db.add(proposal)
    db.flush()
    db.add_all(
        ProposalExample(proposal_id=proposal.id, image_id=each, polarity=polarity)
        for polarity in POLARITIES
        for each in dict.fromkeys(examples.of(polarity))
    )
    db.flush()
    return proposal


def _refuse_examples(
    db: Session, project: Project, wanted: list[int], twice: Iterable[int]
) -> None:
    if len(wanted) > MOST_EXAMPLES:
        raise Invalid(f"At most {MOST_EXAMPLES} images can be given.", field="positive_examples")
    for each in twice:
        raise Invalid(f"Image {each} is given for both sides.", field="negative_examples")
    known = set(
        db.scalars(
            select(Image.id).where(Image.project_id == project.id, Image.id.in_(wanted), in_use())
        )
    )
    for each in wanted:
        if each not in known:
            raise Invalid(
                f"There is no image {each} in use in this project.", field="positive_examples"
            )
