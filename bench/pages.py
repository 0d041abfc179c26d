"""Every page and list of a large project: time on the server, as a client of the web process sees it.

python -m bench.pages [--images 10277] [--labels 250000] [--runs 20]
"""

import argparse
import statistics
import time

import httpx2
from sqlalchemy import text

from app.database import unit_of_work
from bench import machine, seeding
from bench.large_house import LargeHouse, large_house

LIMIT_MS = 100.0


def pages(first: int, middle: int, audit: int | None) -> dict[str, str]:
    """What is measured: a name and an address each."""
    root = f"/projects/{seeding.SLUG}"
    found = {
        "overview": root,
        "criteria": f"{root}/criteria",
        "criteria, one node": f"{root}/criteria?node=clear-edges",
        "publish": f"{root}/criteria/publish",
        "criteria versions": f"{root}/criteria/versions",
        "wall of images": f"{root}/images",
        "wall, middle page": f"{root}/images?after={middle}",
        "wall, proposed only": f"{root}/images?show=proposed",
        "wall, search": f"{root}/images?q=dusk with 77",
        "import": f"{root}/images/import",
        "correction": f"{root}/images/{middle}",
        "thumbnail": f"{root}/images/{first}/thumb",
        "agent runs": f"{root}/agent",
        "agent run": f"{root}/agent/1",
        "audits": f"{root}/audits",
        "new audit": f"{root}/audits/new",
        "datasets": f"{root}/datasets",
        "what would be frozen": f"{root}/datasets/survey?with_unfinished=true",
        "training runs": f"{root}/runs",
        "launch form": f"{root}/runs/new",
        "jobs": f"{root}/jobs",
        "people": f"{root}/people",
        "account": "/account",
        "API: images": f"/api/v1{root}/images",
        "API: labels of an image": f"/api/v1{root}/images/{middle}/labels",
        "API: criteria": f"/api/v1{root}/criteria",
        "API: what would be frozen": f"/api/v1{root}/datasets/survey?only_done=false",
        "API: overview": f"/api/v1{root}/overview",
    }
    if audit is not None:
        found["audit"] = f"{root}/audits/{audit}"
    return found


def measure(client: httpx2.Client, path: str, runs: int) -> tuple[list[float], int, int]:
    """Milliseconds of each run, the status, and the size of the answer."""
    answer = client.get(path)
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        answer = client.get(path)
        times.append((time.perf_counter() - began) * 1000)
    return times, answer.status_code, len(answer.content)


def main() -> None:
    """Seed, serve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_277)
    parser.add_argument("--labels", type=int, default=250_000)
    parser.add_argument("--runs", type=int, default=20)
    wanted = parser.parse_args()
    print(machine.describe())
    with large_house(wanted.images, wanted.labels) as house:
        _measure_all(wanted.runs, house)


def _measure_all(runs: int, house: LargeHouse) -> None:
    with unit_of_work() as db:
        ids = list(db.scalars(text("SELECT id FROM image ORDER BY id")))
    with httpx2.Client(base_url=house.address, follow_redirects=True, timeout=60) as client:
        client.post(f"/welcome/{house.link}", headers={"Sec-Fetch-Site": "same-origin"})
        made = client.post(
            f"/api/v1/projects/{seeding.SLUG}/audits",
            json={"name": "bench", "sample_size": 100, "min_labels": 5, "seed": 1},
            headers={"Authorization": f"Bearer {house.token}"},
        )
        audit = made.json().get("id") if made.status_code < 300 else None
        print(
            f"\n{'':<26}{'median':>9}{'95 %':>9}{'answer':>10}   limit {LIMIT_MS:.0f} ms, {runs} runs"
        )
        slow = []
        for name, path in pages(ids[0], ids[len(ids) // 2], audit).items():
            times, status, size = measure(client, path, runs)
            median = statistics.median(times)
            high = sorted(times)[int(0.95 * (len(times) - 1))]
            note = "" if status == 200 else f"   status {status}"
            note += "   SLOW" if median > LIMIT_MS else ""
            slow += [name] if median > LIMIT_MS else []
            print(f"{name:<26}{median:>7.1f}ms{high:>7.1f}ms{size / 1024:>7.0f}KiB{note}")
        print(
            f"\n{'slower than the limit: ' + ', '.join(slow) if slow else 'all within the limit'}"
        )


if __name__ == "__main__":
    main()
