"""How fast all labels of a project leave it, and what memory that takes.

    python -m bench.label_export --images 10277 --labels 257000

Seeds a project, streams every format over HTTP from the web server, and prints labels per second (by the
clock, and by the processor time of the web server alone), and its largest memory.
"""

import argparse
import time

import httpx2

from app.labels.export_formats import FORMATS
from bench import machine
from bench.demo_house import memory_of
from bench.large_house import large_house
from bench.machine import processor_seconds


def measure(client: httpx2.Client, name: str, labels: int, web: int) -> None:
    """Stream one format and print its row."""
    computed = processor_seconds(web)
    began, size, most = time.monotonic(), 0, 0
    with client.stream("GET", f"/labels/export?format={name}") as answer:
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
        f"{name:<14}{labels / seconds:>12,.0f}{seconds:>9.1f}{computed:>9.1f}{labels / computed:>12,.0f}"
        f"{size / 2**20:>9.1f}{most / 2**20:>10.0f}",
        flush=True,
    )


def until_still(web: int) -> None:
    """Wait while a web server that has just started reads its templates: that is no part of an export."""
    computed = -1.0
    while processor_seconds(web) - computed > 0.05:
        computed = processor_seconds(web)
        time.sleep(1)


def main() -> None:
    """Seed, serve, stream, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_277)
    parser.add_argument("--labels", type=int, default=257_000)
    wanted = parser.parse_args()
    print(machine.describe())
    with (
        large_house(wanted.images, wanted.labels, compare=False) as house,
        house.client() as client,
    ):
        print(f"\n{house.labels:,} labels of {wanted.images:,} images")
        print(
            f"{'':<14}{'labels/s':>12}{'seconds':>9}{'web s':>9}{'per web s':>12}{'MiB':>9}{'memory':>10}"
        )
        until_still(house.web)
        for name in FORMATS:
            measure(client, name, house.labels, house.web)


if __name__ == "__main__":
    main()
