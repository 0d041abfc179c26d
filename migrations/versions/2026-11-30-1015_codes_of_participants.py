"""A code for each participant, which results name them by instead of the number on their link."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Drawn anew for each row; nothing tells from it which number the participant has.
    code = sa.text("upper(substr(replace(gen_random_uuid()::text, '-', ''), 1, 10))")
    op.add_column('participant', sa.Column('code', sa.String(), server_default=code, nullable=False))
    op.create_unique_constraint(op.f('uq_participant_audit_id_code'), 'participant', ['audit_id', 'code'])


def downgrade() -> None:
    # Codes name nobody and nothing else refers to them, so nothing of an audit's result is lost.
    op.drop_constraint(op.f('uq_participant_audit_id_code'), 'participant', type_='unique')
    op.drop_column('participant', 'code')
