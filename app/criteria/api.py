"""The working criteria as JSON: with their counts, editing, undoing, searching, history, import and export."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria import loading, merging, reading, retiring, searching, uploads
from app.criteria.editing import add_dimension
from app.criteria.exporting import export_file
from app.criteria.history import find_changes
from app.criteria.merging import NewDimension, NewPair
from app.criteria.models import Node
from app.criteria.placing import find_places, move
from app.criteria.saying import list_traits, say
from app.criteria.schemas import (
    FILE_BYTES,
    BasedOnIn,
    ChangeOut,
    ChangesOut,
    CriteriaOut,
    FoundOut,
    ImportIn,
    ListsIn,
    ListsOut,
    LoadedOut,
    MatchesOut,
    MatchOut,
    MergeIn,
    MoveIn,
    NamesMoved,
    NewPairIn,
    NodeIn,
    NodeOut,
    NodePatch,
    NodesOut,
    PairIn,
    PlaceOut,
    PlacesOut,
    RedefineIn,
    SearchOut,
    SplitIn,
    node_out,
)
from app.criteria.successions import stand_for
from app.projects.access import AnnotatorProject, ExpertProject
from app.versions import editing
from app.versions.counting import LabelCounts, count_labels
from app.versions.importing import import_criteria
from app.versions.tree_rows import Branch, build_branches
from app.versions.undoing import undo
from app.web.dependencies import Db, takes_up_to
from app.web.describing import Responses
from taxonomy.formats.files import FORMATS, FormatName
from taxonomy.tree import Attribute, counts

router = APIRouter(prefix="/api/v1/projects/{project}/criteria", tags=["criteria"])

FILES: Responses = {200: {"content": {each.media_type: {} for each in FORMATS.values()}}}


@router.get("", response_model=CriteriaOut)
def api_get_criteria(db: Db, project: AnnotatorProject) -> CriteriaOut:
    """The working criteria, in tree order, with label counts."""
    row = reading.get_criteria(db, project)
    last = reading.current_version(db, project)
    nodes = reading.find_nodes(db, project)
    labels = count_labels(db, project.id, [node.id for node in nodes])
    branches = build_branches(nodes, labels)
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


def _out(db: Db, node: Node) -> NodeOut:
    above = db.get(Node, node.parent_id) if node.parent_id is not None else None
    return node_out(node, above.key if above else None)


@router.get("/nodes/{key}", response_model=NodeOut)
def api_get_node(key: str, db: Db, project: AnnotatorProject) -> NodeOut:
    """One node of the working criteria; one that was merged, split or redefined names its successors."""
    found = stand_for(db, project, key)
    out = _out(db, found.node)
    replaced = None if found.kind is None else [each.key for each in found.successors]
    return out.model_copy(update={"replaced": found.kind, "successors": replaced or []})


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
    return _out(db, node)


@router.patch("/nodes/{key}", response_model=NodeOut)
def api_revise_node(
    key: str, body: NodePatch, db: Db, project: ExpertProject, person: CurrentPerson
) -> NodeOut:
    """Change names and definitions of a node and what else it says, all or none.

    412 where someone changed the node since `based_on`: `theirs` and `yours` hold both values.
    409 where a name or definition goes to another attribute and labels were made for it: `moved` and
    `choices` hold the question that `names_moved` answers.
    """
    node, based_on = reading.get_node(db, project, key), body.based_on
    with db.begin_nested():
        if body.texts():
            node = editing.revise(
                db,
                project,
                key,
                based_on=based_on,
                by=person,
                texts=body.texts(),
                names_moved=body.names_moved,
            )
            based_on = node.revision
        if body.says_more():
            node = say(
                db,
                project,
                key,
                based_on=based_on,
                by=person,
                said=body.details,
                relation=body.relation,
                exclusive=body.exclusive,
            )
    return _out(db, node)


@router.get("/lists", response_model=ListsOut)
def api_get_lists(db: Db, project: AnnotatorProject) -> ListsOut:
    """The content that nodes may need and the styles that attributes may name."""
    row = reading.get_criteria(db, project)
    return ListsOut(
        revision=row.revision,
        content=row.details.get("content", {}),
        styles=row.details.get("styles", {}),
    )


@router.put("/lists", response_model=ListsOut)
def api_set_lists(body: ListsIn, db: Db, project: ExpertProject, person: CurrentPerson) -> ListsOut:
    """Set both lists. 409 where a node names what would go, 412 where someone changed them since."""
    list_traits(
        db,
        project,
        based_on=body.based_on,
        by=person,
        content=body.content,
        styles=body.styles,
    )
    return api_get_lists(db, project)


@router.post("/merge", status_code=201, response_model=NodeOut)
def api_merge_nodes(
    body: MergeIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> NodeOut:
    """Merge pairs, or dimensions, whose children move; answers what they became.

    Labels are carried over at the next publication. 412 where someone changed one of them since.
    """
    into = body.into
    new: str | NewPair | NewDimension
    if isinstance(into, str):
        new = into
    elif isinstance(into, NewPairIn):
        new = _new_pair(into)
    else:
        new = NewDimension(into.name, into.definition, into.exclusive)
    node = merging.merge(
        db,
        project,
        body.keys,
        into=new,
        based_on=body.based_on,
        by=person,
        said=body.details,
        texts=body.texts(),
    )
    return _out(db, node)


def _new_pair(given: NewPairIn) -> NewPair:
    positive, negative = given.positive, given.negative
    return NewPair(
        given.relation,
        Attribute(positive.name, positive.definition),
        Attribute(negative.name, negative.definition),
        given.details,
    )


@router.post("/nodes/{key}/split", status_code=201, response_model=NodesOut)
def api_split_node(
    key: str, body: SplitIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> NodesOut:
    """Put several pairs in the place of one; its labels are looked at again from the next publication on."""
    into = [_new_pair(each) for each in body.into]
    new = merging.split(db, project, key, into=into, based_on=body.based_on, by=person)
    return NodesOut(items=[_out(db, node) for node in new])


@router.post("/nodes/{key}/redefine", status_code=201, response_model=NodeOut)
def api_redefine_node(
    key: str, body: RedefineIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> NodeOut:
    """Give a pair another meaning: a new pair in its place, whose images are labelled again."""
    new = _new_pair(body.new)
    return _out(db, merging.redefine(db, project, key, new=new, based_on=body.based_on, by=person))


@router.post("/nodes/{key}/retire", response_model=NodeOut)
def api_retire_node(
    key: str, body: BasedOnIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> NodeOut:
    """Take a node out of use with all below it; labels are kept, and left out of new datasets."""
    return _out(db, retiring.retire(db, project, key, based_on=body.based_on, by=person))


@router.post("/nodes/{key}/restore", response_model=NodeOut)
def api_restore_node(
    key: str, body: BasedOnIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> NodeOut:
    """Bring a retired node back into use; 409 where one of its names was given away meanwhile."""
    return _out(db, retiring.restore(db, project, key, based_on=body.based_on, by=person))


@router.get("/nodes/{key}/places", response_model=PlacesOut)
def api_list_places(
    key: str,
    db: Db,
    project: AnnotatorProject,
    q: Annotated[str, Query(max_length=200)] = "",
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> PlacesOut:
    """Dimensions in tree order, each with what stands against the node being moved below it."""
    found, more = find_places(db, project, key, text=q, after=after, limit=limit)
    return PlacesOut(items=[PlaceOut.model_validate(each) for each in found], next=more)


@router.post("/nodes/{key}/move", response_model=NodeOut)
def api_move_node(
    key: str, body: MoveIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> NodeOut:
    """Put a node below another dimension, or at another place among its neighbours."""
    node = move(
        db,
        project,
        key,
        parent=body.parent,
        before=body.before,
        based_on=body.based_on,
        by=person,
    )
    return _out(db, node)


@router.get("/changes", response_model=ChangesOut)
def api_list_criteria_changes(
    db: Db,
    project: AnnotatorProject,
    before: int | None = None,
    after: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    key: str | None = None,
) -> ChangesOut:
    """Recorded changes, newest first; with `key` those of one node, with `after` those since a revision."""
    node = reading.get_node(db, project, key) if key else None
    found = find_changes(db, project, node=node, before=before, after=after, limit=limit + 1)
    return ChangesOut(
        items=[ChangeOut.model_validate(each) for each in found[:limit]],
        next=found[limit - 1].revision if len(found) > limit else None,
    )


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


@router.get("/search", response_model=SearchOut)
def api_search_attributes(
    db: Db,
    project: AnnotatorProject,
    q: Annotated[str, Query(max_length=200)],
    limit: Annotated[int, Query(ge=1, le=100)] = 30,
) -> SearchOut:
    """Attributes in use by words of their name, place or definition, best first."""
    found = searching.search_attributes(db, project, q, limit=limit)
    return SearchOut(items=[FoundOut.model_validate(each) for each in found])


@router.get("/matches", response_model=MatchesOut)
def api_match_nodes(
    db: Db, project: AnnotatorProject, q: Annotated[str, Query(max_length=200)]
) -> MatchesOut:
    """Dimensions and pairs of the working criteria that hold the words themselves, in tree order.

    What the filter of the criteria page shows; retired ones are among them.
    """
    found = searching.search_nodes(db, project, q)
    return MatchesOut(items=[MatchOut.model_validate(each) for each in found])


@router.get("/export", response_class=Response, responses=FILES)
def api_export_criteria(
    db: Db,
    project: AnnotatorProject,
    format: FormatName = "yaml",
    version: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The working criteria, or a published version, as a file.

    JSON is the canonical one that versions are hashed in. The header `Left-Out` says what a format cannot
    hold.
    """
    name, content = export_file(db, project, format=format, number=version)
    chosen = FORMATS[format]
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if chosen.left_out:
        headers["Left-Out"] = "; ".join(chosen.left_out)
    return Response(content, media_type=chosen.media_type, headers=headers)


@router.post(
    "/import",
    status_code=201,
    response_model=LoadedOut,
    dependencies=[takes_up_to(FILE_BYTES)],
)
def api_import_criteria(
    body: ImportIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> LoadedOut:
    """Load a file into a project without criteria, or put it in the place of those that are there.

    The latter needs `based_on`, the revision that a preview was for: nodes are followed by key, each change
    is recorded, and what the file lacks is retired. 422 with every fault in `problems`; 412 where the
    criteria changed since; 409 without `based_on`, where there is nothing to change, or where a name goes to
    another attribute while labels stand and `names_moved` does not say what becomes of them.
    """
    new = uploads.read_upload(db, project, body.file, body.read())
    if body.based_on is None:
        loading.load_criteria(db, project, new, by=person)
    else:
        import_criteria(
            db,
            project,
            new,
            based_on=body.based_on,
            by=person,
            names_moved=body.names_moved,
        )
    criteria = reading.working_criteria(db, project)
    size = counts(criteria)
    return LoadedOut(
        name=criteria.name,
        dimensions=size.dimensions,
        pairs=size.attribute_pairs,
        revision=reading.get_criteria(db, project).revision,
    )
