"""How nodes are used, as JSON."""

from fastapi import APIRouter

from app.projects.access import AnnotatorProject
from app.usage.measuring import measure_usage
from app.usage.schemas import UsageOut
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/criteria", tags=["criteria"])


@router.get("/nodes/{key}/usage", response_model=UsageOut)
def api_get_usage(key: str, db: Db, project: AnnotatorProject) -> UsageOut:
    """How a pair, or all pairs below a dimension, are used: labels by state, what people made of the agents',
    and what participants of closed audits said.
    """
    return UsageOut.of(measure_usage(db, project, key))
