"""The vlm agent over 10,277 images, against a server that errs: every image once, accounts that agree?

    python -m bench.vlm_run [--images 10277] [--faults 0.05] [--kills 0] [--pauses 0]

An installation of its own with a worker, and a server on loopback that errs in so many of its answers: too slow,
storms of 429, cut connections, 500, answers of 10 MB, truncated JSON, invented attributes, statements without
evidence. With `--kills` the worker is killed (SIGKILL) that often on the way, with `--pauses` the run is paused and
resumed. At the end the database is compared with the server's own books. Exit code 1 where they differ: by more than
the questions that were under way at a kill or a pause, which nobody hears the answers of.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures
from sqlalchemy import text

from app.agents.launching import launch_agent_run
from app.criteria.freezing import freeze_version
from app.criteria.loading import load_criteria
from app.database import unit_of_work
from app.demo.walking import free_port
from app.images.importing import add_image, create_import
from app.jobs.queueing import get_job, request_pause, resume
from app.projects.founding import create_project, get_project
from app.settings import settings
from app.up import Household, everything
from bench import machine
from taxonomy.contradictions import Rules
from taxonomy.shipped import painting_criteria
from taxonomy.tree import Criteria

SLUG = "eye"
BLOCK = 250
AT_ONCE = 16
PRICE_IN, PRICE_OUT = 1.25, 10.0
SECONDS = 2.0
OVER = ("succeeded", "failed", "cancelled")


def picture(number: int) -> bytes:
    """A small picture that no other number gives."""
    cells = np.random.default_rng(number).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    out = BytesIO()
    Pictures.fromarray(cells).resize((96, 64), Pictures.Resampling.NEAREST).save(out, "PNG")
    return out.getvalue()


def compatible_keys(criteria: Criteria) -> list[str]:
    """Attributes whose positive sides can all hold in one picture: the server states no contradictions."""
    rules, held = criteria.derived(Rules), list[tuple[str, str]]()
    for pair in criteria.active_pairs():
        if not rules.among([*held, (pair.key, "positive")]):
            held.append((pair.key, "positive"))
    return [key for key, _ in held]


def seed(images: int) -> str:
    """A project with the shipped criteria and so many pictures."""
    with unit_of_work() as db:
        project = create_project(db, slug=SLUG, name="A large hanging", description="Seeded.")
        load_criteria(db, project, painting_criteria(), by=None)
        freeze_version(db, project, note="seeded", by=None)
        import_id = create_import(db, project, source="demo", origin="drawn").id
    for start in range(0, images, BLOCK):
        with unit_of_work() as db:
            project = get_project(db, SLUG)
            for number in range(start, min(start + BLOCK, images)):
                add_image(db, project, import_id, f"{number:05d}.png", picture(number))
    return ""


@contextmanager
def erring_server(share: float, folder: Path) -> Iterator[str]:
    """The server in a process of its own; its address."""
    keys = folder / "keys"
    keys.write_text("\n".join(compatible_keys(painting_criteria())), "utf-8")
    port = free_port()
    command = [sys.executable, "-m", "bench.erring_server", str(port), str(share), str(keys)]
    child = subprocess.Popen(command)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait()


@dataclass
class Run:
    """The run while it is watched: what was done to it, and how long it took."""

    household: Household
    run_id: int
    job_id: int
    stops: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def kill(self) -> None:
        """End the worker with nothing said to it, and start another, as `morelli up` does."""
        worker = next(part.child for part in self.household.parts if part.name == "worker")
        assert worker is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        self.household.restart_the_dead()

    def pause(self) -> None:
        """Pause, wait until it has stopped, resume."""
        began = time.monotonic()
        with unit_of_work() as db:
            request_pause(db, get_project(db, SLUG), self.job_id)
        while self.look()[0] != "paused":
            time.sleep(0.05)
        self.notes.append(f"stopped {time.monotonic() - began:.1f} s after it was told to")
        with unit_of_work() as db:
            resume(db, get_project(db, SLUG), self.job_id)

    def look(self) -> tuple[str, int, Any]:
        """State, images done, and what the job says of itself."""
        with unit_of_work() as db:
            job = get_job(db, get_project(db, SLUG), self.job_id)
            images = db.scalar(text("SELECT images FROM agent_run WHERE id = :r"), self.named)
            return job.state, int(images or 0), {**job.progress, "error": job.error}

    @property
    def named(self) -> dict[str, int]:
        return {"r": self.run_id}


def watch(run: Run, images: int, stops: list[str]) -> float:
    """Kill and pause at even distances until the run is over; returns the seconds that took."""
    began = said = time.monotonic()
    at = [images * (number + 1) // (len(stops) + 1) for number in range(len(stops))]
    while True:
        state, done, progress = run.look()
        if state in OVER:
            print(f"the job {state}: {progress.get('error') or progress.get('message')}")
            return time.monotonic() - began
        if at and done >= at[0]:
            at.pop(0)
            how = stops.pop(0)
            run.kill() if how == "kill" else run.pause()
            run.stops.append(f"{how} at {done}")
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(f"{done} images after {said - began:.0f} s: {progress}", flush=True)
        time.sleep(0.2)


def measure(run: Run) -> dict[str, Any]:
    """What the database holds of the run."""
    queries = {
        "images looked at": "SELECT count(*) FROM agent_run_image WHERE agent_run_id = :r",
        "images labelled": "SELECT count(*) FROM agent_run_image WHERE agent_run_id = :r AND state = 'labelled'",
        "labels": "SELECT count(*) FROM label WHERE agent_run_id = :r",
        "labels proposed more than once": "SELECT count(*) FROM (SELECT 1 FROM label_event WHERE agent_run_id = :r"
        " AND kind = 'propose' GROUP BY image_id, node_id, polarity HAVING count(*) > 1) AS twice",
        "events": "SELECT count(*) FROM label_event WHERE agent_run_id = :r",
        "requests": "SELECT requests FROM agent_run WHERE id = :r",
        "requests of the images": "SELECT sum(requests) FROM agent_run_image WHERE agent_run_id = :r",
        "tokens read": "SELECT tokens_in FROM agent_run WHERE id = :r",
        "tokens written": "SELECT tokens_out FROM agent_run WHERE id = :r",
        "cost": "SELECT cost FROM agent_run WHERE id = :r",
        "answers mended": "SELECT repaired FROM agent_run WHERE id = :r",
        "statements dropped": "SELECT dropped FROM agent_run WHERE id = :r",
    }
    with unit_of_work() as db:
        return {name: db.scalar(text(query), run.named) for name, query in queries.items()}


def differences(found: dict[str, Any], books: dict[str, Any], images: int) -> dict[str, float]:
    """What should be nothing: each account here against the server's."""
    cost = (books["tokens_in"] * PRICE_IN + books["tokens_out"] * PRICE_OUT) / 1e6
    return {
        "images not labelled": images - found["images labelled"],
        "pictures that the server was not shown": images - books["pictures"],
        "labels proposed more than once": found["labels proposed more than once"],
        "labels other than the server stated": found["labels"] - books["statements"],
        "requests that only the server counts": books["received"] - found["requests"],
        "tokens read that only the server counts": books["tokens_in"] - found["tokens read"],
        "tokens written that only the server counts": books["tokens_out"] - found["tokens written"],
        "cost that only the server counts": round(cost - float(found["cost"]), 2) + 0.0,
    }


def report(run: Run, seconds: float, books: dict[str, Any], images: int) -> bool:
    """Print it all; whether all that has to agree does."""
    found = measure(run)
    print(f"\n{images} images in {seconds:.0f} s ({images / seconds:.1f} a second)", end="")
    print(
        f", load average {os.getloadavg()[0]:.1f}; {', '.join(run.stops + run.notes) or 'no stop'}"
    )
    print("the server:", ", ".join(f"{name} {num}" for name, num in books["outcomes"].items()))
    for name, value in found.items():
        print(f"{name:<46}{value:>14,}")
    differ = differences(found, books, images)
    print("differences:")
    for name, value in differ.items():
        print(f"  {name:<44}{value:>14,}")
    strict = not run.stops
    lost = {name for name in differ if "only the server" in name}
    is_right = not any(value for name, value in differ.items() if strict or name not in lost)
    most = AT_ONCE * len(run.stops)
    return is_right and 0 <= differ["requests that only the server counts"] <= most


def main() -> None:
    """Seed, run, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10277)
    parser.add_argument("--faults", type=float, default=0.05)
    parser.add_argument("--kills", type=int, default=0, help="at most 2: a third ends the job")
    parser.add_argument("--pauses", type=int, default=0)
    wanted = parser.parse_args()
    print(machine.describe(), flush=True)
    stops = ["kill"] * wanted.kills + ["pause"] * wanted.pauses
    with (
        tempfile.TemporaryDirectory(prefix="morelli-bench-") as name,
        erring_server(wanted.faults, Path(name)) as address,
    ):
        os.environ |= {
            "MORELLI_HOME": str(Path(name) / "home"),
            "MORELLI_PORT": str(free_port()),
            "MORELLI_VISION_URL": f"{address}/v1",
            "MORELLI_VISION_MODEL": "eye",
            "MORELLI_VISION_PRIVATE": '["127.0.0.0/8"]',
            "MORELLI_VISION_SECONDS": str(SECONDS),
            "MORELLI_VISION_AT_ONCE": str(AT_ONCE),
            "MORELLI_VISION_PRICE_IN": str(PRICE_IN),
            "MORELLI_VISION_PRICE_OUT": str(PRICE_OUT),
        }
        settings.cache_clear()
        said: list[str] = []
        with everything(
            said.append, with_web=False, with_worker=True, prepare=lambda: seed(wanted.images)
        ) as running:
            with unit_of_work() as db:
                made = launch_agent_run(db, get_project(db, SLUG), agent="vlm", by=None)
                run = Run(running[0], made.id, made.job_id or 0)
            print(f"seeded; run {run.run_id} begins", flush=True)
            seconds = watch(run, wanted.images, stops)
            with urllib.request.urlopen(f"{address}/books", timeout=10) as answered:
                books = json.load(answered)
            is_right = report(run, seconds, books, wanted.images)
    print("\n".join(line for line in said if "warning" in line.lower())[-2000:])
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
