"""Merging and splitting in Chromium, by keyboard and by mouse, up to what it does to labels and back."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.house import House
from tests.browser.test_every_page import SLUG, Api, found_project, import_paintings
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
]
CRITERIA = f"/projects/{SLUG}/criteria"


def two_labelled(api: Api) -> tuple[str, str, int]:
    """Two pairs, and an image that has a label of the first."""
    import_paintings(api)
    run = api.ask("POST", "agent-runs", data={"agent": "measured"})
    api.finish(run["job_id"])
    nodes = api.ask("GET", "criteria")["nodes"]
    pairs = [node["key"] for node in nodes if node["kind"] == "pair" and node["labels"]]
    images = api.ask("GET", f"criteria/nodes/{pairs[0]}/images")["items"]
    return pairs[0], pairs[1], int(images[0]["id"])


def labels_of(api: Api, image_id: int) -> set[str]:
    return {each["key"] for each in api.ask("GET", f"images/{image_id}/labels")["labels"]}


def merge_by_keyboard(page: Page, first: str, second: str) -> None:
    page.goto(f"{CRITERIA}?node={first}")
    page.locator("a.names[aria-current]").focus()
    page.keyboard.press("m")
    expect(page.get_by_label("With this pair")).to_be_focused()
    page.keyboard.type(second)
    page.keyboard.press("Enter")
    expect(page.locator("#panel input[name=into]")).to_have_value(second)
    page.get_by_role("button", name="Merge", exact=True).press("Enter")
    page.wait_for_url(f"**{CRITERIA}?node={second}")


def split_by_mouse(page: Page, key: str) -> None:
    page.goto(f"{CRITERIA}?node={key}")
    page.get_by_role("link", name="Split…").click()
    for number, word in enumerate(("Former", "Latter")):
        part = page.get_by_role("group", name=("First", "Second")[number] + " new pair")
        part.get_by_label("+ Positive name").fill(f"{word} strength")
        part.get_by_label("+ Positive definition").fill("It is seen.")
        part.get_by_label("− Negative name").fill(f"{word} weakness")
        part.get_by_label("− Negative definition").fill("It is seen too.")
    page.get_by_role("button", name="Split", exact=True).click()
    page.wait_for_url(f"**{CRITERIA}?node=former-strength")


def publish(page: Page, number: int) -> None:
    page.goto(f"{CRITERIA}/publish")
    page.get_by_role("button", name=f"Publish version {number}").click()
    page.wait_for_url(f"**{CRITERIA}/versions/{number}")


def test_merging_and_splitting_by_hand(house: House, open_one: Callable[[], Window]) -> None:
    window = open_one()
    page = window.page
    api = found_project(window, house)
    first, second, image_id = two_labelled(api)
    before = labels_of(api, image_id)
    merge_by_keyboard(page, first, second)
    page.goto(f"{CRITERIA}?node={first}")
    page.wait_for_url(f"**{CRITERIA}?node={second}")
    split_by_mouse(page, second)
    page.goto(f"{CRITERIA}/publish")
    expect(page.get_by_role("heading", name="Labels that move")).to_be_visible()
    window.look("publication")
    publish(page, 2)
    assert {"former-strength", "latter-strength"} <= labels_of(api, image_id)
    page.get_by_text("Take this version back").click()
    page.get_by_role("button", name="Take version 2 back").click()
    page.wait_for_url(f"**{CRITERIA}/versions/3")
    assert labels_of(api, image_id) == before
