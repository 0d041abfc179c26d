"""The documentation names every setting, its default, and none that does not exist."""

import json
import re
from pathlib import Path
from typing import Any

from app.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TABLE = (ROOT / "docs" / "servers.md").read_text(encoding="utf-8")
# Told by the tests' installer, by compose, and by whoever starts a trainer.
NOT_SETTINGS = {"MORELLI_CHROMIUM", "MORELLI_DB_PASSWORD", "MORELLI_DIE_WITH_PARENT"}


def name_of(field: str) -> str:
    return f"MORELLI_{field.upper()}"


def test_each_setting_stands_in_the_table_with_its_default() -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| `MORELLI_")]
    missing = []
    for field, about in Settings.model_fields.items():
        row = next((line for line in rows if f"`{name_of(field)}`" in line), "")
        if not row or _words(about.default) not in row:
            missing.append(f"{name_of(field)} ({_words(about.default)})")
    assert missing == []


def _words(default: Any) -> str:
    """A default as the table writes it; where there is none, nothing is asked for."""
    if default is None:
        return ""
    return json.dumps(default) if isinstance(default, list | dict) else f"{default}"


def test_the_documentation_names_no_setting_that_does_not_exist() -> None:
    known = {name_of(field) for field in Settings.model_fields} | NOT_SETTINGS
    named = {
        f"{page.relative_to(ROOT)}: {name}"
        for page in PAGES
        for name in re.findall(r"MORELLI_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8"))
        if name not in known
    }
    assert named == set()
