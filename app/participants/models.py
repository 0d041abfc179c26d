"""Participants and what they agreed to.

Both tables belong to one instrument, an audit or a study. Each has its own unique constraints and foreign
key, because a key with an empty column binds nothing.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model

ONE_INSTRUMENT = "num_nonnulls(audit_id, study_id) = 1"


class ConsentNotice(Model):
    """What participants are told before they agree. Never altered: the newest is shown, each that somebody
    agreed to stays.
    """

    __tablename__ = "consent_notice"
    __table_args__ = (
        UniqueConstraint("audit_id", "number"),
        UniqueConstraint("audit_id", "id"),
        UniqueConstraint("study_id", "number"),
        UniqueConstraint("study_id", "id"),
        CheckConstraint(ONE_INSTRUMENT, name="instrument"),
        CheckConstraint("number > 0", name="number"),
        CheckConstraint("text <> ''", name="text"),
    )

    id: Mapped[Key]
    audit_id: Mapped[int | None] = mapped_column(ForeignKey("audit.id"))
    study_id: Mapped[int | None] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int]
    text: Mapped[str]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class Participant(Model):
    """Someone who takes part; comes in through a link. The number is on the link and known to whoever sent it, so
    results name a participant by the code, which nothing leads to from the number.
    """

    __tablename__ = "participant"
    __table_args__ = (
        UniqueConstraint("audit_id", "number"),
        UniqueConstraint("audit_id", "code"),
        UniqueConstraint("audit_id", "id"),
        UniqueConstraint("study_id", "number"),
        UniqueConstraint("study_id", "code"),
        UniqueConstraint("study_id", "id"),
        CheckConstraint(ONE_INSTRUMENT, name="instrument"),
        ForeignKeyConstraint(
            ["audit_id", "notice_id"], ["consent_notice.audit_id", "consent_notice.id"]
        ),
        ForeignKeyConstraint(
            ["study_id", "notice_id"], ["consent_notice.study_id", "consent_notice.id"]
        ),
        CheckConstraint("(consented_at IS NULL) = (notice_id IS NULL)", name="consent"),
        CheckConstraint("finished_at IS NULL OR consented_at IS NOT NULL", name="finished"),
    )

    id: Mapped[Key]
    audit_id: Mapped[int | None] = mapped_column(ForeignKey("audit.id"))
    study_id: Mapped[int | None] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int]
    code: Mapped[str] = mapped_column(
        server_default=text("upper(substr(replace(gen_random_uuid()::text, '-', ''), 1, 10))")
    )
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    notice_id: Mapped[int | None] = mapped_column(BigInteger)
    consented_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[Created]
