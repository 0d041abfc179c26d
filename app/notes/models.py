"""Discussions at nodes of the criteria, on images and their labels; the notes they are made of, and whom these name."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model

LONGEST = 4000


class Discussion(Model):
    """One discussion: a first note and its answers. It is about a node, about an image, or about a label of an image,
    which is named by node and side and need not stand any more. One about a node stays with it, whatever becomes of
    that; it is no part of the criteria and counts in no revision of them.
    """

    __tablename__ = "discussion"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "node_id"], ["node.project_id", "node.id"], name="fk_discussion_node"
        ),
        CheckConstraint("(settled_at IS NULL) = (settled_by IS NULL)", name="settled"),
        CheckConstraint(
            "num_nonnulls(node_id, image_id) > 0"
            " AND (polarity IS NOT NULL) = (node_id IS NOT NULL AND image_id IS NOT NULL)",
            name="about",
        ),
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        Index(
            "ix_discussion_image", "image_id", "id", postgresql_where=sql("image_id IS NOT NULL")
        ),
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
    node_id: Mapped[int | None] = mapped_column(BigInteger)
    image_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"))
    polarity: Mapped[str | None]
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


class Mention(Model):
    """A member whom a note names, and when they read it."""

    __tablename__ = "mention"
    __table_args__ = (
        Index(None, "person_id", "project_id", "note_id"),
        Index(
            "ix_mention_unread",
            "person_id",
            "project_id",
            postgresql_where=sql("read_at IS NULL"),
        ),
    )

    note_id: Mapped[int] = mapped_column(
        ForeignKey("note.id", ondelete="CASCADE"), primary_key=True
    )
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    read_at: Mapped[datetime | None]
