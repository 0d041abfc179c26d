"""How images look, so that files of one picture are recognised; filled in by the next dataset's job."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('image', sa.Column('pixels', sa.String(), nullable=True))
    op.add_column('image', sa.Column('looks', sa.LargeBinary(), nullable=True))
    op.create_index('ix_image_not_looked_at', 'image', ['project_id', 'id'], unique=False, postgresql_where=sa.text('pixels IS NULL'))


def downgrade() -> None:
    op.drop_index('ix_image_not_looked_at', table_name='image')
    op.drop_column('image', 'looks')
    op.drop_column('image', 'pixels')
