"""Files and folders from a person's computer: dropped and chosen, in parts, and told where they break off."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.app.images import corpus
from tests.browser.house import House
from tests.browser.test_every_page import SLUG, found_project
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
]


def drop(page: Page, path: Path) -> None:
    box = page.locator(".drop").bounding_box()
    assert box is not None
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    hand = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        hand.send("Input.dispatchDragEvent", {"type": kind, "data": data, **at})


def fill(folder: Path, number: int, seed: int) -> Path:
    (folder / "sub").mkdir(parents=True)
    for each in range(1, number + 1):
        (folder / "sub" / f"page {each}.png").write_bytes(
            corpus.png(seed + each, width=8, height=8)
        )
    (folder / "sub" / "page 2.txt").write_text("the second page")
    (folder / ".hidden.png").write_bytes(b"x")
    (folder / "Thumbs.db").write_bytes(b"x")
    return folder


def names_on_wall(page: Page) -> list[str]:
    page.goto(f"/projects/{SLUG}/images")
    return [each.get_attribute("title") or "" for each in page.locator("#wall .title").all()]


def wait_for_import(page: Page) -> None:
    page.wait_for_url("**/imports/*")
    expect(page.get_by_text("Finished")).to_be_visible()


def test_folders_come_in_whole_and_what_breaks_off_is_told(
    open_one: Callable[[], Window], house: House, tmp_path: Path
) -> None:
    lead = open_one()
    found_project(lead, house)
    page = lead.page
    page.goto(f"/projects/{SLUG}/images/import")

    # More entries than a browser reads of a folder at once, and more than one part holds.
    drop(page, fill(tmp_path / "dropped", 230, 0))
    expect(page.locator("#upload-said")).to_contain_text("231 files")
    expect(page.locator("#upload-said")).to_contain_text("hidden left out")
    page.get_by_role("button", name="Upload and import").click()
    wait_for_import(page)
    assert names_on_wall(page)[:3] == [
        "dropped/sub/page 1.png",
        "the second page",
        "dropped/sub/page 3.png",
    ]

    page.goto(f"/projects/{SLUG}/images/import")
    page.locator("#upload-folder").set_input_files(fill(tmp_path / "chosen", 3, 1000))
    expect(page.locator("#upload-said")).to_contain_text("4 files")
    lead.expected.append("request failed: POST")
    lead.expected.append("console error")

    def break_off(route: Route) -> None:
        if route.request.method == "POST":
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/*", break_off)
    page.get_by_role("button", name="Upload and import").click()
    expect(page.locator("form[data-upload]").get_by_role("alert")).to_contain_text(
        "could not be reached"
    )
    expect(page.locator("#upload-said")).to_contain_text("Not sent")
    page.unroute_all()
    page.get_by_role("button", name="Upload and import").click()
    wait_for_import(page)
    expect(page.locator(".tally dd").first).to_have_text("3")


def test_files_chosen_before_the_script_is_there_are_sent(
    open_one: Callable[[], Window], house: House, tmp_path: Path
) -> None:
    lead = open_one()
    found_project(lead, house)
    page = lead.page
    (tmp_path / "early.png").write_bytes(corpus.png(7, width=8, height=8))
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/upload*.js*", hold)
    with page.expect_request("**/upload*.js*"):
        page.goto(f"/projects/{SLUG}/images/import", wait_until="commit")
    page.locator("#upload-files").set_input_files(tmp_path / "early.png")
    expect(page.locator("#upload-said")).to_be_empty()
    # The script is late: nothing has heard the choice.
    for each in held:
        each.continue_()
    expect(page.locator("#upload-said")).to_contain_text("1 file")
    page.get_by_role("button", name="Upload and import").click()
    wait_for_import(page)
    assert names_on_wall(page) == ["early.png"]
