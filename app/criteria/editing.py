"""Changing the working criteria: one recorded change for each edit, never over another one unseen."""

import unicodedata
from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Criteria, Node, NodeChange
from app.criteria.reading import NAMES, folded, get_node, names_of, title
from app.criteria.recording import TEXTS, content, lock_criteria, record
from app.criteria.working import Standing, Working, open_working
from app.database import Json
from app.errors import Conflict, Invalid, NotFound, Stale
from app.projects.models import Project
from method.saved_texts import several_lines
from taxonomy.formats.reading import MAX_TEXT_LENGTH
from taxonomy.names import control_character, new_key, tidy_name
from taxonomy.tree import RELATIONS, Attribute


def _open_one(db: Session, project: Project, key: str) -> tuple[Criteria, Node]:
    """Lock the working criteria and read one node, for an edit that concerns no other. Raises NotFound."""
    criteria = lock_criteria(db, project)
    node = db.scalar(
        select(Node)
        .where(Node.project_id == project.id, Node.key == key)
        .execution_options(populate_existing=True)
    )
    if node is None or node.removed:
        raise _not_there(key)
    return criteria, node


def _not_there(key: str) -> NotFound:
    return NotFound(f"The criteria have no node “{key}”.")


# Verbs ---------------------------------------------------------------------------------------


def rename(
    db: Session,
    project: Project,
    key: str,
    *,
    based_on: int,
    by: Person,
    name: str | None = None,
    positive: str | None = None,
    negative: str | None = None,
) -> Node:
    """Give a dimension another name, or a pair another positive name, negative name or both.

    `based_on` is the node's revision that the person saw. Raises Invalid, NotFound, Conflict where
    the name is taken, and Stale (with `theirs` and `yours`) where someone changed the node since.
    Names that stay the same are no change.
    """
    given = {"name": name, "positive_name": positive, "negative_name": negative}
    working = open_working(db, project)
    node = open_node(db, working, key)
    texts = _fitting(node, given)
    _refuse_stale(db, node, based_on, texts)
    tidy = tidied(node, texts)
    refuse_taken_names(working, node, tidy)
    return _write(db, working.criteria, node, "renamed", tidy, by)


def describe(
    db: Session,
    project: Project,
    key: str,
    *,
    based_on: int,
    by: Person,
    definition: str | None = None,
    positive: str | None = None,
    negative: str | None = None,
) -> Node:
    """Give a dimension another definition, or either side of a pair. Raises as `rename` does."""
    given = {
        "definition": definition,
        "positive_definition": positive,
        "negative_definition": negative,
    }
    criteria, node = _open_one(db, project, key)
    texts = _fitting(node, given)
    _refuse_stale(db, node, based_on, texts)
    return _write(db, criteria, node, "described", tidied(node, texts), by)


def revise(
    db: Session,
    project: Project,
    key: str,
    *,
    based_on: int,
    by: Person,
    texts: Mapping[str, str],
) -> Node:
    """Change several texts of a node, named by column, together or not at all.

    Names and definitions make one recorded change each. Raises as `rename` does.
    """
    fields = {field: text for field, text in texts.items() if field in TEXTS}
    names = {field.removesuffix("_name"): text for field, text in fields.items() if field in NAMES}
    definitions = {
        field.removesuffix("_definition"): text
        for field, text in fields.items()
        if field not in NAMES
    }
    with db.begin_nested():
        node = get_node(db, project, key)
        if names or not definitions:
            node = rename(db, project, key, based_on=based_on, by=by, **names)
            based_on = node.revision
        if definitions:
            node = describe(db, project, key, based_on=based_on, by=by, **definitions)
    return node


def add_dimension(
    db: Session,
    project: Project,
    *,
    parent: str | None,
    name: str,
    definition: str = "",
    exclusive: bool = False,
    by: Person,
) -> Node:
    """Add a dimension below the dimension `parent`, or a root dimension where that is None.

    Raises NotFound for a missing parent, Invalid for a bad name or a place with no level left for
    a pair below it, Conflict where the name is taken.
    """
    working = open_working(db, project)
    above = open_parent(db, working, parent)
    _refuse_depth(working, above, needed=2)
    node = new_dimension(working, above, name=name, definition=definition, exclusive=exclusive)
    add_node(db, working, node)
    record(db, working.criteria, "added", by=by, node=node, after=content(node))
    return node


def add_pair(
    db: Session,
    project: Project,
    *,
    parent: str,
    relation: str,
    positive: Attribute,
    negative: Attribute,
    by: Person,
) -> Node:
    """Add an attribute pair below the dimension `parent`. Raises as `add_dimension` does."""
    working = open_working(db, project)
    above = open_parent(db, working, parent)
    assert above is not None
    _refuse_depth(working, above, needed=1)
    node = new_pair(working, above, relation=relation, positive=positive, negative=negative)
    add_node(db, working, node)
    record(db, working.criteria, "added", by=by, node=node, after=content(node))
    return node


# What the verbs share ------------------------------------------------------------------------


def new_dimension(
    working: Working, parent: Node | None, *, name: str, definition: str, exclusive: bool
) -> Node:
    """A dimension that is not yet in the tree, last below the parent. Raises Invalid for a bad text."""
    return Node(
        project_id=working.criteria.project_id,
        key="",
        kind="dimension",
        parent_id=parent.id if parent else None,
        position=next_position(working, parent, "dimension"),
        name=_tidy_name(name, "name", attribute=False),
        definition=_tidy_definition(definition, "definition"),
        exclusive=exclusive,
        retired=False,
    )


def new_pair(
    working: Working, parent: Node, *, relation: str, positive: Attribute, negative: Attribute
) -> Node:
    """An attribute pair that is not yet in the tree, last below the parent. Raises Invalid."""
    if relation not in RELATIONS:
        raise Invalid(f"The relation is one of {' and '.join(RELATIONS)}.", field="relation")
    return Node(
        project_id=working.criteria.project_id,
        key="",
        kind="pair",
        parent_id=parent.id,
        position=next_position(working, parent, "pair"),
        definition="",
        relation=relation,
        positive_name=_tidy_name(positive.name, "positive_name", attribute=True),
        positive_definition=_tidy_definition(positive.definition, "positive_definition"),
        negative_name=_tidy_name(negative.name, "negative_name", attribute=True),
        negative_definition=_tidy_definition(negative.definition, "negative_definition"),
        retired=False,
    )


def open_node(db: Session, working: Working, key: str) -> Node:
    """The node with this key as it is in the tree, to be changed. Raises NotFound."""
    node = working.by_key.get(key)
    if node is None or node.removed:
        raise _not_there(key)
    return working.own(db, [node])[0]


def open_parent(db: Session, working: Working, key: str | None) -> Node | None:
    """The live dimension that something is put below, or None for the top. Raises AppError."""
    if key is None:
        return None
    parent = open_node(db, working, key)
    if parent.kind != "dimension":
        raise Invalid(
            f"“{title(parent)}” is an attribute pair; nothing can be added below it.",
            field="parent",
        )
    if not working.is_live(parent):
        raise Conflict(f"“{title(parent)}” is retired; nothing can be added below it.")
    return parent


def tidied(node: Node, texts: Mapping[str, str | None]) -> dict[str, str]:
    """Names and definitions of a node, by column, as they are kept. Raises Invalid."""
    return {
        field: _tidy_name(text, field, attribute=node.kind == "pair")
        if field in NAMES
        else _tidy_definition(text, field)
        for field, text in _fitting(node, texts).items()
    }


def _fitting(node: Node, given: Mapping[str, str | None]) -> dict[str, str]:
    texts = {field: text for field, text in given.items() if text is not None}
    wrong = [field for field in texts if (field in TEXTS[:2]) != (node.kind == "dimension")]
    if wrong:
        sides = "a positive and a negative side" if node.kind == "pair" else "one name"
        raise Invalid(f"“{title(node)}” is a {node.kind}; it has {sides}.", field=wrong[0])
    if not texts:
        raise Invalid("Nothing was given to change.", field="texts")
    return texts


def _tidy_name(text: str, field: str, *, attribute: bool) -> str:
    try:
        return tidy_name(text, attribute=attribute)
    except ValueError as error:
        raise Invalid(str(error), field=field) from error


def _tidy_definition(text: str, field: str) -> str:
    if wrong := control_character(text):
        raise Invalid(f"The text holds an invisible character ({wrong}); remove it.", field=field)
    tidy = several_lines(unicodedata.normalize("NFC", text))
    if len(tidy) > MAX_TEXT_LENGTH:
        raise Invalid(
            f"The text has {len(tidy)} characters; {MAX_TEXT_LENGTH} are allowed.", field=field
        )
    return tidy


def _refuse_depth(working: Working, parent: Node | None, *, needed: int) -> None:
    level = len(working.above(parent))
    limit = working.criteria.max_levels
    if level + needed <= limit:
        return
    what = "a dimension here could hold no pair" if needed == 2 else "there is no level left"
    raise Invalid(
        f"These criteria have at most {limit} levels, so {what}.",
        field="parent",
        hint="Choose a place further up.",
    )


def next_position(working: Working, parent: Node | None, kind: str) -> int:
    """The place after the last child of this kind."""
    parent_id = parent.id if parent else None
    taken = [node.position for node in working.below(parent_id) if node.kind == kind]
    return max(taken, default=-1) + 1


def refuse_taken_names(
    working: Working, node: Node, names: dict[str, str], *, new: bool = False
) -> None:
    """Raise Conflict where a live node (or the pair's other side) bears one of the names.

    Attribute names are unique in the whole tree, because prompts hold them without their place;
    dimension names among those below one dimension: “Contrast” of light and of colour are two things.
    A name that the node bears already is no clash of this edit, unless the node is `new`.
    """
    fields = NAMES[:1] if node.kind == "dimension" else NAMES[1:]
    own = [folded(names.get(field) or getattr(node, field)) for field in fields]
    if len(set(own)) < len(own):
        raise Conflict(
            "The positive and the negative attribute need different names.", field=next(iter(names))
        )
    wanted = {
        folded(name): field
        for field, name in names.items()
        if new or folded(name) != folded(getattr(node, field))
    }
    standing = Standing(working)
    for name, field in wanted.items():
        for other in standing.bearing(name):
            if other.id == node.id or other.kind != node.kind:
                continue
            if node.kind == "dimension" and other.parent_id != node.parent_id:
                continue
            if working.is_live(other):
                raise Conflict(
                    f"The name “{names[field]}” is taken: {working.place(other)}.",
                    field=field,
                    hint="Choose another name.",
                    taken_by=other.key,
                )


def _write(
    db: Session, criteria: Criteria, node: Node, kind: str, texts: dict[str, str], by: Person
) -> Node:
    before = {field: getattr(node, field) for field in texts}
    changed = {field: text for field, text in texts.items() if text != before[field]}
    if not changed:
        return node
    for field, text in changed.items():
        setattr(node, field, text)
    node.revision += 1
    before = {field: before[field] for field in changed}
    record(db, criteria, kind, by=by, node=node, before=before, after=dict(changed))
    return node


def add_node(db: Session, working: Working, node: Node) -> None:
    """Give a new node its key and put it into the tree, unrecorded. Raises Conflict for a taken name."""
    names = names_of(node)
    refuse_taken_names(working, node, names, new=True)
    node.key = new_key(next(iter(names.values())), working.by_key)
    db.add(node)
    db.flush()
    working.add(node)


# Stale edits ---------------------------------------------------------------------------------


def _refuse_stale(db: Session, node: Node, based_on: int, texts: dict[str, str]) -> None:
    if based_on == node.revision:
        return
    now = {field: getattr(node, field) for field in texts}
    theirs = {field: text for field, text in now.items() if text != texts[field]} or now
    raise stale(db, node, theirs, texts)


def stale(db: Session, node: Node, theirs: Json, yours: Json | None) -> Stale:
    """The refusal of an edit that was based on an older state, with the other's change in it."""
    change, who = _last_change(db, node, list(theirs))
    by = who or "someone who has left"
    at = change.at if change else None
    now = "; ".join(_now(field, value) for field, value in theirs.items())
    when = f" on {at:%Y-%m-%d at %H:%M} UTC" if at else ""
    return Stale(
        f"{by} changed “{title(node)}”{when}: {now}.",
        hint="Nothing of yours was saved. Look at both, then save again or leave it as it is.",
        key=node.key,
        revision=node.revision,
        theirs=theirs,
        yours=yours,
        by=by,
        at=at,
    )


def _now(field: str, value: object) -> str:
    if isinstance(value, dict):
        return "what else is said of it was changed"
    return f"{words(field)} is now “{value}”"


def words(field: str) -> str:
    """A column in words, such as `the positive name`."""
    return "the " + field.replace("_", " ")


def _last_change(
    db: Session, node: Node, fields: Sequence[str]
) -> tuple[NodeChange | None, str | None]:
    """The newest change of the node that touched one of the fields, or the newest at all."""
    rows = db.execute(
        select(NodeChange, Person.name)
        .outerjoin(Person, Person.id == NodeChange.person_id)
        .where(NodeChange.node_id == node.id)
        .order_by(NodeChange.id.desc())
        .limit(20)
    ).all()
    for change, name in rows:
        if set(fields) & set(change.after or {}):
            return change, name
    return (rows[0][0], rows[0][1]) if rows else (None, None)
