"""Filters of images that people keep."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model

LONGEST_NAME = 80
LONGEST_QUERY = 2_000


class SavedFilter(Model):
    """A filter of a project's images under a name: `query` is what the wall's address asks. Others of the
    project see it where it is shared.
    """

    __tablename__ = "saved_filter"
    __table_args__ = (
        UniqueConstraint("project_id", "person_id", "name"),
        CheckConstraint(f"char_length(name) BETWEEN 1 AND {LONGEST_NAME}", name="name"),
        CheckConstraint(f"char_length(query) BETWEEN 1 AND {LONGEST_QUERY}", name="query"),
        Index(None, "person_id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    name: Mapped[str]
    query: Mapped[str]
    is_shared: Mapped[bool]
    created_at: Mapped[Created]
