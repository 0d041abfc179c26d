"""One-time links with which a person sets a new password."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('one_time_link', sa.Column('person_id', sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f('fk_one_time_link_person_id'), 'one_time_link', 'person', ['person_id'], ['id'])
    op.create_index(op.f('ix_one_time_link_person_id'), 'one_time_link', ['person_id'], unique=False)
    op.drop_constraint(op.f('ck_one_time_link_kind'), 'one_time_link')
    op.create_check_constraint(op.f('ck_one_time_link_kind'), 'one_time_link', "kind IN ('first_lead', 'invitation', 'account')")
    op.create_check_constraint(op.f('ck_one_time_link_account'), 'one_time_link', "(kind = 'account') = (person_id IS NOT NULL)")


def downgrade() -> None:
    # A link that the older release does not know opens nothing there.
    op.execute("DELETE FROM one_time_link WHERE kind = 'account'")
    op.drop_constraint(op.f('ck_one_time_link_account'), 'one_time_link')
    op.drop_constraint(op.f('ck_one_time_link_kind'), 'one_time_link')
    op.create_check_constraint(op.f('ck_one_time_link_kind'), 'one_time_link', "kind IN ('first_lead', 'invitation')")
    op.drop_index(op.f('ix_one_time_link_person_id'), table_name='one_time_link')
    op.drop_constraint(op.f('fk_one_time_link_person_id'), 'one_time_link')
    op.drop_column('one_time_link', 'person_id')
