"""How fast labels come into a project of images, and whether they are the same afterwards.

    python -m bench.label_import --images 10277 --labels 257000 [--formats jsonl csv]

Seeds a project with labels, hands them on in every format, and takes each file back into the same images
without their labels: upload, looking at it, and storing it, over HTTP and by a worker as people do it. Then
what is exported has to be what it was. Computed is the processor time of all servers together: what counts
where other work shares the machine.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import text

from app.database import engine, unit_of_work
from app.labels.export_formats import FORMATS
from app.labels.recounting import recount
from bench import machine
from bench.large_house import LargeHouse, large_house
from bench.machine import processor_seconds_below

BAR_SECONDS = 20.0
# What belongs to the image, or to how it came to its labels, and not to the labels.
NOT_COMPARED = {"revision", "done_at"}


def export(client: httpx2.Client, format: str, to: Path) -> Path:
    with client.stream("GET", f"/labels/export?format={format}") as answer, to.open("wb") as file:
        assert answer.status_code == 200
        for part in answer.iter_bytes():
            file.write(part)
    return to


def empty() -> None:
    """Take all labels away, as if the images had just been imported."""
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("TRUNCATE label, label_event CASCADE"))
        connection.execute(text("UPDATE image SET label_revision = 0"))
        connection.execute(text("VACUUM ANALYZE image"))
    # What is counted by triggers does not see a table emptied at once.
    with unit_of_work() as db:
        recount(db)


def take_in(client: httpx2.Client, file: Path) -> tuple[float, float, dict[str, Any]]:
    """Seconds until it was looked at, seconds until it was stored, and the import's row."""
    began = time.monotonic()
    with file.open("rb") as opened:
        row = client.post("/labels/imports", files={"files": (file.name, opened)}).json()
    row = until(client, row["id"], "found")
    looked = time.monotonic()
    client.post(f"/labels/imports/{row['id']}/take", json={}).raise_for_status()
    row = until(client, row["id"], "taken")
    return looked - began, time.monotonic() - looked, row


def until(client: httpx2.Client, import_id: int, state: str) -> dict[str, Any]:
    while True:
        row: dict[str, Any] = client.get(f"/labels/imports/{import_id}").json()
        if row["state"] == state:
            return row
        if row["state"] == "failed":
            raise SystemExit(row["error"])
        time.sleep(0.1)


def differing(before: Path, after: Path) -> int:
    """How many images of two exports differ in anything but what is not of their labels."""

    def read(path: Path) -> list[dict[str, Any]]:
        with path.open() as file:
            lines = map(json.loads, file)
            return [{k: v for k, v in each.items() if k not in NOT_COMPARED} for each in lines]

    return sum(one != other for one, other in zip(read(before), read(after), strict=True))


def measure(house: LargeHouse, folder: Path, formats: list[str]) -> None:
    with house.client() as client:
        before = export(client, "jsonl", folder / "before.jsonl")
        files = {
            name: export(client, name, folder / f"labels{each.ending}")
            for name, each in FORMATS.items()
            if name in formats
        }
        print(
            f"{'':<14}{'MiB':>8}{'look':>9}{'store':>9}{'in all':>9}{'computed':>10}{'labels/s':>11}   differ"
        )
        for name, file in files.items():
            empty()
            computed = processor_seconds_below(os.getpid())
            looked, stored, row = take_in(client, file)
            computed = processor_seconds_below(os.getpid()) - computed
            made, seconds = row["taken"]["new"], looked + stored
            said = "not compared: tasks hold less"
            if name != "label-studio":
                after = export(client, "jsonl", folder / "after.jsonl")
                said = f"{differing(before, after)} images"
            note = "" if seconds < BAR_SECONDS else f"   above the bar of {BAR_SECONDS:.0f} s"
            print(
                f"{name:<14}{file.stat().st_size / 2**20:>8.1f}{looked:>8.1f}s{stored:>8.1f}s{seconds:>8.1f}s"
                f"{computed:>9.1f}s"
                f"{made / seconds:>11,.0f}   {said}{note}",
                flush=True,
            )


def main() -> None:
    """Seed, hand on, take in, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_277)
    parser.add_argument("--labels", type=int, default=257_000)
    parser.add_argument("--formats", nargs="+", default=[*FORMATS], choices=[*FORMATS])
    wanted = parser.parse_args()
    print(machine.describe())
    with (
        large_house(wanted.images, wanted.labels, compare=False, with_worker=True) as house,
        tempfile.TemporaryDirectory(prefix="morelli-labels-") as folder,
    ):
        print(f"\n{house.labels:,} labels of {wanted.images:,} images")
        measure(house, Path(folder), wanted.formats)


if __name__ == "__main__":
    main()
