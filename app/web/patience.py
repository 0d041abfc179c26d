"""How long a connection may stand still: while it sends a request's head, and while it takes an answer.

The server beneath closes connections that rest between requests, and nothing else: who drips a header, or
never reads what was asked for, would hold a connection and the answer's bytes for ever. Bodies that drip
are the matter of `app.web.bodies`.
"""

import asyncio
import resource

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# From the first byte of a request, or from connecting, to the end of its headers.
HEAD_SECONDS = 20.0
# Without one byte taken of an answer that waits.
READ_SECONDS = 60.0
LOOK_SECONDS = 5.0
# Files that the process needs for other things than connections.
OTHER_FILES = 256


def most_connections() -> int:
    """So many that files and the database can still be opened."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return 2**31
    return max(files - OTHER_FILES, files // 2)


class Patient(H11Protocol):
    """A connection that is closed where its client stands still; one too many is closed at once."""

    _head_since: float | None
    _taken_at: float
    _waiting_bytes = 0
    _looking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
            return
        self._head_since = self._taken_at = self.loop.time()
        self._looking = self.loop.call_later(LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_between_requests() and self._head_since is None:
            self._head_since = self.loop.time()
        super().data_received(data)
        if not self._is_between_requests() or self.conn.their_state is h11.DONE:
            self._head_since = None

    def resume_writing(self) -> None:
        self._taken_at = self.loop.time()
        super().resume_writing()

    def _is_between_requests(self) -> bool:
        # None before the first request, whatever its type says.
        return not self.cycle or self.cycle.response_complete

    def _look(self) -> None:
        now = self.loop.time()
        waiting = self.transport.get_write_buffer_size()
        if waiting == 0 or waiting < self._waiting_bytes:
            self._taken_at = now
        self._waiting_bytes = waiting
        drips = self._head_since is not None and now - self._head_since > HEAD_SECONDS
        if drips or now - self._taken_at > READ_SECONDS:
            # Not closed in peace: that would wait for what is not taken.
            self.transport.abort()
            return
        self._looking = self.loop.call_later(LOOK_SECONDS, self._look)
