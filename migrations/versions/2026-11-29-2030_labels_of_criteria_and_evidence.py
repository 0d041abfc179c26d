"""A publication of the criteria or a person may propose, too; labels carry the evidence in words."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KINDS = "('propose', 'refresh', 'confirm', 'reject', 'add', 'withdraw', 'undo', 'done', 'reopen', 'follow', 'merge', 'split')"
EVENT_CHECKS = {
    'kind': f'kind IN {KINDS}',
    'maker': 'num_nonnulls(agent_run_id, person_id) = 1',
    'of_agent': "agent_run_id IS NULL OR kind IN ('propose', 'refresh', 'reopen')",
    'refresh': "kind <> 'refresh' OR agent_run_id IS NOT NULL",
    'of_publication': "kind NOT IN ('follow', 'merge', 'split') OR node_id IS NOT NULL",
}


def upgrade() -> None:
    op.add_column('label', sa.Column('evidence', sa.String(), nullable=True))
    op.create_check_constraint(op.f('ck_label_evidence'), 'label', 'char_length(evidence) BETWEEN 1 AND 600')
    op.drop_constraint(op.f('ck_label_proposed_by_agent'), 'label')
    op.drop_constraint(op.f('ck_label_source'), 'label')
    op.create_check_constraint(op.f('ck_label_source'), 'label', "source IN ('agent', 'person', 'criteria')")
    for name, check in EVENT_CHECKS.items():
        op.create_check_constraint(op.f(f'ck_label_event_{name}'), 'label_event', check)


def downgrade() -> None:
    op.execute("LOCK TABLE label, label_event IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (
                SELECT FROM label WHERE source = 'criteria' OR evidence IS NOT NULL
                    OR (state = 'proposed' AND source <> 'agent')
            ) THEN
                RAISE EXCEPTION 'there are labels that no agent run proposed or that carry evidence in words, which release 0012 cannot hold';
            END IF;
        END $$
    """)
    for name in reversed(EVENT_CHECKS):
        op.drop_constraint(op.f(f'ck_label_event_{name}'), 'label_event')
    op.drop_constraint(op.f('ck_label_source'), 'label')
    op.create_check_constraint(op.f('ck_label_source'), 'label', "source IN ('agent', 'person')")
    op.create_check_constraint(op.f('ck_label_proposed_by_agent'), 'label', "source = 'agent' OR state <> 'proposed'")
    op.drop_constraint(op.f('ck_label_evidence'), 'label')
    op.drop_column('label', 'evidence')
