"""How audits are designed: strata, judges of each image, attention checks, probes for what is missing."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

ANSWERS = "('appears', 'does_not_appear', 'cannot_tell')"


def upgrade() -> None:
    op.add_column('audit', sa.Column('check_percent', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.add_column('audit', sa.Column('probe_percent', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.add_column('audit', sa.Column('strata', sa.String(), server_default='none', nullable=False))
    op.add_column('audit', sa.Column('judges', sa.Integer(), nullable=True))
    op.add_column('audit', sa.Column('images_each', sa.Integer(), nullable=True))
    op.add_column('audit', sa.Column('population', sa.Integer(), nullable=True))
    op.add_column('audit', sa.Column('population_is_about', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.add_column('audit', sa.Column('is_simulated', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.create_check_constraint(op.f('ck_audit_check_percent'), 'audit', 'check_percent BETWEEN 0 AND 50')
    op.create_check_constraint(op.f('ck_audit_probe_percent'), 'audit', 'probe_percent BETWEEN 0 AND 100')
    op.create_check_constraint(op.f('ck_audit_strata'), 'audit', "strata IN ('none', 'root', 'polarity', 'run')")
    op.create_check_constraint(op.f('ck_audit_judges'), 'audit', '(judges IS NULL) = (images_each IS NULL) AND judges > 0 AND images_each > 0')
    op.add_column('audit_item', sa.Column('expected', sa.String(), nullable=True))
    for column in ('node_id', 'polarity', 'root_key'):
        op.alter_column('audit_item', column, nullable=True)
    op.drop_constraint(op.f('ck_audit_item_kind'), 'audit_item', type_='check')
    op.create_check_constraint(op.f('ck_audit_item_kind'), 'audit_item', "kind IN ('label', 'decoy', 'check')")
    op.create_check_constraint(op.f('ck_audit_item_attribute'), 'audit_item', "num_nonnulls(node_id, polarity, root_key) = CASE WHEN kind = 'check' THEN 0 ELSE 3 END")
    op.create_check_constraint(op.f('ck_audit_item_check'), 'audit_item', "(kind = 'check') = (expected IS NOT NULL)")
    op.create_check_constraint(op.f('ck_audit_item_expected'), 'audit_item', f"expected IN {ANSWERS}")
    op.create_table('audit_share',
    sa.Column('participant_id', sa.BigInteger(), nullable=False),
    sa.Column('image_position', sa.Integer(), nullable=False),
    sa.Column('audit_id', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['audit_id', 'participant_id'], ['participant.audit_id', 'participant.id'], name=op.f('fk_audit_share_audit_id_participant_id')),
    sa.PrimaryKeyConstraint('participant_id', 'image_position', name=op.f('pk_audit_share'))
    )
    op.create_index(op.f('ix_audit_share_audit_id_image_position'), 'audit_share', ['audit_id', 'image_position'], unique=False)
    op.create_table('audit_probe',
    sa.Column('participant_id', sa.BigInteger(), nullable=False),
    sa.Column('image_position', sa.Integer(), nullable=False),
    sa.Column('audit_id', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['audit_id', 'participant_id'], ['participant.audit_id', 'participant.id'], name=op.f('fk_audit_probe_audit_id_participant_id')),
    sa.PrimaryKeyConstraint('participant_id', 'image_position', name=op.f('pk_audit_probe'))
    )
    op.create_index(op.f('ix_audit_probe_audit_id'), 'audit_probe', ['audit_id'], unique=False)
    op.create_table('missed_attribute',
    sa.Column('participant_id', sa.BigInteger(), nullable=False),
    sa.Column('image_position', sa.Integer(), nullable=False),
    sa.Column('node_id', sa.BigInteger(), nullable=False),
    sa.Column('polarity', sa.String(), nullable=False),
    sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f('ck_missed_attribute_polarity')),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_missed_attribute_node_id')),
    sa.ForeignKeyConstraint(['participant_id', 'image_position'], ['audit_probe.participant_id', 'audit_probe.image_position'], name=op.f('fk_missed_attribute_participant_id_image_position'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('participant_id', 'image_position', 'node_id', 'polarity', name=op.f('pk_missed_attribute'))
    )


def downgrade() -> None:
    # What participants said is missing, and who was asked about which image, is part of an audit's result.
    op.execute(
        "DO $$ BEGIN"
        " IF EXISTS (SELECT FROM audit_probe) OR EXISTS (SELECT FROM audit_share)"
        " OR EXISTS (SELECT FROM audit_item WHERE kind = 'check') THEN"
        " RAISE EXCEPTION 'Going back would lose shares, probes or attention checks of audits.'; END IF; END $$"
    )
    op.drop_table('missed_attribute')
    op.drop_table('audit_probe')
    op.drop_table('audit_share')
    for name in ('expected', 'check', 'attribute', 'kind'):
        op.drop_constraint(op.f(f'ck_audit_item_{name}'), 'audit_item', type_='check')
    op.create_check_constraint(op.f('ck_audit_item_kind'), 'audit_item', "kind IN ('label', 'decoy')")
    for column in ('root_key', 'polarity', 'node_id'):
        op.alter_column('audit_item', column, nullable=False)
    op.drop_column('audit_item', 'expected')
    for name in ('judges', 'strata', 'probe_percent', 'check_percent'):
        op.drop_constraint(op.f(f'ck_audit_{name}'), 'audit', type_='check')
    for column in ('is_simulated', 'population_is_about', 'population', 'images_each', 'judges', 'strata', 'probe_percent', 'check_percent'):
        op.drop_column('audit', column)
