"""Judging an audit by hand: what a broken line, a killed tab and two tabs do to answers, and looking closely."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.holding import wait_until
from tests.browser.house import House
from tests.browser.looking import REST_MS, resting
from tests.browser.test_every_page import (
    AXE,
    Api,
    confirm_labels,
    found_project,
    import_paintings,
)
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
]

GUIDELINES = """axe.run({ resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] })"""
WAITING = "Object.keys(localStorage).filter((name) => name.startsWith('morelli-unsent/')).length"


def begin(api: Api) -> tuple[str, str]:
    """The tokens of a participant who has agreed, and of one who has not come yet."""
    import_paintings(api)
    api.finish(api.ask("POST", "agent-runs", data={"agent": "measured"})["job_id"])
    confirm_labels(api)
    # Whichever images are drawn, the four questions that are answered here stand on the first one.
    audit = api.ask("POST", "audits", data={"name": "Spring", "sample_size": 2, "min_labels": 4})
    made = api.ask("POST", f"audits/{audit['id']}/participants", data={"count": 2})
    first, second = (each["link"].rsplit("/", 1)[1] for each in made["items"])
    api.ask("POST", f"/api/v1/audit/{first}/consent")
    return first, second


def answers(api: Api, token: str) -> list[str | None]:
    return [each["answer"] for each in api.ask("GET", f"/api/v1/audit/{token}/items")["items"]]


def open_image(page: Page, token: str, item: int | None = None) -> None:
    page.goto(f"/audit/{token}/look/1" + (f"#item-{item}" if item else ""))
    expect(page.locator("form.current")).to_be_focused()


def pressed(page: Page, at: int) -> Any:
    return page.locator("form[data-item]").nth(at).locator("[aria-pressed=true]")


def cut(page: Page) -> None:
    """Nothing that this tab sends arrives."""

    def drop(route: Route) -> None:
        if route.request.method == "PUT":
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/items/*", drop)


def give(page: Page, item: int, key: str) -> None:
    """Answer a question, and wait until the answer is stored."""
    page.locator(f"#item-{item}").focus()
    with page.expect_response(lambda each: each.request.method == "PUT" and each.ok):
        page.keyboard.press(key)


def outlive_a_killed_tab(window: Window, api: Api, token: str) -> None:
    """What a tab did not get to the server is sent by the next, in order and once."""
    page = window.context.new_page()
    open_image(page, token)
    cut(page)
    page.keyboard.press("3")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("1")
    page.keyboard.press("2")
    expect(page.locator("#saved")).to_have_text("2 answers not stored yet; trying again")
    page.close(run_before_unload=False)
    assert answers(api, token)[:2] == [None, None]

    page = window.context.new_page()
    open_image(page, token)
    expect(pressed(page, 0)).to_contain_text("Appears")
    expect(pressed(page, 1)).to_contain_text("Does not appear")
    expect(page.locator("#saved")).to_contain_text("Stored")
    assert answers(api, token)[:2] == ["appears", "does_not_appear"]
    assert page.evaluate(WAITING) == 0
    page.close()


def answer_in_two_tabs(window: Window, api: Api, token: str, item: int) -> None:
    """The last answer stands, in whichever tab; one that was left behind is no last answer."""
    window.expect_status("^412 PUT")
    first, second = window.context.new_page(), window.context.new_page()
    for page in (first, second):
        open_image(page, token, item)
    for page, key, answer in (
        (first, "1", "appears"),
        (second, "2", "does_not_appear"),
        (first, "3", "cannot_tell"),
    ):
        give(page, item, key)
        assert answers(api, token)[2] == answer

    cut(first)
    first.locator(f"#item-{item}").focus()
    first.keyboard.press("1")
    expect(first.locator("#saved")).to_contain_text("One answer not stored yet")
    give(second, item, "2")
    first.close(run_before_unload=False)
    second.close()

    third = window.context.new_page()
    with third.expect_response(lambda each: each.status == 412):
        open_image(third, token)
    expect(third.locator("#saved")).to_contain_text("Stored")
    expect(pressed(third, 2)).to_contain_text("Does not appear")
    assert answers(api, token)[2] == "does_not_appear"
    assert third.evaluate(WAITING) == 0
    third.close()


def wait_before_leaving(window: Window, api: Api, token: str, item: int) -> None:
    """One goes on to the next image when all answers have arrived."""
    page = window.context.new_page()
    open_image(page, token, item)
    cut(page)
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_contain_text("not stored yet")
    page.locator("#next").click()
    expect(page.get_by_text("Image 1 of 2", exact=True)).to_be_visible()
    page.unroute_all()
    expect(page.get_by_text("Image 2 of 2", exact=True)).to_be_visible()
    # Another tab that is open may have taken it over, and be about to send it.
    wait_until(lambda: answers(api, token)[3] == "appears", "the answer has arrived")
    page.close()


def press_while_scripts_come(page: Page, api: Api, token: str, item: int) -> None:
    """A key between the script that listens and the one that knows what it means is not lost."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/pages/audits.js", hold)
    with page.expect_response("**/pages/keys.js"):
        page.goto(f"/audit/{token}/look/1#item-{item}", wait_until="commit")
    # Until the script that came has run; where it has not yet, the key comes before it.
    page.wait_for_timeout(500)
    page.keyboard.press("3")
    with page.expect_response(lambda each: each.request.method == "PUT" and each.ok):
        held[0].continue_()
    assert answers(api, token)[2] == "cannot_tell"
    page.unroute_all()


def look_closer(page: Page, token: str) -> None:
    """The same keys as where labels are corrected, with the answers' keys at hand."""
    says = page.locator("#zoom-scale")
    open_image(page, token)
    expect(says).to_contain_text("fit")
    fitted = resting(page)
    page.keyboard.press("z")
    page.keyboard.press("+")
    expect(says).not_to_contain_text("fit")
    enlarged = resting(page)
    page.keyboard.press("Shift+ArrowRight")
    assert len({fitted, enlarged, resting(page)}) == 3
    page.keyboard.press("ArrowDown")
    expect(page.locator("form.current")).to_be_focused()
    page.keyboard.press("0")
    expect(says).to_contain_text("fit")
    assert resting(page) == fitted
    look_as_painters_do(page, token)


def look_as_painters_do(page: Page, token: str) -> None:
    """Values, masses, mirror image and lines, fitted and enlarged; on the next page only the lines are left."""
    for key in "gqm":
        page.keyboard.press(key)
    for part in ("#painting", ".deep"):
        drawn = f"getComputedStyle(document.querySelector('{part}')).filter"
        assert page.evaluate(drawn).startswith("grayscale(1) blur(")
    lines = page.get_by_title("Thirds, golden section, diagonals, none (t)")
    for words in ("Thirds", "Golden section", "Diagonals"):
        page.keyboard.press("t")
        expect(lines).to_have_text(words)
    guides = page.locator(".guides")
    fitted = guides.bounding_box()
    page.keyboard.press("z")
    expect(page.locator("#zoom-scale")).not_to_contain_text("fit")
    page.wait_for_timeout(REST_MS)
    enlarged = guides.bounding_box()
    assert fitted is not None and enlarged is not None
    # Fitted, the lines' own box is the whole stage; which side of it the picture fills is the picture's.
    assert any(enlarged[side] > fitted[side] for side in ("width", "height"))
    mirrored = resting(page)
    page.keyboard.press("m")
    assert resting(page) != mirrored
    open_image(page, token)
    expect(page.locator(".guides path.above")).to_have_attribute("d", re.compile("^M0 0L"))
    drawn = "getComputedStyle(document.getElementById('painting')).filter"
    assert page.evaluate(drawn) == "none"
    page.keyboard.press("t")
    expect(guides).to_be_hidden()


def meet_guidelines(page: Page) -> None:
    """Nothing of WCAG 2.2 A and AA that axe finds, of any weight, on a phone and on a desk, in both themes."""
    page.evaluate(AXE)
    found = []
    for width, theme in ((1280, "dark"), (1280, "light"), (390, "dark"), (390, "light")):
        page.set_viewport_size({"width": width, "height": 720})
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        found += [
            f"{width} {theme} {each['id']}: {node['html'][:120]}"
            for each in page.evaluate(GUIDELINES)["violations"]
            for node in each["nodes"]
        ]
    assert found == [], page.url


def press_on(page: Page, words: str) -> None:
    """Reach a link or button by Tab, and press Enter there."""
    wanted = "(words) => document.activeElement.textContent.trim().startsWith(words)"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(wanted, words):
            return page.keyboard.press("Enter")
    raise AssertionError(f"Tab does not lead to “{words}”")


def answer_image(page: Page, keys: str, *, look: bool) -> None:
    """Answer every question of an image by its keys, and go on."""
    expect(page.locator("form.current")).to_be_focused()
    for number, _ in enumerate(page.locator("form.item").all()):
        page.keyboard.press(keys[number % len(keys)])
    expect(page.locator("#saved")).to_contain_text("Enter")
    if look:
        meet_guidelines(page)
    page.keyboard.press("Enter")


def take_part_by_keyboard(window: Window, api: Api, token: str) -> None:
    """From the link to thanks and out again without a mouse, in a window as narrow as a phone."""
    page = window.context.new_page()
    page.set_viewport_size({"width": 390, "height": 720})
    page.goto(f"/audit/{token}")
    meet_guidelines(page)
    press_on(page, "I agree")
    for position in (1, 2):
        page.wait_for_url(f"**/practice/{position}")
        answer_image(page, "12", look=position == 1)
    for position in (1, 2):
        page.wait_for_url(f"**/look/{position}")
        answer_image(page, "123", look=position == 1)
    page.wait_for_url("**/end")
    meet_guidelines(page)
    press_on(page, "Finish")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    meet_guidelines(page)
    assert api.ask("GET", f"/api/v1/audit/{token}")["state"] == "finished"
    press_on(page, "Withdraw")
    expect(page.get_by_role("heading", name="Withdraw?")).to_be_visible()
    meet_guidelines(page)
    press_on(page, "Withdraw and delete my answers")
    expect(page.get_by_role("heading", name="You have withdrawn")).to_be_visible()
    seat = api.ask("GET", f"/api/v1/audit/{token}")
    assert (seat["state"], seat["progress"]["answered"]) == ("withdrawn", 0)
    meet_guidelines(page)
    page.close()


def test_judging(house: House, open_one: Callable[[], Window]) -> None:
    lead, participant = open_one(), open_one()
    api = found_project(lead, house)
    token, unread = begin(api)
    items = [each["id"] for each in api.ask("GET", f"/api/v1/audit/{token}/items")["items"]]
    participant.expected.append("request failed: PUT")
    outlive_a_killed_tab(participant, api, token)
    answer_in_two_tabs(participant, api, token, items[2])
    wait_before_leaving(participant, api, token, items[3])
    press_while_scripts_come(participant.page, api, token, items[2])
    look_closer(participant.page, token)
    take_part_by_keyboard(participant, api, unread)
    participant.look("judging")
