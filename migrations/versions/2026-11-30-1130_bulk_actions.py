"""Doing one thing to many images at once: what was asked, what it came to, and which decisions were made so."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

BULK_KINDS = "'confirm', 'reject', 'doubt', 'add', 'done', 'reopen', 'undo'"
# The functions of 0029 that keep `label_count` are taken as they are, and told of one more column.
COUNTING = (
    "fold_label_count(bigint)",
    *(f"count_label_{each}()" for each in ("insert", "update", "delete")),
    *(f"count_image_trait_{each}()" for each in ("insert", "update", "delete")),
    *(f"count_pair_need_{each}()" for each in ("insert", "update", "delete")),
    "count_image_row()",
)
CHANGES = (
    ("state, source, lacking", "state, source, lacking, in_bulk"),
    (
        "state, source, agent_run_id, sum(num) AS num",
        "state, source, agent_run_id, bulk_action_id IS NOT NULL AS in_bulk, sum(num) AS num",
    ),
    (
        "state, source, agent_run_id HAVING",
        "state, source, agent_run_id, bulk_action_id IS NOT NULL HAVING",
    ),
    (
        "l.source, l.agent_run_id, i.state",
        "l.source, l.agent_run_id, l.bulk_action_id IS NOT NULL AS in_bulk, i.state",
    ),
    ("s.source, s.agent_run_id, s.in_use", "s.source, s.agent_run_id, s.in_bulk, s.in_use"),
    (
        "l.source, n.node_id IS NOT NULL,",
        "l.source, n.node_id IS NOT NULL, l.bulk_action_id IS NOT NULL,",
    ),
    ("GROUP BY 1, 2, 3, 4, 5, 6;", "GROUP BY 1, 2, 3, 4, 5, 6, 7;"),
)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, postgresql.JSONB(none_as_null=True), nullable=True)


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def _check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def upgrade() -> None:
    _make_bulk_action()
    _make_bulk_image()
    op.execute("LOCK TABLE image, label, label_event, label_count IN ACCESS EXCLUSIVE MODE")
    for table in ("label", "label_event"):
        op.add_column(table, sa.Column("bulk_action_id", sa.BigInteger(), nullable=True))
        op.create_foreign_key(
            op.f(f"fk_{table}_bulk_action_id"), table, "bulk_action", ["bulk_action_id"], ["id"]
        )
    op.create_check_constraint(
        op.f("ck_label_in_bulk"), "label", "bulk_action_id IS NULL OR decided_by IS NOT NULL"
    )
    op.create_check_constraint(
        op.f("ck_label_event_bulk"),
        "label_event",
        f"bulk_action_id IS NULL OR (person_id IS NOT NULL AND kind IN ({BULK_KINDS}))",
    )
    op.add_column(
        "label_count",
        sa.Column("in_bulk", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    _rewrite(CHANGES)


def downgrade() -> None:
    op.execute("LOCK TABLE image, label, label_event, label_count IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM bulk_action) THEN
                RAISE EXCEPTION 'there are bulk actions, whose history release 0039 cannot hold';
            END IF;
        END $$
    """)
    _rewrite([(after, before) for before, after in reversed(CHANGES)])
    op.drop_column("label_count", "in_bulk")
    op.drop_constraint(op.f("ck_label_in_bulk"), "label")
    op.drop_constraint(op.f("ck_label_event_bulk"), "label_event")
    for table in ("label_event", "label"):
        op.drop_column(table, "bulk_action_id")
    op.drop_table("bulk_image")
    op.drop_table("bulk_action")


def _rewrite(changes: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> None:
    for name in COUNTING:
        asked = sa.text("SELECT pg_get_functiondef(CAST(:name AS regprocedure))")
        written = op.get_bind().scalar(asked, {"name": name})
        assert isinstance(written, str)
        for before, after in changes:
            written = written.replace(before, after)
        op.execute(written)


def _make_bulk_action() -> None:
    op.create_table(
        "bulk_action",
        _key("id"),
        _number("project_id"),
        _number("job_id", nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        _number("node_id", nullable=True),
        sa.Column("polarity", sa.String(), nullable=True),
        _number("assignee_id", nullable=True),
        _number("assignment_id", nullable=True),
        sa.Column("query", sa.String(), nullable=False),
        sa.Column("chosen", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("replace", sa.Boolean(), nullable=False),
        _number("version_id", nullable=True),
        *(_json(name) for name in ("found", "taken")),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        _json("undone"),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        _number("undone_by", nullable=True),
        _number("created_by"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        _check(
            "bulk_action",
            "kind",
            "kind IN ('confirm', 'add', 'reject', 'doubt', 'done', 'reopen', 'assign')",
        ),
        _check("bulk_action", "polarity", "polarity IN ('positive', 'negative')"),
        _check(
            "bulk_action",
            "attribute",
            "(kind IN ('confirm', 'add', 'reject', 'doubt')) = (node_id IS NOT NULL)"
            " AND (node_id IS NULL) = (polarity IS NULL)"
            " AND (node_id IS NULL OR version_id IS NOT NULL)",
        ),
        _check("bulk_action", "assignee", "(kind = 'assign') = (assignee_id IS NOT NULL)"),
        _check("bulk_action", "assignment", "assignment_id IS NULL OR kind = 'assign'"),
        _check("bulk_action", "query", "char_length(query) <= 2000"),
        _check("bulk_action", "query_or_chosen", "query = '' OR chosen IS NULL"),
        _check("bulk_action", "taken", "(taken IS NULL) = (taken_at IS NULL)"),
        _check("bulk_action", "looked_at", "taken IS NULL OR found IS NOT NULL"),
        _check(
            "bulk_action",
            "undone",
            "(undone IS NULL) = (undone_at IS NULL) AND (undone IS NULL OR undone_by IS NOT NULL)",
        ),
        *(
            _refers("bulk_action", column, to)
            for column, to in (
                ("project_id", "project"),
                ("job_id", "job"),
                ("node_id", "node"),
                ("assignee_id", "person"),
                ("assignment_id", "assignment"),
                ("version_id", "criteria_version"),
                ("undone_by", "person"),
                ("created_by", "person"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_action")),
    )
    op.create_index(op.f("ix_bulk_action_project_id_id"), "bulk_action", ["project_id", "id"])


def _make_bulk_image() -> None:
    op.create_table(
        "bulk_image",
        _number("bulk_action_id"),
        _number("image_id"),
        sa.Column("effect", sa.String(), nullable=False),
        sa.Column("before", sa.String(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("contradictions", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        _json("stood"),
        _check("bulk_image", "effect", "effect IN ('change', 'same', 'kept', 'none')"),
        _check("bulk_image", "outcome", "outcome IN ('taken', 'passed', 'undone', 'stays')"),
        _check("bulk_image", "changed", "outcome IS NULL OR effect = 'change'"),
        _check("bulk_image", "contradictions", "contradictions >= 0"),
        _refers("bulk_image", "bulk_action_id", "bulk_action"),
        _refers("bulk_image", "image_id", "image"),
        sa.PrimaryKeyConstraint("bulk_action_id", "image_id", name=op.f("pk_bulk_image")),
    )
    op.create_index(
        op.f("ix_bulk_image_bulk_action_id_effect_image_id"),
        "bulk_image",
        ["bulk_action_id", "effect", "image_id"],
    )
