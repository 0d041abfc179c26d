"""What models answered about images, and what an agent wrote down on its way to the labels."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('agent_run_image', sa.Column('notes', postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_check_constraint(op.f('ck_agent_run_image_notes'), 'agent_run_image', "jsonb_typeof(notes) = 'object'")
    op.create_table('agent_answer',
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('answer', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("key ~ '^[0-9a-f]{64}$'", name=op.f('ck_agent_answer_key')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_agent_answer_image_id')),
    sa.PrimaryKeyConstraint('image_id', 'key', name=op.f('pk_agent_answer'))
    )


def downgrade() -> None:
    # Answers are a store of what can be asked again, at a price; labels and accounts hold what came of them.
    op.drop_table('agent_answer')
    op.drop_constraint(op.f('ck_agent_run_image_notes'), 'agent_run_image')
    op.drop_column('agent_run_image', 'notes')
