"""An import also notes what it found that is no image and was not read."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint('ck_import_problem_kind', 'import_problem')
    op.create_check_constraint(
        'kind', 'import_problem', "kind IN ('refused', 'duplicate', 'note')"
    )


def downgrade() -> None:
    # What older code cannot tell apart from a refusal it may show as one.
    op.execute("UPDATE import_problem SET kind = 'refused' WHERE kind = 'note'")
    op.drop_constraint('ck_import_problem_kind', 'import_problem')
    op.create_check_constraint('kind', 'import_problem', "kind IN ('refused', 'duplicate')")
