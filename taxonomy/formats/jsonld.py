"""Criteria as SKOS in JSON-LD."""

import json
import re
from collections.abc import Iterator

from taxonomy.formats.data import refuse_size
from taxonomy.formats.existing import Existing
from taxonomy.formats.from_skos import from_graph
from taxonomy.formats.graphs import place_of, read_graph, spellings
from taxonomy.formats.skos import PREFIXES, Link, Name, Subject, Text, Value, to_subjects
from taxonomy.tree import Criteria, InvalidCriteria

# What spares every value from saying that it is a name, or in which language it is.
_NAMES = (
    *("skos:broader", "skos:inScheme", "skos:topConceptOf", "skos:hasTopConcept", "skos:member"),
    *("skos:exactMatch", "skos:closeMatch", "dct:isReplacedBy"),
    *("m:positive", "m:negative", "m:below", "m:excludes"),
)
_TEXTS = (
    *("dct:title", "skos:prefLabel", "skos:altLabel", "skos:definition"),
    "skos:scopeNote",
)
_TERMS: dict[str, object] = {
    **{name: {"@id": name, "@type": "@id"} for name in _NAMES},
    **{name: {"@id": name, "@container": "@language"} for name in _TEXTS},
}


def write_jsonld(criteria: Criteria) -> str:
    """The tree as JSON-LD in tree order, always the same text for the same tree."""
    context = json.dumps({**PREFIXES, **_TERMS}, indent=1)
    # A line for each thing: its line can be named, and two files can be compared.
    things = ",\n".join(
        json.dumps(_written(each), ensure_ascii=False) for each in to_subjects(criteria)
    )
    return f'{{"@context": {context},\n"@graph": [\n{things}\n]}}\n'


def _written(subject: Subject) -> dict[str, object]:
    statements = {name: _values(values) for name, values in subject.statements}
    return {"@id": subject.name, "@type": list(subject.kinds), **statements}


def _values(values: list[Value]) -> object:
    by_language: dict[str, list[object]] = {}
    for value in values:
        language = value.language if isinstance(value, Text) else ""
        by_language.setdefault(language, []).append(_plain(value))
    found = {language: _one(each) for language, each in by_language.items()}
    return found.get("", found)


def _plain(value: Value) -> object:
    if isinstance(value, Text):
        return value.text
    if isinstance(value, Link):
        return value.iri
    return value.name if isinstance(value, Name) else value


def _one(values: list[object]) -> object:
    return values[0] if len(values) == 1 else values


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
        written = spellings(iri, {start: prefix for prefix, start in PREFIXES.items()})
        known = [self._found[each] for each in written if each in self._found]
        found = min(known, default=None)
        return place_of(iri, found[1] if found else None)
