"""The next image under an annotator's hands, and a picture of 100 megapixels, in Chromium on an installation of its own.

python -m bench.next_image [--paintings FOLDER] [--images 30] [--pause 1.0] [--megapixels 100]
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from PIL import Image as Pillow
from playwright.sync_api import BrowserContext, Page, sync_playwright
from sqlalchemy import func, select

from app.database import unit_of_work
from app.demo.seeding import SLUG
from app.images.importing import import_path
from app.images.models import Image
from app.jobs.models import Job
from bench import machine
from bench.demo_house import House, cookies_of, demo_house
from tests.browser.install_chromium import find_chromium
from worker import ledger
from worker.tasks import HANDLERS

# Notes when each picture was painted (element timing), and when each key was pressed: milliseconds of one clock.
WATCH = """
window.painted = []; window.pressed = [];
const mark = () => document.getElementById("painting")?.setAttribute("elementtiming", "painting");
document.addEventListener("DOMContentLoaded", mark);
new MutationObserver(mark).observe(document, { childList: true, subtree: true });
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) window.painted.push([each.url, each.renderTime || each.loadTime]);
}).observe({ type: "element", buffered: true });
addEventListener("keydown", (event) => window.pressed.push(event.timeStamp), true);
localStorage.setItem("morelli-ask-undecided", "off");
"""
LOADED = """() => performance.getEntriesByType("resource")
  .filter(({ name }) => /\\.(js|css)$/.test(new URL(name).pathname))
  .map(({ name, decodedBodySize, transferSize }) => [name, decodedBodySize, transferSize])"""
VIEWER = ("zoom.css", "zoom.js", "scales.js", "views.js", "guides.js", "openseadragon-6.1.1.min.js")
# While the picture is enlarged: how often some of it was not painted at all, and when it was painted sharp.
# What the page's policy lets wait: playwright's own waiting evaluates text.
PAINTED = """(more) => new Promise((done) => {
  const look = () => (window.painted.length > more ? done() : setTimeout(look, 5));
  look();
})"""
BLANKS = """() => {
  const watch = (window.watch = { frames: 0, blank: 0, began: performance.now(), tiles: 0, last: 0 });
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) if (each.name.includes("/tiles/")) { watch.tiles += 1; watch.last = each.responseEnd; }
  }).observe({ type: "resource" });
  const look = () => {
    const stage = document.getElementById("stage");
    const canvas = stage.querySelector(".deep canvas");
    if (stage.classList.contains("full") && canvas) {
      const context = canvas.getContext("2d");
      watch.frames += 1;
      for (let at = 1; at < 8; at += 1) {
        const [x, y] = [(canvas.width * at) / 8, canvas.height / 2];
        if (!context.getImageData(x, y, 1, 1).data[3]) { watch.blank += 1; break; }
      }
    }
    requestAnimationFrame(look);
  };
  look();
}"""


def propose_labels() -> None:
    """Do the agent run that the first start asks for, in this process."""
    with unit_of_work() as db:
        job = db.scalars(select(Job.id).where(Job.kind == "agent_run")).one()
    ledger.run(job, HANDLERS)


def write_large(path: Path, megapixels: int) -> tuple[int, int]:
    """A picture of so many megapixels, with detail everywhere, as a scanner's JPEG."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = width * 3 // 4
    random = np.random.default_rng(1)
    coarse = Pillow.fromarray(random.integers(0, 255, (60, 80, 3), dtype=np.uint8))
    picture = np.asarray(coarse.resize((width, height), Pillow.Resampling.BICUBIC)).copy()
    grain = random.integers(0, 24, (1024, 1024, 3), dtype=np.uint8)
    for top in range(0, height, 1024):
        for left in range(0, width, 1024):
            part = picture[top : top + 1024, left : left + 1024]
            part //= 2
            part += grain[: part.shape[0], : part.shape[1]]
    Pillow.fromarray(picture).save(path, quality=90)
    return width, height


def row(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    print(f"{name:52} {statistics.median(times):7.1f} {p95:7.1f} {ordered[-1]:7.1f}", flush=True)


def leaf(page: Page, address: str, images: int, pause: float) -> tuple[list[float], list[float]]:
    """Finish so many images one after another: milliseconds from the key to the next picture and to its labels."""
    page.goto(address, wait_until="networkidle")
    pictures, sheets = [], []
    for _ in range(images):
        page.wait_for_timeout(pause * 1000)
        before = page.evaluate("[pressed.length, painted.length]")
        if not page.locator("#labelling[data-undone]").count():
            break
        page.evaluate(
            """() => { const old = document.getElementById("labelling");
            window.sheet = new Promise((done) => new MutationObserver((_, own) => {
              if (document.contains(old)) return;
              own.disconnect();
              requestAnimationFrame(() => setTimeout(() => done(performance.now())));
            }).observe(document.body, { childList: true, subtree: true })); }"""
        )
        page.keyboard.press("d")
        shown = page.evaluate("() => window.sheet")
        page.evaluate(PAINTED, before[1])
        at = page.evaluate(f"pressed[{before[0]}]")
        pictures.append(page.evaluate(f"painted[{before[1]}][1]") - at)
        sheets.append(shown - at)
    return pictures, sheets


def measure_next(context: BrowserContext, house: House, images: int, pause: float) -> None:
    page = context.new_page()
    with unit_of_work() as db:
        first = db.scalar(select(func.min(Image.id)))
    root = f"http://127.0.0.1:{house.port}/projects/{SLUG}/images"
    page.goto(f"{root}/{first}", wait_until="networkidle")
    page.wait_for_timeout(1500)
    loaded: list[list[Any]] = page.evaluate(LOADED)
    own = [each for each in loaded if not each[0].endswith(VIEWER)]
    viewer = [each for each in loaded if each[0].endswith(VIEWER)]
    for name, some in (("script and style without the viewer", own), ("the viewer", viewer)):
        size, sent = (sum(each[at] for each in some) / 1000 for at in (1, 2))
        print(f"{name:52} {size:7.0f} kB, {sent:.0f} kB sent")
    pictures, sheets = leaf(page, f"{root}/{first}", images, pause)
    print(f"\n{len(pictures)} images, {pause} s looked at each; ms: median, 95th percentile, most")
    row("from the key to the next picture painted", pictures)
    row("from the key to the labels painted", sheets)
    page.close()


def measure_large(context: BrowserContext, house: House, megapixels: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.jpg"
        width, height = write_large(path, megapixels)
        size = path.stat().st_size
        began = time.perf_counter()
        import_path(SLUG, str(path))
        took = time.perf_counter() - began
    print(f"\n{width} x {height} pixels, {size / 1e6:.0f} MB: imported in {took:.1f} s")
    for kind in ("display", "tiles"):
        lying = sum(
            each.stat().st_size
            for each in (house.folder / "home/images" / kind).rglob("*")
            if each.is_file()
        )
        print(f"all of {kind}: {lying / 1e6:.1f} MB")
    with unit_of_work() as db:
        number = db.scalar(select(func.max(Image.id)))
    page = context.new_page()
    opened = []
    for _ in range(5):
        page.goto(
            f"http://127.0.0.1:{house.port}/projects/{SLUG}/images/{number}", wait_until="load"
        )
        page.evaluate(PAINTED, 0)
        opened.append(page.evaluate("painted[0][1]"))
    row("opened: from the address to the picture painted", opened)
    page.wait_for_timeout(1500)
    page.evaluate(BLANKS)
    page.mouse.move(400, 400)
    for _ in range(12):
        page.mouse.wheel(0, -150)
        page.wait_for_timeout(80)
    for _ in range(6):
        page.keyboard.press("Shift+ArrowRight")
        page.wait_for_timeout(150)
    page.wait_for_load_state("networkidle")
    seen = page.evaluate("watch")
    scale = page.locator("#zoom-scale").inner_text()
    print(
        f"enlarged by the wheel to {scale} and moved six times: {seen['frames']} frames, {seen['blank']} with"
        f" something unpainted; {seen['tiles']} tiles, the last after {seen['last'] - seen['began']:.0f} ms"
    )
    page.screenshot(path="/tmp/next_image_large.png")
    page.close()


def measure_tiles(house: House, cookie: str) -> None:
    """One tile over HTTP, from a warm connection."""
    with unit_of_work() as db:
        number = db.scalar(select(func.max(Image.id)))
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{house.port}", headers={"Cookie": cookie}
    ) as http:
        found = http.get(f"/api/v1/projects/{SLUG}/images/{number}/tiles").json()
        took = []
        for at in range(40):
            address = found["address"].format(
                level=found["levels"][-1]["level"], column=at % 8, row=at // 8
            )
            began = time.perf_counter()
            http.get(address).raise_for_status()
            took.append((time.perf_counter() - began) * 1000)
    row("one tile over HTTP", took)


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paintings", type=Path, help="a folder of pictures to import besides")
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument(
        "--pause", type=float, default=1.0, help="seconds that each image is looked at"
    )
    parser.add_argument("--megapixels", type=int, default=100)
    asked = parser.parse_args()
    found = find_chromium()
    if found is None:
        raise SystemExit("Chromium is not there.")
    print(machine.describe(), f"load {os.getloadavg()[0]:.1f}")
    with demo_house() as house:
        (cookie,) = cookies_of(1)
        if asked.paintings:
            import_path(SLUG, str(asked.paintings))
        propose_labels()
        name, _, value = cookie.partition("=")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox", "--disable-gpu"]
            )
            context = browser.new_context(viewport={"width": 1280, "height": 720})
            context.add_cookies(
                [{"name": name, "value": value, "domain": "127.0.0.1", "path": "/"}]
            )
            context.add_init_script(WATCH)
            measure_next(context, house, asked.images, asked.pause)
            measure_large(context, house, asked.megapixels)
            browser.close()
        measure_tiles(house, cookie)


if __name__ == "__main__":
    main()
