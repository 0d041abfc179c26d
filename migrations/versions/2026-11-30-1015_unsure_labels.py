"""Labels that somebody looked at and could not decide."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

KINDS = (
    "'propose', 'refresh', 'import', 'confirm', 'reject', {}'add', 'withdraw', 'undo', 'done', 'reopen', 'state',"
    " 'follow', 'merge', 'split', 'redefine', 'return'"
)
STATES = "'proposed', 'confirmed', 'rejected'"
AFTER = (
    "after IS NULL OR (node_id IS NULL AND trait_kind IS NULL AND after = 'done')"
    " OR (trait_kind IS NOT NULL AND after IN ('present', 'absent')) OR (node_id IS NOT NULL AND after IN ({}))"
)


def upgrade() -> None:
    _constrain(KINDS.format("'doubt', "), STATES + ", 'unsure'")
    op.create_index(
        "ix_label_unsure",
        "label",
        ["project_id", "image_id"],
        postgresql_where=sa.text("state = 'unsure'"),
    )


def downgrade() -> None:
    op.execute("LOCK TABLE label, label_event IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM label_event WHERE after = 'unsure' OR before = 'unsure' OR kind = 'doubt') THEN
                RAISE EXCEPTION 'people were unsure of labels, which release 0032 cannot hold';
            END IF;
        END $$
    """)
    op.drop_index("ix_label_unsure", table_name="label")
    _constrain(KINDS.format(""), STATES)


def _constrain(kinds: str, states: str) -> None:
    for table, name, check in (
        ("label", "state", f"state IN ({states})"),
        ("label_event", "kind", f"kind IN ({kinds})"),
        ("label_event", "after", AFTER.format(states)),
    ):
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, check)
