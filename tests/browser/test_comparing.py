"""Taking part in a study by hand: from the link to thanks by keyboard alone, across a lost line and a killed tab, at the
width of a phone and of a desk; and the result that the lead reads.

Run with STUDY_PROMPTS=150 it has the size of the paper's study: 300 pairs and 2,100 answers for each hand.
"""

import os
import random
import time
import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.holding import wait_until
from tests.browser.house import House
from tests.browser.looking import REST_MS
from tests.browser.test_every_page import Api, found_project
from tests.browser.test_judging import WAITING, meet_guidelines, press_on
from tests.browser.watching import Window

PROMPTS = int(os.environ.get("STUDY_PROMPTS", "2"))
SPARE = 2
DIMENSIONS = 7
pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600 + 30 * PROMPTS),
]

MODELS = {"G1": ("dpo", "cpo"), "G2": ("flux-dpo", "flux-cpo")}
# Which side is the redder one, by the eyes of a script.
REDDER = """() => {
  const red = (image) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const drawing = canvas.getContext("2d");
    drawing.drawImage(image, 0, 0, 1, 1);
    return drawing.getImageData(0, 0, 1, 1).data[0];
  };
  const [left, right] = document.querySelectorAll(".side img");
  return red(left) > red(right) ? "1" : "3";
}"""
LOADED = "() => [...document.querySelectorAll('.side img')].every((each) => each.complete && each.naturalWidth)"


def paint(colour: tuple[int, ...], size: tuple[int, int], larger: int) -> bytes:
    """Squares of a colour and a darker one, in no order that repeats."""
    small = Image.new("RGB", (12, 12))
    shades = random.Random(1)
    dark = tuple(part // 3 for part in colour)
    small.putdata([shades.choice((colour, dark)) for _ in range(144)])
    out = BytesIO()
    small.resize((larger * size[0], larger * size[1]), Image.Resampling.NEAREST).save(out, "PNG")
    return out.getvalue()


def images() -> bytes:
    """For each prompt a blue picture of one model and a red one of the other, in two groups."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for group, models in MODELS.items():
            for model in models:
                for at in range(PROMPTS + SPARE):
                    colour = (200, at % 200, 30) if model.endswith("cpo") else (30, at % 200, 200)
                    # The models of a group paint in the same places, and one of them larger.
                    size = (96, 96) if group == "G1" else (120, 90)
                    larger = 2 if model == "cpo" else 1
                    packed.writestr(f"{group}/{model}/{at:04d}.png", paint(colour, size, larger))
    return out.getvalue()


def open_study(api: Api, **values: object) -> int:
    """A study of these images, open."""
    study = api.ask("POST", "studies", data={"name": "Spring", "prompts": PROMPTS, **values})
    files = {"name": "a.zip", "mimeType": "application/zip", "buffer": images()}
    sent = api.ask("POST", f"studies/{study['id']}/uploads", multipart={"files": files})
    api.finish(sent["job_id"])
    api.ask("POST", f"studies/{study['id']}/open", data={"prompts": PROMPTS})
    return int(study["id"])


def invite(api: Api, study: int) -> str:
    made = api.ask("POST", f"studies/{study}/participants", data={"count": 1})
    link: str = made["items"][0]["link"]
    return link.rsplit("/", 1)[1]


def answered(api: Api, token: str) -> int:
    number: int = api.ask("GET", f"/api/v1/study/{token}")["progress"]["answered"]
    return number


def ready(page: Page) -> None:
    """The pair is there, and the keys are heard."""
    expect(page.locator("form.current")).to_be_focused()
    page.wait_for_function(LOADED)


def judge_all(page: Page, token: str, pairs: int, hand: Callable[[Page], str]) -> float:
    """Answer every pair from the keyboard as the hand says; returns the seconds it took."""
    began = time.monotonic()
    for place in range(1, pairs + 1):
        page.wait_for_url(f"**/pairs/{place}")
        ready(page)
        key = hand(page)
        for _ in range(DIMENSIONS):
            page.keyboard.press(key)
        page.keyboard.press("Enter")
    page.wait_for_url("**/end")
    return time.monotonic() - began


def practise(page: Page) -> None:
    """Two pairs that tell what the lead said of them, and keep nothing."""
    page.wait_for_url("**/practice/1")
    meet_guidelines(page)
    page.set_viewport_size({"width": 390, "height": 720})
    ready(page)
    page.keyboard.press("1")
    expect(page.get_by_text("The project’s people say: Left.")).to_be_visible()
    page.keyboard.press("1")
    expect(page.get_by_text("The project’s people have said nothing of this.")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#saved")).to_contain_text("Enter again goes on")
    page.keyboard.press("Enter")
    page.wait_for_url("**/practice/2")
    ready(page)
    press_on(page, "Begin the study")


def say_what_is_told(lead: Window, study: int) -> None:
    """The lead says of the first practice pair that left is better in the first dimension, and takes the second back."""
    page = lead.page
    page.goto(f"/projects/still-life/studies/{study}")
    page.get_by_role("link", name="say it").click()
    first = page.locator("form.said").nth(0)
    first.get_by_role("button", name="Left").click()
    second = page.locator("form.said").nth(1)
    second.get_by_role("button", name="Right").click()
    expect(second.locator("[aria-pressed=true]")).to_have_text("Right")
    second.get_by_role("button", name="Right").click()
    expect(page.locator("form.said [aria-pressed=true]")).to_have_count(1)
    meet_guidelines(page)
    page.set_viewport_size({"width": 1280, "height": 720})
    lead.look("practice-answers")


def shown(page: Page, side: int) -> list[bool]:
    """Where one image, as it is seen, is dark: so coarse that edges tell nothing, and by its strongest channel, in
    which a blue image, a red one and the wall beside them are bright alike.
    """
    seen = Image.open(BytesIO(page.locator(".side .stage").nth(side).screenshot())).convert("HSV")
    values = seen.getchannel("V").resize((24, 24), Image.Resampling.BOX).tobytes()
    return [each < 128 for each in values]


def same_part(page: Page, *, after: list[bool] | None = None) -> list[bool]:
    """Wait until both images show the same part as large, and another one than before; returns what the left one shows."""
    found: list[bool] = []

    def is_so() -> bool:
        page.wait_for_timeout(REST_MS)
        found[:] = shown(page, 0)
        alike = sum(one == other for one, other in zip(found, shown(page, 1), strict=True))
        return alike > 0.93 * len(found) and found != after

    wait_until(is_so, "both images show the same part")
    return found


def look_closer(window: Window, page: Page) -> None:
    """By keys, wheel, dragging and clicks, in either image; and the answers' keys stay at hand."""
    ready(page)
    says = page.locator("#zoom-scale")
    expect(says).to_contain_text("fit")
    fitted = same_part(page)
    page.keyboard.press("z")
    expect(says).not_to_contain_text("fit")
    page.keyboard.press("+")
    seen = same_part(page, after=fitted)
    page.keyboard.press("Shift+ArrowRight")
    seen = same_part(page, after=seen)
    window.look("pair-enlarged")
    right = page.locator(".side .stage").nth(1)
    box = right.bounding_box()
    # The images have most of the window.
    assert box is not None and box["height"] > 450
    page.mouse.move(box["x"] + 90, box["y"] + 120)
    page.mouse.wheel(0, 120)
    seen = same_part(page, after=seen)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 170, steps=4)
    page.mouse.up()
    seen = same_part(page, after=seen)
    page.keyboard.press("ArrowDown")
    expect(page.locator("form.current")).to_be_focused()
    page.keyboard.press("z")
    expect(says).to_contain_text("fit")
    assert same_part(page, after=seen) == fitted
    right.click()
    expect(says).not_to_contain_text("fit")
    same_part(page, after=fitted)
    page.locator("#zoom-scale").click()
    expect(says).to_contain_text("fit")


def take_part_by_keyboard(window: Window, api: Api, token: str, pairs: int) -> None:
    """One who knows what they prefer, in a window as narrow as a phone; in again and out at the end."""
    page = window.context.new_page()
    page.set_viewport_size({"width": 390, "height": 720})
    page.goto(f"/study/{token}")
    meet_guidelines(page)
    page.set_viewport_size({"width": 390, "height": 720})
    press_on(page, "I agree")
    practise(page)
    page.wait_for_url("**/pairs/1")
    meet_guidelines(page)
    seconds = judge_all(page, token, pairs, lambda page: str(page.evaluate(REDDER)))
    print(f"{pairs} pairs, {pairs * DIMENSIONS} answers by keyboard in {seconds:.0f} s")
    meet_guidelines(page)
    press_on(page, "Finish")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert answered(api, token) == pairs * DIMENSIONS
    page.close()


def outlive_a_killed_tab(window: Window, api: Api, token: str) -> None:
    """What a tab did not get to the server is sent by the next one, to the pair it was about."""
    page = window.context.new_page()
    page.goto(f"/study/{token}/pairs/1")
    ready(page)
    page.route("**/api/v1/study/**", lambda route: route.abort("connectionreset"))
    page.keyboard.press("1")
    page.keyboard.press("3")
    expect(page.locator("#saved")).to_have_text("2 answers not stored yet; trying again")
    page.close(run_before_unload=False)
    assert answered(api, token) == 0
    page = window.context.new_page()
    page.goto(f"/study/{token}/pairs/2")
    ready(page)
    wait_until(lambda: answered(api, token) == 2, "what was left behind has arrived")
    first, second = api.ask("GET", f"/api/v1/study/{token}/pairs?limit=2")["items"]
    assert [each["answer"] for each in first["questions"]][:3] == ["left", "right", None]
    assert {each["answer"] for each in second["questions"]} == {None}
    wait_until(lambda: page.evaluate(WAITING) == 0, "nothing waits in the browser")
    page.close()


def move_and_change(page: Page, token: str) -> None:
    """Arrows answer and move, Enter warns once of what is open, Backspace goes back, a change of mind stands."""
    page.goto(f"/study/{token}/pairs/1")
    ready(page)
    pressed = page.locator("form.item").first.locator("[aria-pressed=true]")
    page.goto(f"/study/{token}/pairs/1#item-brushwork")
    page.keyboard.press("ArrowUp")
    for _ in range(DIMENSIONS):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("2")
    expect(pressed).to_contain_text("No difference")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(pressed).to_contain_text("Left")
    page.keyboard.press("Enter")
    expect(page.locator("#saved")).to_contain_text("Enter again goes on")
    page.keyboard.press("Enter")
    page.wait_for_url("**/pairs/2")
    ready(page)
    page.keyboard.press("Backspace")
    page.wait_for_url("**/pairs/1")
    expect(pressed).to_contain_text("Left")


def withdraw(page: Page, api: Api, token: str) -> None:
    page.goto(f"/study/{token}")
    press_on(page, "Withdraw")
    expect(page.get_by_role("heading", name="Withdraw?")).to_be_visible()
    press_on(page, "Withdraw and delete my answers")
    expect(page.get_by_role("heading", name="You have withdrawn")).to_be_visible()
    assert answered(api, token) == 0


def read_the_result(lead: Window, api: Api, study: int) -> None:
    """One hand always preferred the red images, the other always the left ones."""
    for each in api.ask("GET", f"studies/{study}/results")["comparisons"]:
        is_red = each["model"].endswith("cpo")
        for row in (*each["dimensions"], each["overall"]):
            share = row["share"] if is_red else 1 - row["share"]
            # Whatever stood left is each model in half of the pairs, to one pair where their number is odd.
            assert share == pytest.approx(0.75, abs=0.25 / PROMPTS)
    page = lead.page
    page.goto(f"/projects/still-life/studies/{study}")
    expect(page.get_by_role("heading", name="Results")).to_be_visible()
    meet_guidelines(page)
    page.goto(f"/projects/still-life/studies/{study}/report")
    meet_guidelines(page)


def test_comparing(house: House, open_one: Callable[[], Window]) -> None:
    lead, participant = open_one(), open_one()
    api = found_project(lead, house)
    study = open_study(api)
    pairs = 2 * PROMPTS
    say_what_is_told(lead, study)
    participant.expected.append("request failed: PUT")
    take_part_by_keyboard(participant, api, invite(api, study), pairs)

    leaning, leaving = invite(api, study), invite(api, study)
    page = participant.page
    for token in (leaning, leaving):
        api.ask("POST", f"/api/v1/study/{token}/consent")
    outlive_a_killed_tab(participant, api, leaving)
    move_and_change(participant.page, leaving)
    withdraw(participant.page, api, leaving)
    page.goto(f"/study/{leaning}/pairs/1")
    look_closer(participant, page)
    page.goto(f"/study/{leaning}/pairs/1")
    judge_all(participant.page, leaning, pairs, lambda _: "1")
    press_on(participant.page, "Finish")
    read_the_result(lead, api, study)
    participant.look("comparing")
