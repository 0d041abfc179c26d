"""What may be sent here, by whom, how much and how slowly: decided before a body is read.

The one place for it, in front of every route. Who has to be signed in is asked first and costs one small
question to the database; a body that is too large is refused by what it says of itself, or at the
byte too many; one that is taken in waits here, with neither a turn nor a connection, until it is
whole. What is not read is not waited for: the answer says `Connection: close`.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.database import LARGEST_KEY
from app.errors import (
    AppError,
    NotSignedIn,
    NotUnderstood,
    TooLarge,
    TooSlow,
    disk_full,
    is_disk_full,
)
from app.web.errors import show_error
from app.web.outages import explain_outage
from app.web.turns import Turn, Turns, who_asks
from method.whole_numbers import read_whole

KIB, MIB = 1024, 1024 * 1024
ANYONE_BYTES = 64 * KIB
JSON_BYTES = 1 * MIB
FORM_BYTES = 32 * MIB
# Beyond this a body that is being taken in goes to the disk.
IN_MEMORY_BYTES = 256 * KIB
# A body may take this long, and one second more for each so many bytes that have come.
PATIENCE_SECONDS = 30.0
SLOWEST_BYTES = 16 * KIB
# So much of a body needs no place: an ordinary form fits, and many that drip keep nobody waiting.
PLACELESS_BYTES = 4 * KIB
# Larger bodies that are taken in at the same time: of anyone, and of people who are signed in.
ANYONES_BODIES = 256
KNOWN_BODIES = 128
WAITING_BODIES = 4000


@dataclass(frozen=True)
class Allowance:
    """What a route takes. `streams`: it reads the body itself as it comes, and limits it; `most_json`: the largest
    JSON that a member may send it.
    """

    needs_person: bool
    streams: bool = False
    most_json: int = JSON_BYTES

    def limit_for(self, content_type: str) -> int:
        """The largest body of this kind, in bytes."""
        if self.streams:
            return sys.maxsize
        if not self.needs_person:
            return ANYONE_BYTES
        return FORM_BYTES if content_type.startswith("multipart/form-data") else self.most_json


FindAllowance = Callable[[str, str], Allowance | None]
IsSignedIn = Callable[[Scope], bool]


class Incoming:
    """The body of one request while it comes: counted, and not waited for without end."""

    def __init__(self, receive: Receive, most_bytes: int) -> None:
        self._receive = receive
        self._most = most_bytes
        self._waited = 0.0
        self.received = 0
        self.is_whole = False

    async def __call__(self) -> Message:
        """The next message. Raises TooLarge or TooSlow."""
        if self.is_whole:
            return await self._receive()
        left = PATIENCE_SECONDS + self.received / SLOWEST_BYTES - self._waited
        began = time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.0))
        except TimeoutError:
            raise TooSlow(
                "The request came too slowly and was given up.", hint="Nothing was kept."
            ) from None
        self._waited += time.monotonic() - began
        self.received += len(message.get("body", b""))
        if self.received > self._most:
            raise too_large(self._most)
        self.is_whole = not message.get("more_body", False)
        return message


def too_large(most_bytes: int) -> TooLarge:
    """The error for a body over the limit."""
    size = f"{most_bytes // MIB} MiB" if most_bytes >= MIB else f"{most_bytes // KIB} KiB"
    return TooLarge(
        f"What was sent is larger than {size}, the limit here.", hint="Nothing was kept."
    )


class Gone(Exception):
    """The client went away in the middle of its body."""


class Bodies:
    """The middleware: lets a request with a body through when the body may come, and has come."""

    def __init__(
        self, app: ASGIApp, *, turns: Turns, find: FindAllowance, is_signed_in: IsSignedIn
    ) -> None:
        self.app = app
        self.turns = turns
        self.find = find
        self.is_signed_in = is_signed_in
        self.reading = {
            False: Turns(ANYONES_BODIES, WAITING_BODIES),
            True: Turns(KNOWN_BODIES, WAITING_BODIES),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(headers := Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        allowance = self.find(scope["method"], scope["path"])
        limit = allowance.limit_for(headers.get("content-type", "")) if allowance else 0
        if is_small(headers):
            limit = min(limit, PLACELESS_BYTES)
        incoming = Incoming(receive, limit)
        sender = _Closing(send, incoming)
        try:
            if allowance is None:
                # No route reads it: the address is unknown, or the method.
                await self.app(scope, _nothing(), sender)
                return
            await self._refuse(scope, headers, allowance, limit)
            if allowance.streams:
                await self.app(scope, incoming, sender)
                return
            with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as kept:
                await self._keep(incoming, kept, allowance)
                await self.app(scope, _replayed(kept, incoming), sender)
        except Gone:
            # Who left is not there to read this; it is no fault of ours.
            await Response(status_code=400)(scope, receive, send)
        except (AppError, SQLAlchemyError) as error:
            shown = error if isinstance(error, AppError) else explain_outage(error)
            await show_error(Request(scope), shown)(scope, receive, sender)

    async def _refuse(
        self, scope: Scope, headers: Headers, allowance: Allowance, limit: int
    ) -> None:
        """Raise what is wrong with a request before its body is looked at."""
        declared = declared_bytes(headers)
        if declared is not None and declared > limit:
            raise too_large(limit)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise NotUnderstood(
                "Compressed requests are not taken.", hint="Send it without Content-Encoding."
            )
        if not allowance.needs_person or is_small(headers):
            return
        if not await self._is_known(scope):
            if declared is not None and declared <= ANYONE_BYTES:
                raise NotSignedIn(
                    "Please sign in first.", hint="Programs send `Authorization: Bearer <token>`."
                )
            # Not led to the sign-in page: nobody who fills in a form sends this.
            refused = AppError("Please sign in first.", hint="Nothing was read.")
            refused.status = 401
            raise refused

    async def _is_known(self, scope: Scope) -> bool:
        turn = Turn(self.turns, who_asks(scope))
        await turn.take()
        try:
            return await run_in_threadpool(self.is_signed_in, scope)
        finally:
            turn.end()

    async def _keep(self, incoming: Incoming, kept: IO[bytes], allowance: Allowance) -> None:
        place = Turn(self.reading[allowance.needs_person])
        has_place = False
        try:
            while not incoming.is_whole:
                message = await incoming()
                if message["type"] == "http.disconnect":
                    raise Gone
                if incoming.received > PLACELESS_BYTES and not has_place:
                    await place.take()
                    has_place = True
                if incoming.received <= IN_MEMORY_BYTES:
                    kept.write(message.get("body", b""))
                else:
                    await run_in_threadpool(kept.write, message.get("body", b""))
        except OSError as error:
            if is_disk_full(error):
                raise disk_full("What was sent") from error
            raise
        finally:
            place.end()


def has_body(headers: Headers) -> bool:
    """Whether a request says that something follows its headers."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def is_small(headers: Headers) -> bool:
    """Whether a body says that it is no larger than a sign-in form: it is read first, and the route asks who sent it."""
    declared = declared_bytes(headers)
    return declared is not None and declared <= PLACELESS_BYTES


def declared_bytes(headers: Headers) -> int | None:
    """How large a body says that it is, where it does."""
    declared = headers.get("content-length", "")
    if not declared.isdecimal():
        return None
    number = read_whole(declared, LARGEST_KEY)
    return LARGEST_KEY if number is None else number


def _nothing() -> Receive:
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


def _replayed(kept: IO[bytes], incoming: Incoming) -> Receive:
    left = incoming.received
    kept.seek(0)
    is_over = False

    async def receive() -> Message:
        nonlocal left, is_over
        if is_over:
            return await incoming()
        block = kept.read(IN_MEMORY_BYTES)
        left -= len(block)
        is_over = left <= 0
        return {"type": "http.request", "body": block, "more_body": not is_over}

    return receive


class _Closing:
    """Sends an answer, and says that nothing may follow it where the body was not read to its end."""

    def __init__(self, send: Send, incoming: Incoming) -> None:
        self._send = send
        self._incoming = incoming

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self._incoming.is_whole:
            MutableHeaders(scope=message)["Connection"] = "close"
        await self._send(message)


__all__ = ["Allowance", "Bodies", "too_large"]
