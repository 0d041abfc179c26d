"""A new agent is a module of `worker.agents` and a line in `method.agents`: everything else goes by that."""

import sys
from collections.abc import Callable, Collection, Sequence
from types import ModuleType

import pytest
from PIL import Image
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from method.agents import AGENTS, AgentFacts
from taxonomy.tree import Criteria, Side
from tests.app.datasets.gallery import open_gallery
from tests.factories import Make
from worker.agents.agent import Account, Agent, Finding, Identity, Memory, Reader

SIDE = Side("rich-saturation", "negative")


class Dull:
    """Says of every picture that its colour is dull."""

    identity = Identity("dull", "7", "0" * 64)
    at_once = 3
    waits = ""
    decides = frozenset({SIDE})

    def under(self, criteria: Criteria | None) -> Reader:
        del criteria
        return self

    def only(self, keys: Collection[str]) -> Reader:
        del keys
        return self

    def label(self, image: Image.Image, account: Account, memory: Memory) -> Sequence[Finding]:
        del memory
        account.tokens_in += image.width
        return [Finding(*SIDE, confidence=0.5, evidence="All of it is dull.")]

    def close(self) -> None:
        pass


def open_dull() -> Agent:
    return Dull()


def test_it_is_offered_asked_and_named(
    db: Session,
    make: Make,
    own_storage: None,
    browser: TestClient,
    sign_in: Callable[[TestClient, Person], TestClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("worker.agents.dull")
    module.open_agent = open_dull  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(AGENTS, "dull", AgentFacts("Finds all dull.", "no eye"))
    gallery = open_gallery(db, make)
    gallery.hang_many(5)
    page = sign_in(browser, gallery.people.lea).get("/projects/paintings/agent").text
    assert "Finds all dull." in page
    run, job = gallery.launch("dull")
    gallery.work(job)
    assert (job.state, run.images, run.labels) == ("succeeded", 5, 5)
    assert (run.agent_version, run.prompt_hash, run.tokens_in) == ("7", "0" * 64, 5 * 96)
    assert {each.evidence for each in gallery.labels()} == {"All of it is dull."}
    image = gallery.images[0]
    shown = browser.get(f"/projects/paintings/images/{image.id}").text
    assert "Seen:</span> All of it is dull." in shown and "50 % sure" in shown
