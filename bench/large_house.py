"""An installation of its own with a large seeded project: what pages, exports and imports are measured on."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from sqlalchemy import func, select

from app.accounts.models import Person
from app.accounts.tokens import create_token
from app.database import unit_of_work
from app.demo.walking import free_port
from app.labels.models import Label
from app.projects.inviting import create_first_lead_link
from app.settings import settings
from app.up import everything
from bench import seeding


@dataclass(frozen=True)
class LargeHouse:
    """Where it stands, and what its lead shows: a token for the API, a link for a browser."""

    address: str
    web: int
    token: str
    link: str
    labels: int

    @property
    def project(self) -> str:
        return f"{self.address}/api/v1/projects/{seeding.SLUG}"

    def client(self) -> httpx2.Client:
        """A program of the lead."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx2.Client(base_url=self.project, headers=headers, timeout=600)


@contextmanager
def large_house(
    images: int, labels: int, *, compare: bool = True, with_worker: bool = False
) -> Iterator[LargeHouse]:
    """Seed it and start it; it is gone with all it holds at the end."""
    with tempfile.TemporaryDirectory(prefix="morelli-bench-") as folder:
        # The servers of one that stood before are gone.
        for each in ("MORELLI_DATABASE_URL", "MORELLI_REDIS_URL"):
            os.environ.pop(each, None)
        os.environ |= {"MORELLI_HOME": folder, "MORELLI_PORT": str(free_port())}
        settings.cache_clear()
        Path(folder).chmod(0o700)
        told: list[tuple[str, str, int]] = []

        def prepare() -> str:
            seeding.seed(images, labels, compare=compare)
            with unit_of_work() as db:
                link = create_first_lead_link(db)
                _, token = create_token(db, db.scalars(select(Person)).one(), "bench")
                made = db.scalar(select(func.count()).select_from(Label)) or 0
            told.append((token, link, made))
            return ""

        with everything(
            lambda _: None, with_web=True, with_worker=with_worker, prepare=prepare
        ) as running:
            web = next(part.child for part in running[0].parts if part.name == "web")
            assert web is not None
            token, link, made = told[0]
            yield LargeHouse(f"http://127.0.0.1:{settings().port}", web.pid, token, link, made)
