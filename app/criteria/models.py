"""The working criteria of each project, every change to them, and the published versions."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model


class Criteria(Model):
    """The working criteria of one project. `revision` counts the changes made to them; `details` holds
    the content and the styles that nodes may name.
    """

    __tablename__ = "criteria"
    __table_args__ = (CheckConstraint("jsonb_typeof(details) = 'object'", name="details"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    name: Mapped[str]
    language: Mapped[str] = mapped_column(server_default="en")
    max_levels: Mapped[int] = mapped_column(server_default=text("5"))
    revision: Mapped[int] = mapped_column(server_default=text("0"))
    details: Mapped[Json] = mapped_column(server_default=text("'{}'"), default=dict)


class Node(Model):
    """A dimension or an attribute pair. Its id and its key are its identity and never change;
    its name, parent and place may change freely, and labels stay. `details` holds what it says beside
    names and definitions, as `taxonomy.formats.details` writes it.

    A removed node (one whose adding was undone, or that others took the place of) keeps its row, so
    that its key and id stay taken.
    """

    __tablename__ = "node"
    __table_args__ = (
        UniqueConstraint("project_id", "key"),
        UniqueConstraint("project_id", "id"),
        ForeignKeyConstraint(
            ["project_id", "parent_id"], ["node.project_id", "node.id"], name="fk_node_parent"
        ),
        CheckConstraint("kind IN ('dimension', 'pair')", name="kind"),
        CheckConstraint("parent_id <> id", name="parent"),
        CheckConstraint("kind = 'dimension' OR parent_id IS NOT NULL", name="pair_has_parent"),
        CheckConstraint(
            "(kind = 'dimension') = (name IS NOT NULL AND exclusive IS NOT NULL)",
            name="dimension_columns",
        ),
        CheckConstraint(
            "(kind = 'pair') = (relation IS NOT NULL AND positive_name IS NOT NULL"
            " AND negative_name IS NOT NULL AND positive_definition IS NOT NULL"
            " AND negative_definition IS NOT NULL)",
            name="pair_columns",
        ),
        CheckConstraint("jsonb_typeof(details) = 'object'", name="details"),
        CheckConstraint("relation IN ('opposed', 'flaw', 'graded')", name="relation"),
        Index(None, "project_id", "parent_id", "position"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("criteria.project_id"))
    key: Mapped[str]
    kind: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(BigInteger)
    position: Mapped[int]
    name: Mapped[str | None]
    definition: Mapped[str] = mapped_column(server_default="")
    exclusive: Mapped[bool | None]
    relation: Mapped[str | None]
    positive_name: Mapped[str | None]
    positive_definition: Mapped[str | None]
    negative_name: Mapped[str | None]
    negative_definition: Mapped[str | None]
    details: Mapped[Json] = mapped_column(server_default=text("'{}'"), default=dict)
    retired: Mapped[bool] = mapped_column(server_default=text("false"))
    removed: Mapped[bool] = mapped_column(server_default=text("false"))
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[Created]


class NodeChange(Model):
    """What one recorded change of the working criteria did to one node: who, when, what, before, after.
    Append-only.

    A change that concerns several nodes (a merge, a split) has one row for each under the same revision;
    the first, `part` 0, stands for the whole in lists. `undoes` is the revision of the change that this
    one took back.
    """

    __tablename__ = "node_change"
    __table_args__ = (
        UniqueConstraint("project_id", "revision", "part"),
        UniqueConstraint("project_id", "undoes", "part"),
        CheckConstraint("part >= 0", name="part"),
        CheckConstraint("part = 0 OR node_id IS NOT NULL", name="part_has_node"),
        Index(None, "node_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    revision: Mapped[int]
    part: Mapped[int] = mapped_column(server_default=text("0"))
    node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    kind: Mapped[str]
    before: Mapped[Json | None]
    after: Mapped[Json | None]
    undoes: Mapped[int | None]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    at: Mapped[Created]


class NodeSuccession(Model):
    """Which node took the place of one that left the tree, by which change; several rows for a split.

    It is here as long as the change stands. `return`: the change that once made the old node was taken
    back after a version had named it.
    """

    __tablename__ = "node_succession"
    __table_args__ = (
        PrimaryKeyConstraint("old_id", "new_id"),
        UniqueConstraint("old_id", "place"),
        ForeignKeyConstraint(
            ["project_id", "old_id"], ["node.project_id", "node.id"], name="fk_node_succession_old"
        ),
        ForeignKeyConstraint(
            ["project_id", "new_id"], ["node.project_id", "node.id"], name="fk_node_succession_new"
        ),
        CheckConstraint("old_id <> new_id", name="other"),
        CheckConstraint("place >= 0", name="place"),
        CheckConstraint("kind IN ('merge', 'split', 'redefine', 'return')", name="kind"),
        Index(None, "project_id"),
        Index(None, "change_id"),
    )

    project_id: Mapped[int] = mapped_column(BigInteger)
    old_id: Mapped[int] = mapped_column(BigInteger)
    new_id: Mapped[int] = mapped_column(BigInteger)
    place: Mapped[int]
    kind: Mapped[str]
    change_id: Mapped[int] = mapped_column(ForeignKey("node_change.id"))


class PairNeed(Model):
    """Content that an image must hold for a pair to apply, as the version in force says, with what is asked
    further up in the tree. Written with each version, so that statements can ask the database.
    """

    __tablename__ = "pair_need"

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True)
    content: Mapped[str] = mapped_column(primary_key=True)


class ContradictionSide(Model):
    """A side of a pair in a rule of what cannot hold together, as the version in force says
    (`taxonomy.contradictions.Rules.weights`): an image has a contradiction for each rule whose sides that stand
    weigh 2 or more. Written with each version, so that the database can count them.
    """

    __tablename__ = "contradiction_side"
    __table_args__ = (CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),)

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True)
    polarity: Mapped[str] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    weight: Mapped[int]


class CriteriaVersion(Model):
    """An immutable, numbered, hashed publication of the criteria."""

    __tablename__ = "criteria_version"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        CheckConstraint("number > 0", name="number"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("criteria.project_id"))
    number: Mapped[int]
    sha256: Mapped[str]
    content: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    working_revision: Mapped[int]
    published_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    published_at: Mapped[Created]
