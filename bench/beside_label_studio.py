"""The same work in Label Studio and in Morelli, on one machine, in one run.

    python -m bench.beside_label_studio FOLDER [--images 10277] [--labels-each 25] [--runs 30]

Installs Label Studio from PyPI into a virtual environment of its own in FOLDER (kept for the next run), starts
it, and gives both the same images and the same file of labels. Then, in both, in turn: importing that file,
the next image, saving one changed label, a page of a filter, and exporting everything. Prints the medians and
their ratio. Each tool is asked in the way its own pages ask, by one client.
"""

import argparse
import json
import os
import random
import sqlite3
import statistics
import subprocess
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
from sqlalchemy import select

from app.database import unit_of_work
from app.demo.walking import free_port
from app.images.models import Image
from bench import machine, seeding
from bench.large_house import LargeHouse, large_house
from taxonomy.formats.label_studio import write_label_studio
from taxonomy.shipped import painting_criteria
from taxonomy.tree import Entry, Pair

RELEASE = "label-studio>=1.23,<1.24"
BAR = 10.0
TOKEN = "0123456789abcdef0123456789abcdef01234567"
PAGE = 60
WORDS = "dusk with 77"
WAIT_SECONDS = 300


@dataclass
class Times:
    """Seconds of each kind of work in one tool."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def of(self, work: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds.setdefault(work, []).append(time.perf_counter() - began)

    def median(self, work: str) -> float:
        return statistics.median(self.seconds[work])


# What both are given -------------------------------------------------------------------------------


def attributes() -> list[tuple[list[str], str, str]]:
    """Each attribute: its place as Label Studio writes it, its key and its side."""
    pairs: list[Entry] = [
        each
        for each in painting_criteria().walk()
        if isinstance(each.node, Pair) and not each.retired
    ]
    return [
        ([*each.path[:-1], f"{each.node.key}/{side}"], each.node.key, side)
        for each in pairs
        for side in ("positive", "negative")
    ]


def write_tasks(to: Path, images: list[Image], labels_each: int) -> int:
    """A file of tasks: what an agent predicted, and for every other image an annotation; how many labels."""
    chance, known = random.Random(1), attributes()
    made = 0
    with to.open("w") as file:
        file.write("[")
        for place, image in enumerate(images):
            chosen = [each[0] for each in chance.sample(known, labels_each)]
            made += labels_each
            task: dict[str, Any] = {
                "data": {"image": image.name, "prompt": image.prompt, "sha256": image.sha256},
                "predictions": [{"model_version": "bench", "result": result(chosen)}],
            }
            if place % 2:
                task["annotations"] = [{"result": result(chosen[: labels_each // 2])}]
            file.write(("," if place else "") + "\n" + json.dumps(task))
        file.write("\n]\n")
    return made


def result(chosen: list[list[str]]) -> list[dict[str, Any]]:
    return [
        {
            "id": "r",
            "from_name": "criteria",
            "to_name": "image",
            "type": "taxonomy",
            "value": {"taxonomy": chosen},
        }
    ]


# Label Studio --------------------------------------------------------------------------------------


def install(folder: Path) -> Path:
    """Its command, in an environment of its own; installed where it is not there yet."""
    command = folder / "venv" / "bin" / "label-studio"
    if not command.exists():
        print(f"installing {RELEASE} into {folder / 'venv'}", flush=True)
        venv.create(folder / "venv", with_pip=True)
        pip: list[str | Path] = [
            folder / "venv" / "bin" / "pip",
            "install",
            "--quiet",
            "--no-input",
            RELEASE,
        ]
        subprocess.run(pip, check=True)
    return command


@contextmanager
def label_studio(command: Path, folder: Path) -> Iterator[httpx2.Client]:
    """A started Label Studio with an empty database, and a program of its first user."""
    data = folder / f"data-{uuid4().hex[:8]}"
    data.mkdir(parents=True)
    port = free_port()
    start: list[str | Path] = [
        command,
        "start",
        "--no-browser",
        "--port",
        str(port),
        "--data-dir",
        data,
    ]
    start += [
        "--username",
        "bench@example.org",
        "--password",
        "bench-password",
        "--user-token",
        TOKEN,
    ]
    quiet = {
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LATEST_VERSION_CHECK": "false",
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    with (folder / "label-studio.log").open("w") as log:
        process = subprocess.Popen(
            start, stdout=log, stderr=log, env=os.environ | quiet, start_new_session=True
        )
        try:
            with httpx2.Client(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Token {TOKEN}"},
                timeout=1800,
            ) as client:
                wait_until(lambda: client.get("/health").status_code == 200, process)
                allow_tokens(data / "label_studio.sqlite3")
                yield client
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_until(is_there: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise SystemExit("Label Studio ended; see label-studio.log in the folder.")
        try:
            if is_there():
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.5)
    raise SystemExit("Label Studio did not start; see label-studio.log in the folder.")


def allow_tokens(database: Path) -> None:
    """Tokens of the older kind are off in a new installation, and the page that allows them has no API."""
    with sqlite3.connect(database, timeout=30) as connection:
        connection.execute("UPDATE jwt_auth_jwtsettings SET legacy_api_tokens_enabled = 1")


def work_in_label_studio(client: httpx2.Client, tasks: Path, runs: int) -> Times:
    times = Times()
    made = asked(
        client.post(
            "/api/projects",
            json={"title": "bench", "label_config": write_label_studio(painting_criteria())},
        )
    )
    project = made["id"]
    with times.of("import"), tasks.open("rb") as file:
        sent = asked(
            client.post(f"/api/projects/{project}/import", files={"file": ("tasks.json", file)})
        )
    print(f"Label Studio took in {sent.get('task_count')} tasks", flush=True)
    view = asked(client.post("/api/dm/views", json={"project": project, "data": {"title": "all"}}))
    filters = {
        "conjunction": "and",
        "items": [
            {
                "filter": "filter:tasks:data.prompt",
                "operator": "contains",
                "type": "String",
                "value": WORDS,
            }
        ],
    }
    found = asked(
        client.post(
            "/api/dm/views",
            json={"project": project, "data": {"title": "some", "filters": filters}},
        )
    )
    for _ in range(runs):
        with times.of("next image"):
            task = asked(
                client.post(
                    f"/api/dm/actions?id=next_task&project={project}&tabID={view['id']}", json={}
                )
            )
        # What is changed is in the annotation, which is sent whole, as its page does.
        changed = {"result": task_result(task), "task": task["id"], "lead_time": 10}
        with times.of("save"):
            asked(client.post(f"/api/tasks/{task['id']}/annotations/", json=changed))
        with times.of("filter"):
            page = f"/api/tasks?project={project}&view={found['id']}&page=1&page_size={PAGE}"
            asked(client.get(page))
    for _ in range(3):
        with times.of("export"):
            address = f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"
            answer = client.get(address)
            assert answer.status_code == 200, answer.text[:500]
    return times


def task_result(task: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = task["predictions"][0]["result"]
    return found


def asked(answer: httpx2.Response) -> Any:
    if answer.status_code >= 300:
        raise SystemExit(f"{answer.request.url}: {answer.status_code} {answer.text[:500]}")
    return answer.json()


# Morelli -------------------------------------------------------------------------------------------


def work_in_morelli(house: LargeHouse, tasks: Path, runs: int, ids: list[int]) -> Times:
    times = Times()
    with house.client() as client, browser_of(house) as browser:
        with times.of("import"):
            take_in(client, tasks)
        sides = cycle(attributes())
        for image_id in ids[: 2 * runs : 2]:
            with times.of("next image"):
                page = f"/projects/{seeding.SLUG}/images/{image_id}"
                answer = browser.get(page, headers={"HX-Request": "true"})
                assert answer.status_code == 200
            revision = asked(client.get(f"/images/{image_id}/labels"))["revision"]
            _, key, side = next(sides)
            with times.of("save"):
                action = {"state": "confirmed", "based_on": revision, "operation_id": str(uuid4())}
                asked(client.put(f"/images/{image_id}/labels/{key}/{side}", json=action))
            with times.of("filter"):
                asked(client.get("/images", params={"q": WORDS, "limit": PAGE}))
        for _ in range(3):
            with times.of("export"):
                answer = client.get("/labels/export?format=label-studio")
                assert answer.status_code == 200
    return times


def take_in(client: httpx2.Client, tasks: Path) -> None:
    """Send the file, have it looked at, import it, wait for the end."""
    with tasks.open("rb") as file:
        row = asked(client.post("/labels/imports", files={"files": ("tasks.json", file)}))
    row = until(client, row["id"], "found")
    asked(client.post(f"/labels/imports/{row['id']}/take", json={}))
    row = until(client, row["id"], "taken")
    print(f"Morelli took in {row['taken']['new']} labels", flush=True)


def until(client: httpx2.Client, import_id: int, state: str) -> dict[str, Any]:
    while True:
        row: dict[str, Any] = asked(client.get(f"/labels/imports/{import_id}"))
        if row["state"] == state:
            return row
        if row["state"] == "failed":
            raise SystemExit(f"Morelli did not import the file: {row['error']}")
        time.sleep(0.1)


@contextmanager
def browser_of(house: LargeHouse) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=house.address, follow_redirects=True, timeout=60) as browser:
        browser.post(f"/welcome/{house.link}", headers={"Sec-Fetch-Site": "same-origin"})
        yield browser


# Both ----------------------------------------------------------------------------------------------


def show(theirs: Times, ours: Times) -> None:
    print(f"\n{'':<14}{'Label Studio':>14}{'Morelli':>12}{'ratio':>8}   bar {BAR:.0f}")
    for work in ("next image", "save", "filter", "import", "export"):
        one, other = theirs.median(work), ours.median(work)
        note = "" if one / other >= BAR else "   below the bar"
        print(f"{work:<14}{1000 * one:>11,.1f} ms{1000 * other:>9,.1f} ms{one / other:>8.1f}{note}")


def main() -> None:
    """Install, start both, work, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="where Label Studio is installed and keeps its data"
    )
    parser.add_argument("--images", type=int, default=10_277)
    parser.add_argument("--labels-each", type=int, default=25)
    parser.add_argument("--runs", type=int, default=30)
    wanted = parser.parse_args()
    print(machine.describe())
    folder = wanted.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    command = install(folder)
    with large_house(wanted.images, 0, compare=False, with_worker=True) as house:
        with unit_of_work() as db:
            images = list(db.scalars(select(Image).order_by(Image.id)))
        tasks = folder / "tasks.json"
        made = write_tasks(tasks, images, wanted.labels_each)
        print(f"{made:,} labels of {len(images):,} images, {tasks.stat().st_size / 2**20:.0f} MiB")
        ours = work_in_morelli(house, tasks, wanted.runs, [each.id for each in images])
        with label_studio(command, folder) as client:
            theirs = work_in_label_studio(client, tasks, wanted.runs)
    show(theirs, ours)


if __name__ == "__main__":
    main()
