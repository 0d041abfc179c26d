"""Bulk actions, and what each comes to on every image that it was asked for."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model

OF_LABELS = ("confirm", "add", "reject", "doubt")
OF_MARKS = ("done", "reopen")
KINDS = (*OF_LABELS, *OF_MARKS, "assign")
EFFECTS = ("change", "same", "kept", "none")
OUTCOMES = ("taken", "passed", "undone", "stays")
LONGEST_QUERY = 2_000


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{each}'" for each in words)


class BulkAction(Model):
    """One thing to do to many images: those that `query` finds, which is that of the wall's address, or those
    that were `chosen`.

    `found` is what looking at it came to, `taken` what was done and `undone` what was taken back: numbers, null
    before. `version_id` is the version of the criteria that was in force at the look; null before the first one.
    Unless `replace`, decisions of people stay. `job_id` is the latest job that works on it, null where none was needed.
    """

    __tablename__ = "bulk_action"
    __table_args__ = (
        CheckConstraint(f"kind IN ({_listed(KINDS)})", name="kind"),
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint(
            f"(kind IN ({_listed(OF_LABELS)})) = (node_id IS NOT NULL)"
            " AND (node_id IS NULL) = (polarity IS NULL)"
            " AND (node_id IS NULL OR version_id IS NOT NULL)",
            name="attribute",
        ),
        CheckConstraint("(kind = 'assign') = (assignee_id IS NOT NULL)", name="assignee"),
        CheckConstraint("assignment_id IS NULL OR kind = 'assign'", name="assignment"),
        CheckConstraint(f"char_length(query) <= {LONGEST_QUERY}", name="query"),
        CheckConstraint("query = '' OR chosen IS NULL", name="query_or_chosen"),
        CheckConstraint("(taken IS NULL) = (taken_at IS NULL)", name="taken"),
        CheckConstraint("taken IS NULL OR found IS NOT NULL", name="looked_at"),
        CheckConstraint(
            "(undone IS NULL) = (undone_at IS NULL) AND (undone IS NULL OR undone_by IS NOT NULL)",
            name="undone",
        ),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    kind: Mapped[str]
    node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    polarity: Mapped[str | None]
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    assignment_id: Mapped[int | None] = mapped_column(ForeignKey("assignment.id"))
    query: Mapped[str]
    chosen: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    replace: Mapped[bool]
    version_id: Mapped[int | None] = mapped_column(ForeignKey("criteria_version.id"))
    found: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    taken: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    taken_at: Mapped[datetime | None]
    undone: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class BulkImage(Model):
    """An image that a bulk action was asked for, as it was when it was looked at.

    `effect` is what the action would do: `change` it; nothing, as it says the `same` already; nothing, as what
    stands is `kept`; or it has nothing of the kind (`none`). `before` is the state of the label then, `revision` the
    image's label revision, `contradictions` how many there would be that were not there.

    `outcome` is null until something is done: `taken`, or `passed` as it had changed since the look; later `undone`,
    or it `stays` as it had changed since it was taken. `stood` is what stood before, to set it back exactly; null
    where there was no label.
    """

    __tablename__ = "bulk_image"
    __table_args__ = (
        CheckConstraint(f"effect IN ({_listed(EFFECTS)})", name="effect"),
        CheckConstraint(f"outcome IN ({_listed(OUTCOMES)})", name="outcome"),
        CheckConstraint("outcome IS NULL OR effect = 'change'", name="changed"),
        CheckConstraint("contradictions >= 0", name="contradictions"),
        Index(None, "bulk_action_id", "effect", "image_id"),
    )

    bulk_action_id: Mapped[int] = mapped_column(ForeignKey("bulk_action.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    effect: Mapped[str]
    before: Mapped[str | None]
    revision: Mapped[int]
    contradictions: Mapped[int]
    outcome: Mapped[str | None]
    stood: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
