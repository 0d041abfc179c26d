"""What publications did to labels where nodes took the place of others, or names went elsewhere."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model


class SuccessionEffect(Model):
    """A merge, split or change of meaning that a publication carried out on labels.

    `taken_back_in` is the later version that took the change back, and its labels with it.
    """

    __tablename__ = "succession_effect"
    __table_args__ = (
        CheckConstraint("taken_back_in > version_id", name="later"),
        Index(
            "uq_succession_effect_standing",
            "change_id",
            unique=True,
            postgresql_where=text("taken_back_in IS NULL"),
        ),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    change_id: Mapped[int] = mapped_column(ForeignKey("node_change.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    taken_back_in: Mapped[int | None] = mapped_column(ForeignKey("criteria_version.id"))


class MovedName(Model):
    """One answer to "do the labels stay with their attribute, or follow the name?".

    `source` is the attribute that bore the text when the labels were made, `target` the one that bears
    it now. Without a version the answer waits for the next publication, which carries it out.
    """

    __tablename__ = "moved_name"
    __table_args__ = (
        CheckConstraint("source_polarity IN ('positive', 'negative')", name="source_polarity"),
        CheckConstraint("target_polarity IN ('positive', 'negative')", name="target_polarity"),
        CheckConstraint("part IN ('name', 'definition')", name="part"),
        CheckConstraint("choice IN ('keep', 'follow')", name="choice"),
        Index(
            "uq_moved_name_waiting",
            "source_id",
            "source_polarity",
            "target_id",
            "target_polarity",
            unique=True,
            postgresql_where=text("version_id IS NULL"),
        ),
        Index(None, "project_id", "version_id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    version_id: Mapped[int | None] = mapped_column(ForeignKey("criteria_version.id"))
    part: Mapped[str]
    text: Mapped[str]
    source_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    source_polarity: Mapped[str]
    target_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    target_polarity: Mapped[str]
    choice: Mapped[str]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[Created]
