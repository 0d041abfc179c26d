"""Decoys: questions of an audit about attributes that the agent did not give."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('audit', sa.Column('decoy_percent', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.create_check_constraint(op.f('ck_audit_decoy_percent'), 'audit', 'decoy_percent BETWEEN 0 AND 50')
    op.add_column('audit_item', sa.Column('kind', sa.String(), server_default='label', nullable=False))
    op.create_check_constraint(op.f('ck_audit_item_kind'), 'audit_item', "kind IN ('label', 'decoy')")


def downgrade() -> None:
    # The older release would count decoys as labels.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM audit_item WHERE kind = 'decoy') THEN
                RAISE EXCEPTION 'audits have decoys, which release 0015 cannot hold';
            END IF;
        END $$
    """)
    op.drop_constraint(op.f('ck_audit_item_kind'), 'audit_item')
    op.drop_column('audit_item', 'kind')
    op.drop_constraint(op.f('ck_audit_decoy_percent'), 'audit')
    op.drop_column('audit', 'decoy_percent')
