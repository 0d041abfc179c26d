"""What people and agents say of style and content has a history, with that of the labels."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

OLD_KINDS = "'propose', 'refresh', 'confirm', 'reject', 'add', 'withdraw', 'undo', 'done', 'reopen', 'follow', 'merge', 'split', 'redefine', 'return'"
KINDS = "'propose', 'refresh', 'confirm', 'reject', 'add', 'withdraw', 'undo', 'done', 'reopen', 'state', 'follow', 'merge', 'split', 'redefine', 'return'"
OF_LABEL = "(node_id IS NOT NULL AND after IN ('proposed', 'confirmed', 'rejected'))"
OLD = {
    "after": f"after IS NULL OR (node_id IS NULL AND after = 'done') OR {OF_LABEL}",
    "of_agent": "agent_run_id IS NULL OR kind IN ('propose', 'refresh', 'reopen')",
    "kind": f"kind IN ({OLD_KINDS})",
}
NEW = {
    "after": "after IS NULL OR (node_id IS NULL AND trait_kind IS NULL AND after = 'done')"
    f" OR (trait_kind IS NOT NULL AND after IN ('present', 'absent')) OR {OF_LABEL}",
    "of_agent": "agent_run_id IS NULL OR kind IN ('propose', 'refresh', 'reopen', 'state')",
    "kind": f"kind IN ({KINDS})",
}
TRAIT = {
    "trait": "(trait_kind IS NULL) = (trait_value IS NULL)"
    " AND (trait_kind IS NULL OR (node_id IS NULL AND kind IN ('state', 'undo')))"
    " AND (kind <> 'state' OR trait_kind IS NOT NULL)",
    "trait_kind": "trait_kind IN ('style', 'content')",
}


def upgrade() -> None:
    for column in ("trait_kind", "trait_value"):
        op.add_column("label_event", sa.Column(column, sa.String(), nullable=True))
    _constrain(NEW)
    for name, check in TRAIT.items():
        op.create_check_constraint(op.f(f"ck_label_event_{name}"), "label_event", check)
    # The history of what was said before begins with what stands.
    op.execute("""
        INSERT INTO label_event (image_id, trait_kind, trait_value, kind, after, image_revision, person_id, agent_run_id, at)
        SELECT t.image_id, t.kind, t.value, 'state', CASE WHEN t.present THEN 'present' ELSE 'absent' END,
               i.label_revision, t.person_id, t.agent_run_id, t.at
        FROM image_trait AS t JOIN image AS i ON i.id = t.image_id ORDER BY t.at, t.image_id
    """)


def downgrade() -> None:
    op.execute("LOCK TABLE label_event IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM label_event WHERE trait_kind IS NOT NULL) THEN
                RAISE EXCEPTION 'style or content was stated of images, whose history release 0025 cannot hold';
            END IF;
        END $$
    """)
    for name in TRAIT:
        op.drop_constraint(op.f(f"ck_label_event_{name}"), "label_event")
    _constrain(OLD)
    for column in ("trait_value", "trait_kind"):
        op.drop_column("label_event", column)


def _constrain(checks: dict[str, str]) -> None:
    for name, check in checks.items():
        op.drop_constraint(op.f(f"ck_label_event_{name}"), "label_event")
        op.create_check_constraint(op.f(f"ck_label_event_{name}"), "label_event", check)
