"""The logic of the scripts: the files of tests/scripts, in Chromium, and with node itself where there is one."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

from tests.browser.watching import check_faultless, open_window

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/scripts/*.test.js"))
HOST = "http://scripts.test"
# What the files import of node is these, where they run in a browser.
STAND_INS = {
    "node:test": f"{HOST}/tests/scripts/stand_ins/test.js",
    "node:assert/strict": f"{HOST}/tests/scripts/stand_ins/assert.js",
}
PAGE = f'<!doctype html><script type="importmap">{json.dumps({"imports": STAND_INS})}</script>'
RUN = """async (files) => {
  const { run } = await import("node:test");
  const told = {};
  for (const file of files) {
    await import(file);
    told[file] = await run();
  }
  return told;
}"""
# Older ones take a .js file for no module.
OLDEST_NODE = (20, 19)


def serve(route: Route) -> None:
    path = ROOT / route.request.url.removeprefix(f"{HOST}/")
    if path == ROOT:
        route.fulfill(body=PAGE, content_type="text/html")
    else:
        kind = "application/json" if path.suffix == ".json" else "text/javascript"
        route.fulfill(body=path.read_text(encoding="utf-8"), content_type=kind)


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_logic_in_chromium(chromium: Browser, tmp_path: Path) -> None:
    window = open_window(chromium, HOST, tmp_path)
    window.page.route("**/*", serve)
    window.page.goto("/")
    told = window.page.evaluate(RUN, [f"/{name}" for name in FILES])
    assert FILES
    assert all(told.values())
    failed = [
        f"{file}: {each['name']}: {each['error']}"
        for file, tests in told.items()
        for each in tests
        if each["error"]
    ]
    assert not failed, "\n".join(failed)
    check_faultless([window])


def test_logic_with_node() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("There is no node here; the same tests ran in Chromium.")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(each) for each in told.strip().lstrip("v").split(".")[:2])
    if version < OLDEST_NODE:
        pytest.skip(f"node {told.strip()} is too old; the same tests ran in Chromium.")
    done = subprocess.run(
        [node, "--test", *FILES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
