"""Questions to practise on before an audit begins."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('practice_item',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('audit_id', sa.BigInteger(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('image_position', sa.Integer(), nullable=False),
    sa.Column('node_id', sa.BigInteger(), nullable=False),
    sa.Column('polarity', sa.String(), nullable=False),
    sa.Column('expected', sa.String(), nullable=False),
    sa.CheckConstraint("expected IN ('appears', 'does_not_appear')", name=op.f('ck_practice_item_expected')),
    sa.CheckConstraint('image_position > 0', name=op.f('ck_practice_item_image_position')),
    sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f('ck_practice_item_polarity')),
    sa.ForeignKeyConstraint(['audit_id'], ['audit.id'], name=op.f('fk_practice_item_audit_id')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_practice_item_image_id')),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_practice_item_node_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_practice_item')),
    sa.UniqueConstraint('audit_id', 'image_id', 'node_id', 'polarity', name=op.f('uq_practice_item_audit_id_image_id_node_id_polarity'))
    )
    op.create_index(op.f('ix_practice_item_audit_id_image_position_id'), 'practice_item', ['audit_id', 'image_position', 'id'], unique=False)
    op.execute(
        "CREATE TRIGGER practice_item_append_only BEFORE UPDATE OR DELETE ON practice_item"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    # Nothing that a participant answered is kept here, so nothing of an audit's result is lost.
    op.drop_table('practice_item')
