"""An installation of its own with the demo project, on loopback, and people in it: what crowds are measured on."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.accounts.access import cookie_name
from app.accounts.models import Person
from app.accounts.signing_in import add_person, sign_in
from app.database import unit_of_work
from app.demo.seeding import SLUG, prepare
from app.demo.walking import free_port
from app.projects.founding import get_project, set_role
from app.settings import settings
from app.up import everything


@dataclass(frozen=True)
class House:
    """Where it stands: its folder, the web server's port and process."""

    folder: Path
    port: int
    web: int


@contextmanager
def demo_house(*, with_worker: bool = False, **variables: str) -> Iterator[House]:
    """Start it, with these environment variables besides; print what its parts said once it has ended."""
    with tempfile.TemporaryDirectory(prefix="morelli-bench-") as name:
        folder = Path(name)
        (folder / "temporary").mkdir()
        os.environ |= {
            "MORELLI_HOME": str(folder / "home"),
            "MORELLI_PORT": str(free_port()),
            "TMPDIR": str(folder / "temporary"),
            **variables,
        }
        settings.cache_clear()
        quiet: list[str] = []

        def begin() -> str:
            return prepare(quiet.append, with_project=True)

        with everything(
            quiet.append, with_web=True, with_worker=with_worker, prepare=begin
        ) as running:
            web = next(part.child for part in running[0].parts if part.name == "web")
            assert web is not None
            yield House(folder, settings().port, web.pid)
        print("\n".join(line for line in quiet if "|" in line and not line.startswith("worker")))


def add_lead(number: int = 0) -> Person:
    """A lead of the demo project."""
    with unit_of_work() as db:
        person = add_person(db, email=f"reader{number}@example.org", name=f"Reader {number}")
        set_role(db, get_project(db, SLUG), person, "lead")
    return person


def cookies_of(number: int) -> list[str]:
    """Sign so many people in; returns their cookies."""
    cookies = []
    for each in range(number):
        person = add_lead(each)
        with unit_of_work() as db:
            token = sign_in(db, person, browser="bench", address="127.0.0.1")
        cookies.append(f"{cookie_name()}={token}")
    return cookies


def memory_of(pid: int) -> int:
    """Bytes that a process holds in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
