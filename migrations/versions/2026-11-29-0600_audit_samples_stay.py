"""The sample of an audit is append-only: an audit without one of its items is another audit."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE TRIGGER audit_item_append_only BEFORE UPDATE OR DELETE ON audit_item"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER audit_item_append_only ON audit_item")
