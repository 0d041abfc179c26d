"""Searching in a real browser: the criteria's filter shows what it found, and adding a label offers in the
server's order.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.house import House
from tests.browser.watching import Window

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(300)]

TREE = """format: morelli-criteria/1
name: Small
dimensions:
- key: outlines
  name: Outlines
  definition: Where one thing ends and the next begins.
  dimensions:
  - key: kinds
    name: Kinds of edge
    definition: How it looks.
    pairs:
    - key: lost
      relation: opposed
      positive: {name: Lost and found, definition: An edge comes and goes.}
      negative: {name: Wiry, definition: One line all round.}
    - key: clear
      relation: opposed
      positive: {name: Clear edges, definition: Seen at once.}
      negative: {name: Blur, definition: Nothing ends.}
  - key: weights
    name: Weight
    definition: How heavy a line is.
    pairs:
    - key: heavy
      relation: opposed
      positive: {name: Even weight, definition: It does not change.}
      negative: {name: Wobble, definition: It changes for no reason.}
- key: light
  name: Light
  definition: How it falls.
  pairs:
  - key: cafe
    relation: opposed
    positive: {name: Café light, definition: Lamps at night.}
    negative: {name: Edgeless gloom, definition: No lamp.}
"""

# Of the text and of its ground, 0 to 255.
LIGHTNESS = """(element) => {
  const style = getComputedStyle(element);
  return [style.color, style.backgroundColor].map((each) => Math.max(...each.match(/\\d+/g).slice(0, 3).map(Number)));
}"""


def test_what_is_found_is_seen(house: House, open_one: Callable[[], Window]) -> None:
    window = open_one()
    page = window.page
    page.goto(house.link)
    button = page.locator("main form button[type=submit]")
    if "welcome" in page.url and button.count():
        button.first.click()
    post = window.context.request.post
    same = {"Origin": house.address, "Sec-Fetch-Site": "same-origin"}
    made = {"slug": "lines", "name": "Lines", "description": ""}
    assert post("/api/v1/projects", data=made, headers=same).status == 201
    here = "/api/v1/projects/lines"
    assert post(f"{here}/criteria/import", data={"content": TREE}, headers=same).status == 201

    page.goto("/projects/lines/criteria")
    page.keyboard.press("/")
    page.keyboard.type("EDGÉ")
    expect(page.locator("#filter-count")).to_have_text("4 found")
    found = page.locator("#tree li.match > .node > a.names, #tree li.match > .line a.names")
    assert found.count() == 4
    for line in found.all():
        assert line.is_visible()
    # A definition that was found is shown; what was not found is out of the way.
    assert page.get_by_text("An edge comes and goes.").is_visible()
    assert not page.get_by_text("Even weight").is_visible()
    assert page.get_by_text("Outlines", exact=True).is_visible()
    window.look("filter")
    found.first.click()
    chosen = page.locator("#tree a.names[aria-current]")
    expect(chosen).to_be_visible()
    # What is both found and chosen can still be read.
    text, ground = chosen.evaluate(LIGHTNESS)
    assert abs(text - ground) > 128
    page.locator("#filter").focus()
    page.keyboard.press("Enter")
    expect(page.locator("a.names:focus")).to_contain_text("Kinds of edge")
    page.keyboard.press("/")
    page.locator("#filter").fill("outline")
    expect(page.locator("#filter-count")).to_have_text("1 found")
    assert not page.get_by_text("Even weight").is_visible()
    page.locator("#filter").fill("zebra")
    expect(page.locator("#nothing")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#filter-count")).to_have_text("")
    assert not page.locator("#tree .no-match, #tree .match").count()
