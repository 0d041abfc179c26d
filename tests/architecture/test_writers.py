"""Only a room's own verbs write its tables: found in the source, so that the next writer cannot forget it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [*(ROOT / "app").rglob("*.py"), *(ROOT / "worker").rglob("*.py")]
STATEMENTS = {"insert", "update", "delete"}


def _models(tree: ast.Module) -> dict[str, str]:
    """Classes of tables that a module imports: name to room."""
    return {
        alias.asname or alias.name: (each.module or "").split(".")[1]
        for each in ast.walk(tree)
        if isinstance(each, ast.ImportFrom) and re.fullmatch(r"app\.\w+\.models", each.module or "")
        for alias in each.names
    }


def _written(call: ast.Call) -> str | None:
    """The class whose rows a call writes: `update(Label)`, `Label(...)`."""
    if not isinstance(call.func, ast.Name):
        return None
    if call.func.id in STATEMENTS and call.args and isinstance(call.args[0], ast.Name):
        return call.args[0].id
    return call.func.id


def foreign_writes() -> Iterator[str]:
    """`file: class` of each write into another room's table."""
    for path in sorted(SOURCES):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        rooms = _models(tree)
        own = path.relative_to(ROOT / "app").parts[0] if "app" in path.parts else ""
        for each in ast.walk(tree):
            name = _written(each) if isinstance(each, ast.Call) else None
            if name in rooms and rooms[name] != own:
                yield f"{path.relative_to(ROOT)}: {name}"


def test_only_a_room_writes_its_tables() -> None:
    assert sorted(set(foreign_writes())) == []
