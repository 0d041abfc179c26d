"""How a node of the criteria is used: loaded into its panel, or as a page of its own."""

from fastapi import APIRouter
from starlette.responses import Response

from app.audits.doubting import LEAST_ANSWERS, get_bar
from app.criteria.reading import title
from app.projects.access import AnnotatorProject
from app.usage.measuring import measure_usage
from app.web.answer import Answering
from app.web.dependencies import Db

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)


@router.get("/nodes/{key}/usage")
def show_usage(key: str, db: Db, answer: Answering, project: AnnotatorProject) -> Response:
    """Labels, what people made of the agent's, and what audits say, of both sides."""
    usage = measure_usage(db, project, key)
    return answer.show(
        "usage/usage.html",
        fragment="usage/_usage.html",
        usage=usage,
        title=title(usage.node),
        bar=get_bar(project),
        least=LEAST_ANSWERS,
    )
