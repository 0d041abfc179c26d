"""The project's state as JSON."""

from fastapi import APIRouter

from app.overview import counting
from app.overview.schemas import OverviewOut, StepOut
from app.projects.access import AnnotatorProject
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["projects"])


@router.get("/overview")
def api_overview(db: Db, project: AnnotatorProject) -> OverviewOut:
    """Counts and the steps of the loop."""
    counts = counting.count(db, project)
    version = counting.version_in_use(db, project)
    return OverviewOut(
        criteria_version=version.number if version else None,
        images=counts.images,
        images_done=counts.images_done,
        labels={
            "proposed": counts.labels_proposed,
            "confirmed": counts.labels_confirmed,
            "rejected": counts.labels_rejected,
            "unsure": counts.labels_unsure,
        },
        agent_runs=counts.agent_runs,
        audits=counts.audits,
        judgements=counts.judgements,
        datasets=counts.datasets,
        runs={"sft": counts.sft_runs, "cpo": counts.cpo_runs},
        steps=[
            StepOut(name=step.name, state=step.state, done=step.is_done)
            for step in counting.loop(counts, version)
        ],
    )
