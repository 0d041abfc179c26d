"""What differs in what two nodes say beside names and definitions, field by field."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

from taxonomy.formats.reading import Fields

DetailKind: TypeAlias = Literal[
    "words-changed", "prompt-changed", "applicability-changed", "exclusions-changed"
]

# What each field is called in a sentence, and what kind of change it makes.
FIELDS: Mapping[str, tuple[str, DetailKind]] = {
    "translations": ("names in other languages", "words-changed"),
    "alternatives": ("alternative names", "words-changed"),
    "exact_match": ("exact matches", "words-changed"),
    "close_match": ("close matches", "words-changed"),
    "scope_note": ("scope note", "words-changed"),
    "source": ("source", "words-changed"),
    "prompt": ("prompt wording", "prompt-changed"),
    "content": ("list of content", "applicability-changed"),
    "needs": ("needed content", "applicability-changed"),
    "styles": ("styles", "applicability-changed"),
    "excludes": ("exclusions", "exclusions-changed"),
}


class DetailChange(NamedTuple):
    """One field that changed; `before` and `after` are text, or a text for each item, or None."""

    field: str
    kind: DetailKind
    before: str | tuple[str, ...] | None
    after: str | tuple[str, ...] | None
    sentence: str


def detail_changes(title: str, was: Fields, now: Fields) -> Iterator[DetailChange]:
    """The fields that differ. `title` names the node, or the side of one, in the sentences."""
    for field, (words, kind) in FIELDS.items():
        before, after = was.get(field), now.get(field)
        if before == after:
            continue
        verb = "changed" if before and after else "added" if after else "removed"
        be = "were" if words.endswith("s") else "was"
        sentence = f"The {words} of {title} {be} {verb}."
        yield DetailChange(field, kind, _flat(before), _flat(after), sentence)


def _flat(value: object) -> str | tuple[str, ...] | None:
    if isinstance(value, dict):
        return tuple(f"{name}: {_line(item)}" for name, item in value.items())
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    return None if value is None else str(value)


def _line(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    return "; ".join(", ".join(each) if isinstance(each, list) else each for each in item.values())
