"""Files of labels: what each would change, and what became of it."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model


class LabelImport(Model):
    """A file of labels on its way into a project.

    `found` is what looking at it came to, `taken` what importing it did; both null before. `options` are the
    answers of whoever imports: what to do where the file contradicts decisions, which attributes its words
    mean, what to leave out. `token` names the upload, null where a command read the file where it lies.
    """

    __tablename__ = "label_import"
    __table_args__ = (
        CheckConstraint("format IN ('jsonl', 'csv', 'parquet', 'label-studio')", name="format"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
        CheckConstraint("bytes > 0", name="bytes"),
        CheckConstraint("jsonb_typeof(options) = 'object'", name="options"),
        CheckConstraint("(taken IS NULL) = (taken_at IS NULL)", name="taken"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    name: Mapped[str]
    format: Mapped[str]
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    token: Mapped[str | None]
    options: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    found: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    taken: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    taken_at: Mapped[datetime | None]
    created_by: Mapped[int] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]
