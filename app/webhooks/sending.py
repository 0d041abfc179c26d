"""Sends one message to one address and says what was answered. No redirect is followed."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from app.outgoing import NotFetched, answer_of, at_once, parse_url, wait_for, what_happened
from app.webhooks.signing import signed_headers

SECONDS = 20.0
KEPT_CHARACTERS = 500


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: the status where there was an answer, and its beginning or what went wrong."""

    status: int | None
    said: str

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def send(
    address: str, body: str, *, secret: str, message_id: str, check: Callable[[], None]
) -> Outcome:
    """Post a message; never raises for what the other side does. `check` may raise to stop waiting."""
    data = body.encode()
    headers = signed_headers(secret, message_id, int(time.time()), data)
    headers |= {"Content-Type": "application/json", "User-Agent": "morelli-webhooks"}
    return wait_for(_post(address, data, headers), check)


async def _post(address: str, data: bytes, headers: dict[str, str]) -> Outcome:
    try:
        async with at_once(), asyncio.timeout(SECONDS):
            asked = parse_url(address)
            async with answer_of(asked, method="POST", headers=headers, content=data) as answer:
                return Outcome(answer.status_code, await _beginning(answer))
    except NotFetched as error:
        return Outcome(None, error.reason)
    except TimeoutError:
        return Outcome(None, f"Nothing was answered within {SECONDS:g} seconds.")
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        return Outcome(None, f"The address did not answer: {what_happened(error)}.")


async def _beginning(answer: httpx2.Response) -> str:
    held = b""
    async for chunk in answer.aiter_raw():
        held += chunk
        if len(held) >= 4 * KEPT_CHARACTERS:
            break
    text = held.decode("utf-8", "replace").replace("\0", "")
    return text[:KEPT_CHARACTERS]
