"""The page of a run: curves of several runs in one view, zoomed, read and told apart; differences; samples."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.house import House, environment
from tests.browser.watching import Window

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(300),
]

STEPS = 6000
ROOT = "/projects/long-runs/runs"


def seed(house: House) -> list[int]:
    """Runs with metrics, written as a worker would have; returns the ids of those of stage 2."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.curves", "--seed-only", f"--steps={STEPS}", "--runs=3"],
        env=environment(house.home),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(each) for each in done.stdout.split()]


def large(page: Page) -> Locator:
    return page.locator(".panel.large")


def drag_over(page: Page, start: float, end: float) -> None:
    """Choose a part of the large panel, by shares of its width."""
    box = large(page).locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 50, steps=4)
    page.mouse.up()


def read_step(page: Page, share: float) -> int:
    """The step under the crosshair at a share of the large panel's width."""
    box = large(page).locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + share * box["width"], box["y"] + 60)
    expect(page.locator("#at-step")).to_contain_text("step")
    return int(re.sub(r"\D", "", page.locator("#at-step").inner_text()))


def test_the_page_of_a_run(house: House, open_one: Callable[[], Window]) -> None:
    window = open_one()
    window.page.goto(house.link)
    window.page.get_by_role("button", name="Sign in").click()
    runs = seed(house)
    look_at_one_run(window, *runs)
    lay_runs_over_each_other(window, *runs)
    zoom_and_move(window.page, runs[0])
    find_spike(window.page, runs[0])
    ask_twice_at_once(window.page)
    read_differences(window, *runs)
    choose_in_the_list(window.page, *runs)


def look_at_one_run(window: Window, first: int, _second: int, third: int) -> None:
    page = window.page
    page.goto(f"{ROOT}/{first}")
    # The paper's figure comes first: both parts and their difference in one panel.
    expect(large(page).get_by_role("heading")).to_have_text("As in the paper")
    expect(large(page).locator("canvas")).to_be_visible()
    expect(large(page).locator("output")).to_have_count(3)
    titles = page.locator(".panel h3:visible").all_inner_texts()
    assert {"Loss", "Implicit accuracy", "Gradient of both parts", "Cosine"} <= set(titles)
    assert "Skipped steps" not in titles  # none was
    window.look("one-run")
    # Other runs are chosen by keyboard, and the address says which.
    page.locator("#compare summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    expect(page.locator("#legend li")).to_have_count(2)
    assert page.url.endswith(f"?compare={third}")
    expect(page.locator("#compare summary")).to_be_focused()
    expect(large(page).locator("output")).to_have_count(6)


def lay_runs_over_each_other(window: Window, first: int, second: int, third: int) -> None:
    page = window.page
    # A shared address shows the same runs, each in a colour of its own.
    page.goto(f"{ROOT}/{first}?compare={third},{second}")
    expect(page.locator("#legend li")).to_have_count(3)
    expect(large(page).locator("output")).to_have_count(9)
    slots = page.locator("#legend .mark").evaluate_all(
        "all => all.map((each) => each.dataset.slot)"
    )
    assert len(set(slots)) == 3
    window.look("three-runs")
    large(page).get_by_role("button", name="losing", exact=True).click()
    expect(large(page).locator("output")).to_have_count(6)

    # A run that is taken out leaves the colours of the others alone.
    page.locator("#legend button").first.click()
    expect(page.locator("#legend li")).to_have_count(2)
    left = page.locator("#legend .mark").evaluate_all("all => all.map((each) => each.dataset.slot)")
    assert left == [slots[0], slots[2]]


def zoom_and_move(page: Page, run: int) -> None:
    page.goto(f"{ROOT}/{run}")
    expect(large(page).locator("canvas")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert read_step(page, 0.5) == pytest.approx(STEPS / 2, abs=STEPS / 100)

    with page.expect_response(lambda answer: "until=" in answer.url) as finer:
        drag_over(page, 0.4, 0.5)
    near = finer.value.json()
    assert not near["thinned"] and near["groups"][0]["low"] == {}
    expect(page.get_by_role("button", name="Whole run")).to_be_enabled()
    zoomed = read_step(page, 0.5)
    assert zoomed == pytest.approx(STEPS * 0.45, abs=STEPS / 100)

    page.keyboard.press("]")
    moved = read_step(page, 0.51)
    assert moved > zoomed + STEPS * 0.02
    page.keyboard.press("[")
    page.keyboard.press("+")
    page.keyboard.press("-")
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="Whole run")).to_be_disabled()
    assert read_step(page, 0.5) == pytest.approx(STEPS / 2, abs=STEPS / 100)


def find_spike(page: Page, run: int) -> None:
    """A spike of a single step is drawn in the whole run."""
    spike = page.evaluate(
        """async (address) => {
          const { makeSeries } = await import(new URL("series.js", document.querySelector('script[src*="runs.js"]').src));
          const series = makeSeries(address, async (each) => (await fetch(each)).json());
          await series.bring();
          const [steps, values] = series.line("grad_norm", 0);
          return { points: steps.length, highest: Math.max(...values), rises: steps.every((each, at) => !at || each > steps[at - 1]) };
        }""",
        f"/api/v1{ROOT}/{run}/curves",
    )
    assert spike["highest"] == 25.0 and spike["points"] < 3100 and spike["rises"]


def ask_twice_at_once(page: Page) -> None:
    """News that are asked for twice at the same time are drawn once, in the order of their steps."""
    steps = page.evaluate(
        """async () => {
          const { makeSeries } = await import(new URL("series.js", document.querySelector('script[src*="runs.js"]').src));
          const logged = [1, 2, 3];
          const answer = (after) => {
            const steps = logged.filter((step) => step > after);
            const groups = steps.length ? [{ first: steps, last: steps, mean: { loss: steps }, low: {}, high: {} }] : [];
            return { groups, step: steps.at(-1) ?? null, time: null, thinned: false, restart: false };
          };
          const series = makeSeries("curves", async (address) => answer(Number(/after=([0-9]+)/.exec(address)?.[1] ?? -1)));
          await series.bring();
          logged.push(4, 5);
          await Promise.all([series.bring(), series.bring()]);
          return series.line("loss", 0)[0];
        }"""
    )
    assert steps == [1, 2, 3, 4, 5]


def read_differences(window: Window, first: int, second: int, _third: int) -> None:
    page = window.page
    page.goto(f"{ROOT}/{first}")
    page.locator("#run-differences summary").click()
    page.get_by_label("This run and").select_option(str(second))
    rows = page.locator("#run-differences tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("seed")
    expect(page.locator("#run-differences")).to_have_attribute("open", "")
    window.look("differences")
    # An address that names both runs shows the same, and stays what it is.
    page.goto(f"{ROOT}/{first}?against={second}")
    expect(rows).to_have_count(1)
    assert page.url.endswith(f"?against={second}")


def choose_in_the_list(page: Page, first: int, _second: int, third: int) -> None:
    page.goto(ROOT)
    for run in (third, first):
        page.locator(f"#compare-{run}").check()
    page.get_by_role("button", name="Compare chosen runs").click()
    expect(page.locator("#legend li")).to_have_count(2)
    assert page.url.endswith(f"/{third}?compare={first}")
