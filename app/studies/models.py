"""User studies: images that models made from the same prompts, compared pair by pair."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model

ANSWERS = ("first", "second", "tie")
STATES = ("draft", "open", "closed")


class Study(Model):
    """One study: what is asked, of how many prompts. While it is a draft its images can change; the pairs are drawn
    when it is opened, and stay. With `judges` each pair is judged by that many participants, of whom each is asked
    about `prompts_each` prompts; without, everyone is asked about all.
    """

    __tablename__ = "study"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="state"),
        CheckConstraint("seed >= 0 AND prompts > 0", name="drawing"),
        CheckConstraint("identical_percent BETWEEN 0 AND 50", name="identical_percent"),
        CheckConstraint("repeated_percent BETWEEN 0 AND 50", name="repeated_percent"),
        # Of two identical images only a tie is right.
        CheckConstraint("has_ties OR identical_percent = 0", name="identical_pairs_need_ties"),
        CheckConstraint(
            "(judges IS NULL) = (prompts_each IS NULL) AND judges > 0 AND prompts_each BETWEEN 1 AND prompts",
            name="judges",
        ),
        CheckConstraint("(state = 'draft') = (opened_at IS NULL)", name="opened"),
        CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="draft")
    seed: Mapped[int] = mapped_column(BigInteger)
    prompts: Mapped[int]
    has_ties: Mapped[bool] = mapped_column(server_default=text("true"))
    identical_percent: Mapped[int] = mapped_column(server_default=text("0"))
    repeated_percent: Mapped[int] = mapped_column(server_default=text("0"))
    judges: Mapped[int | None]
    prompts_each: Mapped[int | None]
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]
    opened_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class StudyDimension(Model):
    """A root dimension that the study asks about, by its key in the criteria version."""

    __tablename__ = "study_dimension"

    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), primary_key=True)
    root_key: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]


class StudyModel(Model):
    """A model whose images are compared with those of the others in its group. Participants never see either name."""

    __tablename__ = "study_model"
    __table_args__ = (
        UniqueConstraint("study_id", "group_name", "name"),
        UniqueConstraint("study_id", "id"),
        CheckConstraint("name <> '' AND group_name <> ''", name="names"),
    )

    id: Mapped[Key]
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    group_name: Mapped[str]
    name: Mapped[str]
    origin: Mapped[str]


class StudyImage(Model):
    """What a model made of a prompt; the file lies in the image storage under its hash."""

    __tablename__ = "study_image"
    __table_args__ = (
        UniqueConstraint("model_id", "prompt_sha256"),
        UniqueConstraint("study_id", "id"),
        ForeignKeyConstraint(["study_id", "model_id"], ["study_model.study_id", "study_model.id"]),
        CheckConstraint("width > 0 AND height > 0", name="size"),
        Index(None, "sha256"),
    )

    id: Mapped[Key]
    study_id: Mapped[int] = mapped_column(BigInteger)
    model_id: Mapped[int] = mapped_column(BigInteger)
    prompt: Mapped[str]
    prompt_sha256: Mapped[str]
    sha256: Mapped[str]
    format: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]


class StudyPair(Model):
    """Two images that participants compare: a pair that counts, the same image twice, or an earlier pair once more."""

    __tablename__ = "study_pair"
    __table_args__ = (
        UniqueConstraint("study_id", "id"),
        UniqueConstraint("study_id", "kind", "first_image_id", "second_image_id"),
        CheckConstraint("kind IN ('pair', 'identical', 'repeated')", name="kind"),
        CheckConstraint(
            "(kind = 'identical') = (first_image_id = second_image_id)", name="identical"
        ),
        CheckConstraint("(kind = 'repeated') = (repeats_id IS NOT NULL)", name="repeated"),
        ForeignKeyConstraint(
            ["study_id", "first_image_id"], ["study_image.study_id", "study_image.id"]
        ),
        ForeignKeyConstraint(
            ["study_id", "second_image_id"], ["study_image.study_id", "study_image.id"]
        ),
        ForeignKeyConstraint(["study_id", "repeats_id"], ["study_pair.study_id", "study_pair.id"]),
    )

    id: Mapped[Key]
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    kind: Mapped[str]
    first_image_id: Mapped[int] = mapped_column(BigInteger)
    second_image_id: Mapped[int] = mapped_column(BigInteger)
    repeats_id: Mapped[int | None] = mapped_column(BigInteger)


class StudyShare(Model):
    """A pair that a participant is asked about, where not everyone is asked about all."""

    __tablename__ = "study_share"
    __table_args__ = (
        ForeignKeyConstraint(
            ["study_id", "participant_id"], ["participant.study_id", "participant.id"]
        ),
        ForeignKeyConstraint(["study_id", "pair_id"], ["study_pair.study_id", "study_pair.id"]),
        Index(None, "study_id", "pair_id"),
    )

    participant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    pair_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    study_id: Mapped[int] = mapped_column(BigInteger)


class StudyPractice(Model):
    """Two images of a prompt that was not drawn, on which participants practise; each stands where it says."""

    __tablename__ = "study_practice"
    __table_args__ = (
        UniqueConstraint("study_id", "id"),
        UniqueConstraint("study_id", "position"),
        CheckConstraint("position > 0", name="position"),
        CheckConstraint("left_image_id <> right_image_id", name="sides"),
        ForeignKeyConstraint(
            ["study_id", "left_image_id"], ["study_image.study_id", "study_image.id"]
        ),
        ForeignKeyConstraint(
            ["study_id", "right_image_id"], ["study_image.study_id", "study_image.id"]
        ),
    )

    id: Mapped[Key]
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    position: Mapped[int]
    left_image_id: Mapped[int] = mapped_column(BigInteger)
    right_image_id: Mapped[int] = mapped_column(BigInteger)


class StudyPracticeAnswer(Model):
    """What the project's people say of a practice pair in one dimension; participants are told."""

    __tablename__ = "study_practice_answer"
    __table_args__ = (
        ForeignKeyConstraint(
            ["study_id", "practice_id"], ["study_practice.study_id", "study_practice.id"]
        ),
        ForeignKeyConstraint(
            ["study_id", "root_key"], ["study_dimension.study_id", "study_dimension.root_key"]
        ),
        CheckConstraint("answer IN ('left', 'right', 'tie')", name="answer"),
    )

    practice_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    root_key: Mapped[str] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(BigInteger)
    answer: Mapped[str]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    at: Mapped[Created]


class StudyChoice(Model):
    """One participant's answer about one pair in one dimension, as it stands; `revision` counts changes of mind."""

    __tablename__ = "study_choice"
    __table_args__ = (
        ForeignKeyConstraint(
            ["study_id", "participant_id"], ["participant.study_id", "participant.id"]
        ),
        ForeignKeyConstraint(["study_id", "pair_id"], ["study_pair.study_id", "study_pair.id"]),
        ForeignKeyConstraint(
            ["study_id", "root_key"], ["study_dimension.study_id", "study_dimension.root_key"]
        ),
        CheckConstraint(f"answer IN {ANSWERS}", name="answer"),
        Index(None, "study_id", "pair_id"),
    )

    participant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    pair_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    root_key: Mapped[str] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(BigInteger)
    answer: Mapped[str]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    at: Mapped[Created]
