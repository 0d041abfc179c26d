"""The rules of the house for what runs in browsers: docs/decisions/0007-scripts-as-small-modules.md."""

import re
from pathlib import Path

import pytest

from app.web.static import STATIC, imports_of

SCRIPTS = {
    path.relative_to(STATIC).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(STATIC.rglob("*.js"))
    if "vendor" not in path.parts
}
# No modules: these run before them.
PLAIN = {"pages/keys_early.js"}
# What stands without a page, and is tested in tests/scripts.
LOGIC = {
    "pages/kept.js",
    "pages/new_id.js",
    "pages/pressed.js",
    "pages/queue.js",
    "pages/scales.js",
}


def test_none_has_grown_over_500_lines() -> None:
    all_files = [*SCRIPTS, *(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.css"))]
    assert len(all_files) > len(SCRIPTS)
    long = {name: (STATIC / name).read_text().count("\n") for name in all_files}
    assert {name: lines for name, lines in long.items() if lines > 500} == {}


@pytest.mark.parametrize("name", SCRIPTS)
def test_imports_are_beside_it_and_form_no_circle(name: str) -> None:
    said = re.findall(r'^import\b[^;"]*"([^"]+)";$', SCRIPTS[name], re.MULTILINE)
    assert all(each.startswith(("./", "../")) and each.endswith(".js") for each in said)
    brought = imports_of(name)
    assert bool(said) == bool(brought)
    assert set(brought) <= SCRIPTS.keys() - {name} - PLAIN
    assert "import(" not in SCRIPTS[name]


def test_the_window_holds_what_one_file_puts_there() -> None:
    """Modules share by imports. What only its own file can write needs no rule."""
    writers: dict[str, list[str]] = {}
    for name, text in SCRIPTS.items():
        for put in re.findall(r"\b(?:window|globalThis)\.(\w+)\s*(?:[-+|&?*/]{0,2}=)(?!=)", text):
            writers.setdefault(put, []).append(name)
    assert writers == {"morelliEarlyKeys": ["pages/keys_early.js"]}


@pytest.mark.parametrize("name", LOGIC)
def test_logic_needs_no_page(name: str) -> None:
    assert not re.search(r"\b(document|window|Element|location)\b", SCRIPTS[name])
    assert set(imports_of(name)) <= LOGIC


def test_every_page_script_is_named_by_a_page() -> None:
    templates = Path(__file__).resolve().parents[2] / "templates"
    named = set(
        re.findall(
            r"static\('([^']+\.js)'\)", "".join(p.read_text() for p in templates.rglob("*.html"))
        )
    )
    brought = {each for name in named & SCRIPTS.keys() for each in imports_of(name)}
    assert named | brought >= SCRIPTS.keys()
