"""Pair datasets, and the kinds of run that learn from them: dpo, npo; and spo."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('pair_dataset',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('dataset_id', sa.BigInteger(), nullable=True),
    sa.Column('job_id', sa.BigInteger(), nullable=True),
    sa.Column('options', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('counts', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('bytes', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('folder', sa.String(), nullable=True),
    sa.Column('manifest_sha256', sa.String(), nullable=True),
    sa.Column('created_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("source IN ('labels', 'generated', 'import')", name=op.f('ck_pair_dataset_source')),
    sa.CheckConstraint("source = 'import' OR dataset_id IS NOT NULL", name=op.f('ck_pair_dataset_source_has_its_dataset')),
    sa.CheckConstraint('(manifest_sha256 IS NULL) = (folder IS NULL)', name=op.f('ck_pair_dataset_ready_has_folder_and_hash')),
    sa.ForeignKeyConstraint(['created_by'], ['person.id'], name=op.f('fk_pair_dataset_created_by')),
    sa.ForeignKeyConstraint(['dataset_id'], ['dataset.id'], name=op.f('fk_pair_dataset_dataset_id')),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_pair_dataset_job_id')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_pair_dataset_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_pair_dataset')),
    sa.UniqueConstraint('job_id', name=op.f('uq_pair_dataset_job_id')),
    sa.UniqueConstraint('project_id', 'number', name=op.f('uq_pair_dataset_project_id_number'))
    )
    op.create_index(op.f('ix_pair_dataset_project_id_id'), 'pair_dataset', ['project_id', 'id'], unique=False)
    op.alter_column('run', 'dataset_id', existing_type=sa.BigInteger(), nullable=True)
    for name, target in (('pair_dataset_id', 'pair_dataset'), ('start_run_id', 'run'), ('negative_run_id', 'run')):
        op.add_column('run', sa.Column(name, sa.BigInteger(), nullable=True))
        op.create_foreign_key(op.f(f'fk_run_{name}'), 'run', target, [name], ['id'])
    op.create_index(op.f('ix_run_pair_dataset_id'), 'run', ['pair_dataset_id'], unique=False)
    op.drop_constraint(op.f('ck_run_kind'), 'run')
    op.drop_constraint(op.f('ck_run_expert'), 'run')
    op.create_check_constraint(op.f('ck_run_kind'), 'run', "kind IN ('sft', 'cpo', 'cpo_s', 'dpo', 'npo', 'spo')")
    op.create_check_constraint(op.f('ck_run_expert'), 'run', "kind NOT IN ('cpo', 'cpo_s') OR expert_run_id IS NOT NULL")
    op.create_check_constraint(op.f('ck_run_data'), 'run', "num_nonnulls(dataset_id, pair_dataset_id) = 1 AND (pair_dataset_id IS NOT NULL) = (kind IN ('dpo', 'npo'))")


def downgrade() -> None:
    op.execute("LOCK TABLE run IN ACCESS EXCLUSIVE MODE")
    # Runs of kinds that the older release does not know stay for the newer one: refuse, and lose nothing.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM run WHERE kind IN ('dpo', 'npo', 'spo')) THEN
                RAISE EXCEPTION 'there are runs of kind dpo, npo or spo, which release 0001 cannot hold';
            END IF;
        END $$
    """)
    op.drop_constraint(op.f('ck_run_data'), 'run')
    op.drop_constraint(op.f('ck_run_expert'), 'run')
    op.drop_constraint(op.f('ck_run_kind'), 'run')
    op.create_check_constraint(op.f('ck_run_kind'), 'run', "kind IN ('sft', 'cpo', 'cpo_s')")
    op.create_check_constraint(op.f('ck_run_expert'), 'run', "kind = 'sft' OR expert_run_id IS NOT NULL")
    op.drop_index(op.f('ix_run_pair_dataset_id'), table_name='run')
    for name in ('negative_run_id', 'start_run_id', 'pair_dataset_id'):
        op.drop_column('run', name)
    op.alter_column('run', 'dataset_id', existing_type=sa.BigInteger(), nullable=False)
    op.drop_index(op.f('ix_pair_dataset_project_id_id'), table_name='pair_dataset')
    op.drop_table('pair_dataset')
