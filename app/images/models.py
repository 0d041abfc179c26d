"""Images and what an import said about each file."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model
from app.images.looks import Looks


class Image(Model):
    """One image of a project. Its bytes lie in the storage under the SHA-256 of the file that came in.

    `label_revision` counts the saved actions on its labels. `width` and `height` are as seen, after
    the EXIF orientation. `pixels` and `looks` tell files of one picture (`app.images.looks`); null where
    nobody has looked yet, empty where the file cannot be decoded any more. `search` holds the words that it is found by (`app.images.searching`).
    """

    __tablename__ = "image"
    __table_args__ = (
        UniqueConstraint("project_id", "sha256"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
        CheckConstraint("width > 0 AND height > 0 AND bytes > 0", name="size"),
        Index(None, "project_id", "id"),
        Index("ix_image_search", "search", postgresql_using="gin"),
        Index(
            "ix_image_not_looked_at", "project_id", "id", postgresql_where=text("pixels IS NULL")
        ),
        Index("ix_image_undone", "project_id", "id", postgresql_where=text("done_at IS NULL")),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    sha256: Mapped[str]
    name: Mapped[str]
    format: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    prompt: Mapped[str] = mapped_column(server_default="")
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    pixels: Mapped[str | None] = mapped_column(deferred=True)
    looks: Mapped[Looks | None] = mapped_column(deferred=True)
    search: Mapped[str] = mapped_column(
        TSVECTOR, server_default=text("''::tsvector"), deferred=True
    )
    label_revision: Mapped[int] = mapped_column(server_default=text("0"))
    done_at: Mapped[datetime | None]
    done_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    import_id: Mapped[int | None] = mapped_column(ForeignKey("image_import.id"), index=True)
    created_at: Mapped[Created]


class ImageImport(Model):
    """One import: where the files came from and how many came in."""

    __tablename__ = "image_import"
    __table_args__ = (
        CheckConstraint("source IN ('folder', 'zip', 'csv', 'files', 'demo')", name="source"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), unique=True)
    source: Mapped[str]
    origin: Mapped[str]
    added: Mapped[int] = mapped_column(server_default=text("0"))
    duplicates: Mapped[int] = mapped_column(server_default=text("0"))
    refused: Mapped[int] = mapped_column(server_default=text("0"))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class ImportProblem(Model):
    """A file that an import did not take, by name, with the reason; one it already had; or a note about
    something that was found and is no image.
    """

    __tablename__ = "import_problem"
    __table_args__ = (
        CheckConstraint("kind IN ('refused', 'duplicate', 'note')", name="kind"),
        UniqueConstraint("import_id", "name"),
    )

    id: Mapped[Key]
    import_id: Mapped[int] = mapped_column(ForeignKey("image_import.id"))
    name: Mapped[str]
    kind: Mapped[str]
    reason: Mapped[str]
