"""Two agent runs side by side, and the agent that a project takes where nobody names one."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

NUMBERS = postgresql.ARRAY(sa.BigInteger())


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def _check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def upgrade() -> None:
    _make_comparison()
    _make_side()
    op.add_column("project", sa.Column("default_agent", sa.String(), nullable=True))
    op.create_check_constraint(
        op.f("ck_project_default_agent"), "project", "default_agent ~ '^[a-z][a-z0-9_]{0,39}$'"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_project_default_agent"), "project")
    op.drop_column("project", "default_agent")
    op.drop_table("agent_comparison_side")
    op.drop_table("agent_comparison")


def _make_comparison() -> None:
    table = "agent_comparison"
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("project_id", "first_id", "second_id", "version_id", "job_id")
        ),
        sa.Column("images", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("figures", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        _check(table, "two_runs", "first_id <> second_id"),
        _check(table, "images", "images >= 0"),
        _check(table, "made", "(made_at IS NULL) = (figures IS NULL)"),
        *(
            _refers(table, column, to)
            for column, to in (
                ("project_id", "project"),
                ("first_id", "agent_run"),
                ("second_id", "agent_run"),
                ("version_id", "criteria_version"),
                ("job_id", "job"),
                ("created_by", "person"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_comparison")),
        sa.UniqueConstraint(
            "first_id", "second_id", name=op.f("uq_agent_comparison_first_id_second_id")
        ),
    )
    op.create_index(op.f("ix_agent_comparison_project_id_id"), table, ["project_id", "id"])
    op.create_index(op.f("ix_agent_comparison_second_id"), table, ["second_id"])


def _make_side() -> None:
    table = "agent_comparison_side"
    op.create_table(
        table,
        sa.Column("comparison_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("node_ids", NUMBERS, nullable=False),
        sa.Column("polarity", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("in_both", "only_first", "only_second")
        ),
        sa.Column("figures", postgresql.JSONB(), nullable=False),
        sa.Column("lost", NUMBERS, nullable=False),
        sa.Column("gained", NUMBERS, nullable=False),
        _check(table, "polarity", "polarity IN ('positive', 'negative')"),
        _check(table, "asked_by", "asked_by IN ('both', 'first', 'second')"),
        _check(table, "counts", "in_both >= 0 AND only_first >= 0 AND only_second >= 0"),
        _check(table, "node_ids", "cardinality(node_ids) > 0"),
        sa.ForeignKeyConstraint(
            ["comparison_id"],
            ["agent_comparison.id"],
            name=op.f("fk_agent_comparison_side_comparison_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("comparison_id", "place", name=op.f("pk_agent_comparison_side")),
    )
