"""Style and content of images, as people and agents state them."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('image_trait',
    sa.Column('image_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('value', sa.String(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('present', sa.Boolean(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=True),
    sa.Column('agent_run_id', sa.BigInteger(), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("kind IN ('style', 'content')", name=op.f('ck_image_trait_kind')),
    sa.CheckConstraint("value ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name=op.f('ck_image_trait_value')),
    sa.CheckConstraint("source IN ('person', 'agent')", name=op.f('ck_image_trait_source')),
    sa.CheckConstraint("(source = 'person') = (person_id IS NOT NULL)", name=op.f('ck_image_trait_person')),
    sa.CheckConstraint("(source = 'agent') = (agent_run_id IS NOT NULL)", name=op.f('ck_image_trait_agent_run')),
    sa.ForeignKeyConstraint(['image_id'], ['image.id'], name=op.f('fk_image_trait_image_id')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_image_trait_person_id')),
    sa.ForeignKeyConstraint(['agent_run_id'], ['agent_run.id'], name=op.f('fk_image_trait_agent_run_id')),
    sa.PrimaryKeyConstraint('image_id', 'kind', 'value', 'source', name=op.f('pk_image_trait'))
    )


def downgrade() -> None:
    op.execute("LOCK TABLE image_trait IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM image_trait) THEN
                RAISE EXCEPTION 'style or content was stated of images, which release 0019 cannot hold';
            END IF;
        END $$
    """)
    op.drop_table('image_trait')
