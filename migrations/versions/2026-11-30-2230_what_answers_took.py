"""What each answer of a model took, and by which run it was paid for; how often runs asked, and with which seed."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

ZERO = sa.text("0")
COUNTS = "requests >= 0 AND tokens_in >= 0 AND tokens_out >= 0 AND cost >= 0"


def upgrade() -> None:
    op.add_column("agent_answer", sa.Column("agent_run_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_agent_answer_agent_run_id"), "agent_answer", "agent_run", ["agent_run_id"], ["id"]
    )
    for name, kind in (
        ("requests", sa.Integer()),
        ("tokens_in", sa.BigInteger()),
        ("tokens_out", sa.BigInteger()),
        ("cost", sa.Numeric(18, 9)),
    ):
        op.add_column(
            "agent_answer", sa.Column(name, kind, server_default=ZERO, nullable=False)
        )
    op.create_check_constraint(op.f("ck_agent_answer_counts"), "agent_answer", COUNTS)
    for table, kind in (("agent_run", sa.BigInteger()), ("agent_run_image", sa.Integer())):
        op.add_column(table, sa.Column("requests", kind, server_default=ZERO, nullable=False))
        op.create_check_constraint(op.f(f"ck_{table}_requests"), table, "requests >= 0")
    op.add_column("agent_run", sa.Column("seed", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("agent_run", "seed")
    for table in ("agent_run", "agent_run_image"):
        op.drop_constraint(op.f(f"ck_{table}_requests"), table)
        op.drop_column(table, "requests")
    op.drop_constraint(op.f("ck_agent_answer_counts"), "agent_answer")
    for name in ("cost", "tokens_out", "tokens_in", "requests", "agent_run_id"):
        op.drop_column("agent_answer", name)
