"""The rules of the house that no other tool checks."""

import ast
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    p for name in ("app", "method", "taxonomy", "worker") for p in (ROOT / name).rglob("*.py")
)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted(p for p in (ROOT / "app" / "static").rglob("*.js") if "vendor" not in p.parts)


def places(paths: list[Path], pattern: str) -> Iterator[str]:
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if re.search(pattern, line):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def test_the_web_process_imports_no_training_library() -> None:
    code = (
        "import sys, app.main;"
        "print([n for n in ('torch','diffusers','transformers','peft','scipy','worker')"
        " if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_only_the_unit_of_work_commits() -> None:
    found = [
        each
        for each in places([p for p in SOURCES if "app" in p.parts], r"\.(commit|rollback)\(\)")
        if not each.startswith("app/database.py")
    ]
    assert found == []


def test_only_one_file_reads_htmx_headers() -> None:
    found = [
        each for each in places(SOURCES, r"[\"']HX-") if not each.startswith("app/web/answer.py")
    ]
    assert found == []


def test_rooms_tidy_what_people_type_in_one_way() -> None:
    rooms = [each for each in SOURCES if "app" in each.parts]
    by_hand = r"\.join\(\w+\.split\(\)\)|replace\(\"\\r\\n\", \"\\n\"\)"
    assert list(places(rooms, by_hand)) == [], "method.saved_texts has one_line and several_lines"


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\|\s*safe\b", "text of people would become code"),
        (r"\shx-on", "the content security policy forbids inline code"),
        (r"\son[a-z]+=", "the content security policy forbids inline code"),
        (r"\sstyle=", "the content security policy forbids inline style"),
        (r"<script(?![^>]*\ssrc=)", "scripts are files"),
        (r"<style", "styles are files"),
        (r"hx-boost", "every link is a real link"),
        (r"(src|href)=\"(https?:)?//", "nothing is loaded from another host"),
    ],
)
def test_templates_hold_no(pattern: str, why: str) -> None:
    assert list(places(TEMPLATES, pattern)) == [], why


def test_scripts_evaluate_no_text() -> None:
    assert list(places(SCRIPTS, r"\beval\(|new Function|\.innerHTML\s*=|insertAdjacentHTML")) == []


def test_fragments_do_not_extend_pages() -> None:
    fragments = [path for path in TEMPLATES if path.name.startswith("_")]
    assert list(places(fragments, r"{%\s*extends")) == []


def test_no_file_has_grown_over_500_lines() -> None:
    long = {
        str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 500
    }
    assert long == {}


def test_modules_bear_the_names_of_things() -> None:
    banned = {"utils", "helpers", "common", "misc", "manager", "handler", "service", "base", "core"}
    assert [str(p) for p in SOURCES if p.stem in banned] == []


def test_every_422_names_its_field() -> None:
    """Who is told that input is wrong is told where."""
    unnamed = [
        f"{path}:{call.lineno}"
        for path in sorted((ROOT / "app").rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Invalid"
        and not any(each.arg == "field" for each in call.keywords)
    ]
    assert unnamed == []


# What is done in one way has one file, through which all scripts pass.
ONE_PLACE = {
    "keys.js": r"\b(keydown|keyup|keypress)\b",
    "requests.js": r"\bfetch\(|sendBeacon|htmx:(responseError|sendError|timeout)",
    "sending.js": r"XMLHttpRequest",
    "news.js": r"new EventSource",
    "unsaved.js": r"\bbeforeunload\b",
    "kept.js": r"\b(localStorage|sessionStorage|indexedDB)\b",
    "tabs.js": r"BroadcastChannel",
}


@pytest.mark.parametrize(("file", "pattern"), ONE_PLACE.items())
def test_one_file_does_it_for_all_pages(file: str, pattern: str) -> None:
    # Keys that come before the scripts are kept by a script of their own.
    others = [path for path in SCRIPTS if path.name not in (file, "keys_early.js")]
    assert list(places(others, pattern)) == []
    assert list(places([path for path in SCRIPTS if path.name == file], pattern))


@pytest.mark.parametrize("file", ["keys.js", "requests.js", "unsaved.js"])
def test_every_page_has(file: str) -> None:
    assert f'"./pages/{file}"' in (ROOT / "app" / "static" / "morelli.js").read_text()


def test_every_page_has_what_all_pages_share() -> None:
    pages = [path for path in TEMPLATES if not path.name.startswith("_")]
    apart = [path.name for path in pages if "{% extends " not in path.read_text()]
    assert apart == ["base.html"]
    base = (ROOT / "templates" / "base.html").read_text()
    assert "static('morelli.js')" in base
    assert list(places(TEMPLATES, r"hx-trigger=\"[^\"]*\bkey(down|up|press)")) == []


VENDOR = ROOT / "app" / "static" / "vendor"


def test_code_of_others_is_what_its_makers_published() -> None:
    """Each file has its row with package, version and hash, and a licence."""
    rows = re.findall(
        r"^\| (.+?) \| (\S+) \| (\S+) \| `(.+?)` \| \S+ \(`(LICENSE-\S+)`\) \| `(\w{64})` \|$",
        (VENDOR / "README.md").read_text(),
        re.MULTILINE,
    )
    told = {name.strip("`"): sha256 for name, _, _, _, _, sha256 in rows}
    licences = {licence for _, _, _, _, licence, _ in rows}
    there = {path.name: path for path in VENDOR.iterdir()}
    assert set(there) == {*told, *licences, "README.md"}
    assert {name: hashlib.sha256(there[name].read_bytes()).hexdigest() for name in told} == told
