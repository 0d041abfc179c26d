"""Correcting labels by hand: what is taken back, what is hidden, what a killed tab loses, how close one looks."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from playwright.sync_api import BrowserContext, Page, expect

from app.web.static import imports_of
from tests.browser.house import House
from tests.browser.looking import REST_MS, resting, scale
from tests.browser.test_every_page import SLUG, Api, found_project, import_paintings
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
]

IN_SIGHT = """(selector) => {
  const box = document.querySelector(selector).getBoundingClientRect();
  const [x, y] = [box.left + Math.min(box.width / 2, 60), box.top + box.height / 2];
  const top = document.elementFromPoint(x, y);
  return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight + 1 && Boolean(top?.closest(selector));
}"""
# What the browser loaded as script and style, in bytes after decompression.
LOADED = """() => {
  const all = performance.getEntriesByType("resource").filter(({ name }) => /\\.(js|css)$/.test(new URL(name).pathname));
  return Object.fromEntries(all.map(({ name, decodedBodySize }) => [name, decodedBodySize]));
}"""
# Of script and style, without what looks at the picture.
MOST_LOADED = 150_000
VIEWER = (
    "/zoom.js",
    "/zoom.css",
    "/deep_zoom.js",
    "/scales.js",
    "/views.js",
    "/guides.js",
    "/openseadragon-6.1.1.min.js",
)
# Windows as at 150 % zoom of a small screen, as a tablet held upright, and as usual.
WINDOWS = [(853, 480), (1280, 720), (768, 1024)]


def here(page: Page) -> Any:
    return page.locator("li.label[data-here]")


def expect_saved(page: Page) -> None:
    expect(page.locator("#saving")).to_have_text("Saved")


def open_image(page: Page, image_id: int, rest: str = "") -> None:
    page.goto(f"/projects/{SLUG}/images/{image_id}{rest}")
    expect(here(page)).to_be_focused()


def states(api: Api, image_id: int) -> dict[str, str]:
    labels = api.ask("GET", f"images/{image_id}/labels")["labels"]
    return {f"{each['key']} {each['polarity']}": each["state"] for each in labels}


def is_done(api: Api, image_id: int) -> bool:
    return bool(api.ask("GET", f"images/{image_id}")["is_done"])


def take_back(page: Page, api: Api, images: list[int]) -> None:
    """Newest first, over images and marks, also after loading the page again; and no further."""
    first, second = images[:2]
    before = states(api, first)
    open_image(page, first)
    page.keyboard.press("y")
    page.keyboard.press("d")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(here(page)).to_have_attribute("data-state", "proposed")
    page.keyboard.press("d")
    page.get_by_label("Do not ask again in this browser").check()
    page.get_by_role("button", name="Finish anyway").click()
    expect(page).to_have_url(f"{page.url.rsplit('/', 1)[0]}/{second}")
    expect_saved(page)
    assert is_done(api, first)

    page.keyboard.press("u")
    expect(page).to_have_url(f"{page.url.rsplit('/', 1)[0]}/{first}")
    expect(page.locator("#labelling")).to_have_attribute("data-done", "false")
    expect_saved(page)
    assert not is_done(api, first)
    page.reload()
    page.keyboard.press("]")
    expect(page).to_have_url(f"{page.url.rsplit('/', 1)[0]}/{second}")
    page.keyboard.press("u")
    expect(page).to_have_url(f"{page.url.rsplit('/', 1)[0]}/{first}")
    expect_saved(page)
    assert states(api, first) == before


def take_back_nothing_of_yesterday(window: Window, api: Api, image_id: int) -> None:
    page = window.page
    window.expect_status("^409 POST .*/labels/undo")
    before = states(api, image_id)
    page.evaluate("sessionStorage.clear()")  # another sitting
    open_image(page, image_id)
    page.keyboard.press("u")
    expect(page.locator("#saving")).to_contain_text("nothing in this sitting")
    assert states(api, image_id) == before


def outlive_a_killed_tab(context: BrowserContext, api: Api, image_id: int) -> Page:
    """What a tab did not get to the server is sent by the next, in order and once."""
    page = context.new_page()
    open_image(page, image_id)
    page.wait_for_load_state("networkidle")  # what is loaded ahead
    context.set_offline(True)
    decided = [here(page).get_attribute("id")]
    page.keyboard.press("y")
    decided.append(here(page).get_attribute("id"))
    page.keyboard.press("n")
    expect(page.locator("#saving")).to_contain_text("2 waiting")
    page.close(run_before_unload=False)
    context.set_offline(False)

    page = context.new_page()
    open_image(page, image_id)
    for row, state in zip(decided, ("confirmed", "rejected"), strict=True):
        expect(page.locator(f"#{row}")).to_have_attribute("data-state", state)
    expect_saved(page)
    assert sorted(states(api, image_id).values())[:2] == ["confirmed", "proposed"]
    assert "rejected" in states(api, image_id).values()
    assert (
        page.evaluate("Object.keys(localStorage).filter((name) => name.includes('unsent')).length")
        == 0
    )
    return page


def decide_at_once(window: Window, api: Api, image_id: int) -> None:
    """Who decides on what has changed meanwhile sees both, and says which shall stand."""
    window.expect_status("^412 PUT")
    first, second = window.context.new_page(), window.context.new_page()
    for page in (first, second):
        open_image(page, image_id)
    row = here(second).get_attribute("id") or ""
    key, polarity = row.removeprefix("label-").rsplit("-", 1)
    first.keyboard.press("n")
    expect_saved(first)
    second.keyboard.press("y")
    stands = second.locator(f"#{row} .stands")
    expect(stands.get_by_role("button", name="Keep: rejected")).to_be_visible()
    assert states(api, image_id)[f"{key} {polarity}"] == "rejected"
    stands.get_by_role("button", name="Save mine: confirmed").click()
    expect(stands).to_have_count(0)
    expect_saved(second)
    assert states(api, image_id)[f"{key} {polarity}"] == "confirmed"
    first.close()
    second.close()


def hide_suggestions(page: Page, api: Api, images: list[int]) -> None:
    """Hidden on the image that was loaded ahead: decided blind there, as the history says."""
    open_image(page, images[0])
    page.wait_for_load_state("networkidle")
    page.keyboard.press("s")
    expect(page.locator("#labelling")).to_have_attribute("data-hide", "true")
    page.keyboard.press("]")
    expect(page).to_have_url(f"{page.url.rsplit('/', 1)[0]}/{images[1]}")
    page.keyboard.press("a")
    page.keyboard.type("blurred edges")
    expect(page.get_by_role("option").first).to_contain_text("smeared or fuzzy")
    page.keyboard.press("Enter")
    expect(here(page)).to_contain_text("Blurred edges")
    expect_saved(page)
    page.keyboard.press("h")
    expect(page.locator("#history")).to_contain_text("added")
    assert "propos" not in page.locator("#labelling").inner_text()
    newest = api.ask("GET", f"images/{images[1]}/history")["items"][0]
    assert newest["suggestion_visible"] is False
    page.keyboard.press("s")
    expect(page.locator("#labelling")).to_have_attribute("data-hide", "false")
    page.keyboard.press("s")
    expect(page.locator("#labelling")).to_have_attribute("data-hide", "true")
    page.keyboard.press("u")
    expect_saved(page)
    newest = api.ask("GET", f"images/{images[1]}/history")["items"][0]
    assert (newest["kind"], newest["suggestion_visible"]) == ("undo", True)
    page.keyboard.press("s")
    expect(page.locator("#labelling")).to_have_attribute("data-hide", "false")


def look_closer(page: Page, image_id: int) -> None:
    """`z` never shows a picture smaller; what is enlarged is moved by keys and by hand, and the label keeps the focus."""
    says = page.locator("#zoom-scale")
    open_image(page, image_id)
    expect(says).to_contain_text("fit")
    fitted, shown = scale(page), resting(page)
    page.keyboard.press("z")
    expect(says).not_to_contain_text("fit")
    closer = scale(page)
    assert closer > fitted
    page.keyboard.press("+")
    expect(says).not_to_have_text(f"{closer} %")
    assert scale(page) > closer
    enlarged = resting(page)
    page.keyboard.press("Shift+ArrowRight")
    by_keys = resting(page)
    box = page.locator("#stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, box["y"] + 240, steps=5)
    page.mouse.up()
    by_hand = resting(page)
    assert len({shown, enlarged, by_keys, by_hand}) == 4
    expect(here(page)).to_be_focused()
    page.mouse.wheel(0, 4000)
    expect(says).to_contain_text("fit")
    assert resting(page) == shown
    page.keyboard.press("z")
    expect(says).not_to_contain_text("fit")
    page.keyboard.press("z")
    expect(says).to_contain_text("fit")
    page.mouse.click(box["x"] + 300, box["y"] + 300)
    expect(says).not_to_contain_text("fit")
    page.mouse.click(box["x"] + 300, box["y"] + 300)
    expect(says).to_contain_text("fit")


def see_in_full(page: Page, api: Api) -> None:
    """A picture larger than the one that pages show: at 100 % each pixel of the screen is one of the image."""
    pixels = np.zeros((1800, 3000, 3), np.uint8)
    pixels[:, ::2] = 255
    out = BytesIO()
    Pillow.fromarray(pixels).save(out, "PNG")
    files = {"name": "stripes.png", "mimeType": "image/png", "buffer": out.getvalue()}
    api.finish(api.ask("POST", "images/imports", multipart={"files": files})["job_id"])
    (large,) = api.ask("GET", "images?q=stripes")["items"]
    page.goto(f"/projects/{SLUG}/images/{large['id']}")
    expect(page.locator("#zoom-scale")).to_contain_text("fit")
    with page.expect_response(lambda each: "/tiles/12/" in each.url):
        page.keyboard.press("z")
    expect(page.locator("#zoom-scale")).to_have_text("100 %")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(REST_MS)
    with Pillow.open(BytesIO(page.screenshot())) as seen:
        middle = np.asarray(seen.convert("L"), np.int16)[seen.height // 2, 200:600]
    assert np.abs(np.diff(middle)).min() > 200


def press_keys_of_ones_own(window: Window, image_id: int) -> None:
    """What was `y` is `n` now, and the other way round: on the keys, in the help and on the buttons."""
    page = window.page
    window.expect_status("^422 POST .*/account/keys")
    page.goto("/account/keys")
    page.get_by_label("Confirm the label").fill("n F2")
    page.get_by_role("button", name="Save keys").click()
    expect(page.get_by_text("“n” is the key of “Reject the label” already")).to_be_visible()
    page.get_by_label("Reject the label").fill("y")
    page.get_by_role("button", name="Save keys").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    open_image(page, image_id)
    confirmed, rejected, left = page.locator("li.label[data-state=proposed]").all()[:3]
    row = confirmed.get_attribute("id"), rejected.get_attribute("id"), left.get_attribute("id")
    expect(page.locator(f"#{row[0]} button.yes")).to_have_attribute("title", "Confirm (n)")
    expect(page.locator(f"#{row[0]} button.no")).to_have_attribute("title", "Reject (y)")
    page.keyboard.press("x")  # has no meaning now
    page.keyboard.press("n")
    page.keyboard.press("y")
    page.keyboard.press("F2")
    for each, state in zip(row, ("confirmed", "rejected", "confirmed"), strict=True):
        expect(page.locator(f"#{each}")).to_have_attribute("data-state", state)
    expect_saved(page)
    page.keyboard.press("?")
    expect(page.locator("#keys tr").first).to_contain_text("n F2")
    page.get_by_role("link", name="Change keys").click()
    page.get_by_role("button", name="All as they were").click()
    expect(page.get_by_label("Confirm the label")).to_have_value("y Enter")


def fit_into_windows(window: Window, image_id: int) -> None:
    """The picture, the label in focus, the box that adds and Done are in sight, whatever is in focus."""
    page = window.page
    for width, height in WINDOWS:
        page.set_viewport_size({"width": width, "height": height})
        open_image(page, image_id)
        for _ in range(5):
            page.keyboard.press("j")
            for part in ("#stage", "li.label[data-here]", "#add-words", "#done button"):
                assert page.evaluate(IN_SIGHT, part), (width, height, part)
        window.look(f"correction-{width}")
    page.set_viewport_size({"width": 1280, "height": 720})


def weigh_little(page: Page, image_id: int) -> None:
    """Script and style of the page with everything they bring along."""
    open_image(page, image_id)
    page.wait_for_load_state("networkidle")
    loaded = page.evaluate(LOADED)
    names = " ".join(loaded)
    assert all(each in names for each in ("vendor/htmx", "morelli.css", "labels.css", "labels.js"))
    assert all(each in names for each in imports_of("pages/labels.js"))
    assert all(loaded.values())
    weight = sum(size for name, size in loaded.items() if not name.endswith(VIEWER))
    assert weight < MOST_LOADED, loaded


def stay_within_a_filter(page: Page, api: Api) -> None:
    found = api.ask("GET", "images?q=jug")["items"] or api.ask("GET", "images?limit=3")["items"]
    word = found[0]["prompt"].split()[-1]
    ids = [each["id"] for each in api.ask("GET", f"images?q={word}")["items"]]
    page.goto(f"/projects/{SLUG}/images?q={word}")
    page.locator("#wall .wall a").first.click()
    expect(here(page)).to_be_focused()
    seen = [int(page.url.split("?")[0].rsplit("/", 1)[1])]
    while page.locator("#labelling[data-next]").count():
        address = page.url
        page.keyboard.press("]")
        expect(page).not_to_have_url(address)
        seen.append(int(page.url.split("?")[0].rsplit("/", 1)[1]))
    assert seen == ids


def test_correction(house: House, open_one: Callable[[], Window]) -> None:
    lead = open_one()
    api = found_project(lead, house)
    import_paintings(api)
    api.finish(api.ask("POST", "agent-runs", data={"agent": "measured"})["job_id"])
    images = [each["id"] for each in api.ask("GET", "images")["items"]]
    take_back(lead.page, api, images)
    take_back_nothing_of_yesterday(lead, api, images[0])
    lead.expected.append("request failed: PUT")
    outlive_a_killed_tab(lead.context, api, images[2]).close()
    decide_at_once(lead, api, images[2])
    hide_suggestions(lead.page, api, images[3:5])
    look_closer(lead.page, images[0])
    see_in_full(lead.page, api)
    press_keys_of_ones_own(lead, images[5])
    fit_into_windows(lead, images[0])
    weigh_little(lead.page, images[0])
    stay_within_a_filter(lead.page, api)
