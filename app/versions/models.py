"""What was decided about names that went to another attribute while labels stood."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model


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
