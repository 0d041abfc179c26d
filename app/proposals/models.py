"""Proposals for the criteria: a new attribute pair or other texts of a node, with examples, and the answer."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model


class CriteriaProposal(Model):
    """One wish for the criteria. For a new pair `node_id` is the dimension it goes under, and `made_node_id` the
    pair that came of it; for a change it is the node, at the revision that the proposer saw.

    `content` holds the texts by the names of the node's columns; `answer` is what the proposer is told, and
    `answer_seen_at` when they looked at it.
    """

    __tablename__ = "criteria_proposal"
    __table_args__ = (
        CheckConstraint("kind IN ('pair', 'change')", name="kind"),
        CheckConstraint("state IN ('open', 'accepted', 'declined', 'withdrawn')", name="state"),
        CheckConstraint("jsonb_typeof(content) = 'object'", name="content"),
        CheckConstraint("char_length(reason) BETWEEN 1 AND 2000", name="reason"),
        CheckConstraint("char_length(answer) <= 2000", name="answer"),
        CheckConstraint("(kind = 'change') = (based_on IS NOT NULL)", name="based_on"),
        CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="decided_at"),
        CheckConstraint("(state = 'open') = (decided_by IS NULL)", name="decided_by"),
        CheckConstraint("state <> 'declined' OR answer <> ''", name="declined"),
        CheckConstraint(
            "(kind = 'pair' AND state = 'accepted') = (made_node_id IS NOT NULL)", name="made_node"
        ),
        CheckConstraint(
            "answer_seen_at IS NULL OR state IN ('accepted', 'declined')", name="answer_seen_at"
        ),
        Index(None, "project_id", "state", "id"),
        Index(None, "proposed_by", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    kind: Mapped[str]
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    based_on: Mapped[int | None]
    content: Mapped[Json]
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="open")
    proposed_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
    proposed_at: Mapped[Created]
    answer: Mapped[str] = mapped_column(server_default="")
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    made_node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    answer_seen_at: Mapped[datetime | None]


class ProposalExample(Model):
    """An image that shows one side of what is proposed."""

    __tablename__ = "criteria_proposal_example"
    __table_args__ = (
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        Index(None, "image_id"),
    )

    proposal_id: Mapped[int] = mapped_column(
        ForeignKey("criteria_proposal.id", ondelete="CASCADE"), primary_key=True
    )
    image_id: Mapped[int] = mapped_column(
        ForeignKey("image.id", ondelete="CASCADE"), primary_key=True
    )
    polarity: Mapped[str]
