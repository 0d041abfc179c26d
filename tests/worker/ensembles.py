"""Two agents whose every word is known, and what people judged of them, for tests of several agents as one."""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from app.agents.models import AgentRun
from app.audits.sampling import Design
from app.audits.simulating import simulate_audit
from app.jobs.models import Job
from app.labels.saving import save
from method.agents import AGENTS, AgentFacts
from taxonomy.tree import Criteria, Side
from tests.app.datasets.gallery import Gallery
from worker import ledger
from worker.agents import running
from worker.agents.agent import Account, Agent, Finding, Identity, Memory, Reader
from worker.trust import teaching

HANDLERS: dict[str, ledger.Handler] = {"agent_run": running.run, "agent_trust": teaching.run}
RICH, WARM, COOL = (
    Side(key, "positive") for key in ("rich-saturation", "warm-dominance", "cool-dominance")
)
DULL = Side("rich-saturation", "negative")


class Says:
    """Says the same of every picture, or of the `first` so many alone. `sure` is how sure it is of each, `knows` what it
    looks for besides.
    """

    at_once = 1
    waits = ""

    def __init__(
        self,
        name: str,
        sure: Mapping[Side, float],
        knows: Collection[Side] = (),
        first: int = 10**6,
    ) -> None:
        self.left = first
        self.identity = Identity(name, "1")
        self.sure = sure
        self.decides = frozenset({*sure, *knows})

    def under(self, criteria: Criteria | None) -> Reader:
        del criteria
        return self

    def only(self, keys: Collection[str]) -> Reader:
        return Says("", {side: sure for side, sure in self.sure.items() if side.key in keys})

    def label(self, image: Image.Image, account: Account, memory: Memory) -> Sequence[Finding]:
        del image, account, memory
        self.left -= 1
        if self.left < 0:
            return []
        return [Finding(*side, confidence=sure) for side, sure in self.sure.items()]

    def close(self) -> None:
        pass


@contextmanager
def agent(patch: pytest.MonkeyPatch, says: Says) -> Iterator[None]:
    """Install an agent as a module of its own."""
    name = says.identity.name
    module = ModuleType(f"worker.agents.{name}")

    def open_agent() -> Agent:
        return says

    module.open_agent = open_agent  # type: ignore[attr-defined]
    patch.setitem(sys.modules, module.__name__, module)
    patch.setitem(AGENTS, name, AgentFacts(f"{name} says the same of all.", "no eye"))
    yield


def work(gallery: Gallery, job: Job) -> Job:
    """Do a job as a worker would."""
    assert ledger.run(job.id, HANDLERS)
    gallery.db.rollback()
    gallery.db.expire_all()
    return job


def have_run(gallery: Gallery, name: str, **more: Any) -> AgentRun:
    """A run that came to its end."""
    run, job = gallery.launch(name, **more)
    work(gallery, job)
    assert (job.state, job.error) == ("succeeded", None)
    return run


def judge_all(
    gallery: Gallery, says: Callable[[int, str, str], str], *, people: int = 1, decoys: int = 0
) -> None:
    """A closed audit of all images. `says` answers by image, key and polarity."""
    audit = simulate_audit(
        gallery.db,
        gallery.project,
        design=Design(seed=1, sample_size=len(gallery.images), decoy_percent=decoys),
        people=people,
        says=lambda _, image_id, key, polarity: says(image_id, key, polarity),
    )
    # It stands for a real one.
    audit.is_simulated = False
    gallery.db.commit()


def correct_unseen(gallery: Gallery, image_id: int, side: Side, state: Any) -> None:
    """What Ben decides about one attribute while suggestions are hidden from him."""
    gallery.db.expire_all()
    image = next(each for each in gallery.images if each.id == image_id)
    save(
        gallery.db,
        gallery.project,
        image_id,
        key=side.key,
        polarity=side.polarity,
        state=state,
        by=gallery.people.ben,
        based_on=image.label_revision,
        operation_id=uuid4(),
        suggestion_visible=False,
    )
    gallery.db.commit()
