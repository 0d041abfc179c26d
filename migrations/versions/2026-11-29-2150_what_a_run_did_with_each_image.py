"""What an agent run did with each image, in the place of a cursor and of a table of problems."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ZERO = sa.text('0')
COUNTS = ('problems', 'dropped', 'repaired')
TOKENS = ('tokens_in', 'tokens_out')

# The version that a run looked at an image under: that of its labels, or what the run said of later ones.
VERSION = """
    coalesce(
        (SELECT (l->>'version_id')::bigint FROM jsonb_array_elements(r.config->'later_versions') AS l
         WHERE (l->>'first_image')::bigint <= i.id ORDER BY (l->>'first_image')::bigint DESC LIMIT 1),
        r.version_id
    )
"""
# An image with a label's event of the run was labelled by it.
LABELLED = """
    INSERT INTO agent_run_image (agent_run_id, image_id, version_id, state, proposed, image_sha256, seconds)
    SELECT agent_run_id, image_id, max(version_id), 'labelled', count(*), NULL, NULL
    FROM label_event WHERE agent_run_id IS NOT NULL AND node_id IS NOT NULL
    GROUP BY agent_run_id, image_id
"""
FAILED = f"""
    INSERT INTO agent_run_image (agent_run_id, image_id, version_id, state, reason)
    SELECT r.id, i.id, {VERSION}, 'failed', p.reason
    FROM agent_run_problem AS p JOIN agent_run AS r ON r.id = p.agent_run_id JOIN image AS i ON i.id = p.image_id
    ON CONFLICT (agent_run_id, image_id) DO NOTHING
"""
# A label names its run even where older history does not; what else a run has passed, it found nothing in.
# Only a run that has not ended needs to know of those.
NAMED_BY_LABELS = """
    INSERT INTO agent_run_image (agent_run_id, image_id, version_id, state, proposed)
    SELECT agent_run_id, image_id, max(version_id), 'labelled', count(*)
    FROM label WHERE agent_run_id IS NOT NULL GROUP BY agent_run_id, image_id
    ON CONFLICT (agent_run_id, image_id) DO NOTHING
"""
PASSED = f"""
    INSERT INTO agent_run_image (agent_run_id, image_id, version_id, state)
    SELECT r.id, i.id, {VERSION}, 'labelled'
    FROM agent_run AS r JOIN job AS j ON j.id = r.job_id
    JOIN image AS i ON i.project_id = r.project_id AND i.id <= (r.config->>'after')::bigint
    WHERE j.state <> 'succeeded' AND i.state = 'used'
    ON CONFLICT (agent_run_id, image_id) DO NOTHING
"""


def upgrade() -> None:
    op.drop_constraint(op.f('ck_agent_run_agent'), 'agent_run')
    op.create_check_constraint(op.f('ck_agent_run_agent'), 'agent_run', "agent ~ '^[a-z][a-z0-9_]{0,39}$'")
    op.add_column('agent_run', sa.Column('prompt_hash', sa.String(), nullable=True))
    for name in COUNTS:
        op.add_column('agent_run', sa.Column(name, sa.Integer(), server_default=ZERO, nullable=False))
    for name in TOKENS:
        op.add_column('agent_run', sa.Column(name, sa.BigInteger(), server_default=ZERO, nullable=False))
    op.add_column('agent_run', sa.Column('cost', sa.Numeric(precision=14, scale=6), server_default=ZERO, nullable=False))
    op.create_table('agent_run_image',
    sa.Column('agent_run_id', sa.BigInteger(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('version_id', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=True),
    sa.Column('attempts', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('proposed', sa.Integer(), server_default=ZERO, nullable=False),
    sa.Column('dropped', sa.Integer(), server_default=ZERO, nullable=False),
    sa.Column('repaired', sa.Integer(), server_default=ZERO, nullable=False),
    sa.Column('tokens_in', sa.Integer(), server_default=ZERO, nullable=False),
    sa.Column('tokens_out', sa.Integer(), server_default=ZERO, nullable=False),
    sa.Column('cost', sa.Numeric(precision=14, scale=6), server_default=ZERO, nullable=False),
    sa.Column('image_sha256', sa.String(), nullable=True),
    sa.Column('seconds', sa.Float(), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("state IN ('labelled', 'failed', 'skipped')", name=op.f('ck_agent_run_image_state')),
    sa.CheckConstraint("(state = 'labelled') = (reason IS NULL)", name=op.f('ck_agent_run_image_reason')),
    sa.CheckConstraint("state = 'labelled' OR proposed = 0", name=op.f('ck_agent_run_image_proposed')),
    sa.CheckConstraint('attempts > 0 AND proposed >= 0 AND dropped >= 0 AND repaired >= 0 AND tokens_in >= 0 AND tokens_out >= 0 AND cost >= 0 AND seconds >= 0', name=op.f('ck_agent_run_image_counts')),
    sa.CheckConstraint("image_sha256 ~ '^[0-9a-f]{64}$'", name=op.f('ck_agent_run_image_image_sha256')),
    sa.ForeignKeyConstraint(['agent_run_id'], ['agent_run.id'], name=op.f('fk_agent_run_image_agent_run_id')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_agent_run_image_image_id')),
    sa.ForeignKeyConstraint(['version_id'], ['criteria_version.id'], name=op.f('fk_agent_run_image_version_id')),
    sa.PrimaryKeyConstraint('agent_run_id', 'image_id', name=op.f('pk_agent_run_image'))
    )
    op.create_index('ix_agent_run_image_problems', 'agent_run_image', ['agent_run_id', 'image_id'], unique=False, postgresql_where=sa.text("state <> 'labelled'"))
    for statement in (LABELLED, NAMED_BY_LABELS, FAILED, PASSED):
        op.execute(statement)
    op.execute("""
        UPDATE agent_run AS r SET config = config - 'after', problems = p.number
        FROM (SELECT r.id, count(i.image_id) AS number FROM agent_run AS r
              LEFT JOIN agent_run_image AS i ON i.agent_run_id = r.id AND i.state = 'failed' GROUP BY r.id) AS p
        WHERE p.id = r.id
    """)
    op.create_check_constraint(op.f('ck_agent_run_counts'), 'agent_run', 'images >= 0 AND labels >= 0 AND problems BETWEEN 0 AND images AND dropped >= 0 AND repaired >= 0 AND tokens_in >= 0 AND tokens_out >= 0 AND cost >= 0')
    op.drop_table('agent_run_problem')


def downgrade() -> None:
    op.execute("LOCK TABLE agent_run, agent_run_image IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM agent_run WHERE tokens_in + tokens_out + cost + dropped + repaired > 0
                       OR agent NOT IN ('measured', 'vlm')) THEN
                RAISE EXCEPTION 'there are agent runs with an account of what they took, which release 0016 cannot hold';
            END IF;
        END $$
    """)
    op.create_table('agent_run_problem',
    sa.Column('agent_run_id', sa.BigInteger(), nullable=False),
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['agent_run_id'], ['agent_run.id'], name=op.f('fk_agent_run_problem_agent_run_id')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_agent_run_problem_image_id')),
    sa.PrimaryKeyConstraint('agent_run_id', 'image_id', name=op.f('pk_agent_run_problem'))
    )
    op.execute("""
        INSERT INTO agent_run_problem (agent_run_id, image_id, reason)
        SELECT agent_run_id, image_id, reason FROM agent_run_image WHERE state <> 'labelled'
    """)
    # The cursor stands before the first image that waits: what was done behind it is looked at twice, and
    # nothing is left out.
    op.execute("""
        UPDATE agent_run AS r SET config = config || jsonb_build_object('after', coalesce(
            (SELECT min(i.id) - 1 FROM image AS i WHERE i.project_id = r.project_id AND i.state = 'used'
             AND NOT EXISTS (SELECT FROM agent_run_image AS d WHERE d.agent_run_id = r.id AND d.image_id = i.id)),
            (SELECT max(image_id) FROM agent_run_image AS d WHERE d.agent_run_id = r.id), 0))
    """)
    op.drop_table('agent_run_image')
    op.drop_constraint(op.f('ck_agent_run_counts'), 'agent_run')
    for name in ('cost', *reversed(TOKENS), *reversed(COUNTS), 'prompt_hash'):
        op.drop_column('agent_run', name)
    op.drop_constraint(op.f('ck_agent_run_agent'), 'agent_run')
    op.create_check_constraint(op.f('ck_agent_run_agent'), 'agent_run', "agent IN ('measured', 'vlm')")
