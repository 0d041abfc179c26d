"""Criteria of 5,000 nodes with a million labels: what an edit takes, eight people editing at once, and how soon
the page can be used in Chromium.

    python -m bench.criteria [--nodes 5000] [--labels 1000000] [--edits 2000] [--clients 8]

Starts an installation of its own on loopback. The clients edit over HTTP, each on a connection of its own,
and each keeps the revision it was answered; afterwards every answer is looked for in the history. Exit code 1
where one is missing or there twice, or where an edit went over another one unseen.
"""

import argparse
import os
import random
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from sqlalchemy import text

from app.accounts.tokens import create_token
from app.criteria.freezing import freeze_version
from app.criteria.loading import load_criteria
from app.database import unit_of_work
from app.projects.founding import create_project, set_role
from bench import machine
from bench.demo_house import House, add_lead, cookies_of, demo_house
from taxonomy.tree import Attribute, Criteria, Dimension, Pair

SLUG = "wide"
API = f"/api/v1/projects/{SLUG}/criteria"
PAIRS_OF_ONE = 8
DIMENSIONS_OF_ONE = 6
LABELS_OF_ONE = 25
EDITS_OF_ONE = 30


def wide_tree(nodes: int) -> Criteria:
    """Seven root dimensions, four levels, about so many nodes."""
    per_root = nodes // 7

    def pair(name: str) -> Pair:
        return Pair(
            name,
            "opposed",
            Attribute(f"Seen well {name}", f"What is seen well of {name} in most of the picture."),
            Attribute(f"Seen badly {name}", f"What is seen badly of {name}, or not at all."),
        )

    def below(name: str) -> Dimension:
        pairs = tuple(pair(f"{name}-{number}") for number in range(PAIRS_OF_ONE))
        return Dimension(name, f"Look {name}", f"How {name} looks.", pairs=pairs)

    def middle(name: str) -> Dimension:
        parts = tuple(below(f"{name}-{number}") for number in range(DIMENSIONS_OF_ONE))
        return Dimension(name, f"Part {name}", f"What belongs to {name}.", dimensions=parts)

    each = 1 + DIMENSIONS_OF_ONE * (1 + PAIRS_OF_ONE)
    roots = (
        Dimension(
            f"root-{root}",
            f"Root {root}",
            "One of seven.",
            dimensions=tuple(middle(f"r{root}-{part}") for part in range(max(1, per_root // each))),
        )
        for root in range(7)
    )
    return Criteria("Wide", dimensions=tuple(roots))


def seed(nodes: int, labels: int) -> tuple[str, list[str]]:
    """The project with its criteria, images and labels; returns a lead's token and the keys of all nodes."""
    tree = wide_tree(nodes)
    lead = add_lead(99)
    with unit_of_work() as db:
        project = create_project(db, slug=SLUG, name="Wide", description="")
        set_role(db, project, lead, "lead")
        load_criteria(db, project, tree, by=lead)
        version = freeze_version(db, project, note="", by=lead)
        _, token = create_token(db, lead, "bench")
        given = {
            "project": project.id,
            "version": version.id,
            "images": -(-labels // LABELS_OF_ONE),
            "pairs": len(tree.pairs()),
            "each": LABELS_OF_ONE,
        }
        db.execute(text(IMAGES), given)
        db.execute(text(LABELS), given)
    with unit_of_work() as db:
        db.connection(execution_options={"isolation_level": "AUTOCOMMIT"}).execute(text("ANALYZE"))
    return token, [each.node.key for each in tree.walk()]


IMAGES = """
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes, prompt)
    SELECT :project, encode(sha256(('wide ' || n)::bytea), 'hex'), n || '.png', 'PNG', 8, 8, 8, ''
    FROM generate_series(1, :images) AS n
"""
LABELS = """
    WITH pair AS (
        SELECT id, row_number() OVER (ORDER BY id) - 1 AS at FROM node
        WHERE project_id = :project AND kind = 'pair'
    ), picture AS (
        SELECT id, row_number() OVER (ORDER BY id) AS at FROM image WHERE project_id = :project
    )
    INSERT INTO label (project_id, image_id, node_id, polarity, state, source, version_id, revision)
    SELECT :project, picture.id, pair.id, CASE WHEN n % 3 = 0 THEN 'negative' ELSE 'positive' END,
           'confirmed', 'person', :version, 1
    FROM picture CROSS JOIN generate_series(0, :each - 1) AS n
    JOIN pair ON pair.at = (picture.at * 7919 + n * 131) % :pairs
    ON CONFLICT DO NOTHING
"""


@dataclass
class Client:
    """What one client did: seconds of each edit, statuses, and the edits that were answered."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    acknowledged: list[tuple[str, str]] = field(default_factory=list)


def edit(http: httpx2.Client, key: str, revision: int, definition: str) -> tuple[int, float]:
    """One edit; its status and the seconds until it was answered."""
    side: dict[str, Any] = {"definition": definition}
    began = time.perf_counter()
    answer = http.patch(f"{API}/nodes/{key}", json={"based_on": revision, **side})
    return answer.status_code, time.perf_counter() - began


def work(port: int, token: str, keys: list[str], edits: int, seed_of: int, into: Client) -> None:
    """Edit nodes drawn from all; where somebody was faster, read again and try once more."""
    chance = random.Random(seed_of)
    with _client(port, token) as http:
        for number in range(edits):
            key, words = chance.choice(keys), f"Edit {seed_of}.{number}"
            for _ in range(20):
                revision = int(http.get(f"{API}/nodes/{key}").json()["revision"])
                status, seconds = edit(http, key, revision, words)
                into.statuses[status] += 1
                into.seconds.append(seconds)
                if status == 200:
                    into.acknowledged.append((key, words))
                if status != 412:
                    break


def _client(port: int, token: str) -> httpx2.Client:
    return httpx2.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )


def history(port: int, token: str) -> list[dict[str, Any]]:
    """Every recorded change, oldest first."""
    found: list[dict[str, Any]] = []
    with _client(port, token) as http:
        before: int | None = None
        while True:
            more = {} if before is None else {"before": before}
            page = http.get(f"{API}/changes", params={"limit": 200, **more}).json()
            found += page["items"]
            before = page["next"]
            if before is None:
                return found[::-1]


def faults(clients: list[Client], changes: list[dict[str, Any]]) -> list[str]:
    """Edits that were answered and are not in the history exactly once, or lie over a text nobody had seen."""
    wrong = []
    recorded = Counter(
        (each["key"], each["after"].get("definition")) for each in changes if each["after"]
    )
    for client in clients:
        wrong += [
            f"{each}: {recorded[each]} times" for each in client.acknowledged if recorded[each] != 1
        ]
    stands: dict[str, str] = {}
    for each in changes:
        after, before = each["after"] or {}, each["before"] or {}
        if each["kind"] != "described" or "definition" not in after:
            continue
        if stands.get(each["key"], before["definition"]) != before["definition"]:
            wrong.append(f"{each['key']}: revision {each['revision']} lies over an unseen text")
        stands[each["key"]] = after["definition"]
    return wrong


def row(name: str, seconds: list[float], more: str = "") -> None:
    """Median, 95th percentile and slowest of some times."""
    ordered = sorted(seconds)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    print(
        f"{name:<44}{1000 * statistics.median(ordered):>8.0f}{1000 * p95:>8.0f}{1000 * ordered[-1]:>8.0f} ms"
        f"  {more}",
        flush=True,
    )


def processors(house: House) -> tuple[float, float]:
    """What the web server and the database have computed so far, in seconds."""
    with unit_of_work() as db:
        pids = db.scalars(text("SELECT pid FROM pg_stat_activity")).all()
    return machine.processor_seconds(house.web), sum(map(machine.processor_seconds, pids))


def edits(
    token: str, keys: list[str]
) -> dict[str, Callable[[httpx2.Client, int], httpx2.Response]]:
    """Each kind of edit by one client: what it sends for its n-th time."""
    pairs, dimensions = [each for each in keys if each.count("-") == 3], keys[2:40]
    tag = token[-6:]

    def revision(http: httpx2.Client, key: str) -> int:
        return int(http.get(f"{API}/nodes/{key}").json()["revision"])

    def patch(http: httpx2.Client, key: str, **texts: Any) -> httpx2.Response:
        body = {"based_on": revision(http, key), **texts}
        return http.patch(f"{API}/nodes/{key}", json=body)

    def act(http: httpx2.Client, key: str, verb: str, **more: Any) -> httpx2.Response:
        return http.post(
            f"{API}/nodes/{key}/{verb}", json={"based_on": revision(http, key), **more}
        )

    return {
        "a definition": lambda http, n: patch(
            http, pairs[n], positive={"definition": f"{tag} {n}"}
        ),
        "a name": lambda http, n: patch(http, pairs[n], positive={"name": f"Seen {tag} {n}"}),
        "a new dimension": lambda http, n: http.post(
            f"{API}/nodes", json={"kind": "dimension", "parent": "root-1", "name": f"{tag} {n}"}
        ),
        "a move": lambda http, n: act(http, pairs[n], "move", parent=f"r3-{n % 7}-1", before=None),
        "a retirement": lambda http, n: act(http, dimensions[n], "retire"),
    }


def measure_edits(house: House, token: str, keys: list[str]) -> None:
    """One client: each kind of edit, wall time and what the processors did for it."""
    with _client(house.port, token) as http:
        for name, act in edits(token, keys).items():
            seconds, statuses, spent = [], Counter[int](), []
            for number in range(EDITS_OF_ONE):
                before = processors(house)
                answer = act(http, number)
                after = processors(house)
                seconds.append(answer.elapsed.total_seconds())
                spent.append([now - was for was, now in zip(before, after, strict=True)])
                statuses[answer.status_code] += 1
            web, database = (1000 * statistics.mean(each) for each in zip(*spent, strict=True))
            more = (
                f"processor: {web:.0f} ms web with the reading before, {database:.0f} ms database"
            )
            row(name, seconds, f"{more} {dict(statuses)}")


def measure_pages(house: House, keys: list[str]) -> None:
    """One client: the page, the panel of a node, the filter, the preview."""
    cookie = cookies_of(1)[0]
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{house.port}", headers={"Cookie": cookie}, timeout=60
    ) as http:
        _join()
        for name, path in (
            ("the page of all nodes", f"/projects/{SLUG}/criteria"),
            ("its panel of one node", f"/projects/{SLUG}/criteria?node={keys[-1]}"),
            ("what a filter finds", f"{API}/matches?q=seen well r3-2"),
            ("all branches at once", f"/projects/{SLUG}/criteria/branches"),
            ("the preview of a publication", f"/projects/{SLUG}/criteria/publish"),
            ("the picture", f"/projects/{SLUG}/criteria/picture"),
        ):
            headers = {"HX-Request": "true"} if "panel" in name or "branches" in name else {}
            took, sizes = [], []
            for _ in range(7):
                began = time.perf_counter()
                answer = http.get(path, headers=headers)
                took.append(time.perf_counter() - began)
                sizes.append(len(answer.content))
                assert answer.status_code == 200, (path, answer.status_code)
            row(name, took, f"{sizes[-1] / 1000:.0f} kB")
    measure_chromium(house, cookie)


def _join() -> None:
    """The reader of the cookie leads this project, too."""
    with unit_of_work() as db:
        db.execute(
            text(
                "INSERT INTO membership (project_id, person_id, role) SELECT p.id, r.id, 'lead'"
                " FROM project AS p, person AS r WHERE p.slug = :slug AND r.email = 'reader0@example.org'"
                " ON CONFLICT DO NOTHING"
            ),
            {"slug": SLUG},
        )


READY = """() => new Promise((done) => {
  const tree = document.getElementById("tree");
  const look = () => (tree.querySelector('a.names[tabindex="0"]') ? requestAnimationFrame(() => done(performance.now())) : setTimeout(look, 5));
  look();
})"""


ALL_OPEN = """() => !document.querySelector("details[data-away]") &&
  [...document.querySelectorAll("#tree details")].every((each) => each.open)"""
FOUND = """() => document.querySelector("#tree li.match") &&
  document.getElementById("filter-count").textContent.endsWith("found")"""
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"


def measure_chromium(house: House, cookie: str) -> None:
    """From asking for the page to a tree that takes keys, as the browser counts; and unfolding it whole."""
    from playwright.sync_api import sync_playwright

    from tests.browser.install_chromium import find_chromium

    found = find_chromium()
    if found is None:
        print("Chromium is not there: how soon the page can be used was not measured.")
        return
    name, _, value = cookie.partition("=")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport={"width": 1280, "height": 720})
        context.add_cookies([{"name": name, "value": value, "domain": "127.0.0.1", "path": "/"}])
        ready, unfolded, filtered = [], [], []
        for _ in range(5):
            page = context.new_page()  # a tab remembers what was open
            page.goto(
                f"http://127.0.0.1:{house.port}/projects/{SLUG}/criteria", wait_until="commit"
            )
            page.wait_for_selector("#tree", state="attached")
            ready.append(page.evaluate(READY) / 1000)
            began = time.perf_counter()
            page.keyboard.press("f")
            page.wait_for_function(ALL_OPEN, timeout=120_000)
            page.evaluate(PAINTED)
            unfolded.append(time.perf_counter() - began)
            began = time.perf_counter()
            page.fill("#filter", "seen well r3-2")
            page.wait_for_function(FOUND, timeout=120_000)
            page.evaluate(PAINTED)
            filtered.append(time.perf_counter() - began)
            page.close()
        row("Chromium: until the tree takes keys", ready)
        row("Chromium: everything unfolded", unfolded)
        row("Chromium: a filter's matches, of all lines", filtered)
        browser.close()


def measure_together(house: House, token: str, keys: list[str], clients: int, edits: int) -> bool:
    """So many edits by so many clients at once; returns whether none was lost or unseen."""
    done = [Client() for _ in range(clients)]
    # Few nodes, so that they meet.
    few = random.Random(2).sample(keys, min(200, len(keys)))
    threads = [
        threading.Thread(
            target=work, args=(house.port, token, few, edits // clients, number, client)
        )
        for number, client in enumerate(done)
    ]
    began = time.perf_counter()
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    took = time.perf_counter() - began
    statuses: Counter[int] = sum((each.statuses for each in done), Counter())
    seconds = [each for client in done for each in client.seconds]
    row(f"{clients} clients, {edits} edits in {took:.0f} s", seconds, str(dict(statuses)))
    wrong = faults(done, history(house.port, token))
    number = sum(len(each.acknowledged) for each in done)
    print(
        f"{number} edits were answered; {len(wrong)} are not in the history exactly once, or unseen"
    )
    print("\n".join(wrong[:20]))
    return not wrong and number == edits // clients * clients


def main() -> None:
    """Start, seed, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--edits", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    wanted = parser.parse_args()
    print(machine.describe())
    with demo_house() as house:
        began = time.perf_counter()
        token, keys = seed(wanted.nodes, wanted.labels)
        dimensions = [each for each in keys if each.count("-") <= 2]
        print(
            f"{len(keys)} nodes, {wanted.labels:,} labels, seeded in {time.perf_counter() - began:.0f} s;"
            f" load average {os.getloadavg()[0]:.1f}\n"
        )
        print(f"{'':<44}{'median':>8}{'95 %':>8}{'most':>8}")
        measure_edits(house, token, keys)
        measure_pages(house, dimensions)
        well = measure_together(house, token, dimensions, wanted.clients, wanted.edits)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
