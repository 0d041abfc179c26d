"""Counts of labels and images that triggers keep, and the indexes that filters read in the order of images.

What is kept and why so: docs/decisions/0009-counts-are-kept-by-appending.md.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

FOLDED_EVERY = 1000
"""Appended rows between two foldings."""

# What labels are counted by.
GROUP = "project_id, node_id, polarity, state, source, lacking"
OF_RUN = "agent_run_id, node_id, polarity, state"

# Pairs that do not apply to an image, because it lacks what they need.
DOES_NOT_APPLY = """
    SELECT DISTINCT t.image_id, n.node_id FROM image_trait AS t JOIN pair_need AS n ON n.content = t.value
    WHERE t.kind = 'content' AND NOT t.present
"""


def upgrade() -> None:
    _tables()
    _fill()
    _of_labels()
    _of_what_applies()
    _of_images()
    _indexes()


def downgrade() -> None:
    for table, name in (
        *(("label", f"label_counted_{each}") for each in ("insert", "update", "delete")),
        *(("image_trait", f"image_trait_counted_{each}") for each in ("insert", "update", "delete")),
        *(("pair_need", f"pair_need_counted_{each}") for each in ("insert", "update", "delete")),
        *(("image", f"image_counted_{each}") for each in ("insert", "update", "delete")),
        *(("image_tally", f"image_tally_counted_{each}") for each in ("insert", "update")),
    ):
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in ("label", "image_trait", "pair_need"):
        for each in ("insert", "update", "delete"):
            op.execute(f"DROP FUNCTION count_{name}_{each}()")
    for name in ("count_image_rows()", "count_image_row()", "count_image_tally()", "fold_label_count(bigint)", "fold_agent_run_count(bigint)", "fold_image_count(bigint)"):
        op.execute(f"DROP FUNCTION {name}")
    for table in ("image_tally", "label_count", "agent_run_count", "image_count"):
        op.drop_table(table)
    op.create_index(op.f("ix_label_project_id_state"), "label", ["project_id", "state"])
    op.create_index(op.f("ix_label_node_id_polarity_state"), "label", ["node_id", "polarity", "state"])
    op.create_index(op.f("ix_label_agent_run_id_node_id_polarity_state"), "label", ["agent_run_id", "node_id", "polarity", "state"])
    for name in ("ix_label_node_id_polarity_state_image_id", "ix_label_agent_run_id_image_id", "ix_label_decided_by_image_id"):
        op.drop_index(name, table_name="label")
    op.drop_index("ix_agent_run_image_agent_run_id_proposed", table_name="agent_run_image")


def _tables() -> None:
    # No foreign keys: triggers alone write these rows, of things that have theirs.
    op.create_table("label_count",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column("project_id", sa.BigInteger(), nullable=False),
    sa.Column("node_id", sa.BigInteger(), nullable=False),
    sa.Column("polarity", sa.String(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("source", sa.String(), nullable=False),
    sa.Column("lacking", sa.Boolean(), nullable=False),
    sa.Column("num", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_label_count")),
    )
    op.create_index(op.f("ix_label_count_project_id_node_id"), "label_count", ["project_id", "node_id"])
    op.create_table("agent_run_count",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column("agent_run_id", sa.BigInteger(), nullable=False),
    sa.Column("node_id", sa.BigInteger(), nullable=False),
    sa.Column("polarity", sa.String(), nullable=False),
    sa.Column("state", sa.String(), nullable=False),
    sa.Column("num", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_run_count")),
    )
    op.create_index(op.f("ix_agent_run_count_agent_run_id"), "agent_run_count", ["agent_run_id"])
    op.create_table("image_count",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column("project_id", sa.BigInteger(), nullable=False),
    *(sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False) for name in ("used", "done", "undone", "new", "aside", "asked")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_image_count")),
    )
    op.create_index(op.f("ix_image_count_project_id"), "image_count", ["project_id"])
    op.create_table("image_tally",
    sa.Column("image_id", sa.BigInteger(), nullable=False),
    sa.Column("project_id", sa.BigInteger(), nullable=False),
    sa.Column("proposed", sa.Integer(), nullable=False),
    sa.Column("of_agents", sa.Integer(), nullable=False),
    sa.Column("is_asked", sa.Boolean(), sa.Computed("proposed > 0", persisted=True), nullable=False),
    sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_tally")),
    postgresql_with={"fillfactor": 50},
    )


def _fill() -> None:
    op.execute(f"""
        INSERT INTO label_count ({GROUP}, num)
        SELECT l.project_id, l.node_id, l.polarity, l.state, l.source, n.node_id IS NOT NULL, count(*)
        FROM label AS l JOIN image AS i ON i.id = l.image_id AND i.state = 'used'
        LEFT JOIN ({DOES_NOT_APPLY}) AS n ON n.image_id = l.image_id AND n.node_id = l.node_id
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2
    """)
    op.execute(f"""
        INSERT INTO agent_run_count ({OF_RUN}, num)
        SELECT l.agent_run_id, l.node_id, l.polarity, l.state, count(*)
        FROM label AS l JOIN image AS i ON i.id = l.image_id AND i.state = 'used'
        WHERE l.agent_run_id IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2
    """)
    op.execute(f"""
        INSERT INTO image_tally (image_id, project_id, proposed, of_agents)
        SELECT l.image_id, l.project_id, count(*) FILTER (WHERE l.state = 'proposed'), count(*) FILTER (WHERE l.source = 'agent')
        FROM label AS l LEFT JOIN ({DOES_NOT_APPLY}) AS n ON n.image_id = l.image_id AND n.node_id = l.node_id
        WHERE n.node_id IS NULL GROUP BY l.image_id, l.project_id
    """)
    op.create_index("ix_image_tally_asked", "image_tally", ["project_id", "image_id"], postgresql_where=sa.text("is_asked"))
    op.create_index(op.f("ix_image_tally_project_id_of_agents"), "image_tally", ["project_id", "of_agents"])
    op.execute("""
        INSERT INTO image_count (project_id, used, done, undone, new, aside, asked)
        SELECT i.project_id,
               count(*) FILTER (WHERE i.state = 'used'),
               count(*) FILTER (WHERE i.state = 'used' AND i.done_at IS NOT NULL),
               count(*) FILTER (WHERE i.state = 'used' AND (i.done_at IS NULL OR i.came_back_at IS NOT NULL)),
               count(*) FILTER (WHERE i.state = 'used' AND i.came_back_at IS NOT NULL),
               count(*) FILTER (WHERE i.state = 'aside'),
               count(*) FILTER (WHERE i.state = 'used' AND t.is_asked)
        FROM image AS i LEFT JOIN image_tally AS t ON t.image_id = i.id GROUP BY i.project_id
    """)


# Labels ----------------------------------------------------------------------------------------

# The rows that a statement brought and took away, as its trigger sees them.
CHANGED = {
    "insert": ("NEW TABLE AS came", "SELECT *, 1 AS num FROM came"),
    "delete": ("OLD TABLE AS went", "SELECT *, -1 AS num FROM went"),
    "update": ("OLD TABLE AS went NEW TABLE AS came", "SELECT *, 1 AS num FROM came UNION ALL SELECT *, -1 AS num FROM went"),
}

# `said` has how many labels of a kind an image has more or less, whether they lack what they need, and
# whether the image is in use. The image is locked by whoever changes its labels, so its state holds still.
KEEP = f"""
    tallied AS (
        INSERT INTO image_tally AS t (image_id, project_id, proposed, of_agents)
        SELECT image_id, project_id,
               coalesce(sum(num) FILTER (WHERE state = 'proposed'), 0), coalesce(sum(num) FILTER (WHERE source = 'agent'), 0)
        FROM said WHERE NOT lacking GROUP BY image_id, project_id
        HAVING sum(num) FILTER (WHERE state = 'proposed') <> 0 OR sum(num) FILTER (WHERE source = 'agent') <> 0
        ORDER BY image_id
        ON CONFLICT (image_id) DO UPDATE
        SET proposed = t.proposed + excluded.proposed, of_agents = t.of_agents + excluded.of_agents
    ), appended AS (
        INSERT INTO label_count ({GROUP}, num)
        SELECT {GROUP}, sum(num) FROM said WHERE in_use GROUP BY {GROUP} HAVING sum(num) <> 0
        RETURNING id, project_id
    ), appended_to_runs AS (
        INSERT INTO agent_run_count ({OF_RUN}, num)
        SELECT {OF_RUN}, sum(num) FROM said WHERE in_use AND agent_run_id IS NOT NULL
        GROUP BY {OF_RUN} HAVING sum(num) <> 0
        RETURNING id, agent_run_id
    )
    SELECT (SELECT max(project_id) FROM appended WHERE id % {FOLDED_EVERY} = 0),
           (SELECT max(agent_run_id) FROM appended_to_runs WHERE id % {FOLDED_EVERY} = 0)
    INTO due, due_run;
    IF due IS NOT NULL THEN
        PERFORM fold_label_count(due);
    END IF;
    IF due_run IS NOT NULL THEN
        PERFORM fold_agent_run_count(due_run);
    END IF;
    RETURN NULL;
"""


def _of_labels() -> None:
    # One at a time folds the rows of a project or run; others go on appending meanwhile.
    for table, whose, group in (
        ("label_count", "project_id", GROUP),
        ("agent_run_count", "agent_run_id", OF_RUN),
    ):
        op.execute(f"""
            CREATE FUNCTION fold_{table}(folded bigint) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                IF pg_try_advisory_xact_lock(hashtextextended('{table}', folded)) THEN
                    WITH several AS (
                        SELECT {group}, array_agg(id) AS ids, sum(num) AS num FROM {table}
                        WHERE {whose} = folded GROUP BY {group} HAVING count(*) > 1
                    ), gone AS (
                        DELETE FROM {table} WHERE id IN (SELECT unnest(ids) FROM several)
                    )
                    INSERT INTO {table} ({group}, num) SELECT {group}, num FROM several WHERE num <> 0 ORDER BY node_id;
                END IF;
            END $$
        """)
    for kind, (tables, rows) in CHANGED.items():
        op.execute(f"""
            CREATE FUNCTION count_label_{kind}() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE due bigint; due_run bigint;
            BEGIN
                WITH said AS MATERIALIZED (
                    SELECT c.*, i.state = 'used' AS in_use, EXISTS (
                        SELECT FROM image_trait AS t JOIN pair_need AS n ON n.content = t.value
                        WHERE t.image_id = c.image_id AND t.kind = 'content' AND NOT t.present AND n.node_id = c.node_id
                    ) AS lacking
                    FROM (
                        SELECT project_id, image_id, node_id, polarity, state, source, agent_run_id, sum(num) AS num
                        FROM ({rows}) AS changed
                        GROUP BY project_id, image_id, node_id, polarity, state, source, agent_run_id HAVING sum(num) <> 0
                    ) AS c JOIN image AS i ON i.id = c.image_id
                ), {KEEP}
            END $$
        """)
        op.execute(
            f"CREATE TRIGGER label_counted_{kind} AFTER {kind.upper()} ON label REFERENCING {tables}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION count_label_{kind}()"
        )


# What applies ----------------------------------------------------------------------------------

# Labels that may lack what they need now and did not before, or the other way round, with both.
SHIFT = """
    WITH came AS ({came}), went AS ({went}), {touched}, shifted AS (
        SELECT l.project_id, l.image_id, l.node_id, l.polarity, l.state, l.source, l.agent_run_id, i.state = 'used' AS in_use,
               EXISTS ({before}) AS before, EXISTS ({after}) AS after
        FROM touched AS p JOIN label AS l ON l.image_id = p.image_id AND l.node_id = p.node_id
        JOIN image AS i ON i.id = l.image_id
    ), said AS MATERIALIZED (
        SELECT s.project_id, s.image_id, s.node_id, s.polarity, s.state, s.source, s.agent_run_id, s.in_use, e.lacking, e.num
        FROM shifted AS s CROSS JOIN LATERAL (VALUES (s.after, 1), (s.before, -1)) AS e(lacking, num)
        WHERE s.before <> s.after
    ),
"""
LACKS = "t.image_id = l.image_id AND t.kind = 'content' AND NOT t.present"
AFTER = f"""
    SELECT FROM image_trait AS t JOIN pair_need AS n ON n.content = t.value WHERE {LACKS} AND n.node_id = l.node_id
"""
OF_TRAITS = {
    "touched": """touched AS (
        SELECT DISTINCT c.image_id, n.node_id FROM (SELECT * FROM came UNION SELECT * FROM went) AS c
        JOIN pair_need AS n ON n.content = c.value
    )""",
    "before": f"""
        SELECT FROM (
            (SELECT t.image_id, t.value FROM image_trait AS t WHERE {LACKS} EXCEPT SELECT image_id, value FROM came)
            UNION SELECT image_id, value FROM went
        ) AS t JOIN pair_need AS n ON n.content = t.value WHERE t.image_id = l.image_id AND n.node_id = l.node_id
    """,
    "after": AFTER,
}
OF_NEEDS = {
    "touched": """touched AS (
        SELECT DISTINCT t.image_id, c.node_id FROM (SELECT * FROM came UNION SELECT * FROM went) AS c
        JOIN image_trait AS t ON t.value = c.content WHERE t.kind = 'content' AND NOT t.present
    )""",
    "before": f"""
        SELECT FROM (
            (SELECT n.node_id, n.content FROM pair_need AS n WHERE n.node_id = l.node_id EXCEPT SELECT node_id, content FROM came)
            UNION SELECT node_id, content FROM went
        ) AS n JOIN image_trait AS t ON t.value = n.content WHERE {LACKS} AND n.node_id = l.node_id
    """,
    "after": AFTER,
}


def _of_what_applies() -> None:
    lacking = "SELECT image_id, value FROM {rows} WHERE kind = 'content' AND NOT present"
    needed = "SELECT node_id, content FROM {rows}"
    for table, columns, shift in (("image_trait", lacking, OF_TRAITS), ("pair_need", needed, OF_NEEDS)):
        none = f"{columns.format(rows=table)} LIMIT 0"
        for kind, (tables, _) in CHANGED.items():
            names = tables.replace("came", "brought").replace("went", "taken")
            came = columns.format(rows="brought") if "came" in tables else none
            went = columns.format(rows="taken") if "went" in tables else none
            op.execute(f"""
                CREATE FUNCTION count_{table}_{kind}() RETURNS trigger LANGUAGE plpgsql AS $$
                DECLARE due bigint; due_run bigint;
                BEGIN
                    {SHIFT.format(came=came, went=went, **shift)} {KEEP}
                END $$
            """)
            op.execute(
                f"CREATE TRIGGER {table}_counted_{kind} AFTER {kind.upper()} ON {table} REFERENCING {names}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION count_{table}_{kind}()"
            )


# Images ----------------------------------------------------------------------------------------

SUMMED = "sum(used), sum(done), sum(undone), sum(new), sum(aside), sum(asked)"


def _of_images() -> None:
    op.execute(f"""
        CREATE FUNCTION fold_image_count(folded bigint) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            IF pg_try_advisory_xact_lock(hashtextextended('image_count', folded)) THEN
                WITH gone AS (DELETE FROM image_count WHERE project_id = folded RETURNING *)
                INSERT INTO image_count (project_id, used, done, undone, new, aside, asked)
                SELECT project_id, {SUMMED} FROM gone GROUP BY project_id;
            END IF;
        END $$
    """)
    # Statements that bring many images, as imports do.
    op.execute(f"""
        CREATE FUNCTION count_image_rows() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE due bigint; sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
        BEGIN
            WITH appended AS (
                INSERT INTO image_count (project_id, used, done, undone, new, aside)
                SELECT project_id,
                       sign * count(*) FILTER (WHERE state = 'used'),
                       sign * count(*) FILTER (WHERE state = 'used' AND done_at IS NOT NULL),
                       sign * count(*) FILTER (WHERE state = 'used' AND (done_at IS NULL OR came_back_at IS NOT NULL)),
                       sign * count(*) FILTER (WHERE state = 'used' AND came_back_at IS NOT NULL),
                       sign * count(*) FILTER (WHERE state = 'aside')
                FROM changed GROUP BY project_id
                RETURNING id, project_id
            )
            SELECT max(project_id) INTO due FROM appended WHERE id % {FOLDED_EVERY} = 0;
            IF due IS NOT NULL THEN
                PERFORM fold_image_count(due);
            END IF;
            RETURN NULL;
        END $$
    """)
    for kind, rows in (("insert", "NEW"), ("delete", "OLD")):
        op.execute(
            f"CREATE TRIGGER image_counted_{kind} AFTER {kind.upper()} ON image REFERENCING {rows} TABLE AS changed"
            " FOR EACH STATEMENT EXECUTE FUNCTION count_image_rows()"
        )
    # By row, for the condition: nearly every change of an image raises its revision and nothing else.
    op.execute(f"""
        CREATE FUNCTION count_image_row() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            number bigint;
            was integer := (OLD.state = 'used')::integer;
            is_now integer := (NEW.state = 'used')::integer;
        BEGIN
            INSERT INTO image_count (project_id, used, done, undone, new, aside, asked)
            SELECT NEW.project_id, is_now - was,
                   is_now * (NEW.done_at IS NOT NULL)::integer - was * (OLD.done_at IS NOT NULL)::integer,
                   is_now * (NEW.done_at IS NULL OR NEW.came_back_at IS NOT NULL)::integer
                   - was * (OLD.done_at IS NULL OR OLD.came_back_at IS NOT NULL)::integer,
                   is_now * (NEW.came_back_at IS NOT NULL)::integer - was * (OLD.came_back_at IS NOT NULL)::integer,
                   (NEW.state = 'aside')::integer - (OLD.state = 'aside')::integer,
                   (is_now - was) * EXISTS (SELECT FROM image_tally WHERE image_id = NEW.id AND is_asked)::integer
            RETURNING id INTO number;
            IF number % {FOLDED_EVERY} = 0 THEN
                PERFORM fold_image_count(NEW.project_id);
            END IF;
            IF is_now <> was THEN
                INSERT INTO label_count ({GROUP}, num)
                SELECT l.project_id, l.node_id, l.polarity, l.state, l.source, n.node_id IS NOT NULL,
                       (is_now - was) * count(*)
                FROM label AS l LEFT JOIN ({DOES_NOT_APPLY} AND t.image_id = NEW.id) AS n ON n.node_id = l.node_id
                WHERE l.image_id = NEW.id GROUP BY 1, 2, 3, 4, 5, 6;
                INSERT INTO agent_run_count ({OF_RUN}, num)
                SELECT {OF_RUN}, (is_now - was) * count(*) FROM label
                WHERE image_id = NEW.id AND agent_run_id IS NOT NULL GROUP BY {OF_RUN};
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER image_counted_update AFTER UPDATE ON image FOR EACH ROW
        WHEN ((OLD.state, OLD.done_at IS NULL, OLD.came_back_at IS NULL)
              IS DISTINCT FROM (NEW.state, NEW.done_at IS NULL, NEW.came_back_at IS NULL))
        EXECUTE FUNCTION count_image_row()
    """)
    op.execute(f"""
        CREATE FUNCTION count_image_tally() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE number bigint;
        BEGIN
            INSERT INTO image_count (project_id, asked)
            SELECT NEW.project_id, CASE WHEN NEW.proposed > 0 THEN 1 ELSE -1 END
            FROM image WHERE id = NEW.image_id AND state = 'used'
            RETURNING id INTO number;
            IF number % {FOLDED_EVERY} = 0 THEN
                PERFORM fold_image_count(NEW.project_id);
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER image_tally_counted_insert AFTER INSERT ON image_tally FOR EACH ROW
        WHEN (NEW.proposed > 0) EXECUTE FUNCTION count_image_tally()
    """)
    op.execute("""
        CREATE TRIGGER image_tally_counted_update AFTER UPDATE ON image_tally FOR EACH ROW
        WHEN ((OLD.proposed > 0) <> (NEW.proposed > 0)) EXECUTE FUNCTION count_image_tally()
    """)


def _indexes() -> None:
    op.create_index(op.f("ix_label_node_id_polarity_state_image_id"), "label", ["node_id", "polarity", "state", "image_id"])
    op.create_index(op.f("ix_label_agent_run_id_image_id"), "label", ["agent_run_id", "image_id"])
    op.create_index(op.f("ix_label_decided_by_image_id"), "label", ["decided_by", "image_id"])
    op.create_index(op.f("ix_agent_run_image_agent_run_id_proposed"), "agent_run_image", ["agent_run_id", "proposed"])
    op.drop_index(op.f("ix_label_project_id_state"), table_name="label")
    op.drop_index(op.f("ix_label_node_id_polarity_state"), table_name="label")
    op.drop_index(op.f("ix_label_agent_run_id_node_id_polarity_state"), table_name="label")
