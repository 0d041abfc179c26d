"""Images that wait, with what orders them; assignments; days of work."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

STRATEGIES = "'id', 'random', 'least_certain', 'contradictory', 'agent_wrong'"
ORDERS = {
    "id": [],
    "random": ["chance"],
    "least_certain": ["sureness"],
    "contradictory": ["harmony"],
    "agent_wrong": ["trust"],
}
WAITS = "{0}.state = 'used' AND ({0}.done_at IS NULL OR {0}.came_back_at IS NOT NULL)"
CHANCE = "hashint8extended({0}.id, {0}.project_id)"


def upgrade() -> None:
    _make_assignment()
    _make_waiting_image()
    op.create_table(
        "queue_order",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("changed_by", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"strategy IN ({STRATEGIES})", name=op.f("ck_queue_order_strategy")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_queue_order_project_id")),
        sa.ForeignKeyConstraint(["changed_by"], ["person.id"], name=op.f("fk_queue_order_changed_by")),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_queue_order")),
    )
    op.create_table(
        "agent_record",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("polarity", sa.String(), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f("ck_agent_record_polarity")),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_agent_record_node_id")),
        sa.PrimaryKeyConstraint("node_id", "polarity", name=op.f("pk_agent_record")),
    )
    _make_day_of_work()


def downgrade() -> None:
    op.execute("LOCK TABLE assignment, label_event IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM assignment WHERE taken_back_at IS NULL) THEN
                RAISE EXCEPTION 'images are given to persons, which release 0033 cannot hold: take them back first';
            END IF;
        END $$
    """)
    for table in ("day_of_work", "agent_record", "queue_order"):
        op.drop_table(table)
    op.execute("DROP TRIGGER image_added_waits ON image")
    op.execute("DROP TRIGGER image_changed_waits ON image")
    op.execute("DROP FUNCTION keep_waiting_image()")
    op.drop_table("waiting_image")
    op.drop_table("assignment")


def _make_assignment() -> None:
    op.create_table(
        "assignment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("show", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("num_images", sa.Integer(), nullable=False),
        sa.Column("given_by", sa.BigInteger(), nullable=False),
        sa.Column(
            "given_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("taken_back_by", sa.BigInteger(), nullable=True),
        sa.Column("taken_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("num_taken_back", sa.Integer(), nullable=True),
        sa.CheckConstraint(f"strategy IN ({STRATEGIES})", name=op.f("ck_assignment_strategy")),
        sa.CheckConstraint("num_images > 0", name=op.f("ck_assignment_num_images")),
        sa.CheckConstraint(
            "(taken_back_at IS NULL) = (taken_back_by IS NULL)"
            " AND (taken_back_at IS NULL) = (num_taken_back IS NULL)",
            name=op.f("ck_assignment_taken_back"),
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_assignment_project_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_assignment_person_id")),
        sa.ForeignKeyConstraint(["given_by"], ["person.id"], name=op.f("fk_assignment_given_by")),
        sa.ForeignKeyConstraint(
            ["taken_back_by"], ["person.id"], name=op.f("fk_assignment_taken_back_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
    )
    op.create_index(op.f("ix_assignment_project_id_id"), "assignment", ["project_id", "id"])
    op.create_index(
        op.f("ix_assignment_person_id_project_id"),
        "assignment",
        ["person_id", "project_id"],
        postgresql_where=sa.text("taken_back_at IS NULL"),
    )


def _make_waiting_image() -> None:
    op.create_table(
        "waiting_image",
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("chance", sa.BigInteger(), nullable=False),
        sa.Column("sureness", sa.Float(), server_default=sa.text("1"), nullable=False),
        sa.Column("harmony", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("trust", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("assignment_id", sa.BigInteger(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(assignment_id IS NULL) = (place IS NULL)", name=op.f("ck_waiting_image_place")
        ),
        sa.CheckConstraint("sureness BETWEEN 0 AND 1", name=op.f("ck_waiting_image_sureness")),
        sa.CheckConstraint(
            "harmony <= 0 AND trust <= 0", name=op.f("ck_waiting_image_harmony_and_trust")
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name=op.f("fk_waiting_image_image_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_waiting_image_project_id")
        ),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_waiting_image_assignment_id")
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_waiting_image")),
    )
    op.execute(f"""
        INSERT INTO waiting_image (image_id, project_id, chance)
        SELECT image.id, image.project_id, {CHANCE.format("image")} FROM image
        WHERE {WAITS.format("image")} ORDER BY image.id
    """)
    op.execute("""
        UPDATE waiting_image AS w SET sureness = least(greatest(m.sureness, 0), 1) FROM (
            SELECT l.image_id, avg(coalesce(l.confidence, 0.5)) AS sureness FROM label AS l
            WHERE l.state = 'proposed' AND l.source = 'agent' GROUP BY l.image_id
        ) AS m WHERE m.image_id = w.image_id
    """)
    op.create_index(
        op.f("ix_waiting_image_assignment_id_place"),
        "waiting_image",
        ["assignment_id", "place"],
        postgresql_where=sa.text("assignment_id IS NOT NULL"),
    )
    for name, columns in ORDERS.items():
        op.create_index(
            f"ix_waiting_image_{name}",
            "waiting_image",
            ["project_id", *columns, "image_id"],
            postgresql_where=sa.text("assignment_id IS NULL"),
        )
    op.execute(f"""
        CREATE FUNCTION keep_waiting_image() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {WAITS.format("NEW")} THEN
                INSERT INTO waiting_image (image_id, project_id, chance)
                VALUES (NEW.id, NEW.project_id, {CHANCE.format("NEW")}) ON CONFLICT (image_id) DO NOTHING;
            ELSE
                DELETE FROM waiting_image WHERE image_id = NEW.id;
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute(f"""
        CREATE TRIGGER image_added_waits AFTER INSERT ON image FOR EACH ROW
        WHEN ({WAITS.format("NEW")}) EXECUTE FUNCTION keep_waiting_image()
    """)
    op.execute(f"""
        CREATE TRIGGER image_changed_waits AFTER UPDATE OF state, done_at, came_back_at ON image FOR EACH ROW
        WHEN (({WAITS.format("OLD")}) <> ({WAITS.format("NEW")})) EXECUTE FUNCTION keep_waiting_image()
    """)


def _make_day_of_work() -> None:
    op.create_table(
        "day_of_work",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("decisions", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("images", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "decisions >= 0 AND images >= 0", name=op.f("ck_day_of_work_counts")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_day_of_work_project_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_day_of_work_person_id")),
        sa.PrimaryKeyConstraint("project_id", "person_id", "day", name=op.f("pk_day_of_work")),
    )
    op.create_index(
        op.f("ix_day_of_work_project_id_day_person_id"),
        "day_of_work",
        ["project_id", "day", "person_id"],
    )
    # What was taken back is taken from the day on which that was done, as from now on.
    op.execute("""
        INSERT INTO day_of_work (project_id, person_id, day, decisions, images)
        SELECT project_id, person_id, day, greatest(decisions, 0), greatest(images, 0) FROM (
            SELECT i.project_id, e.person_id, (e.at AT TIME ZONE 'UTC')::date AS day,
                count(*) FILTER (WHERE e.kind IN ('confirm', 'reject', 'doubt', 'add', 'withdraw'))
                - count(*) FILTER (WHERE e.kind = 'undo' AND e.node_id IS NOT NULL) AS decisions,
                count(*) FILTER (WHERE e.kind = 'done')
                - count(*) FILTER (WHERE e.kind = 'undo' AND e.node_id IS NULL AND e.before = 'done') AS images
            FROM label_event AS e JOIN image AS i ON i.id = e.image_id
            WHERE e.person_id IS NOT NULL
              AND e.kind IN ('confirm', 'reject', 'doubt', 'add', 'withdraw', 'undo', 'done')
            GROUP BY i.project_id, e.person_id, day
        ) AS counted WHERE decisions > 0 OR images > 0
    """)
