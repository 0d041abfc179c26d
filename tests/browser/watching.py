"""Browser windows that note every fault: script errors, CSP violations, failed requests."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebError,
)

WAIT_MS = 30_000
# Chromium reports these where a page is left while it still loads, and for downloads.
LEFT = ("net::ERR_ABORTED",)
TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} forbids ${event.blockedURI} on ${location.href}`));
"""
BRIGHTNESS = """() => {
  const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);
  if (red !== green || green !== blue) throw new Error("the page is tinted");
  return red;
}"""


@dataclass
class Window:
    """One person's browser: a context with one page, and the faults seen in it."""

    context: BrowserContext
    page: Page
    folder: Path
    faults: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect_status(self, pattern: str) -> None:
        """Answers that are errors on purpose: a regular expression on `status path`."""
        self.expected.append(pattern)

    def look(self, name: str) -> None:
        """Both themes have to render; screenshots are kept in the test's folder."""
        for theme in ("light", "dark"):
            self.page.emulate_media(color_scheme="light" if theme == "light" else "dark")
            brightness = self.page.evaluate(BRIGHTNESS)
            assert (brightness > 200) if theme == "light" else (brightness < 60), (name, theme)
            self.page.screenshot(path=self.folder / f"{name}-{theme}.png")
        self.page.emulate_media(color_scheme="light")

    def note(self, fault: str) -> None:
        if not any(re.search(each, fault) for each in self.expected):
            self.faults.append(f"{fault} [on {self.page.url}]")


def _on_console(window: Window, message: ConsoleMessage) -> None:
    # An answer that is an error is noted with its status by `_on_response`.
    if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
        window.note(f"console {message.type}: {message.text}")


def _on_response(window: Window, response: Response) -> None:
    if response.status >= 400:
        window.note(f"{response.status} {response.request.method} {response.url}")


def _on_failed(window: Window, request: Request) -> None:
    if request.failure not in LEFT:
        window.note(f"request failed: {request.method} {request.url}: {request.failure}")


def _on_error(window: Window, error: WebError) -> None:
    window.note(f"script error: {error.error}")


def open_window(chromium: Browser, address: str, folder: Path) -> Window:
    """A window of its own, with no cookie, at 1280x720."""
    context = chromium.new_context(
        base_url=address,
        viewport={"width": 1280, "height": 720},
        color_scheme="light",
        reduced_motion="reduce",
        accept_downloads=True,
    )
    context.set_default_timeout(WAIT_MS)
    context.add_init_script(TELL_VIOLATIONS)
    window = Window(context, context.new_page(), folder)
    context.on("console", lambda message: _on_console(window, message))
    context.on("response", lambda response: _on_response(window, response))
    context.on("requestfailed", lambda request: _on_failed(window, request))
    context.on("weberror", lambda error: _on_error(window, error))
    return window


def check_faultless(windows: Sequence[Window]) -> None:
    """No window may have noted a fault."""
    faults = [each for window in windows for each in window.faults]
    assert not faults, "\n".join(faults)
