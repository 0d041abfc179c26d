"""How many contradictions each image has, kept by triggers, so that filters find the images with and without any.

What is kept and why so: docs/decisions/0009-counts-are-kept-by-appending.md.
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

FOLDED_EVERY = 1000
PART = 20_000
"""Images that are counted in one statement, so that what it groups stays in memory."""
STANDS = "state IN ('proposed', 'confirmed')"
KINDS = ("used", "done", "undone", "new", "aside", "asked")


def upgrade() -> None:
    _tables()
    _fill_sides()
    _count_function()
    _fill_numbers()
    op.create_index(op.f("ix_image_contradiction_project_id_is_contradictory_image_id"), "image_contradiction", ["project_id", "is_contradictory", "image_id"])
    _fold((*KINDS, "contradictory"))
    _keep_numbers()
    _keep_counts()


def downgrade() -> None:
    for table in ("label", "image_trait", "pair_need", "contradiction_side"):
        for each in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER {table}_contradicts_{each} ON {table}")
            op.execute(f"DROP FUNCTION keep_contradictions_of_{table}_{each}()")
    for table, name in (
        ("image", "image_added_contradicts"),
        ("image", "image_changed_contradicts"),
        ("image_contradiction", "image_contradiction_counted_insert"),
        ("image_contradiction", "image_contradiction_counted_update"),
    ):
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in ("begin_image_contradiction()", "count_contradictory_image()", "count_image_contradiction()", "keep_contradictions(bigint[])"):
        op.execute(f"DROP FUNCTION {name}")
    _fold(KINDS)
    op.drop_column("image_count", "contradictory")
    op.drop_table("image_contradiction")
    op.drop_table("contradiction_side")


def _tables() -> None:
    op.create_table("contradiction_side",
    sa.Column("node_id", sa.BigInteger(), nullable=False),
    sa.Column("polarity", sa.String(), nullable=False),
    sa.Column("rule", sa.String(), nullable=False),
    sa.Column("weight", sa.Integer(), nullable=False),
    sa.CheckConstraint("polarity IN ('positive', 'negative')", name=op.f("ck_contradiction_side_polarity")),
    sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_contradiction_side_node_id")),
    sa.PrimaryKeyConstraint("node_id", "polarity", "rule", name=op.f("pk_contradiction_side")),
    )
    op.create_table("image_contradiction",
    sa.Column("image_id", sa.BigInteger(), nullable=False),
    sa.Column("project_id", sa.BigInteger(), nullable=False),
    sa.Column("number", sa.Integer(), server_default=sa.text("0"), nullable=False),
    sa.Column("is_contradictory", sa.Boolean(), sa.Computed("number > 0", persisted=True), nullable=False),
    sa.CheckConstraint("number >= 0", name=op.f("ck_image_contradiction_number")),
    sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_image_contradiction_image_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_contradiction")),
    postgresql_with={"fillfactor": 50},
    )
    op.add_column("image_count", sa.Column("contradictory", sa.BigInteger(), server_default=sa.text("0"), nullable=False))


# What cannot hold together, of the versions in force ------------------------------------------------


def _fill_sides() -> None:
    connection = op.get_bind()
    in_force = sa.text("SELECT DISTINCT ON (project_id) project_id, content FROM criteria_version ORDER BY project_id, number DESC")
    insert = sa.text("""
        INSERT INTO contradiction_side (node_id, polarity, rule, weight)
        SELECT n.id, each.polarity, each.rule, each.weight FROM node AS n
        JOIN jsonb_to_recordset(CAST(:sides AS jsonb)) AS each(rule text, key text, polarity text, weight int) USING (key)
        WHERE n.project_id = :project AND n.kind = 'pair' ON CONFLICT DO NOTHING
    """)
    for project_id, content in connection.execute(in_force).all():
        names = ("rule", "key", "polarity", "weight")
        sides = [dict(zip(names, each, strict=True)) for each in _sides(json.loads(content))]
        connection.execute(insert, {"project": project_id, "sides": json.dumps(sides)})


def _sides(tree: dict[str, Any]) -> Iterator[tuple[str, str, str, int]]:
    """The rules of the canonical JSON of a version as weights, as the application wrote them when this came."""
    pairs: dict[str, dict[str, Any]] = {}
    exclusive: list[tuple[str, str]] = []
    there: set[str] = set()
    for dimension in tree.get("dimensions", []):
        _walk(dimension, (), pairs, exclusive, there, retired=False)
    for key, pair in pairs.items():
        if pair.get("relation") == "opposed":
            yield f"opposed {key}", key, "positive", 1
            yield f"opposed {key}", key, "negative", 1
        elif pair.get("relation") == "flaw":
            yield f"flaw {key}", key, "negative", 2
            yield f"flaw {key}", key, "positive", -2
    for above, key in exclusive:
        yield f"exclusive {above}", key, "positive", 1
    yield from _excluded(pairs, tree.get("successors", {}), there)


def _walk(
    dimension: dict[str, Any],
    above: tuple[str, ...],
    pairs: dict[str, dict[str, Any]],
    exclusive: list[tuple[str, str]],
    there: set[str],
    *,
    retired: bool,
) -> None:
    retired = retired or bool(dimension.get("retired"))
    there.add(dimension["key"])
    here = (*above, dimension["key"]) if dimension.get("exclusive") else above
    for below in dimension.get("dimensions", []):
        _walk(below, here, pairs, exclusive, there, retired=retired)
    for pair in dimension.get("pairs", []):
        there.add(pair["key"])
        if not (retired or pair.get("retired")):
            pairs[pair["key"]] = pair
            exclusive += [(each, pair["key"]) for each in here]


def _excluded(
    pairs: dict[str, dict[str, Any]], successors: dict[str, list[str]], there: set[str]
) -> Iterator[tuple[str, str, str, int]]:
    places = {key: place for place, key in enumerate(pairs)}
    for key, pair in pairs.items():
        for polarity in ("positive", "negative"):
            said = pair.get(polarity)
            for text in said.get("excludes", []) if isinstance(said, dict) else ():
                excluded, _, side = text.rpartition("/")
                for other in _resolved(excluded, successors, there):
                    if other == key or other not in pairs:
                        continue
                    first, second = sorted(((key, polarity), (other, side)), key=lambda one: places[one[0]])
                    rule = f"excluded {first[0]}/{first[1]} {second[0]}/{second[1]}"
                    yield rule, *first, 1
                    yield rule, *second, 1


def _resolved(key: str, successors: dict[str, list[str]], there: set[str]) -> list[str]:
    """What stands for a key by now."""
    found, seen, waiting = [], set[str](), [key]
    while waiting:
        each = waiting.pop(0)
        if each in seen:
            continue
        seen.add(each)
        if each in successors:
            waiting = [*successors[each], *waiting]
        elif each in there:
            found.append(each)
    return found


# How many there are ------------------------------------------------------------------------------


def _count_function() -> None:
    # Whoever changes labels of an image, or what it holds, has locked it, so that these are counted one after another.
    op.execute(f"""
        CREATE FUNCTION keep_contradictions(images bigint[]) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            IF cardinality(images) = 0 THEN
                RETURN;
            END IF;
            UPDATE image_contradiction AS k SET number = counted.number FROM (
                SELECT touched.id, count(broken.rule) AS number FROM unnest(images) AS touched(id)
                LEFT JOIN LATERAL (
                    SELECT s.rule FROM label AS l
                    JOIN contradiction_side AS s ON s.node_id = l.node_id AND s.polarity = l.polarity
                    WHERE l.image_id = touched.id AND l.{STANDS} AND NOT EXISTS (
                        SELECT FROM image_trait AS t JOIN pair_need AS n ON n.content = t.value
                        WHERE t.image_id = l.image_id AND t.kind = 'content' AND NOT t.present AND n.node_id = l.node_id
                    )
                    GROUP BY s.rule HAVING sum(s.weight) >= 2
                ) AS broken ON true
                GROUP BY touched.id
            ) AS counted
            WHERE k.image_id = counted.id AND k.number <> counted.number;
        END $$
    """)


def _fill_numbers() -> None:
    connection = op.get_bind()
    op.execute("INSERT INTO image_contradiction (image_id, project_id) SELECT id, project_id FROM image ORDER BY id")
    # Statistics of before would have the lateral join read the whole table for each image.
    op.execute("ANALYZE contradiction_side")
    last = connection.scalar(sa.text("SELECT max(id) FROM image")) or 0
    part = sa.text("SELECT keep_contradictions(ARRAY(SELECT id FROM image WHERE id > :after AND id <= :upto ORDER BY id))")
    for after in range(0, last, PART):
        connection.execute(part, {"after": after, "upto": after + PART})
    op.execute("""
        INSERT INTO image_count (project_id, contradictory)
        SELECT k.project_id, count(*) FROM image_contradiction AS k JOIN image AS i ON i.id = k.image_id
        WHERE k.is_contradictory AND i.state = 'used' GROUP BY k.project_id
    """)


LACKING = "kind = 'content' AND NOT present"
# The images whose number may be another one after a statement that brought and took away rows.
TOUCHED = {
    "label": """
        SELECT DISTINCT image_id FROM (
            SELECT image_id FROM ({came}) AS changed GROUP BY image_id, node_id, polarity HAVING sum(num) <> 0
        ) AS touched
    """,
    "image_trait": "SELECT DISTINCT image_id FROM ({came}) AS changed",
    "pair_need": f"""
        SELECT DISTINCT t.image_id FROM ({{came}}) AS changed JOIN image_trait AS t ON t.value = changed.content
        WHERE t.{LACKING}
    """,
    "contradiction_side": f"""
        SELECT DISTINCT l.image_id FROM ({{came}}) AS changed
        JOIN label AS l ON l.node_id = changed.node_id AND l.polarity = changed.polarity
        WHERE l.{STANDS}
    """,
}
ROWS = {
    "label": f"SELECT image_id, node_id, polarity, {{num}} AS num FROM {{rows}} WHERE {STANDS}",
    "image_trait": f"SELECT image_id FROM {{rows}} WHERE {LACKING}",
    "pair_need": "SELECT content FROM {rows}",
    "contradiction_side": "SELECT node_id, polarity FROM {rows}",
}
CHANGED = {"insert": {"came": 1}, "update": {"came": 1, "went": -1}, "delete": {"went": -1}}
WORDS = {"came": "NEW TABLE AS came", "went": "OLD TABLE AS went"}


def _keep_numbers() -> None:
    op.execute("""
        CREATE FUNCTION begin_image_contradiction() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO image_contradiction (image_id, project_id) SELECT id, project_id FROM came ORDER BY id;
            RETURN NULL;
        END $$
    """)
    op.execute(
        "CREATE TRIGGER image_added_contradicts AFTER INSERT ON image REFERENCING NEW TABLE AS came"
        " FOR EACH STATEMENT EXECUTE FUNCTION begin_image_contradiction()"
    )
    for table, touched in TOUCHED.items():
        for kind, tables in CHANGED.items():
            rows = " UNION ALL ".join(
                ROWS[table].format(num=num, rows=name) for name, num in tables.items()
            )
            name = f"keep_contradictions_of_{table}_{kind}()"
            op.execute(f"""
                CREATE FUNCTION {name} RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF current_setting('morelli.contradictions', true) = 'later' THEN
                        RETURN NULL;
                    END IF;
                    PERFORM keep_contradictions(ARRAY({touched.format(came=rows)}));
                    RETURN NULL;
                END $$
            """)
            op.execute(
                f"CREATE TRIGGER {table}_contradicts_{kind} AFTER {kind.upper()} ON {table}"
                f" REFERENCING {' '.join(WORDS[each] for each in tables)} FOR EACH STATEMENT EXECUTE FUNCTION {name}"
            )


# How many images have some -----------------------------------------------------------------------


def _fold(kinds: tuple[str, ...]) -> None:
    op.execute(f"""
        CREATE OR REPLACE FUNCTION fold_image_count(folded bigint) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            IF pg_try_advisory_xact_lock(hashtextextended('image_count', folded)) THEN
                WITH gone AS (DELETE FROM image_count WHERE project_id = folded RETURNING *)
                INSERT INTO image_count (project_id, {", ".join(kinds)})
                SELECT project_id, {", ".join(f"sum({each})" for each in kinds)} FROM gone GROUP BY project_id;
            END IF;
        END $$
    """)


def _keep_counts() -> None:
    for name, one, of, condition in (
        (
            "count_image_contradiction",
            "CASE WHEN NEW.number > 0 THEN 1 ELSE -1 END",
            "FROM image WHERE id = NEW.image_id AND state = 'used'",
            "true",
        ),
        (
            "count_contradictory_image",
            "(NEW.state = 'used')::integer - (OLD.state = 'used')::integer",
            "FROM image_contradiction WHERE image_id = NEW.id AND is_contradictory",
            "(NEW.state = 'used') <> (OLD.state = 'used')",
        ),
    ):
        op.execute(f"""
            CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE number bigint;
            BEGIN
                IF {condition} THEN
                    INSERT INTO image_count (project_id, contradictory) SELECT NEW.project_id, {one} {of} RETURNING id INTO number;
                    IF number % {FOLDED_EVERY} = 0 THEN
                        PERFORM fold_image_count(NEW.project_id);
                    END IF;
                END IF;
                RETURN NULL;
            END $$
        """)
    op.execute("""
        CREATE TRIGGER image_changed_contradicts AFTER UPDATE ON image FOR EACH ROW
        WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION count_contradictory_image()
    """)
    op.execute("""
        CREATE TRIGGER image_contradiction_counted_insert AFTER INSERT ON image_contradiction FOR EACH ROW
        WHEN (NEW.number > 0) EXECUTE FUNCTION count_image_contradiction()
    """)
    op.execute("""
        CREATE TRIGGER image_contradiction_counted_update AFTER UPDATE ON image_contradiction FOR EACH ROW
        WHEN ((OLD.number > 0) <> (NEW.number > 0)) EXECUTE FUNCTION count_image_contradiction()
    """)
