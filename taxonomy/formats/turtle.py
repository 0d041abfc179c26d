"""Criteria as SKOS in Turtle."""

import re
from collections.abc import Mapping

from taxonomy.formats.existing import Existing
from taxonomy.formats.from_skos import from_graph
from taxonomy.formats.graphs import place_of, read_graph, spellings
from taxonomy.formats.skos import PREFIXES, Link, Name, Subject, Value, to_subjects
from taxonomy.tree import Criteria

_ESCAPED = re.compile('["\\\\\\x00-\\x1f\\x7f\\ufffe\\uffff]')
_LOCAL = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def write_turtle(criteria: Criteria) -> str:
    """The tree as Turtle in tree order, always the same text for the same tree."""
    head = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in PREFIXES.items())
    return head + "".join(f"\n{_written(each)}" for each in to_subjects(criteria))


def _written(subject: Subject) -> str:
    lines = [f"a {', '.join(subject.kinds)}"]
    lines += [f"{name} {', '.join(map(_value, each))}" for name, each in subject.statements]
    return f"{_name(Name(subject.name))} " + " ;\n    ".join(lines) + " .\n"


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Link):
        return f"<{value.iri}>"
    if isinstance(value, Name):
        return _name(value)
    text = _ESCAPED.sub(_escape, value.text)
    return f'"{text}"' + (f"@{value.language}" if value.language else "")


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return _SHORT.get(character) or f"\\u{ord(character):04X}"


def _name(name: Name) -> str:
    local = name.name.partition(":")[2]
    return name.name if _LOCAL.fullmatch(local) else f"<{name.iri}>"


def read_turtle(text: str, existing: Existing | None = None) -> Criteria:
    """Read criteria from Turtle; raises InvalidCriteria with every fault and its line."""
    graph = read_graph(text, "turtle")
    prefixes = {str(iri): prefix for prefix, iri in graph.namespaces()}
    return from_graph(graph, existing or Existing(), _Lines(text, prefixes))


class _Lines:
    """The line at which a thing is first spoken of, by its IRI."""

    def __init__(self, text: str, prefixes: Mapping[str, str]) -> None:
        self._first: dict[str, int] = {}
        self._prefixes = prefixes
        for number, line in enumerate(text.split("\n"), start=1):
            if line[:1].strip():
                self._first.setdefault(line.split(None, 1)[0], number)

    def __call__(self, iri: str) -> str:
        written = [each for name in spellings(iri, self._prefixes) for each in (name, f"<{name}>")]
        line = next((self._first[each] for each in written if each in self._first), None)
        return place_of(iri, line)
