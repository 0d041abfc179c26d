"""What images' metadata says, value by value, so that the wall finds the images of one value in their order."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

LONGEST = 200

def _values_of(row: str) -> str:
    """What the metadata of a row says: a text, number or truth value; of a list each of these in it."""
    return f"""
        SELECT DISTINCT each.key AS field, left(said.value, {LONGEST}) AS value
        FROM jsonb_each({row}.details) AS each CROSS JOIN LATERAL (
            SELECT each.value #>> '{{}}' AS value
            WHERE jsonb_typeof(each.value) IN ('string', 'number', 'boolean')
            UNION ALL
            SELECT item #>> '{{}}' FROM jsonb_array_elements(
                CASE jsonb_typeof(each.value) WHEN 'array' THEN each.value END
            ) AS item WHERE jsonb_typeof(item) IN ('string', 'number', 'boolean')
        ) AS said WHERE said.value <> '' AND char_length(each.key) <= {LONGEST}
    """


def upgrade() -> None:
    op.execute("LOCK TABLE image IN SHARE ROW EXCLUSIVE MODE")
    op.create_table(
        "image_value",
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name=op.f("fk_image_value_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "field", "value", name=op.f("pk_image_value")),
    )
    op.execute(f"""
        INSERT INTO image_value (image_id, project_id, field, value)
        SELECT image.id, image.project_id, v.field, v.value
        FROM image CROSS JOIN LATERAL ({_values_of("image")}) AS v
    """)
    op.create_index(
        "ix_image_value_found",
        "image_value",
        ["project_id", "field", sa.text("lower(value)"), "image_id"],
    )
    op.execute(f"""
        CREATE FUNCTION keep_image_values() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                DELETE FROM image_value WHERE image_id = NEW.id;
            END IF;
            INSERT INTO image_value (image_id, project_id, field, value)
            SELECT NEW.id, NEW.project_id, v.field, v.value FROM ({_values_of("NEW")}) AS v;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER image_added_valued AFTER INSERT ON image FOR EACH ROW
        WHEN (NEW.details <> '{}') EXECUTE FUNCTION keep_image_values()
    """)
    op.execute("""
        CREATE TRIGGER image_changed_valued AFTER UPDATE OF details ON image FOR EACH ROW
        WHEN (OLD.details IS DISTINCT FROM NEW.details) EXECUTE FUNCTION keep_image_values()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER image_added_valued ON image")
    op.execute("DROP TRIGGER image_changed_valued ON image")
    op.execute("DROP FUNCTION keep_image_values")
    op.drop_table("image_value")
