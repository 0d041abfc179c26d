"""Keys that a person has changed: commands by name, each with its keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "person", sa.Column("keys", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False)
    )
    op.create_check_constraint("keys", "person", "jsonb_typeof(keys) = 'object'")


def downgrade() -> None:
    op.drop_column("person", "keys")
