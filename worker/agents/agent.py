"""What an agent is: it looks at one image after another under a criteria version, and says who it is and what it took.

To add one: a module of `worker.agents` with a function `open_agent() -> Agent`, and a line in `method.agents`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from PIL import Image

from method.agents import AGENTS
from taxonomy.tree import Criteria, Polarity, Side


class NoSuchAgent(Exception):
    """There is no agent of this name, or it cannot work here; the message says why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Identity:
    """Who looked: what a label can be traced to. `prompt_hash` is None where no prompt is used, `seed` where nothing
    is drawn.
    """

    name: str
    version: str
    prompt_hash: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Finding:
    """An attribute that applies to the image, and what that rests on: a measure, or evidence in words."""

    key: str
    polarity: Polarity
    measure: str | None = None
    value: float | None = None
    threshold: float | None = None
    confidence: float | None = None
    evidence: str | None = None


@dataclass(frozen=True)
class Spent:
    """What asking took: requests sent (refused ones included), tokens read and written, and their cost."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def __sub__(self, before: Spent) -> Spent:
        return Spent(
            self.requests - before.requests,
            self.tokens_in - before.tokens_in,
            self.tokens_out - before.tokens_out,
            self.cost - before.cost,
        )


@dataclass
class Account:
    """What looking at one image took. The agent adds to it as it goes, so that it is known of images that fail, too.

    `cost` is in the currency of the agent's prices. `dropped` counts what it said of attributes that it was not asked
    about or that made no sense, `repaired` the answers that it was asked to mend. `notes` is what it wrote
    down on the way; `style` and `content` are ids of the criteria that it saw in the image.
    """

    attempts: int = 1
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    dropped: int = 0
    repaired: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    style: str | None = None
    content: tuple[str, ...] = ()

    @property
    def spent(self) -> Spent:
        """What asking has taken so far."""
        return Spent(self.requests, self.tokens_in, self.tokens_out, self.cost)

    def add(self, spent: Spent) -> None:
        """Take into account what was spent before."""
        self.requests += spent.requests
        self.tokens_in += spent.tokens_in
        self.tokens_out += spent.tokens_out
        self.cost += spent.cost


class Memory(Protocol):
    """What was answered about one image before, by a hash of all that was asked: nothing is paid for twice."""

    def spent(self) -> Spent:
        """What answers took that this run has paid for and not accounted for: it was killed, or the criteria changed."""

    def find(self, key: str) -> str | None:
        """The answer, where there is one."""

    def keep(self, key: str, answer: str, spent: Spent) -> None:
        """Keep an answer and what it took, from now on and for later runs."""

    def forget(self, key: str) -> None:
        """Forget an answer that is of no use: another run asks anew."""


class NoMemory:
    """Implements Memory where nothing is kept."""

    def spent(self) -> Spent:
        return Spent()

    def find(self, key: str) -> str | None:
        del key
        return None

    def keep(self, key: str, answer: str, spent: Spent) -> None:
        del key, answer, spent

    def forget(self, key: str) -> None:
        del key


class Reader(Protocol):
    """An agent made ready for one criteria version."""

    @property
    def decides(self) -> frozenset[Side]:
        """The sides of attribute pairs of these criteria that it may propose."""

    def only(self, keys: Collection[str]) -> Reader:
        """The same, asking about these attribute pairs and about nothing else."""

    def label(self, image: Image.Image, account: Account, memory: Memory) -> Sequence[Finding]:
        """The attributes that apply to an image, all of them among `decides`, each once. Called by several threads."""


class Agent(Protocol):
    """One of the agents of `method.agents`."""

    @property
    def identity(self) -> Identity:
        """Who it is."""

    @property
    def at_once(self) -> int:
        """How many images it is given at the same time."""

    @property
    def waits(self) -> str:
        """What it waits for where nothing comes, in words for the page of the run; empty while it works."""

    def under(self, criteria: Criteria | None) -> Reader:
        """Made ready for a criteria version; None: for all that it knows by itself. Raises NoSuchAgent where it knows
        nothing by itself.
        """

    def close(self) -> None:
        """Give up what is under way, at once; nothing is asked of it any more."""


def open_agent(name: str) -> Agent:
    """The agent of this name. Raises NoSuchAgent."""
    if name not in AGENTS:
        raise NoSuchAgent(f"This worker has no agent “{name}”.")
    if not AGENTS[name].looks:
        raise NoSuchAgent(f"“{name}” is made of what other agents said; it looks at no picture.")
    agent: Agent = import_module(f"worker.agents.{name}").open_agent()
    return agent
