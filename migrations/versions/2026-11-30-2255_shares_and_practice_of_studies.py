"""Studies: pairs that are shared out among participants, and pairs to practise on."""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
JUDGES = (
    "(judges IS NULL) = (prompts_each IS NULL) AND judges > 0 AND prompts_each BETWEEN 1 AND prompts"
)


def upgrade() -> None:
    op.execute("LOCK TABLE study IN ACCESS EXCLUSIVE MODE")
    for name in ("judges", "prompts_each"):
        op.add_column("study", sa.Column(name, sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("ck_study_judges"), "study", JUDGES)
    _make_shares()
    _make_practice()


def downgrade() -> None:
    op.execute("LOCK TABLE study, study_share IN ACCESS EXCLUSIVE MODE")
    # Without its shares everyone would be asked about all.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM study WHERE judges IS NOT NULL) THEN
                RAISE EXCEPTION 'there are studies with shares, which release 0046 cannot hold';
            END IF;
        END $$
    """)
    for table in ("study_practice_answer", "study_practice", "study_share"):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_study_judges"), "study")
    for name in ("judges", "prompts_each"):
        op.drop_column("study", name)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _refers(table: str, column: str, to: str, key: str = "id") -> sa.ForeignKeyConstraint:
    """Both rows are of one study."""
    return sa.ForeignKeyConstraint(
        ["study_id", column],
        [f"{to}.study_id", f"{to}.{key}"],
        name=op.f(f"fk_{table}_study_id_{column}"),
    )


def _make_shares() -> None:
    op.create_table(
        "study_share",
        _number("participant_id"),
        _number("pair_id"),
        _number("study_id"),
        _refers("study_share", "participant_id", "participant"),
        _refers("study_share", "pair_id", "study_pair"),
        sa.PrimaryKeyConstraint("participant_id", "pair_id", name=op.f("pk_study_share")),
    )
    op.create_index(op.f("ix_study_share_study_id_pair_id"), "study_share", ["study_id", "pair_id"])


def _make_practice() -> None:
    op.create_table(
        "study_practice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _number("study_id"),
        sa.Column("position", sa.Integer(), nullable=False),
        _number("left_image_id"),
        _number("right_image_id"),
        sa.CheckConstraint("position > 0", name=op.f("ck_study_practice_position")),
        sa.CheckConstraint(
            "left_image_id <> right_image_id", name=op.f("ck_study_practice_sides")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_study_practice_study_id")),
        _refers("study_practice", "left_image_id", "study_image"),
        _refers("study_practice", "right_image_id", "study_image"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_practice")),
        sa.UniqueConstraint("study_id", "id", name=op.f("uq_study_practice_study_id_id")),
        sa.UniqueConstraint(
            "study_id", "position", name=op.f("uq_study_practice_study_id_position")
        ),
    )
    op.create_table(
        "study_practice_answer",
        _number("practice_id"),
        sa.Column("root_key", sa.String(), nullable=False),
        _number("study_id"),
        sa.Column("answer", sa.String(), nullable=False),
        _number("decided_by", nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint("answer IN ('left', 'right', 'tie')", name=op.f("ck_study_practice_answer_answer")),
        _refers("study_practice_answer", "practice_id", "study_practice"),
        _refers("study_practice_answer", "root_key", "study_dimension", "root_key"),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["person.id"], name=op.f("fk_study_practice_answer_decided_by")
        ),
        sa.PrimaryKeyConstraint("practice_id", "root_key", name=op.f("pk_study_practice_answer")),
    )
