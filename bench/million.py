"""A million images with 25 labels each: what one action, the next image, filters and every page take.

    python -m bench.million FOLDER [--images 1000000] [--runs 40] [--only TEXT]

The installation is made below FOLDER the first time (one that broke off is to be deleted) and used again after that, migrated
to the code at hand. Prints the median and the 95th percentile of each row over HTTP, one request at a time, what
web server and database computed for it, and what misses its bar; exit code 1 where something does.
"""

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx2
from sqlalchemy import select, text

from app import embedded
from app.accounts.access import cookie_name
from app.accounts.models import Person
from app.accounts.signing_in import sign_in
from app.accounts.tokens import create_token
from app.criteria.models import Node
from app.database import unit_of_work
from app.demo.walking import free_port
from app.images.counting import count_kinds
from app.projects.founding import get_project, set_role
from app.projects.models import Project
from app.settings import settings
from app.up import Household, everything
from bench import machine, million_seeding
from bench.pages import pages
from bench.seeding import SLUG

ROOT = f"/projects/{SLUG}"
API = f"/api/v1{ROOT}"
PAGE_BAR, FILTER_BAR, THREE_BAR, NEXT_BAR, SAVE_BAR = 150.0, 100.0, 200.0, 20.0, 15.0
# What is not done while somebody waits at a page.
NO_PAGES = ("what would be frozen", "API: what would be frozen")


@dataclass(frozen=True)
class Row:
    """One thing to measure: `ask` makes one request, or as many as belong together, and returns the status."""

    name: str
    bar: float
    ask: Callable[[], int]


def main() -> None:
    """Seed where needed, serve, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--only", default="", help="only rows whose name holds this")
    wanted = parser.parse_args()
    wanted.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ |= {"MORELLI_HOME": str(wanted.folder), "MORELLI_PORT": str(free_port())}
    settings.cache_clear()
    print(machine.describe(), flush=True)

    def prepare() -> str:
        if not _is_filled():
            million_seeding.fill(wanted.images, lambda line: print(line, flush=True))
        return ""

    quiet: list[str] = []
    with everything(quiet.append, with_web=True, with_worker=False, prepare=prepare) as running:
        try:
            missed = _measure(wanted.runs, wanted.only, lambda: _computed(running))
        except httpx2.HTTPError:
            # What the parts of the installation said last tells why there was no answer.
            print("\n".join(quiet[-60:]), flush=True)
            raise
    print("\n".join(line for line in quiet if "Traceback" in line or "Error" in line)[:4000])
    sys.exit(1 if missed else 0)


def _is_filled() -> bool:
    with unit_of_work() as db:
        return db.scalar(select(Project.id).where(Project.slug == SLUG)) is not None


def _computed(running: tuple[Household, embedded.Running | None, str]) -> float:
    """Seconds that web server and database have computed so far: what a busy machine does not change."""
    web = next(part.child for part in running[0].parts if part.name == "web")
    assert web is not None
    folder = next(settings().home.glob("**/postmaster.pid"))
    postmaster = int(folder.read_text().split()[0])
    pids = [web.pid, *machine.children_of(postmaster)]
    return sum(machine.processor_seconds(pid) for pid in pids)


def _measure(runs: int, only: str, computed: Callable[[], float]) -> list[str]:
    cookie, token, ids = _lead()
    base = f"http://127.0.0.1:{settings().port}"
    browser = httpx2.Client(base_url=base, headers={"Cookie": cookie}, timeout=120)
    program = httpx2.Client(
        base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=120
    )
    print(
        f"load {os.getloadavg()[0]:.1f}\n{'':<44}{'p50':>9}{'p95':>9}{'bar':>7}{'computed':>10}   {runs} runs"
    )
    missed = []
    with browser, program:
        for row in rows(browser, program, ids):
            if only not in row.name:
                continue
            took, statuses = [], set()
            row.ask(), row.ask()
            before = computed()
            for _ in range(runs):
                began = time.perf_counter()
                statuses.add(row.ask())
                took.append((time.perf_counter() - began) * 1000)
            spent = (computed() - before) * 1000 / runs
            took = sorted(took)
            high = took[min(len(took) - 1, int(0.95 * len(took)))]
            note = "" if high < row.bar else "   MISSED"
            note += "" if statuses <= {200, 303} else f"   statuses {statuses}"
            missed += [row.name] if note else []
            print(
                f"{row.name:<44}{statistics.median(took):>7.1f}ms{high:>7.1f}ms{row.bar:>7.0f}{spent:>8.0f}ms{note}",
                flush=True,
            )
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nall within their bars")
    return missed


def _lead() -> tuple[str, str, list[int]]:
    """A lead's cookie and token, and the ids of images: the first, one in the middle, one that waits."""
    with unit_of_work() as db:
        project = get_project(db, SLUG)
        lead = db.scalar(select(Person).where(Person.email == "lead@large.example.org"))
        if lead is None:
            lead = Person(email="lead@large.example.org", name="Lea", is_operator=True)
            db.add(lead)
            db.flush()
            set_role(db, project, lead, "lead")
        _, token = create_token(db, lead, "bench")
        cookie = f"{cookie_name()}={sign_in(db, lead, browser='bench', address='127.0.0.1')}"
        first = db.scalar(
            text("SELECT min(id) FROM image WHERE project_id = :p"), {"p": project.id}
        )
        found = count_kinds(db, project)
        return (
            cookie,
            token,
            [first, first + found.used // 2, first + found.done + found.done // 1000],
        )


def rows(browser: httpx2.Client, program: httpx2.Client, ids: list[int]) -> Iterator[Row]:
    """Everything that is measured, what has the narrowest bars first."""
    first, middle, waiting = ids
    chance = random.Random(1)

    def get(client: httpx2.Client, path: str) -> Callable[[], int]:
        return lambda: client.get(path).status_code

    yield Row("save of one action", SAVE_BAR, _saver(program, waiting, chance))
    yield Row("next image: claim, then its page", NEXT_BAR, _next(browser, program))
    keys = _keys()
    for name, bar, query in filters(keys):
        yield Row(name, bar, get(browser, f"{ROOT}/images?{query}"))
        yield Row(f"  counted: {name}", bar, get(browser, f"{ROOT}/images/count?{query}"))
    for name, path in pages(first, middle, None).items():
        if name not in NO_PAGES:
            client = program if name.startswith("API") else browser
            yield Row(name, PAGE_BAR, get(client, path))
    more = {
        "how a pair is used": f"{ROOT}/criteria/nodes/{keys.often}/usage",
        "how a root dimension is used": f"{ROOT}/criteria/nodes/{keys.root}/usage",
        "images of a pair": f"{ROOT}/criteria/nodes/{keys.rare}/images",
        "images of a root dimension, proposed": f"{ROOT}/criteria/nodes/{keys.root}/images?state=proposed",
        "audit: who could be drawn from": f"{ROOT}/audits/population?min_labels=5&agent_run=&sample_size=100",
        "audit: the same of one run": f"{ROOT}/audits/population?min_labels=5&agent_run={keys.run}&sample_size=100",
        "wall, done": f"{ROOT}/images?show=done",
        "wall, not done, page behind": f"{ROOT}/images?show=undone&after={waiting + 5000}",
        "wall, a word of every prompt": f"{ROOT}/images?q=painting",
        "wall, words of some prompts": f"{ROOT}/images?q=cathedral lamplight 33",
    }
    yield from (Row(name, PAGE_BAR, get(browser, path)) for name, path in more.items())


@dataclass(frozen=True)
class Keys:
    """What filters ask for: nodes by how often they are given, a person, an agent run."""

    root: str
    branch: str
    often: str
    rare: str
    other: str
    person: int
    run: int


def filters(keys: Keys) -> Iterator[tuple[str, float, str]]:
    """Filters by one thing and by three, as a name, a bar and the query."""
    wish, root, branch, often, rare = "&key=", keys.root, keys.branch, keys.often, keys.rare
    for name, query in {
        "an attribute that is often given": f"key={often}",
        "an attribute that is rarely given": f"key={rare}",
        "a side of it, proposed": f"key={rare}&polarity=negative&state=proposed",
        "a side of it, rejected": f"key={rare}&polarity=negative&state=rejected",
        "a branch": f"key={branch}",
        "a branch, proposed": f"key={branch}&state=proposed",
        "a root dimension": f"key={root}",
        "a root dimension, negative, proposed": f"key={root}&polarity=negative&state=proposed",
        "any proposed": "key=&state=proposed",
        "decided by a person": f"key=&by={keys.person}",
        "of the last agent run": f"key=&run={keys.run}",
        "added by a person": "key=&source=person",
        "very sure labels": "key=&least=0.999",
        "with contradictions": "contradictory=yes",
        "without contradictions": "contradictory=no",
        "in no dataset": "dataset=none",
    }.items():
        yield name, FILTER_BAR, query
    for name, query in {
        "attribute, side, by a person": f"key={often}&polarity=negative&by={keys.person}",
        "three attributes": f"key={often}{wish}{rare}{wish}{keys.other}",
        "three attributes, all proposed": f"key={often}&state=proposed{wish}{rare}&state=proposed{wish}{keys.other}&state=proposed",
        "two branches and an attribute": f"key={root}{wish}{branch}{wish}{rare}",
        "rare, rejected, not done": f"key={rare}&state=rejected&show=undone",
        "branch, proposed, of the last run": f"key={branch}&state=proposed&run={keys.run}",
        "contradictions, attribute, not done": f"contradictory=yes&key={often}&show=undone",
        "no contradictions, branch, proposed": f"contradictory=no&key={branch}&state=proposed",
        "no dataset, rare, proposed": f"dataset=none&key={rare}&state=proposed",
        "attribute, unsure, a word": f"key={often}&most=0.3&q=cathedral",
        "attribute, some words": f"key={often}&q=cathedral lamplight 33",
    }.items():
        yield f"3: {name}", THREE_BAR, query


def _keys() -> Keys:
    with unit_of_work() as db:
        project = get_project(db, SLUG)
        pairs = db.scalars(text(_BY_NUMBER), {"p": project.id}).all()
        branch = db.scalar(text(_ABOVE), {"p": project.id, "key": pairs[len(pairs) // 2]})
        root = db.scalars(
            select(Node.key)
            .where(Node.project_id == project.id, Node.parent_id.is_(None))
            .order_by(Node.position)
        ).first()
        person, run = db.execute(
            text(
                "SELECT (SELECT min(id) FROM person WHERE email LIKE 'annotator%'), max(id) FROM agent_run"
                " WHERE project_id = :p"
            ),
            {"p": project.id},
        ).one()
    return Keys(root or "", branch, pairs[0], pairs[-1], pairs[len(pairs) // 3], person, run)


_BY_NUMBER = """
    SELECT n.key FROM label_count AS c JOIN node AS n ON n.id = c.node_id WHERE c.project_id = :p
    GROUP BY n.key ORDER BY sum(c.num) DESC
"""
_ABOVE = """
    SELECT above.key FROM node AS n JOIN node AS above ON above.id = n.parent_id
    WHERE n.project_id = :p AND n.key = :key
"""


def _next(browser: httpx2.Client, program: httpx2.Client) -> Callable[[], int]:
    """What the next image of the queue takes: the claim behind the one before, and the page."""
    at = 0

    def ask() -> int:
        nonlocal at
        claimed = program.post(f"{API}/queue/next", json={"after": at})
        at = claimed.json()["image"]
        return browser.get(f"{ROOT}/images/{at}").status_code

    return ask


def _saver(program: httpx2.Client, waiting: int, chance: random.Random) -> Callable[[], int]:
    """Confirm or reject a proposal of an image somewhere among those that wait."""
    with unit_of_work() as db:
        proposed = db.execute(
            text(
                "SELECT l.image_id, n.key, l.polarity FROM label AS l JOIN node AS n ON n.id = l.node_id"
                " WHERE l.image_id BETWEEN :a AND :a + 20000 AND l.state = 'proposed' LIMIT 100000"
            ),
            {"a": waiting + 1000},
        ).all()
    chance.shuffle(proposed := list(proposed))

    def ask() -> int:
        image_id, key, polarity = proposed.pop()
        answer = program.put(
            f"{API}/images/{image_id}/labels/{key}/{polarity}",
            json={
                "state": chance.choice(("confirmed", "rejected")),
                "based_on": 1,
                "operation_id": str(uuid4()),
            },
        )
        return answer.status_code

    return ask


if __name__ == "__main__":
    main()
