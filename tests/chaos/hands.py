"""A person at a browser who labels by keyboard while tabs are killed, and the log of what they saw happen."""

import random
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, Error, Page, sync_playwright

from tests.browser.install_chromium import find_chromium

KEYS = {"y": "confirmed", "n": "rejected", "i": "unsure"}
OPENS_SECONDS = 90
LOGGED = "({ id, state }) => document.getElementById(id)?.dataset.state === state"
HERE = """() => { const row = document.querySelector("li.label[data-here]"); return row && [row.id, row.dataset.state]; }"""


@dataclass
class Hands:
    """Two hands on one image. `log` has what each label was set to, in the order in which the page showed it."""

    address: str
    cookie: tuple[str, str]
    image_id: int
    rng: random.Random
    over: threading.Event
    kills_every: int
    log: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: int = 0
    killed: int = 0

    def work(self) -> None:
        """Press keys until it is over; then see that nothing waits any more."""
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
            )
            context = browser.new_context()
            name, value = self.cookie
            context.add_cookies([{"name": name, "value": value, "url": self.address}])
            page = self._open(context)
            while not self.over.is_set():
                self._press(page)
                if self.rng.random() < 1 / self.kills_every:
                    self._kill(page)
                    page = self._open(context)
            self._kill(page)
            self._see_all_saved(context)
            browser.close()

    def _open(self, context: BrowserContext) -> Page:
        """The page of the image in a new tab, however long the house is away."""
        ends = time.monotonic() + OPENS_SECONDS
        while True:
            with suppress(Error):
                page = context.new_page()
                page.goto(f"{self.address}/projects/paintings/images/{self.image_id}")
                page.wait_for_selector("li.label[data-here]", timeout=5000)
                return page
            assert time.monotonic() < ends, "the page could not be opened"
            # Half-open ones would be tabs that live, too.
            for each in context.pages:
                with suppress(Error):
                    each.close(run_before_unload=False)
            time.sleep(0.2)

    def _press(self, page: Page) -> None:
        """One step and one key that changes the label there, noted once the page shows it."""
        time.sleep(self.rng.random() * 0.2)
        page.keyboard.press(self.rng.choice(("ArrowDown", "ArrowUp", "ArrowDown")))
        row, state = page.evaluate(HERE)
        key = self.rng.choice([each for each, name in KEYS.items() if name != state])
        page.keyboard.press(key)
        page.wait_for_function(LOGGED, arg={"id": row, "state": KEYS[key]})
        self.log[row].append(KEYS[key])
        self.acknowledged += 1

    def _kill(self, page: Page) -> None:
        """The tab's process ends at once, with whatever it was about to do."""
        with suppress(Error):
            page.goto("chrome://crash")
        page.close(run_before_unload=False)
        self.killed += 1

    def _see_all_saved(self, context: BrowserContext) -> None:
        page = self._open(context)
        page.wait_for_function(
            """() => !Object.keys(localStorage).some((name) => name.startsWith("morelli-unsent/"))""",
            timeout=OPENS_SECONDS * 1000,
        )
