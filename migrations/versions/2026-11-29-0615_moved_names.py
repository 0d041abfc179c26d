"""What was decided about names that went to another attribute while labels stood."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('moved_name',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('version_id', sa.BigInteger(), nullable=True),
    sa.Column('part', sa.String(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('source_id', sa.BigInteger(), nullable=False),
    sa.Column('source_polarity', sa.String(), nullable=False),
    sa.Column('target_id', sa.BigInteger(), nullable=False),
    sa.Column('target_polarity', sa.String(), nullable=False),
    sa.Column('choice', sa.String(), nullable=False),
    sa.Column('decided_by', sa.BigInteger(), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("source_polarity IN ('positive', 'negative')", name=op.f('ck_moved_name_source_polarity')),
    sa.CheckConstraint("target_polarity IN ('positive', 'negative')", name=op.f('ck_moved_name_target_polarity')),
    sa.CheckConstraint("part IN ('name', 'definition')", name=op.f('ck_moved_name_part')),
    sa.CheckConstraint("choice IN ('keep', 'follow')", name=op.f('ck_moved_name_choice')),
    sa.ForeignKeyConstraint(['decided_by'], ['person.id'], name=op.f('fk_moved_name_decided_by')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_moved_name_project_id')),
    sa.ForeignKeyConstraint(['source_id'], ['node.id'], name=op.f('fk_moved_name_source_id')),
    sa.ForeignKeyConstraint(['target_id'], ['node.id'], name=op.f('fk_moved_name_target_id')),
    sa.ForeignKeyConstraint(['version_id'], ['criteria_version.id'], name=op.f('fk_moved_name_version_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_moved_name'))
    )
    op.create_index(op.f('ix_moved_name_project_id_version_id'), 'moved_name', ['project_id', 'version_id'], unique=False)
    op.create_index('uq_moved_name_waiting', 'moved_name', ['source_id', 'source_polarity', 'target_id', 'target_polarity'], unique=True, postgresql_where=sa.text('version_id IS NULL'))


def downgrade() -> None:
    op.drop_table('moved_name')
