"""Two experts at the criteria at once: what one changes arrives at the other, whose own work is left alone."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.house import House
from tests.browser.test_searching import TREE
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
]
API = "/api/v1/projects/lines"
PASSWORD = "a quiet harbour in March"


class Expert:
    """One expert's window at the tree."""

    def __init__(self, window: Window, house: House) -> None:
        self.window = window
        self.page = window.page
        self.headers = {"Origin": house.address, "Sec-Fetch-Site": "same-origin"}

    def send(self, method: str, path: str, **data: Any) -> dict[str, Any]:
        answer = self.window.context.request.fetch(
            f"{API}{path}", method=method, data=data or None, headers=self.headers
        )
        assert answer.ok, answer.text()
        found: dict[str, Any] = answer.json()
        return found

    def edit(self, key: str, **texts: Any) -> None:
        revision = self.send("GET", f"/criteria/nodes/{key}")["revision"]
        self.send("PATCH", f"/criteria/nodes/{key}", based_on=revision, **texts)

    def line(self, key: str) -> Any:
        return self.page.locator(f'#tree a.names[data-key="{key}"]')


def enter(house: House, open_one: Callable[[], Window], tree: str = TREE) -> tuple[Expert, Expert]:
    """The lead who made the project, and Ada, whom they invited; both see the tree."""
    lead = Expert(open_one(), house)
    lead.page.goto(house.link)
    button = lead.page.locator("main form button[type=submit]")
    if "welcome" in lead.page.url and button.count():
        button.first.click()
    post = lead.window.context.request.post
    made = {"slug": "lines", "name": "Lines", "description": ""}
    assert post("/api/v1/projects", data=made, headers=lead.headers).status == 201
    lead.send("POST", "/criteria/import", content=tree)
    invited = lead.send("POST", "/invitations", role="expert")
    ada = Expert(open_one(), house)
    ada.page.goto(invited["link"])
    ada.page.get_by_label("Your name").fill("Ada")
    ada.page.get_by_label("E-mail address").fill("ada@example.org")
    ada.page.get_by_label("Password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Make an account and join").click()
    expect(ada.page.get_by_role("heading", name="Lines")).to_be_visible()
    for each in (lead, ada):
        each.page.goto("/projects/lines/criteria")
    return lead, ada


def test_what_one_expert_changes_arrives_at_the_other(
    house: House, open_one: Callable[[], Window]
) -> None:
    lead, ada = enter(house, open_one)
    lead.line("kinds").click()
    expect(lead.page.locator("#panel h2")).to_have_text("Kinds of edge")

    # A text: in its line, in the panel of who looks at it, and in words.
    ada.edit("kinds", name="Ways of ending")
    expect(lead.line("kinds")).to_have_text("Ways of ending")
    expect(lead.page.locator("#panel h2")).to_have_text("Ways of ending")
    expect(lead.page.locator("#arrived")).to_contain_text("Ada")
    expect(lead.line("kinds")).to_have_attribute("aria-current", "true")
    lead.window.look("arrived")

    # A new pair: the tree comes anew, what is open stays open, and the line one is on stays that.
    lead.page.locator("#tree summary").first.wait_for()
    for details in lead.page.locator("#tree details").all():
        details.evaluate("(each) => { each.open = true; }")
    added = ada.send(
        "POST", "/criteria/nodes", kind="pair", parent="weights", relation="opposed",
        positive={"name": "Swelling line"}, negative={"name": "Dead line"},
    )  # fmt: skip
    expect(lead.line(added["key"])).to_be_visible()
    expect(lead.line("kinds")).to_have_attribute("aria-current", "true")

    # Who is renaming is not disturbed; what came is shown once the form is gone.
    lead.line("light").click()
    lead.page.keyboard.press("Enter")
    field = lead.page.locator("#tree .is-renaming input:not([type=hidden])").first
    expect(field).to_be_focused()
    field.fill("Light and")
    ada.edit("weights", name="Heaviness")
    lead.page.wait_for_timeout(4_000)
    expect(field).to_be_focused()
    expect(field).to_have_value("Light and")
    lead.page.keyboard.type(" dark")
    lead.page.keyboard.press("Enter")
    expect(lead.line("light")).to_have_text("Light and dark")
    expect(lead.line("weights")).to_have_text("Heaviness")
    expect(ada.line("light")).to_have_text("Light and dark")


def test_changes_go_on_arriving_where_the_line_one_is_on_has_left_the_tree(
    house: House, open_one: Callable[[], Window]
) -> None:
    lead, ada = enter(house, open_one)
    lead.line("cafe").click()
    lead.page.wait_for_url("**?node=cafe")
    # What comes into the panel later has come.
    expect(lead.page.get_by_text("Confirmed labels")).to_be_visible()
    new = [
        {
            "relation": "opposed",
            "positive": {"name": f"{word} lamps"},
            "negative": {"name": f"No {word} lamps"},
        }
        for word in ("Gas", "Oil")
    ]
    ada.send("POST", "/criteria/nodes/cafe/split", based_on=1, into=new)
    expect(lead.line("gas-lamps")).to_be_visible()
    expect(lead.line("cafe")).to_have_count(0)
    # Nobody goes on reading what is not there any more.
    panel = lead.page.locator("#panel")
    expect(panel).to_contain_text("it was split into gas-lamps and oil-lamps")
    ada.edit("light", name="Lighting")
    expect(lead.line("light")).to_have_text("Lighting")
    panel.get_by_role("link", name="oil-lamps").click()
    expect(panel.get_by_role("heading", name="Oil lamps", exact=False).first).to_be_visible()


def test_who_edits_the_same_text_is_shown_the_others_change_and_loses_nothing(
    house: House, open_one: Callable[[], Window]
) -> None:
    lead, ada = enter(house, open_one)
    lead.line("light").click()
    lead.page.get_by_role("link", name="Edit texts").click()
    lead.page.locator("#edit-definition").fill("How it falls, and from where.")
    ada.edit("light", definition="What makes things seen.")
    expect(lead.page.locator("#arrived")).to_contain_text("Ada")
    expect(lead.page.locator("#edit-definition")).to_have_value("How it falls, and from where.")
    lead.window.expect_status(r"^412 POST .*/nodes/light/edit")
    lead.page.get_by_role("button", name="Save", exact=True).click()
    expect(lead.page.get_by_text("Stored now: “What makes things seen.”")).to_be_visible()
    expect(lead.page.locator("#edit-definition")).to_have_value("How it falls, and from where.")
    lead.page.get_by_role("button", name="Save mine instead").click()
    expect(lead.page.locator("#panel .lead")).to_have_text("How it falls, and from where.")
    history = lead.send("GET", "/criteria/changes")["items"]
    assert [each["by"] for each in history[:2]] == [history[0]["by"], "Ada"]
