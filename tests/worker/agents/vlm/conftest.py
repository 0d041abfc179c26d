"""A scripted server and the agent that asks it."""

from collections.abc import Iterator

import pytest

from tests.worker.agents.vlm.scripted import LOOPBACK, Server
from worker.agents.vlm import VlmAgent, breaker, endpoint
from worker.agents.vlm.endpoint import Endpoint, Where


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def agent(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[VlmAgent]:
    """Asks the scripted server; its pauses are short."""
    monkeypatch.setattr(endpoint, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(breaker, "FIRST_REST_SECONDS", 0.01)
    where = Where(
        server.url, "eye", key="secret", seconds=20.0, price_in=2.0, price_out=8.0, private=LOOPBACK
    )
    agent = VlmAgent(Endpoint(where, at_once=4), at_once=4)
    yield agent
    agent.close()
