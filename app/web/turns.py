"""Whose turn it is: so many requests at a time, everyone's first before anyone's second, in order.

A request that waits holds nothing that another one needs: no thread, no connection, no body. As no more
requests are let in than there are threads and connections, none that is let in ever waits for
another one that waits for it.
"""

import asyncio
import heapq
import itertools
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooBusy
from app.web.errors import show_error

# What answers whether the process lives, and what a page needs to look right while it waits.
APART = ("/healthz", "/readyz", "/static/")


@dataclass(eq=False)
class _Waiting:
    loop: asyncio.AbstractEventLoop
    called: "asyncio.Future[None]"
    who: str
    round: int
    number: int
    is_called: bool = False
    has_left: bool = False

    def __lt__(self, other: "_Waiting") -> bool:
        return (self.round, self.number) < (other.round, other.number)


class Turns:
    """A queue with `at_once` places before it; at most `most_waiting` stand in it.

    It goes round among those who wait: who has five hundred requests in it holds up the one request of
    somebody else by one of them. Those of one client come in order.

    It belongs to no event loop, so that several (those of the tests) may share one application.
    """

    def __init__(self, at_once: int, most_waiting: int) -> None:
        self._free = at_once
        self._most = most_waiting
        self._queue: list[_Waiting] = []
        self._arrivals = itertools.count()
        self._round = 0
        self._last: dict[str, int] = {}
        self._number_waiting = 0
        self._lock = threading.Lock()

    def enter_at_once(self) -> bool:
        """Take a place where one is free and nobody waits for it."""
        with self._lock:
            if self._free and not self._number_waiting:
                self._free -= 1
                return True
            return False

    async def enter(self, who: str = "") -> None:
        """Take a place when it is this client's turn. Raises TooBusy where too many wait already."""
        if self.enter_at_once():
            return
        loop = asyncio.get_running_loop()
        called = loop.create_future()
        with self._lock:
            if self._free and not self._number_waiting:
                self._free -= 1
                return
            if self._number_waiting >= self._most:
                raise TooBusy(
                    "Too many requests are waiting at this moment.",
                    hint="Nothing was changed. Try again in a few seconds.",
                )
            mine = self._stand_in_line(_Waiting(loop, called, who, 0, next(self._arrivals)))
        try:
            await mine.called
        except asyncio.CancelledError:
            self._forget(mine)
            raise

    def _stand_in_line(self, mine: _Waiting) -> _Waiting:
        # Nobody joins a round that is under way, so each has an end and nobody waits for ever.
        mine.round = max(self._round, self._last.get(mine.who, 0)) + 1
        self._last[mine.who] = mine.round
        heapq.heappush(self._queue, mine)
        self._number_waiting += 1
        return mine

    def _first_in_line(self) -> _Waiting:
        first = heapq.heappop(self._queue)
        self._round = first.round
        if self._last.get(first.who) == first.round:
            del self._last[first.who]
        return first

    def _forget(self, mine: _Waiting) -> None:
        with self._lock:
            if not mine.is_called:
                mine.has_left = True
                self._number_waiting -= 1
                return
        self.leave()

    def leave(self) -> None:
        """Give a place back: to whose turn it is."""
        with self._lock:
            while self._queue:
                first = self._first_in_line()
                if first.has_left:
                    continue
                self._number_waiting -= 1
                # A closed loop has nobody in it who could come.
                with suppress(RuntimeError):
                    first.loop.call_soon_threadsafe(_call, first.called)
                    first.is_called = True
                    return
            self._free += 1


def who_asks(scope: Scope) -> str:
    """Whose turn a request takes: that of a session or token, else of an address."""
    headers = Headers(scope=scope)
    client = scope.get("client")
    return headers.get("authorization") or headers.get("cookie") or (client[0] if client else "")


def _call(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


class Turn:
    """One request's place, which it may leave for a while."""

    def __init__(self, turns: Turns, who: str = "") -> None:
        self._turns = turns
        self._who = who
        self._is_in = False

    def take_at_once(self) -> bool:
        """Take the place where that needs no waiting."""
        self._is_in = self._turns.enter_at_once()
        return self._is_in

    async def take(self) -> None:
        """Wait for the place. Raises TooBusy."""
        await self._turns.enter(self._who)
        self._is_in = True

    def end(self) -> None:
        """Give the place back; a second time changes nothing."""
        if self._is_in:
            self._is_in = False
            self._turns.leave()

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """Let others go first while this request waits for its client, and queue again afterwards.

        The request must hold no connection meanwhile.
        """
        self.end()
        yield
        await self.take()


class _Ahead:
    """What a waiting request has received already, then what else comes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: deque[Message] = deque()

    async def until_gone(self) -> None:
        """Return when the client has gone away; where a body is still coming, never."""
        while True:
            message = await self._receive()
            self._kept.append(message)
            if message["type"] == "http.disconnect":
                return
            if message.get("more_body"):
                await asyncio.Event().wait()

    async def __call__(self) -> Message:
        return self._kept.popleft() if self._kept else await self._receive()


class InTurn:
    """The middleware: every request but those of `APART` waits for its turn.

    The place is given back as soon as the answer begins: a slow reader holds up nobody, and a page that
    listens for hours counts for nothing.
    """

    def __init__(self, app: ASGIApp, *, turns: Turns) -> None:
        self.app = app
        self.turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(APART):
            await self.app(scope, receive, send)
            return
        turn = Turn(self.turns, who_asks(scope))
        ahead = _Ahead(receive)

        async def send_and_end(message: Message) -> None:
            if message["type"] == "http.response.start":
                turn.end()
            await send(message)

        try:
            if not turn.take_at_once() and not await _wait(turn, ahead):
                return
            scope.setdefault("state", {})["turn"] = turn
            await self.app(scope, ahead, send_and_end)
        except TooBusy as error:
            await show_error(Request(scope), error)(scope, receive, send)
        finally:
            turn.end()


async def _wait(turn: Turn, ahead: _Ahead) -> bool:
    """Wait for the turn; False where the client went away meanwhile. Raises TooBusy."""
    taken = asyncio.ensure_future(turn.take())
    gone = asyncio.ensure_future(ahead.until_gone())
    try:
        await asyncio.wait({taken, gone}, return_when=asyncio.FIRST_COMPLETED)
        if taken.done():
            taken.result()
            return True
        gone.result()
        return False
    finally:
        for each in (taken, gone):
            each.cancel()
        await asyncio.gather(taken, gone, return_exceptions=True)
