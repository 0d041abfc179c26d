"""The working criteria and the published versions, as trees and as rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session, defer

from app.accounts.models import Person
from app.criteria.models import Criteria, CriteriaVersion, Node
from app.criteria.successions import find_successors, missing_node
from app.errors import NotFound
from app.projects.models import Project
from taxonomy import tree
from taxonomy.formats.details import criteria_saying, dimension_saying, pair_saying
from taxonomy.formats.json import read_json
from taxonomy.names import squeeze

NAMES = ("name", "positive_name", "negative_name")
MAX_PARSED = 32
_parsed: dict[str, tree.Criteria] = {}


def get_criteria(db: Session, project: Project) -> Criteria:
    """The row of the working criteria; for a project that has none yet an unsaved, empty one."""
    row = db.get(Criteria, project.id)
    return row or Criteria(
        project_id=project.id,
        name=project.name,
        language=tree.DEFAULT_LANGUAGE,
        max_levels=tree.DEFAULT_MAX_LEVELS,
        revision=0,
        details={},
    )


def find_nodes(db: Session, project: Project) -> Sequence[Node]:
    """Every node of the working criteria, retired ones included, children in their order."""
    return db.scalars(
        select(Node)
        .where(Node.project_id == project.id, ~Node.removed)
        .order_by(Node.position, Node.id)
    ).all()


def nodes_by_key(db: Session, project: Project) -> dict[str, Node]:
    """Every node by key, also those that left the working criteria: every published pair is among them."""
    nodes = db.scalars(select(Node).where(Node.project_id == project.id))
    return {node.key: node for node in nodes}


def get_node(db: Session, project: Project, key: str) -> Node:
    """The node with this key. Raises NotFound; where others took its place it names them."""
    node = db.scalar(select(Node).where(Node.project_id == project.id, Node.key == key))
    if node is None or node.removed:
        raise missing_node(db, project, key)
    return node


def working_criteria(db: Session, project: Project) -> tree.Criteria:
    """The working criteria as a tree, retired nodes included; read with two queries."""
    rows = db.execute(
        select(Criteria, Node)
        .outerjoin(Node, (Node.project_id == Criteria.project_id) & ~Node.removed)
        .where(Criteria.project_id == project.id)
    ).all()
    if not rows:
        return tree.Criteria(project.name)
    # A project whose criteria hold nothing gives one row without a node.
    nodes = cast(list[Node | None], [node for _, node in rows])
    return build_tree(rows[0][0], filter(None, nodes), find_successors(db, project))


def build_tree(
    criteria: Criteria,
    nodes: Iterable[Node],
    successors: Mapping[str, tuple[str, ...]] | None = None,
) -> tree.Criteria:
    """The tree that rows make; what is written down or compared needs the successors too."""
    below: dict[int | None, list[Node]] = defaultdict(list)
    for node in sorted(nodes, key=lambda node: (node.position, node.id)):
        below[node.parent_id].append(node)
    made = tree.Criteria(
        name=criteria.name,
        language=criteria.language,
        max_levels=criteria.max_levels,
        dimensions=tuple(_dimension(node, below) for node in below[None]),
        successors=successors or {},
    )
    return criteria_saying(made, criteria.details) if criteria.details else made


def _dimension(node: Node, below: dict[int | None, list[Node]]) -> tree.Dimension:
    children = below[node.id]
    return replace(
        dimension_of(node),
        dimensions=tuple(_dimension(each, below) for each in children if each.kind == "dimension"),
        pairs=tuple(pair_of(each) for each in children if each.kind == "pair"),
    )


def dimension_of(node: Node) -> tree.Dimension:
    """A dimension with all that it says, without what is below it."""
    made = tree.Dimension(
        key=node.key,
        name=node.name or "",
        definition=node.definition,
        exclusive=bool(node.exclusive),
        retired=node.retired,
    )
    return dimension_saying(made, node.details) if node.details else made


def pair_of(node: Node) -> tree.Pair:
    made = tree.Pair(
        key=node.key,
        relation=cast(tree.Relation, node.relation),
        positive=tree.Attribute(node.positive_name or "", node.positive_definition or ""),
        negative=tree.Attribute(node.negative_name or "", node.negative_definition or ""),
        retired=node.retired,
    )
    return pair_saying(made, node.details) if node.details else made


def title(node: Node | tree.Node) -> str:
    """What a node is called in sentences: a dimension's name, or both names of a pair."""
    if isinstance(node, tree.Pair):
        names = (node.positive.name, node.negative.name)
    elif isinstance(node, tree.Dimension):
        names = (node.name, "")
    elif node.kind == "dimension":
        names = (node.name or "", "")
    else:
        names = (node.positive_name or "", node.negative_name or "")
    return " / ".join(filter(None, names)) or node.key


@lru_cache(maxsize=50_000)
def folded(name: str) -> str:
    """A name as it is compared: two that differ in case or space alone are one."""
    return squeeze(name).casefold()


def names_of(node: Node) -> dict[str, str]:
    """The name of a dimension, or both of a pair, by column."""
    fields = NAMES[:1] if node.kind == "dimension" else NAMES[1:]
    return {field: getattr(node, field) or "" for field in fields}


# Published versions --------------------------------------------------------------------------


# The content is some 200 KB and most readers have the parsed tree already.
_VERSIONS = (
    select(CriteriaVersion)
    .order_by(CriteriaVersion.number.desc())
    .options(defer(CriteriaVersion.content))
)
_CURRENT = _VERSIONS.where(CriteriaVersion.project_id == bindparam("project_id")).limit(1)


def _versions(project: Project) -> Select[Any]:
    return _VERSIONS.where(CriteriaVersion.project_id == project.id)


def current_version(db: Session, project: Project) -> CriteriaVersion | None:
    """The latest published version, or None."""
    return cast(CriteriaVersion | None, db.scalar(_CURRENT, {"project_id": project.id}))


def get_version(db: Session, project: Project, number: int) -> CriteriaVersion:
    """A published version. Raises NotFound."""
    version = db.scalar(_versions(project).where(CriteriaVersion.number == number))
    if version is None:
        raise NotFound(f"The criteria have no version {number}.")
    return cast(CriteriaVersion, version)


def find_versions(
    db: Session, project: Project, *, before: int | None = None, limit: int = 50
) -> Sequence[tuple[CriteriaVersion, str | None]]:
    """Published versions with the name of who published them, newest first, from below `before`."""
    query = (
        _versions(project)
        .add_columns(Person.name)
        .outerjoin(Person, Person.id == CriteriaVersion.published_by)
        .limit(limit)
    )
    if before is not None:
        query = query.where(CriteriaVersion.number < before)
    return [(version, name) for version, name in db.execute(query)]


def version_criteria(version: CriteriaVersion) -> tree.Criteria:
    """The tree of a published version, parsed once per process."""
    found = _parsed.get(version.sha256)
    if found is None:
        found = read_json(version.content)
        while len(_parsed) >= MAX_PARSED:
            _parsed.pop(next(iter(_parsed)), None)
        _parsed[version.sha256] = found
    return found
