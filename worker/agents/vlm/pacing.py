"""The pace at which all workers together ask one server: so many questions a minute, and pauses that it asked for.

Kept in Redis. Where Redis does not answer, nobody is held up: the server says itself when it is too much.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from dataclasses import dataclass, field

import redis.asyncio
from redis.exceptions import RedisError

log = logging.getLogger(__name__)
WINDOW_SECONDS = 60.0
ANSWER_SECONDS = 2.0
SPREAD_SECONDS = 1.0


@dataclass
class Pace:
    """Shared by all who ask the server of this name."""

    redis_url: str
    name: str
    per_minute: int | None = None
    _redis: redis.asyncio.Redis = field(init=False)

    def __post_init__(self) -> None:
        self._redis = redis.asyncio.Redis.from_url(
            self.redis_url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        )
        self._key = f"morelli:pace:{hashlib.sha256(self.name.encode()).hexdigest()[:16]}"

    async def turn(self) -> None:
        """Wait until the server may be asked."""
        try:
            while (seconds := await self._seconds_to_wait()) > 0:
                # Those who waited together come back apart.
                await asyncio.sleep(seconds + random.uniform(0, min(seconds, SPREAD_SECONDS)))
        except (RedisError, OSError) as error:
            log.warning("the pace of asking is not shared: Redis (%s)", type(error).__name__)

    async def hold(self, seconds: float) -> None:
        """Nobody asks for so long: the server said so."""
        try:
            await self._redis.set(f"{self._key}:hold", 1, px=max(1, round(seconds * 1000)))
        except (RedisError, OSError) as error:
            log.warning("a pause is not shared: Redis (%s)", type(error).__name__)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _seconds_to_wait(self) -> float:
        held = int(await self._redis.pttl(f"{self._key}:hold"))
        if held > 0:
            return held / 1000
        if self.per_minute is None:
            return 0.0
        now = time.time()
        window = f"{self._key}:{int(now // WINDOW_SECONDS)}"
        async with self._redis.pipeline() as both:
            both.incr(window)
            both.expire(window, round(2 * WINDOW_SECONDS) + 1)
            asked, _ = await both.execute()
        return 0.0 if asked <= self.per_minute else WINDOW_SECONDS - now % WINDOW_SECONDS
