"""The criteria as JSON: reading, searching, history, import and export. Edits: `app.versions.api`."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria import loading, reading, searching
from app.criteria.exporting import export_text
from app.criteria.history import find_changes
from app.criteria.models import Node
from app.criteria.schemas import (
    ChangeOut,
    ChangesOut,
    FoundOut,
    ImportIn,
    LoadedOut,
    MatchesOut,
    MatchOut,
    NodeOut,
    SearchOut,
    node_out,
)
from app.projects.access import AnnotatorProject, ExpertProject
from app.web.dependencies import Db
from app.web.describing import Responses
from taxonomy.tree import counts

router = APIRouter(prefix="/api/v1/projects/{project}/criteria", tags=["criteria"])

FILES: Responses = {200: {"content": {"application/json": {}, "application/yaml": {}}}}


def _out(db: Db, node: Node) -> NodeOut:
    above = db.get(Node, node.parent_id) if node.parent_id is not None else None
    return node_out(node, above.key if above else None)


@router.get("/nodes/{key}", response_model=NodeOut)
def api_get_node(key: str, db: Db, project: AnnotatorProject) -> NodeOut:
    """One node of the working criteria."""
    return _out(db, reading.get_node(db, project, key))


@router.get("/changes", response_model=ChangesOut)
def api_list_criteria_changes(
    db: Db,
    project: AnnotatorProject,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    key: str | None = None,
) -> ChangesOut:
    """Recorded changes, newest first; with `key` those of one node."""
    node = reading.get_node(db, project, key) if key else None
    found = find_changes(db, project, node=node, before=before, limit=limit + 1)
    return ChangesOut(
        items=[ChangeOut.model_validate(each) for each in found[:limit]],
        next=found[limit - 1].revision if len(found) > limit else None,
    )


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
    format: Literal["yaml", "json"] = "yaml",
    version: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The working criteria, or a published version, as YAML or canonical JSON."""
    _, text = export_text(db, project, format=format, number=version)
    return Response(text, media_type=f"application/{format}")


@router.post("/import", status_code=201, response_model=LoadedOut)
def api_import_criteria(
    body: ImportIn, db: Db, project: ExpertProject, person: CurrentPerson
) -> LoadedOut:
    """Load criteria into a project that has none; 422 with every fault in `problems`."""
    criteria = loading.load_text(db, project, body.content, by=person)
    size = counts(criteria)
    return LoadedOut(
        name=criteria.name,
        dimensions=size.dimensions,
        pairs=size.attribute_pairs,
        revision=reading.get_criteria(db, project).revision,
    )
