"""Marks as done are events; sittings; who saw suggestions; who is at which image; what came back."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATES = "('proposed', 'confirmed', 'rejected')"


def upgrade() -> None:
    for name in ('node_id', 'polarity', 'version_id'):
        op.alter_column('label_event', name, nullable=True)
    op.add_column('label_event', sa.Column('sitting', sa.Uuid(), nullable=True))
    op.drop_constraint(op.f('ck_label_event_after'), 'label_event')
    op.create_check_constraint(op.f('ck_label_event_after'), 'label_event', f"after IS NULL OR (node_id IS NULL AND after = 'done') OR (node_id IS NOT NULL AND after IN {STATES})")
    op.create_check_constraint(op.f('ck_label_event_attribute'), 'label_event', '(node_id IS NULL) = (polarity IS NULL)')
    op.create_check_constraint(op.f('ck_label_event_version'), 'label_event', 'node_id IS NULL OR version_id IS NOT NULL')
    op.create_index(op.f('ix_label_event_person_id_sitting_id'), 'label_event', ['person_id', 'sitting', 'id'], unique=False, postgresql_where=sa.text('sitting IS NOT NULL'))
    op.create_table('suggestion_shown',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_suggestion_shown_image_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_suggestion_shown_person_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_suggestion_shown')),
    sa.UniqueConstraint('image_id', 'person_id', name=op.f('uq_suggestion_shown_image_id_person_id'))
    )
    op.create_table('image_lease',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_image_lease_image_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_image_lease_person_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_image_lease')),
    sa.UniqueConstraint('image_id', name=op.f('uq_image_lease_image_id'))
    )
    op.create_index(op.f('ix_image_lease_person_id'), 'image_lease', ['person_id'], unique=False)
    op.add_column('image', sa.Column('came_back_at', sa.DateTime(timezone=True), nullable=True))
    op.drop_index('ix_image_undone', table_name='image')
    op.create_index('ix_image_undone', 'image', ['project_id', 'id'], unique=False, postgresql_where=sa.text('done_at IS NULL OR came_back_at IS NOT NULL'))


def downgrade() -> None:
    op.execute("LOCK TABLE label_event IN ACCESS EXCLUSIVE MODE")
    # History is never deleted: marks that the older release cannot hold stay for the newer one.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM label_event WHERE node_id IS NULL) THEN
                RAISE EXCEPTION 'marks as done are in the history, which release 0009 cannot hold';
            END IF;
        END $$
    """)
    op.drop_index('ix_image_undone', table_name='image')
    op.create_index('ix_image_undone', 'image', ['project_id', 'id'], unique=False, postgresql_where=sa.text('done_at IS NULL'))
    op.drop_column('image', 'came_back_at')
    op.drop_table('image_lease')
    op.drop_table('suggestion_shown')
    op.drop_index(op.f('ix_label_event_person_id_sitting_id'), table_name='label_event', postgresql_where=sa.text('sitting IS NOT NULL'))
    op.drop_constraint(op.f('ck_label_event_version'), 'label_event')
    op.drop_constraint(op.f('ck_label_event_attribute'), 'label_event')
    op.drop_constraint(op.f('ck_label_event_after'), 'label_event')
    op.create_check_constraint(op.f('ck_label_event_after'), 'label_event', f'after IS NULL OR after IN {STATES}')
    op.drop_column('label_event', 'sitting')
    for name in ('node_id', 'polarity', 'version_id'):
        op.alter_column('label_event', name, nullable=False)
