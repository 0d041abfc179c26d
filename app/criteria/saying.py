"""What a node says beside its names and definitions, and the lists that nodes may name."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.editing import open_node
from app.criteria.models import Node, NodeChange
from app.criteria.reading import dimension_of, pair_of, title
from app.criteria.recording import record
from app.criteria.staleness import refuse_stale
from app.criteria.working import Working, open_working
from app.database import Json
from app.errors import Conflict, Invalid, Stale
from app.projects.models import Project
from taxonomy.formats.details import (
    criteria_saying,
    dimension_saying,
    head_details,
    pair_saying,
    said_of,
)
from taxonomy.names import squeeze, tidy_name
from taxonomy.tree import POLARITIES, RELATIONS, Criteria, Dimension, InvalidCriteria, Pair

_TEXTS = ("scope_note", "source")


def say(
    db: Session,
    project: Project,
    key: str,
    *,
    based_on: int,
    by: Person,
    said: Mapping[str, Any],
    relation: str | None = None,
    exclusive: bool | None = None,
) -> Node:
    """Change what a node says, named as in a file; of a pair also what its sides say, its relation, of a
    dimension whether it is exclusive. What is not named stays; None or nothing takes a field out.

    One recorded change. Raises Invalid for what is not said so or names what the criteria do not hold,
    NotFound, and Stale where someone changed the node since `based_on`.
    """
    working = open_working(db, project)
    node = open_node(db, working, key)
    refuse_stale(db, working, node, based_on)
    wanted: Json = {"details": _checked(working, node, _merged(node.details, said))}
    if relation is not None:
        wanted["relation"] = _fitting(node, "pair", "relation", relation, RELATIONS)
    if exclusive is not None:
        wanted["exclusive"] = _fitting(node, "dimension", "exclusive", exclusive, (True, False))
    before = {field: getattr(node, field) for field in wanted}
    changed = {field: value for field, value in wanted.items() if value != before[field]}
    if not changed:
        return node
    for field, value in changed.items():
        setattr(node, field, value)
    node.revision += 1
    past = {field: before[field] for field in changed}
    record(db, working.criteria, "detailed", by=by, node=node, before=past, after=changed)
    return node


def put_details(
    working: Working, node: Node, taken: Mapping[str, Any], said: Mapping[str, Any]
) -> None:
    """Give a node what it takes over from others, and over that what is said; recorded by the caller.

    Raises Invalid as `say` does.
    """
    # What somebody else said long ago may name what is not there any more.
    there = _merged(_naming_what_is_there(working, taken), said)
    node.details = _checked(working, node, _without_own_names(node, there))


def _without_own_names(node: Node, details: Json) -> Json:
    """Whoever lists all names that a node goes by lists its own too."""
    sides = [("", node.name)] if node.kind == "dimension" else []
    sides += [(each, getattr(node, f"{each}_name")) for each in POLARITIES if node.kind == "pair"]
    kept = dict(details)
    for polarity, own in sides:
        said = details.get(polarity) if polarity else details
        names = said.get("alternatives") if isinstance(said, Mapping) else None
        if isinstance(said, Mapping) and isinstance(names, list):
            others = [each for each in names if str(each).casefold() != (own or "").casefold()]
            without = {**said, "alternatives": others}
            kept = {**kept, polarity: without} if polarity else without
    return _merged({}, kept)


def _naming_what_is_there(working: Working, details: Mapping[str, Any]) -> Json:
    kept = dict(details)
    for polarity in POLARITIES:
        if side := details.get(polarity):
            excludes = [each for each in side.get("excludes", ()) if _is_there(working, each)]
            kept[polarity] = {**side, "excludes": excludes}
    return _merged({}, kept)


def _is_there(working: Working, attribute: str) -> bool:
    node = working.by_key.get(attribute.rpartition("/")[0])
    return node is not None and not node.removed


def list_traits(
    db: Session,
    project: Project,
    *,
    based_on: int,
    by: Person,
    content: Mapping[str, Any],
    styles: Mapping[str, Any],
) -> None:
    """Set the content that nodes may need and the styles that attributes may name, each by its id, as the
    head of a file does.

    One recorded change. Raises Invalid for what is no such list, Conflict where a node names what would
    go, and Stale where someone changed the lists since the revision `based_on` of the criteria.
    """
    working = open_working(db, project)
    criteria = working.criteria
    _refuse_lists_changed(db, project, criteria.details, based_on)
    given: dict[str, object] = {"content": dict(content), "styles": dict(styles)}
    try:
        wanted = head_details(criteria_saying(Criteria(""), given))
    except InvalidCriteria as error:
        raise _invalid(error.problems) from error
    if wanted == criteria.details:
        return
    for node in working.by_id.values():
        if working.is_live(node):
            made = pair_of(node) if node.kind == "pair" else dimension_of(node)
            for problem in _unlisted(wanted, made):
                raise Conflict(f"“{title(node)}” still names it. {problem}", key=node.key)
    before, criteria.details = criteria.details, wanted
    record(db, criteria, "listed", by=by, before=before, after=wanted)


def _refuse_lists_changed(db: Session, project: Project, now: Json, based_on: int) -> None:
    later = db.scalar(
        select(NodeChange.revision).where(
            NodeChange.project_id == project.id,
            NodeChange.kind.in_(("listed", "settings")),
            NodeChange.revision > based_on,
        )
    )
    if later is not None:
        raise Stale(
            "Someone changed the content or the styles since.",
            hint="Nothing of yours was saved. Look at what stands now, then save again.",
            theirs=now,
        )


def _fitting(node: Node, kind: str, field: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if node.kind != kind:
        raise Invalid(f"“{title(node)}” is a {node.kind}; only a {kind} has this.", field=field)
    if value not in allowed:
        raise Invalid(f"This is one of {', '.join(map(str, allowed))}.", field=field)
    return value


def _merged(now: Json, said: Mapping[str, Any]) -> Json:
    """The details as they would be; those of each side likewise."""
    merged = dict(now)
    for field, value in said.items():
        if field in POLARITIES and isinstance(value, Mapping):
            value = _merged(now.get(field, {}), value)
        if value in (None, "", [], {}):
            merged.pop(field, None)
        else:
            merged[field] = value
    return merged


def _checked(working: Working, node: Node, details: Json) -> Json:
    """The details, tidied. Raises Invalid with every fault in `problems`."""
    try:
        if node.kind == "pair":
            made: Pair | Dimension = pair_saying(pair_of(node), _tidied(details))
        else:
            made = dimension_saying(dimension_of(node), _tidied(details))
    except InvalidCriteria as error:
        raise _invalid(error.problems) from error
    if problems := list(_unknown(working, made)):
        raise _invalid(problems)
    return said_of(made)


def _invalid(problems: list[str]) -> Invalid:
    return Invalid(problems[0], field="details", problems=problems)


def _tidied(details: Json) -> Json:
    """Names without stray white space; what is no text is left for the reader to refuse."""
    tidy: Json = dict(details)
    for field, value in details.items():
        if field in POLARITIES and isinstance(value, dict):
            tidy[field] = _tidied(value)
        elif field == "alternatives" and isinstance(value, list):
            tidy[field] = [_name(each, field) for each in value]
        elif field == "prompt" and isinstance(value, str):
            tidy[field] = _name(value, field, attribute=True)
        elif field == "translations" and isinstance(value, dict):
            tidy[field] = {language: _translation(each) for language, each in value.items()}
        elif field in _TEXTS and isinstance(value, str):
            tidy[field] = squeeze(value)
    return tidy


def _translation(each: Any) -> Any:
    if not isinstance(each, dict) or not isinstance(each.get("name"), str) or not each["name"]:
        return each
    return {**each, "name": _name(each["name"], "translations")}


def _name(value: Any, field: str, *, attribute: bool = False) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return tidy_name(value, attribute=attribute)
    except ValueError as error:
        raise Invalid(str(error), field=field, problems=[str(error)]) from error


def _unknown(working: Working, node: Dimension | Pair) -> Iterator[str]:
    """What a node names that the criteria do not hold."""
    yield from _unlisted(working.criteria.details, node)
    for polarity in POLARITIES if isinstance(node, Pair) else ():
        assert isinstance(node, Pair)
        for side in node.attribute(polarity).excludes:
            other = working.by_key.get(side.key)
            if other is None or other.removed or other.kind != "pair":
                yield f"No attribute pair has the key “{side.key}”."
            elif other.key == node.key:
                yield "A pair does not exclude itself; its relation says what its sides are to each other."


def _unlisted(lists: Json, node: Dimension | Pair) -> Iterator[str]:
    for each in node.needs:
        if each not in lists.get("content", {}):
            yield f"The criteria list no content “{each}”; add it to their content first."
    for polarity in POLARITIES if isinstance(node, Pair) else ():
        assert isinstance(node, Pair)
        for style, _ in node.attribute(polarity).styles:
            if style not in lists.get("styles", {}):
                yield f"The criteria list no style “{style}”; add it to their styles first."
