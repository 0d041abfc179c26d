"""Pair datasets that hold an image which was erased since."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('pair_dataset_erasure',
    sa.Column('pair_dataset_id', sa.BigInteger(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_pair_dataset_erasure_image_id')),
    sa.ForeignKeyConstraint(['pair_dataset_id'], ['pair_dataset.id'], name=op.f('fk_pair_dataset_erasure_pair_dataset_id')),
    sa.PrimaryKeyConstraint('pair_dataset_id', 'image_id', name=op.f('pk_pair_dataset_erasure'))
    )


def downgrade() -> None:
    op.drop_table('pair_dataset_erasure')
