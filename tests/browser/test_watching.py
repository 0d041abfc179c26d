"""The windows of these tests miss no fault: what a page does wrong ends the test that opened it."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app.web.protection import HEADERS
from tests.browser.watching import WAIT_MS, Window, check_faultless, open_window

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

ADDRESS = "http://localhost"
PAGE = "<!doctype html><title>A page</title><main>With a policy</main>"


@pytest.mark.parametrize(
    ("does", "noted"),
    [
        ("console.error('the paint is wet')", "the paint is wet"),
        ("console.warn('the frame is loose')", "the frame is loose"),
        ("setTimeout(() => { throw new Error('the canvas is torn'); })", "the canvas is torn"),
        ("document.querySelector('main').setAttribute('style', 'color: red')", "style-src-attr"),
        ("fetch('/missing')", "404 GET"),
    ],
)
def test_a_fault_is_noted(chromium: Browser, tmp_path: Path, does: str, noted: str) -> None:
    window = open_window(chromium, ADDRESS, tmp_path)
    window.context.route(
        "**/*",
        lambda route: route.fulfill(
            status=404 if route.request.url.endswith("/missing") else 200,
            headers=HEADERS | {"Content-Type": "text/html"},
            body=PAGE,
        ),
    )
    window.page.goto("/")
    check_faultless([window])
    window.page.evaluate(f"() => {{ {does}; }}")
    wait_for_fault(window, noted)
    window.context.close()
    with pytest.raises(AssertionError, match=noted):
        check_faultless([window])


def wait_for_fault(window: Window, noted: str) -> None:
    """Let Playwright deliver events until the fault is among them; without it the test fails below."""
    ends = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < ends and not any(re.search(noted, each) for each in window.faults):
        window.page.wait_for_timeout(20)
