"""Second readings: what is read again, by whom, what they answered, and what was settled."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

STATES = "'confirmed', 'rejected', 'unsure'"
NOW = sa.text("clock_timestamp()")
TABLES = ("settlement", "read_answer", "read_question", "read_image", "second_reading")


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _moment(name: str, *, nullable: bool = True) -> sa.Column[sa.DateTime]:
    default = None if nullable else NOW
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def _check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def upgrade() -> None:
    op.create_table(
        "second_reading",
        _key("id"),
        _number("project_id"),
        sa.Column("show", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("percent", sa.Float(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("decoy_percent", sa.Integer(), nullable=False),
        _number("version_id"),
        sa.Column("num_images", sa.Integer(), nullable=False),
        _number("asked_by"),
        _moment("asked_at", nullable=False),
        _moment("ended_at"),
        _check("second_reading", "percent", "percent > 0 AND percent <= 100"),
        _check("second_reading", "decoy_percent", "decoy_percent BETWEEN 0 AND 50"),
        _check("second_reading", "num_images", "num_images > 0"),
        _refers("second_reading", "project_id", "project"),
        _refers("second_reading", "version_id", "criteria_version"),
        _refers("second_reading", "asked_by", "person"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_second_reading")),
    )
    op.create_index(op.f("ix_second_reading_project_id_id"), "second_reading", ["project_id", "id"])
    _make_read_image()
    _make_questions_and_answers()


def downgrade() -> None:
    op.execute("LOCK TABLE second_reading IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM second_reading) THEN
                RAISE EXCEPTION 'there are second readings, which release 0038 cannot hold';
            END IF;
        END $$
    """)
    for table in TABLES:
        op.drop_table(table)


def _make_read_image() -> None:
    op.create_table(
        "read_image",
        _key("id"),
        _number("reading_id"),
        _number("image_id"),
        sa.Column("place", sa.Integer(), nullable=False),
        _number("first_by"),
        _number("reader_id", nullable=True),
        _moment("held_until"),
        _moment("read_at"),
        _number("settler_id", nullable=True),
        _moment("settler_until"),
        _moment("settled_at"),
        _check("read_image", "other_reader", "reader_id <> first_by"),
        _check("read_image", "reader", "read_at IS NULL OR reader_id IS NOT NULL"),
        _check("read_image", "settled", "settled_at IS NULL OR read_at IS NOT NULL"),
        _check("read_image", "settler", "settler_id NOT IN (first_by, reader_id)"),
        _refers("read_image", "reading_id", "second_reading"),
        _refers("read_image", "image_id", "image"),
        _refers("read_image", "first_by", "person"),
        _refers("read_image", "reader_id", "person"),
        _refers("read_image", "settler_id", "person"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_read_image")),
        sa.UniqueConstraint("reading_id", "image_id", name=op.f("uq_read_image_reading_id_image_id")),
    )
    op.create_index(
        op.f("ix_read_image_reading_id_place"),
        "read_image",
        ["reading_id", "place"],
        postgresql_where=sa.text("read_at IS NULL"),
    )
    op.create_index(
        "ix_read_image_unsettled",
        "read_image",
        ["reading_id", "place"],
        postgresql_where=sa.text("read_at IS NOT NULL AND settled_at IS NULL"),
    )
    op.create_index(op.f("ix_read_image_image_id"), "read_image", ["image_id"])


def _make_questions_and_answers() -> None:
    op.create_table(
        "read_question",
        _number("read_image_id"),
        _number("node_id"),
        sa.Column("polarity", sa.String(), nullable=False),
        sa.Column("first", sa.String(), nullable=True),
        sa.Column("is_agents", sa.Boolean(), nullable=False),
        _check("read_question", "polarity", "polarity IN ('positive', 'negative')"),
        _check("read_question", "first", f"first IN ({STATES})"),
        _check("read_question", "is_agents", "NOT is_agents OR first IS NOT NULL"),
        _refers("read_question", "read_image_id", "read_image"),
        _refers("read_question", "node_id", "node"),
        sa.PrimaryKeyConstraint(
            "read_image_id", "node_id", "polarity", name=op.f("pk_read_question")
        ),
    )
    op.create_table(
        "read_answer",
        _key("id"),
        _number("read_image_id"),
        _number("node_id"),
        sa.Column("polarity", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("is_blind", sa.Boolean(), nullable=False),
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        _moment("at", nullable=False),
        _check("read_answer", "polarity", "polarity IN ('positive', 'negative')"),
        _check("read_answer", "answer", f"answer IN ({STATES})"),
        _refers("read_answer", "read_image_id", "read_image"),
        _refers("read_answer", "node_id", "node"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_read_answer")),
        sa.UniqueConstraint("operation_id", name=op.f("uq_read_answer_operation_id")),
    )
    op.create_index(
        op.f("ix_read_answer_read_image_id_node_id_polarity_id"),
        "read_answer",
        ["read_image_id", "node_id", "polarity", "id"],
    )
    for table in ("read_question", "read_answer"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
    op.create_table(
        "settlement",
        _number("read_image_id"),
        _number("node_id"),
        sa.Column("polarity", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        _number("person_id"),
        _number("event_id", nullable=True),
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        _moment("at", nullable=False),
        _check("settlement", "polarity", "polarity IN ('positive', 'negative')"),
        _check("settlement", "decision", f"decision IN ({STATES})"),
        _refers("settlement", "read_image_id", "read_image"),
        _refers("settlement", "node_id", "node"),
        _refers("settlement", "person_id", "person"),
        _refers("settlement", "event_id", "label_event"),
        sa.PrimaryKeyConstraint("read_image_id", "node_id", "polarity", name=op.f("pk_settlement")),
        sa.UniqueConstraint("operation_id", name=op.f("uq_settlement_operation_id")),
    )
