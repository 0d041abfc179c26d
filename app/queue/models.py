"""Images that wait for correction with what orders them, who was given which, and who is at which."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model

STRATEGIES = ("id", "random", "least_certain", "contradictory", "agent_wrong")


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{each}'" for each in words)


class WaitingImage(Model):
    """An image in use that is not done, or has something new since. A trigger on `image` puts rows in and
    takes them out, whoever writes there.

    What orders the queue is kept here, the smallest first: `chance` is a random number that follows from the
    image's and the project's id; `sureness` the mean confidence of what agents propose, 1 where nothing is
    proposed; `harmony` minus the number of contradictions; `trust` minus the number of proposals that are
    expected to be wrong (`app.queue.ordering`). `place` is the place in the assignment that it was given with.
    """

    __tablename__ = "waiting_image"
    __table_args__ = (
        CheckConstraint("(assignment_id IS NULL) = (place IS NULL)", name="place"),
        CheckConstraint("sureness BETWEEN 0 AND 1", name="sureness"),
        CheckConstraint("harmony <= 0 AND trust <= 0", name="harmony_and_trust"),
        Index(None, "assignment_id", "place", postgresql_where=text("assignment_id IS NOT NULL")),
        *(
            Index(
                f"ix_waiting_image_{name}",
                "project_id",
                *columns,
                "image_id",
                postgresql_where=text("assignment_id IS NULL"),
            )
            for name, columns in (
                ("id", ()),
                ("random", ("chance",)),
                ("least_certain", ("sureness",)),
                ("contradictory", ("harmony",)),
                ("agent_wrong", ("trust",)),
            )
        ),
    )

    image_id: Mapped[int] = mapped_column(
        ForeignKey("image.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    chance: Mapped[int] = mapped_column(BigInteger)
    sureness: Mapped[float] = mapped_column(server_default=text("1"))
    harmony: Mapped[int] = mapped_column(server_default=text("0"))
    trust: Mapped[float] = mapped_column(server_default=text("0"))
    assignment_id: Mapped[int | None] = mapped_column(ForeignKey("assignment.id"))
    place: Mapped[int | None]


class Assignment(Model):
    """Images that a lead gave to one person at once: those of a filter (`show`, `words`) that waited, in the
    order of a strategy. What of them still waits are the rows of `waiting_image` that name it.
    """

    __tablename__ = "assignment"
    __table_args__ = (
        CheckConstraint(f"strategy IN ({_listed(STRATEGIES)})", name="strategy"),
        CheckConstraint("num_images > 0", name="num_images"),
        CheckConstraint(
            "(taken_back_at IS NULL) = (taken_back_by IS NULL)"
            " AND (taken_back_at IS NULL) = (num_taken_back IS NULL)",
            name="taken_back",
        ),
        Index(None, "project_id", "id"),
        Index(None, "person_id", "project_id", postgresql_where=text("taken_back_at IS NULL")),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    show: Mapped[str]
    words: Mapped[str]
    strategy: Mapped[str]
    num_images: Mapped[int]
    given_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
    given_at: Mapped[Created]
    taken_back_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    taken_back_at: Mapped[datetime | None]
    num_taken_back: Mapped[int | None]


class QueueOrder(Model):
    """In which order a project's queue is handed out; without a row by id. `measured_at` is when all that
    waits was last measured for it.
    """

    __tablename__ = "queue_order"
    __table_args__ = (CheckConstraint(f"strategy IN ({_listed(STRATEGIES)})", name="strategy"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    strategy: Mapped[str]
    changed_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    changed_at: Mapped[datetime | None]
    measured_at: Mapped[datetime | None]


class AgentRecord(Model):
    """What people made of an attribute where agents had proposed it, when that was last counted. It orders
    the queue and is no accuracy: people decided with the proposal in view.
    """

    __tablename__ = "agent_record"
    __table_args__ = (CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),)

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True)
    polarity: Mapped[str] = mapped_column(primary_key=True)
    confirmed: Mapped[int]
    rejected: Mapped[int]


class ImageLease(Model):
    """An image that a person is at, and until when nobody else is handed it."""

    __tablename__ = "image_lease"
    __table_args__ = (Index(None, "person_id"),)

    id: Mapped[Key]
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"), unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    until: Mapped[datetime]
