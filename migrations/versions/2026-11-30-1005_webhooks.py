"""Addresses that are told of what happens, and what is sent to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")


def _key() -> sa.Column:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _moment(name: str, *, now: bool = False) -> sa.Column:
    default = NOW if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not now)


def upgrade() -> None:
    op.create_table(
        "webhook",
        _key(),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="on", nullable=False),
        sa.Column("off_reason", sa.String(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("not_before", now=True),
        sa.Column("lease", sa.Uuid(), nullable=True),
        _moment("lease_until"),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        _moment("created_at", now=True),
        sa.CheckConstraint("cardinality(kinds) > 0", name=op.f("ck_webhook_kinds")),
        sa.CheckConstraint(
            "char_length(address) BETWEEN 8 AND 2000", name=op.f("ck_webhook_address")
        ),
        sa.CheckConstraint("state IN ('on', 'off')", name=op.f("ck_webhook_state")),
        sa.CheckConstraint(
            "(state = 'off') = (off_reason IS NOT NULL)", name=op.f("ck_webhook_off_reason")
        ),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_webhook_failures")),
        sa.CheckConstraint(
            "(lease IS NULL) = (lease_until IS NULL)", name=op.f("ck_webhook_lease")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_webhook_project_id")),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_webhook_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_index("ix_webhook_project_id_id", "webhook", ["project_id", "id"])
    op.create_table(
        "webhook_event",
        _key(),
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        _moment("at", now=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name=op.f("fk_webhook_event_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_event")),
        sa.UniqueConstraint("webhook_id", "event_id", name=op.f("uq_webhook_event_webhook_id_event_id")),
    )
    op.create_table(
        "webhook_message",
        _key(),
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("not_before", now=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("said", sa.String(), nullable=True),
        _moment("tried_at"),
        _moment("created_at", now=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'delivered', 'failed')", name=op.f("ck_webhook_message_state")
        ),
        sa.CheckConstraint("events > 0 AND attempts >= 0", name=op.f("ck_webhook_message_counts")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name=op.f("fk_webhook_message_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_message")),
        sa.UniqueConstraint("message_id", name=op.f("uq_webhook_message_message_id")),
    )
    op.create_index("ix_webhook_message_webhook_id_id", "webhook_message", ["webhook_id", "id"])
    op.create_index(
        "ix_webhook_message_waiting",
        "webhook_message",
        ["webhook_id", "not_before"],
        postgresql_where=sa.text("state = 'waiting'"),
    )


def downgrade() -> None:
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM webhook) THEN
                RAISE EXCEPTION 'there are webhooks, which release 0031 does not know; remove them first';
            END IF;
        END $$
    """)
    op.drop_table("webhook_message")
    op.drop_table("webhook_event")
    op.drop_table("webhook")
