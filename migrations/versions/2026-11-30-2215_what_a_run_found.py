"""What a run found in each image, and what it could have found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

SIDES = postgresql.ARRAY(sa.BigInteger())


def upgrade() -> None:
    op.execute("LOCK TABLE agent_run, agent_run_image IN ACCESS EXCLUSIVE MODE")
    op.add_column("agent_run", sa.Column("decides", SIDES, nullable=True))
    op.add_column("agent_run_image", sa.Column("found", SIDES, nullable=True))
    op.create_check_constraint(
        op.f("ck_agent_run_image_found"), "agent_run_image", "cardinality(found) = proposed"
    )


def downgrade() -> None:
    op.execute("LOCK TABLE agent_run, agent_run_image IN ACCESS EXCLUSIVE MODE")
    op.drop_constraint(op.f("ck_agent_run_image_found"), "agent_run_image")
    op.drop_column("agent_run_image", "found")
    op.drop_column("agent_run", "decides")
