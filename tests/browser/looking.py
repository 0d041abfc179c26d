"""What a person sees of the picture that they look at closely."""

from playwright.sync_api import Page

REST_MS = 600
"""Longer than a movement of the picture takes."""


def scale(page: Page) -> int:
    """The scale that the page says, in percent."""
    words = page.locator("#zoom-scale").inner_text()
    return int(words.removesuffix(" %").rsplit(" ", 1)[-1])


def resting(page: Page) -> bytes:
    """What is seen of the picture once it has come to rest, as a PNG."""
    page.wait_for_timeout(REST_MS)
    return page.locator("#stage").screenshot()
