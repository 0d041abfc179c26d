"""A Redis that takes connections and answers nothing: whoever asks for a job, or looks at a run, does not wait for it."""

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from app.errors import Unavailable
from app.jobs import queueing
from app.runs import watching
from app.settings import settings


@pytest.fixture
def hung(servers: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setattr(settings(), "redis_url", SecretStr(f"redis://127.0.0.1:{port}/0"))
        queueing._celery.cache_clear()
        yield
        queueing._celery.cache_clear()


def test_ringing_gives_up_soon(hung: None) -> None:
    began = time.monotonic()
    queueing.ring(1, "cpu")
    assert time.monotonic() - began < 10


def test_following_a_run_gives_up_soon(hung: None) -> None:
    async def follow() -> None:
        async with watching.listening(1):
            pass

    began = time.monotonic()
    with pytest.raises(Unavailable, match="Redis does not answer"):
        asyncio.run(follow())
    watching.publish(1)
    assert time.monotonic() - began < 10
