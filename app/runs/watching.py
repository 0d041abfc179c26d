"""Who looks at a run hears of its changes: Redis publish and subscribe.

A message says only that something changed; what changed is read from the tables. A lost message costs a
few seconds, because pages also ask from time to time.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

import redis
import redis.asyncio
from sqlalchemy.orm import Session

from app.database import after_commit
from app.errors import Unavailable
from app.settings import settings

log = logging.getLogger("morelli.runs")
_listening: set[int] = set()
# A Redis that has not answered by then does not answer.
ANSWER_SECONDS = 2.0
HEARTBEAT_SECONDS = 15.0
# A stream ends after this; the browser opens it again, and with that the rights are checked again.
STREAM_SECONDS = 600.0
# Each of them is a connection to Redis, which jobs need too; who comes after them asks from time to time.
MOST_LISTENING = 1000


def channel_of(run_id: int) -> str:
    """The Redis channel of a run."""
    return f"morelli:run:{run_id}"


@lru_cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
    )


def publish(run_id: int) -> None:
    """Say that a run changed. Where Redis does not answer, pages find out by asking."""
    url = settings().redis_url
    if url is None:
        return
    try:
        _client(url.get_secret_value()).publish(channel_of(run_id), json.dumps({"run": run_id}))
    except (redis.RedisError, OSError) as error:
        log.warning("run %s: nobody was told of a change (%s)", run_id, type(error).__name__)


def announce(db: Session, run_id: int) -> None:
    """Say that a run changed once this unit of work has committed."""
    after_commit(db, lambda: publish(run_id))


@asynccontextmanager
async def listening(run_id: int) -> AsyncIterator["redis.asyncio.client.PubSub"]:
    """A subscription to a run's changes. Raises Unavailable where Redis does not answer, or too many listen."""
    url = settings().redis_url
    if url is None:
        raise Unavailable("There is no Redis, so changes cannot be followed live.")
    if len(_listening) >= MOST_LISTENING:
        raise Unavailable("Too many follow changes live.")
    client = redis.asyncio.Redis.from_url(
        url.get_secret_value(), socket_connect_timeout=ANSWER_SECONDS
    )
    _listening.add(id(client))
    try:
        subscription = client.pubsub()
        try:
            # One that takes the connection and then answers nothing has no other end.
            async with asyncio.timeout(ANSWER_SECONDS):
                await subscription.subscribe(channel_of(run_id))
        except (redis.RedisError, OSError) as error:
            raise Unavailable("Changes cannot be followed live: Redis does not answer.") from error
        try:
            yield subscription
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call]
    finally:
        _listening.discard(id(client))
        await client.aclose()


async def next_change(subscription: "redis.asyncio.client.PubSub", seconds: float) -> bool:
    """Wait for a change, for `seconds` at most; several in a row count as one. Raises Unavailable."""
    try:
        found = await subscription.get_message(ignore_subscribe_messages=True, timeout=seconds)
        if found is None:
            return False
        while await subscription.get_message(ignore_subscribe_messages=True, timeout=0.05):
            pass
    except (redis.RedisError, OSError) as error:
        raise Unavailable("Redis has gone away.") from error
    return True
