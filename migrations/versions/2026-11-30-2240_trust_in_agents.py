"""What was learned of agents from blind answers, and where the runs that an ensemble is made of differ."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

COUNTS = ("agreed", "agreed_proposed", "differed", "differed_proposed", "alone", "alone_proposed")
BLIND = sa.text("NOT suggestion_visible AND person_id IS NOT NULL")


def upgrade() -> None:
    op.execute("LOCK TABLE agent_run_image, label_event IN ACCESS EXCLUSIVE MODE")
    op.add_column("agent_run_image", sa.Column("sure", postgresql.ARRAY(sa.REAL()), nullable=True))
    op.create_check_constraint(
        op.f("ck_agent_run_image_sure"),
        "agent_run_image",
        "cardinality(sure) = cardinality(found)",
    )
    op.create_index("ix_label_event_blind", "label_event", ["image_id"], postgresql_where=BLIND)
    op.create_table(
        "agent_trust",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_run_id", sa.BigInteger(), nullable=True),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("report", postgresql.JSONB(), nullable=False),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("labels >= 0", name=op.f("ck_agent_trust_labels")),
        sa.CheckConstraint("jsonb_typeof(report) = 'object'", name=op.f("ck_agent_trust_report")),
        sa.ForeignKeyConstraint(
            ["agent_run_id"], ["agent_run.id"], name=op.f("fk_agent_trust_agent_run_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_agent_trust_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_trust")),
        sa.UniqueConstraint("agent_run_id", name=op.f("uq_agent_trust_agent_run_id")),
    )
    op.create_index(op.f("ix_agent_trust_project_id_id"), "agent_trust", ["project_id", "id"])
    op.create_table(
        "agent_difference",
        *_side("agent_difference", sa.Column("image_id", sa.BigInteger(), nullable=False)),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("is_proposed", sa.Boolean(), nullable=False),
        sa.CheckConstraint("said ~ '^[-+x]+$'", name=op.f("ck_agent_difference_said")),
        sa.CheckConstraint(
            "probability BETWEEN 0 AND 1", name=op.f("ck_agent_difference_probability")
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name=op.f("fk_agent_difference_image_id")
        ),
        sa.PrimaryKeyConstraint(
            "agent_run_id", "image_id", "node_id", "polarity", name=op.f("pk_agent_difference")
        ),
    )
    op.create_index(
        op.f("ix_agent_difference_agent_run_id_node_id_polarity_image_id"),
        "agent_difference",
        ["agent_run_id", "node_id", "polarity", "image_id"],
    )
    op.create_index(op.f("ix_agent_difference_image_id"), "agent_difference", ["image_id"])
    op.create_table(
        "agent_agreement",
        *_side("agent_agreement"),
        *(
            sa.Column(each, sa.Integer(), server_default=sa.text("0"), nullable=False)
            for each in COUNTS
        ),
        sa.CheckConstraint(
            "agreed_proposed BETWEEN 0 AND agreed AND differed_proposed BETWEEN 0 AND differed"
            " AND alone_proposed BETWEEN 0 AND alone",
            name=op.f("ck_agent_agreement_counts"),
        ),
        sa.PrimaryKeyConstraint(
            "agent_run_id", "node_id", "polarity", name=op.f("pk_agent_agreement")
        ),
    )


def _side(table: str, *more: sa.Column) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("agent_run_id", sa.BigInteger(), nullable=False),
        *more,
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("polarity", sa.String(), nullable=False),
        sa.CheckConstraint(
            "polarity IN ('positive', 'negative')", name=op.f(f"ck_{table}_polarity")
        ),
        sa.ForeignKeyConstraint(
            ["agent_run_id"], ["agent_run.id"], name=op.f(f"fk_{table}_agent_run_id")
        ),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f(f"fk_{table}_node_id")),
    ]


def downgrade() -> None:
    op.execute("LOCK TABLE agent_run_image, label_event IN ACCESS EXCLUSIVE MODE")
    op.drop_table("agent_agreement")
    op.drop_table("agent_difference")
    op.drop_table("agent_trust")
    op.drop_index("ix_label_event_blind", "label_event")
    op.drop_constraint(op.f("ck_agent_run_image_sure"), "agent_run_image")
    op.drop_column("agent_run_image", "sure")
