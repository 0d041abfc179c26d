"""Many images are changed at once by keyboard alone: filter, ask, look, do, take back."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.house import House
from tests.browser.test_every_page import SLUG, find_barriers, found_project, import_paintings
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
]


def press_at(page: Page, role: str, name: str, key: str = "Enter") -> None:
    """Go to a control as Tab does, and press a key there."""
    control = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
    control.focus()
    expect(control).to_be_focused()
    page.keyboard.press(key)


def test_all_images_of_a_filter_are_changed_and_set_back(
    house: House, open_one: Callable[[], Window]
) -> None:
    window = open_one()
    api = found_project(window, house)
    import_paintings(api)
    page = window.page
    page.goto(f"/projects/{SLUG}/images")
    press_at(page, "link", "Choose some")
    expect(page.get_by_role("checkbox", name="Choose")).to_have_count(6)
    for at in range(2):
        page.get_by_role("checkbox", name="Choose").nth(at).focus()
        page.keyboard.press("Space")
    window.look("choosing")
    press_at(page, "button", "Change the chosen ones")
    expect(page.get_by_role("heading", level=1)).to_have_text("Change 2 chosen images")
    press_at(page, "radio", "Confirm an attribute", "ArrowDown")
    expect(page.get_by_role("radio", name="Add an attribute")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("clear-edges/positive")
    window.look("asking")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Add +")
    expect(page.locator("#bulk-action")).to_contain_text("Images that change")
    assert find_barriers(page) == []
    window.look("looked-at")
    press_at(page, "button", "Change 2 images")
    expect(page.get_by_role("status").first).to_contain_text("2 images changed")
    page.once("dialog", lambda dialog: dialog.accept())
    press_at(page, "button", "Take it back")
    expect(page.get_by_role("status").first).to_contain_text("2 images as before")
    window.look("taken-back")
    assert find_barriers(page) == []
