"""Filters of images that people keep under a name."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("saved_filter",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column("project_id", sa.BigInteger(), nullable=False),
    sa.Column("person_id", sa.BigInteger(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("query", sa.String(), nullable=False),
    sa.Column("is_shared", sa.Boolean(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
    sa.CheckConstraint("char_length(name) BETWEEN 1 AND 80", name=op.f("ck_saved_filter_name")),
    sa.CheckConstraint("char_length(query) BETWEEN 1 AND 2000", name=op.f("ck_saved_filter_query")),
    sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_saved_filter_person_id")),
    sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_saved_filter_project_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_filter")),
    sa.UniqueConstraint("project_id", "person_id", "name", name=op.f("uq_saved_filter_project_id_person_id_name")),
    )
    op.create_index(op.f("ix_saved_filter_person_id"), "saved_filter", ["person_id"])


def downgrade() -> None:
    op.drop_table("saved_filter")
