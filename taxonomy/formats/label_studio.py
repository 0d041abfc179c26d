"""Criteria as the labelling interface of Label Studio: a `<Taxonomy>` of nested choices.

An attribute is a choice with the alias `key/positive` or `key/negative`, which Label Studio writes into its
results in place of the name; a dimension is one with its key.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.saxutils import quoteattr
from xml.sax.xmlreader import AttributesImpl, InputSource

from taxonomy.formats.data import refuse_size
from taxonomy.formats.details import head_details
from taxonomy.formats.drafts import Draft, assemble
from taxonomy.formats.existing import Existing
from taxonomy.formats.reading import MAX_NODES, Fields
from taxonomy.names import is_key
from taxonomy.tree import (
    POLARITIES,
    Attribute,
    Criteria,
    Dimension,
    InvalidCriteria,
    Pair,
    Polarity,
)

LEFT_OUT = (
    "what is retired, has no name, or is a dimension without attributes",
    "relations, exclusive dimensions and exclusions, so nothing there stops a contradiction",
    "other languages, alternative names, links, notes, sources and prompt wordings",
    "applicability, what took the place of what, and the language and limit of the criteria",
)
MAX_CHOICES = 3 * MAX_NODES
MAX_DEPTH = 150
_HEAD = """\
<View>
  <!-- Attributes of an image, for Label Studio. Not in here: {left_out}. -->
  <Image name="image" value="$image"/>
  <Taxonomy name="criteria" toName="image" leafsOnly="true" showFullPath="true">
"""
_TAIL = "  </Taxonomy>\n</View>\n"
_IN_VALUES = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;", "\ufffe": "", "\uffff": ""}


def write_label_studio(criteria: Criteria) -> str:
    """A labelling configuration with every attribute in use, always the same text for the same tree."""
    lines = [line for each in criteria.dimensions for line in _dimension_lines(each)]
    text = "".join(f"    {line}\n" for line in lines)
    return _HEAD.format(left_out="; ".join(LEFT_OUT)) + text + _TAIL


def _dimension_lines(dimension: Dimension) -> list[str]:
    if dimension.retired:
        return []
    inner = [line for each in dimension.dimensions for line in _dimension_lines(each)]
    inner += [line for each in dimension.pairs for line in _pair_lines(each)]
    if not inner:
        return []
    start = _choice(dimension.name, dimension.key, dimension.definition)
    return [f"<Choice {start}>", *(f"  {line}" for line in inner), "</Choice>"]


def _pair_lines(pair: Pair) -> Iterator[str]:
    for polarity in () if pair.retired else POLARITIES:
        side: Attribute = pair.attribute(polarity)
        if side.name:
            yield f"<Choice {_choice(side.name, f'{pair.key}/{polarity}', side.definition)}/>"


def _choice(name: str, alias: str, definition: str) -> str:
    given = {"value": name, "alias": alias, **({"hint": definition} if definition else {})}
    return " ".join(f"{key}={quoteattr(text, _IN_VALUES)}" for key, text in given.items())


# Reading ----------------------------------------------------------------------------------------


@dataclass
class _Choice:
    """A choice as the file has it; `parent` is its number among all, or None at the top."""

    line: int
    parent: int | None
    name: str
    alias: str
    hint: str
    has_inner: bool = False

    def side(self) -> tuple[str, Polarity] | None:
        """The pair and the side that the alias names."""
        key, _, named = self.alias.rpartition("/")
        found = [polarity for polarity in POLARITIES if polarity == named]
        return (key, found[0]) if found and not self.has_inner and is_key(key) else None


def read_label_studio(text: str, existing: Existing | None = None) -> Criteria:
    """Read criteria from a labelling configuration; raises InvalidCriteria with every fault and its line.

    A choice without others in it is a pair; where no alias says which side it is, its positive one.
    """
    refuse_size(text)
    existing = existing or Existing()
    choices = _choices(text)
    keys: dict[int, str] = {}
    drafts: dict[str, Draft] = {}
    problems: list[str] = []
    aliases = (choice.alias.partition("/")[0] for choice in choices)
    existing.claim(alias for alias in aliases if is_key(alias))
    for number, choice in enumerate(choices):
        parent = keys[choice.parent] if choice.parent is not None else None
        if choice.has_inner or parent is None:
            draft = _dimension(choice, parent, existing)
            keys[number] = draft.key
        else:
            draft = _side(choice, parent, existing, drafts, problems)
        if drafts.setdefault(draft.key, draft) is not draft:
            problems.append(
                f"line {choice.line}: {draft.key} stands at {drafts[draft.key].place} too."
            )
    criteria = existing.criteria
    head: Fields = {
        "name": criteria.name,
        "language": criteria.language,
        "max_levels": criteria.max_levels,
        **head_details(criteria),
    }
    if criteria.successors:
        head["successors"] = {key: list(each) for key, each in criteria.successors.items()}
    return assemble(head, list(drafts.values()), problems)


def _dimension(choice: _Choice, parent: str | None, existing: Existing) -> Draft:
    key = choice.alias if is_key(choice.alias) else None
    key = key or existing.dimension_at(parent, choice.name) or existing.new_key(choice.name)
    said = {**existing.dimension_fields(key), "name": choice.name, "definition": choice.hint}
    return Draft(key, "dimension", parent, said, f"line {choice.line}")


def _new_pair(choice: _Choice, parent: str, existing: Existing) -> str:
    return existing.pair_at(parent, choice.name, "") or existing.new_key(choice.name)


def _side(
    choice: _Choice,
    parent: str,
    existing: Existing,
    drafts: dict[str, Draft],
    problems: list[str],
) -> Draft:
    """The pair of an attribute: a new draft, or the one that its other side made."""
    key, polarity = choice.side() or (_new_pair(choice, parent, existing), "positive")
    draft = drafts.get(key)
    if draft is None:
        said: Fields = {"relation": "opposed", **existing.pair_fields(key)}
        draft = Draft(key, "pair", parent, said, f"line {choice.line}")
    elif draft.kind != "pair" or draft.parent != parent or (polarity,) in draft.places:
        problems.append(
            f"line {choice.line}: {choice.alias} stands at {draft.place} too; keep one."
        )
    before = draft.fields.get(polarity)
    words = before if isinstance(before, dict) else {}
    draft.fields[polarity] = {**words, "name": choice.name, "definition": choice.hint}
    draft.places = {**draft.places, (polarity,): f"line {choice.line}"}
    return draft


class _Handler(ContentHandler):
    """Collects the choices of the taxonomy, each with its line."""

    def __init__(self) -> None:
        super().__init__()
        self.choices: list[_Choice] = []
        self.num_taxonomies = 0
        self._open: list[int | None] = []
        self._depth = 0

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidCriteria(
                [f"line {self._line()}: elements are nested too deep; flatten them."]
            )
        if name == "Taxonomy":
            self.num_taxonomies += 1
        if name != "Choice" or not self.num_taxonomies:
            return
        parent = self._open[-1] if self._open else None
        if parent is not None:
            self.choices[parent].has_inner = True
        self._open.append(len(self.choices))
        value, alias, hint = (str(attrs.get(each) or "") for each in ("value", "alias", "hint"))
        self.choices.append(_Choice(self._line(), parent, value, alias, hint))
        if len(self.choices) > MAX_CHOICES or len(self._open) > 100:
            message = (
                f"line {self._line()}: there are too many choices, or they are nested too deep."
            )
            raise InvalidCriteria([message])

    def endElement(self, name: str) -> None:  # noqa: N802
        self._depth -= 1
        if name == "Choice" and self._open:
            self._open.pop()

    def _line(self) -> int:
        return int(self._locator.getLineNumber() or 0)  # type: ignore[attr-defined]


def _choices(text: str) -> list[_Choice]:
    from defusedxml.common import DefusedXmlException
    from defusedxml.expatreader import DefusedExpatParser

    handler = _Handler()
    parser = DefusedExpatParser(forbid_dtd=True)
    parser.setContentHandler(handler)
    source = InputSource()
    source.setCharacterStream(io.StringIO(text.removeprefix("\ufeff").lstrip()))
    try:
        parser.parse(source)
    except DefusedXmlException as error:
        message = "The file declares a document type or entities, which no configuration needs."
        raise InvalidCriteria([message]) from error
    except SAXParseException as error:
        where = f"line {error.getLineNumber()}, column {error.getColumnNumber()}"
        raise InvalidCriteria([f"{where}: this is not XML: {error.getMessage()}."]) from error
    except (SAXException, ValueError) as error:
        raise InvalidCriteria([f"This is not XML: {error}."]) from error
    if handler.num_taxonomies != 1 or not handler.choices:
        message = (
            f"The file has {handler.num_taxonomies} <Taxonomy> and {len(handler.choices)} choices"
        )
        raise InvalidCriteria([f"{message}; one with choices in it is read."])
    return handler.choices
