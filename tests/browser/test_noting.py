"""The panel of a node: how it is used comes after it, and notes are written beside the tree."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.house import House
from tests.browser.test_criteria_together import enter
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
]


def test_a_note_is_written_in_the_panel(house: House, open_one: Callable[[], Window]) -> None:
    lead, _ = enter(house, open_one)
    page = lead.page
    page.goto("/projects/lines/criteria?node=lost")
    expect(page.locator("table.usage")).to_contain_text("Confirmed labels")
    page.get_by_text("Write a note").click()
    page.get_by_label("Note", exact=True).fill("Does fog count?")
    page.get_by_role("button", name="Add the note").click()
    expect(page.locator("#notes .note")).to_contain_text("Does fog count?")
    # The line has its mark, stays the chosen one, and the form is empty again.
    row = page.locator(".node", has=page.locator('a.names[data-key="lost"]'))
    expect(row.locator(".open-notes")).to_contain_text("1")
    expect(row.locator("a.names")).to_have_attribute("aria-current", "true")
    expect(page.get_by_label("Note", exact=True)).to_have_value("")
    lead.window.look("note-in-panel")
    page.locator("#notes .note").get_by_role("link", name="Answer").click()
    page.get_by_label("Answer").fill("Only in front.")
    page.get_by_role("button", name="Add the answer").click()
    expect(page.locator(".notes li")).to_have_count(2)
    page.get_by_role("button", name="Mark as settled").click()
    expect(page.get_by_role("button", name="Reopen")).to_be_visible()
    page.goto("/projects/lines/criteria")
    expect(page.locator(".open-notes")).to_have_count(0)


def test_a_name_is_completed_by_keys_and_reaches_its_owner(
    house: House, open_one: Callable[[], Window]
) -> None:
    lead, expert = enter(house, open_one)
    page = lead.page
    page.goto("/projects/lines/criteria/nodes/lost/notes")
    box = page.get_by_label("Write a note")
    box.focus()
    name = "Ada"
    page.keyboard.type(f"@{name[:2]}")
    options = page.get_by_role("option")
    expect(options.first).to_have_text(name)
    expect(options.first).to_have_attribute("aria-selected", "true")
    lead.window.look("name-offered")
    page.keyboard.press("Escape")
    expect(options.first).to_be_hidden()
    page.keyboard.type(name[2:3])
    expect(options.first).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.type("is it?")
    expect(box).to_have_value(f"@{name} is it?")
    page.get_by_role("button", name="Add the note").click()
    expert.page.goto("/projects/lines")
    expert.page.get_by_role("link", name="Mentions, 1 unread").click()
    expect(expert.page.locator("table.data")).to_contain_text(f"@{name} is it?")
    expert.window.look("mentions")
    expert.page.get_by_role("button", name="Open the note").click()
    expect(expert.page.get_by_role("link", name="Mentions", exact=True)).to_be_visible()
