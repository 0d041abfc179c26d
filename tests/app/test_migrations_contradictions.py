"""Contradictions are those of the labels that an installation has when it comes to keep them."""

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType

from hypothesis import given
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.labels.recounting import find_drift
from taxonomy.contradictions import Rules, contradictions
from taxonomy.formats.json import write_json
from taxonomy.tree import Attribute, Criteria, Dimension, Pair, Side
from tests.app.migrating import go
from tests.taxonomy.strategies import criteria_trees

MIGRATION = "2026-12-01-0240_contradictions_that_are_kept.py"


def pair(key: str, relation: str = "opposed", *excludes: Side) -> Pair:
    positive = Attribute(f"Good {key}", excludes=excludes)
    return Pair(key, relation, positive, Attribute(f"Bad {key}"))  # type: ignore[arg-type]


TREE = Criteria(
    "Old",
    dimensions=(
        Dimension("tone", "Tone", exclusive=True, pairs=(pair("bright"), pair("dark", "flaw"))),
        Dimension("form", "Form", pairs=(pair("edge", "graded", Side("gone", "positive")),)),
    ),
    successors={"gone": ("bright",)},
)
FILLED = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO person (name, email) VALUES ('Ada', 'ada@example.org');
    INSERT INTO criteria (project_id, name, revision) SELECT id, 'Old', 3 FROM project;
    INSERT INTO node (project_id, key, kind, position, name, definition, exclusive)
        SELECT id, 'form', 'dimension', 1, 'Form', '', false FROM project;
    INSERT INTO node (project_id, parent_id, key, kind, position, relation, positive_name,
        positive_definition, negative_name, negative_definition)
        SELECT n.project_id, n.id, k.key, 'pair', 1, 'opposed', 'a', '', 'b', ''
        FROM node AS n, unnest(ARRAY['bright', 'dark', 'edge']) AS k(key);
    INSERT INTO pair_need (node_id, content) SELECT id, 'hands' FROM node WHERE key = 'edge';
    INSERT INTO criteria_version (project_id, number, sha256, content, working_revision)
        SELECT id, 1, repeat('1', 64), '{}', 1 FROM project;
    INSERT INTO criteria_version (project_id, number, sha256, content, working_revision)
        SELECT id, 2, repeat('2', 64), :content, 1 FROM project;
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes)
        SELECT p.id, encode(sha256(n::text::bytea), 'hex'), n::text, 'PNG', 1, 1, 1
        FROM project AS p, generate_series(1, 64) AS n;
    UPDATE image SET state = 'aside', state_at = now(), state_reason = 'scan' WHERE name = '12';
    INSERT INTO image_trait (image_id, kind, value, source, present, person_id)
        SELECT i.id, 'content', 'hands', 'person', false, p.id FROM image AS i, person AS p WHERE i.name::int > 32;
    INSERT INTO label (project_id, image_id, node_id, polarity, state, source, version_id, revision)
        SELECT i.project_id, i.id, n.id, s.polarity, s.state, 'person', v.id, 1
        FROM image AS i, node AS n, criteria_version AS v, (VALUES
            ('bright', 'positive', 'proposed', 1), ('bright', 'negative', 'confirmed', 2), ('dark', 'positive', 'confirmed', 4),
            ('dark', 'negative', 'proposed', 8), ('edge', 'positive', 'confirmed', 16), ('edge', 'negative', 'rejected', 32)
        ) AS s(key, polarity, state, bit)
        WHERE n.key = s.key AND v.number = 2 AND i.name::int & s.bit > 0
"""
HELD = """
    SELECT i.name::int AS bits, i.state, k.number, (
        SELECT json_agg(json_build_array(n.key, l.polarity)) FROM label AS l JOIN node AS n ON n.id = l.node_id
        WHERE l.image_id = i.id AND l.state <> 'rejected' AND NOT (n.key = 'edge' AND i.name::int > 32)
    ) AS held FROM image AS i JOIN image_contradiction AS k ON k.image_id = i.id
"""


@cache
def migration() -> ModuleType:
    path = Path(__file__).parents[2] / "migrations" / "versions" / MIGRATION
    spec = importlib.util.spec_from_file_location("contradictions_that_are_kept", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(criteria_trees())
def test_the_rules_of_a_stored_version_are_those_of_its_tree(tree: Criteria) -> None:
    stored = set(migration()._sides(json.loads(write_json(tree))))
    own = {(each.rule, each.key, each.polarity, each.weight) for each in Rules(tree).weights()}
    assert stored == own


def test_a_filled_installation_is_counted_and_kept_from_then_on(old: Engine) -> None:
    go(old, "0049")
    with old.begin() as connection:
        for statement in FILLED.split(";"):
            given = {"content": write_json(TREE)} if ":content" in statement else {}
            connection.execute(text(statement), given)
    for way in ("head", "0049", "head"):
        go(old, way, down=way == "0049")
    with old.begin() as connection:
        rows = connection.execute(text(HELD)).all()
        some = 0
        for row in rows:
            held = {(key, polarity) for key, polarity in row.held or ()}
            assert row.number == len(contradictions(held, TREE)), held
            some += row.number > 0 and row.state == "used"
        assert len(rows) == 64
        assert 20 < some < 64
        assert connection.scalar(text("SELECT sum(contradictory) FROM image_count")) == some
        # From now on triggers keep them.
        connection.execute(text("UPDATE label SET state = 'rejected' WHERE polarity = 'negative'"))
        connection.execute(
            text("UPDATE image SET state = 'used', state_at = NULL WHERE name = '12'")
        )
        connection.execute(text("DELETE FROM pair_need"))
    with Session(old) as db:
        assert not any(each.groups for each in find_drift(db))
