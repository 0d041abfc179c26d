"""What hands meet: other keyboards and input methods, requests that fail, text that is not saved yet."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from tests.browser.house import House
from tests.browser.test_every_page import SLUG, Api, found_project, import_paintings
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
]

PRESS = """(init) => {
  const target = document.querySelector(init.at ?? "body");
  const pressed = new KeyboardEvent("keydown", { bubbles: true, cancelable: true, composed: true, ...init });
  for (const [name, value] of Object.entries(init.force ?? {})) Object.defineProperty(pressed, name, { value });
  if (init.graph) Object.defineProperty(pressed, "getModifierState", { value: (name) => name === "AltGraph" });
  if (init.composed_before) target.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
  target.dispatchEvent(pressed);
  return pressed.defaultPrevented;
}"""

# What is pressed on a line of the labelling page where `z` enlarges, and whether the page takes it.
PRESSED: dict[str, tuple[dict[str, Any], bool]] = {
    "Latin": ({"key": "z", "code": "KeyZ"}, True),
    "QWERTZ has its z elsewhere": ({"key": "z", "code": "KeyY"}, True),
    "Dvorak's semicolon stands on KeyZ": ({"key": ";", "code": "KeyZ"}, False),
    "AZERTY's w stands on KeyZ": ({"key": "w", "code": "KeyZ"}, False),
    "Cyrillic": ({"key": "я", "code": "KeyZ"}, True),
    "Greek": ({"key": "ζ", "code": "KeyZ"}, True),
    "Hebrew": ({"key": "ז", "code": "KeyZ"}, True),
    "Arabic": ({"key": "ئ", "code": "KeyZ"}, True),
    "Arabic, two letters on one key": ({"key": "لا", "code": "KeyZ"}, True),
    "Korean": ({"key": "ㅋ", "code": "KeyZ"}, True),
    "Thai": ({"key": "ผ", "code": "KeyZ"}, True),
    "full width": ({"key": "ｚ", "code": "KeyX"}, True),
    "Latin with an accent": ({"key": "ž", "code": "KeyZ"}, False),
    "Ctrl": ({"key": "z", "code": "KeyZ", "ctrlKey": True}, False),
    "Meta": ({"key": "z", "code": "KeyZ", "metaKey": True}, False),
    "Alt": ({"key": "z", "code": "KeyZ", "altKey": True}, False),
    "AltGr": ({"key": "z", "code": "KeyZ", "graph": True}, False),
    "a dead key": ({"key": "Dead", "code": "KeyZ"}, False),
    "an input method's": ({"key": "Process", "code": "KeyZ", "force": {"keyCode": 229}}, False),
    "composing": ({"key": "z", "code": "KeyZ", "isComposing": True}, False),
    "held down": ({"key": "z", "code": "KeyZ", "repeat": True}, False),
}
# What is pressed in a text field that takes Escape.
IN_FIELD: dict[str, tuple[dict[str, Any], bool]] = {
    "its own key": ({"key": "Escape"}, True),
    "a letter": ({"key": "z", "code": "KeyZ"}, False),
    "composing": ({"key": "Escape", "isComposing": True}, False),
    "an input method's": ({"key": "Enter", "force": {"keyCode": 229}}, False),
    "Enter that ended a composition": ({"key": "Enter", "composed_before": True}, False),
}
OFFLINE = "The server could not be reached."
FAILURES = [
    (500, "The server answered with an error (500)."),
    (503, "The server answered with an error (503)."),
    (401, "You are signed out."),
    (413, "This is more than the server takes at once."),
    (429, "The server was asked too often."),
    (507, "The server's disk is full."),
]


def press_keys(page: Page, image_id: int) -> None:
    page.goto(f"/projects/{SLUG}/images/{image_id}")
    expect(page.locator(".labelling.scripted")).to_be_visible()
    wrong = {
        name: taken
        for name, (what, taken) in PRESSED.items()
        if page.evaluate(PRESS, what) != taken
    }
    assert not wrong
    page.keyboard.press("a")
    page.keyboard.type("light")
    expect(page.get_by_role("option").first).to_be_visible()
    field = {"at": "#add-words"}
    wrong = {
        name: taken
        for name, (what, taken) in reversed(IN_FIELD.items())
        if page.evaluate(PRESS, field | what) != taken
    }
    assert not wrong
    expect(page.locator("#labels li.label")).to_have_count(0)


def switch_keys_off(page: Page, image_id: int) -> None:
    """Single keys can be switched off, on every page; others go on."""
    page.keyboard.press("?")
    page.get_by_label("Single keys are on").uncheck()
    page.keyboard.press("Escape")
    for address in (f"/images/{image_id}", "/criteria"):
        page.goto(f"/projects/{SLUG}{address}")
        page.wait_for_load_state()
        page.keyboard.press("d")
        page.keyboard.press("/")
        expect(page).to_have_url(f"http://{page.url.split('/')[2]}/projects/{SLUG}{address}")
        assert page.evaluate("document.activeElement.matches('input')") is False
    page.keyboard.press("?")
    page.get_by_label("Single keys are on").check()
    page.keyboard.press("Escape")


def answer_posts(page: Page, does: Callable[[Route], None]) -> None:
    """What each request that changes something meets until `page.unroute_all`."""
    page.route(
        "**/*", lambda route: does(route) if route.request.method == "POST" else route.continue_()
    )


def fail_to_save(window: Window, key: str) -> None:
    """An edit that fails says so in its form, and what was typed stays until it is saved."""
    page = window.page
    page.goto(f"/projects/{SLUG}/criteria?node={key}")
    page.locator("[data-edit]").click()
    text = page.locator("#edit-definition")
    text.fill("Where one form ends.")
    save = page.locator("#panel").get_by_role("button", name="Save")
    said = page.locator("#panel").get_by_role("alert")

    window.expected.append("request failed: POST")
    window.expected.append("console error")
    answer_posts(page, lambda route: route.abort("connectionreset"))
    save.click()
    expect(said).to_contain_text(OFFLINE)
    for status, words in FAILURES:
        window.expect_status(f"^{status} POST")
        page.unroute_all()
        answer_posts(page, lambda route, status=status: route.fulfill(status=status, body=""))  # type: ignore[misc]
        save.click()
        expect(said).to_contain_text(words)
        expect(said).to_have_count(1)
        expect(text).to_have_value("Where one form ends.")
    page.unroute_all()
    signed_out = {"HX-Redirect": "/sign-in?next=elsewhere"}
    answer_posts(page, lambda route: route.fulfill(status=204, headers=signed_out))
    save.click()
    expect(said.get_by_role("link")).to_have_attribute(
        "href",
        "/sign-in?next=" + page.evaluate("encodeURIComponent(location.pathname + location.search)"),
    )
    expect(text).to_have_value("Where one form ends.")
    page.unroute_all()
    window.expected.remove("console error")


def keep_text(page: Page, key: str) -> None:
    """Whoever goes elsewhere is asked first: another line, a link, Escape, the tab; and may stay."""
    text = page.locator("#edit-definition")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.locator("a.names").first.click()
    text.press("Escape")
    page.evaluate("location.assign('/projects')")
    page.wait_for_timeout(0)
    expect(text).to_have_value("Where one form ends.")
    assert asked == ["confirm", "confirm", "beforeunload"]
    expect(page.locator(f"a.names[data-key={key}]")).to_have_attribute("aria-current", "true")
    page.locator("#panel").get_by_role("button", name="Save").click()
    expect(page.locator("#panel .lead")).to_have_text("Where one form ends.")
    page.goto("/account")
    assert len(asked) == 3


def bring_text_back(window: Window) -> None:
    """A plain form that was sent in vain comes back filled in."""
    page = window.page
    publish = f"/projects/{SLUG}/criteria/publish"
    note = page.get_by_label("Note")
    send = page.get_by_role("button", name="Publish version 2")

    page.goto(publish)
    note.fill("Edges, said anew")
    answer_posts(page, lambda route: route.abort("connectionreset"))
    send.click(no_wait_after=True)
    expect(page).to_have_url(re.compile("^chrome-error:"))
    page.unroute_all()
    page.go_back()
    page.get_by_role("link", name="Back to what you typed").click()
    expect(note).to_have_value("Edges, said anew")

    cookies = page.context.cookies()
    page.context.clear_cookies()
    send.click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("[name=next]")).to_have_value(publish)
    page.context.add_cookies(json.loads(json.dumps(cookies)))
    page.goto(publish)
    expect(note).to_have_value("Edges, said anew")
    send.click()
    expect(page.get_by_role("heading", name="Version 2")).to_be_visible()
    page.goto(publish)
    expect(page.get_by_text("Nothing changed, so there is nothing to publish.")).to_be_visible()
    expect(page.get_by_text("not saved")).to_have_count(0)


def answer_with_the_form_again(page: Page) -> None:
    """A form that is answered by a page with the same form on it, for the next one, has arrived."""
    for name in ("For Ada", "For Ben"):
        page.goto(f"/projects/{SLUG}/people")
        page.get_by_label("Note for yourself").fill(name)
        page.get_by_role("button", name="Make a link").click()
        expect(page.locator("#invitation-link")).to_be_visible()
        expect(page.get_by_text("not saved")).to_have_count(0)
    page.goto(f"/projects/{SLUG}/people")
    expect(page.get_by_text("For Ben")).to_be_visible()
    expect(page.get_by_text("not saved")).to_have_count(0)


def test_hands(house: House, open_one: Callable[[], Window]) -> None:
    lead = open_one()
    api: Api = found_project(lead, house)
    import_paintings(api)
    image_id = int(api.ask("GET", "images")["items"][0]["id"])
    press_keys(lead.page, image_id)
    switch_keys_off(lead.page, image_id)
    fail_to_save(lead, "edge-relationship")
    keep_text(lead.page, "edge-relationship")
    bring_text_back(lead)
    answer_with_the_form_again(lead.page)
