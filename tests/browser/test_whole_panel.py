"""A whole audit and a whole study by scripted hands on the real pages, while the web server is killed now and then: every
answer that a hand gave is there once, as in its own log, and the results are those of the logs.

A small panel. `MORELLI_TEST_PANEL=whole` has that of a journal: ten people, an audit of 100 images, and a study of 150
prompts in two groups by seven dimensions, in which each pair is judged by two people.
"""

import csv
import io
import os
import random
import signal
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Error, Page, expect

from method.painter.painting import paint
from tests.browser.holding import wait_until
from tests.browser.house import House, morelli_up
from tests.browser.test_comparing import MODELS
from tests.browser.test_every_page import SLUG, Api, found_project
from tests.browser.test_judging import press_on
from tests.browser.watching import Window, check_faultless, open_window
from tests.chaos.processes import children_of, family_of, words_of

WHOLE = os.environ.get("MORELLI_TEST_PANEL") == "whole"
NUM_IMAGES, NUM_JUDGES = (100, 10) if WHOLE else (4, 2)
NUM_PROMPTS, NUM_EACH, NUM_PANEL = (150, 30, 10) if WHOLE else (2, 1, 4)
JUDGES = 2
KILLS_EVERY = 100 if WHOLE else 4
"""The web server is killed at every so manieth page."""
SIDE = 96

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(7200 if WHOLE else 900),
]

KEYS = {
    "audit": {"1": "appears", "2": "does_not_appear", "3": "cannot_tell"},
    "study": {"1": "left", "2": "tie", "3": "right"},
}
OPEN = """() => [...document.querySelectorAll("form[data-item]")].map(({ id, dataset }) => [id, dataset.item, dataset.answer])"""
STORED = """() => /^Stored/.test(document.getElementById("saved").textContent)"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An installation whose web server may be killed, and in which nothing else goes wrong."""
    with morelli_up(tmp_path / "home", "--no-seed") as running:
        yield running
        others = [each for each in running.faults() if "web ended with code -9" not in each]
        assert not others, "\n\n".join(others)


@pytest.fixture
def open_one(chromium: Browser, house: House, tmp_path: Path) -> Iterator[Callable[[], Window]]:
    """Opens windows that may find the house away, and note every other fault."""
    windows: list[Window] = []

    def open_it() -> Window:
        windows.append(open_window(chromium, house.address, tmp_path))
        windows[-1].expect_status("^request failed")
        return windows[-1]

    yield open_it
    check_faultless(windows)


def kill_web(house: House) -> None:
    """Kill -9 the web server with whatever it is about to answer; it is started again by itself."""
    (web,) = (each for each in children_of(house.pid) if "app.serving" in words_of(each))
    for each in family_of(web):
        with suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)


@dataclass
class Hand:
    """A person who takes part, with an opinion of each question, and the log of what they answered."""

    room: str
    number: int
    token: str
    window: Window
    log: dict[str, str] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    is_done: bool = False

    @property
    def page(self) -> Page:
        return self.window.page

    def think(self, item: str) -> str:
        """The key that says it. Most say the first; who they are and what is asked decides."""
        chance = random.Random(f"{self.room} {self.number} {item}").random()
        return "1" if chance < 0.7 else "2" if chance < 0.9 else "3"

    def come(self) -> None:
        """To the first open question, however long the house is away."""

        def is_there() -> bool:
            with suppress(Error):
                answer = self.page.goto(f"/{self.room}/{self.token}")
                return answer is not None and answer.ok
            return False

        wait_until(is_there, "the link leads somewhere")

    def begin(self) -> None:
        """Read the notice, agree, and skip what there is to practise on."""
        self.come()
        press_on(self.page, "I agree")
        self.page.wait_for_url("**/1")
        if "/practice/" in self.page.url:
            press_on(self.page, "Skip practice")
            self.page.wait_for_url("**/1")

    def answer_page(self, in_the_middle: Callable[[], None] | None) -> None:
        """Answer what is open on this page by its keys; then something may happen before the second half of it."""
        expect(self.page.locator("form.current")).to_be_focused()
        asked = [each for each in self.page.evaluate(OPEN) if not each[2]]
        for at, (form, item, _) in enumerate(asked):
            if in_the_middle and at == len(asked) // 2:
                in_the_middle()
            key = self.think(item)
            self.page.locator(f"#{form}").focus()
            self.page.keyboard.press(key)
            self.log[item] = KEYS[self.room][key]
        if asked:
            self.page.wait_for_function(STORED, timeout=120_000)
        self.stored = dict(self.log)

    def turn(self, at_the_end: Callable[[], None] | None) -> None:
        """Go on by Enter; where the house is away in that moment, come back through the link."""
        here = self.page.url.split("#")[0]
        if at_the_end:
            at_the_end()
        self.page.keyboard.press("Enter")
        with suppress(Error):
            self.page.wait_for_url(lambda url: url.split("#")[0] != here)
        # A page of the browser's own says that nobody answers.
        if not self.page.locator("header.bar .brand").count():
            self.come()
        self.is_done = self.page.url.endswith("/end")

    def finish(self) -> None:
        press_on(self.page, "Finish")
        expect(self.page.get_by_role("heading", name="Thank you")).to_be_visible()


def standing(api: Api, hand: Hand) -> dict[str, str]:
    """What the server has of a hand's answers."""
    found: dict[str, str | None] = {}
    after: int | None = 0
    while after is not None:
        address = f"/api/v1/{hand.room}/{hand.token}"
        part = "items" if hand.room == "audit" else "pairs"
        page: dict[str, Any] = api.ask("GET", f"{address}/{part}?after={after}&limit=100")
        for each in page["items"]:
            if hand.room == "audit":
                found[str(each["id"])] = each["answer"]
            else:
                found |= {
                    f"{each['place']}/{one['key']}": one["answer"] for one in each["questions"]
                }
        after = page["next"]
    return {item: answer for item, answer in found.items() if answer is not None}


def take_part(api: Api, house: House, hands: list[Hand]) -> None:
    """Everyone in turn, a page at a time, until all are done; the server is killed in the middle of pages and between them."""
    began, pages, kills = time.monotonic(), 0, 0
    for hand in hands:
        hand.begin()

    def kill() -> None:
        nonlocal kills
        kills += 1
        kill_web(house)

    while any(not hand.is_done for hand in hands):
        for hand in hands:
            if hand.is_done:
                continue
            pages += 1
            is_killed = pages % KILLS_EVERY == KILLS_EVERY - 1
            in_the_middle, at_the_end = (kill, None) if kills % 2 == 0 else (None, kill)
            hand.answer_page(in_the_middle if is_killed else None)
            hand.turn(at_the_end if is_killed else None)
            if is_killed:
                # All that anybody was told is stored is there at once, not only in the end.
                wait_until(lambda: is_up(api, hands[0]), "the house is back")
                for each in hands:
                    assert each.stored.items() <= standing(api, each).items()
                tell(hands, pages, kills, began)
    tell(hands, pages, kills, began)
    assert kills >= 2
    for hand in hands:
        assert standing(api, hand) == hand.log
        hand.finish()


def tell(hands: list[Hand], pages: int, kills: int, began: float) -> None:
    answers = sum(len(each.log) for each in hands)
    print(
        f"{hands[0].room}: {len(hands)} hands, {pages} pages, {answers} answers, {kills} times killed, "
        f"{time.monotonic() - began:.0f} s",
        flush=True,
    )


def is_up(api: Api, hand: Hand) -> bool:
    with suppress(Error, AssertionError):
        return bool(api.ask("GET", f"/api/v1/{hand.room}/{hand.token}"))
    return False


def invite(
    api: Api, room: str, about: int, count: int, open_one: Callable[[], Window]
) -> list[Hand]:
    """So many people who have their link and have not come yet."""
    rooms = "audits" if room == "audit" else "studies"
    made = api.ask("POST", f"{rooms}/{about}/participants", data={"count": count})["items"]
    tokens = [each["link"].rsplit("/", 1)[1] for each in made]
    return [Hand(room, number, token, open_one()) for number, token in enumerate(tokens, start=1)]


def test_a_whole_audit(house: House, open_one: Callable[[], Window]) -> None:
    lead = open_one()
    api = found_project(lead, house)
    files = {"name": "all.zip", "mimeType": "application/zip", "buffer": paintings()}
    api.finish(api.ask("POST", "images/imports", multipart={"files": files})["job_id"])
    api.finish(api.ask("POST", "agent-runs", data={"agent": "measured"})["job_id"])
    design = {"name": "Whole", "sample_size": NUM_IMAGES, "decoy_percent": 10}
    audit = api.ask("POST", "audits", data=design)
    hands = invite(api, "audit", audit["id"], NUM_JUDGES, open_one)
    take_part(api, house, hands)

    everything = api.ask("GET", f"audits/{audit['id']}/results")
    appears, absent = everything["overall"]["appears"], everything["overall"]["does_not_appear"]
    assert everything["overall"]["accuracy"] == pytest.approx(appears / (appears + absent))
    # By the hands' own logs, of labels and decoys together; each was answered once.
    verdicts = read_csv(lead, f"audits/{audit['id']}/verdicts.csv")
    said = Counter(each["answer"] for each in verdicts)
    assert said == Counter(answer for hand in hands for answer in hand.log.values())
    assert {each["revision"] for each in verdicts} == {"1"}
    assert len({each["participant"] for each in verdicts}) == NUM_JUDGES


def test_a_whole_study(house: House, open_one: Callable[[], Window]) -> None:
    lead = open_one()
    api = found_project(lead, house)
    design = {"prompts": NUM_PROMPTS, "judges": JUDGES, "prompts_each": NUM_EACH}
    study = api.ask("POST", "studies", data={"name": "Whole", **design})
    files = {"name": "a.zip", "mimeType": "application/zip", "buffer": compared()}
    sent = api.ask("POST", f"studies/{study['id']}/uploads", multipart={"files": files})
    api.finish(sent["job_id"])
    api.ask("POST", f"studies/{study['id']}/open", data={"prompts": NUM_PROMPTS})
    hands = invite(api, "study", study["id"], NUM_PANEL, open_one)
    take_part(api, house, hands)

    found = api.ask("GET", f"studies/{study['id']}/results")
    assert found["answers"] == sum(len(hand.log) for hand in hands) == JUDGES * NUM_PROMPTS * 2 * 7
    left = sum(answer == "left" for hand in hands for answer in hand.log.values())
    ties = sum(answer == "tie" for hand in hands for answer in hand.log.values())
    decided = found["answers"] - ties
    assert found["sides"]["decided"] == decided
    assert found["sides"]["share"] == pytest.approx(left / decided)
    for each in found["comparisons"]:
        assert each["overall"]["pairs"] == NUM_PROMPTS
        assert {row["answers"] for row in each["dimensions"]} == {JUDGES * NUM_PROMPTS}


def paintings() -> bytes:
    """A ZIP of painted pictures."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for seed in range(NUM_IMAGES):
            picture = BytesIO()
            paint(seed, SIDE).image.save(picture, "PNG")
            packed.writestr(f"picture-{seed}.png", picture.getvalue())
    return out.getvalue()


def compared() -> bytes:
    """A ZIP with two groups of two models, and two prompts more than are drawn."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for group, models in MODELS.items():
            for number, model in enumerate(models):
                for at in range(NUM_PROMPTS + 2):
                    picture = BytesIO()
                    shade = (40 + 150 * number, at % 200, 30 if group == "G1" else 180)
                    Image.new("RGB", (SIDE, SIDE), shade).save(picture, "PNG")
                    packed.writestr(f"{group}/{model}/{at:04d}.png", picture.getvalue())
    return out.getvalue()


def read_csv(lead: Window, path: str) -> list[dict[str, str]]:
    text = lead.context.request.get(f"/projects/{SLUG}/{path}").text()
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
