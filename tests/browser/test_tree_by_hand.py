"""Two experts at one tree: one renames, moves, merges, splits, undoes and publishes, by mouse alone or by keyboard
alone, and the other sees each of it arrive. Every state on the way is looked at by axe and in both themes.
"""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.house import House
from tests.browser.test_criteria_together import Expert, enter
from tests.browser.test_every_page import find_barriers
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
]
HERE = "/projects/lines/criteria"
MOST_TABS = 60
IS_ON = """([words, part]) => {
  const at = document.activeElement;
  return Boolean(at?.closest(part)) && (at.ariaLabel ?? at.textContent).trim().startsWith(words);
}"""
PARTS = [
    ("positive_name", "{} edges"),
    ("positive_definition", "Seen at once."),
    ("negative_name", "{} blur"),
    ("negative_definition", "Nothing ends."),
]


class Hand:
    """What one expert does at the page. `inspect` notes what keeps people out of the state that is shown."""

    def __init__(self, expert: Expert) -> None:
        self.expert, self.page, self.window = expert, expert.page, expert.window
        self.barriers: list[str] = []

    def inspect(self, name: str) -> None:
        """Look at the page as it is, in both themes."""
        self.window.look(f"{type(self).__name__}-{name}")
        for theme in ("light", "dark"):
            self.page.emulate_media(color_scheme=theme)
            self.barriers += [f"{name}, {theme}: {each}" for each in find_barriers(self.page)]
        self.page.emulate_media(color_scheme="light")

    def line(self, key: str) -> Locator:
        return self.expert.line(key)  # type: ignore[no-any-return]

    def has_moved(self, where: str) -> None:
        """Wait until the page says where the line stands now."""
        expect(self.page.locator("#arrived")).to_have_text(f"Moved: now {where}.")

    def panel_shows(self, key: str) -> None:
        """Wait until the panel is about this node, with what comes into it later."""
        panel = self.page.locator("#panel")
        expect(panel.locator(f"code:text-is('{key}')")).to_be_visible()
        expect(panel.get_by_text("Labels, images and audits")).to_have_count(0)


class Mouse(Hand):
    """Everything with the mouse; only texts are typed."""

    def show(self, key: str) -> None:
        """Open what is above a line."""
        closed = self.page.locator(
            f"#tree li:has(li[data-key={key}]) > details:not([open]) > summary"
        )
        while closed.count():
            closed.first.click()

    def choose(self, key: str, verb: str = "") -> None:
        self.show(key)
        self.line(key).click()
        expect(self.line(key)).to_have_attribute("aria-current", "true")
        self.panel_shows(key)
        if verb:
            self.page.locator("#panel").get_by_role("link", name=verb).click()

    def rename(self, key: str, name: str) -> None:
        self.line(key).dblclick()
        field = self.page.locator("#tree .is-renaming input:not([type=hidden])")
        expect(field).to_be_focused()
        self.inspect("renaming")
        field.fill(name)
        self.page.locator("#tree .is-renaming").get_by_role("button", name="Save").click()

    def drag(self, key: str, onto: str, share: float = 0.5) -> None:
        """Take a line to another one, so far down in it, and hold it there."""
        mouse = self.page.mouse
        start = self.line(key).bounding_box()
        assert start
        mouse.move(start["x"] + 20, start["y"] + start["height"] / 2)
        mouse.down()
        mouse.move(start["x"] + 40, start["y"] + start["height"] / 2 + 3)
        expect(self.page.locator(".drop-words")).to_be_visible()
        goal = self.line(onto).bounding_box()
        assert goal
        mouse.move(goal["x"] + 20, goal["y"] + goal["height"] * share, steps=4)

    def move(self) -> None:
        # Below itself: refused before it is let go, and Escape leaves all as it is.
        self.drag("outlines", "weights")
        expect(self.page.locator(".drop-words")).to_have_text(
            "“Outlines” cannot stand below itself."
        )
        expect(self.page.locator(".drop-refused")).to_be_visible()
        self.inspect("refused")
        self.page.keyboard.press("Escape")
        expect(self.page.locator(".drop-words")).to_have_count(0)
        self.page.mouse.up()
        # Into a closed dimension, which opens under the pointer.
        self.drag("cafe", "weights")
        expect(self.page.locator(".drop-into")).to_be_visible()
        expect(self.line("heavy")).to_be_visible()
        self.inspect("dragging")
        self.page.mouse.up()
        self.has_moved("2 of 2 in “Weight”")
        # Back, and before another dimension.
        self.drag("weights", "kinds", 0.1)
        expect(self.page.locator(".drop-line")).to_be_visible()
        self.inspect("before")
        self.page.mouse.up()
        self.has_moved("1 of 2 in “Outlines”")

    def move_back(self) -> None:
        self.choose("cafe", "Move…")
        words = self.page.get_by_label("Below which dimension")
        expect(words).to_be_focused()
        words.fill("light")
        places = self.page.locator("#places")
        expect(places.get_by_role("link")).to_have_count(1)
        self.inspect("places")
        places.get_by_role("link", name="Light").click()
        self.page.get_by_label("Where among its neighbours").wait_for()
        self.inspect("place")
        self.page.get_by_role("button", name="Move").click()

    def merge(self, key: str, into: str) -> None:
        self.choose(key, "Merge…")
        other = self.page.get_by_label("With this pair")
        expect(other).to_be_focused()
        other.fill(into)
        self.inspect("merge")
        self.page.get_by_role("button", name="Look at both").click()
        into_which = self.page.get_by_role("navigation", name="What they are merged into")
        into_which.wait_for()
        self.inspect("merging")
        into_which.get_by_role("link", name="Even weight").click()
        expect(into_which.locator("[aria-current]")).to_contain_text("Even weight")
        self.page.get_by_role("button", name="Merge", exact=True).click()

    def split(self, key: str) -> None:
        self.choose(key, "Split…")
        expect(self.page.locator("#new-0-positive_name")).to_be_focused()
        for number, word in enumerate(("First", "Second")):
            for field, text in PARTS:
                self.page.locator(f"#new-{number}-{field}").fill(text.format(word))
        self.inspect("split")
        self.page.get_by_role("button", name="Split", exact=True).click()

    def undo(self, key: str) -> None:
        self.choose(key)
        self.page.locator("#panel").get_by_role("button", name="Undo change").first.click()

    def publish(self) -> None:
        self.page.get_by_role("link", name="Publish…").click()
        self.page.get_by_role("button", name="Publish version 1").click()


class Keyboard(Hand):
    """Everything with keys; the mouse is never touched."""

    def press(self, *keys: str) -> None:
        for each in keys:
            self.page.keyboard.press(each)

    def reach(self, name: str, key: str) -> None:
        """Go to a line by the filter, and leave the filter."""
        self.press("/")
        expect(self.page.locator("#filter")).to_be_focused()
        self.page.keyboard.type(name)
        expect(self.page.locator("#tree li.match").first).to_be_visible()
        self.press("Enter")
        expect(self.line(key)).to_be_focused()
        self.press("/", "Escape")
        expect(self.line(key)).to_be_focused()
        expect(self.page.locator("#tree .match")).to_have_count(0)
        self.panel_shows(key)

    def tab_to(self, words: str, part: str = "main", key: str = "Tab") -> None:
        for _ in range(MOST_TABS):
            self.press(key)
            if self.page.evaluate(IS_ON, [words, part]):
                return
        raise AssertionError(f"{key} does not lead to {words}")

    def tab_into(self, field: str) -> None:
        """Go on to a field, where one is not there yet."""
        for _ in range(MOST_TABS):
            if self.page.evaluate("document.activeElement.id") == field:
                return
            self.press("Tab")
        raise AssertionError(f"Tab does not lead to {field}")

    def rename(self, key: str, name: str) -> None:
        self.reach("kinds", key)
        self.press("Enter")
        expect(self.page.locator("#tree .is-renaming input:focus")).to_be_visible()
        self.inspect("renaming")
        self.page.keyboard.type(name)
        self.press("Enter")

    def move(self) -> None:
        self.reach("café", "cafe")
        # A pair stands at no top, and there is no dimension beside it to go into.
        self.press("Alt+Shift+ArrowLeft")
        expect(self.page.locator("#arrived")).to_have_text(
            "An attribute pair stands below a dimension."
        )
        self.move_into("cafe", "weight", "Outlines › Weight")
        self.reach("weight", "weights")
        self.press("Alt+Shift+ArrowUp")
        self.has_moved("1 of 2 in “Outlines”")
        expect(self.line("weights")).to_be_focused()

    def move_into(self, key: str, words: str, place: str) -> None:
        """Move the line one is on below a dimension that is searched for."""
        expect(self.line(key)).to_be_focused()
        self.press("x")
        expect(self.page.get_by_label("Below which dimension")).to_be_focused()
        self.page.keyboard.type(words)
        expect(self.page.locator("#places a")).to_have_text([place])
        self.inspect("places")
        self.press("ArrowDown", "Enter")
        expect(self.page.get_by_label("Where among its neighbours")).to_be_focused()
        self.inspect("place")
        self.tab_to("Move", "#panel")
        self.press("Enter")
        expect(self.page.locator("#panel .crumbs")).to_have_text(place)
        expect(self.line(key)).to_be_focused()

    def move_back(self) -> None:
        self.reach("café", "cafe")
        self.press("Alt+Shift+ArrowUp")
        self.has_moved("1 of 2 in “Weight”")
        self.press("Alt+Shift+ArrowLeft")
        self.has_moved("1 of 1 in “Outlines”")
        # What went too far is taken back in the panel; then all the way, into a dimension that is searched for.
        expect(self.page.locator("#panel .crumbs")).to_have_text("Outlines")
        self.undo("cafe")
        expect(self.page.locator("#panel .crumbs")).to_have_text("Outlines › Weight")
        self.move_into("cafe", "light", "Light")

    def merge(self, key: str, into: str) -> None:
        self.reach("clear edges", key)
        self.press("m")
        expect(self.page.get_by_label("With this pair")).to_be_focused()
        self.inspect("merge")
        self.page.keyboard.type(into)
        self.press("Enter")
        expect(self.page.locator("#panel .into [aria-current]")).to_contain_text("Even weight")
        expect(self.page.locator("#panel :focus")).to_have_count(1)
        self.inspect("merging")
        self.tab_to("Merge", "#panel")
        self.press("Enter")

    def split(self, key: str) -> None:
        self.reach("lost and found", key)
        self.press("s")
        expect(self.page.locator("#new-0-positive_name")).to_be_focused()
        for number, word in enumerate(("First", "Second")):
            for field, text in PARTS:
                self.tab_into(f"new-{number}-{field}")
                self.page.keyboard.type(text.format(word))
        self.inspect("split")
        self.tab_to("Split", "#panel")
        self.press("Enter")

    def undo(self, key: str) -> None:
        expect(self.line(key)).to_be_focused()
        self.panel_shows(key)
        self.tab_to("Undo change", "#panel")
        self.press("Enter")

    def publish(self) -> None:
        self.tab_to("Publish…", key="Shift+Tab")
        self.press("Enter")
        self.page.wait_for_url("**/publish")
        self.tab_to("Publish version 1")
        self.press("Enter")


def keys_below(expert: Expert, key: str) -> Callable[[list[str]], None]:
    """A check that waits until the tree shows these keys directly below a dimension, in this order."""
    items = expert.page.locator(f"#tree li[data-key={key}] > details > ul > li")

    def check(wanted: list[str]) -> None:
        expect(items).to_have_count(len(wanted))
        for number, each in enumerate(wanted):
            expect(items.nth(number)).to_have_attribute("data-key", each)

    return check


@pytest.mark.parametrize("hand", [Mouse, Keyboard])
def test_two_experts_change_the_tree_and_publish(
    house: House, open_one: Callable[[], Window], hand: type[Any]
) -> None:
    lead, ada = enter(house, open_one)
    first, second = hand(lead), hand(ada)
    # They take turns; each sees what the other did before going on.
    first.rename("kinds", "Ways of ending")
    expect(ada.line("kinds")).to_have_text("Ways of ending")
    second.move()
    keys_below(lead, "weights")(["heavy", "cafe"])
    keys_below(lead, "outlines")(["weights", "kinds"])
    first.move_back()
    keys_below(ada, "light")(["cafe"])
    second.merge("clear", "heavy")
    expect(lead.line("clear")).to_have_count(0)
    first.split("lost")
    expect(first.line("first-edges")).to_have_attribute("aria-current", "true")
    keys_below(ada, "kinds")(["first-edges", "second-edges"])
    first.undo("first-edges")
    keys_below(ada, "kinds")(["lost"])
    second.publish()
    second.page.wait_for_url(f"**{HERE}/versions/1")
    first.page.goto(f"{HERE}/versions")
    expect(first.page.get_by_role("row")).to_have_count(2)
    assert not (found := first.barriers + second.barriers), "\n".join(found)


def test_a_finger_that_rests_on_a_line_moves_it_and_one_that_does_not_scrolls(
    house: House, open_one: Callable[[], Window]
) -> None:
    lead, _ = enter(house, open_one)
    hand = Mouse(lead)
    hand.show("cafe")
    devtools = lead.page.context.new_cdp_session(lead.page)

    def touch(kind: str, key: str | None = None, dy: float = 0) -> None:
        points = []
        if key is not None:
            box = hand.line(key).bounding_box()
            assert box
            points = [{"x": box["x"] + 20, "y": box["y"] + box["height"] / 2 + dy}]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    words = lead.page.locator(".drop-words")
    touch("touchStart", "cafe")
    touch("touchMove", "cafe", 30)
    lead.page.wait_for_timeout(700)
    expect(words).to_have_count(0)
    touch("touchEnd")
    touch("touchStart", "cafe")
    expect(words).to_be_visible()
    touch("touchMove", "weights")
    expect(hand.line("heavy")).to_be_visible()
    hand.window.look("finger")
    touch("touchEnd")
    hand.has_moved("2 of 2 in “Weight”")
