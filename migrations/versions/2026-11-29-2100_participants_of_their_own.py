"""Participants, and what they agreed to, in tables of their own; who withdrew.

An audit's notice becomes its first consent notice, by which everyone so far is known to have agreed. This
release and the one before cannot serve the same database at once: participants change their table's name.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Constraints whose names begin with their table's: (kind, what follows the table's name).
NAMES = [('pk', ''), ('uq', '_audit_id_id'), ('uq', '_audit_id_number'), ('uq', '_token_hash'), ('fk', '_audit_id')]


def _call(old: str, new: str) -> None:
    op.rename_table(old, new)
    for kind, rest in NAMES:
        op.execute(f"ALTER TABLE {new} RENAME CONSTRAINT {kind}_{old}{rest} TO {kind}_{new}{rest}")
    op.execute(f"ALTER SEQUENCE {old}_id_seq RENAME TO {new}_id_seq")


def upgrade() -> None:
    op.create_table('consent_notice',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('audit_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('created_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint('number > 0', name=op.f('ck_consent_notice_number')),
    sa.CheckConstraint("text <> ''", name=op.f('ck_consent_notice_text')),
    sa.ForeignKeyConstraint(['audit_id'], ['audit.id'], name=op.f('fk_consent_notice_audit_id')),
    sa.ForeignKeyConstraint(['created_by'], ['person.id'], name=op.f('fk_consent_notice_created_by')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_consent_notice')),
    sa.UniqueConstraint('audit_id', 'id', name=op.f('uq_consent_notice_audit_id_id')),
    sa.UniqueConstraint('audit_id', 'number', name=op.f('uq_consent_notice_audit_id_number'))
    )
    op.execute(
        "INSERT INTO consent_notice (audit_id, number, text, created_by, created_at)"
        " SELECT id, 1, CASE notice WHEN '' THEN '–' ELSE notice END, created_by, created_at FROM audit"
    )
    op.execute(
        "CREATE TRIGGER consent_notice_append_only BEFORE UPDATE OR DELETE ON consent_notice"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.drop_column('audit', 'notice')
    _call('audit_participant', 'participant')
    op.add_column('participant', sa.Column('notice_id', sa.BigInteger(), nullable=True))
    op.add_column('participant', sa.Column('withdrawn_at', sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE participant SET notice_id = n.id FROM consent_notice AS n"
        " WHERE n.audit_id = participant.audit_id AND participant.consented_at IS NOT NULL"
    )
    op.create_foreign_key(op.f('fk_participant_audit_id_notice_id'), 'participant', 'consent_notice', ['audit_id', 'notice_id'], ['audit_id', 'id'])
    op.create_check_constraint(op.f('ck_participant_consent'), 'participant', '(consented_at IS NULL) = (notice_id IS NULL)')
    op.create_check_constraint(op.f('ck_participant_finished'), 'participant', 'finished_at IS NULL OR consented_at IS NOT NULL')


def downgrade() -> None:
    # The older release would show a withdrawn participant as one who may answer, and agreed to another text.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM participant WHERE withdrawn_at IS NOT NULL) THEN
                RAISE EXCEPTION 'participants have withdrawn, which release 0013 cannot hold';
            END IF;
            IF EXISTS (SELECT FROM consent_notice WHERE number > 1) THEN
                RAISE EXCEPTION 'notices were rewritten, which release 0013 cannot hold';
            END IF;
        END $$
    """)
    for name in ('finished', 'consent'):
        op.drop_constraint(op.f(f'ck_participant_{name}'), 'participant')
    op.drop_constraint(op.f('fk_participant_audit_id_notice_id'), 'participant')
    op.drop_column('participant', 'withdrawn_at')
    op.drop_column('participant', 'notice_id')
    _call('participant', 'audit_participant')
    op.add_column('audit', sa.Column('notice', sa.String(), nullable=True))
    op.execute("UPDATE audit SET notice = n.text FROM consent_notice AS n WHERE n.audit_id = audit.id")
    op.alter_column('audit', 'notice', nullable=False)
    op.drop_table('consent_notice')
