"""What nodes and criteria say beside names and definitions; graded pairs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("criteria", "node"):
        op.add_column(table, sa.Column('details', postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False))
        op.create_check_constraint(op.f(f'ck_{table}_details'), table, "jsonb_typeof(details) = 'object'")
    op.drop_constraint(op.f('ck_node_relation'), 'node')
    op.create_check_constraint(op.f('ck_node_relation'), 'node', "relation IN ('opposed', 'flaw', 'graded')")


def downgrade() -> None:
    op.execute("LOCK TABLE criteria, node IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM node WHERE details <> '{}' OR relation = 'graded')
                OR EXISTS (SELECT FROM criteria WHERE details <> '{}') THEN
                RAISE EXCEPTION 'there are criteria that say more than names and definitions or have graded pairs, which release 0014 cannot hold';
            END IF;
        END $$
    """)
    op.drop_constraint(op.f('ck_node_relation'), 'node')
    op.create_check_constraint(op.f('ck_node_relation'), 'node', "relation IN ('opposed', 'flaw')")
    for table in ("node", "criteria"):
        op.drop_constraint(op.f(f'ck_{table}_details'), table)
        op.drop_column(table, 'details')
