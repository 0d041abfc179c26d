"""How a server takes a question: in which form it keeps to JSON, and which fields it knows. Found out by asking it.

Servers that call themselves compatible differ in both. One that refuses is asked in the next form, or without the
field that it names; what it once took is kept to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.agents.vlm.asking import Question

Message = dict[str, Any]

# Ways to ask for JSON, the strictest first.
FORMS = ("json_schema", "tools", "json_object", "text")
SEED = 0
# Fields that some servers do not know, and what they call them instead.
FIELDS = {"temperature": None, "seed": None, "max_tokens": "max_completion_tokens"}


@dataclass
class Way:
    """The way of one server; all who ask it share it. `answer_tokens` is how long an answer may be."""

    answer_tokens: int = 8192
    form: int = 0
    without: set[str] = field(default_factory=set)
    is_settled: bool = False

    @property
    def seed(self) -> int | None:
        """What the server is told to draw by, where it takes that."""
        return None if "seed" in self.without else SEED

    def body(self, model: str, messages: Sequence[Message], question: Question) -> Message:
        """The question as it is sent."""
        known: Message = {"temperature": 0, "seed": SEED, "max_tokens": self.answer_tokens}
        for name in self.without:
            value, other = known.pop(name), FIELDS[name]
            known |= {other: value} if other else {}
        asked = {"model": model, "messages": list(messages)}
        return asked | known | _form(FORMS[self.form], question)

    def give_way(self, form: int, said: bytes) -> bool:
        """Whether there is another way after this one was refused with these words; `form` is what was asked in."""
        if self.is_settled:
            return False
        named = next((each for each in FIELDS if each in _complaint(said)), None)
        if named is not None and named not in self.without:
            self.without.add(named)
            return True
        if form + 1 == len(FORMS):
            return False
        # Another thread may have found that out already.
        self.form = max(self.form, form + 1)
        return True


def said_in(message: Message) -> str:
    """What a model said: its text, or what it called the tool with."""
    calls = message.get("tool_calls")
    said = calls[0]["function"]["arguments"] if calls else message.get("content")
    if isinstance(said, dict):
        said = json.dumps(said)
    return said if isinstance(said, str) else ""


def _form(form: str, question: Question) -> Message:
    if form == "json_schema":
        named = {"name": question.name, "strict": True, "schema": question.schema}
        return {"response_format": {"type": form, "json_schema": named}}
    if form == "tools":
        tool = {"name": question.name, "parameters": question.schema}
        chosen = {"type": "function", "function": {"name": question.name}}
        return {"tools": [{"type": "function", "function": tool}], "tool_choice": chosen}
    return {"response_format": {"type": form}} if form == "json_object" else {}


def _complaint(said: bytes) -> str:
    """The words of an error that name what is wrong. Not the whole answer: some servers repeat the question."""
    try:
        error = json.loads(said)["error"]
        return f"{error.get('param') or ''} {error.get('message') or ''}"[:300]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
