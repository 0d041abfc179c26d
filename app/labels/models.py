"""Labels as they stand, every event that made them so, and who did how much."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model

# What a publication does to all labels of an image at once (`Carrying`); one event tells of them.
CARRYING_KINDS = ("merge", "split", "redefine", "return")
# What a publication of the criteria does to labels; the event names its version and who published.
PUBLICATION_KINDS = ("follow", *CARRYING_KINDS)
EVENT_KINDS = (
    *("propose", "refresh", "import"),
    *("confirm", "reject", "doubt", "add", "withdraw", "undo", "done", "reopen", "state"),
    *PUBLICATION_KINDS,
)


# What a person does to many images at once, and taking it back.
BULK_KINDS = ("confirm", "reject", "doubt", "add", "done", "reopen", "undo")
STATES = ("proposed", "confirmed", "rejected", "unsure")


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{each}'" for each in words)


class Label(Model):
    """The statement "this attribute (pair + polarity) applies to this image", as it stands now.

    `unsure` is what a person looked at and could not decide: it is in no list, and waits for another person.

    `source` says who made the statement first and does not change when a person confirms it: an agent
    run, a person, or the publication of the criteria (`version_id`) that split or merged attributes. An
    agent's label keeps the measure, value and threshold it rests on; `evidence` is one sentence of what
    is seen where, or why a publication proposes it. `bulk_action_id` says that the decision was made on many images at
    once (`app.bulk`); whoever decides on this one alone takes it away.
    """

    __tablename__ = "label"
    __table_args__ = (
        UniqueConstraint("image_id", "node_id", "polarity"),
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint(f"state IN ({_listed(STATES)})", name="state"),
        CheckConstraint("source IN ('agent', 'person', 'criteria')", name="source"),
        CheckConstraint("(source = 'agent') = (agent_run_id IS NOT NULL)", name="agent_run"),
        CheckConstraint("char_length(evidence) BETWEEN 1 AND 600", name="evidence"),
        Index(
            "ix_label_unsure", "project_id", "image_id", postgresql_where=text("state = 'unsure'")
        ),
        # Each finds its images in the order of their ids, whatever else a filter asks.
        Index(None, "node_id", "polarity", "state", "image_id"),
        Index(None, "agent_run_id", "image_id"),
        Index(None, "decided_by", "image_id"),
        CheckConstraint("bulk_action_id IS NULL OR decided_by IS NOT NULL", name="in_bulk"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    polarity: Mapped[str]
    state: Mapped[str]
    source: Mapped[str]
    agent_run_id: Mapped[int | None] = mapped_column(ForeignKey("agent_run.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    measure: Mapped[str | None]
    value: Mapped[float | None]
    threshold: Mapped[float | None]
    confidence: Mapped[float | None]
    evidence: Mapped[str | None]
    revision: Mapped[int]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    bulk_action_id: Mapped[int | None] = mapped_column(ForeignKey("bulk_action.id"))


class Carrying(Model):
    """A change of the criteria that the publication of `version_id` carried out on labels, or took back (`return`).

    What it did on each image its events say. It says once for all of them what would be looked up for each.
    """

    __tablename__ = "carrying"
    __table_args__ = (
        CheckConstraint(f"kind IN ({_listed(CARRYING_KINDS)})", name="kind"),
        Index(None, "change_id", "version_id"),
    )

    id: Mapped[Key]
    change_id: Mapped[int] = mapped_column(ForeignKey("node_change.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str]


class LabelEvent(Model):
    """One thing that happened to one label, to an image's mark as done, which names no attribute, or to what
    is said of its style and content, which names a trait (`app.images.models.ImageTrait`).

    Append-only; the current state can be rebuilt from it. An agent run or a person made it; where labels
    followed a name (`follow`), that person published `version_id`. What came from a file names its import, and who
    decided it there, when. What was done to many images at once names its bulk action. Of all labels of an image that a publication carried over one event tells, and
    `carrying_id` says which publication that was: `places` lists node, polarity, before and after of each
    (`app.labels.unfolding` reads them one by one), and `stood` the labels of these places as they were, each
    the whole row, so that they can be set back exactly. It is the only thing that is ever taken out again: with an
    image that is erased. `sitting` is the piece of work of one person
    at one browser that the action belongs to.
    """

    __tablename__ = "label_event"
    __table_args__ = (
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint(
            "after IS NULL OR (node_id IS NULL AND trait_kind IS NULL AND after = 'done')"
            " OR (trait_kind IS NOT NULL AND after IN ('present', 'absent'))"
            f" OR (node_id IS NOT NULL AND after IN ({_listed(STATES)}))",
            name="after",
        ),
        CheckConstraint("(node_id IS NULL) = (polarity IS NULL)", name="attribute"),
        CheckConstraint("node_id IS NULL OR version_id IS NOT NULL", name="version"),
        CheckConstraint(
            f"(kind IN ({_listed(CARRYING_KINDS)})) = (carrying_id IS NOT NULL)"
            " AND (carrying_id IS NULL) = (places IS NULL) AND (carrying_id IS NULL OR"
            " num_nonnulls(node_id, before, after, version_id) = 0)"
            " AND (stood IS NULL OR carrying_id IS NOT NULL)",
            name="carried",
        ),
        CheckConstraint(f"kind IN ({_listed(EVENT_KINDS)})", name="kind"),
        CheckConstraint("num_nonnulls(agent_run_id, person_id, carrying_id) = 1", name="maker"),
        CheckConstraint(
            "agent_run_id IS NULL OR kind IN ('propose', 'refresh', 'import', 'reopen', 'state')",
            name="of_agent",
        ),
        CheckConstraint("kind <> 'refresh' OR agent_run_id IS NOT NULL", name="refresh"),
        CheckConstraint("(kind = 'import') = (import_id IS NOT NULL)", name="import"),
        CheckConstraint(
            f"bulk_action_id IS NULL OR (person_id IS NOT NULL AND kind IN ({_listed(BULK_KINDS)}))",
            name="bulk",
        ),
        CheckConstraint("kind <> 'follow' OR node_id IS NOT NULL", name="of_publication"),
        CheckConstraint(
            "(trait_kind IS NULL) = (trait_value IS NULL)"
            " AND (trait_kind IS NULL OR (node_id IS NULL AND kind IN ('state', 'undo')))"
            " AND (kind <> 'state' OR trait_kind IS NOT NULL)",
            name="trait",
        ),
        CheckConstraint("trait_kind IN ('style', 'content')", name="trait_kind"),
        Index(None, "image_id", "id"),
        Index(None, "carrying_id", postgresql_where=text("carrying_id IS NOT NULL")),
        Index(None, "person_id", "sitting", "id", postgresql_where=text("sitting IS NOT NULL")),
        # They are few among many.
        Index(
            "ix_label_event_blind",
            "image_id",
            postgresql_where=text("NOT suggestion_visible AND person_id IS NOT NULL"),
        ),
        Index(
            "uq_label_event_operation_id",
            "operation_id",
            unique=True,
            postgresql_where=text("operation_id IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    polarity: Mapped[str | None]
    trait_kind: Mapped[str | None]
    trait_value: Mapped[str | None]
    kind: Mapped[str]
    before: Mapped[str | None]
    after: Mapped[str | None]
    places: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    stood: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    image_revision: Mapped[int]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    agent_run_id: Mapped[int | None] = mapped_column(ForeignKey("agent_run.id"))
    version_id: Mapped[int | None] = mapped_column(ForeignKey("criteria_version.id"))
    import_id: Mapped[int | None] = mapped_column(ForeignKey("label_import.id"))
    bulk_action_id: Mapped[int | None] = mapped_column(ForeignKey("bulk_action.id"))
    operation_id: Mapped[UUID | None]
    sitting: Mapped[UUID | None]
    suggestion_visible: Mapped[bool] = mapped_column(server_default=text("true"))
    undoes_id: Mapped[int | None] = mapped_column(ForeignKey("label_event.id"))
    carrying_id: Mapped[int | None] = mapped_column(ForeignKey("carrying.id"))
    at: Mapped[Created]


class SuggestionShown(Model):
    """An image whose suggestions a person has seen: what they decide there is not blind any more."""

    __tablename__ = "suggestion_shown"
    __table_args__ = (UniqueConstraint("image_id", "person_id"),)

    id: Mapped[Key]
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    at: Mapped[Created]


class DayOfWork(Model):
    """How much a person did in a project on one day (UTC): decisions about labels and images marked as done,
    less what they took back. Kept in the transaction of each action.
    """

    __tablename__ = "day_of_work"
    __table_args__ = (
        CheckConstraint("decisions >= 0 AND images >= 0", name="counts"),
        Index(None, "project_id", "day", "person_id"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    decisions: Mapped[int] = mapped_column(server_default=text("0"))
    images: Mapped[int] = mapped_column(server_default=text("0"))


class LabelCount(Model):
    """How many labels of images in use there are of one kind: the sum of `num` over its rows.

    Triggers on `label`, `image`, `image_trait` and `pair_need` append what every statement changed, in
    its transaction, and fold the rows of a project now and then; nobody else writes here but
    `app.labels.recounting`. `lacking` labels do not apply to their images (`app.images.applicability`); those `in_bulk`
    were decided on many images at once, and no figure about an agent rests on them.
    """

    __tablename__ = "label_count"
    __table_args__ = (Index(None, "project_id", "node_id"),)

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(BigInteger)
    node_id: Mapped[int] = mapped_column(BigInteger)
    polarity: Mapped[str]
    state: Mapped[str]
    source: Mapped[str]
    lacking: Mapped[bool]
    in_bulk: Mapped[bool] = mapped_column(server_default=text("false"))
    num: Mapped[int] = mapped_column(BigInteger)


class AgentRunCount(Model):
    """How many labels of images in use name an agent run: the sum of `num` over the rows of a kind. Kept by the
    same triggers; apart from `LabelCount`, whose rows would else be as many times more as there are runs.
    """

    __tablename__ = "agent_run_count"
    __table_args__ = (Index(None, "agent_run_id"),)

    id: Mapped[Key]
    agent_run_id: Mapped[int] = mapped_column(BigInteger)
    node_id: Mapped[int] = mapped_column(BigInteger)
    polarity: Mapped[str]
    state: Mapped[str]
    num: Mapped[int] = mapped_column(BigInteger)


class ImageContradiction(Model):
    """How many contradictions there are among the labels of an image that stand and apply to it: as many as
    `taxonomy.contradictions` finds, by what `contradiction_side` says of the version in force. Every image has a
    row; triggers on `image`, `label`, `image_trait`, `pair_need` and `contradiction_side` keep it, and nobody else
    writes here but `app.labels.recounting` and, after a large publication, `app.labels.contradicting`.
    """

    __tablename__ = "image_contradiction"
    __table_args__ = (
        CheckConstraint("number >= 0", name="number"),
        # Finds the images with and those without any in the order of their ids.
        Index(None, "project_id", "is_contradictory", "image_id"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    image_id: Mapped[int] = mapped_column(
        ForeignKey("image.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(server_default=text("0"))
    # A column of its own: most changes leave it as it is, and then no index is touched.
    is_contradictory: Mapped[bool] = mapped_column(Computed("number > 0", persisted=True))


class ImageTally(Model):
    """How many labels that apply to it an image has: `proposed` ones, and those `of_agents` in any state.
    Kept by the same triggers; an image that never had one has no row.
    """

    __tablename__ = "image_tally"
    __table_args__ = (
        Index("ix_image_tally_asked", "project_id", "image_id", postgresql_where=text("is_asked")),
        Index(None, "project_id", "of_agents"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    image_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    project_id: Mapped[int] = mapped_column(BigInteger)
    proposed: Mapped[int]
    of_agents: Mapped[int]
    # A column of its own: most decisions leave it as it is, and then no index is touched.
    is_asked: Mapped[bool] = mapped_column(Computed("proposed > 0", persisted=True))
