"""The check list of a criteria tree: what stops its publication, and what is doubtful.

Each fault has a code, a severity, the key of its node and a sentence that says what to do. Retired
nodes are not asked for names or definitions: a successor may bear the name of a retired node.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from taxonomy.detail_checks import detail_problems
from taxonomy.names import MAX_NAME_LENGTH, is_key, squeeze, tidy_name
from taxonomy.problems import Problem, problem, title, upper
from taxonomy.prompt import POLARITY_MARKERS
from taxonomy.similarity import ARTICLES, near_duplicates, singular, words_of
from taxonomy.tree import POLARITIES, Criteria, Dimension, Entry, Node, Pair, Polarity, find_cycle
from taxonomy.vocabulary_checks import vocabulary_problems

_NEGATIONS = frozenset(
    {"no", "not", "non", "never", "none", "without"}
    | {"lack", "lacks", "lacking", "lacked", "absence", "absent", "missing"}
)
_FILLERS = ARTICLES | frozenset({"of", "any", "is", "are"})
PROMPT_OF = "the prompt wording of "


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
        *_attribute_wording(_prompt_wordings(active)),
        *_clashes(attributes),
        *_prompt_clashes(active),
        *_turned_prompts(active),
        *_similar(attributes),
        *_dimension_twins(active),
        *detail_problems(criteria, active),
        *vocabulary_problems(criteria, active),
    ]
    if criteria.language.partition("-")[0].lower() == "en":
        problems += _negations(active)
    order = {"": -1}
    for position, entry in enumerate(entries):
        order.setdefault(entry.node.key, position)
    return sorted(problems, key=lambda each: order.get(each.key, len(order)))


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any of the problems stops a publication."""
    return any(each.severity == "error" for each in problems)


def _whole_tree(criteria: Criteria, active: list[Entry]) -> Iterator[Problem]:
    if not criteria.name.strip():
        yield problem("missing-name", "", "The criteria have no name; give them one.")
    else:
        yield from _wording("", criteria.name, "the criteria's name", is_attribute=False)
    if not active:
        yield problem("no-attributes", "", "The criteria hold no dimension; add one with pairs.")


def _keys(entries: list[Entry]) -> Iterator[Problem]:
    first: dict[str, Node] = {}
    for entry in entries:
        key = entry.node.key
        if not is_key(key):
            message = (
                f"{upper(title(entry.node))} has the key {key!r}; a key is made of a-z, 0-9 and "
                "single hyphens between them."
            )
            yield problem("bad-key", key, message)
        if key in first:
            message = (
                f"The key {key} is used by {title(first[key])} and again by "
                f"{title(entry.node)}; give one of them another key."
            )
            yield problem("duplicate-key", key, message)
        first.setdefault(key, entry.node)


def _successors(criteria: Criteria) -> Iterator[Problem]:
    known = criteria.successors
    cycle = find_cycle({key: keys[0] for key, keys in known.items() if len(keys) == 1})
    for key, keys in known.items():
        entry = criteria.find(key)
        if entry is not None and not entry.retired:
            message = f"{key} was replaced by {', '.join(keys)}, yet it is in use; retire it."
            yield problem("replaced-in-use", key, message)
        for missing in (each for each in keys if each not in known and not criteria.find(each)):
            message = f"{key} was replaced by {missing}, which is nowhere in the criteria."
            yield problem("unknown-successor", key, message)
        found = [criteria.entry(each).node for each in criteria.resolve(key)]
        if key in (cycle or ()) or (not found and all(each in known for each in keys)):
            message = f"The successors of {key} lead back to it; name what is in use now."
            yield problem("successor-cycle", key, message)
        if len({type(each) for each in found}) > 1:
            message = f"{key} was replaced by dimensions and pairs alike; it was one of them."
            yield problem("successor-kind", key, message)


def _depth(max_levels: int, active: list[Entry]) -> Iterator[Problem]:
    for entry in active:
        # What lies below the first node over the limit moves with it.
        if entry.level == max_levels + 1:
            message = (
                f"{upper(title(entry.node))} is on level {entry.level}; the limit is "
                f"{max_levels}. Move it up or take out a dimension above it."
            )
            yield problem("too-deep", entry.node.key, message)


def _dimensions(active: list[Entry]) -> Iterator[Problem]:
    rivals = Counter(
        key for entry in active if isinstance(entry.node, Pair) for key in entry.path[:-1]
    )
    for entry in active:
        node = entry.node
        if not isinstance(node, Dimension):
            continue
        which = upper(title(node))
        if not node.name.strip():
            yield problem("missing-name", node.key, f"{which} has no name; give it one.")
        else:
            yield from _wording(node.key, node.name, title(node), is_attribute=False)
        if not node.definition.strip():
            message = f"{which} has no definition; say in a sentence what belongs to it."
            yield problem("missing-definition", node.key, message)
        if not rivals[node.key]:
            message = f"{which} holds no attribute pair; add one, or retire the dimension."
            yield problem("no-attributes", node.key, message)
        num_rivals = rivals[node.key]
        if node.exclusive and num_rivals < 2:
            message = (
                f"{which} is exclusive but has {num_rivals or 'no'} "
                f"{'pair' if num_rivals == 1 else 'pairs'} below it, so there is nothing "
                "to exclude; add pairs or make it not exclusive."
            )
            yield problem("exclusive-single", node.key, message)


def _pairs(active: list[Entry]) -> Iterator[Problem]:
    for entry in active:
        pair = entry.node
        if not isinstance(pair, Pair):
            continue
        for polarity in POLARITIES:
            if not pair.attribute(polarity).name.strip():
                message = f"{upper(title(pair))} has no {polarity} name; give it one."
                yield problem(f"missing-{polarity}", pair.key, message)
        undefined = [p for p in POLARITIES if not pair.attribute(p).definition.strip()]
        if not undefined:
            continue
        sides = " and ".join(undefined)
        if pair.relation == "flaw" and entry.parent is not None and entry.parent.exclusive:
            message = (
                f"{upper(title(pair))} is a flaw in the exclusive dimension "
                f"{title(entry.parent)}, but its {sides} side has no definition; say when the "
                "positive holds and what then is the flaw."
            )
            yield problem("flaw-undefined", pair.key, message)
        else:
            message = (
                f"{upper(title(pair))} has no {sides} definition; say what has to be seen for "
                "the label to apply."
            )
            yield problem("missing-definition", pair.key, message)


def _attribute_names(active: list[Entry]) -> list[_Named]:
    return [
        _Named(entry.node.key, name, f"the {polarity} side of {entry.node.key}")
        for entry in active
        if isinstance(entry.node, Pair)
        for polarity in POLARITIES
        if (name := entry.node.attribute(polarity).name).strip()
    ]


def _prompt_wordings(active: list[Entry]) -> list[_Named]:
    return [
        _Named(entry.node.key, prompt, f"{PROMPT_OF}the {polarity} side of {entry.node.key}")
        for entry in active
        if isinstance(entry.node, Pair)
        for polarity in POLARITIES
        if (prompt := entry.node.attribute(polarity).prompt)
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
            yield problem("prompt-clash", item.key, message)
        start = squeeze(item.name).casefold()
        head, colon, _ = start.partition(":")
        if head.rstrip() in markers and (colon or head == start):
            message = (
                f"“{squeeze(item.name)}” ({item.place}) reads as the marker "
                f"“{markers[head.rstrip()]}” of a prompt; reword it."
            )
            yield problem("prompt-clash", item.key, message)


def _wording(key: str, name: str, place: str, *, is_attribute: bool) -> Iterator[Problem]:
    # The comma of an attribute name is reported as a clash, with its own reason.
    name = name.replace(",", ";")
    try:
        tidy = tidy_name(name, attribute=is_attribute)
    except ValueError as error:
        yield problem("bad-name", key, f"{upper(place)}: {error}")
        return
    if tidy != name:
        message = f"{upper(place)}: the name has stray white space or odd characters; retype it."
        yield problem("untidy-name", key, message)


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
        yield problem(code, item.key, message)


def _prompt_clashes(active: list[Entry]) -> Iterator[Problem]:
    """Attributes of different names that a text encoder is told in the same words."""
    first: dict[str, tuple[Pair, Polarity]] = {}
    for entry in active:
        pair = entry.node
        for polarity in POLARITIES if isinstance(pair, Pair) else ():
            assert isinstance(pair, Pair)
            wording = squeeze(pair.attribute(polarity).prompt_wording)
            other, side = first.setdefault(wording.casefold(), (pair, polarity))
            told = pair.attribute(polarity).prompt or other.attribute(side).prompt
            if (other, side) == (pair, polarity) or not wording or not told:
                continue
            message = (
                f"“{wording}” is what prompts say for the {polarity} side of {pair.key} and for the "
                f"{side} side of {other.key}; give one of them another prompt wording."
            )
            yield problem("prompt-clash", pair.key, message)


def _turned_prompts(active: list[Entry]) -> Iterator[Problem]:
    """Attributes that a text encoder is told by the name of another, which is told otherwise: what is
    labelled as one would teach the other. Where that one is told by its name, they clash anyway.
    """
    told = {each.place.removeprefix(PROMPT_OF): each for each in _prompt_wordings(active)}
    names = {
        squeeze(each.name).casefold(): each
        for each in _attribute_names(active)
        if each.place in told
    }
    for own, each in told.items():
        named = names.get(squeeze(each.name).casefold())
        if named is None or named.place == own:
            continue
        message = (
            f"“{squeeze(each.name)}” is what prompts say for {own}, and the name of {named.place}; "
            "give it another prompt wording."
        )
        yield problem("prompt-clash", each.key, message)


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
                f"{title(node)} ({node.key}) has the same name as its neighbour "
                f"{close[0].node.key}; rename one of them or merge them."
            )
            yield problem("duplicate-name", node.key, message)
        elif twins:
            message = (
                f"{title(node)} ({node.key}) has the same name as the dimension "
                f"{' > '.join(twins[0].path)}; a name of its own is easier to find."
            )
            yield problem("similar-name", node.key, message)
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
        yield problem("similar-name", item.key, message)


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
            yield problem("negated-name", pair.key, message)


def _content(words: list[str]) -> list[str]:
    return sorted(singular(word) for word in words if word not in _FILLERS)
