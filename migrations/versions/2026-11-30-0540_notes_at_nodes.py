"""Discussions at nodes of the criteria, and what audits asked about a node is found by it."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('discussion',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('node_id', sa.BigInteger(), nullable=False),
    sa.Column('started_by', sa.BigInteger(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('settled_by', sa.BigInteger(), nullable=True),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('(settled_at IS NULL) = (settled_by IS NULL)', name=op.f('ck_discussion_settled')),
    sa.ForeignKeyConstraint(['project_id', 'node_id'], ['node.project_id', 'node.id'], name='fk_discussion_node'),
    sa.ForeignKeyConstraint(['started_by'], ['person.id'], name=op.f('fk_discussion_started_by')),
    sa.ForeignKeyConstraint(['settled_by'], ['person.id'], name=op.f('fk_discussion_settled_by')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_discussion')),
    )
    op.create_index(op.f('ix_discussion_node_id_id'), 'discussion', ['node_id', 'id'])
    op.create_index(op.f('ix_discussion_project_id_id'), 'discussion', ['project_id', 'id'])
    op.create_index('ix_discussion_open', 'discussion', ['project_id', 'id'], postgresql_where=sa.text('settled_at IS NULL'))
    op.create_table('note',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('discussion_id', sa.BigInteger(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('revision', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('written_by', sa.BigInteger(), nullable=False),
    sa.Column('written_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('edited_by', sa.BigInteger(), nullable=True),
    sa.Column('edited_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('deleted_by', sa.BigInteger(), nullable=True),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("char_length(text) <= 4000 AND (text = '') = (deleted_at IS NOT NULL)", name=op.f('ck_note_text')),
    sa.CheckConstraint('(deleted_at IS NULL) = (deleted_by IS NULL)', name=op.f('ck_note_deleted')),
    sa.CheckConstraint('(edited_at IS NULL) = (edited_by IS NULL)', name=op.f('ck_note_edited')),
    sa.CheckConstraint('revision > 0', name=op.f('ck_note_revision')),
    sa.ForeignKeyConstraint(['discussion_id'], ['discussion.id'], name=op.f('fk_note_discussion_id')),
    sa.ForeignKeyConstraint(['written_by'], ['person.id'], name=op.f('fk_note_written_by')),
    sa.ForeignKeyConstraint(['edited_by'], ['person.id'], name=op.f('fk_note_edited_by')),
    sa.ForeignKeyConstraint(['deleted_by'], ['person.id'], name=op.f('fk_note_deleted_by')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_note')),
    )
    op.create_index(op.f('ix_note_discussion_id_id'), 'note', ['discussion_id', 'id'])
    op.create_index(op.f('ix_audit_item_node_id'), 'audit_item', ['node_id'])


def downgrade() -> None:
    # What people wrote is not thrown away.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM discussion) THEN
                RAISE EXCEPTION 'there are notes at nodes, which release 0024 cannot hold';
            END IF;
        END $$
    """)
    op.drop_index(op.f('ix_audit_item_node_id'), 'audit_item')
    op.drop_table('note')
    op.drop_table('discussion')
