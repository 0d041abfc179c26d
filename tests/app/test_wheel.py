"""The wheel as a stranger has it: built, installed into a folder, and run from there alone."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from app import migrations
from app.folders import folder
from tests.app.test_up import free_port, started

ROOT = Path(__file__).resolve().parents[2]


def pip(*arguments: str | Path) -> None:
    """Run pip without a network."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the backend that is installed here."""
    place = tmp_path_factory.mktemp("dist")
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", place, ROOT)
    (built,) = place.glob("morelli-*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Morelli from the wheel; what it stands on comes from this installation."""
    place = tmp_path_factory.mktemp("site")
    pip("install", "--no-index", "--no-deps", "--target", place, wheel)
    return place


def run(site: Path, *command: str | Path) -> str:
    """What a command prints that finds Morelli in `site` before it finds the checkout."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("MORELLI_")}
    done = subprocess.run(
        list(map(str, command)),
        env=plain | {"PYTHONPATH": str(site)},
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_what_runs_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.partition("/")[0] for name in names}
    (info,) = (name for name in tops if name.endswith(".dist-info"))
    assert tops == {"app", "method", "taxonomy", "worker", info}
    assert f"{info}/licenses/LICENSE" in names
    for kind in ("templates", "migrations"):
        here = {
            f"app/shipped/{kind}/{path.relative_to(ROOT / kind)}"
            for path in (ROOT / kind).rglob("*")
            if path.suffix in {".html", ".py", ".mako"}
        }
        assert len(here) > 5
        assert here == {name for name in names if name.startswith(f"app/shipped/{kind}/")}
    for room in ("app/static", "taxonomy"):
        files = [path for path in (ROOT / room).rglob("*") if path.is_file()]
        here = {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}
        assert here <= names
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc")]


def test_the_wheel_finds_its_own_files(site: Path) -> None:
    code = (
        "from app import folders, migrations; from app.web.answer import environment, read_templates;"
        "read_templates();"
        "print(folders.__file__, migrations.newest(), len(environment().list_templates()))"
    )
    place, newest, templates = run(site, sys.executable, "-c", code).split()
    assert Path(place) == site / "app" / "folders.py"
    assert newest == migrations.newest()
    assert int(templates) == len(list(folder("templates").rglob("*.html")))


def test_the_command_of_the_wheel_runs(site: Path, tmp_path: Path) -> None:
    found = json.loads(run(site, site / "bin" / "morelli", "doctor", "--json"))
    assert {each["what"]: each["verdict"] for each in found}["Morelli"] == "ok"
    assert "246 attribute pairs" in run(
        site, sys.executable, "-m", "app.cli", "criteria", "check", site / "taxonomy/painting.yaml"
    )


def test_everything_starts_from_the_wheel(site: Path, tmp_path: Path) -> None:
    page = site / "app/shipped/templates/accounts/sign_in.html"
    page.write_text(page.read_text().replace("{% endblock", "of the wheel{% endblock", 1))
    with started(tmp_path / "home", free_port(), site) as running:
        running.wait_for("Sign in once with")
        status, _, body = running.ask("/readyz")
        assert (status, '"ok"' in body) == (200, True), body
        status, _, body = running.ask("/sign-in")
        assert (status, "of the wheel" in body) == (200, True), body
        assert running.ask("/static/morelli.css")[0] == 200
