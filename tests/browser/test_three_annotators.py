"""Three people correct the labels of a collection by keyboard, read each other's images a second time, blind,
and settle where two differ.

Painted pictures, a dozen; `MORELLI_TEST_PAINTINGS=FOLDER` takes the first sixty real ones of a folder instead.
"""

import os
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import expect

from method.painter.painting import paint
from tests.browser.house import House
from tests.browser.test_every_page import SLUG, Api, found_project
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(1800),
]

NUM_PAINTED, NUM_REAL = 12, 60
PASSWORD = "a long word for each"
ROWS = """() => [...document.querySelectorAll("#labels li.label")].map((row) => [row.dataset.key, row.dataset.polarity])"""
AT_END = "Saved. Nothing else waits"


@dataclass
class Hand:
    """A person at a browser, with an opinion of each attribute of each image."""

    name: str
    window: Window
    done: list[int]
    read: list[int]
    settled: list[int]

    def thinks(self, image: str, key: str, polarity: str) -> str:
        """The key that says it: people agree on four labels of five."""
        shared = random.Random(f"{image} {key} {polarity}").random()
        own = random.Random(f"{self.name} {image} {key} {polarity}").random()
        return "n" if shared < 0.2 or own < 0.1 else "y"

    def answer(self) -> str:
        """Decide each label of the image in view, mark it as done; returns the last part of its address."""
        page = self.window.page
        expect(page.locator("#labelling.scripted, .labelling.scripted").first).to_be_visible()
        here = page.url.split("?")[0].rsplit("/", 1)[1]
        for key, polarity in page.evaluate(ROWS):
            page.locator(f"#label-{key}-{polarity}").focus()
            page.keyboard.press(self.thinks(here, key, polarity))
        page.keyboard.press("d")
        return here

    def go_on(self, first: str) -> Iterator[str]:
        """From one image to the next, as the page leads, until it says that none is left."""
        page = self.window.page
        page.goto(first)
        while page.locator("#labels").count():
            here = self.answer()
            yield here
            page.wait_for_function(
                "([here, end]) => !location.pathname.endsWith(`/${here}`)"
                " || document.querySelector('#saving').textContent.startsWith(end)",
                arg=[here, AT_END],
            )
            if page.url.split("?")[0].endswith(f"/{here}"):
                expect(page.locator("#saving")).to_contain_text(AT_END)
                return


def collection() -> bytes:
    """A ZIP of pictures."""
    body = BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        if folder := os.environ.get("MORELLI_TEST_PAINTINGS"):
            files = sorted(each for each in Path(folder).rglob("*.jpg"))[:NUM_REAL]
            assert len(files) == NUM_REAL
            for each in files:
                archive.write(each, each.name)
        else:
            for seed in range(NUM_PAINTED):
                out = BytesIO()
                paint(seed, 128).image.save(out, "PNG")
                archive.writestr(f"picture-{seed}.png", out.getvalue())
    return body.getvalue()


def begin(lead: Window, house: House) -> Api:
    """A project with pictures, and what the measured agent says of them."""
    api = found_project(lead, house)
    files = {"name": "all.zip", "mimeType": "application/zip", "buffer": collection()}
    api.finish(api.ask("POST", "images/imports", multipart={"files": files})["job_id"])
    api.finish(api.ask("POST", "agent-runs", data={"agent": "measured"})["job_id"])
    return api


def join(api: Api, window: Window, name: str) -> Hand:
    """Somebody who was invited as an expert: they settle, too."""
    page = window.page
    page.goto(api.ask("POST", "invitations", data={"role": "expert"})["link"])
    page.get_by_label("Your name").fill(name)
    page.get_by_label("E-mail address").fill(f"{name.lower()}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make an account and join").click()
    expect(page.get_by_role("heading", name="Still life")).to_be_visible()
    return Hand(name, window, [], [], [])


def correct_together(hands: list[Hand]) -> None:
    """Each takes the next image in turn, until none is left; nobody gets what another is at."""
    working = [(hand, hand.go_on(f"/projects/{SLUG}/next-image")) for hand in hands]
    while working:
        for hand, images in list(working):
            if (image := next(images, None)) is None:
                working.remove((hand, images))
            else:
                hand.done.append(int(image))


def test_three_annotators_read_twice_and_settle(
    house: House, open_one: Callable[[], Window]
) -> None:
    lead = open_one()
    api = begin(lead, house)
    hands = [join(api, open_one(), name) for name in ("Ada", "Bea", "Cleo")]
    correct_together(hands)
    everything = sorted(each["id"] for each in api.ask("GET", "images?limit=200")["items"])
    assert sorted(image for hand in hands for image in hand.done) == everything
    assert all(hand.done for hand in hands)

    lead.page.goto(f"/projects/{SLUG}/readings")
    lead.page.get_by_label("Share in %").fill("50")
    lead.page.get_by_role("button", name="Ask").click()
    expect(lead.page.get_by_role("heading", name="Second reading 1")).to_be_visible()
    for hand in hands:
        hand.read = [
            int(each.removeprefix("read-"))
            for each in hand.go_on(f"/projects/{SLUG}/readings/next")
        ]
    asked = len(everything) // 2
    assert len({read for hand in hands for read in hand.read}) == asked
    assert sum(len(hand.read) for hand in hands) == asked

    for hand in hands:
        hand.settled = [
            int(each.removeprefix("settle-"))
            for each in hand.go_on(f"/projects/{SLUG}/readings/settle")
        ]
    settled = [read for hand in hands for read in hand.settled]
    assert len(set(settled)) == len(settled) > 0
    found = api.ask("GET", "readings/1/agreement")
    stand = api.ask("GET", "readings/1")
    print(len(everything), "images,", asked, "read twice,", len(settled), "settled;", stand, found)
    lead.page.reload()
    lead.look("second-reading")
    expect(lead.page.get_by_text(f"{asked} of {asked} images are read")).to_be_visible()
    for hand in hands:
        assert not set(hand.settled) & set(hand.read)
        hand.window.page.goto(f"/projects/{SLUG}/readings")
        expect(hand.window.page.get_by_text("Nothing waits for you")).to_be_visible()
