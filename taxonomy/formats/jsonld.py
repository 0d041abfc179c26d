"""Criteria as SKOS in JSON-LD."""

import json
import re
from collections.abc import Iterator

from taxonomy.formats.data import refuse_size
from taxonomy.formats.existing import Existing
from taxonomy.formats.from_skos import from_graph
from taxonomy.formats.graphs import read_graph
from taxonomy.formats.skos import PREFIXES, Link, Name, Subject, Text, Value, to_subjects
from taxonomy.tree import Criteria, InvalidCriteria


def write_jsonld(criteria: Criteria) -> str:
    """The tree as JSON-LD in tree order, always the same text for the same tree."""
    context = json.dumps(PREFIXES, indent=1)
    # A line for each thing: its line can be named, and two files can be compared.
    things = ",\n".join(
        json.dumps(_written(each), ensure_ascii=False) for each in to_subjects(criteria)
    )
    return f'{{"@context": {context},\n"@graph": [\n{things}\n]}}\n'


def _written(subject: Subject) -> dict[str, object]:
    statements = {name: [_value(each) for each in values] for name, values in subject.statements}
    return {
        "@id": Name(subject.name).iri,
        "@type": list(subject.kinds),
        **{name: each[0] if len(each) == 1 else each for name, each in statements.items()},
    }


def _value(value: Value) -> object:
    if isinstance(value, Name | Link):
        return {"@id": value.iri}
    if isinstance(value, Text):
        return {"@value": value.text, "@language": value.language} if value.language else value.text
    return value


def read_jsonld(text: str, existing: Existing | None = None) -> Criteria:
    """Read criteria from JSON-LD; raises InvalidCriteria with every fault and its line.

    Contexts have to stand in the file: none is fetched.
    """
    refuse_size(text)
    try:
        data = json.loads(text.removeprefix("\ufeff"))
        if not isinstance(data, dict | list):
            raise InvalidCriteria(["The file holds neither an object nor a list."])
        _refuse_fetching(data)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidCriteria([f"{where}: this is not JSON: {error.msg}."]) from error
    except RecursionError as error:
        raise InvalidCriteria(["The JSON is nested too deep to be read; flatten it."]) from error
    except InvalidCriteria:
        raise
    except ValueError as error:
        raise InvalidCriteria([f"This JSON is not read: {error}"]) from error
    graph = read_graph(text, "json-ld")
    return from_graph(graph, existing or Existing(), _Lines(text))


def _refuse_fetching(data: object) -> None:
    for value in _all(data):
        for context in _contexts(value):
            if isinstance(context, str):
                message = f"The context {context[:200]!r} is elsewhere; write it into the file."
                raise InvalidCriteria([message])
            if isinstance(context, dict) and "@import" in context:
                raise InvalidCriteria(["The context imports another; write it into the file."])


def _contexts(value: dict[str, object]) -> list[object]:
    context = value.get("@context")
    return context if isinstance(context, list) else [context]


def _all(data: object) -> Iterator[dict[str, object]]:
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


class _Lines:
    """The line at which a thing is described, by its IRI: the one nearest to the margin."""

    def __init__(self, text: str) -> None:
        self._found: dict[str, tuple[int, int]] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            named = re.search(r'"@id"\s*:\s*"([^"\\]*)"', line)
            if named is not None:
                here = (named.start(), number)
                self._found[named[1]] = min(self._found.get(named[1], here), here)

    def __call__(self, iri: str) -> str:
        found = self._found.get(iri)
        return f"line {found[1]}" if found else f"<{iri[:200]}>"
