"""A new objective is one entry and one file: nobody else lists them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.runs.models import Run
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
assert not any("dpo" in each for each in checks.values()), checks
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


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_database_holds_each_objective_to_what_it_needs(db: Session, kind: str) -> None:
    facts = OBJECTIVES[kind]
    right, wrong = "pair_dataset_id", "dataset_id"
    if not facts.reads_pairs:
        right, wrong = wrong, right
    expert = {"expert_run_id": 1} if facts.needs_expert else {}
    assert broken_by(db, kind, {right: 1} | expert) == "fk"
    assert broken_by(db, kind, {wrong: 1} | expert) == "ck_run_data"
    assert broken_by(db, kind, {right: 1, wrong: 1} | expert) == "ck_run_data"
    if facts.needs_expert:
        assert broken_by(db, kind, {right: 1}) == "ck_run_expert"


def broken_by(db: Session, kind: str, ids: dict[str, int]) -> str:
    """The check that refuses a run, or `fk`: all checks let it pass, and only what it names is not there."""
    run = Run(project_id=1, number=1, name="", kind=kind, job_id=1, config={}, folder="", **ids)
    db.add(run)
    with pytest.raises(IntegrityError) as refused:
        db.flush()
    db.rollback()
    name = str(refused.value.orig.diag.constraint_name)  # type: ignore[union-attr]
    return "fk" if name.startswith("fk_") else name
