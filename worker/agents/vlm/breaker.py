"""Stops asking a server that answers nobody, and tries again with one question at a time.

After so many failures in a row nobody asks for a while; then one question goes alone. Its answer lets the others go
on, its failure makes the pause longer. So an outage costs neither images their labels nor the server a storm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

log = logging.getLogger("morelli.worker")

FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 60.0
# Questions that go alone before it is given up: with the pauses above some nine minutes.
TRIALS = 12


class Away(Exception):
    """The server did not answer for so long that asking on is no use now."""


@dataclass
class Breaker:
    """Of one server, in one event loop; `limit` is how many failures in a row open it."""

    limit: int
    is_open: bool = False
    _failures: int = 0
    _trials: int = 0
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Wait until a question may be asked, and ask it within. Raises Away."""
        is_trial = await self._may_go()
        try:
            yield
        finally:
            if is_trial:
                self._alone.release()

    def answered(self) -> None:
        """The server answered, whatever it said."""
        if self.is_open:
            log.info("the model's server answers again")
        self._failures, self._trials, self.is_open = 0, 0, False

    def failed(self) -> None:
        """An exchange came to nothing."""
        self._failures += 1
        if self._failures >= self.limit:
            self.open()

    def open(self) -> None:
        """Nobody asks for a while."""
        if not self.is_open:
            log.warning("the model's server answers nobody: one question at a time until it does")
        self.is_open = True

    @property
    def rest_seconds(self) -> float:
        """How long nobody asks before the next trial."""
        longest: float = min(FIRST_REST_SECONDS * 2**self._trials, LONGEST_REST_SECONDS)
        return longest

    async def _may_go(self) -> bool:
        """Wait for the turn; whether the question then goes alone, holding the lock."""
        if not self.is_open:
            return False
        await self._alone.acquire()
        is_trial = False
        try:
            is_trial = await self._is_to_try()
        finally:
            if not is_trial:
                self._alone.release()
        return is_trial

    async def _is_to_try(self) -> bool:
        if not self.is_open:  # the trial before was answered
            return False
        if self._trials >= TRIALS:
            raise Away
        await asyncio.sleep(self.rest_seconds)
        self._trials += 1
        return True
