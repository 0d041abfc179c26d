"""Requests made by hand, one message at a time, as no polite client would make them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message, Scope


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[None]:
    """The application as a server starts it."""
    async with app.router.lifespan_context(app):
        yield


@dataclass
class Heard:
    """What came back, and how many bytes of the body were taken before that."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    taken: int = 0


async def ask(
    app: Any,
    path: str,
    cookie: str = "",
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: Iterator[bytes] | None = None,
) -> Heard:
    """One request; `body` is asked for its next piece when the application is, and None never comes."""
    sent = {"host": "127.0.0.1:8000", "sec-fetch-site": "same-origin", "cookie": cookie} | (
        headers or {}
    )
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
    }
    pieces = body if body is not None else iter(())
    heard, over, has_ended = Heard(), asyncio.Event(), False

    async def receive() -> Message:
        nonlocal has_ended
        piece = next(pieces, None)
        if piece is None:
            if has_ended:
                await over.wait()
                return {"type": "http.disconnect"}
            has_ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if heard.status == 0:
            heard.taken += len(piece)
        if piece == b"":
            await over.wait()
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            heard.status = message["status"]
            heard.headers = {n.decode(): v.decode() for n, v in message["headers"]}
        else:
            heard.body += message.get("body", b"")

    await app(scope, receive, send)
    return heard
