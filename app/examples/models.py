"""Which images show an attribute."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model

MOST = 6
LONGEST = 200


class AttributeExample(Model):
    """An image that shows one side of an attribute pair, at its place among at most six. It belongs to the project and
    is no part of the criteria: no revision, version or hash knows of it.
    """

    __tablename__ = "attribute_example"
    __table_args__ = (
        UniqueConstraint("node_id", "polarity", "image_id"),
        # Looked at when the transaction ends, so that places can be exchanged.
        UniqueConstraint("node_id", "polarity", "position", deferrable=True, initially="DEFERRED"),
        ForeignKeyConstraint(
            ["project_id", "node_id"],
            ["node.project_id", "node.id"],
            name="fk_attribute_example_node",
        ),
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint(f"position BETWEEN 1 AND {MOST}", name="position"),
        CheckConstraint(f"char_length(caption) <= {LONGEST}", name="caption"),
        Index(None, "image_id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(BigInteger)
    node_id: Mapped[int] = mapped_column(BigInteger)
    polarity: Mapped[str]
    position: Mapped[int]
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"))
    caption: Mapped[str] = mapped_column(server_default="")
    chosen_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
    chosen_at: Mapped[Created]
