"""Criteria as YAML: the native format, made to be read and compared by people."""

import re
import textwrap
from collections.abc import Iterator

import yaml

from taxonomy.formats.data import FORMAT, from_data, refuse_size
from taxonomy.formats.details import (
    attribute_details,
    dimension_details,
    head_details,
    pair_details,
)
from taxonomy.formats.reading import Fields, Path, place
from taxonomy.tree import Attribute, Criteria, Dimension, InvalidCriteria, Pair

# 32 levels of the tree take about 66 nested lists and mappings.
MAX_NESTING = 100
# Of the parser: a tree with the 10 000 nodes allowed takes 300 000, and 200 000 more with
# names and definitions in a second language.
MAX_EVENTS = 700_000
MAX_PROBLEMS = 100
# Of the text of a definition: five levels indent it by 24, which makes lines of 100. One width
# wherever the text stands, so that moving a node does not wrap its definition anew.
TEXT_WIDTH = 76

# The C parser is about ten times as fast; PyYAML may have been built without it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WHOLE_NUMBER = re.compile(r"[-+]?[0-9]{1,18}")
_TAG = "tag:yaml.org,2002:"
# A plain scalar starts with a letter and holds nothing that YAML could give a meaning to.
_PLAIN = re.compile(r"[^\W\d_](?:[\w ()/.'’&+-]*[\w().'’])?")
# What is written over several lines.
_SENTENCES = ("definition", "scope_note")
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def read_yaml(text: str) -> Criteria:
    """Read criteria from YAML; raises InvalidCriteria with every fault, its place and line.

    Reads plain data only: aliases, anchors and tags are refused, and of the plain scalars only
    true, false, null and numbers are anything but text.
    """
    refuse_size(text)
    text = text.removeprefix("\ufeff")
    problems: list[str] = []
    lines: dict[Path, int] = {}
    try:
        _refuse_dangers(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InvalidCriteria([_syntax_problem(error, text)]) from error
    except UnicodeEncodeError as error:
        raise InvalidCriteria(["The text holds a broken character; save it as UTF-8."]) from error
    if root is None:
        raise InvalidCriteria(["The file is empty."])
    data = _plain(root, (), lines, problems)
    try:
        criteria = from_data(data, lines)
    except InvalidCriteria as error:
        raise InvalidCriteria(problems + error.problems) from error
    if problems:
        raise InvalidCriteria(problems)
    return criteria


def _refuse_dangers(text: str) -> None:
    """Refuse what could make a small file large or deep, before any of it is built."""
    problems: list[str] = []
    depth = documents = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        problems += _indirections(event)
        limit = _limit_passed(depth, documents, number)
        if limit:
            problems.append(f"line {_line(event)}: {limit}")
        if limit or len(problems) >= MAX_PROBLEMS:
            raise InvalidCriteria(problems)
    if problems:
        raise InvalidCriteria(problems)


def _limit_passed(depth: int, documents: int, num_events: int) -> str | None:
    if documents > 1:
        return "the file holds more than one document; keep one."
    if depth > MAX_NESTING:
        return f"nested more than {MAX_NESTING} deep; flatten it."
    if num_events > MAX_EVENTS:
        return "the file holds far more values than a criteria tree; split it."
    return None


def _indirections(event: yaml.Event) -> Iterator[str]:
    if isinstance(event, yaml.AliasEvent):
        yield f"line {_line(event)}: the alias *{event.anchor} is not read; write the value out."
    elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
        yield f"line {_line(event)}: the anchor &{event.anchor} is not read; remove it."
    if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
        yield f"line {_line(event)}: the tag {event.tag} is not read; remove it."


def _line(at: yaml.Event | yaml.Node) -> int:
    return at.start_mark.line + 1 if at.start_mark is not None else 1


def _plain(node: yaml.Node, path: Path, lines: dict[Path, int], problems: list[str]) -> object:
    """The node as plain data; notes the line of each path."""
    lines.setdefault(path, _line(node))
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), lines, problems) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, problems)
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node)


def _mapping(
    node: yaml.MappingNode, path: Path, lines: dict[Path, int], problems: list[str]
) -> dict[str, object]:
    fields: dict[str, object] = {}
    for key_node, value_node in node.value:
        line = _line(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(f"{place(path, line)}: the name of a field must be text.")
            continue
        name = str(key_node.value)
        if name in fields:
            problems.append(f"{place((*path, name[:40]), line)}: stands here twice; keep one.")
            continue
        lines[(*path, name)] = line
        fields[name] = _plain(value_node, (*path, name), lines, problems)
    return fields


def _scalar(node: yaml.ScalarNode) -> object:
    # YAML 1.1 reads `no`, `on` and `12:30` as a boolean and a number. Names may be such words, so
    # only what YAML 1.2 knows is anything but text.
    value = str(node.value)
    if node.tag == _TAG + "null":
        return None
    if node.tag == _TAG + "bool" and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if node.tag == _TAG + "int" and _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    return value


def _syntax_problem(error: yaml.YAMLError, text: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        context = f" {error.context}" if error.context else ""
        where = f"line {mark.line + 1}, column {mark.column + 1}"
        return f"{where}: this is not YAML{context}: {error.problem}."
    if isinstance(error, yaml.reader.ReaderError) and isinstance(error.character, int):
        # The parsers count bytes or characters; the first one of its kind is what they met.
        line = text.count("\n", 0, text.find(chr(error.character))) + 1
        return f"line {line}: holds a character that no text has (U+{error.character:04X}); take it out."
    first_line = str(error).partition("\n")[0]
    return f"This is not YAML: {first_line}."


def write_yaml(criteria: Criteria) -> str:
    """The tree as YAML, always the same text for the same tree; `read_yaml` gives it back.

    Flags that are off, empty lists of children and what is not said are left out.
    """
    lines = [
        f"format: {FORMAT}",
        f"name: {_written(criteria.name)}",
        f"language: {_written(criteria.language)}",
        f"max_levels: {criteria.max_levels}",
        *_detail_lines(head_details(criteria)),
    ]
    if criteria.successors:
        lines += ["successors:", *_indent(_successor_lines(criteria), "  ")]
    if not criteria.dimensions:
        lines.append("dimensions: []")
    else:
        lines.append("dimensions:")
        for dimension in criteria.dimensions:
            lines += ["", *_indent(_dimension_lines(dimension), "  ")]
    return "\n".join(lines) + "\n"


def _successor_lines(criteria: Criteria) -> list[str]:
    return [
        f"{_written(key)}: [{', '.join(map(_written, each))}]"
        for key, each in sorted(criteria.successors.items())
    ]


def _dimension_lines(dimension: Dimension) -> list[str]:
    lines = [f"- key: {_written(dimension.key)}", f"  name: {_written(dimension.name)}"]
    lines += _indent(_definition_lines(dimension.definition), "  ")
    if dimension.exclusive:
        lines.append("  exclusive: true")
    lines += _indent(_detail_lines(dimension_details(dimension)), "  ")
    if dimension.dimensions:
        lines.append("  dimensions:")
        for child in dimension.dimensions:
            lines += _indent(_dimension_lines(child), "    ")
    if dimension.pairs:
        lines.append("  pairs:")
        for pair in dimension.pairs:
            lines += _indent(_pair_lines(pair), "    ")
    if dimension.retired:
        lines.append("  retired: true")
    return lines


def _pair_lines(pair: Pair) -> list[str]:
    lines = [f"- key: {_written(pair.key)}", f"  relation: {_written(pair.relation)}"]
    lines += _indent(_detail_lines(pair_details(pair)), "  ")
    lines += ["  positive:", *_indent(_attribute_lines(pair.positive), "    ")]
    lines += ["  negative:", *_indent(_attribute_lines(pair.negative), "    ")]
    if pair.retired:
        lines.append("  retired: true")
    return lines


def _attribute_lines(attribute: Attribute) -> list[str]:
    lines = [f"name: {_written(attribute.name)}", *_definition_lines(attribute.definition)]
    return lines + _detail_lines(attribute_details(attribute))


def _definition_lines(text: str) -> list[str]:
    return _text_lines("definition", text)


def _detail_lines(fields: Fields) -> list[str]:
    lines = []
    for name, value in fields.items():
        if isinstance(value, dict):
            lines += [f"{_written(name)}:", *_indent(_detail_lines(value), "  ")]
        elif isinstance(value, list):
            lines += [f"{_written(name)}:", *(f"  - {_written(text)}" for text in value)]
        elif name in _SENTENCES:
            lines += _text_lines(name, str(value))
        else:
            lines.append(f"{_written(name)}: {_written(str(value))}")
    return lines


def _text_lines(name: str, text: str) -> list[str]:
    words = text.split(" ")
    # Folding may only break at single spaces; any other text is quoted, to come back exactly.
    if not text or not text.isprintable() or not all(words):
        return [f"{name}: {_written(text)}"]
    return [f"{name}: >-", *_indent(_wrap(text), "  ")]


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)


def _written(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.casefold() not in _RESERVED:
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    if character == "\n":
        return "\\n"
    number = ord(character)
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"


def _indent(lines: list[str], space: str) -> list[str]:
    return [space + line for line in lines]
