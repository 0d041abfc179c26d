"""The whole loop in a real Chromium, as its people walk it: first link, criteria, images, agent,
correction, audit, dataset, SFT, CPO, and back at the overview.
"""

import re
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIRequestContext, FilePayload, Locator, Page, expect

from method.painter.painting import paint, truth_of
from tests.browser.holding import Trainer, held, wait_until
from tests.browser.house import House
from tests.browser.watching import Window, check_faultless
from worker.training.tiny_model import make_tiny_sdxl

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(900),
]

PAINTINGS = 12
LONG_MS = 180_000
LONG_STEPS = 100
PASSWORD = "sfumato and impasto"


@dataclass
class Loop:
    """What the steps hand on to each other."""

    house: House
    lead: Window
    api: APIRequestContext
    headers: dict[str, str]

    @property
    def page(self) -> Page:
        """The lead's page."""
        return self.lead.page

    def visit(self, path: str) -> None:
        """Open a page of the project."""
        self.page.goto(f"/projects/still-life{path}")

    def ask(self, path: str) -> Any:
        """Read from the project's API with the token."""
        answer = self.api.get(f"/api/v1/projects/still-life{path}", headers=self.headers)
        assert answer.ok, answer.text()
        return answer.json()


def painted_zip() -> bytes:
    """Paintings of Morelli's own with prompts in a CSV, and one file that is no picture."""
    body = BytesIO()
    lines = ["file,prompt,painter"]
    with zipfile.ZipFile(body, "w") as archive:
        for seed in range(PAINTINGS):
            painting = paint(seed, 256)
            out = BytesIO()
            painting.image.save(out, "PNG", compress_level=3)
            archive.writestr(f"canvas-{seed:02d}.png", out.getvalue())
            lines.append(f'canvas-{seed:02d}.png,"{painting.prompt}",Morelli')
        archive.writestr("torn.jpg", b"\xff\xd8\xff\xe0 and nothing that follows")
        archive.writestr("metadata.csv", "\n".join(lines))
    return body.getvalue()


def wait_for_state(page: Page, state: str, timeout: float = LONG_MS) -> None:
    """Wait until the job that the page shows is in this state."""
    expect(page.locator(f".chip-{state}").first).to_be_visible(timeout=timeout)


def follow(page: Page, link: Locator) -> None:
    """Click a link, and wait until the scripts of the page behind it have run: keys pressed and choices
    made before that are lost, and Playwright's click waits for the beginning of the page alone.
    """
    link.click()
    page.wait_for_load_state()


def use_keyboard(page: Page, *keys: str) -> None:
    """Press keys one after another."""
    for key in keys:
        page.keyboard.press(key)


def test_the_whole_loop(house: House, open_one: Callable[[], Window]) -> None:
    make_tiny_sdxl(house.home / "models" / "tiny-sdxl", 0, fit=False)
    lead = open_one()
    loop = Loop(house, lead, lead.context.request, {})
    windows = [lead]

    def step(name: str, walked: Callable[[], list[Window] | None]) -> None:
        windows.extend(walked() or [])
        check_faultless(windows)
        lead.look(name)

    step("1-accounts", lambda: open_accounts(loop, open_one))
    step("2-criteria", lambda: write_criteria(loop))
    step("3-images", lambda: import_images(loop))
    step("4-agent", lambda: run_agent(loop))
    step("5-correction", lambda: correct_labels(loop))
    step("6-audit", lambda: audit_labels(loop, open_one))
    step("7-dataset", lambda: freeze_dataset(loop))
    step("8-training", lambda: train(loop))
    step("9-overview", lambda: look_at_overview(loop))


# 1. Accounts --------------------------------------------------------------------------------------


def open_accounts(loop: Loop, open_one: Callable[[], Window]) -> list[Window]:
    page = loop.page
    page.goto(loop.house.link)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="First lead").click()
    page.get_by_label("Name", exact=True).fill("Giovanna")
    page.get_by_label("E-mail address").fill("giovanna@example.org")
    page.locator("form", has_text="E-mail address").get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Save password").click()
    expect(page.get_by_text("You have no password yet")).to_have_count(0)
    loop.lead.look("1-account")

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    loop.lead.look("1-sign-in")
    page.get_by_label("E-mail address").fill("giovanna@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()

    page.get_by_label("Name").fill("Still life")
    page.get_by_label("Address").fill("still-life")
    page.get_by_label("Description").fill("Fruit, jugs and what light makes of them.")
    page.get_by_role("button", name="Make project").click()
    expect(page.get_by_role("heading", name="Still life")).to_be_visible()

    page.get_by_role("link", name="People").click()
    page.get_by_label("As", exact=True).select_option("annotator")
    page.get_by_role("button", name="Make a link").click()
    invitation = page.locator("#invitation-link").inner_text().strip()
    loop.lead.look("1-people")
    annotator = accept_invitation(open_one(), invitation)

    page.goto("/account")
    page.get_by_label("What is the new token for?").fill("the loop")
    page.get_by_role("button", name="Make a token").click()
    token = page.locator("#new-token").inner_text().strip()
    loop.headers = {"Authorization": f"Bearer {token}", "Cookie": ""}
    assert loop.ask("/overview")["images"] == 0
    return [annotator]


def accept_invitation(window: Window, link: str) -> Window:
    page = window.page
    page.goto(link)
    expect(page.get_by_role("heading", name="Join Still life")).to_be_visible()
    page.get_by_label("Your name").fill("Annibale")
    page.get_by_label("E-mail address").fill("annibale@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make an account and join").click()
    expect(page.get_by_role("heading", name="Still life")).to_be_visible()
    # An annotator is not offered what only leads may do, and is refused where he insists.
    page.goto("/projects/still-life/agent")
    expect(page.get_by_role("button", name="Label all images")).to_have_count(0)
    window.expect_status(r"^403 GET .*/images/import")
    page.goto("/projects/still-life/images/import")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return window


# 2. Criteria --------------------------------------------------------------------------------------


def write_criteria(loop: Loop) -> None:
    page = loop.page
    loop.visit("/criteria")
    page.get_by_role("link", name="Load a file, or the criteria for paintings").click()
    follow(page, page.get_by_role("button", name="Begin with these"))
    expect(page.get_by_text("7 root dimensions")).to_be_visible()
    expect(page.get_by_text("246 attribute pairs")).to_be_visible()
    expect(page.locator("#tree li.level-1 > .line .counts")).to_have_count(7)
    counts = page.locator("#tree li.level-1 > .line .counts").all_inner_texts()
    assert sum(int(each.split()[0]) for each in counts) == 246

    # Renamed in place, by keyboard: Enter opens the name, Enter saves it.
    page.locator("a.names[data-key=edge-relationship]").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("Edges")
    page.keyboard.press("Enter")
    expect(page.locator("a.names[data-key=edge-relationship]")).to_have_text("Edges")

    expect(page.locator("#panel").get_by_role("heading", name="Edges")).to_be_visible()
    page.locator("#panel").get_by_role("link", name="Add below").click()
    # The page goes to its first field by itself, a moment after it is there.
    expect(page.get_by_label("+ Positive name")).to_be_focused()
    page.get_by_label("+ Positive name").fill("Edges that breathe")
    page.get_by_label("+ Positive definition").fill("Contours open where form turns into light.")
    page.get_by_label("− Negative name").fill("Edges like cut paper")
    page.get_by_label("− Negative definition").fill("Every contour is closed with one sharp line.")
    page.get_by_role("button", name="Add attribute pair").click()
    expect(page.get_by_text("247 attribute pairs")).to_be_visible()
    expect(page.locator("#tree").get_by_text("Edges that breathe")).to_be_visible()
    loop.lead.look("2-tree")

    page.get_by_role("link", name="Publish…").click()
    page.get_by_label("Note").fill("The first version")
    page.get_by_role("button", name="Publish version 1").click()
    loop.visit("/criteria/versions")
    expect(page.get_by_role("cell", name="The first version")).to_be_visible()


# 3. Images ----------------------------------------------------------------------------------------


def import_images(loop: Loop) -> None:
    page = loop.page
    loop.visit("/images")
    follow(page, page.get_by_role("link", name="Import images").first)
    archive: FilePayload = {
        "name": "studio.zip",
        "mimeType": "application/zip",
        "buffer": painted_zip(),
    }
    page.locator("#upload-files").set_input_files(archive)
    loop.lead.look("3-import-form")
    page.get_by_role("button", name="Upload and import").click()
    expect(page.get_by_text("Finished")).to_be_visible(timeout=LONG_MS)
    figures = page.locator("#import-result dd.figure").all_inner_texts()
    assert figures == [str(PAINTINGS), "0", "1"]
    broken = page.get_by_role("row").filter(has_text="torn.jpg")
    expect(broken).to_contain_text("refused")
    loop.lead.look("3-import")
    page.get_by_role("link", name="See the images").click()
    expect(page.locator("#wall img")).to_have_count(PAINTINGS)
    for picture in page.locator("#wall img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", value=True)
        assert picture.evaluate("(image) => image.naturalWidth") > 0
    page.evaluate("scrollTo(0, 0)")


# 4. Agent -----------------------------------------------------------------------------------------


def run_agent(loop: Loop) -> None:
    page = loop.page
    loop.visit("/agent")
    page.get_by_role("button", name="Label all images").click()
    loop.visit("/agent")
    wait_for_state(page, "succeeded")
    row = page.get_by_role("row").nth(1)
    expect(row).to_contain_text("measured")
    row.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name=re.compile("^Agent run"))).to_be_visible()
    attributes = page.locator("table.data tbody tr")
    assert attributes.count() >= 20
    loop.lead.look("4-agent-run")
    open_first_image(loop)
    expect(page.locator("#focused")).to_contain_text(
        re.compile(r"measured: .+ -?\d.*threshold -?\d")
    )


def open_first_image(loop: Loop) -> None:
    loop.visit("/images")
    loop.page.locator("#wall a[href*='/images/']").first.click()
    expect(loop.page.locator("li.label[data-here]")).to_be_focused()


# 5. Correction ------------------------------------------------------------------------------------


def here(page: Page) -> Locator:
    """The label that the keys act on."""
    return page.locator("li.label[data-here]")


def tally(page: Page) -> list[int]:
    """Undecided, confirmed and rejected labels, as the page counts them."""
    kinds = ("proposed", "confirmed", "rejected")
    return [int(page.locator(f"#tally [data-count={each}]").inner_text()) for each in kinds]


def expect_saved(page: Page) -> None:
    expect(page.locator("#saving")).to_have_text("Saved")


def correct_labels(loop: Loop) -> None:
    page = loop.page
    open_first_image(loop)
    address = page.url
    proposed, confirmed, rejected = tally(page)
    assert proposed >= 5
    assert (confirmed, rejected) == (0, 0)
    first = here(page).get_attribute("id")
    use_keyboard(page, "y", "y", "n")
    assert tally(page) == [proposed - 3, 2, 1]

    page.keyboard.press("a")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("edges that breathe")
    expect(page.get_by_role("option").first).to_contain_text("Edges that breathe")
    page.keyboard.press("Enter")
    added = page.locator("li.label").filter(has_text="Edges that breathe")
    expect(added).to_have_attribute("data-state", "confirmed")
    # The label that was added is the one that the keys act on; one's own addition is removed by n.
    expect(added).to_be_focused()
    page.keyboard.press("n")
    assert tally(page) == [proposed - 3, 2, 1]
    page.keyboard.press("u")
    assert tally(page) == [proposed - 3, 3, 1]
    expect_saved(page)
    loop.lead.look("5-correcting")

    page.reload()
    assert tally(page) == [proposed - 3, 3, 1]
    expect(page.locator(f"#{first}")).to_have_attribute("data-state", "confirmed")
    page.keyboard.press("h")
    expect(page.locator("#history tbody tr").first).to_contain_text("you")
    story = page.locator("#history").inner_text()
    for words in ("confirmed", "rejected", "added", "undid", "Edges that breathe"):
        assert words in story, story
    loop.lead.look("5-history")

    # Labels are undecided, which is asked about once.
    page.keyboard.press("d")
    expect(page.get_by_role("dialog")).to_contain_text("undecided")
    page.keyboard.press("d")
    expect(page).not_to_have_url(address)
    expect(here(page)).to_be_focused()
    expect_saved(page)
    assert tally(page)[1:] == [0, 0]
    confirm_the_rest(loop)
    loop.visit("/images?show=done")
    expect(page.locator("#wall img")).to_have_count(1)
    page.goto(address)
    expect(page.get_by_text("done", exact=True)).to_be_visible()


def confirm_the_rest(loop: Loop) -> None:
    """Another annotator, a program with a token, agrees with what the agent says of the other images, and adds
    the negative attributes that the painter knows of: the agent proposes few.
    """
    for image in loop.ask("/images?limit=100")["items"][1:]:
        labels = loop.ask(f"/images/{image['id']}/labels")
        truth, _ = truth_of(int(re.findall(r"\d+", image["name"])[0]))
        sides = [(each["key"], each["polarity"]) for each in labels["labels"]]
        sides += [(key, side) for key, side in truth.items() if side == "negative"]
        for key, side in dict.fromkeys(sides):
            answer = loop.api.put(
                f"/api/v1/projects/still-life/images/{image['id']}/labels/{key}/{side}",
                headers=loop.headers,
                data={
                    "state": "confirmed",
                    "based_on": labels["revision"],
                    "operation_id": str(uuid.uuid4()),
                },
            )
            assert answer.ok, answer.text()


# 6. Audit -----------------------------------------------------------------------------------------


def audit_labels(loop: Loop, open_one: Callable[[], Window]) -> list[Window]:
    page = loop.page
    loop.visit("/audits")
    follow(page, page.get_by_role("link", name="New audit"))
    page.get_by_label("Name").fill("Spring audit")
    page.get_by_label("Images", exact=True).fill("2")
    page.get_by_label("With at least this many labels").fill("5")
    page.get_by_label("Seed").fill("7")
    expect(page.locator("#population")).to_contain_text("images have that many labels")
    loop.lead.look("6-new-audit")
    page.get_by_role("button", name="Draw and freeze the sample").click()
    page.get_by_label("How many links").fill("2")
    page.get_by_role("button", name="Make links").click()
    links = re.findall(r"https?://\S+", page.locator("#links").inner_text())
    assert len(links) == 2
    participants = [open_one(), open_one()]
    # The second differs from the first in each third answer.
    judge(participants[0], links[0], lambda number: "1")
    judge(participants[1], links[1], lambda number: "2" if number % 3 == 0 else "1")
    page.reload()
    overall = page.locator("table.results tbody.overall td.accuracy")
    accuracy = float(overall.inner_text())
    assert 75 < accuracy < 90
    expect(page.get_by_text("2 of 2 participants finished")).to_be_visible()
    return participants


def practise(window: Window) -> None:
    """Two images outside the sample that people decided about: each answer tells what they say."""
    page = window.page
    for place in (1, 2):
        expect(page.get_by_text(f"Practice {place} of 2", exact=True)).to_be_visible()
        expect(page.locator("form.current")).to_be_focused()
        forms = page.locator("form.item")
        for _ in forms.all():
            page.keyboard.press("1")
        for form in forms.all():
            expect(form.locator("[data-experts]")).to_contain_text("people say: ")
        expect(page.locator("#saved")).to_have_text("Enter goes on")
        if place == 1:
            window.look("6-practice")
        page.keyboard.press("Enter")


def judge(window: Window, link: str, answer: Callable[[int], str]) -> None:
    """A participant reads the notice, agrees, and answers everything by keyboard."""
    page = window.page
    page.goto(link)
    expect(page.get_by_role("heading", name="Before you start")).to_be_visible()
    page.get_by_role("button", name="I agree, start").click()
    practise(window)
    number = 0
    for position in (1, 2):
        expect(page.get_by_text(f"Image {position} of 2", exact=True)).to_be_visible()
        # Keys pressed before the page's script has run are lost.
        page.wait_for_load_state()
        picture = page.locator("#painting")
        expect(picture).to_have_js_property("complete", value=True)
        assert picture.evaluate("(image) => image.naturalWidth") > 0
        for _ in page.locator("form.item").all():
            page.keyboard.press(answer(number))
            number += 1
        expect(page.locator("#saved")).to_have_text("Stored. Enter: next image")
        if position == 1:
            window.look("6-judging")
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()


# 7. Dataset ---------------------------------------------------------------------------------------


def freeze_dataset(loop: Loop) -> None:
    page = loop.page
    loop.visit("/datasets")
    page.get_by_label("Name").fill("First harvest")
    # One painting was marked as done; what the others have so far is wanted too.
    page.get_by_label("Also images that are not finished").check()
    expect(page.get_by_text("Which images")).to_be_visible()
    page.get_by_role("button", name="Freeze").click()
    loop.visit("/datasets")
    wait_for_state(page, "ready")
    loop.lead.look("7-datasets")
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    facts = page.locator("dl.facts").first.inner_text()
    counts = loop.ask("/datasets")["items"][0]["counts"]
    assert counts["images"] == PAINTINGS
    assert counts["negative_labels"] > 0
    assert f"{PAINTINGS} ({counts['train']} train" in facts
    assert len(re.findall(r"\b[0-9a-f]{64}\b", facts)) == 2


# 8. Training --------------------------------------------------------------------------------------


def launch(loop: Loop, *, kind: str, steps: int, name: str) -> None:
    """Fill in the launch form and send it."""
    page = loop.page
    loop.visit("/runs")
    follow(page, page.get_by_role("link", name="Launch a run").first)
    if page.get_by_label("Kind").input_value() != kind:
        # As somebody leaves it who has pulled it taller.
        page.locator("[name='samples.prompts']").evaluate(
            "(each) => { each.style.height = '9rem'; }"
        )
        with page.expect_response("**/runs/new?**"):
            page.get_by_label("Kind").select_option(kind)
        # The answer has come; what is filled in before it is shown would be lost.
        expect(page.locator("#field-expert_run_id")).to_be_visible()
    expect(page.get_by_label("Base model")).to_have_value("tiny-sdxl")
    page.get_by_label("Name").fill(name)
    page.locator("[name='optimization.max_steps']").fill(str(steps))
    page.locator("[name='samples.every']").fill("8")
    page.locator("[name='samples.prompts']").fill("a jug beside three pears")
    unfold(page, "Checkpoints").locator("[name='checkpoints.every']").fill("4")
    expect(page.locator("#estimate")).to_contain_text(f"{steps} steps")
    loop.lead.look(f"8-launch-{kind}")
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def unfold(page: Page, title: str) -> Locator:
    """Open a section of the launch form."""
    section = page.locator("details").filter(has=page.locator("summary", has_text=title))
    section.locator("summary").click()
    expect(section.get_by_role("textbox").first).to_be_visible()
    return section


def shown_step(page: Page) -> int:
    """The step of the last logged values, as the page shows it."""
    cell = step_cell(page)
    return int(cell.inner_text()) if cell.count() else 0


def step_cell(page: Page) -> Locator:
    row = page.locator("#run-outcome tr").filter(
        has=page.locator("th", has_text=re.compile("^step$"))
    )
    return row.locator("td")


def wait_for_run(page: Page) -> None:
    """The run's page, without being loaded again, shows curves, samples and the end."""
    expect(page.locator("#panels canvas").first).to_be_visible(timeout=LONG_MS)
    expect(page.locator("#samples img").first).to_be_visible(timeout=LONG_MS)
    expect(page.locator("#run-state .chip-succeeded")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_role("link", name="Download safetensors")).to_be_visible()
    for picture in page.locator("#samples img").all():
        assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0


def train(loop: Loop) -> None:
    page = loop.page
    launch(loop, kind="sft", steps=8, name="First expert")
    wait_for_run(page)
    assert shown_step(page) == 8
    loop.lead.look("8-sft")

    launch(loop, kind="cpo_s", steps=LONG_STEPS, name="First alignment")
    with held(loop.house.home) as trainer:
        expect(page.locator("#panels canvas").first).to_be_visible(timeout=LONG_MS)
        look_while_it_trains(loop, trainer)
        page.get_by_role("button", name="Cancel").click()
        said = loop.house.lines
        wait_until(lambda: any("asking the trainer to stop" in line for line in said), "it is told")
    expect(page.locator("#run-state .chip-cancelled")).to_be_visible(timeout=LONG_MS)
    stopped = shown_step(page)
    assert 0 < stopped < LONG_STEPS
    expect(page.locator("#legend li")).to_have_count(2)
    loop.lead.look("8-cancelled")
    page.get_by_role("button", name="Resume").click()
    wait_for_run(page)
    assert shown_step(page) == LONG_STEPS
    expect(page.locator("#run-state")).to_contain_text("attempt 2")
    check_adapter(page)


def look_while_it_trains(loop: Loop, trainer: Trainer) -> None:
    """Another run's curves, differences and the log, while news keeps coming."""
    page = loop.page
    page.locator("#compare summary").click()
    trainer.train(3)
    page.get_by_label("First expert").check()
    page.keyboard.press("Escape")
    expect(page.locator("#legend li")).to_have_count(2)
    page.locator("#run-differences summary").click()
    trainer.train(3)
    page.get_by_label("This run and").select_option(label="run 1: First expert")
    expect(page.locator("#run-differences tbody tr")).not_to_have_count(0)
    page.locator("#run-log summary").click()
    loop.lead.look("8-live")
    seen = shown_step(page)
    trainer.train(3)
    expect(step_cell(page)).not_to_have_text(str(seen), timeout=LONG_MS)


def check_adapter(page: Page) -> None:
    """The weights that the page hands over are a safetensors file of LoRA layers."""
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download safetensors").click()
    body = Path(waiting.value.path()).read_bytes()
    assert waiting.value.suggested_filename.endswith(".safetensors")
    length = int.from_bytes(body[:8], "little")
    header = body[8 : 8 + length]
    assert header.startswith(b"{")
    assert b"lora_A.weight" in header or b"lora.down.weight" in header


# 9. Overview --------------------------------------------------------------------------------------


def figures(page: Page) -> Iterator[tuple[str, str]]:
    """The overview's figures by name."""
    for card in page.locator(".figures > a").all():
        name, figure, _ = card.locator("span").all_inner_texts()
        yield name, figure


def look_at_overview(loop: Loop) -> None:
    page = loop.page
    loop.visit("")
    labels = loop.ask("/overview")["labels"]
    shown = dict(figures(page))
    assert shown["Images"] == str(PAINTINGS)
    assert shown["Proposed labels"] == str(labels["proposed"])
    assert shown["Confirmed labels"].replace(",", "") == str(labels["confirmed"])
    assert shown["Datasets"] == "1"
    assert shown["Training runs"] == "2"
    expect(page.locator(".loop li.is-done")).to_have_count(7)  # one painting of many is corrected
    expect(page.get_by_role("cell", name=re.compile("^train"))).not_to_have_count(0)
