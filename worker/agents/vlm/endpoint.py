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
from typing import Any

import httpx2

from worker.agents.agent import Account
from worker.agents.vlm.asking import Question
from worker.ledger import JobFailed

Message = dict[str, Any]

TRIES = 5
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
MOST_TOKENS = 8192
MOST_BYTES = 1024 * 1024
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
OPERATORS = frozenset({401, 402, 403, 404, 405})
# Ways to ask for JSON, the strictest first; a server that refuses one is asked in the next.
FORMATS = ("json_schema", "json_object", "text")
# So many questions in a row that came to nothing say that the server is away, not that an image is odd.
MOST_IN_VAIN = 3


class NotAnswered(Exception):
    """A question that got no answer that could be used; `reason` says why in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Again(Exception):
    """Ask again, after so many seconds where the server said so."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


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


@dataclass
class Endpoint:
    """One server, asked by several threads. `close` ends all that is under way."""

    where: Where
    _format: int = 0
    _is_settled: bool = False
    _in_vain: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        threading.Thread(target=self._loop.run_forever, name="vlm", daemon=True).start()
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(self.where.seconds, connect=20.0), trust_env=False
        )

    def ask(self, messages: Sequence[Message], question: Question, account: Account) -> str:
        """The text of an answer. Raises NotAnswered for this question alone, JobFailed where asking on is no use."""
        waiting = asyncio.run_coroutine_threadsafe(
            self._patiently(messages, question, account), self._loop
        )
        try:
            answer = waiting.result()
        except CancelledError:
            raise JobFailed("infrastructure", "The agent was stopped.", again=True) from None
        except _Again as error:
            self._in_vain += 1
            if self._in_vain >= MOST_IN_VAIN:
                raise JobFailed(
                    "infrastructure", f"The model's server is away: {error.reason}", again=True
                ) from error
            raise NotAnswered(
                f"The model's server did not answer, {TRIES} times: {error.reason}"
            ) from error
        self._in_vain = 0
        return answer

    def close(self) -> None:
        """End all exchanges; whoever waits for one gets JobFailed."""

        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for each in others:
                each.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await self._client.aclose()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _patiently(
        self, messages: Sequence[Message], question: Question, account: Account
    ) -> str:
        turn = 1
        while True:
            way = self._format
            try:
                return await self._exchange(messages, question, FORMATS[way], account)
            except _OtherFormat:
                # Another thread may have found that out already.
                self._format = max(self._format, way + 1)
            except _Again as again:
                if turn == TRIES:
                    raise
                await asyncio.sleep(_pause(turn, again.seconds))
                turn += 1
                account.attempts = max(account.attempts, turn)

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
        headers = {"Authorization": f"Bearer {self.where.key}"} if self.where.key else {}
        try:
            async with asyncio.timeout(self.where.seconds):
                status, headers_back, data = await self._send(body, headers)
        except TimeoutError as error:
            raise _Again(f"it took longer than {self.where.seconds:g} seconds.") from error
        except httpx2.HTTPError as error:
            raise _Again(f"it cannot be reached, or broke off ({type(error).__name__}).") from error
        self._refuse(status, headers_back, form)
        self._is_settled = True
        return self._text_of(data, account)

    async def _send(
        self, body: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, httpx2.Headers, bytes]:
        url = f"{self.where.url.rstrip('/')}/chat/completions"
        async with self._client.stream("POST", url, json=body, headers=headers) as answer:
            data = b""
            async for chunk in answer.aiter_bytes():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise NotAnswered(f"The answer is longer than {MOST_BYTES // 1024} KiB.")
            return answer.status_code, answer.headers, data

    def _refuse(self, status: int, headers: httpx2.Headers, form: str) -> None:
        if status in BUSY:
            raise _Again(f"it says {status}.", _seconds(headers.get("retry-after", "")))
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
