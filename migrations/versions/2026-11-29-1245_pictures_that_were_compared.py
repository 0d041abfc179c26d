"""Which images of a project show one picture, as it was found last."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('picture_groups',
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('way', sa.Integer(), nullable=False),
    sa.Column('image_ids', postgresql.ARRAY(sa.BigInteger()), nullable=False),
    sa.Column('leaders', postgresql.ARRAY(sa.BigInteger()), nullable=False),
    sa.Column('marks', postgresql.ARRAY(sa.BigInteger()), nullable=False),
    sa.CheckConstraint('cardinality(image_ids) = cardinality(leaders) AND cardinality(image_ids) = cardinality(marks)', name=op.f('ck_picture_groups_as_many_of_each')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_picture_groups_project_id')),
    sa.PrimaryKeyConstraint('project_id', name=op.f('pk_picture_groups'))
    )


def downgrade() -> None:
    op.drop_table('picture_groups')
