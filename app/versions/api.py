"""The working criteria with their counts, editing, undoing, and published versions as JSON."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from app.accounts.access import CurrentPerson
from app.accounts.models import Person
from app.criteria import reading
from app.criteria.editing import add_dimension
from app.criteria.history import find_changes
from app.criteria.models import CriteriaVersion, Node
from app.criteria.schemas import (
    ChangeOut,
    CriteriaOut,
    NamesMoved,
    NodeIn,
    NodeOut,
    NodePatch,
    PairIn,
    node_out,
)
from app.projects.access import AnnotatorProject, ExpertProject
from app.versions import editing
from app.versions.arranging import Branch, arrange
from app.versions.counting import LabelCounts, count_labels
from app.versions.moving import Moved
from app.versions.publishing import preview, publish
from app.versions.schemas import (
    ChangedOut,
    MovedOut,
    PreviewOut,
    ProblemOut,
    PublicationIn,
    SideOut,
    TouchedOut,
    VersionContentOut,
    VersionOut,
    VersionsOut,
)
from app.versions.undoing import undo
from app.web.dependencies import Db
from taxonomy.tree import Attribute

router = APIRouter(prefix="/api/v1/projects/{project}/criteria", tags=["criteria"])


@router.get("", response_model=CriteriaOut)
def api_get_criteria(db: Db, project: AnnotatorProject) -> CriteriaOut:
    """The working criteria, in tree order, with label counts."""
    row = reading.get_criteria(db, project)
    last = reading.current_version(db, project)
    nodes = reading.find_nodes(db, project)
    labels = count_labels(db, [node.id for node in nodes])
    branches = arrange(nodes, labels)
    return CriteriaOut(
        name=row.name,
        language=row.language,
        max_levels=row.max_levels,
        revision=row.revision,
        version=last.number if last else None,
        nodes=[node for branch in branches for node in _nodes(branch, None, labels)],
    )


def _nodes(branch: Branch, parent: str | None, labels: dict[int, LabelCounts]) -> Iterator[NodeOut]:
    key = branch.node.key
    yield node_out(branch.node, parent, num_pairs=branch.num_pairs, labels=branch.labels.standing)
    for inner in branch.branches:
        yield from _nodes(inner, key, labels)
    for pair in branch.pairs:
        found = labels.get(pair.id)
        yield node_out(pair, key, labels=found.standing if found else 0)


def _node(db: Db, node: Node) -> NodeOut:
    above = db.get(Node, node.parent_id) if node.parent_id is not None else None
    return node_out(node, above.key if above else None)


@router.post("/nodes", status_code=201, response_model=NodeOut)
def api_add_node(body: NodeIn, db: Db, project: ExpertProject, person: CurrentPerson) -> NodeOut:
    """Add a dimension or an attribute pair.

    409 where a name is taken, or was another pair's when labels were made for it (see the PATCH).
    """
    if isinstance(body, PairIn):
        node = editing.add_pair(
            db,
            project,
            parent=body.parent,
            relation=body.relation,
            positive=Attribute(body.positive.name, body.positive.definition),
            negative=Attribute(body.negative.name, body.negative.definition),
            by=person,
            names_moved=body.names_moved,
        )
    else:
        node = add_dimension(
            db,
            project,
            parent=body.parent,
            name=body.name,
            definition=body.definition,
            exclusive=body.exclusive,
            by=person,
        )
    return _node(db, node)


@router.patch("/nodes/{key}", response_model=NodeOut)
def api_revise_node(
    key: str, body: NodePatch, db: Db, project: ExpertProject, person: CurrentPerson
) -> NodeOut:
    """Change names and definitions of a node, all or none.

    412 where someone changed the node since `based_on`: `theirs` and `yours` hold both values.
    409 where a name or definition goes to another attribute and labels were made for it: `moved` and
    `choices` hold the question that `names_moved` answers.
    """
    node = editing.revise(
        db,
        project,
        key,
        based_on=body.based_on,
        by=person,
        texts=body.texts(),
        names_moved=body.names_moved,
    )
    return _node(db, node)


@router.post("/changes/{revision}/undo", response_model=ChangeOut)
def api_undo_criteria_change(
    revision: int,
    db: Db,
    project: ExpertProject,
    person: CurrentPerson,
    names_moved: NamesMoved | None = None,
) -> ChangeOut:
    """Take one recorded change back; answers the change that does so.

    412 where something it changed was changed again, 409 where it cannot be taken back or takes a name
    to another attribute while labels stand and `names_moved` does not say what becomes of them.
    """
    change = undo(db, project, revision, by=person, names_moved=names_moved)
    made = find_changes(db, project, before=change.revision + 1, limit=1)[0]
    return ChangeOut.model_validate(made)


# Versions ------------------------------------------------------------------------------------


def _version(version: CriteriaVersion, by: str | None) -> dict[str, Any]:
    return {
        "number": version.number,
        "sha256": version.sha256,
        "note": version.note,
        "working_revision": version.working_revision,
        "by": by,
        "published_at": version.published_at,
    }


def _publisher(db: Session, version: CriteriaVersion) -> str | None:
    person = db.get(Person, version.published_by) if version.published_by else None
    return person.name if person else None


@router.get("/preview", response_model=PreviewOut)
def api_preview_publication(db: Db, project: AnnotatorProject) -> PreviewOut:
    """Checks, differences to the version that stands, and the labels they touch."""
    found = preview(db, project)
    return PreviewOut(
        working_revision=found.working_revision,
        can_publish=found.can_publish,
        problems=[ProblemOut.model_validate(each) for each in found.problems],
        changes=[ChangedOut.model_validate(each) for each in found.changes],
        touched=[
            TouchedOut(
                kind=each.kind,
                num_changes=each.num_changes,
                proposed=each.labels.proposed,
                confirmed=each.labels.confirmed,
                rejected=each.labels.rejected,
                effect=each.effect,
            )
            for each in found.touched
        ],
        moved=[_moved(each) for each in found.moved],
    )


def _moved(moved: Moved) -> MovedOut:
    return MovedOut(
        part="name" if moved.part == "name" else "definition",
        text=moved.text,
        source=SideOut(key=moved.source.key, polarity=moved.source.polarity),
        target=SideOut(key=moved.target.key, polarity=moved.target.polarity),
        now=moved.now,
        labels=moved.num_labels,
        choice=moved.choice,
        sentence=moved.sentence,
    )


@router.get("/versions", response_model=VersionsOut)
def api_list_criteria_versions(
    db: Db,
    project: AnnotatorProject,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> VersionsOut:
    """Published versions, newest first."""
    found = reading.find_versions(db, project, before=before, limit=limit + 1)
    return VersionsOut(
        items=[VersionOut.model_validate(_version(*each)) for each in found[:limit]],
        next=found[limit - 1][0].number if len(found) > limit else None,
    )


@router.post("/versions", status_code=201, response_model=VersionOut)
def api_publish_criteria(
    body: PublicationIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> VersionOut:
    """Publish the working criteria; 422 with the faults in `problems` where checks fail.

    409 where names went to other attributes while labels stand: `names_moved` says what becomes of them.
    """
    version = publish(
        db,
        project,
        note=body.note,
        by=person,
        based_on=body.based_on,
        names_moved=body.names_moved,
    )
    return VersionOut.model_validate(_version(version, person.name))


@router.get("/versions/{number}", response_model=VersionContentOut)
def api_get_criteria_version(number: int, db: Db, project: AnnotatorProject) -> VersionContentOut:
    """A published version with its whole tree."""
    version = reading.get_version(db, project, number)
    return VersionContentOut.model_validate(
        {
            **_version(version, _publisher(db, version)),
            "criteria": json.loads(version.content),
        }
    )
