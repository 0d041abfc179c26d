"""Labels come in from files, and their history says from which."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

KINDS = (
    *("propose", "refresh", "confirm", "reject", "add", "withdraw", "undo", "done", "reopen", "state"),
    *("follow", "merge", "split", "redefine", "return"),
)
OF_AGENT = ("propose", "refresh", "reopen", "state")


def upgrade() -> None:
    op.create_table(
        "label_import",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("options", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("found", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("taken", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("format IN ('jsonl', 'csv', 'parquet', 'label-studio')", name=op.f("ck_label_import_format")),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_label_import_sha256")),
        sa.CheckConstraint("bytes > 0", name=op.f("ck_label_import_bytes")),
        sa.CheckConstraint("jsonb_typeof(options) = 'object'", name=op.f("ck_label_import_options")),
        sa.CheckConstraint("(taken IS NULL) = (taken_at IS NULL)", name=op.f("ck_label_import_taken")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_label_import_project_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_label_import_job_id")),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_label_import_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_import")),
    )
    op.create_index("ix_label_import_project_id_id", "label_import", ["project_id", "id"])
    op.add_column("label_event", sa.Column("import_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_label_event_import_id"), "label_event", "label_import", ["import_id"], ["id"]
    )
    _allow(("import", *KINDS), ("import", *OF_AGENT))
    op.create_check_constraint(
        op.f("ck_label_event_import"), "label_event", "(kind = 'import') = (import_id IS NOT NULL)"
    )


def downgrade() -> None:
    op.execute("LOCK TABLE label_event IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM label_event WHERE import_id IS NOT NULL) THEN
                RAISE EXCEPTION 'labels were imported from files, whose history release 0030 cannot hold';
            END IF;
        END $$
    """)
    op.drop_constraint(op.f("ck_label_event_import"), "label_event")
    _allow(KINDS, OF_AGENT)
    op.drop_column("label_event", "import_id")
    op.drop_table("label_import")


def _allow(kinds: tuple[str, ...], of_agent: tuple[str, ...]) -> None:
    listed, by_agent = (", ".join(f"'{each}'" for each in some) for some in (kinds, of_agent))
    checks = {
        "kind": f"kind IN ({listed})",
        "of_agent": f"agent_run_id IS NULL OR kind IN ({by_agent})",
    }
    for name, check in checks.items():
        op.drop_constraint(op.f(f"ck_label_event_{name}"), "label_event")
        op.create_check_constraint(op.f(f"ck_label_event_{name}"), "label_event", check)
