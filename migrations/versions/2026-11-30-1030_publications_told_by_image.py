"""A publication that merges or splits tells of each image in one event, with all its labels as they were and are."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

KINDS = "kind IN ('merge', 'split', 'redefine', 'return')"
BEFORE = {
    "maker": "num_nonnulls(agent_run_id, person_id) = 1",
    "of_publication": "kind NOT IN ('follow', 'merge', 'split', 'redefine', 'return') OR node_id IS NOT NULL",
}
AFTER = {
    "maker": "num_nonnulls(agent_run_id, person_id, carrying_id) = 1",
    "of_publication": "kind <> 'follow' OR node_id IS NOT NULL",
    "carried": f"({KINDS}) = (carrying_id IS NOT NULL) AND (carrying_id IS NULL) = (places IS NULL)"
    " AND (carrying_id IS NULL OR num_nonnulls(node_id, before, after, version_id) = 0)"
    " AND (stood IS NULL OR carrying_id IS NOT NULL)",
}


def upgrade() -> None:
    op.execute("LOCK TABLE image, label_event, label_before IN ACCESS EXCLUSIVE MODE")
    # Whoever writes an image's row anew, as at each of its labels, waited for this expression longer than for the rest.
    _check_hash("length(sha256) = 64 AND encode(decode(sha256, 'hex'), 'hex') = sha256")
    op.create_table("carrying",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column("change_id", sa.BigInteger(), nullable=False),
    sa.Column("version_id", sa.BigInteger(), nullable=False),
    sa.Column("person_id", sa.BigInteger(), nullable=False),
    sa.Column("kind", sa.String(), nullable=False),
    sa.CheckConstraint(KINDS, name=op.f("ck_carrying_kind")),
    sa.ForeignKeyConstraint(["change_id"], ["node_change.id"], name=op.f("fk_carrying_change_id")),
    sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_carrying_person_id")),
    sa.ForeignKeyConstraint(["version_id"], ["criteria_version.id"], name=op.f("fk_carrying_version_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_carrying")),
    )
    op.create_index(op.f("ix_carrying_change_id_version_id"), "carrying", ["change_id", "version_id"], unique=False)
    op.add_column("label_event", sa.Column("places", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("label_event", sa.Column("stood", sa.JSON(), nullable=True))
    op.add_column("label_event", sa.Column("carrying_id", sa.BigInteger(), nullable=True))
    for name in BEFORE:
        op.drop_constraint(op.f(f"ck_label_event_{name}"), "label_event")
    _fold()
    for name, check in AFTER.items():
        op.create_check_constraint(op.f(f"ck_label_event_{name}"), "label_event", check)
    op.create_foreign_key(op.f("fk_label_event_carrying_id"), "label_event", "carrying", ["carrying_id"], ["id"])
    op.create_index(op.f("ix_label_event_carrying_id"), "label_event", ["carrying_id"], unique=False, postgresql_where=sa.text("carrying_id IS NOT NULL"))
    op.drop_table("label_before")
    # Erasing an image takes out how its labels stood, which tells of the picture, and leaves what happened, when and by whom.
    op.execute("""
        CREATE FUNCTION refuse_label_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND NEW.stood IS NULL AND to_jsonb(NEW) - 'stood' = to_jsonb(OLD) - 'stood'
                AND EXISTS (SELECT FROM image WHERE id = OLD.image_id AND state = 'erased')
            THEN RETURN NEW;
            END IF;
            RAISE EXCEPTION 'label_event is append-only' USING ERRCODE = 'integrity_constraint_violation';
        END $$
    """)
    _append_only("refuse_label_event_change")


def _fold() -> None:
    """The first event of each image, version and step tells of all: each step gave the image a revision of its own.

    A row of `label_before` belongs to the event that tells of its place. What no event tells of was left as it
    was, and needs none. An image that one step left alone was given the same revision by the next: its rows are the later ones.
    """
    # Rows that go are looked for among those that undo others, one by one and without an index; not so without the key.
    op.drop_constraint(op.f("fk_label_event_undoes_id"), "label_event")
    op.execute("DROP TRIGGER label_event_append_only ON label_event")
    op.execute(f"""
        CREATE TEMP TABLE folded ON COMMIT DROP AS
        SELECT min(e.id) AS id, array_agg(e.id) AS ids, e.image_id, e.version_id, e.kind, e.image_revision,
               min(e.person_id) AS person_id,
               jsonb_agg(jsonb_build_array(e.node_id, e.polarity, e.before, e.after) ORDER BY e.id) AS places
        FROM label_event AS e WHERE {KINDS} GROUP BY e.image_id, e.version_id, e.kind, e.image_revision
    """)
    op.execute("""
        CREATE TEMP TABLE kept ON COMMIT DROP AS
        SELECT each.id, change_id, json_agg(label ORDER BY before_id) AS stood FROM (
            SELECT f.id, b.id AS before_id, b.change_id, b.label,
                   first_value(b.change_id) OVER (PARTITION BY f.id ORDER BY b.id DESC) AS of_event
            FROM label_before AS b JOIN folded AS f ON f.image_id = b.image_id AND f.version_id = b.version_id
                AND f.image_revision = b.revision
                AND EXISTS (SELECT FROM jsonb_array_elements(f.places) AS place
                            WHERE place -> 0 = to_jsonb(b.node_id) AND place ->> 1 = b.polarity)
        ) AS each WHERE change_id = of_event GROUP BY each.id, change_id
    """)
    # Of an erased image nothing is kept that says by which change; any of the same kind in its version says the rest.
    op.execute("""
        CREATE TEMP TABLE told ON COMMIT DROP AS
        SELECT f.*, k.stood, coalesce(k.change_id, (
            SELECT min(o.change_id) FROM kept AS o JOIN folded AS g USING (id)
            WHERE g.version_id = f.version_id AND g.kind = f.kind
        ), (
            SELECT min(e.change_id) FROM succession_effect AS e WHERE f.version_id IN (e.version_id, e.taken_back_in)
        ), (
            SELECT min(c.id) FROM node_change AS c JOIN criteria_version AS v USING (project_id) WHERE v.id = f.version_id
        )) AS change_id
        FROM folded AS f LEFT JOIN kept AS k USING (id)
    """)
    op.execute("""
        INSERT INTO carrying (change_id, version_id, person_id, kind)
        SELECT DISTINCT change_id, version_id, person_id, kind FROM told ORDER BY version_id, change_id
    """)
    op.execute("DELETE FROM label_event WHERE id IN (SELECT unnest(ids) FROM folded) AND id NOT IN (SELECT id FROM folded)")
    op.execute("""
        UPDATE label_event AS e SET places = t.places, stood = t.stood, carrying_id = c.id, node_id = NULL, polarity = NULL,
            before = NULL, after = NULL, version_id = NULL, person_id = NULL
        FROM told AS t JOIN carrying AS c USING (change_id, version_id, person_id, kind) WHERE t.id = e.id
    """)
    op.create_foreign_key(op.f("fk_label_event_undoes_id"), "label_event", "label_event", ["undoes_id"], ["id"])


def _check_hash(check: str) -> None:
    op.drop_constraint(op.f("ck_image_sha256"), "image")
    op.create_check_constraint(op.f("ck_image_sha256"), "image", check)


def _append_only(function: str) -> None:
    op.execute(
        "CREATE TRIGGER label_event_append_only BEFORE UPDATE OR DELETE ON label_event"
        f" FOR EACH ROW EXECUTE FUNCTION {function}()"
    )


def downgrade() -> None:
    op.execute("LOCK TABLE image, label_event IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM carrying) THEN
                RAISE EXCEPTION 'publications carried labels over, which release 0034 tells of label by label';
            END IF;
        END $$
    """)
    op.execute("DROP TRIGGER label_event_append_only ON label_event")
    op.execute("DROP FUNCTION refuse_label_event_change")
    _append_only("refuse_change")
    for name in AFTER:
        op.drop_constraint(op.f(f"ck_label_event_{name}"), "label_event")
    for column in ("places", "stood", "carrying_id"):
        op.drop_column("label_event", column)
    for name, check in BEFORE.items():
        op.create_check_constraint(op.f(f"ck_label_event_{name}"), "label_event", check)
    op.drop_table("carrying")
    op.create_table("label_before",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column("change_id", sa.BigInteger(), nullable=False),
    sa.Column("version_id", sa.BigInteger(), nullable=False),
    sa.Column("image_id", sa.BigInteger(), nullable=False),
    sa.Column("node_id", sa.BigInteger(), nullable=False),
    sa.Column("polarity", sa.String(), nullable=False),
    sa.Column("revision", sa.Integer(), nullable=False),
    sa.Column("label", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.CheckConstraint("jsonb_typeof(label) = 'object'", name=op.f("ck_label_before_label")),
    sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f("ck_label_before_polarity")),
    sa.ForeignKeyConstraint(["change_id"], ["node_change.id"], name=op.f("fk_label_before_change_id")),
    sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_label_before_image_id"), ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_label_before_node_id")),
    sa.ForeignKeyConstraint(["version_id"], ["criteria_version.id"], name=op.f("fk_label_before_version_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_label_before")),
    )
    op.create_index(op.f("ix_label_before_change_id_version_id"), "label_before", ["change_id", "version_id"], unique=False)
    op.create_index(op.f("ix_label_before_image_id"), "label_before", ["image_id"], unique=False)
    _check_hash("sha256 ~ '^[0-9a-f]{64}$'")
