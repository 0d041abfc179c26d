"""Which split of which dataset an image is in, and which images no dataset holds.

Datasets that were frozen before are read by a worker, from the lines in their folders.
"""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dataset", sa.Column("images_are", sa.String(), server_default="unread", nullable=False))
    op.create_check_constraint(op.f("ck_dataset_images_are"), "dataset", "images_are IN ('unread', 'kept', 'gone')")
    op.create_table("dataset_image",
    sa.Column("dataset_id", sa.BigInteger(), nullable=False),
    sa.Column("image_id", sa.BigInteger(), nullable=False),
    sa.Column("split", sa.String(), nullable=False),
    sa.CheckConstraint("split IN ('train', 'validation', 'test')", name=op.f("ck_dataset_image_split")),
    sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_dataset_image_dataset_id")),
    sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_dataset_image_image_id")),
    sa.PrimaryKeyConstraint("dataset_id", "image_id", name=op.f("pk_dataset_image")),
    )
    op.create_index(op.f("ix_dataset_image_dataset_id_split_image_id"), "dataset_image", ["dataset_id", "split", "image_id"])
    op.create_index(op.f("ix_dataset_image_image_id"), "dataset_image", ["image_id"])
    op.create_table("unfrozen_image",
    sa.Column("image_id", sa.BigInteger(), nullable=False),
    sa.Column("project_id", sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_unfrozen_image_image_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("image_id", name=op.f("pk_unfrozen_image")),
    )
    op.execute("INSERT INTO unfrozen_image (image_id, project_id) SELECT id, project_id FROM image ORDER BY id")
    op.create_index(op.f("ix_unfrozen_image_project_id_image_id"), "unfrozen_image", ["project_id", "image_id"])
    _keep()


def downgrade() -> None:
    op.execute("DROP TRIGGER image_added_unfrozen ON image")
    op.drop_table("unfrozen_image")
    op.drop_table("dataset_image")
    for name in ("begin_unfrozen_image", "freeze_image", "unfreeze_image"):
        op.execute(f"DROP FUNCTION {name}()")
    op.drop_constraint(op.f("ck_dataset_images_are"), "dataset")
    op.drop_column("dataset", "images_are")


def _keep() -> None:
    for name, table, event, rows, statement in (
        (
            *("begin_unfrozen_image", "image", "INSERT", "NEW"),
            "INSERT INTO unfrozen_image (image_id, project_id) SELECT id, project_id FROM changed ORDER BY id",
        ),
        (
            *("freeze_image", "dataset_image", "INSERT", "NEW"),
            "DELETE FROM unfrozen_image WHERE image_id IN (SELECT image_id FROM changed)",
        ),
        (
            *("unfreeze_image", "dataset_image", "DELETE", "OLD"),
            "INSERT INTO unfrozen_image (image_id, project_id) SELECT id, project_id FROM image AS i"
            " WHERE i.id IN (SELECT image_id FROM changed)"
            " AND NOT EXISTS (SELECT FROM dataset_image AS d WHERE d.image_id = i.id) ON CONFLICT DO NOTHING",
        ),
    ):
        op.execute(f"""
            CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                {statement};
                RETURN NULL;
            END $$
        """)
        trigger = "image_added_unfrozen" if table == "image" else f"dataset_{name}"
        op.execute(
            f"CREATE TRIGGER {trigger} AFTER {event} ON {table} REFERENCING {rows} TABLE AS changed"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
