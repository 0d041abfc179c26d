"""Writing criteria as rows of cells."""

import re
from collections import Counter

from taxonomy.formats.details import written_side
from taxonomy.formats.rows import Row, RowKind, columns_of, join, side_column, step
from taxonomy.names import squeeze
from taxonomy.tree import (
    POLARITIES,
    Attribute,
    Criteria,
    Dimension,
    Entry,
    Pair,
    Words,
)


def to_rows(criteria: Criteria) -> dict[RowKind, list[Row]]:
    """Every row by its kind, dimensions and pairs in tree order."""
    labels = step_labels(criteria)
    rows: dict[RowKind, list[Row]] = {"pair": [], "dimension": []}
    for entry in criteria.walk():
        cells = {"key": entry.node.key}
        for number, key in enumerate(entry.path[:-1], start=1):
            cells[step(number)] = labels[key]
        kind: RowKind = "dimension" if isinstance(entry.node, Dimension) else "pair"
        rows[kind].append(Row(kind, cells | _cells(entry)))
    return {
        **rows,
        "criteria": [Row("criteria", _head_cells(criteria))],
        **_head_rows(criteria),
    }


def _head_cells(criteria: Criteria) -> dict[str, str]:
    return {
        "name": criteria.name,
        "language": criteria.language,
        "max levels": str(criteria.max_levels),
    }


def _head_rows(criteria: Criteria) -> dict[RowKind, list[Row]]:
    return {
        "content": [
            Row("content", {"key": each.id, "name": each.name, "definition": each.definition})
            for each in criteria.content
        ],
        "style": [
            Row(
                "style",
                {"key": each.id, "name": each.name, "alternatives": join(each.alternatives)},
            )
            for each in criteria.styles
        ],
        "successors": [
            Row("successors", {"key": key, "successors": join(keys)})
            for key, keys in sorted(criteria.successors.items())
        ],
    }


def _cells(entry: Entry) -> dict[str, str]:
    node = entry.node
    if isinstance(node, Dimension):
        return {
            "name": node.name,
            "definition": node.definition,
            "exclusive": "yes" if node.exclusive else "",
            "needs": join(node.needs),
            "retired": "yes" if node.retired else "",
            **_words(node.words),
        }
    cells = {
        "relation": node.relation,
        "needs": join(node.needs),
        "scope note": node.scope_note,
        "source": node.source,
        "retired": "yes" if node.retired else "",
    }
    for polarity in POLARITIES:
        cells |= {
            side_column(polarity, column): text
            for column, text in _attribute(node.attribute(polarity)).items()
        }
    return cells


def _attribute(attribute: Attribute) -> dict[str, str]:
    return {
        "name": attribute.name,
        "definition": attribute.definition,
        "prompt": attribute.prompt,
        "styles": join(f"{style}: {reads}" for style, reads in attribute.styles),
        "excludes": join(map(written_side, attribute.excludes)),
        **_words(attribute.words),
    }


def _words(words: Words) -> dict[str, str]:
    cells = {
        "alternatives": join(words.alternatives),
        "exact match": join(words.exact_match),
        "close match": join(words.close_match),
        "scope note": words.scope_note,
        "source": words.source,
    }
    for language, name, definition in words.translations:
        cells |= {f"name ({language})": name, f"definition ({language})": definition}
    return cells


def columns(criteria: Criteria, kind: RowKind) -> list[str]:
    """The columns that a table of the criteria has for one kind of row, whether or not they are filled."""
    num_steps = max((len(entry.path) - 1 for entry in criteria.walk()), default=1)
    return columns_of(kind, max(1, num_steps), _languages(criteria))


def _languages(criteria: Criteria) -> list[str]:
    words = []
    for entry in criteria.walk():
        node = entry.node
        if isinstance(node, Pair):
            words += [node.positive.words, node.negative.words]
        else:
            words.append(node.words)
    return sorted({each.language for one in words for each in one.translations})


# The way to a dimension -------------------------------------------------------------------------

_ENDS_AS_KEY = re.compile(r".*\[[a-z0-9-]*\]", re.DOTALL)


def step_labels(criteria: Criteria) -> dict[str, str]:
    """What each dimension is called in a path: its name, and its key where the name is not enough."""
    places = Counter(
        (entry.path[:-1], squeeze(entry.node.name))
        for entry in criteria.walk()
        if isinstance(entry.node, Dimension)
    )
    labels = {}
    for entry in criteria.walk():
        node = entry.node
        if not isinstance(node, Dimension):
            continue
        name = squeeze(node.name)
        is_enough = name and name == node.name and places[entry.path[:-1], name] == 1
        if not is_enough or _ENDS_AS_KEY.fullmatch(name):
            name = f"{name} [{node.key}]".strip()
        labels[node.key] = name
    return labels
