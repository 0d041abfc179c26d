"""Discussions at nodes of the criteria, and the notes that they are made of."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model

LONGEST = 4000


class Discussion(Model):
    """One discussion at a node: a first note and its answers. It stays with its node, whatever becomes of that;
    it is no part of the criteria and counts in no revision of them.
    """

    __tablename__ = "discussion"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "node_id"], ["node.project_id", "node.id"], name="fk_discussion_node"
        ),
        CheckConstraint("(settled_at IS NULL) = (settled_by IS NULL)", name="settled"),
        Index(None, "node_id", "id"),
        Index(None, "project_id", "id"),
        Index(
            "ix_discussion_open",
            "project_id",
            "id",
            postgresql_where=sql("settled_at IS NULL"),
        ),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(BigInteger)
    node_id: Mapped[int] = mapped_column(BigInteger)
    started_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
    started_at: Mapped[Created]
    settled_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    settled_at: Mapped[datetime | None]


class Note(Model):
    """One note of a discussion, in the order of the ids. Where answers followed, one that was deleted stays
    as an empty place that says so.
    """

    __tablename__ = "note"
    __table_args__ = (
        CheckConstraint(
            f"char_length(text) <= {LONGEST} AND (text = '') = (deleted_at IS NOT NULL)",
            name="text",
        ),
        CheckConstraint("(deleted_at IS NULL) = (deleted_by IS NULL)", name="deleted"),
        CheckConstraint("(edited_at IS NULL) = (edited_by IS NULL)", name="edited"),
        CheckConstraint("revision > 0", name="revision"),
        Index(None, "discussion_id", "id"),
    )

    id: Mapped[Key]
    discussion_id: Mapped[int] = mapped_column(ForeignKey("discussion.id"))
    text: Mapped[str]
    revision: Mapped[int] = mapped_column(server_default=sql("1"))
    written_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
    written_at: Mapped[Created]
    edited_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    edited_at: Mapped[datetime | None]
    deleted_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    deleted_at: Mapped[datetime | None]
