"""How long a connection may stand still, and how much a request may be beside its body.

The server beneath closes connections that rest between requests, and nothing else: who drips a header, or
never reads what was asked for, would hold a connection and the answer's bytes for ever. Bodies that drip
are the matter of `app.web.bodies`. Who is refused in the middle of a body is listened to for a moment
longer: closed with bytes unread, a connection takes along the answer that was not read yet. How requests
are told apart is the matter of `app.web.framing`.
"""

import asyncio
import resource
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, cast
from weakref import WeakKeyDictionary

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.web.framing import Framed

# From the first byte of a request, or from connecting, to the end of its headers.
HEAD_SECONDS = 20.0
# Without one byte taken of an answer that waits.
READ_SECONDS = 60.0
LOOK_SECONDS = 5.0
# Who is refused in the middle of sending has so long to look at the answer. Meanwhile what still comes is
# thrown away as it is read, and seldom.
LINGER_SECONDS = 1.0
LINGER_PAUSE = 0.05
# Headers, trailers and the frames of chunks: so much, and a few bytes more for each byte of the body.
BESIDE_BODY_BYTES = 64 * 1024
FRAME_BYTES = 16
# Of many requests that come in one moment so many begin before the loop looks around again. Who asks whether
# the process lives does not wait behind them.
BEGIN_AT_ONCE = 16
HEALTH = "/healthz"
# Files that the process needs for other things than connections.
OTHER_FILES = 256


def most_connections() -> int:
    """So many that files and the database can still be opened."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return 2**31
    return max(files - OTHER_FILES, files // 2)


class _Beginnings:
    """Requests of an event loop that have come and begin in order, a few at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()

    def add(self, begin: Callable[[], None]) -> None:
        self._waiting.append(begin)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        for _ in range(min(BEGIN_AT_ONCE, len(self._waiting))):
            self._waiting.popleft()()
        if self._waiting:
            self._loop.call_soon(self._go_on)


_beginnings: WeakKeyDictionary[asyncio.AbstractEventLoop, _Beginnings] = WeakKeyDictionary()


class _LeavesSlowly:
    """A transport whose `close` lets its connection linger where a request is still coming."""

    def __init__(self, transport: asyncio.Transport, connection: "Patient") -> None:
        self._transport = transport
        self._connection = connection

    def close(self) -> None:
        if self._connection.is_incoming and not self.is_closing():
            self._connection.linger()
        else:
            self._transport.close()

    def is_closing(self) -> bool:
        return self._connection.is_lingering or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Patient(Framed):
    """A connection that is closed where its client stands still; one too many is closed at once."""

    is_lingering = False
    # A request has begun to come and is not whole.
    is_incoming = False
    _socket: asyncio.Transport
    _head_since: float | None
    _taken_at: float
    _waiting_bytes = 0
    _reading_bytes = 0
    _request_bytes = 0
    _body_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._socket = transport
        super().connection_made(cast(asyncio.Transport, _LeavesSlowly(transport, self)))
        if len(self.connections) > most_connections():
            transport.abort()
            return
        self._head_since = self._taken_at = self.loop.time()
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.is_incoming = False
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_lingering:
            self._socket.pause_reading()
            self.loop.call_later(LINGER_PAUSE, self._read_again)
            return
        if self._head_since is None and (not self.cycle or self.cycle.response_complete):
            self._head_since = self.loop.time()
        self._reading_bytes = len(data)
        self._request_bytes += len(data)
        super().data_received(data)
        if self._is_too_much():
            self.send_400_response("The headers of the request are too large.")

    def on_message_begin(self) -> None:
        self.is_incoming = True
        self._request_bytes, self._body_bytes = self._reading_bytes, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_since = None
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        begin = partial(super()._start_asgi_task, cycle, app)
        if cycle.scope["path"] == HEALTH:
            begin()
        else:
            _beginnings.setdefault(self.loop, _Beginnings(self.loop)).add(begin)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.is_incoming = False
        super().on_message_complete()

    def resume_writing(self) -> None:
        self._taken_at = self.loop.time()
        super().resume_writing()

    def linger(self) -> None:
        """Listen no more, and close after a moment."""
        self.is_lingering = True
        if self.cycle:
            self.cycle.body.clear()
        self._head_since = None
        self._read_again()
        self.loop.call_later(LINGER_SECONDS, self._socket.close)

    def _read_again(self) -> None:
        if not self._socket.is_closing():
            self._socket.resume_reading()

    def _is_too_much(self) -> bool:
        allowed = BESIDE_BODY_BYTES + (1 + FRAME_BYTES) * self._body_bytes
        return self.is_incoming and not self.is_lingering and self._request_bytes > allowed

    def _look(self) -> None:
        now = self.loop.time()
        waiting = self._socket.get_write_buffer_size()
        if waiting == 0 or waiting < self._waiting_bytes:
            self._taken_at = now
        self._waiting_bytes = waiting
        drips = self._head_since is not None and now - self._head_since > HEAD_SECONDS
        if drips or now - self._taken_at > READ_SECONDS:
            # Not closed in peace: that would wait for what is not taken.
            self._socket.abort()
            return
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)
