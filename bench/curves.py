"""Curves of long runs: time of the metrics API on the server, and how smooth they are in the browser.

    python -m bench.curves [--steps 100000] [--runs 6] [--repeats 5]
    python -m bench.curves --seed-only --steps 3000    into the installation of MORELLI_HOME, to look at them

Needs Chromium (`make browser`). Frames are what the page's own `requestAnimationFrame` saw while the mouse
was moved by the browser's protocol.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import FloatRect, Page, sync_playwright
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.criteria.freezing import freeze_version
from app.criteria.loading import load_criteria
from app.database import engine, unit_of_work
from app.datasets.models import Dataset
from app.demo.walking import free_port
from app.jobs.models import Job
from app.projects.founding import create_project
from app.projects.inviting import create_first_lead_link
from app.projects.models import Project
from app.runs.models import Run
from app.settings import settings
from app.up import everything, installation
from bench import machine
from bench.pages import measure
from method.training.config_fields import changed
from method.training.config_reading import to_dict
from method.training.presets import PRESETS
from taxonomy.shipped import painting_criteria
from tests.browser.install_chromium import find_chromium

SLUG = "long-runs"
FRAME_MS = 1000 / 60
SPIKE = 25.0
# What a run of stage 2 logs: a trend, noise, and a gradient norm with a spike at one step in the middle.
ROWS = """
INSERT INTO run_metric (run_id, step, values)
SELECT :run, step, jsonb_build_object(
  'epoch', 4 * step / :steps, 'time', 1.7e9 + step, 'loss', 0.45 + 0.24 * exp(-t) + noise / 20,
  'win', -0.004 * (1 - exp(-t)) + noise / 500, 'lose', 0.009 * (1 - exp(-t)) + other / 400,
  'accuracy', round((0.5 + 0.35 * (1 - exp(-t)))::numeric, 1), 'rho', 1 - t / 12,
  'factor', exp(-t) / 2, 'drift', t / 2500, 'cosine', 0.4 * (1 - exp(-t)) + noise / 9,
  'grad_norm', CASE WHEN step = :steps / 2 THEN :spike ELSE 0.12 * exp(-t) + abs(noise) / 30 END,
  'grad_win', 0.02 * exp(-t) + abs(noise) / 250, 'grad_lose', 0.016 * exp(-t) + abs(other) / 250,
  'lr', 1e-5 * least(1, 50.0 * step / :steps), 'lr_factor', 1, 'skipped_steps', 0,
  'images_per_second', 2.3 + noise / 10, 'memory_mb', 61200
) || CASE WHEN step % greatest(1, :steps / 40) = 0
     THEN jsonb_build_object('validation_loss', 0.47 + 0.2 * exp(-t) + noise / 90) ELSE '{}'::jsonb END
FROM (SELECT step, 5.0 * step / :steps AS t, random() + random() - 1 AS noise, random() + random() - 1 AS other
      FROM generate_series(1, :steps) step) made
"""


def seed(db: Session, steps: int, runs: int) -> list[int]:
    """A project with an expert and finished runs of stage 2; returns the ids of the latter."""
    project = create_project(db, slug=SLUG, name="Long runs")
    load_criteria(db, project, painting_criteria(), by=None)
    version = freeze_version(db, project, note="seeded", by=None)
    dataset = Dataset(
        project_id=project.id,
        number=1,
        name="Seeded",
        version_id=version.id,
        folder=SLUG,
        manifest_sha256="a" * 64,
    )
    db.add(dataset)
    db.flush()
    db.execute(text("SELECT setseed(0.5)"))
    expert = _add_run(db, project, dataset, 1, kind="sft", expert=None)
    made = [
        _add_run(db, project, dataset, number, kind="cpo_s", expert=expert)
        for number in range(2, runs + 2)
    ]
    for run in made:
        db.execute(text(ROWS), {"run": run.id, "steps": steps, "spike": SPIKE})
    return [run.id for run in made]


def _add_run(
    db: Session, project: Project, dataset: Dataset, number: int, *, kind: str, expert: Run | None
) -> Run:
    now = datetime.now(UTC)
    job = Job(project_id=project.id, kind="training", spec={}, queue="gpu", max_failures=3)
    job.state, job.started_at, job.finished_at = "succeeded", now, now
    db.add(job)
    db.flush()
    config = to_dict(changed(PRESETS["tiny"].config(kind), {"seed": number}))
    run = Run(
        project_id=project.id,
        number=number,
        name=f"Seeded {number}",
        kind=kind,
        job_id=job.id,
        dataset_id=dataset.id,
        expert_run_id=expert.id if expert else None,
        config=config,
        folder=f"{SLUG}-{number:04d}",
    )
    db.add(run)
    db.flush()
    return run


def settle() -> None:
    """What autovacuum does within a minute of such an import."""
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


# The server ---------------------------------------------------------------------------------------


def measure_api(client: httpx2.Client, run: int, steps: int, repeats: int) -> None:
    """Time and size of each kind of question that the page asks."""
    root = f"/api/v1/projects/{SLUG}/runs/{run}"
    middle, width = steps // 2, max(1, steps // 100)
    paths = {
        "curves, whole run": f"{root}/curves",
        "curves, a tenth": f"{root}/curves?after={middle}&until={middle + steps // 10}",
        "curves, a hundredth": f"{root}/curves?after={middle}&until={middle + width}",
        "curves, what is new": f"{root}/curves?after={steps - 5}",
        "metrics, 1500 rows": f"{root}/metrics?after={middle}",
        "page of the run": f"/projects/{SLUG}/runs/{run}",
    }
    print(f"\n{'':<24}{'median':>9}{'worst':>9}{'answer':>10}   {repeats} times each")
    for name, path in paths.items():
        times, status, size = measure(client, path, repeats)
        note = "" if status == 200 else f"   status {status}"
        print(
            f"{name:<24}{statistics.median(times):>7.0f}ms{max(times):>7.0f}ms{size / 1024:>7.0f}KiB{note}"
        )
    curves = client.get(paths["curves, whole run"]).json()
    highest = max(curves["groups"][0]["high"].get("grad_norm") or [0])
    print(f"the spike of one step in {steps} is in the whole run: {highest == SPIKE}")


# The browser --------------------------------------------------------------------------------------

WATCH = """() => {
  window.frames = [];
  let last = performance.now();
  const watch = (now) => { window.frames.push(now - last); last = now; if (window.frames) requestAnimationFrame(watch); };
  requestAnimationFrame(watch);
}"""
STOP = "() => { const seen = window.frames; window.frames = null; return seen.slice(1); }"


def frames_while(page: Page, act: Callable[[], None]) -> list[float]:
    """Milliseconds between frames while something is done."""
    page.evaluate(WATCH)
    act()
    seen: list[float] = page.evaluate(STOP)
    return seen


def measure_frames(page: Page, address: str, title: str) -> None:
    """Zoom, pan and move the crosshair over the large panel."""
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(".panel.large canvas")
    page.wait_for_load_state("networkidle")
    print(f"\n{title}: curves complete after {time.perf_counter() - began:.1f} s")
    box = page.locator(".panel.large .u-over").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    acts: dict[str, Callable[[], None]] = {
        "nothing": lambda: page.wait_for_timeout(500),
        "crosshair": lambda: _sweep(page, box),
        "zoom in": lambda: _turn(page, -60),
        "pan": lambda: _drag(page, box),
        "zoom out": lambda: _turn(page, 60),
        "select a part": lambda: _select(page, box),
    }
    print(f"{'':<16}{'frames':>8}{'median':>9}{'95 %':>9}{'worst':>9}   over 2 frames")
    for name, act in acts.items():
        seen = sorted(frames_while(page, act))
        late = sum(each > 2.5 * FRAME_MS for each in seen) / len(seen)
        high = seen[int(0.95 * (len(seen) - 1))]
        print(
            f"{name:<16}{len(seen):>8}{statistics.median(seen):>7.1f}ms{high:>7.1f}ms{seen[-1]:>7.1f}ms{late:>9.1%}"
        )
    page.keyboard.press("0")


def _sweep(page: Page, box: FloatRect) -> None:
    for step in range(80):
        page.mouse.move(box["x"] + box["width"] * (0.1 + step / 100), box["y"] + 60)


def _turn(page: Page, by: int) -> None:
    page.keyboard.down("Control")
    for _ in range(30):
        page.mouse.wheel(0, by)
        page.wait_for_timeout(10)
    page.keyboard.up("Control")
    page.wait_for_timeout(400)  # finer steps come now


def _drag(page: Page, box: FloatRect) -> None:
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60)
    page.keyboard.down("Shift")
    page.mouse.down()
    for step in range(60):
        page.mouse.move(box["x"] + box["width"] * (0.8 - step / 100), box["y"] + 60)
    page.mouse.up()
    page.keyboard.up("Shift")


def _select(page: Page, box: FloatRect) -> None:
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=20)
    page.mouse.up()
    page.wait_for_timeout(600)


# ----------------------------------------------------------------------------------------------------


def main() -> None:
    """Seed, serve, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed-only", action="store_true")
    wanted = parser.parse_args()
    if wanted.seed_only:
        with installation(print), unit_of_work() as db:
            print(*seed(db, wanted.steps, wanted.runs))
        return
    print(machine.describe())
    print(
        f"python -m bench.curves --steps {wanted.steps} --runs {wanted.runs} --repeats {wanted.repeats}"
    )
    with tempfile.TemporaryDirectory(prefix="morelli-bench-") as folder:
        os.environ |= {"MORELLI_HOME": folder, "MORELLI_PORT": str(free_port())}
        settings.cache_clear()
        Path(folder).chmod(0o700)
        link = ""

        def prepare() -> str:
            nonlocal link
            began = time.monotonic()
            with unit_of_work() as db:
                seed(db, wanted.steps, wanted.runs)
                link = create_first_lead_link(db)
            settle()
            print(
                f"seeded {wanted.runs} runs of {wanted.steps} steps in {time.monotonic() - began:.0f} s"
            )
            return ""

        quiet: list[str] = []
        with everything(quiet.append, with_web=True, with_worker=False, prepare=prepare):
            _measure_all(wanted, link)


def _measure_all(wanted: Any, link: str) -> None:
    with unit_of_work() as db:
        ids = list(db.scalars(select(Run.id).where(Run.kind == "cpo_s").order_by(Run.id)))
    address = f"http://127.0.0.1:{settings().port}"
    with httpx2.Client(base_url=address, follow_redirects=True, timeout=60) as client:
        client.post(f"/welcome/{link}", headers={"Sec-Fetch-Site": "same-origin"})
        measure_api(client, ids[0], wanted.steps, wanted.repeats)
        cookies = [
            {"name": each.name, "value": each.value or "", "url": address}
            for each in client.cookies.jar
        ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 720})
        context.add_cookies(cookies)  # type: ignore[arg-type]
        page = context.new_page()
        print(f"Chromium {browser.version}, 1280x720, without GPU")
        root = f"/projects/{SLUG}/runs/{ids[0]}"
        measure_frames(page, root, f"one run of {wanted.steps} steps")
        if len(ids) > 1:
            others = ",".join(str(each) for each in ids[1:])
            measure_frames(page, f"{root}?compare={others}", f"{len(ids)} runs overlaid")
        browser.close()


if __name__ == "__main__":
    main()
