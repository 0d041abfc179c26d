"""Kept filters as JSON."""

from fastapi import APIRouter

from app.accounts.access import CurrentPerson
from app.filters.keeping import Kept, drop_filter, find_filters, keep_filter
from app.filters.schemas import FilterIn, FilterOut
from app.images.access import PathKey
from app.projects.access import AnnotatorProject
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/filters", tags=["images"])


@router.get("", response_model=list[FilterOut])
def api_list_filters(db: Db, project: AnnotatorProject, person: CurrentPerson) -> list[FilterOut]:
    """One's own filters, then those that others share; at most 200."""
    return [FilterOut.of(each) for each in find_filters(db, project, person)]


@router.post("", status_code=201, response_model=FilterOut)
def api_keep_filter(
    body: FilterIn, db: Db, project: AnnotatorProject, person: CurrentPerson
) -> FilterOut:
    """Keep a filter under a name; the same name again is kept anew."""
    kept = keep_filter(db, project, by=person, **body.model_dump())
    return FilterOut.of(Kept(kept, person.name))


@router.delete("/{filter_id}", status_code=204)
def api_drop_filter(
    filter_id: PathKey, db: Db, project: AnnotatorProject, person: CurrentPerson
) -> None:
    """Let a filter of one's own go."""
    drop_filter(db, project, filter_id, by=person)
