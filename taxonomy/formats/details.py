"""What nodes say beside names and definitions, as plain data: left out wherever nothing is said.

Files and published versions made before there was any of this stay as they are, byte for byte.
"""

import re
from dataclasses import replace

from taxonomy.formats.reading import (
    Faults,
    Fields,
    Path,
    read_fields,
    read_mapping,
    read_text,
    read_texts,
)
from taxonomy.names import MAX_KEY_LENGTH, is_key
from taxonomy.tree import (
    POLARITIES,
    READINGS,
    Attribute,
    Criteria,
    Dimension,
    ImageContent,
    ImageStyle,
    Pair,
    Polarity,
    Side,
    StyleReading,
    Translation,
    Words,
)

LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")

WORDS_FIELDS = (
    "translations",
    "alternatives",
    "exact_match",
    "close_match",
    "scope_note",
    "source",
)
HEAD_FIELDS = ("content", "styles")
DIMENSION_FIELDS = (*WORDS_FIELDS, "needs")
PAIR_FIELDS = ("scope_note", "source", "needs")
ATTRIBUTE_FIELDS = (*WORDS_FIELDS, "prompt", "styles", "excludes")


# Writing ---------------------------------------------------------------------------------------


def head_details(criteria: Criteria) -> Fields:
    """The content and the styles that nodes may name."""
    content = {each.id: _wording(each.name, each.definition) for each in criteria.content}
    styles = {
        each.id: _said({"name": each.name, "alternatives": list(each.alternatives)})
        for each in criteria.styles
    }
    return _said({"content": content, "styles": styles})


def dimension_details(dimension: Dimension) -> Fields:
    """What a dimension says beside its name and definition."""
    return {**_words(dimension.words), **_said({"needs": list(dimension.needs)})}


def pair_details(pair: Pair) -> Fields:
    """What a pair says beside its two sides."""
    return _said({"scope_note": pair.scope_note, "source": pair.source, "needs": list(pair.needs)})


def attribute_details(attribute: Attribute) -> Fields:
    """What an attribute says beside its name and definition."""
    others: Fields = {
        "prompt": attribute.prompt,
        "styles": dict(attribute.styles),
        "excludes": [written_side(side) for side in attribute.excludes],
    }
    return {**_words(attribute.words), **_said(others)}


def written_side(side: Side) -> str:
    """An attribute as files name it: `clear-edges/positive`."""
    return f"{side.key}/{side.polarity}"


def _words(words: Words) -> Fields:
    translations = {
        each.language: _wording(each.name, each.definition) for each in words.translations
    }
    return _said(
        {
            "translations": translations,
            "alternatives": list(words.alternatives),
            "exact_match": list(words.exact_match),
            "close_match": list(words.close_match),
            "scope_note": words.scope_note,
            "source": words.source,
        }
    )


def _wording(name: str, definition: str) -> Fields:
    return _said({"name": name, "definition": definition})


def _said(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if value}


def said_of(node: Dimension | Pair) -> Fields:
    """All that a node says beside names and definitions; of a pair that of its sides, too."""
    if isinstance(node, Dimension):
        return dimension_details(node)
    sides: Fields = {each: attribute_details(node.attribute(each)) for each in POLARITIES}
    return {**pair_details(node), **_said(sides)}


# Reading ---------------------------------------------------------------------------------------


def dimension_saying(dimension: Dimension, said: Fields) -> Dimension:
    """The dimension with all that `said_of` told of it. Raises InvalidCriteria, as the next two do."""
    reading = Faults({})
    fields = read_fields(reading, (), said, DIMENSION_FIELDS)
    words = read_words(reading, (), fields)
    needs = read_texts(reading, (), fields, "needs")
    reading.refuse()
    return replace(dimension, words=words, needs=needs)


def pair_saying(pair: Pair, said: Fields) -> Pair:
    """The pair with all that `said_of` told of it and its sides."""
    reading = Faults({})
    fields = read_fields(reading, (), said, (*PAIR_FIELDS, *POLARITIES))
    positive, negative = (
        _attribute_saying(reading, pair.attribute(each), each, fields) for each in POLARITIES
    )
    needs = read_texts(reading, (), fields, "needs")
    scope_note, source = (read_text(reading, (), fields, each) for each in ("scope_note", "source"))
    reading.refuse()
    return replace(
        pair,
        positive=positive,
        negative=negative,
        needs=needs,
        scope_note=scope_note,
        source=source,
    )


def _attribute_saying(
    reading: Faults, attribute: Attribute, polarity: Polarity, said: Fields | None
) -> Attribute:
    value = (said or {}).get(polarity)
    if value is None:
        return attribute
    fields = read_fields(reading, (polarity,), value, ATTRIBUTE_FIELDS)
    return read_attribute_details(reading, (polarity,), fields, attribute)


def criteria_saying(criteria: Criteria, said: Fields) -> Criteria:
    """The criteria with the lists that `head_details` told of."""
    reading = Faults({})
    fields = read_fields(reading, (), said, HEAD_FIELDS)
    content, styles = read_content(reading, fields), read_styles(reading, fields)
    reading.refuse()
    return replace(criteria, content=content, styles=styles)


def read_content(reading: Faults, fields: Fields | None) -> tuple[ImageContent, ...]:
    """The content that nodes may need."""
    found = []
    for name, item in read_mapping(reading, (), fields, "content"):
        path = ("content", name)
        inner = _read_named(reading, path, item, ("name", "definition"))
        definition = read_text(reading, path, inner, "definition")
        found.append(ImageContent(name, read_text(reading, path, inner, "name"), definition))
    return tuple(found)


def read_styles(reading: Faults, fields: Fields | None) -> tuple[ImageStyle, ...]:
    """The styles in which attributes may read differently."""
    found = []
    for name, item in read_mapping(reading, (), fields, "styles"):
        path = ("styles", name)
        inner = _read_named(reading, path, item, ("name", "alternatives"))
        alternatives = read_texts(reading, path, inner, "alternatives")
        found.append(ImageStyle(name, read_text(reading, path, inner, "name"), alternatives))
    return tuple(found)


def _read_named(
    reading: Faults, path: tuple[str, str], item: object, allowed: tuple[str, ...]
) -> Fields | None:
    if not is_key(path[1]):
        reading.fault(
            path,
            "an id must be a-z, 0-9 and single hyphens between them, "
            f"at most {MAX_KEY_LENGTH} characters.",
        )
    inner = read_fields(reading, path, item, allowed)
    if inner is not None and not inner.get("name"):
        reading.fault((*path, "name"), "is missing.")
    return inner


def read_words(reading: Faults, path: Path, fields: Fields | None) -> Words:
    """What a dimension or an attribute is called elsewhere, and where it comes from."""
    return Words(
        translations=_read_translations(reading, path, fields),
        alternatives=read_texts(reading, path, fields, "alternatives"),
        exact_match=_read_uris(reading, path, fields, "exact_match"),
        close_match=_read_uris(reading, path, fields, "close_match"),
        scope_note=read_text(reading, path, fields, "scope_note"),
        source=read_text(reading, path, fields, "source"),
    )


def _read_translations(
    reading: Faults, path: Path, fields: Fields | None
) -> tuple[Translation, ...]:
    found: dict[str, Translation] = {}
    for language, item in read_mapping(reading, path, fields, "translations"):
        here = (*path, "translations", language)
        if not LANGUAGE.fullmatch(language):
            reading.fault(here, "must be a language code such as fr or zh-Hans.")
        elif language.casefold() in found:
            reading.fault(here, "stands here twice but for capitals; keep one.")
        inner = read_fields(reading, here, item, ("name", "definition"))
        each = Translation(
            language,
            read_text(reading, here, inner, "name"),
            read_text(reading, here, inner, "definition"),
        )
        if inner is not None and not (each.name or each.definition):
            reading.fault(here, "says neither a name nor a definition; take it out.")
        found[language.casefold()] = each
    return tuple(found.values())


def _read_uris(reading: Faults, path: Path, fields: Fields | None, name: str) -> tuple[str, ...]:
    uris = read_texts(reading, path, fields, name)
    for number, uri in enumerate(uris):
        if uri and not _URI.fullmatch(uri):
            example = "a full URI such as https://vocab.example.org/300015636"
            reading.fault((*path, name, number), f"must be {example}.")
    return uris


def read_attribute_details(
    reading: Faults, path: Path, fields: Fields | None, attribute: Attribute
) -> Attribute:
    """The attribute with all that it says beside its name and definition."""
    return replace(
        attribute,
        words=read_words(reading, path, fields),
        prompt=read_text(reading, path, fields, "prompt"),
        styles=_read_style_readings(reading, path, fields),
        excludes=_read_excludes(reading, path, fields),
    )


def _read_style_readings(
    reading: Faults, path: Path, fields: Fields | None
) -> tuple[StyleReading, ...]:
    found = []
    for style, item in read_mapping(reading, path, fields, "styles"):
        known = [reads for reads in READINGS if reads == item]
        if not known:
            reading.fault((*path, "styles", style), f"must be {' or '.join(READINGS)}.")
        found += [StyleReading(style, reads) for reads in known]
    return tuple(found)


def _read_excludes(reading: Faults, path: Path, fields: Fields | None) -> tuple[Side, ...]:
    found = []
    for number, text in enumerate(read_texts(reading, path, fields, "excludes")):
        key, _, side = text.rpartition("/")
        known = [polarity for polarity in POLARITIES if polarity == side]
        if not known or not is_key(key):
            message = "must name an attribute as key/positive or key/negative."
            reading.fault((*path, "excludes", number), message)
        found += [Side(key, polarity) for polarity in known]
    return tuple(found)
