"""Texts in notations of RDF as graphs, read without a connection to anywhere and refused in sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from taxonomy.formats.data import refuse_size
from taxonomy.tree import InvalidCriteria

if TYPE_CHECKING:
    from rdflib import Graph

# The reader takes its time over each line, also an empty one.
MAX_LINES = 300_000
# What names without an address are read against: a file has none here, and the reader would take the folder that the
# program runs in, which is nobody's business and another one elsewhere.
NOWHERE = "file:///"
# What the readers let through of what they stumble over, beside syntax errors of their own.
_STUMBLES = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(OSError, RuntimeError, SyntaxError, TypeError, ValueError),
)
_WHY = re.compile(r"[Bb]ad syntax \((.*?)\) at \^", re.DOTALL)


def read_graph(text: str, notation: Literal["turtle", "json-ld"]) -> Graph:
    """The statements of a text. Raises InvalidCriteria with the line where it is not in that notation."""
    from rdflib import Dataset
    from rdflib.exceptions import Error
    from rdflib.plugins.parsers.notation3 import BadSyntax

    refuse_size(text)
    if text.count("\n") > MAX_LINES:
        raise InvalidCriteria([f"The file has more than {MAX_LINES} lines; split it."])
    name = "Turtle" if notation == "turtle" else "JSON-LD"
    graph = Dataset(default_union=True)
    try:
        graph.parse(data=text.removeprefix("\ufeff"), format=notation, publicID=NOWHERE)
    except BadSyntax as error:
        why = _WHY.search(str(error))
        where = f"line {error.lines + 1}: this is not {name}"
        raise InvalidCriteria([f"{where}: {_short(why[1] if why else error)}."]) from error
    except RecursionError as error:
        raise InvalidCriteria([f"The {name} is nested too deep to be read; flatten it."]) from error
    except (*_STUMBLES, Error) as error:
        raise InvalidCriteria([f"This is not {name}: {_short(error)}."]) from error
    return graph


def spellings(iri: str, prefixes: Mapping[str, str]) -> list[str]:
    """How a text may have written a name: whole, short by a prefix (by its start), or without an address."""
    short = [
        f"{prefix}:{iri.removeprefix(start)}"
        for start, prefix in prefixes.items()
        if start and iri.startswith(start)
    ]
    return [iri, iri.removeprefix(NOWHERE), *short]


def place_of(iri: str, line: int | None) -> str:
    """Where a thing is described, in words: its line, or its name where that is not known."""
    return f"line {line}" if line else f"<{iri.removeprefix(NOWHERE)[:200]}>"


def _short(error: object) -> str:
    return str(error).partition("\n")[0][:200].rstrip(".") or type(error).__name__
