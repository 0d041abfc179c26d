"""Criteria of more nodes than a page holds: what lies below closed branches comes when it is asked for."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from app.versions.tree_rows import MAX_WHOLE
from bench.criteria import wide_tree
from taxonomy.formats.yaml import write_yaml
from tests.browser.house import House
from tests.browser.test_criteria_together import Expert, enter
from tests.browser.watching import Window

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(600)]

TREE = wide_tree(MAX_WHOLE + 400)
KEYS = [entry.node.key for entry in TREE.walk()]
PART, LOOK = (entry.node.key for entry in list(TREE.walk())[1:3])
PAIR = TREE.dimension(LOOK).pairs[3].key


def num_lines(expert: Expert) -> int:
    return int(expert.page.locator("#tree a.names").count())


def test_closed_branches_come_when_they_are_asked_for(
    house: House, open_one: Callable[[], Window]
) -> None:
    lead, ada = enter(house, open_one, write_yaml(TREE))
    page = lead.page
    expect(page.locator("#fold")).to_be_visible()
    assert num_lines(lead) < 100

    # By keyboard: open, go in, open, go in; the panel follows.
    lead.line(PART).focus()
    for key in (LOOK, TREE.dimension(LOOK).pairs[0].key):
        page.keyboard.press("ArrowRight")
        expect(lead.line(key)).to_be_visible()
        page.keyboard.press("ArrowRight")
        expect(lead.line(key)).to_be_focused()
    expect(page.locator("#panel")).to_contain_text(TREE.dimension(LOOK).pairs[0].positive.name)
    lead.window.look("wide")

    # What is open stays open when the page comes anew, and when somebody else changes the tree.
    page.reload()
    expect(lead.line(PAIR)).to_be_visible()
    ada.send("POST", "/criteria/nodes", kind="dimension", name="Came later")
    expect(page.locator("#tree")).to_contain_text("Came later")
    expect(lead.line(PAIR)).to_be_visible()
    assert num_lines(lead) < 200

    # A filter shows what it found in branches that were closed; without it they are closed again.
    last = TREE.pair(KEYS[-1]).positive.name
    page.locator("#filter").fill(last)
    expect(lead.line(KEYS[-1])).to_be_visible()
    assert num_lines(lead) < 300
    page.locator("#filter").fill("seen well")
    expect(page.locator("#filter-count")).to_have_text(f"{len(TREE.pairs())} found")
    expect(lead.line(KEYS[-1])).to_be_visible()
    page.locator("#filter").press("Escape")
    expect(lead.line(KEYS[-1])).to_be_hidden()
    expect(lead.line(PAIR)).to_be_visible()

    # Everything unfolds and folds.
    expect(ada.line(KEYS[-1])).to_have_count(0)
    ada.page.keyboard.press("f")
    expect(ada.line(KEYS[-1])).to_be_visible()
    assert num_lines(ada) == len(KEYS) + 1
    ada.page.keyboard.press("f")
    expect(ada.line(KEYS[-1])).to_be_hidden()


def test_a_line_moves_into_a_branch_that_was_not_there_yet(
    house: House, open_one: Callable[[], Window]
) -> None:
    lead, _ = enter(house, open_one, write_yaml(TREE))
    root = TREE.dimensions[0]
    first, second = (each.key for each in root.dimensions[:2])
    lead.line(second).focus()
    lead.page.keyboard.press("Alt+Shift+ArrowRight")
    expect(lead.page.locator("#arrived")).to_contain_text("7 of 7 in “Part r0-0”")
    expect(lead.line(second)).to_be_focused()
    expect(lead.line(root.dimensions[0].dimensions[0].key)).to_be_visible()
    # What came with the page stands there once, and is open where the page comes anew without script.
    expect(lead.line(second)).to_have_count(1)
    lead.page.goto(f"/projects/lines/criteria?node={first}")
    expect(lead.line(second)).to_be_visible()
