"""What a node says beside names and definitions, as people write it: a line for each item."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, create_model

from app.criteria.models import Criteria, Node
from app.database import Json
from app.errors import Invalid
from app.web.forms import Fields
from taxonomy.detail_changes import FIELDS
from taxonomy.tree import POLARITIES, Relation

WORDS = ("translations", "alternatives", "exact_match", "close_match", "scope_note", "source")
SIDE = ("prompt", *WORDS, "excludes")
# What is written anew where one node takes the place of others.
TAKEN = ("alternatives", "translations")
TAKEN_SIDE = ("prompt", *TAKEN)
_LINES = ("alternatives", "exact_match", "close_match", "excludes")


class _Common(Fields):
    based_on: int
    relation: Relation | None = None
    exclusive: bool = False
    needs: list[str] = Field(default_factory=list)


def _names() -> Iterator[str]:
    yield from WORDS
    for polarity in POLARITIES:
        yield from (f"{polarity}_{each}" for each in SIDE)


_fields: dict[str, Any] = dict.fromkeys(_names(), (str, ""))
_fields |= {
    f"{polarity}_styles": (list[str], Field(default_factory=list)) for polarity in POLARITIES
}
# A field for each thing a side can say, twice: written out it would be three times as long.
SaidForm: Any = create_model("SaidForm", __base__=_Common, **_fields)


def fields_of(details: Json) -> dict[str, Any]:
    """What stands in the form's fields for what is said."""
    typed: dict[str, Any] = {"needs": details.get("needs", [])}
    typed |= {name: _written(name, details.get(name)) for name in WORDS}
    for polarity in POLARITIES:
        side = details.get(polarity, {})
        typed |= {f"{polarity}_{name}": _written(name, side.get(name)) for name in SIDE}
        styles = side.get("styles", {})
        typed[f"{polarity}_styles"] = [f"{style}:{reads}" for style, reads in styles.items()]
    return typed


def said_in(values: Mapping[str, Any], node: Node) -> Json:
    """What the fields say. Raises Invalid, beside its field, for a line that cannot be read."""
    said: Json = {"needs": values["needs"]}
    own = WORDS if node.kind == "dimension" else ("scope_note", "source")
    said |= {name: _read(name, name, values[name]) for name in own}
    for polarity in POLARITIES if node.kind == "pair" else ():
        side = {
            name: _read(name, f"{polarity}_{name}", values[f"{polarity}_{name}"]) for name in SIDE
        }
        chosen = (each.partition(":") for each in values[f"{polarity}_styles"])
        side["styles"] = {style: reads for style, _, reads in chosen if reads}
        said[polarity] = side
    return said


def taken_fields(details: Json, kind: str) -> dict[str, str]:
    """What stands in the fields of a merge or a split for what is said."""
    if kind == "dimension":
        return {name: _written(name, details.get(name)) for name in TAKEN}
    return {
        f"{polarity}_{name}": _written(name, details.get(polarity, {}).get(name))
        for polarity in POLARITIES
        for name in TAKEN_SIDE
    }


def taken_in(values: Mapping[str, str | None], kind: str) -> Json:
    """What such fields say; those that did not come say nothing. Raises Invalid as `said_in` does."""
    if kind == "dimension":
        return _given(values, "", TAKEN)
    return {polarity: _given(values, f"{polarity}_", TAKEN_SIDE) for polarity in POLARITIES}


def _given(values: Mapping[str, str | None], prefix: str, names: tuple[str, ...]) -> Json:
    given = ((name, values.get(prefix + name)) for name in names)
    return {name: _read(name, prefix + name, text) for name, text in given if text is not None}


def _written(name: str, value: Any) -> str:
    if name == "translations":
        each = (value or {}).items()
        return "\n".join(f"{language}: {_line(texts)}" for language, texts in each)
    return "\n".join(value) if isinstance(value, list) else value or ""


def _line(texts: Json) -> str:
    name, definition = texts.get("name", ""), texts.get("definition", "")
    return f"{name} | {definition}" if definition else name


def _read(name: str, field: str, text: str) -> Any:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if name in _LINES:
        return lines
    if name != "translations":
        return text
    found: Json = {}
    for line in lines:
        language, colon, rest = line.partition(":")
        if not colon or language.strip() in found:
            raise Invalid(
                f"“{line[:60]}” is no line such as “zh-Hans: name | definition”, or its language stands "
                "there twice.",
                field=field,
            )
        words, _, definition = rest.partition("|")
        found[language.strip()] = {"name": words.strip(), "definition": definition.strip()}
    return found


class ListsForm(Fields):
    """Content and styles, an id on each line, and the keys of metadata that they are read from."""

    based_on: int
    content: str = ""
    styles: str = ""
    style_keys: str = ""
    content_keys: str = ""


def list_lines(details: Json) -> dict[str, str]:
    """The lists as they stand in the form."""
    # The database keeps them in an order of its own.
    content = sorted(details.get("content", {}).items())
    styles = sorted(details.get("styles", {}).items())
    return {
        "content": "\n".join(f"{each}: {_line(texts)}" for each, texts in content),
        "styles": "\n".join(
            f"{each}: {' | '.join([texts['name'], *texts.get('alternatives', [])])}"
            for each, texts in styles
        ),
    }


def read_lists(content: str, styles: str) -> Json:
    """What the form's lines say. Raises Invalid beside the field for a line that cannot be read."""
    contents = {
        each: {"name": names[0], "definition": " | ".join(names[1:])}
        for each, names in _read_ids("content", content)
    }
    return {
        "content": contents,
        "styles": {
            each: {"name": names[0], "alternatives": names[1:]}
            for each, names in _read_ids("styles", styles)
        },
    }


def _read_ids(field: str, text: str) -> Iterator[tuple[str, list[str]]]:
    seen: set[str] = set()
    for line in filter(None, map(str.strip, text.splitlines())):
        each, colon, rest = line.partition(":")
        names = [name for name in map(str.strip, rest.split("|")) if name]
        if not colon or not names or each.strip() in seen:
            raise Invalid(
                f"“{line[:60]}” is no line such as “hands: Hands”, or its id stands there twice.",
                field=field,
            )
        seen.add(each.strip())
        yield each.strip(), names


def rows_of(details: Json, criteria: Criteria) -> list[tuple[str, list[str]]]:
    """What is said, field by field, in words and in the order in which people read it."""
    names = {kind: criteria.details.get(kind, {}) for kind in ("content", "styles")}
    rows = []
    for field, (words, _) in FIELDS.items():
        value = details.get(field)
        if field == "needs":
            value = [names["content"].get(each, {}).get("name", each) for each in value or ()]
        elif field == "styles":
            value = [
                f"{names['styles'].get(style, {}).get('name', style)}: "
                f"{'a merit' if reads == 'positive' else 'neutral'}"
                # In the order of the lists; the database keeps them in an order of its own.
                for style, reads in sorted((value or {}).items())
            ]
        elif field == "translations":
            value = [f"{language}: {_line(texts)}" for language, texts in (value or {}).items()]
        if value:
            rows.append((words, value if isinstance(value, list) else [value]))
    return rows
