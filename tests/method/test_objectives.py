"""A new objective is one entry and one file: nobody else lists them."""

import ast
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from method.objectives import OBJECTIVES

ROOT = Path(__file__).resolve().parents[2]

# Registered before anything else reads the table, as an entry in the file would be.
SEVENTH = """
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from method.objectives import OBJECTIVES

OBJECTIVES["seventh"] = replace(
    OBJECTIVES["dpo"], title="Seventh: a trial", meaning="a trial", card="a trial", module="seventh"
)
from app.runs import estimating, options
from app.runs.model_sizes import size_of
from app.runs.models import Run
from method.training.config_fields import all_fields
from method.training.config_reading import from_dict, load_config, to_dict, write_yaml
from method.training.presets import PRESETS
import worker.training.objectives
from worker.training.objectives.registry import make_objective

worker.training.objectives.__path__.append(sys.argv[1])
for preset in PRESETS.values():
    config = preset.config("seventh")
    assert from_dict(to_dict(config)) == config
    assert (config.pairs_folder, config.dataset_folder, config.expert) == ("data", None, None)
    seventh, dpo = (
        estimating.example_tflop(preset.config(kind), size_of(preset.base_model)) for kind in ("seventh", "dpo")
    )
    assert seventh > 0
    assert "seventh" in write_yaml(config)
assert make_objective(SimpleNamespace(config=config)) == ("made for", "seventh")
assert "seventh: a trial." in all_fields()["objective.kind"].help
paths = {each.path for each in options.main_options("seventh")}
assert "objective.beta" in paths and "objective.omega_w" not in paths
checks = {c.name: str(c.sqltext) for c in Run.__table__.constraints if hasattr(c, "sqltext")}
assert all("seventh" in checks[f"ck_run_{name}"] for name in ("kind", "data")), checks
print("all well")
"""
FILE = """
def make(parts):
    return "made for", parts.config.objective.kind
"""


def test_a_seventh_objective_is_an_entry_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "seventh.py").write_text(FILE)
    done = subprocess.run(
        [sys.executable, "-c", SEVENTH, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("all well\n", 0), done.stderr


def test_nobody_else_lists_the_objectives() -> None:
    lists = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for name in ("app", "method", "worker")
        for path in (ROOT / name).rglob("*.py")
        if path != ROOT / "method" / "objectives.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict)
        and len(
            {each.value for each in _parts(node) if isinstance(each, ast.Constant)} & {*OBJECTIVES}
        )
        > 2
    ]
    assert lists == []


def _parts(node: ast.Tuple | ast.List | ast.Set | ast.Dict) -> list[ast.expr | None]:
    return [*node.keys] if isinstance(node, ast.Dict) else [*node.elts]


def test_every_objective_has_its_file() -> None:
    folder = ROOT / "worker" / "training" / "objectives"
    assert all((folder / f"{facts.module}.py").is_file() for facts in OBJECTIVES.values())


def test_the_database_knows_the_same_objectives(db: Session) -> None:
    rows = db.execute(
        text(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = 'run'::regclass AND contype = 'c'"
        )
    )
    checks = {name.removeprefix("ck_run_"): check for name, check in rows}
    for name, kinds in (
        ("kind", set(OBJECTIVES)),
        ("expert", {kind for kind, facts in OBJECTIVES.items() if facts.needs_expert}),
        ("data", {kind for kind, facts in OBJECTIVES.items() if facts.reads_pairs}),
    ):
        assert {kind for kind in OBJECTIVES if f"'{kind}'" in checks[name]} == kinds
