"""Images can be corrected, set aside, replaced and erased, and every change to them is recorded."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KINDS = "kind IN ('refused', 'duplicate', 'note', 'changed', 'replaced', 'same_name')"
OLD_KINDS = "kind IN ('refused', 'duplicate', 'note')"


def upgrade() -> None:
    op.add_column('image', sa.Column('revision', sa.Integer(), server_default=sa.text('1'), nullable=False))
    op.add_column('image', sa.Column('state', sa.String(), server_default='used', nullable=False))
    op.add_column('image', sa.Column('state_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('image', sa.Column('state_by', sa.BigInteger(), nullable=True))
    op.add_column('image', sa.Column('state_reason', sa.String(), server_default='', nullable=False))
    op.create_foreign_key(op.f('fk_image_state_by'), 'image', 'person', ['state_by'], ['id'])
    op.create_check_constraint(op.f('ck_image_state'), 'image', "state IN ('used', 'aside', 'erased')")
    op.create_check_constraint(op.f('ck_image_state_at'), 'image', "(state = 'used') = (state_at IS NULL)")
    op.create_check_constraint(op.f('ck_image_aside_has_reason'), 'image', "state <> 'aside' OR state_reason <> ''")
    op.create_check_constraint(op.f('ck_image_erased_is_empty'), 'image', "state <> 'erased' OR (prompt = '' AND details = '{}' AND search = '' AND looks IS NULL)")
    op.drop_constraint(op.f('uq_image_project_id_sha256'), 'image')
    op.create_index('uq_image_project_id_sha256', 'image', ['project_id', 'sha256'], unique=True, postgresql_where=sa.text("state <> 'erased'"))
    op.create_index('ix_image_left_out', 'image', ['project_id', 'id'], unique=False, postgresql_where=sa.text("state <> 'used'"))
    op.create_index(op.f('ix_image_project_id_name'), 'image', ['project_id', 'name'], unique=False)
    op.create_table('image_event',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.BigInteger(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('before', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('after', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('import_id', sa.BigInteger(), nullable=True),
    sa.Column('person_id', sa.BigInteger(), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("kind IN ('edit', 'list', 'import', 'aside', 'back', 'replace', 'erase')", name=op.f('ck_image_event_kind')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_image_event_image_id')),
    sa.ForeignKeyConstraint(['import_id'], ['image_import.id'], name=op.f('fk_image_event_import_id')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_image_event_person_id')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_image_event_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_image_event'))
    )
    op.create_index(op.f('ix_image_event_image_id_id'), 'image_event', ['image_id', 'id'], unique=False)
    op.create_index(op.f('ix_image_event_project_id_id'), 'image_event', ['project_id', 'id'], unique=False)
    # Erasing takes the content out of an image's events and leaves that something happened, when and by whom.
    op.execute("""
        CREATE FUNCTION refuse_image_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND NEW.before IS NULL AND NEW.after IS NULL
                AND ROW(NEW.id, NEW.project_id, NEW.image_id, NEW.kind, NEW.revision, NEW.import_id, NEW.person_id, NEW.at)
                    IS NOT DISTINCT FROM
                    ROW(OLD.id, OLD.project_id, OLD.image_id, OLD.kind, OLD.revision, OLD.import_id, OLD.person_id, OLD.at)
                AND EXISTS (SELECT FROM image WHERE id = OLD.image_id AND state = 'erased')
            THEN RETURN NEW;
            END IF;
            RAISE EXCEPTION 'image_event is append-only' USING ERRCODE = 'integrity_constraint_violation';
        END $$
    """)
    op.execute(
        "CREATE TRIGGER image_event_append_only BEFORE UPDATE OR DELETE ON image_event"
        " FOR EACH ROW EXECUTE FUNCTION refuse_image_event_change()"
    )
    op.create_table('storage_removal',
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('failures', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('not_before', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f('ck_storage_removal_sha256')),
    sa.PrimaryKeyConstraint('sha256', name=op.f('pk_storage_removal'))
    )
    op.create_table('dataset_erasure',
    sa.Column('dataset_id', sa.BigInteger(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['dataset_id'], ['dataset.id'], name=op.f('fk_dataset_erasure_dataset_id')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_dataset_erasure_image_id')),
    sa.PrimaryKeyConstraint('dataset_id', 'image_id', name=op.f('pk_dataset_erasure'))
    )
    op.add_column('image_import', sa.Column('changed', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.add_column('image_import', sa.Column('replaced', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.add_column('import_problem', sa.Column('image_id', sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f('fk_import_problem_image_id'), 'import_problem', 'image', ['image_id'], ['id'])
    op.create_index(op.f('ix_import_problem_image_id'), 'import_problem', ['image_id'], unique=False, postgresql_where=sa.text('image_id IS NOT NULL'))
    op.drop_constraint(op.f('ck_import_problem_kind'), 'import_problem')
    op.create_check_constraint(op.f('ck_import_problem_kind'), 'import_problem', KINDS)


def downgrade() -> None:
    op.execute("LOCK TABLE image IN ACCESS EXCLUSIVE MODE")
    # The older release would show, sample and train on what was set aside, and ask for bytes that are gone.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM image WHERE state <> 'used') THEN
                RAISE EXCEPTION 'there are images that were set aside or erased, which release 0006 cannot hold';
            END IF;
        END $$
    """)
    op.execute("UPDATE import_problem SET kind = 'duplicate' WHERE kind IN ('changed', 'replaced')")
    op.execute("UPDATE import_problem SET kind = 'note' WHERE kind = 'same_name'")
    op.drop_constraint(op.f('ck_import_problem_kind'), 'import_problem')
    op.create_check_constraint(op.f('ck_import_problem_kind'), 'import_problem', OLD_KINDS)
    op.drop_index(op.f('ix_import_problem_image_id'), table_name='import_problem', postgresql_where=sa.text('image_id IS NOT NULL'))
    op.drop_column('import_problem', 'image_id')
    op.drop_column('image_import', 'replaced')
    op.drop_column('image_import', 'changed')
    op.drop_table('dataset_erasure')
    op.drop_table('storage_removal')
    op.drop_table('image_event')
    op.execute("DROP FUNCTION refuse_image_event_change()")
    op.drop_index(op.f('ix_image_project_id_name'), table_name='image')
    op.drop_index('ix_image_left_out', table_name='image', postgresql_where=sa.text("state <> 'used'"))
    op.drop_index('uq_image_project_id_sha256', table_name='image', postgresql_where=sa.text("state <> 'erased'"))
    op.create_unique_constraint(op.f('uq_image_project_id_sha256'), 'image', ['project_id', 'sha256'])
    for name in ('erased_is_empty', 'aside_has_reason', 'state_at', 'state'):
        op.drop_constraint(op.f(f'ck_image_{name}'), 'image')
    for name in ('state_reason', 'state_by', 'state_at', 'state', 'revision'):
        op.drop_column('image', name)
