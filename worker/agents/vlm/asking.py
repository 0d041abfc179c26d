"""What the vlm agent asks in its three steps, and the form of each answer, all made from a criteria version."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from taxonomy.tree import POLARITIES, Criteria, Dimension, Entry, Pair

Schema = dict[str, Any]
PROMPTS = ("system", "deconstruct", "structure", "quantify", "repair")
OTHER_STYLE = "other"
# An answer about more pairs than these is asked for in parts, each as long as the others.
MOST_PAIRS = 120
_WHY = {"type": "string", "maxLength": 300}


@lru_cache
def prompt(name: str) -> str:
    """A prompt by its name; the files beside this module."""
    return (files("worker.agents.vlm") / "prompts" / f"{name}.txt").read_text("utf-8")


@lru_cache
def prompt_hash() -> str:
    """SHA-256 of all prompts: what is asked changes only when this does, or the criteria."""
    return hashlib.sha256("\0".join(prompt(each) for each in PROMPTS).encode()).hexdigest()


@dataclass(frozen=True)
class Question:
    """One step's question, and the JSON schema that its answer keeps to."""

    name: str
    text: str
    schema: Schema


def deconstruct(criteria: Criteria) -> Question:
    """Which root dimensions and those right below them apply; style and content of the image."""
    entries = [each for each in _dimensions(criteria) if each.level <= 2]
    properties = {
        "style": {"enum": [*(each.id for each in criteria.styles), OTHER_STYLE]},
        "content": _list_of({"enum": [each.id for each in criteria.content]}, criteria.content),
        "dimensions": _chosen(entries),
    }
    text = prompt("deconstruct").format(
        dimensions="\n".join(_line(criteria, each) for each in entries),
        styles="\n".join(f"{each.id}: {each.name}" for each in criteria.styles) or "(none)",
        content="\n".join(
            f"{each.id}: {_sentence(each.name, each.definition)}" for each in criteria.content
        )
        or "(none)",
    )
    return Question("deconstruct", text, _object(properties))


def structure(criteria: Criteria, branches: Sequence[Entry]) -> Question:
    """Which of the branches below the activated dimensions apply."""
    text = prompt("structure").format(
        branches="\n".join(_line(criteria, each) for each in branches)
    )
    return Question("structure", text, _object({"dimensions": _chosen(branches)}))


def quantify(pairs: Sequence[Pair]) -> Question:
    """Which sides of the pairs in the activated branches hold."""
    statement = _object(
        {
            "key": {"enum": [each.key for each in pairs]},
            "polarity": {"enum": list(POLARITIES)},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "evidence": {"type": "string", "minLength": 1, "maxLength": 400},
            "where": {"type": "string", "maxLength": 150},
        }
    )
    text = prompt("quantify").format(pairs="\n".join(_pair_line(each) for each in pairs))
    schema = _object({"attributes": {"type": "array", "items": statement}})
    return Question("quantify", text, schema)


def branches_below(
    criteria: Criteria, activated: Collection[str], content: Collection[str]
) -> list[Entry]:
    """The dimensions below the first two levels that hold pairs, where all above them that were asked about are
    activated and the image holds the content that they need.
    """
    return [
        each
        for each in _dimensions(criteria)
        if each.level > 2
        and _holds_pairs(each)
        and set(each.path[:2]) <= set(activated)
        and _has_content(criteria, each, content)
    ]


def pairs_of(
    criteria: Criteria, activated: Collection[str], content: Collection[str]
) -> list[Pair]:
    """The pairs in use right below the activated dimensions whose content the image holds, in tree order."""
    return [
        each.node
        for each in criteria.walk()
        if isinstance(each.node, Pair)
        and not each.retired
        and each.path[-2] in activated
        and _has_content(criteria, each, content)
    ]


def parts(pairs: Sequence[Pair]) -> list[Sequence[Pair]]:
    """The pairs in as few parts as `MOST_PAIRS` allows, of like size."""
    number = -(-len(pairs) // MOST_PAIRS)
    size = -(-len(pairs) // number) if number else 1
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]


def _dimensions(criteria: Criteria) -> Iterator[Entry]:
    return (
        each for each in criteria.walk() if isinstance(each.node, Dimension) and not each.retired
    )


def _holds_pairs(entry: Entry) -> bool:
    assert isinstance(entry.node, Dimension)
    return any(not each.retired for each in entry.node.pairs)


def _has_content(criteria: Criteria, entry: Entry, content: Collection[str]) -> bool:
    return all(set(criteria.entry(key).node.needs) <= set(content) for key in entry.path)


def _chosen(entries: Sequence[Entry]) -> Schema:
    one = _object({"key": {"enum": [each.node.key for each in entries]}, "why": _WHY})
    return _list_of(one, entries)


def _list_of(item: Schema, among: Sequence[object]) -> Schema:
    # An empty enum is no valid schema.
    return {"type": "array", "items": item} if among else {"type": "array", "maxItems": 0}


def _object(properties: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _line(criteria: Criteria, entry: Entry) -> str:
    assert isinstance(entry.node, Dimension)
    path = " > ".join(criteria.dimension(key).name for key in entry.path)
    return f"{entry.node.key}: {_sentence(path, entry.node.definition)}"


def _pair_line(pair: Pair) -> str:
    sides = (_sentence(side.name, side.definition) for side in (pair.positive, pair.negative))
    return f"{pair.key} ({pair.relation}): + {' / - '.join(sides)}"


def _sentence(name: str, definition: str) -> str:
    return f"{name}. {' '.join(definition.split())}" if definition else name
