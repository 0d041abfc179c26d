"""Workers that ask one server keep to one pace."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from app.settings import settings
from tests.worker.agents.vlm.scripted import LOOPBACK, Act, Server, everything
from tests.worker.agents.vlm.test_endpoint import look
from worker.agents.vlm import VlmAgent, pacing
from worker.agents.vlm.endpoint import Endpoint, Where
from worker.agents.vlm.pacing import Pace


@pytest.fixture
def redis_url(servers: None) -> str:
    url = settings().redis_url
    assert url is not None
    return url.get_secret_value()


def seconds(work: Coroutine[Any, Any, None]) -> float:
    began = time.monotonic()
    asyncio.run(work)
    return time.monotonic() - began


def test_two_workers_share_what_a_minute_allows(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "WINDOW_SECONDS", 1.0)

    async def ask() -> None:
        paces = [Pace(redis_url, "shared", per_minute=2) for _ in range(2)]
        for number in range(7):
            await paces[number % 2].turn()
        for each in paces:
            await each.close()

    # Seven turns, two in each window: the last is in the fourth at the earliest.
    assert seconds(ask()) > 2.0


def test_a_pause_that_one_was_told_holds_for_all_who_ask_that_server(redis_url: str) -> None:
    async def ask(other: str) -> None:
        first, second = Pace(redis_url, "held"), Pace(redis_url, other)
        await first.hold(1.5)
        await second.turn()
        await first.close()
        await second.close()

    assert seconds(ask("held")) > 1.0
    assert seconds(ask("another")) < 1.0


def test_without_redis_nobody_is_held_up(tmp_path: Any) -> None:
    async def ask() -> None:
        pace = Pace(f"unix://{tmp_path}/none", "away", per_minute=1)
        for _ in range(3):
            await pace.turn()
        await pace.hold(60)
        await pace.close()

    assert seconds(ask()) < 5.0


def test_a_server_that_asks_for_a_pause_gets_it_from_other_runs_too(
    redis_url: str, server: Server
) -> None:
    server.answer = lambda asked: (
        Act(status=429, headers={"Retry-After": "2"}) if asked.number == 1 else everything(asked)
    )
    where = Where(server.url, "eye", private=LOOPBACK)
    one, other = (VlmAgent(Endpoint(where, Pace(redis_url, server.url)), 1) for _ in range(2))
    thread = threading.Thread(target=look, args=(one,))
    thread.start()
    while not server.asked:
        time.sleep(0.01)
    time.sleep(0.3)  # until it has told the others
    began = time.monotonic()
    look(other)
    assert time.monotonic() - began > 1.0
    thread.join()
    one.close()
    other.close()
