"""A real Chromium, and windows in it that note every fault."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.house import House, morelli_up
from tests.browser.install_chromium import find_chromium
from tests.browser.watching import WAIT_MS, Window, check_faultless, open_window

# Playwright gives what is expected five seconds, which a busy machine may take for one request.
expect.set_options(timeout=WAIT_MS)


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """The browser. Each window in it is a context of its own.

    Not for the whole session: Playwright leaves its event loop running in this thread while it is on,
    and tests that call `asyncio.run` may share the process.
    """
    found = find_chromium()
    if found is None:
        pytest.fail("There is no Chromium: run `make browser`, or set MORELLI_CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An installation without a project."""
    with morelli_up(tmp_path / "home", "--no-seed") as running:
        yield running
        assert not running.faults(), "\n\n".join(running.faults())


@pytest.fixture
def open_one(chromium: Browser, house: House, tmp_path: Path) -> Iterator[Callable[[], Window]]:
    """Opens windows at the house. At the end of the test none of them may have noted a fault."""
    folder = tmp_path / "screenshots"
    folder.mkdir()
    windows: list[Window] = []

    def open_it() -> Window:
        windows.append(open_window(chromium, house.address, folder))
        return windows[-1]

    yield open_it
    for number, window in enumerate(windows):
        window.page.screenshot(path=folder / f"last-{number}.png")
        window.context.close()
    check_faultless(windows)
