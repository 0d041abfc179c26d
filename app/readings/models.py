"""What is read a second time, what the second reader answered, and what was decided where both differ."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model

ANSWERS = ("confirmed", "rejected", "unsure")
_STATES = ", ".join(f"'{each}'" for each in ANSWERS)


class SecondReading(Model):
    """A share of a filter's finished images that another person is to read, blind. The seed decides which
    images, in which order, and which attributes nobody set are asked for besides (decoys).
    """

    __tablename__ = "second_reading"
    __table_args__ = (
        CheckConstraint("percent > 0 AND percent <= 100", name="percent"),
        CheckConstraint("decoy_percent BETWEEN 0 AND 50", name="decoy_percent"),
        CheckConstraint("num_images > 0", name="num_images"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    show: Mapped[str]
    words: Mapped[str]
    percent: Mapped[float]
    seed: Mapped[int]
    decoy_percent: Mapped[int]
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    num_images: Mapped[int]
    asked_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
    asked_at: Mapped[Created]
    ended_at: Mapped[datetime | None]


class ReadImage(Model):
    """One image of a second reading. `first_by` marked it as done; the reader is somebody else, whose it is
    from the first answer on, and until `held_until` before that.
    """

    __tablename__ = "read_image"
    __table_args__ = (
        UniqueConstraint("reading_id", "image_id"),
        CheckConstraint("reader_id <> first_by", name="other_reader"),
        CheckConstraint("read_at IS NULL OR reader_id IS NOT NULL", name="reader"),
        CheckConstraint("settled_at IS NULL OR read_at IS NOT NULL", name="settled"),
        CheckConstraint("settler_id NOT IN (first_by, reader_id)", name="settler"),
        Index(None, "reading_id", "place", postgresql_where=text("read_at IS NULL")),
        Index(
            "ix_read_image_unsettled",
            "reading_id",
            "place",
            postgresql_where=text("read_at IS NOT NULL AND settled_at IS NULL"),
        ),
        Index(None, "image_id"),
    )

    id: Mapped[Key]
    reading_id: Mapped[int] = mapped_column(ForeignKey("second_reading.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    place: Mapped[int]
    first_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
    reader_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    held_until: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    settler_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    settler_until: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class ReadQuestion(Model):
    """An attribute that the second reader is asked about: one that the first reading decided, with what it
    decided (`first`), or one that nobody set (a decoy, `first` is null). `is_agents` tells what an agent proposed.
    """

    __tablename__ = "read_question"
    __table_args__ = (
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint(f"first IN ({_STATES})", name="first"),
        CheckConstraint("NOT is_agents OR first IS NOT NULL", name="is_agents"),
    )

    read_image_id: Mapped[int] = mapped_column(ForeignKey("read_image.id"), primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True)
    polarity: Mapped[str] = mapped_column(primary_key=True)
    first: Mapped[str | None]
    is_agents: Mapped[bool]


class ReadAnswer(Model):
    """What the second reader said of an attribute, each time they said something; null takes it back. The
    last one counts; append-only. `is_blind` is false where suggestions of the image had been shown to them by then.
    """

    __tablename__ = "read_answer"
    __table_args__ = (
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint(f"answer IN ({_STATES})", name="answer"),
        Index(None, "read_image_id", "node_id", "polarity", "id"),
    )

    id: Mapped[Key]
    read_image_id: Mapped[int] = mapped_column(ForeignKey("read_image.id"))
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    polarity: Mapped[str]
    answer: Mapped[str | None]
    is_blind: Mapped[bool]
    operation_id: Mapped[UUID] = mapped_column(unique=True)
    at: Mapped[Created]


class Settlement(Model):
    """What somebody who gave neither reading decided where both differ. `event_id` is what it did to the label;
    null where there was none to change.
    """

    __tablename__ = "settlement"
    __table_args__ = (
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint(f"decision IN ({_STATES})", name="decision"),
    )

    read_image_id: Mapped[int] = mapped_column(ForeignKey("read_image.id"), primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True)
    polarity: Mapped[str] = mapped_column(primary_key=True)
    decision: Mapped[str]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    event_id: Mapped[int | None] = mapped_column(ForeignKey("label_event.id"))
    operation_id: Mapped[UUID] = mapped_column(unique=True)
    at: Mapped[Created]
