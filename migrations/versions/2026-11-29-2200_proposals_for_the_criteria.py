"""Proposals for the criteria, their examples and their answers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('criteria_proposal',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('node_id', sa.BigInteger(), nullable=False),
    sa.Column('based_on', sa.Integer(), nullable=True),
    sa.Column('content', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('state', sa.String(), server_default='open', nullable=False),
    sa.Column('proposed_by', sa.BigInteger(), nullable=False),
    sa.Column('proposed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('answer', sa.String(), server_default='', nullable=False),
    sa.Column('decided_by', sa.BigInteger(), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('made_node_id', sa.BigInteger(), nullable=True),
    sa.Column('answer_seen_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("kind IN ('pair', 'change')", name=op.f('ck_criteria_proposal_kind')),
    sa.CheckConstraint("state IN ('open', 'accepted', 'declined', 'withdrawn')", name=op.f('ck_criteria_proposal_state')),
    sa.CheckConstraint("jsonb_typeof(content) = 'object'", name=op.f('ck_criteria_proposal_content')),
    sa.CheckConstraint("char_length(reason) BETWEEN 1 AND 2000", name=op.f('ck_criteria_proposal_reason')),
    sa.CheckConstraint("char_length(answer) <= 2000", name=op.f('ck_criteria_proposal_answer')),
    sa.CheckConstraint("(kind = 'change') = (based_on IS NOT NULL)", name=op.f('ck_criteria_proposal_based_on')),
    sa.CheckConstraint("(state = 'open') = (decided_at IS NULL)", name=op.f('ck_criteria_proposal_decided_at')),
    sa.CheckConstraint("(state = 'open') = (decided_by IS NULL)", name=op.f('ck_criteria_proposal_decided_by')),
    sa.CheckConstraint("state <> 'declined' OR answer <> ''", name=op.f('ck_criteria_proposal_declined')),
    sa.CheckConstraint("(kind = 'pair' AND state = 'accepted') = (made_node_id IS NOT NULL)", name=op.f('ck_criteria_proposal_made_node')),
    sa.CheckConstraint("answer_seen_at IS NULL OR state IN ('accepted', 'declined')", name=op.f('ck_criteria_proposal_answer_seen_at')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_criteria_proposal_project_id')),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_criteria_proposal_node_id')),
    sa.ForeignKeyConstraint(['made_node_id'], ['node.id'], name=op.f('fk_criteria_proposal_made_node_id')),
    sa.ForeignKeyConstraint(['proposed_by'], ['person.id'], name=op.f('fk_criteria_proposal_proposed_by')),
    sa.ForeignKeyConstraint(['decided_by'], ['person.id'], name=op.f('fk_criteria_proposal_decided_by')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_criteria_proposal')),
    )
    op.create_index(op.f('ix_criteria_proposal_project_id_state_id'), 'criteria_proposal', ['project_id', 'state', 'id'])
    op.create_index(op.f('ix_criteria_proposal_proposed_by_id'), 'criteria_proposal', ['proposed_by', 'id'])
    op.create_table('criteria_proposal_example',
    sa.Column('proposal_id', sa.BigInteger(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('polarity', sa.String(), nullable=False),
    sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f('ck_criteria_proposal_example_polarity')),
    sa.ForeignKeyConstraint(['proposal_id'], ['criteria_proposal.id'], name=op.f('fk_criteria_proposal_example_proposal_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_criteria_proposal_example_image_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('proposal_id', 'image_id', name=op.f('pk_criteria_proposal_example')),
    )
    op.create_index(op.f('ix_criteria_proposal_example_image_id'), 'criteria_proposal_example', ['image_id'])


def downgrade() -> None:
    op.drop_table('criteria_proposal_example')
    op.drop_table('criteria_proposal')
