"""The vlm agent: a model behind an OpenAI-compatible address looks at pictures in the paper's three steps.

Deconstruct: which dimensions apply, of which style the picture is and what it shows. Structure: which of the
branches below. Quantify: which attributes of those branches hold, with evidence. What the first two leave out is
never asked about.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TypeVar

from PIL import Image

from app.outgoing import NotFetched
from app.settings import settings
from method.files import canonical
from method.pictures import as_seen
from taxonomy.asking_again import only_pairs
from taxonomy.tree import POLARITIES, Criteria, Pair, Side
from worker.agents.agent import Account, Finding, Identity, Memory, NoSuchAgent
from worker.agents.vlm.answers import (
    Read,
    Unreadable,
    read_deconstructed,
    read_quantified,
    read_structured,
)
from worker.agents.vlm.asking import (
    Question,
    branches_below,
    deconstruct,
    pairs_of,
    parts,
    prompt,
    prompt_hash,
    quantify,
    structure,
)
from worker.agents.vlm.endpoint import Endpoint, NotAnswered, Where
from worker.agents.vlm.pacing import Pace
from worker.agents.vlm.ways import Message, Way

# Goes up whenever steps, form of the answers or what is made of them change; prompts have a hash of their own.
VERSION = "2"
LONGEST_SIDE = 1024
T = TypeVar("T")


def open_agent() -> VlmAgent:
    """The agent at the operator's address. Raises NoSuchAgent where none is set, or it is no address."""
    chosen = settings()
    if not chosen.vision_url or not chosen.vision_model:
        raise NoSuchAgent(
            "The agent “vlm” needs a model: the operator sets MORELLI_VISION_URL and MORELLI_VISION_MODEL."
        )
    where = Where(
        url=chosen.vision_url,
        model=chosen.vision_model,
        key=chosen.vision_key.get_secret_value() if chosen.vision_key else "",
        seconds=chosen.vision_seconds,
        price_in=chosen.vision_price_in,
        price_out=chosen.vision_price_out,
        private=chosen.vision_private,
    )
    pace = None
    if chosen.redis_url:
        shared = f"{where.url} {where.model}"
        pace = Pace(chosen.redis_url.get_secret_value(), shared, chosen.vision_per_minute)
    try:
        way = Way(chosen.vision_answer_tokens)
        endpoint = Endpoint(where, pace, chosen.vision_at_once, way)
    except NotFetched as error:
        raise NoSuchAgent(f"MORELLI_VISION_URL: {error.reason}") from error
    return VlmAgent(endpoint, chosen.vision_at_once)


@dataclass(frozen=True)
class VlmAgent:
    endpoint: Endpoint
    at_once: int

    @property
    def identity(self) -> Identity:
        version = f"{VERSION} {self.endpoint.where.model}"
        return Identity("vlm", version, prompt_hash(), self.endpoint.way.seed)

    @property
    def waits(self) -> str:
        return self.endpoint.waits

    def under(self, criteria: Criteria | None) -> VlmReader:
        """Made ready for these criteria; it knows none by itself."""
        if criteria is None:
            raise NoSuchAgent("The agent “vlm” looks by criteria, and there are none here.")
        return VlmReader(self.endpoint, criteria)

    def close(self) -> None:
        self.endpoint.close()


@dataclass(frozen=True)
class VlmReader:
    endpoint: Endpoint
    criteria: Criteria

    @property
    def decides(self) -> frozenset[Side]:
        """Both sides of every pair in use."""
        pairs = self.criteria.active_pairs()
        return frozenset(Side(pair.key, polarity) for pair in pairs for polarity in POLARITIES)

    def only(self, keys: Collection[str]) -> VlmReader:
        """The same, under criteria that hold these pairs alone: no other branch is asked about."""
        return replace(self, criteria=only_pairs(self.criteria, keys))

    def label(self, image: Image.Image, account: Account, memory: Memory) -> Sequence[Finding]:
        """The three steps. Raises NotAnswered where a step comes to nothing."""
        account.add(memory.spent())
        if not self.decides:
            return []  # what it was restricted to has left the criteria meanwhile
        criteria, talk = self.criteria, _Talk(self.endpoint, _as_part(image), account, memory)
        first = deconstruct(criteria)
        seen = talk.ask(first, lambda text: read_deconstructed(text, _keys(first), criteria))
        activated = {each.key: each.why for each in seen.dimensions}
        branches = branches_below(criteria, activated, seen.content)
        if branches:
            second = structure(criteria, branches)
            chosen = talk.ask(second, lambda text: read_structured(text, _keys(second)))
            activated |= {each.key: each.why for each in chosen.dimensions}
        account.style, account.content = seen.style, tuple(seen.content)
        account.notes = {"style": seen.style, "content": seen.content, "dimensions": activated}
        found: list[Finding] = []
        for some in parts(pairs_of(criteria, activated, seen.content)):
            found += self._quantified(talk, some)
        return found

    def _quantified(self, talk: _Talk, some: Sequence[Pair]) -> list[Finding]:
        return talk.ask(quantify(some), lambda text: read_quantified(text, some, self.criteria))


@dataclass(frozen=True)
class _Talk:
    """The questions about one picture. Each stands by itself, so that what was asked once need not be paid twice."""

    endpoint: Endpoint
    picture: Message
    account: Account
    memory: Memory

    def ask(self, question: Question, read: Callable[[str], Read[T]]) -> T:
        """What is good in the answer, after one repair where something is not; the rest is dropped and counted."""
        messages: list[Message] = [
            {"role": "system", "content": prompt("system")},
            {"role": "user", "content": [self.picture, {"type": "text", "text": question.text}]},
        ]
        key = self._key(messages, question)
        said = self._say(key, messages, question)
        first = _attempt(read, said)
        if isinstance(first, Read) and not first.faults:
            return first.good
        self.account.repaired += 1
        told = first.in_words() if isinstance(first, Read) else f"- {first.reason}"
        messages += [
            {"role": "assistant", "content": said[:20_000]},
            {"role": "user", "content": prompt("repair").format(faults=told)},
        ]
        mended = self._key(messages, question)
        second = _attempt(read, self._say(mended, messages, question))
        kept = second if isinstance(second, Read) else first
        if not isinstance(kept, Read):
            self.account.dropped += 1
            for each in (key, mended):
                self.memory.forget(each)
            raise NotAnswered(
                f"The answer could not be read, nor the one it was mended to. {kept.reason}"
            )
        self.account.dropped += len(kept.faults)
        return kept.good

    def _key(self, messages: Sequence[Message], question: Question) -> str:
        """The hash of all that is asked, and of whom."""
        where = self.endpoint.where
        asked = canonical([where.url, where.model, messages, question.schema])
        return hashlib.sha256(asked.encode()).hexdigest()

    def _say(self, key: str, messages: Sequence[Message], question: Question) -> str:
        known = self.memory.find(key)
        if known is None:
            before = self.account.spent
            known = self.endpoint.ask(messages, question, self.account)
            self.memory.keep(key, known, self.account.spent - before)
        return known


def _attempt(read: Callable[[str], Read[T]], text: str) -> Read[T] | Unreadable:
    try:
        return read(text)
    except Unreadable as error:
        return error


def _keys(question: Question) -> list[str]:
    keys: list[str] = question.schema["properties"]["dimensions"]["items"]["properties"]["key"][
        "enum"
    ]
    return keys


def _as_part(image: Image.Image) -> Message:
    """The picture as people see it, small enough to be sent; nothing of its file goes with it."""
    picture = as_seen(image)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    out = BytesIO()
    picture.save(out, "JPEG", quality=90)
    encoded = base64.b64encode(out.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{encoded}"}}
