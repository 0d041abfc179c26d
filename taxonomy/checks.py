"""The check list of a criteria tree: what stops its publication, and what is doubtful.

Each fault has a code, a severity, the key of its node and a sentence that says what to do. Retired
nodes are not asked for names or definitions: a successor may bear the name of a retired node.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from taxonomy.names import MAX_NAME_LENGTH, is_key, squeeze, tidy_name
from taxonomy.prompt import POLARITY_MARKERS
from taxonomy.similarity import ARTICLES, near_duplicates, singular, words_of
from taxonomy.tree import POLARITIES, Criteria, Dimension, Entry, Node, Pair, find_cycle

Severity: TypeAlias = Literal["error", "warning"]

# Every code, and whether it stops a publication.
SEVERITIES: dict[str, Severity] = {
    "bad-key": "error",
    "bad-name": "error",
    "duplicate-key": "error",
    "duplicate-name": "error",
    "exclusive-single": "warning",
    "flaw-undefined": "error",
    "missing-definition": "warning",
    "missing-name": "error",
    "missing-negative": "error",
    "missing-positive": "error",
    "negated-name": "warning",
    "no-attributes": "error",
    "prompt-clash": "error",
    "replaced-in-use": "error",
    "similar-name": "warning",
    "successor-cycle": "error",
    "successor-kind": "error",
    "too-deep": "error",
    "unknown-successor": "error",
    "untidy-name": "warning",
}

_NEGATIONS = frozenset(
    {"no", "not", "non", "never", "none", "without"}
    | {"lack", "lacks", "lacking", "lacked", "absence", "absent", "missing"}
)
_FILLERS = ARTICLES | frozenset({"of", "any", "is", "are"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. `key` is the node's, or "" for the whole tree; `message` says what to do."""

    code: str
    severity: Severity
    key: str
    message: str


@dataclass(frozen=True, slots=True)
class _Named:
    """A name in use, and how to speak of its place."""

    key: str
    name: str
    place: str


def check(criteria: Criteria) -> list[Problem]:
    """Every fault of the tree, in tree order; one without an `error` can be published."""
    entries = list(criteria.walk())
    active = [entry for entry in entries if not entry.retired]
    attributes = _attribute_names(active)
    problems = [
        *_whole_tree(criteria, active),
        *_keys(entries),
        *_successors(criteria),
        *_depth(criteria.max_levels, active),
        *_dimensions(active),
        *_pairs(active),
        *_attribute_wording(attributes),
        *_clashes(attributes),
        *_similar(attributes),
        *_dimension_twins(active),
    ]
    if criteria.language.partition("-")[0].lower() == "en":
        problems += _negations(active)
    order = {"": -1}
    for position, entry in enumerate(entries):
        order.setdefault(entry.node.key, position)
    return sorted(problems, key=lambda problem: order.get(problem.key, len(order)))


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any of the problems stops a publication."""
    return any(problem.severity == "error" for problem in problems)


def _problem(code: str, key: str, message: str) -> Problem:
    return Problem(code, SEVERITIES[code], key, message)


def _title(node: Node) -> str:
    if isinstance(node, Dimension):
        return f"“{node.name}”" if node.name.strip() else f"the dimension {node.key}"
    names = [name for name in (node.positive.name, node.negative.name) if name.strip()]
    return f"“{' / '.join(names)}”" if names else f"the pair {node.key}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _whole_tree(criteria: Criteria, active: list[Entry]) -> Iterator[Problem]:
    if not criteria.name.strip():
        yield _problem("missing-name", "", "The criteria have no name; give them one.")
    else:
        yield from _wording("", criteria.name, "the criteria's name", is_attribute=False)
    if not active:
        yield _problem("no-attributes", "", "The criteria hold no dimension; add one with pairs.")


def _keys(entries: list[Entry]) -> Iterator[Problem]:
    first: dict[str, Node] = {}
    for entry in entries:
        key = entry.node.key
        if not is_key(key):
            message = (
                f"{_upper(_title(entry.node))} has the key {key!r}; a key is made of a-z, 0-9 and "
                "single hyphens between them."
            )
            yield _problem("bad-key", key, message)
        if key in first:
            message = (
                f"The key {key} is used by {_title(first[key])} and again by "
                f"{_title(entry.node)}; give one of them another key."
            )
            yield _problem("duplicate-key", key, message)
        first.setdefault(key, entry.node)


def _successors(criteria: Criteria) -> Iterator[Problem]:
    known = criteria.successors
    cycle = find_cycle({key: keys[0] for key, keys in known.items() if len(keys) == 1})
    for key, keys in known.items():
        entry = criteria.find(key)
        if entry is not None and not entry.retired:
            message = f"{key} was replaced by {', '.join(keys)}, yet it is in use; retire it."
            yield _problem("replaced-in-use", key, message)
        for missing in (each for each in keys if each not in known and not criteria.find(each)):
            message = f"{key} was replaced by {missing}, which is nowhere in the criteria."
            yield _problem("unknown-successor", key, message)
        found = [criteria.entry(each).node for each in criteria.resolve(key)]
        if key in (cycle or ()) or (not found and all(each in known for each in keys)):
            message = f"The successors of {key} lead back to it; name what is in use now."
            yield _problem("successor-cycle", key, message)
        if len({type(each) for each in found}) > 1:
            message = f"{key} was replaced by dimensions and pairs alike; it was one of them."
            yield _problem("successor-kind", key, message)


def _depth(max_levels: int, active: list[Entry]) -> Iterator[Problem]:
    for entry in active:
        # What lies below the first node over the limit moves with it.
        if entry.level == max_levels + 1:
            message = (
                f"{_upper(_title(entry.node))} is on level {entry.level}; the limit is "
                f"{max_levels}. Move it up or take out a dimension above it."
            )
            yield _problem("too-deep", entry.node.key, message)


def _dimensions(active: list[Entry]) -> Iterator[Problem]:
    rivals = Counter(
        key for entry in active if isinstance(entry.node, Pair) for key in entry.path[:-1]
    )
    for entry in active:
        node = entry.node
        if not isinstance(node, Dimension):
            continue
        title = _upper(_title(node))
        if not node.name.strip():
            yield _problem("missing-name", node.key, f"{title} has no name; give it one.")
        else:
            yield from _wording(node.key, node.name, _title(node), is_attribute=False)
        if not node.definition.strip():
            message = f"{title} has no definition; say in a sentence what belongs to it."
            yield _problem("missing-definition", node.key, message)
        if not rivals[node.key]:
            message = f"{title} holds no attribute pair; add one, or retire the dimension."
            yield _problem("no-attributes", node.key, message)
        num_rivals = rivals[node.key]
        if node.exclusive and num_rivals < 2:
            message = (
                f"{title} is exclusive but has {num_rivals or 'no'} "
                f"{'pair' if num_rivals == 1 else 'pairs'} below it, so there is nothing "
                "to exclude; add pairs or make it not exclusive."
            )
            yield _problem("exclusive-single", node.key, message)


def _pairs(active: list[Entry]) -> Iterator[Problem]:
    for entry in active:
        pair = entry.node
        if not isinstance(pair, Pair):
            continue
        for polarity in POLARITIES:
            if not pair.attribute(polarity).name.strip():
                message = f"{_upper(_title(pair))} has no {polarity} name; give it one."
                yield _problem(f"missing-{polarity}", pair.key, message)
        undefined = [p for p in POLARITIES if not pair.attribute(p).definition.strip()]
        if not undefined:
            continue
        sides = " and ".join(undefined)
        if pair.relation == "flaw" and entry.parent is not None and entry.parent.exclusive:
            message = (
                f"{_upper(_title(pair))} is a flaw in the exclusive dimension "
                f"{_title(entry.parent)}, but its {sides} side has no definition; say when the "
                "positive holds and what then is the flaw."
            )
            yield _problem("flaw-undefined", pair.key, message)
        else:
            message = (
                f"{_upper(_title(pair))} has no {sides} definition; say what has to be seen for "
                "the label to apply."
            )
            yield _problem("missing-definition", pair.key, message)


def _attribute_names(active: list[Entry]) -> list[_Named]:
    return [
        _Named(entry.node.key, name, f"the {polarity} side of {entry.node.key}")
        for entry in active
        if isinstance(entry.node, Pair)
        for polarity in POLARITIES
        if (name := entry.node.attribute(polarity).name).strip()
    ]


def _attribute_wording(attributes: list[_Named]) -> Iterator[Problem]:
    markers = {marker.rstrip(":"): marker for marker in POLARITY_MARKERS.values()}
    for item in attributes:
        yield from _wording(item.key, item.name, item.place, is_attribute=True)
        if "," in item.name:
            message = (
                f"“{squeeze(item.name)}” ({item.place}) holds a comma, which separates attributes "
                "in prompts, so it would be read as two; reword it."
            )
            yield _problem("prompt-clash", item.key, message)
        start = squeeze(item.name).casefold()
        head, colon, _ = start.partition(":")
        if head.rstrip() in markers and (colon or head == start):
            message = (
                f"“{squeeze(item.name)}” ({item.place}) reads as the marker "
                f"“{markers[head.rstrip()]}” of a prompt; reword it."
            )
            yield _problem("prompt-clash", item.key, message)


def _wording(key: str, name: str, place: str, *, is_attribute: bool) -> Iterator[Problem]:
    # The comma of an attribute name is reported as a clash, with its own reason.
    name = name.replace(",", ";")
    try:
        tidy = tidy_name(name, attribute=is_attribute)
    except ValueError as error:
        yield _problem("bad-name", key, f"{_upper(place)}: {error}")
        return
    if tidy != name:
        message = f"{_upper(place)}: the name has stray white space or odd characters; retype it."
        yield _problem("untidy-name", key, message)


def _clashes(attributes: list[_Named]) -> Iterator[Problem]:
    """Names that stand for two attributes once they are words in a prompt."""
    first: dict[str, _Named] = {}
    for item in attributes:
        name = squeeze(item.name)
        other = first.setdefault(name.casefold(), item)
        if other is item:
            continue
        if name == squeeze(other.name):
            code, how = "duplicate-name", f"also names {other.place}"
        else:
            how = f"differs from “{squeeze(other.name)}” ({other.place}) in capitals only"
            code = "prompt-clash"
        message = f"“{name}” ({item.place}) {how}; a prompt cannot tell them apart, rename one."
        yield _problem(code, item.key, message)


def _dimension_twins(active: list[Entry]) -> Iterator[Problem]:
    """Dimensions of one name: confusing anywhere, not to be told apart among siblings."""
    seen: dict[str, list[Entry]] = defaultdict(list)
    siblings: dict[str, list[_Named]] = defaultdict(list)
    for entry in active:
        node = entry.node
        if not isinstance(node, Dimension) or not node.name.strip():
            continue
        parent = entry.parent.key if entry.parent else ""
        siblings[parent].append(_Named(node.key, node.name, node.key))
        twins = seen[squeeze(node.name).casefold()]
        close = [twin for twin in twins if twin.parent is entry.parent]
        if close:
            message = (
                f"{_title(node)} ({node.key}) has the same name as its neighbour "
                f"{close[0].node.key}; rename one of them or merge them."
            )
            yield _problem("duplicate-name", node.key, message)
        elif twins:
            message = (
                f"{_title(node)} ({node.key}) has the same name as the dimension "
                f"{' > '.join(twins[0].path)}; a name of its own is easier to find."
            )
            yield _problem("similar-name", node.key, message)
        twins.append(entry)
    for named in siblings.values():
        yield from _similar(named)


def _similar(items: list[_Named]) -> Iterator[Problem]:
    # Overlong names are errors of their own.
    fitting = [item for item in items if len(item.name) <= MAX_NAME_LENGTH]
    for later, earlier in near_duplicates([squeeze(item.name) for item in fitting]):
        item, other = fitting[later], fitting[earlier]
        message = (
            f"“{squeeze(item.name)}” ({item.place}) is nearly the same as "
            f"“{squeeze(other.name)}” ({other.place}); rename one if they mean different things, "
            "drop one if they do not."
        )
        yield _problem("similar-name", item.key, message)


def _negations(active: list[Entry]) -> Iterator[Problem]:
    for entry in active:
        pair = entry.node
        if not isinstance(pair, Pair):
            continue
        words = words_of(pair.negative.name)
        rest = [word for word in words if word not in _NEGATIONS]
        negates = 0 < len(rest) < len(words)
        if negates and _content(rest) == _content(words_of(pair.positive.name)):
            message = (
                f"“{squeeze(pair.negative.name)}” only negates “{squeeze(pair.positive.name)}”; "
                "name what is seen instead, a model learns little from “no” and “without”."
            )
            yield _problem("negated-name", pair.key, message)


def _content(words: list[str]) -> list[str]:
    return sorted(singular(word) for word in words if word not in _FILLERS)
