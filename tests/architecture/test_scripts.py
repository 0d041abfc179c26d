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
TESTS = Path(__file__).resolve().parents[1] / "scripts"
# What stands without a page: what is tested there, and what that imports.
TESTED = {
    each
    for path in TESTS.glob("*.test.js")
    for each in re.findall(r'"\.\./\.\./app/static/([^"]+)"', path.read_text(encoding="utf-8"))
}
LOGIC = sorted(TESTED | {each for name in TESTED for each in imports_of(name)})


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


def test_the_queue_the_keys_and_the_zoom_are_tested_without_a_page() -> None:
    assert {"pages/queue.js", "pages/pressed.js", "pages/scales.js", "pages/looking.js"} <= TESTED


def test_every_page_script_is_named_by_a_page() -> None:
    templates = Path(__file__).resolve().parents[2] / "templates"
    named = set(
        re.findall(
            r"static\('([^']+\.js)'\)", "".join(p.read_text() for p in templates.rglob("*.html"))
        )
    )
    brought = {each for name in named & SCRIPTS.keys() for each in imports_of(name)}
    assert named | brought >= SCRIPTS.keys()
