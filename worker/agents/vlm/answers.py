"""Reads the answers of a model: what does not parse, was not asked about or contradicts the rules is a fault."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from taxonomy.contradictions import Rules
from taxonomy.tree import Criteria, Pair, Polarity
from worker.agents.agent import Finding
from worker.agents.vlm.asking import OTHER_STYLE

MOST_FAULTS = 12
LONGEST_EVIDENCE = 600
MOST_STATEMENTS = 1000
T = TypeVar("T")
# JSON can spell a zero byte, which no table can keep.
Text = Annotated[str, AfterValidator(lambda text: text.replace("\0", ""))]


class Unreadable(Exception):
    """An answer that is not of the form asked for; `reason` says why, without repeating it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=False)


class _Chosen(_Answer):
    key: str
    why: Text = ""


class Deconstructed(_Answer):
    """Style, content and the dimensions that apply."""

    style: str = OTHER_STYLE
    content: list[str] = Field(default=[], max_length=MOST_STATEMENTS)
    dimensions: list[_Chosen] = Field(max_length=MOST_STATEMENTS)


class Structured(_Answer):
    """The branches that apply."""

    dimensions: list[_Chosen] = Field(max_length=MOST_STATEMENTS)


class Statement(_Answer):
    """A side that holds, with the evidence."""

    key: str
    polarity: Polarity
    confidence: float = Field(ge=0, le=1, allow_inf_nan=False)
    evidence: Text = Field(min_length=1)
    where: Text = ""


class _Quantified(_Answer):
    # Each is read by itself: one that is wrong costs no other.
    attributes: list[Any] = Field(max_length=MOST_STATEMENTS)


@dataclass
class Read(Generic[T]):
    """What was good in an answer, and what was wrong with the rest, one sentence for each."""

    good: T
    faults: list[str] = field(default_factory=list)

    def in_words(self) -> str:
        """The faults for whoever mends them."""
        return "\n".join(f"- {each}" for each in self.faults[:MOST_FAULTS])


def read_deconstructed(
    text: str, dimensions: Collection[str], criteria: Criteria
) -> Read[Deconstructed]:
    """The first step's answer. Raises Unreadable."""
    answer = _of_form(text, Deconstructed)
    content = {each.id for each in criteria.content}
    read = Read(answer)
    if answer.style not in {OTHER_STYLE, *(each.id for each in criteria.styles)}:
        read.faults.append(f"{_quoted(answer.style)} is no style of the list.")
        answer.style = OTHER_STYLE
    read.faults += [
        f"{_quoted(each)} is no content of the list."
        for each in answer.content
        if each not in content
    ]
    answer.content = [each for each in answer.content if each in content]
    answer.dimensions = _known(answer.dimensions, dimensions, read.faults)
    return read


def read_structured(text: str, dimensions: Collection[str]) -> Read[Structured]:
    """The second step's answer. Raises Unreadable."""
    answer = _of_form(text, Structured)
    read = Read(answer)
    answer.dimensions = _known(answer.dimensions, dimensions, read.faults)
    return read


def read_quantified(text: str, pairs: Sequence[Pair], criteria: Criteria) -> Read[list[Finding]]:
    """The third step's answer. Raises Unreadable."""
    read: Read[list[Finding]] = Read([])
    known = {pair.key for pair in pairs}
    for number, each in enumerate(_of_form(text, _Quantified).attributes, start=1):
        try:
            said = Statement.model_validate(each)
        except ValidationError as error:
            read.faults.append(f"Attribute {number}: {_first(error)}.")
            continue
        if said.key not in known:
            read.faults.append(f"Attribute {number}: {_quoted(said.key)} was not asked about.")
        elif not said.evidence.strip():
            read.faults.append(f"Attribute {number}: {said.key} has no evidence.")
        elif any((said.key, said.polarity) == (one.key, one.polarity) for one in read.good):
            read.faults.append(
                f"Attribute {number}: {said.key} {said.polarity} stands there twice."
            )
        else:
            read.good.append(_finding(said))
    _drop_contradictions(read, criteria.derived(Rules))
    return read


def _of_form(text: str, form: type[T]) -> T:
    try:
        data = json.loads(_unfenced(text))
    except (ValueError, RecursionError) as error:
        raise Unreadable("It is not one JSON object, or it was cut off.") from error
    try:
        return form.model_validate(data)  # type: ignore[attr-defined, no-any-return]
    except ValidationError as error:
        raise Unreadable(f"It is not of the form asked for: {_first(error)}.") from error


def _unfenced(text: str) -> str:
    """The JSON in an answer that has it in a fence, or with words before and after."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(each) for each in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _known(chosen: Sequence[_Chosen], known: Collection[str], faults: list[str]) -> list[_Chosen]:
    faults += [
        f"{_quoted(each.key)} was not asked about." for each in chosen if each.key not in known
    ]
    return list({each.key: each for each in chosen if each.key in known}.values())


def _drop_contradictions(read: Read[list[Finding]], rules: Rules) -> None:
    """Of what cannot hold together, the least certain goes, until nothing stands against anything."""
    while against := rules.among([(each.key, each.polarity) for each in read.good]):
        concerned = set(against[0].attributes)
        flaws = [each for each in read.good if (each.key, each.polarity) in concerned]
        least = min(flaws, key=lambda each: each.confidence or 0.0)
        read.good.remove(least)
        read.faults.append(f"{least.key} {least.polarity}: {against[0].message}")


def _finding(said: Statement) -> Finding:
    where, evidence = " ".join(said.where.split()), " ".join(said.evidence.split())
    whole = f"{where}: {evidence}" if where else evidence
    return Finding(
        said.key,
        said.polarity,
        confidence=round(said.confidence, 3),
        evidence=whole[:LONGEST_EVIDENCE] or None,
    )


def _quoted(text: str) -> str:
    return f"“{text[:60]}”"
