"""The first tables, and the triggers that keep history append-only.

House rules: never lock a table for long (lock_timeout is set), work with the previous release's
code (expand, migrate, contract), and leave a downgrade that restores the structure.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


APPEND_ONLY = ("label_event", "node_change", "criteria_version", "job_event")


def refuse_changes() -> None:
    """History and publications are never altered, whoever asks."""
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
                USING ERRCODE = 'integrity_constraint_violation';
        END $$
        """
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )


def upgrade() -> None:
    op.create_table('person',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('email', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('password_hash', sa.String(), nullable=True),
    sa.Column('is_operator', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('theme', sa.String(), server_default='system', nullable=False),
    sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("email = lower(email) AND position('@' in email) > 1", name=op.f('ck_person_email')),
    sa.CheckConstraint('length(name) BETWEEN 1 AND 120', name=op.f('ck_person_name')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_person')),
    sa.UniqueConstraint('email', name=op.f('uq_person_email'))
    )
    op.create_table('project',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('slug', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('description', sa.String(), server_default='', nullable=False),
    sa.Column('options', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name=op.f('ck_project_slug')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_project')),
    sa.UniqueConstraint('slug', name=op.f('uq_project_slug'))
    )
    op.create_table('sign_in_failure',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('email', sa.String(), nullable=False),
    sa.Column('address', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sign_in_failure'))
    )
    op.create_index(op.f('ix_sign_in_failure_address_at'), 'sign_in_failure', ['address', 'at'], unique=False)
    op.create_index(op.f('ix_sign_in_failure_email_at'), 'sign_in_failure', ['email', 'at'], unique=False)
    op.create_table('api_token',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('prefix', sa.String(), nullable=False),
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_api_token_person_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_token')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_api_token_token_hash'))
    )
    op.create_index(op.f('ix_api_token_person_id'), 'api_token', ['person_id'], unique=False)
    op.create_table('criteria',
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('language', sa.String(), server_default='en', nullable=False),
    sa.Column('max_levels', sa.Integer(), server_default=sa.text('5'), nullable=False),
    sa.Column('revision', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_criteria_project_id')),
    sa.PrimaryKeyConstraint('project_id', name=op.f('pk_criteria'))
    )
    op.create_table('job',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('queue', sa.String(), server_default='cpu', nullable=False),
    sa.Column('spec', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('state', sa.String(), server_default='queued', nullable=False),
    sa.Column('attempt', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('failures', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('max_failures', sa.Integer(), server_default=sa.text('3'), nullable=False),
    sa.Column('owner', sa.String(), nullable=True),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('heartbeat_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('cancel_requested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('not_before', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('progress', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('result', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('error_class', sa.String(), nullable=True),
    sa.Column('error', sa.String(), nullable=True),
    sa.Column('created_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state IN ('running', 'cancelling')) = (lease_until IS NOT NULL)", name=op.f('ck_job_lease')),
    sa.CheckConstraint("queue IN ('cpu', 'gpu')", name=op.f('ck_job_queue')),
    sa.CheckConstraint("state IN ('queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')", name=op.f('ck_job_state')),
    sa.CheckConstraint('attempt >= 0 AND failures >= 0 AND max_failures > 0', name=op.f('ck_job_counts')),
    sa.ForeignKeyConstraint(['created_by'], ['person.id'], name=op.f('fk_job_created_by')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_job_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_job'))
    )
    op.create_index('ix_job_open', 'job', ['state', 'not_before'], unique=False, postgresql_where=sa.text("state IN ('queued', 'running', 'cancelling')"))
    op.create_index(op.f('ix_job_project_id_id'), 'job', ['project_id', 'id'], unique=False)
    op.create_table('membership',
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('role', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("role IN ('annotator', 'expert', 'lead')", name=op.f('ck_membership_role')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_membership_person_id')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_membership_project_id')),
    sa.PrimaryKeyConstraint('project_id', 'person_id', name=op.f('pk_membership'))
    )
    op.create_index(op.f('ix_membership_person_id'), 'membership', ['person_id'], unique=False)
    op.create_table('one_time_link',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=True),
    sa.Column('role', sa.String(), nullable=True),
    sa.Column('note', sa.String(), server_default='', nullable=False),
    sa.Column('created_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('used_by', sa.BigInteger(), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(kind = 'invitation') = (project_id IS NOT NULL AND role IS NOT NULL)", name=op.f('ck_one_time_link_invitation')),
    sa.CheckConstraint("kind IN ('first_lead', 'invitation')", name=op.f('ck_one_time_link_kind')),
    sa.ForeignKeyConstraint(['created_by'], ['person.id'], name=op.f('fk_one_time_link_created_by')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_one_time_link_project_id')),
    sa.ForeignKeyConstraint(['used_by'], ['person.id'], name=op.f('fk_one_time_link_used_by')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_one_time_link')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_one_time_link_token_hash'))
    )
    op.create_index(op.f('ix_one_time_link_project_id'), 'one_time_link', ['project_id'], unique=False)
    op.create_table('sign_in',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('browser', sa.String(), nullable=False),
    sa.Column('address', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_sign_in_person_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sign_in')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_sign_in_token_hash'))
    )
    op.create_index(op.f('ix_sign_in_person_id'), 'sign_in', ['person_id'], unique=False)
    op.create_table('criteria_version',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('content', sa.String(), nullable=False),
    sa.Column('note', sa.String(), server_default='', nullable=False),
    sa.Column('working_revision', sa.Integer(), nullable=False),
    sa.Column('published_by', sa.BigInteger(), nullable=True),
    sa.Column('published_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f('ck_criteria_version_sha256')),
    sa.CheckConstraint('number > 0', name=op.f('ck_criteria_version_number')),
    sa.ForeignKeyConstraint(['project_id'], ['criteria.project_id'], name=op.f('fk_criteria_version_project_id')),
    sa.ForeignKeyConstraint(['published_by'], ['person.id'], name=op.f('fk_criteria_version_published_by')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_criteria_version')),
    sa.UniqueConstraint('project_id', 'number', name=op.f('uq_criteria_version_project_id_number'))
    )
    op.create_table('image_import',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=True),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('origin', sa.String(), nullable=False),
    sa.Column('added', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('duplicates', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('refused', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('created_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("source IN ('folder', 'zip', 'csv', 'files', 'demo')", name=op.f('ck_image_import_source')),
    sa.ForeignKeyConstraint(['created_by'], ['person.id'], name=op.f('fk_image_import_created_by')),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_image_import_job_id')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_image_import_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_image_import')),
    sa.UniqueConstraint('job_id', name=op.f('uq_image_import_job_id'))
    )
    op.create_index(op.f('ix_image_import_project_id_id'), 'image_import', ['project_id', 'id'], unique=False)
    op.create_table('job_event',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('message', sa.String(), server_default='', nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_job_event_job_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_job_event'))
    )
    op.create_index(op.f('ix_job_event_job_id_id'), 'job_event', ['job_id', 'id'], unique=False)
    op.create_table('node',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('parent_id', sa.BigInteger(), nullable=True),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(), nullable=True),
    sa.Column('definition', sa.String(), server_default='', nullable=False),
    sa.Column('exclusive', sa.Boolean(), nullable=True),
    sa.Column('relation', sa.String(), nullable=True),
    sa.Column('positive_name', sa.String(), nullable=True),
    sa.Column('positive_definition', sa.String(), nullable=True),
    sa.Column('negative_name', sa.String(), nullable=True),
    sa.Column('negative_definition', sa.String(), nullable=True),
    sa.Column('retired', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('removed', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('predecessor_id', sa.BigInteger(), nullable=True),
    sa.Column('revision', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("(kind = 'dimension') = (name IS NOT NULL AND exclusive IS NOT NULL)", name=op.f('ck_node_dimension_columns')),
    sa.CheckConstraint("(kind = 'pair') = (relation IS NOT NULL AND positive_name IS NOT NULL AND negative_name IS NOT NULL AND positive_definition IS NOT NULL AND negative_definition IS NOT NULL)", name=op.f('ck_node_pair_columns')),
    sa.CheckConstraint("kind = 'dimension' OR parent_id IS NOT NULL", name=op.f('ck_node_pair_has_parent')),
    sa.CheckConstraint("kind IN ('dimension', 'pair')", name=op.f('ck_node_kind')),
    sa.CheckConstraint("relation IN ('opposed', 'flaw')", name=op.f('ck_node_relation')),
    sa.CheckConstraint('parent_id <> id', name=op.f('ck_node_parent')),
    sa.ForeignKeyConstraint(['predecessor_id'], ['node.id'], name=op.f('fk_node_predecessor_id')),
    sa.ForeignKeyConstraint(['project_id', 'parent_id'], ['node.project_id', 'node.id'], name='fk_node_parent'),
    sa.ForeignKeyConstraint(['project_id'], ['criteria.project_id'], name=op.f('fk_node_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_node')),
    sa.UniqueConstraint('project_id', 'id', name=op.f('uq_node_project_id_id')),
    sa.UniqueConstraint('project_id', 'key', name=op.f('uq_node_project_id_key'))
    )
    op.create_index(op.f('ix_node_project_id_parent_id_position'), 'node', ['project_id', 'parent_id', 'position'], unique=False)
    op.create_table('agent_run',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=True),
    sa.Column('agent', sa.String(), nullable=False),
    sa.Column('agent_version', sa.String(), nullable=False),
    sa.Column('version_id', sa.BigInteger(), nullable=False),
    sa.Column('config', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('images', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('labels', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('created_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("agent IN ('measured', 'vlm')", name=op.f('ck_agent_run_agent')),
    sa.ForeignKeyConstraint(['created_by'], ['person.id'], name=op.f('fk_agent_run_created_by')),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_agent_run_job_id')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_agent_run_project_id')),
    sa.ForeignKeyConstraint(['version_id'], ['criteria_version.id'], name=op.f('fk_agent_run_version_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_agent_run')),
    sa.UniqueConstraint('job_id', name=op.f('uq_agent_run_job_id'))
    )
    op.create_index(op.f('ix_agent_run_project_id_id'), 'agent_run', ['project_id', 'id'], unique=False)
    op.create_table('dataset',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=True),
    sa.Column('version_id', sa.BigInteger(), nullable=False),
    sa.Column('options', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('counts', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('bytes', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('folder', sa.String(), nullable=True),
    sa.Column('manifest_sha256', sa.String(), nullable=True),
    sa.Column('created_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint('(manifest_sha256 IS NULL) = (folder IS NULL)', name=op.f('ck_dataset_ready_has_folder_and_hash')),
    sa.ForeignKeyConstraint(['created_by'], ['person.id'], name=op.f('fk_dataset_created_by')),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_dataset_job_id')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_dataset_project_id')),
    sa.ForeignKeyConstraint(['version_id'], ['criteria_version.id'], name=op.f('fk_dataset_version_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dataset')),
    sa.UniqueConstraint('job_id', name=op.f('uq_dataset_job_id')),
    sa.UniqueConstraint('project_id', 'number', name=op.f('uq_dataset_project_id_number'))
    )
    op.create_index(op.f('ix_dataset_project_id_id'), 'dataset', ['project_id', 'id'], unique=False)
    op.create_table('image',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('format', sa.String(), nullable=False),
    sa.Column('width', sa.Integer(), nullable=False),
    sa.Column('height', sa.Integer(), nullable=False),
    sa.Column('bytes', sa.Integer(), nullable=False),
    sa.Column('prompt', sa.String(), server_default='', nullable=False),
    sa.Column('details', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('label_revision', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('done_by', sa.BigInteger(), nullable=True),
    sa.Column('import_id', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f('ck_image_sha256')),
    sa.CheckConstraint('width > 0 AND height > 0 AND bytes > 0', name=op.f('ck_image_size')),
    sa.ForeignKeyConstraint(['done_by'], ['person.id'], name=op.f('fk_image_done_by')),
    sa.ForeignKeyConstraint(['import_id'], ['image_import.id'], name=op.f('fk_image_import_id')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_image_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_image')),
    sa.UniqueConstraint('project_id', 'sha256', name=op.f('uq_image_project_id_sha256'))
    )
    op.create_index(op.f('ix_image_import_id'), 'image', ['import_id'], unique=False)
    op.create_index(op.f('ix_image_project_id_id'), 'image', ['project_id', 'id'], unique=False)
    op.create_index('ix_image_undone', 'image', ['project_id', 'id'], unique=False, postgresql_where=sa.text('done_at IS NULL'))
    op.create_table('import_problem',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('import_id', sa.BigInteger(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.CheckConstraint("kind IN ('refused', 'duplicate')", name=op.f('ck_import_problem_kind')),
    sa.ForeignKeyConstraint(['import_id'], ['image_import.id'], name=op.f('fk_import_problem_import_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_import_problem')),
    sa.UniqueConstraint('import_id', 'name', name=op.f('uq_import_problem_import_id_name'))
    )
    op.create_table('node_change',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('node_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('before', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('after', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('undoes', sa.Integer(), nullable=True),
    sa.Column('person_id', sa.BigInteger(), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_node_change_node_id')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_node_change_person_id')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_node_change_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_node_change')),
    sa.UniqueConstraint('project_id', 'revision', name=op.f('uq_node_change_project_id_revision')),
    sa.UniqueConstraint('project_id', 'undoes', name=op.f('uq_node_change_project_id_undoes'))
    )
    op.create_index(op.f('ix_node_change_node_id_id'), 'node_change', ['node_id', 'id'], unique=False)
    op.create_table('agent_run_problem',
    sa.Column('agent_run_id', sa.BigInteger(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['agent_run_id'], ['agent_run.id'], name=op.f('fk_agent_run_problem_agent_run_id')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_agent_run_problem_image_id')),
    sa.PrimaryKeyConstraint('agent_run_id', 'image_id', name=op.f('pk_agent_run_problem'))
    )
    op.create_table('audit',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('state', sa.String(), server_default='open', nullable=False),
    sa.Column('seed', sa.BigInteger(), nullable=False),
    sa.Column('sample_size', sa.Integer(), nullable=False),
    sa.Column('min_labels', sa.Integer(), nullable=False),
    sa.Column('agent_run_id', sa.BigInteger(), nullable=True),
    sa.Column('version_id', sa.BigInteger(), nullable=False),
    sa.Column('notice', sa.String(), nullable=False),
    sa.Column('created_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('open', 'closed')", name=op.f('ck_audit_state')),
    sa.CheckConstraint('sample_size > 0 AND min_labels > 0', name=op.f('ck_audit_sample')),
    sa.ForeignKeyConstraint(['agent_run_id'], ['agent_run.id'], name=op.f('fk_audit_agent_run_id')),
    sa.ForeignKeyConstraint(['created_by'], ['person.id'], name=op.f('fk_audit_created_by')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_audit_project_id')),
    sa.ForeignKeyConstraint(['version_id'], ['criteria_version.id'], name=op.f('fk_audit_version_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit'))
    )
    op.create_index(op.f('ix_audit_project_id_id'), 'audit', ['project_id', 'id'], unique=False)
    op.create_table('label',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('node_id', sa.BigInteger(), nullable=False),
    sa.Column('polarity', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('agent_run_id', sa.BigInteger(), nullable=True),
    sa.Column('version_id', sa.BigInteger(), nullable=False),
    sa.Column('measure', sa.String(), nullable=True),
    sa.Column('value', sa.Double(), nullable=True),
    sa.Column('threshold', sa.Double(), nullable=True),
    sa.Column('confidence', sa.Double(), nullable=True),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('decided_by', sa.BigInteger(), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(source = 'agent') = (agent_run_id IS NOT NULL)", name=op.f('ck_label_agent_run')),
    sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f('ck_label_polarity')),
    sa.CheckConstraint("source = 'agent' OR state <> 'proposed'", name=op.f('ck_label_proposed_by_agent')),
    sa.CheckConstraint("source IN ('agent', 'person')", name=op.f('ck_label_source')),
    sa.CheckConstraint("state IN ('proposed', 'confirmed', 'rejected')", name=op.f('ck_label_state')),
    sa.ForeignKeyConstraint(['agent_run_id'], ['agent_run.id'], name=op.f('fk_label_agent_run_id')),
    sa.ForeignKeyConstraint(['decided_by'], ['person.id'], name=op.f('fk_label_decided_by')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_label_image_id')),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_label_node_id')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_label_project_id')),
    sa.ForeignKeyConstraint(['version_id'], ['criteria_version.id'], name=op.f('fk_label_version_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_label')),
    sa.UniqueConstraint('image_id', 'node_id', 'polarity', name=op.f('uq_label_image_id_node_id_polarity'))
    )
    op.create_index(op.f('ix_label_agent_run_id_node_id_polarity_state'), 'label', ['agent_run_id', 'node_id', 'polarity', 'state'], unique=False)
    op.create_index(op.f('ix_label_node_id_polarity_state'), 'label', ['node_id', 'polarity', 'state'], unique=False)
    op.create_index(op.f('ix_label_project_id_state'), 'label', ['project_id', 'state'], unique=False)
    op.create_table('label_event',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('node_id', sa.BigInteger(), nullable=False),
    sa.Column('polarity', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('before', sa.String(), nullable=True),
    sa.Column('after', sa.String(), nullable=True),
    sa.Column('image_revision', sa.Integer(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=True),
    sa.Column('agent_run_id', sa.BigInteger(), nullable=True),
    sa.Column('version_id', sa.BigInteger(), nullable=False),
    sa.Column('operation_id', sa.Uuid(), nullable=True),
    sa.Column('suggestion_visible', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('undoes_id', sa.BigInteger(), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("after IS NULL OR after IN ('proposed', 'confirmed', 'rejected')", name=op.f('ck_label_event_after')),
    sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f('ck_label_event_polarity')),
    sa.ForeignKeyConstraint(['agent_run_id'], ['agent_run.id'], name=op.f('fk_label_event_agent_run_id')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_label_event_image_id')),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_label_event_node_id')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_label_event_person_id')),
    sa.ForeignKeyConstraint(['undoes_id'], ['label_event.id'], name=op.f('fk_label_event_undoes_id')),
    sa.ForeignKeyConstraint(['version_id'], ['criteria_version.id'], name=op.f('fk_label_event_version_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_label_event'))
    )
    op.create_index(op.f('ix_label_event_image_id_id'), 'label_event', ['image_id', 'id'], unique=False)
    op.create_index('uq_label_event_operation_id', 'label_event', ['operation_id'], unique=True, postgresql_where=sa.text('operation_id IS NOT NULL'))
    op.create_table('run',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('dataset_id', sa.BigInteger(), nullable=False),
    sa.Column('expert_run_id', sa.BigInteger(), nullable=True),
    sa.Column('config', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('folder', sa.String(), nullable=False),
    sa.Column('result', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('created_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("kind = 'sft' OR expert_run_id IS NOT NULL", name=op.f('ck_run_expert')),
    sa.CheckConstraint("kind IN ('sft', 'cpo', 'cpo_s')", name=op.f('ck_run_kind')),
    sa.ForeignKeyConstraint(['created_by'], ['person.id'], name=op.f('fk_run_created_by')),
    sa.ForeignKeyConstraint(['dataset_id'], ['dataset.id'], name=op.f('fk_run_dataset_id')),
    sa.ForeignKeyConstraint(['expert_run_id'], ['run.id'], name=op.f('fk_run_expert_run_id')),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_run_job_id')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_run_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_run')),
    sa.UniqueConstraint('job_id', name=op.f('uq_run_job_id')),
    sa.UniqueConstraint('project_id', 'number', name=op.f('uq_run_project_id_number'))
    )
    op.create_index(op.f('ix_run_dataset_id'), 'run', ['dataset_id'], unique=False)
    op.create_index(op.f('ix_run_project_id_id'), 'run', ['project_id', 'id'], unique=False)
    op.create_table('audit_item',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('audit_id', sa.BigInteger(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('image_position', sa.Integer(), nullable=False),
    sa.Column('node_id', sa.BigInteger(), nullable=False),
    sa.Column('polarity', sa.String(), nullable=False),
    sa.Column('root_key', sa.String(), nullable=False),
    sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f('ck_audit_item_polarity')),
    sa.ForeignKeyConstraint(['audit_id'], ['audit.id'], name=op.f('fk_audit_item_audit_id')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_audit_item_image_id')),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_audit_item_node_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_item')),
    sa.UniqueConstraint('audit_id', 'id', name=op.f('uq_audit_item_audit_id_id')),
    sa.UniqueConstraint('audit_id', 'image_id', 'node_id', 'polarity', name=op.f('uq_audit_item_audit_id_image_id_node_id_polarity'))
    )
    op.create_index(op.f('ix_audit_item_audit_id_image_position_id'), 'audit_item', ['audit_id', 'image_position', 'id'], unique=False)
    op.create_table('audit_participant',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('audit_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('consented_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['audit_id'], ['audit.id'], name=op.f('fk_audit_participant_audit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_participant')),
    sa.UniqueConstraint('audit_id', 'id', name=op.f('uq_audit_participant_audit_id_id')),
    sa.UniqueConstraint('audit_id', 'number', name=op.f('uq_audit_participant_audit_id_number')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_audit_participant_token_hash'))
    )
    op.create_table('run_checkpoint',
    sa.Column('run_id', sa.BigInteger(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('bytes', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_run_checkpoint_run_id')),
    sa.PrimaryKeyConstraint('run_id', 'step', name=op.f('pk_run_checkpoint'))
    )
    op.create_table('run_metric',
    sa.Column('run_id', sa.BigInteger(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('values', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_run_metric_run_id')),
    sa.PrimaryKeyConstraint('run_id', 'step', name=op.f('pk_run_metric'))
    )
    op.create_table('run_sample',
    sa.Column('run_id', sa.BigInteger(), nullable=False),
    sa.Column('file', sa.String(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('index', sa.Integer(), nullable=False),
    sa.Column('model', sa.String(), nullable=False),
    sa.Column('prompt', sa.String(), nullable=False),
    sa.Column('seed', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_run_sample_run_id')),
    sa.PrimaryKeyConstraint('run_id', 'file', name=op.f('pk_run_sample'))
    )
    op.create_table('judgement',
    sa.Column('participant_id', sa.BigInteger(), nullable=False),
    sa.Column('item_id', sa.BigInteger(), nullable=False),
    sa.Column('audit_id', sa.BigInteger(), nullable=False),
    sa.Column('answer', sa.String(), nullable=False),
    sa.Column('revision', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("answer IN ('appears', 'does_not_appear', 'cannot_tell')", name=op.f('ck_judgement_answer')),
    sa.ForeignKeyConstraint(['audit_id', 'item_id'], ['audit_item.audit_id', 'audit_item.id'], name=op.f('fk_judgement_audit_id_item_id')),
    sa.ForeignKeyConstraint(['audit_id', 'participant_id'], ['audit_participant.audit_id', 'audit_participant.id'], name=op.f('fk_judgement_audit_id_participant_id')),
    sa.PrimaryKeyConstraint('participant_id', 'item_id', name=op.f('pk_judgement'))
    )
    op.create_index(op.f('ix_judgement_item_id'), 'judgement', ['item_id'], unique=False)
    refuse_changes()


def downgrade() -> None:
    op.drop_index(op.f('ix_judgement_item_id'), table_name='judgement')
    op.drop_table('judgement')
    op.drop_table('run_sample')
    op.drop_table('run_metric')
    op.drop_table('run_checkpoint')
    op.drop_table('audit_participant')
    op.drop_index(op.f('ix_audit_item_audit_id_image_position_id'), table_name='audit_item')
    op.drop_table('audit_item')
    op.drop_index(op.f('ix_run_project_id_id'), table_name='run')
    op.drop_index(op.f('ix_run_dataset_id'), table_name='run')
    op.drop_table('run')
    op.drop_index('uq_label_event_operation_id', table_name='label_event', postgresql_where=sa.text('operation_id IS NOT NULL'))
    op.drop_index(op.f('ix_label_event_image_id_id'), table_name='label_event')
    op.drop_table('label_event')
    op.drop_index(op.f('ix_label_project_id_state'), table_name='label')
    op.drop_index(op.f('ix_label_node_id_polarity_state'), table_name='label')
    op.drop_index(op.f('ix_label_agent_run_id_node_id_polarity_state'), table_name='label')
    op.drop_table('label')
    op.drop_index(op.f('ix_audit_project_id_id'), table_name='audit')
    op.drop_table('audit')
    op.drop_table('agent_run_problem')
    op.drop_index(op.f('ix_node_change_node_id_id'), table_name='node_change')
    op.drop_table('node_change')
    op.drop_table('import_problem')
    op.drop_index('ix_image_undone', table_name='image', postgresql_where=sa.text('done_at IS NULL'))
    op.drop_index(op.f('ix_image_project_id_id'), table_name='image')
    op.drop_index(op.f('ix_image_import_id'), table_name='image')
    op.drop_table('image')
    op.drop_index(op.f('ix_dataset_project_id_id'), table_name='dataset')
    op.drop_table('dataset')
    op.drop_index(op.f('ix_agent_run_project_id_id'), table_name='agent_run')
    op.drop_table('agent_run')
    op.drop_index(op.f('ix_node_project_id_parent_id_position'), table_name='node')
    op.drop_table('node')
    op.drop_index(op.f('ix_job_event_job_id_id'), table_name='job_event')
    op.drop_table('job_event')
    op.drop_index(op.f('ix_image_import_project_id_id'), table_name='image_import')
    op.drop_table('image_import')
    op.drop_table('criteria_version')
    op.drop_index(op.f('ix_sign_in_person_id'), table_name='sign_in')
    op.drop_table('sign_in')
    op.drop_index(op.f('ix_one_time_link_project_id'), table_name='one_time_link')
    op.drop_table('one_time_link')
    op.drop_index(op.f('ix_membership_person_id'), table_name='membership')
    op.drop_table('membership')
    op.drop_index(op.f('ix_job_project_id_id'), table_name='job')
    op.drop_index('ix_job_open', table_name='job', postgresql_where=sa.text("state IN ('queued', 'running', 'cancelling')"))
    op.drop_table('job')
    op.drop_table('criteria')
    op.drop_index(op.f('ix_api_token_person_id'), table_name='api_token')
    op.drop_table('api_token')
    op.drop_index(op.f('ix_sign_in_failure_email_at'), table_name='sign_in_failure')
    op.drop_index(op.f('ix_sign_in_failure_address_at'), table_name='sign_in_failure')
    op.drop_table('sign_in_failure')
    op.drop_table('project')
    op.drop_table('person')
    op.execute("DROP FUNCTION refuse_change()")
