"""Asks an OpenAI-compatible server, with patience: it may be slow, busy, cut off or away.

All exchanges run in one event loop, so that whoever waits can be told at any time to stop.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field

import httpx2

from app.outgoing import Network, NotFetched, NotReachable
from worker.agents.agent import Account
from worker.agents.vlm.asking import Question
from worker.agents.vlm.breaker import Away, Breaker
from worker.agents.vlm.pacing import Pace
from worker.agents.vlm.reaching import Reach
from worker.agents.vlm.ways import Message, Way, said_in
from worker.ledger import JobFailed

TRIES = 5
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
MOST_BYTES = 1024 * 1024
TOO_MANY = 429
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
# What says that a question has a form or a field which the server does not know.
WRONG = frozenset({400, 422})
OPERATORS = frozenset({401, 402, 403, 404, 405})
# A server is taken for broken when more questions than these fail one after the other, with all their tries.
LONGEST_ROW = 8
# How often a server that asks for patience gets it: with pauses that grow to a minute, some twenty minutes.
PATIENCE = 25
PROBE_SECONDS = 20.0


class NotAnswered(Exception):
    """A question that got no answer that could be used; `reason` says why in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Again(Exception):
    """Ask again, after so many seconds where the server said so, and so many times in all."""

    def __init__(self, reason: str, seconds: float = 0.0, tries: int = TRIES) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds
        self.tries = tries


class _OtherWay(Exception):
    """The server does not take this way of asking."""


@dataclass(frozen=True)
class Where:
    """The server, the model, and what it takes; prices are per million tokens. `private` are the networks that are
    not public and in which it may stand.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    seconds: float = 120.0
    price_in: float = 0.0
    price_out: float = 0.0
    private: Sequence[Network] = ()


def _stopped() -> JobFailed:
    return JobFailed("infrastructure", "The agent was stopped.", again=True)


@dataclass
class Endpoint:
    """One server, asked by as many threads as `at_once` says. `close` ends all that is under way."""

    where: Where
    pace: Pace | None = None
    at_once: int = 1
    way: Way = field(default_factory=Way)
    waits: str = field(default="", init=False)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        self._reach = Reach(self.where.url, self.where.private)
        self._thread = threading.Thread(target=self._turn, name="vlm", daemon=True)
        self._thread.start()
        self._breaker = Breaker(TRIES * (min(self.at_once, LONGEST_ROW) + 1))
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(self.where.seconds, connect=20.0),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=self.at_once),
            trust_env=False,
        )

    def _turn(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def ask(self, messages: Sequence[Message], question: Question, account: Account) -> str:
        """The text of an answer. Raises NotAnswered for this question alone, JobFailed where asking on is no use."""
        asking = self._patiently(messages, question, account)
        try:
            return asyncio.run_coroutine_threadsafe(asking, self._loop).result()
        except CancelledError:
            raise _stopped() from None
        except RuntimeError:
            if not self._loop.is_closed():
                raise
            asking.close()
            raise _stopped() from None

    def close(self) -> None:
        """End all exchanges; whoever waits for one gets JobFailed."""

        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for each in others:
                each.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await self._client.aclose()
            if self.pace:
                await self.pace.close()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    async def _patiently(
        self, messages: Sequence[Message], question: Question, account: Account
    ) -> str:
        turn = 1
        while True:
            try:
                return await self._once(messages, question, account)
            except _OtherWay:
                continue
            except Away as error:
                raise _is_away("it answers nobody.") from error
            except _Again as again:
                await self._rest(again, turn)
                turn += 1
                account.attempts = max(account.attempts, turn)

    async def _once(self, messages: Sequence[Message], question: Question, account: Account) -> str:
        """Ask when it is this question's turn. Raises _Again, _OtherWay, Away and what `ask` does."""
        async with self._breaker.passage():
            if self.pace:
                await self.pace.turn()
            try:
                said = await self._exchange(messages, question, account)
            except _Again as again:
                # Who says that it has too much to do is there.
                self._breaker.answered() if again.tries == PATIENCE else self._breaker.failed()
                raise
            except (_OtherWay, NotAnswered):
                self._breaker.answered()
                raise
            self._breaker.answered()
            self.waits = ""
            return said

    async def _rest(self, again: _Again, turn: int) -> None:
        """Wait before asking again. Raises NotAnswered where it is this question that cannot be answered, JobFailed
        where none can be: then the images are not to blame.
        """
        if again.tries == PATIENCE:
            self.waits = f"waiting for the model's server: {again.reason}"
        if turn >= again.tries and again.tries == PATIENCE:
            raise _is_away(again.reason) from again
        if turn >= again.tries and not self._breaker.is_open:
            if await self._is_there():
                raise NotAnswered(
                    f"The model's server did not answer, {TRIES} times: {again.reason}"
                ) from again
            self._breaker.open()
        if self._breaker.is_open:
            self.waits = f"waiting for the model's server, which answers nobody: {again.reason}"
            if self.pace:
                await self.pace.hold(self._breaker.rest_seconds)
            return
        if self.pace and again.seconds:
            await self.pace.hold(again.seconds)
        await asyncio.sleep(_pause(turn, again.seconds))

    async def _is_there(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                asked = await self._reach.request(self._client, "GET", "models", self._headers())
                answer = await self._client.send(asked)
        except (TimeoutError, httpx2.HTTPError, NotFetched):
            return False
        # A server without such a list is there, too.
        return answer.status_code < 500 and answer.status_code not in BUSY

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.where.key}"} if self.where.key else {}

    async def _exchange(
        self, messages: Sequence[Message], question: Question, account: Account
    ) -> str:
        form = self.way.form
        body = self.way.body(self.where.model, messages, question)
        try:
            async with asyncio.timeout(self.where.seconds):
                status, headers_back, data = await self._send(body, account)
        except TimeoutError as error:
            raise _Again(f"it took longer than {self.where.seconds:g} seconds.") from error
        except NotReachable as error:
            raise JobFailed("user_config", f"The model's server: {error.reason}") from error
        except NotFetched as error:
            raise _Again(error.reason) from error
        except httpx2.HTTPError as error:
            raise _Again(f"it cannot be reached, or broke off ({type(error).__name__}).") from error
        if status in WRONG and self.way.give_way(form, data):
            raise _OtherWay
        _refuse(status, headers_back)
        self.way.is_settled = True
        return self._text_of(data, account)

    async def _send(self, body: Message, account: Account) -> tuple[int, httpx2.Headers, bytes]:
        asked = await self._reach.request(
            self._client, "POST", "chat/completions", self._headers(), body
        )
        account.requests += 1
        try:
            answer = await self._client.send(asked, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            account.requests -= 1  # it never heard of it
            raise
        try:
            data = b""
            async for chunk in answer.aiter_bytes():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise _Again(f"what it sends is longer than {MOST_BYTES // 1024} KiB.")
            return answer.status_code, answer.headers, data
        finally:
            await answer.aclose()

    def _text_of(self, data: bytes, account: Account) -> str:
        try:
            answer = json.loads(data)
            text = said_in(answer["choices"][0]["message"])
            usage = answer.get("usage") or {}
            read, wrote = int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        except (
            ValueError,
            KeyError,
            IndexError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise _Again("what it sends is no chat completion.") from error
        account.tokens_in += max(read, 0)
        account.tokens_out += max(wrote, 0)
        account.cost += (
            max(read, 0) * self.where.price_in + max(wrote, 0) * self.where.price_out
        ) / 1e6
        # What no table can keep and no message can carry is left out here, once.
        return text.replace("\0", "").encode("utf-8", "replace").decode()


def _is_away(reason: str) -> JobFailed:
    said = f"The model's server is away or too busy: {reason}"
    return JobFailed("infrastructure", said, again=True)


def _refuse(status: int, headers: httpx2.Headers) -> None:
    if status in BUSY:
        tries = PATIENCE if status == TOO_MANY else TRIES
        raise _Again(f"it says {status}.", _seconds(headers.get("retry-after", "")), tries)
    if status in OPERATORS:
        raise JobFailed(
            "user_config",
            f"The model's server refuses with {status}: address, model or key are wrong. The operator sets them "
            "(MORELLI_VISION_URL, MORELLI_VISION_MODEL, MORELLI_VISION_KEY).",
        )
    if status != 200:
        raise NotAnswered(f"The model's server refuses this question ({status}).")


def _seconds(said: str) -> float:
    try:
        return min(max(float(said), 0.0), LONGEST_PAUSE_SECONDS)
    except ValueError:
        return 0.0


def _pause(turn: int, asked: float) -> float:
    """Longer each time and never the same for two, so that those who were refused together come back apart."""
    longest: float = min(FIRST_PAUSE_SECONDS * 2 ** (turn - 1), LONGEST_PAUSE_SECONDS)
    return max(asked, longest * random.uniform(0.5, 1.0))
