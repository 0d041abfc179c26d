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
from typing import Any, NoReturn

import httpx2

from worker.agents.agent import Account
from worker.agents.vlm.asking import Question
from worker.agents.vlm.pacing import Pace
from worker.ledger import JobFailed

Message = dict[str, Any]

TRIES = 5
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
MOST_TOKENS = 8192
MOST_BYTES = 1024 * 1024
TOO_MANY = 429
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
OPERATORS = frozenset({401, 402, 403, 404, 405})
# Ways to ask for JSON, the strictest first; a server that refuses one is asked in the next.
FORMATS = ("json_schema", "json_object", "text")
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


class _OtherFormat(Exception):
    """The server does not take this way of asking for JSON."""


@dataclass(frozen=True)
class Where:
    """The server, the model, and what it takes; prices are per million tokens."""

    url: str
    model: str
    key: str = ""
    seconds: float = 120.0
    price_in: float = 0.0
    price_out: float = 0.0


def _stopped() -> JobFailed:
    return JobFailed("infrastructure", "The agent was stopped.", again=True)


@dataclass
class Endpoint:
    """One server, asked by several threads. `close` ends all that is under way."""

    where: Where
    pace: Pace | None = None
    _format: int = 0
    _is_settled: bool = False
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._turn, name="vlm", daemon=True)
        self._thread.start()
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(self.where.seconds, connect=20.0), trust_env=False
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
            way = self._format
            if self.pace:
                await self.pace.turn()
            try:
                return await self._exchange(messages, question, FORMATS[way], account)
            except _OtherFormat:
                # Another thread may have found that out already.
                self._format = max(self._format, way + 1)
            except _Again as again:
                if turn >= again.tries:
                    await self._give_up(again)
                if self.pace and again.seconds:
                    await self.pace.hold(again.seconds)
                await asyncio.sleep(_pause(turn, again.seconds))
                turn += 1
                account.attempts = max(account.attempts, turn)

    async def _give_up(self, last: _Again) -> NoReturn:
        """Whether it is this question that cannot be answered, or none can: then the images are not to blame."""
        if last.tries == TRIES and await self._is_there():
            raise NotAnswered(
                f"The model's server did not answer, {TRIES} times: {last.reason}"
            ) from last
        raise JobFailed(
            "infrastructure", f"The model's server is away or too busy: {last.reason}", again=True
        ) from last

    async def _is_there(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                url = f"{self.where.url.rstrip('/')}/models"
                answer = await self._client.get(url, headers=self._headers())
        except (TimeoutError, httpx2.HTTPError):
            return False
        # A server without such a list is there, too.
        return answer.status_code < 500 and answer.status_code not in BUSY

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.where.key}"} if self.where.key else {}

    async def _exchange(
        self, messages: Sequence[Message], question: Question, form: str, account: Account
    ) -> str:
        body: dict[str, Any] = {
            "model": self.where.model,
            "messages": list(messages),
            "temperature": 0,
            "seed": 0,
            "max_tokens": MOST_TOKENS,
        } | _response_format(form, question)
        try:
            async with asyncio.timeout(self.where.seconds):
                status, headers_back, data = await self._send(body)
        except TimeoutError as error:
            raise _Again(f"it took longer than {self.where.seconds:g} seconds.") from error
        except httpx2.HTTPError as error:
            raise _Again(f"it cannot be reached, or broke off ({type(error).__name__}).") from error
        self._refuse(status, headers_back, form)
        self._is_settled = True
        return self._text_of(data, account)

    async def _send(self, body: dict[str, Any]) -> tuple[int, httpx2.Headers, bytes]:
        url = f"{self.where.url.rstrip('/')}/chat/completions"
        async with self._client.stream("POST", url, json=body, headers=self._headers()) as answer:
            data = b""
            async for chunk in answer.aiter_bytes():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise NotAnswered(f"The answer is longer than {MOST_BYTES // 1024} KiB.")
            return answer.status_code, answer.headers, data

    def _refuse(self, status: int, headers: httpx2.Headers, form: str) -> None:
        if status in BUSY:
            tries = PATIENCE if status == TOO_MANY else TRIES
            raise _Again(f"it says {status}.", _seconds(headers.get("retry-after", "")), tries)
        if status in OPERATORS:
            raise JobFailed(
                "user_config",
                f"The model's server refuses with {status}: address, model or key are wrong. The operator sets them "
                "(MORELLI_VISION_URL, MORELLI_VISION_MODEL, MORELLI_VISION_KEY).",
            )
        if status in (400, 422) and form != FORMATS[-1] and not self._is_settled:
            raise _OtherFormat
        if status != 200:
            raise NotAnswered(f"The model's server refuses this question ({status}).")

    def _text_of(self, data: bytes, account: Account) -> str:
        try:
            answer = json.loads(data)
            text = answer["choices"][0]["message"]["content"]
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
        plain = text if isinstance(text, str) else ""
        return plain.replace("\0", "").encode("utf-8", "replace").decode()


def _response_format(form: str, question: Question) -> dict[str, Any]:
    if form == "json_schema":
        named = {"name": question.name, "strict": True, "schema": question.schema}
        return {"response_format": {"type": form, "json_schema": named}}
    return {"response_format": {"type": form}} if form == "json_object" else {}


def _seconds(said: str) -> float:
    try:
        return min(max(float(said), 0.0), LONGEST_PAUSE_SECONDS)
    except ValueError:
        return 0.0


def _pause(turn: int, asked: float) -> float:
    """Longer each time and never the same for two, so that those who were refused together come back apart."""
    longest: float = min(FIRST_PAUSE_SECONDS * 2 ** (turn - 1), LONGEST_PAUSE_SECONDS)
    return max(asked, longest * random.uniform(0.5, 1.0))
