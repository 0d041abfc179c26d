"""Images that show what an attribute means."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('attribute_example',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('node_id', sa.BigInteger(), nullable=False),
    sa.Column('polarity', sa.String(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('caption', sa.String(), server_default='', nullable=False),
    sa.Column('chosen_by', sa.BigInteger(), nullable=False),
    sa.Column('chosen_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f('ck_attribute_example_polarity')),
    sa.CheckConstraint('position BETWEEN 1 AND 6', name=op.f('ck_attribute_example_position')),
    sa.CheckConstraint('char_length(caption) <= 200', name=op.f('ck_attribute_example_caption')),
    sa.ForeignKeyConstraint(['project_id', 'node_id'], ['node.project_id', 'node.id'], name='fk_attribute_example_node'),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_attribute_example_image_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['chosen_by'], ['person.id'], name=op.f('fk_attribute_example_chosen_by')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attribute_example')),
    sa.UniqueConstraint('node_id', 'polarity', 'image_id', name=op.f('uq_attribute_example_node_id_polarity_image_id')),
    sa.UniqueConstraint('node_id', 'polarity', 'position', deferrable=True, initially='DEFERRED', name=op.f('uq_attribute_example_node_id_polarity_position')),
    )
    op.create_index(op.f('ix_attribute_example_image_id'), 'attribute_example', ['image_id'])


def downgrade() -> None:
    # What people wrote is not thrown away.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM attribute_example) THEN
                RAISE EXCEPTION 'there are examples of attributes, which release 0026 cannot hold';
            END IF;
        END $$
    """)
    op.drop_table('attribute_example')
