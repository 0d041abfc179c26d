"""Datasets: immutable snapshots of images, prompts, A_pos, A_neg and split."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model


class Dataset(Model):
    """A frozen dataset. It is `ready` when its manifest's hash is known, and never changes after."""

    __tablename__ = "dataset"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        CheckConstraint(
            "(manifest_sha256 IS NULL) = (folder IS NULL)", name="ready_has_folder_and_hash"
        ),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    number: Mapped[int]
    name: Mapped[str]
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), unique=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    options: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    counts: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    folder: Mapped[str | None]
    manifest_sha256: Mapped[str | None]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]
