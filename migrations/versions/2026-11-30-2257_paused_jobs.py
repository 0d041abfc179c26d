"""Jobs that are paused: stopped by a person who means to go on, or by themselves until a person decides."""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

STATES = "'queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled'"


def upgrade() -> None:
    op.add_column(
        "job", sa.Column("pauses", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.drop_constraint(op.f("ck_job_state"), "job")
    op.create_check_constraint(op.f("ck_job_state"), "job", f"state IN ({STATES}, 'paused')")


def downgrade() -> None:
    # The release before has no word for it; a cancelled job is resumed the same way.
    op.execute("UPDATE job SET state = 'cancelled' WHERE state = 'paused'")
    op.drop_constraint(op.f("ck_job_state"), "job")
    op.create_check_constraint(op.f("ck_job_state"), "job", f"state IN ({STATES})")
    op.drop_column("job", "pauses")
