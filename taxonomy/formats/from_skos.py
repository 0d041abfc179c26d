"""Reading criteria from the statements of a SKOS vocabulary, ours or another's.

Of another's, a concept with narrower ones is a dimension, and one without is a pair that has a positive
side only: what its opposite is called nobody has said yet, and the checks ask for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from taxonomy.formats.details import head_details
from taxonomy.formats.drafts import Draft, assemble
from taxonomy.formats.existing import Existing
from taxonomy.formats.reading import MAX_NODES, Fields
from taxonomy.formats.skos import PREFIXES, SCHEME, Name
from taxonomy.names import is_key
from taxonomy.tree import POLARITIES, Criteria, InvalidCriteria, find_cycle

if TYPE_CHECKING:
    from rdflib import Graph
    from rdflib.term import Node

_WEB = re.compile(r"https?://", re.IGNORECASE)


def from_graph(graph: Graph, existing: Existing, locate: Callable[[str], str]) -> Criteria:
    """The tree that the statements describe, put beside what is there already.

    `locate` says where in the file a thing stands. Raises InvalidCriteria with every fault.
    """
    reading = _Reading(graph, existing, locate)
    drafts = reading.drafts()
    return assemble(reading.head(), drafts, reading.faults)


class _Reading:
    """A graph with what was found in it so far."""

    def __init__(self, graph: Graph, existing: Existing, locate: Callable[[str], str]) -> None:
        self.graph = graph
        self.existing = existing
        self.locate = locate
        self.faults: list[str] = []
        self.language = self._language()
        self.concepts = self._of_kind("skos:Concept")
        self.attributes = self._of_kind("m:Attribute")
        self.pairs = self._of_kind("m:Pair")
        self.dimensions = self._of_kind("m:Dimension")
        self.parents = self._parents()
        self.keys: dict[str, str] = {}

    # Looking things up --------------------------------------------------------------------------

    def _of_kind(self, kind: str) -> set[str]:
        from rdflib.namespace import RDF

        return {str(each) for each in self.graph.subjects(RDF.type, _term(kind))}

    def _values(self, subject: str, name: str) -> list[Node]:
        from rdflib import URIRef

        return list(self.graph.objects(URIRef(subject), _term(name)))

    def _texts(self, subject: str, name: str) -> list[str]:
        return sorted(str(each) for each in self._values(subject, name))

    def _one(self, subject: str, name: str) -> str:
        """The one value, where there is one; more are a fault."""
        texts = self._texts(subject, name)
        if len(texts) > 1:
            found = " and ".join(text[:60] for text in texts[:2])
            self._fault(subject, f"has {len(texts)} values of {name} ({found}); keep one.")
        return texts[0] if texts else ""

    def _fault(self, subject: str, message: str) -> None:
        self.faults.append(f"{self.locate(subject)}: {self._speak(subject)} {message}")

    def _speak(self, subject: str) -> str:
        label = next(iter(self._texts(subject, "skos:prefLabel")), "")
        return f"“{label[:80]}”" if label else f"<{subject[:200]}>"

    def _is(self, subject: str, name: str) -> object:
        text = self._one(subject, name)
        return {"true": True, "false": False, "1": True, "0": False, "": False}.get(text, text)

    def _language(self) -> str:
        found = self._one(str(_term(SCHEME)), "dct:language")
        if found:
            return found
        schemes = sorted(self._of_kind("skos:ConceptScheme"))
        given = [text for each in schemes for text in self._texts(each, "dct:language")]
        return given[0] if len(given) == 1 else self.existing.criteria.language

    # The tree -----------------------------------------------------------------------------------

    def _parents(self) -> dict[str, list[str]]:
        """What every concept and pair is below, as the file says it, upwards or downwards."""
        parents: dict[str, set[str]] = {each: set() for each in self.concepts | self.pairs}
        for upwards in ("skos:broader", "m:below"):
            for inner, outer in self.graph.subject_objects(_term(upwards)):
                parents.setdefault(str(inner), set()).add(str(outer))
        for outer, inner in self.graph.subject_objects(_term("skos:narrower")):
            parents.setdefault(str(inner), set()).add(str(outer))
        return {each: sorted(parents[each]) for each in sorted(parents)}

    def drafts(self) -> list[Draft]:
        """Every dimension and pair, those above first. Raises InvalidCriteria where there is no tree."""
        self._refuse_tangles()
        below: dict[str | None, list[str]] = {}
        inner = {outer for each in self.parents.values() for outer in each}
        for each, outer in self.parents.items():
            is_node = each not in self.attributes and each in self.concepts | self.pairs
            if is_node:
                below.setdefault(outer[0] if outer else None, []).append(each)
        self.existing.claim(filter(None, map(self._given_key, self.parents)))
        drafts: list[Draft] = []
        waiting: list[tuple[str, str | None]] = [(each, None) for each in self._sorted(below, None)]
        while waiting:
            each, parent = waiting.pop(0)
            draft = self._draft(each, parent, is_leaf=each not in inner)
            drafts.append(draft)
            self.keys[each] = draft.key
            waiting += [(child, draft.key) for child in self._sorted(below, each)]
        return drafts

    def _refuse_tangles(self) -> None:
        if len(self.parents) > 3 * MAX_NODES:
            message = f"There are more than {MAX_NODES} dimensions and pairs; split the file."
            raise InvalidCriteria([message])
        for each, outer in self.parents.items():
            if len(outer) > 1:
                two = " and below ".join(map(self._speak, outer[:2]))
                self._fault(each, f"stands below {two}; a criteria tree has one place for it.")
            for missing in (above for above in outer if above not in self.concepts):
                self._fault(each, f"stands below <{missing[:200]}>, which is not described here.")
        circle = find_cycle(
            {each: outer[0] if outer else None for each, outer in self.parents.items()}
        )
        if circle is not None:
            way = " is below ".join(map(self._speak, [*circle, circle[0]]))
            self.faults.append(f"{self.locate(circle[0])}: {way}, which is a circle.")
        if not self.concepts and not self._of_kind("skos:ConceptScheme"):
            self.faults.append("The file describes no skos:Concept, so there is nothing to read.")
        if self.faults:
            raise InvalidCriteria(self.faults)

    def _sorted(self, below: dict[str | None, list[str]], parent: str | None) -> list[str]:
        def order(each: str) -> tuple[int, str, str]:
            position = self._one(each, "m:position")
            number = int(position) if position.isdecimal() and len(position) < 9 else 10**9
            label = next(iter(self._texts(each, "skos:prefLabel")), "")
            return number, label.casefold(), each

        return sorted(below.get(parent, ()), key=order)

    def _given_key(self, subject: str) -> str:
        """The key that the file gives: as a notation, or at the end of a name of ours."""
        notations = [each for each in self._texts(subject, "skos:notation") if is_key(each)]
        local = subject.removeprefix(PREFIXES["c"])
        if subject.startswith(PREFIXES["c"]) and is_key(local):
            return local
        return notations[0] if len(notations) == 1 else ""

    def _draft(self, subject: str, parent: str | None, *, is_leaf: bool) -> Draft:
        place = self.locate(subject)
        if subject in self.pairs:
            key = self._given_key(subject) or self.existing.new_key("pair")
            return Draft(key, "pair", parent, self._pair_fields(subject, key), place)
        is_ours = subject in self.dimensions
        if is_leaf and parent is not None and not is_ours:
            key = self._foreign_key(subject, self.existing.pair_at(parent, self._name(subject), ""))
            side = self._with_link(subject, self._words(subject, {}))
            fields: Fields = {"relation": "opposed", **self.existing.pair_fields(key)}
            return Draft(key, "pair", parent, fields | {"positive": side}, place)
        key = self._foreign_key(subject, self.existing.dimension_at(parent, self._name(subject)))
        said = self.existing.dimension_fields(key)
        fields = self._words(subject, {} if is_ours else said, said)
        if is_ours:
            fields["exclusive"] = self._is(subject, "m:exclusive")
            fields["retired"] = self._is(subject, "owl:deprecated")
            fields |= self._list("needs", self._texts(subject, "m:needs"), said)
        else:
            fields = self._with_link(subject, fields)
        return Draft(key, "dimension", parent, fields, place)

    def _foreign_key(self, subject: str, by_name: str | None) -> str:
        return (
            self._given_key(subject)
            or self.existing.linked_to(subject)
            or by_name
            or self.existing.new_key(self._name(subject))
        )

    def _name(self, subject: str) -> str:
        return str(self._in_languages(subject, "skos:prefLabel").get("", ""))

    def _with_link(self, subject: str, fields: Fields) -> Fields:
        """A concept of another vocabulary remembers which it is."""
        links = fields.get("exact_match", [])
        assert isinstance(links, list)
        if _WEB.match(subject) and subject not in links:
            return fields | {"exact_match": [*links, subject]}
        return fields

    # What a thing says --------------------------------------------------------------------------

    def _pair_fields(self, subject: str, key: str) -> Fields:
        said = self.existing.pair_fields(key)
        fields: Fields = {
            "relation": self._one(subject, "m:relation"),
            "retired": self._is(subject, "owl:deprecated"),
            "scope_note": self._joined(subject, "skos:scopeNote"),
            "source": self._joined(subject, "dct:source"),
            **self._list("needs", self._texts(subject, "m:needs"), said),
        }
        for polarity in POLARITIES:
            attribute = self._one(subject, f"m:{polarity}")
            if attribute:
                before = said.get(polarity, {})
                assert isinstance(before, dict)
                fields[polarity] = self._side_fields(attribute, before)
        return fields

    def _side_fields(self, subject: str, said: Fields) -> Fields:
        fields = self._words(subject, {}, said)
        readings = (text.rpartition(" ") for text in self._texts(subject, "m:reading"))
        styles = {style: reads for style, _, reads in readings}
        excludes = self._texts(subject, "m:excludes")
        fields |= {"styles": styles} if styles else {}
        fields |= {"prompt": self._one(subject, "m:prompt")}
        return fields | self._list(
            "excludes", [self._written_side(each) for each in excludes], said
        )

    def _written_side(self, iri: str) -> str:
        key, _, polarity = iri.removeprefix(PREFIXES["c"]).rpartition(".")
        return f"{key}/{polarity}"

    def _words(self, subject: str, base: Fields, said: Fields | None = None) -> Fields:
        """Names, definitions and links. `said` is what stands there already, whose order is kept."""
        said = base if said is None else said
        names = self._in_languages(subject, "skos:prefLabel")
        definitions = self._in_languages(subject, "skos:definition")
        translations = {}
        for language in sorted({*names, *definitions} - {""}):
            each = {"name": names.get(language), "definition": definitions.get(language)}
            translations[language] = {name: text for name, text in each.items() if text}
        found: Fields = {
            "name": names.get("", ""),
            "definition": definitions.get("", ""),
            "translations": translations,
            "scope_note": self._joined(subject, "skos:scopeNote"),
            "source": self._joined(subject, "dct:source"),
            **self._list("alternatives", self._texts(subject, "skos:altLabel"), said),
            **self._list("exact_match", self._texts(subject, "skos:exactMatch"), said),
            **self._list("close_match", self._texts(subject, "skos:closeMatch"), said),
        }
        written = {name: each for name, each in found.items() if each}
        return {"name": "", "definition": "", **base, **written}

    def _in_languages(self, subject: str, name: str) -> dict[str, str]:
        """Texts by language; "" is that of the criteria, or of a text that says none, or else the first."""
        found: dict[str, str] = {}
        for value in sorted(self._values(subject, name), key=str):
            language = str(getattr(value, "language", None) or "")
            language = "" if language.lower() == self.language.lower() else language
            if language in found and found[language] != str(value):
                which = f"in {language or self.language}"
                self._fault(subject, f"has two values of {name} {which}; keep one.")
            found[language] = str(value)
        if found and "" not in found and name == "skos:prefLabel" and self._is_foreign(subject):
            first = min(found)
            found[""] = found[first]
        return found

    def _is_foreign(self, subject: str) -> bool:
        return subject not in self.attributes and subject not in self.dimensions

    def _joined(self, subject: str, name: str) -> str:
        return "\n".join(dict.fromkeys(self._texts(subject, name)))

    def _list(self, field: str, values: list[str], said: Fields) -> Fields:
        """The values, in the order in which they stand already where they are the same: SKOS has none."""
        values = list(dict.fromkeys(values))
        before = said.get(field)
        if isinstance(before, list) and Counter(before) == Counter(values):
            values = before
        return {field: values} if values else {}

    # The criteria themselves --------------------------------------------------------------------

    def head(self) -> Fields:
        """What the file says of the criteria themselves; where it says nothing all stays as it is."""
        criteria = self.existing.criteria
        fields: Fields = {
            "name": criteria.name,
            "language": self.language,
            "max_levels": criteria.max_levels,
            **head_details(criteria),
        }
        said = {name: list(keys) for name, keys in criteria.successors.items()}
        scheme = str(_term(SCHEME))
        if scheme in self._of_kind("skos:ConceptScheme"):
            levels = self._one(scheme, "m:maxLevels")
            fields["name"] = self._one(scheme, "dct:title")
            fields["max_levels"] = int(levels) if levels.isdecimal() and len(levels) < 5 else levels
            fields["content"] = dict(self._named("m:Content", fields.get("content")))
            fields["styles"] = dict(self._named("m:Style", fields.get("styles")))
        replaced = dict(self._replaced(said))
        if said or replaced:
            fields["successors"] = said | replaced
        return fields

    def _named(self, kind: str, said: object) -> Iterator[tuple[str, Fields]]:
        for subject in sorted(self._of_kind(kind)):
            name = self._one(subject, "skos:notation")
            before = said.get(name, {}) if isinstance(said, dict) else {}
            names = self._in_languages(subject, "skos:prefLabel")
            found: Fields = {
                "name": names.get("", ""),
                "definition": self._in_languages(subject, "skos:definition").get("", ""),
                **self._list("alternatives", self._texts(subject, "skos:altLabel"), before),
            }
            yield name, {field: each for field, each in found.items() if each}

    def _replaced(self, said: dict[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
        by = _term("dct:isReplacedBy")
        for subject in sorted({str(each) for each in self.graph.subjects(by, None)}):
            key = self.keys.get(subject) or self._given_key(subject)
            keys = [
                self.keys.get(each) or self._given_key(each)
                for each in self._texts(subject, "dct:isReplacedBy")
            ]
            if not key or not all(keys):
                self._fault(
                    subject, "is replaced by something that has no key; give it a notation."
                )
                continue
            before = said.get(key, [])
            yield key, before if sorted(before) == sorted(keys) else keys


def _term(name: str) -> Node:
    from rdflib import URIRef

    return URIRef(Name(name).iri)
