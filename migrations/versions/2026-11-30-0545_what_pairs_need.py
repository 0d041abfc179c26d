"""What the pairs of the version in force need, for statements; what an image lacks is a person's word."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

LACKING = sa.text("kind = 'content' AND NOT present")


def upgrade() -> None:
    op.create_table("pair_need",
    sa.Column("node_id", sa.BigInteger(), nullable=False),
    sa.Column("content", sa.String(), nullable=False),
    sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_pair_need_node_id")),
    sa.PrimaryKeyConstraint("node_id", "content", name=op.f("pk_pair_need")),
    )
    _fill()
    # No agent of ours ever stated an absence.
    op.create_check_constraint(op.f("ck_image_trait_absence"), "image_trait", "present OR source = 'person'")
    op.create_index("ix_image_trait_lacking", "image_trait", ["image_id", "value"], unique=False, postgresql_where=LACKING)


def downgrade() -> None:
    op.drop_index("ix_image_trait_lacking", table_name="image_trait", postgresql_where=LACKING)
    op.drop_constraint(op.f("ck_image_trait_absence"), "image_trait")
    op.drop_table("pair_need")


def _fill() -> None:
    connection = op.get_bind()
    in_force = sa.text("SELECT DISTINCT ON (project_id) project_id, content FROM criteria_version ORDER BY project_id, number DESC")
    insert = sa.text("""
        INSERT INTO pair_need (node_id, content)
        SELECT DISTINCT n.id, each.value FROM node AS n JOIN jsonb_to_recordset(CAST(:needs AS jsonb)) AS each(key text, value text) USING (key)
        WHERE n.project_id = :project AND n.kind = 'pair'
    """)
    for project_id, content in connection.execute(in_force).all():
        needs = [
            {"key": key, "value": value}
            for dimension in json.loads(content).get("dimensions", [])
            for key, value in _needs(dimension, ())
        ]
        connection.execute(insert, {"project": project_id, "needs": json.dumps(needs)})


def _needs(dimension: dict[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What each pair below a dimension needs, as the canonical JSON of a version says."""
    here = (*above, *dimension.get("needs", []))
    for pair in dimension.get("pairs", []):
        for content in (*here, *pair.get("needs", [])):
            yield pair["key"], content
    for below in dimension.get("dimensions", []):
        yield from _needs(below, here)
