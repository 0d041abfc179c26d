"""How fast all labels of a project leave it, and what memory that takes.

    python -m bench.label_export --images 10277 --labels 257000

Seeds a project, streams every format over HTTP from the web server, and prints labels per second, the
processor time of the web server, and its largest memory.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import httpx2
from sqlalchemy import func, select

from app.accounts.models import Person
from app.accounts.tokens import create_token
from app.database import unit_of_work
from app.demo.walking import free_port
from app.labels.export_formats import FORMATS
from app.labels.models import Label
from app.settings import settings
from app.up import everything
from bench import machine, seeding
from bench.demo_house import memory_of
from bench.machine import processor_seconds


def measure(client: httpx2.Client, name: str, labels: int, web: int) -> None:
    """Stream one format and print its row."""
    computed = processor_seconds(web)
    began, size, most = time.monotonic(), 0, 0
    address = f"/api/v1/projects/{seeding.SLUG}/labels/export?format={name}"
    with client.stream("GET", address) as answer:
        assert answer.status_code == 200
        looked = began
        for part in answer.iter_bytes():
            size += len(part)
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                most = max(most, memory_of(web))
    seconds = time.monotonic() - began
    computed = processor_seconds(web) - computed
    most = max(most, memory_of(web))
    print(
        f"{name:<14}{labels / seconds:>12,.0f}{seconds:>9.1f}{computed:>9.1f}"
        f"{size / 2**20:>9.1f}{most / 2**20:>10.0f}",
        flush=True,
    )


def main() -> None:
    """Seed, serve, stream, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_277)
    parser.add_argument("--labels", type=int, default=257_000)
    wanted = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory(prefix="morelli-bench-") as folder:
        os.environ |= {"MORELLI_HOME": folder, "MORELLI_PORT": str(free_port())}
        settings.cache_clear()
        Path(folder).chmod(0o700)
        token, labels = "", 0

        def prepare() -> str:
            nonlocal token, labels
            seeding.seed(wanted.images, wanted.labels, compare=False)
            with unit_of_work() as db:
                _, token = create_token(db, db.scalars(select(Person)).one(), "bench")
                labels = db.scalar(select(func.count()).select_from(Label)) or 0
            return ""

        with (
            everything(lambda _: None, with_web=True, with_worker=False, prepare=prepare) as up,
            httpx2.Client(
                base_url=f"http://127.0.0.1:{settings().port}",
                headers={"Authorization": f"Bearer {token}"},
                timeout=60,
            ) as client,
        ):
            web = next(part.child for part in up[0].parts if part.name == "web")
            assert web is not None
            print(f"\n{labels:,} labels of {wanted.images:,} images")
            print(f"{'':<14}{'labels/s':>12}{'seconds':>9}{'web s':>9}{'MiB':>9}{'memory':>10}")
            for name in FORMATS:
                measure(client, name, labels, web.pid)


if __name__ == "__main__":
    main()
