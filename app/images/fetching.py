"""Fetches what a URL that a person asked for answers: redirects, patience, and no more bytes than allowed."""

import asyncio
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

import httpx2

from app.outgoing import (
    NotFetched,
    answer_of,
    at_once,
    parse_url,
    shown_url,
    wait_for,
    what_happened,
)
from method.whole_numbers import read_whole

__all__ = ["NotFetched", "fetch", "fetch_to", "parse_url", "shown_url"]

REDIRECTS = 3
# One exchange: redirects, pauses that the server asks for, and the body. A file may be large.
DEADLINE_SECONDS = 120.0
FILE_DEADLINE_SECONDS = 900.0
# A body that comes slower than this, after a start, is held back on purpose or never ends.
SLOWEST_BYTES_PER_SECOND = 1024
SLOW_START_SECONDS = 20.0
# What a server is asked again for, how often, and the longest pause it may ask for.
ASK_AGAIN = frozenset({429, 502, 503, 504})
TRIES = 4
LONGEST_PAUSE_SECONDS = 30.0
WHO = {"User-Agent": "morelli-import"}


def _go_on() -> None:
    """Nobody wishes to stop."""


def fetch_to(
    url: str, target: Path, *, limit_bytes: int, check: Callable[[], None] = _go_on
) -> str:
    """Write what a URL answers into a file; returns the address it came from at last. Raises NotFetched.

    `check` is called while waiting and may raise to stop the fetch.
    """
    with target.open("wb") as out:
        exchange = _Exchange(out, limit_bytes, FILE_DEADLINE_SECONDS)
        return wait_for(exchange.run(url), check)


def fetch(url: str, *, limit_bytes: int, check: Callable[[], None] = _go_on) -> bytes:
    """The bytes a URL answers. Raises NotFetched; `check` as in `fetch_to`."""
    out = io.BytesIO()
    wait_for(_Exchange(out, limit_bytes, DEADLINE_SECONDS).run(url), check)
    return out.getvalue()


class _AskAgain(Exception):
    """The server asked to come back after so many seconds."""

    def __init__(self, seconds: float, status: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.status = status


@dataclass
class _Exchange:
    """One fetch from the first question to the last byte, in `seconds` at most."""

    out: BinaryIO
    limit_bytes: int
    seconds: float

    async def run(self, url: str) -> str:
        asked = parse_url(url)
        async with at_once():
            try:
                async with asyncio.timeout(self.seconds):
                    return await self._with_patience(asked)
            except TimeoutError as error:
                raise NotFetched(
                    f"{asked.host[:100]} took longer than {self.seconds:g} seconds; the fetch was given up."
                ) from error

    async def _with_patience(self, asked: httpx2.URL) -> str:
        for turn in range(1, TRIES + 1):
            try:
                return await self._through_redirects(asked)
            except _AskAgain as again:
                if turn == TRIES:
                    raise NotFetched(
                        f"The server answered with status {again.status}, {TRIES} times."
                    ) from again
                await asyncio.sleep(max(again.seconds, 0.5 * 2 ** (turn - 1)))
        raise AssertionError("the last turn returns or raises")

    async def _through_redirects(self, asked: httpx2.URL) -> str:
        for _ in range(REDIRECTS + 1):
            try:
                async with answer_of(asked, headers=WHO) as answer:
                    if not answer.is_redirect:
                        _check(answer, self.limit_bytes)
                        await self._copy(answer)
                        return str(asked)
                    leads_to = answer.headers.get("location", "")
            except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
                raise NotFetched(
                    f"{asked.host[:100]} did not answer: {what_happened(error)}."
                ) from error
            asked = _joined(asked, leads_to)
        raise NotFetched(f"The address leads on more than {REDIRECTS} times.")

    async def _copy(self, answer: httpx2.Response) -> None:
        received, began = 0, time.monotonic()
        async for chunk in answer.aiter_raw():
            received += len(chunk)
            if received > self.limit_bytes:
                raise _too_large(self.limit_bytes)
            passed = time.monotonic() - began
            if passed > SLOW_START_SECONDS and received < passed * SLOWEST_BYTES_PER_SECOND:
                raise NotFetched("The server sends too slowly; the fetch was given up.")
            self.out.write(chunk)


def _joined(asked: httpx2.URL, leads_to: str) -> httpx2.URL:
    try:
        return parse_url(str(asked.join(leads_to)))
    except (httpx2.InvalidURL, ValueError) as error:
        raise NotFetched("The address leads on to something that is no web address.") from error


def _pause_of(answer: httpx2.Response) -> float:
    """How long the server asks to wait, in seconds, as far as we do."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isdecimal():
        seconds = float(said[:9])
    else:
        try:
            when = parsedate_to_datetime(said)
        except ValueError:
            return 0.0
        zone = when.tzinfo or UTC
        seconds = (when.replace(tzinfo=zone) - datetime.now(UTC)).total_seconds()
    if seconds > LONGEST_PAUSE_SECONDS:
        raise NotFetched(
            f"The server answered with status {answer.status_code} and asks to come back in "
            f"{_in_words(seconds)}."
        )
    return max(0.0, seconds)


def _in_words(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


def _check(answer: httpx2.Response, limit_bytes: int) -> None:
    if answer.status_code in ASK_AGAIN:
        raise _AskAgain(_pause_of(answer), answer.status_code)
    if answer.status_code != 200:
        raise NotFetched(f"The server answered with status {answer.status_code}.")
    # A compressed body could unfold to any size; we asked for none.
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotFetched("The server sent a compressed body, which was not asked for.")
    declared = answer.headers.get("content-length", "")
    if declared.isdecimal() and read_whole(declared, limit_bytes) is None:
        raise _too_large(limit_bytes)


def _too_large(limit_bytes: int) -> NotFetched:
    return NotFetched(f"The answer is larger than {limit_bytes // (1024 * 1024)} MiB.")
