"""Runs say what their objective needs, so that a new objective takes no migration."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

KINDS = "'sft', 'cpo_s', 'cpo', 'dpo', 'npo', 'spo'"


def upgrade() -> None:
    op.add_column("run", sa.Column("needs_expert", sa.Boolean()))
    op.add_column("run", sa.Column("reads_pairs", sa.Boolean()))
    op.execute(
        "UPDATE run SET needs_expert = kind IN ('cpo', 'cpo_s'), reads_pairs = kind IN ('dpo', 'npo')"
    )
    op.alter_column("run", "needs_expert", nullable=False)
    op.alter_column("run", "reads_pairs", nullable=False)
    for name in ("kind", "expert", "data"):
        op.drop_constraint(op.f(f"ck_run_{name}"), "run")
    op.create_check_constraint(op.f("ck_run_kind"), "run", "kind ~ '^[a-z][a-z0-9_]*$'")
    op.create_check_constraint(
        op.f("ck_run_expert"), "run", "NOT needs_expert OR expert_run_id IS NOT NULL"
    )
    op.create_check_constraint(
        op.f("ck_run_data"),
        "run",
        "num_nonnulls(dataset_id, pair_dataset_id) = 1"
        " AND (pair_dataset_id IS NOT NULL) = reads_pairs",
    )


def downgrade() -> None:
    op.execute(f"""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM run WHERE kind NOT IN ({KINDS})) THEN
                RAISE EXCEPTION 'there are runs of a newer objective, which release 0022 cannot hold';
            END IF;
        END $$
    """)
    for name in ("kind", "expert", "data"):
        op.drop_constraint(op.f(f"ck_run_{name}"), "run")
    op.drop_column("run", "reads_pairs")
    op.drop_column("run", "needs_expert")
    op.create_check_constraint(op.f("ck_run_kind"), "run", f"kind IN ({KINDS})")
    op.create_check_constraint(
        op.f("ck_run_expert"), "run", "kind NOT IN ('cpo_s', 'cpo') OR expert_run_id IS NOT NULL"
    )
    op.create_check_constraint(
        op.f("ck_run_data"),
        "run",
        "num_nonnulls(dataset_id, pair_dataset_id) = 1"
        " AND (pair_dataset_id IS NOT NULL) = (kind IN ('dpo', 'npo'))",
    )
