"""Notes on images and on their labels, and whom a note names."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

UNREAD = sa.text("read_at IS NULL")
ON_IMAGE = sa.text("image_id IS NOT NULL")


def upgrade() -> None:
    op.execute("LOCK TABLE discussion, note IN ACCESS EXCLUSIVE MODE")
    op.alter_column("discussion", "node_id", nullable=True)
    op.add_column("discussion", sa.Column("image_id", sa.BigInteger(), nullable=True))
    op.add_column("discussion", sa.Column("polarity", sa.String(), nullable=True))
    op.create_foreign_key(
        op.f("fk_discussion_image_id"), "discussion", "image", ["image_id"], ["id"]
    )
    op.create_check_constraint(
        op.f("ck_discussion_about"),
        "discussion",
        "num_nonnulls(node_id, image_id) > 0"
        " AND (polarity IS NOT NULL) = (node_id IS NOT NULL AND image_id IS NOT NULL)",
    )
    op.create_check_constraint(
        op.f("ck_discussion_polarity"), "discussion", "polarity IN ('positive', 'negative')"
    )
    op.create_index(
        "ix_discussion_image", "discussion", ["image_id", "id"], postgresql_where=ON_IMAGE
    )
    op.create_table(
        "mention",
        sa.Column("note_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["note_id"], ["note.id"], name=op.f("fk_mention_note_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_mention_person_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_mention_project_id")),
        sa.PrimaryKeyConstraint("note_id", "person_id", name=op.f("pk_mention")),
    )
    op.create_index(
        op.f("ix_mention_person_id_project_id_note_id"),
        "mention",
        ["person_id", "project_id", "note_id"],
    )
    op.create_index(
        "ix_mention_unread", "mention", ["person_id", "project_id"], postgresql_where=UNREAD
    )


def downgrade() -> None:
    op.execute("LOCK TABLE discussion, note IN ACCESS EXCLUSIVE MODE")
    # What people wrote is not thrown away; whom it names stands in it.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM discussion WHERE image_id IS NOT NULL) THEN
                RAISE EXCEPTION 'there are notes on images, which release 0042 cannot hold';
            END IF;
        END $$
    """)
    op.drop_table("mention")
    op.drop_index("ix_discussion_image", "discussion")
    op.drop_constraint(op.f("ck_discussion_about"), "discussion")
    op.drop_constraint(op.f("ck_discussion_polarity"), "discussion")
    op.drop_column("discussion", "polarity")
    op.drop_column("discussion", "image_id")
    op.alter_column("discussion", "node_id", nullable=False)
