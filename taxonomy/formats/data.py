"""Criteria as plain data (dicts, lists, text), the one shape behind YAML and JSON."""

from collections.abc import Mapping

from taxonomy.formats.details import (
    ATTRIBUTE_FIELDS,
    DIMENSION_FIELDS,
    HEAD_FIELDS,
    LANGUAGE,
    PAIR_FIELDS,
    attribute_details,
    dimension_details,
    head_details,
    pair_details,
    read_attribute_details,
    read_content,
    read_styles,
    read_words,
)
from taxonomy.formats.reading import (
    MAX_PROBLEMS,
    Faults,
    Fields,
    Path,
    kind_of,
    read_fields,
    read_flag,
    read_key,
    read_list,
    read_text,
    read_texts,
)
from taxonomy.names import is_key
from taxonomy.tree import (
    DEFAULT_LANGUAGE,
    DEFAULT_MAX_LEVELS,
    RELATIONS,
    Attribute,
    Criteria,
    Dimension,
    InvalidCriteria,
    Pair,
    Relation,
)

FORMAT = "morelli-criteria/1"
MAX_BYTES = 5_000_000
MAX_LEVELS = 20
# Deeper nesting is not read at all; a tree too deep for its own limit is for the checks to say.
MAX_DEPTH = 32

_CRITERIA = ("format", "name", "language", "max_levels", "successors", "dimensions", *HEAD_FIELDS)
_DIMENSION = (
    *("key", "name", "definition", "exclusive", "dimensions", "pairs", "retired"),
    *DIMENSION_FIELDS,
)
_PAIR = ("key", "relation", "positive", "negative", "retired", *PAIR_FIELDS)
_ATTRIBUTE = ("name", "definition", *ATTRIBUTE_FIELDS)


def to_data(criteria: Criteria) -> Fields:
    """The tree as dicts, lists, text, numbers and booleans, every first field written out.

    Published versions are known by the hash of this data: what `taxonomy.formats.details` adds is left
    out where nothing is said, or older hashes no longer held.
    """
    successors = {key: list(each) for key, each in sorted(criteria.successors.items())}
    return {
        "format": FORMAT,
        "name": criteria.name,
        "language": criteria.language,
        "max_levels": criteria.max_levels,
        **({"successors": successors} if successors else {}),
        "dimensions": [_dimension_data(dimension) for dimension in criteria.dimensions],
        **head_details(criteria),
    }


def _dimension_data(dimension: Dimension) -> Fields:
    return {
        "key": dimension.key,
        **dimension_fields(dimension),
        "dimensions": [_dimension_data(child) for child in dimension.dimensions],
        "pairs": [_pair_data(pair) for pair in dimension.pairs],
    }


def dimension_fields(dimension: Dimension) -> Fields:
    """What a dimension says of itself, without its key and its children."""
    return {
        "name": dimension.name,
        "definition": dimension.definition,
        "exclusive": dimension.exclusive,
        "retired": dimension.retired,
        **dimension_details(dimension),
    }


def _pair_data(pair: Pair) -> Fields:
    return {"key": pair.key, **pair_fields(pair)}


def pair_fields(pair: Pair) -> Fields:
    """What a pair says of itself, without its key."""
    return {
        "relation": pair.relation,
        "positive": _attribute_data(pair.positive),
        "negative": _attribute_data(pair.negative),
        "retired": pair.retired,
        **pair_details(pair),
    }


def _attribute_data(attribute: Attribute) -> Fields:
    texts: Fields = {"name": attribute.name, "definition": attribute.definition}
    return {**texts, **attribute_details(attribute)}


def from_data(data: object, lines: Mapping[Path, int | str] | None = None) -> Criteria:
    """The tree that the data describes; raises InvalidCriteria naming every fault and its place.

    Judges the structure only: fields, types, keys. Attribute names and definitions may be missing;
    `taxonomy.checks` reports those. `lines` maps a path to its line number, or to the words for
    its place in a format that has no such paths, where known.
    """
    reading = Faults(lines or {})
    criteria = _criteria(reading, data)
    if reading.is_full():
        reading.problems.append(f"Only the first {MAX_PROBLEMS} problems are listed.")
    if reading.problems:
        raise InvalidCriteria(reading.problems)
    return criteria


def refuse_size(text: str) -> None:
    """Raise InvalidCriteria when the text is larger than a criteria file may be."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidCriteria([f"The file is larger than {MAX_BYTES // 1_000_000} MB; split it."])


def _criteria(reading: Faults, data: object) -> Criteria:
    fields = read_fields(reading, (), data, _CRITERIA)
    if fields is not None and fields.get("format") != FORMAT:
        reading.fault(("format",), f"must be {FORMAT}, the only format known here.")
    if fields is not None and fields.get("dimensions") is None:
        reading.fault(("dimensions",), "is missing.")
    language = read_text(reading, (), fields, "language") or DEFAULT_LANGUAGE
    if not LANGUAGE.fullmatch(language):
        reading.fault(("language",), "must be a language code such as en or pt-BR.")
    return Criteria(
        name=read_text(reading, (), fields, "name", required=True),
        language=language,
        max_levels=_max_levels(reading, fields),
        dimensions=read_list(reading, (), fields, "dimensions", _dimension),
        successors=_successors(reading, fields),
        content=read_content(reading, fields),
        styles=read_styles(reading, fields),
    )


def _successors(reading: Faults, fields: Fields | None) -> dict[str, tuple[str, ...]]:
    value = (fields or {}).get("successors")
    if value is None:
        return {}
    if not isinstance(value, dict):
        reading.fault(("successors",), f"must be a mapping of keys, not {kind_of(value)}.")
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for key, each in value.items():
        here = ("successors", str(key)[:40])
        if not reading.count_node(here):
            break
        keys = each if isinstance(each, list) else []
        if not is_key(str(key)) or not keys or not all(map(_is_key, keys)):
            reading.fault(here, "must be a key with a list of the keys that took its place.")
        elif len(set(keys)) < len(keys) or key in keys:
            reading.fault(here, "names a key twice, or itself.")
        found[str(key)] = tuple(map(str, keys))
    return found


def _is_key(value: object) -> bool:
    return isinstance(value, str) and is_key(value)


def _dimension(reading: Faults, path: Path, data: object) -> Dimension:
    # A path holds two steps for each level, so it tells the depth.
    if len(path) > 2 * MAX_DEPTH:
        reading.fault(path, f"dimensions are nested more than {MAX_DEPTH} deep; flatten them.")
        return Dimension("", "")
    fields = read_fields(reading, path, data, _DIMENSION)
    return Dimension(
        key=read_key(reading, path, fields),
        name=read_text(reading, path, fields, "name", required=True),
        definition=read_text(reading, path, fields, "definition"),
        exclusive=read_flag(reading, path, fields, "exclusive"),
        dimensions=read_list(reading, path, fields, "dimensions", _dimension),
        pairs=read_list(reading, path, fields, "pairs", _pair),
        retired=read_flag(reading, path, fields, "retired"),
        words=read_words(reading, path, fields),
        needs=read_texts(reading, path, fields, "needs"),
    )


def _pair(reading: Faults, path: Path, data: object) -> Pair:
    fields = read_fields(reading, path, data, _PAIR)
    return Pair(
        key=read_key(reading, path, fields),
        relation=_relation(reading, path, fields),
        positive=_attribute(reading, path, fields, "positive"),
        negative=_attribute(reading, path, fields, "negative"),
        retired=read_flag(reading, path, fields, "retired"),
        needs=read_texts(reading, path, fields, "needs"),
        scope_note=read_text(reading, path, fields, "scope_note"),
        source=read_text(reading, path, fields, "source"),
    )


def _attribute(reading: Faults, path: Path, fields: Fields | None, name: str) -> Attribute:
    value = (fields or {}).get(name)
    if value is None:
        return Attribute("")
    path = (*path, name)
    inner = read_fields(reading, path, value, _ATTRIBUTE)
    name, definition = (read_text(reading, path, inner, each) for each in ("name", "definition"))
    return read_attribute_details(reading, path, inner, Attribute(name, definition))


def _relation(reading: Faults, path: Path, fields: Fields | None) -> Relation:
    value = (fields or {}).get("relation")
    for relation in RELATIONS:
        if value == relation:
            return relation
    if fields is not None:
        reading.fault((*path, "relation"), f"must be {' or '.join(RELATIONS)}.")
    return "opposed"


def _max_levels(reading: Faults, fields: Fields | None) -> int:
    value = (fields or {}).get("max_levels")
    if value is None:
        return DEFAULT_MAX_LEVELS
    if isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= MAX_LEVELS:
        return value
    reading.fault(("max_levels",), f"must be a whole number from 2 to {MAX_LEVELS}.")
    return DEFAULT_MAX_LEVELS
