"""A change may concern several nodes; what took the place of a node, and the labels as they stood before."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

KINDS = "kind IN ({})"
OLD = "'propose', 'refresh', 'confirm', 'reject', 'add', 'withdraw', 'undo', 'done', 'reopen', 'follow', 'merge', 'split'"
NEW = OLD + ", 'redefine', 'return'"
OF_PUBLICATION = "kind NOT IN ({}) OR node_id IS NOT NULL"


def upgrade() -> None:
    op.add_column("node_change", sa.Column("part", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_check_constraint(op.f("ck_node_change_part"), "node_change", "part >= 0")
    op.create_check_constraint(op.f("ck_node_change_part_has_node"), "node_change", "part = 0 OR node_id IS NOT NULL")
    for column in ("revision", "undoes"):
        op.drop_constraint(op.f(f"uq_node_change_project_id_{column}"), "node_change")
        op.create_unique_constraint(op.f(f"uq_node_change_project_id_{column}_part"), "node_change", ["project_id", column, "part"])
    op.create_table("node_succession",
    sa.Column("project_id", sa.BigInteger(), nullable=False),
    sa.Column("old_id", sa.BigInteger(), nullable=False),
    sa.Column("new_id", sa.BigInteger(), nullable=False),
    sa.Column("place", sa.Integer(), nullable=False),
    sa.Column("kind", sa.String(), nullable=False),
    sa.Column("change_id", sa.BigInteger(), nullable=False),
    sa.CheckConstraint("old_id <> new_id", name=op.f("ck_node_succession_other")),
    sa.CheckConstraint("place >= 0", name=op.f("ck_node_succession_place")),
    sa.CheckConstraint("kind IN ('merge', 'split', 'redefine', 'return')", name=op.f("ck_node_succession_kind")),
    sa.ForeignKeyConstraint(["project_id", "old_id"], ["node.project_id", "node.id"], name="fk_node_succession_old"),
    sa.ForeignKeyConstraint(["project_id", "new_id"], ["node.project_id", "node.id"], name="fk_node_succession_new"),
    sa.ForeignKeyConstraint(["change_id"], ["node_change.id"], name=op.f("fk_node_succession_change_id")),
    sa.PrimaryKeyConstraint("old_id", "new_id", name=op.f("pk_node_succession")),
    sa.UniqueConstraint("old_id", "place", name=op.f("uq_node_succession_old_id_place")),
    )
    op.create_index(op.f("ix_node_succession_project_id"), "node_succession", ["project_id"], unique=False)
    op.create_index(op.f("ix_node_succession_change_id"), "node_succession", ["change_id"], unique=False)
    # Nothing in the application wrote this column, but a hand may have.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (
                SELECT FROM node AS n WHERE n.predecessor_id IS NOT NULL AND NOT EXISTS (
                    SELECT FROM node_change AS c WHERE c.project_id = n.project_id
                )
            ) THEN
                RAISE EXCEPTION 'a node names a predecessor, but its project has no recorded change that could have made it';
            END IF;
        END $$
    """)
    op.execute("""
        INSERT INTO node_succession (project_id, old_id, new_id, place, kind, change_id)
        SELECT n.project_id, n.predecessor_id, n.id,
               row_number() OVER (PARTITION BY n.predecessor_id ORDER BY n.id) - 1,
               CASE WHEN count(*) OVER (PARTITION BY n.predecessor_id) > 1 THEN 'split' ELSE 'redefine' END,
               coalesce(
                   (SELECT min(c.id) FROM node_change AS c WHERE c.node_id = n.id),
                   (SELECT min(c.id) FROM node_change AS c WHERE c.project_id = n.project_id)
               )
        FROM node AS n WHERE n.predecessor_id IS NOT NULL
    """)
    op.drop_constraint(op.f("fk_node_predecessor_id"), "node")
    op.drop_column("node", "predecessor_id")
    op.create_table("succession_effect",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column("project_id", sa.BigInteger(), nullable=False),
    sa.Column("change_id", sa.BigInteger(), nullable=False),
    sa.Column("version_id", sa.BigInteger(), nullable=False),
    sa.Column("taken_back_in", sa.BigInteger(), nullable=True),
    sa.CheckConstraint("taken_back_in > version_id", name=op.f("ck_succession_effect_later")),
    sa.ForeignKeyConstraint(["change_id"], ["node_change.id"], name=op.f("fk_succession_effect_change_id")),
    sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_succession_effect_project_id")),
    sa.ForeignKeyConstraint(["taken_back_in"], ["criteria_version.id"], name=op.f("fk_succession_effect_taken_back_in")),
    sa.ForeignKeyConstraint(["version_id"], ["criteria_version.id"], name=op.f("fk_succession_effect_version_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_succession_effect")),
    )
    op.create_index(op.f("ix_succession_effect_project_id_id"), "succession_effect", ["project_id", "id"], unique=False)
    op.create_index("uq_succession_effect_standing", "succession_effect", ["change_id"], unique=True, postgresql_where=sa.text("taken_back_in IS NULL"))
    op.create_table("label_before",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column("change_id", sa.BigInteger(), nullable=False),
    sa.Column("version_id", sa.BigInteger(), nullable=False),
    sa.Column("image_id", sa.BigInteger(), nullable=False),
    sa.Column("node_id", sa.BigInteger(), nullable=False),
    sa.Column("polarity", sa.String(), nullable=False),
    sa.Column("revision", sa.Integer(), nullable=False),
    sa.Column("label", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.CheckConstraint("jsonb_typeof(label) = 'object'", name=op.f("ck_label_before_label")),
    sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f("ck_label_before_polarity")),
    sa.ForeignKeyConstraint(["change_id"], ["node_change.id"], name=op.f("fk_label_before_change_id")),
    sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_label_before_image_id"), ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_label_before_node_id")),
    sa.ForeignKeyConstraint(["version_id"], ["criteria_version.id"], name=op.f("fk_label_before_version_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_label_before")),
    )
    op.create_index(op.f("ix_label_before_change_id_version_id"), "label_before", ["change_id", "version_id"], unique=False)
    op.create_index(op.f("ix_label_before_image_id"), "label_before", ["image_id"], unique=False)
    _event_kinds(NEW, "'follow', 'merge', 'split', 'redefine', 'return'")


def downgrade() -> None:
    op.execute("LOCK TABLE node, node_change, label_event IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM node_change WHERE part > 0) OR EXISTS (SELECT FROM label_before)
                OR EXISTS (SELECT FROM succession_effect)
                OR EXISTS (SELECT FROM node_succession WHERE kind NOT IN ('split', 'redefine'))
            THEN
                RAISE EXCEPTION 'there are changes that concern several nodes (merges, splits), which release 0017 cannot hold';
            END IF;
        END $$
    """)
    _event_kinds(OLD, "'follow', 'merge', 'split'")
    op.drop_table("label_before")
    op.drop_table("succession_effect")
    op.add_column("node", sa.Column("predecessor_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_node_predecessor_id"), "node", "node", ["predecessor_id"], ["id"])
    op.execute("UPDATE node SET predecessor_id = s.old_id FROM node_succession AS s WHERE s.new_id = node.id")
    op.drop_table("node_succession")
    for column in ("undoes", "revision"):
        op.drop_constraint(op.f(f"uq_node_change_project_id_{column}_part"), "node_change")
        op.create_unique_constraint(op.f(f"uq_node_change_project_id_{column}"), "node_change", ["project_id", column])
    op.drop_constraint(op.f("ck_node_change_part_has_node"), "node_change")
    op.drop_constraint(op.f("ck_node_change_part"), "node_change")
    op.drop_column("node_change", "part")


def _event_kinds(kinds: str, of_publication: str) -> None:
    for name, check in (("of_publication", OF_PUBLICATION.format(of_publication)), ("kind", KINDS.format(kinds))):
        op.drop_constraint(op.f(f"ck_label_event_{name}"), "label_event")
        op.create_check_constraint(op.f(f"ck_label_event_{name}"), "label_event", check)
