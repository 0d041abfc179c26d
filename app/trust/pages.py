"""How far agents are to be trusted, and where the runs of an ensemble differ."""

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from app.accounts.access import CurrentPerson
from app.agents.launching import get_agent_run
from app.agents.models import AgentRun
from app.labels.access import refuse_hidden
from app.labels.showing import note_told
from app.projects.access import AnnotatorProject, LeadProject
from app.trust import keeping
from app.trust.plotting import points
from app.trust.reading import get_ensemble, get_side, read_place, write_place
from app.trust.schemas import ReportOut
from app.web.answer import Answering
from app.web.dependencies import Db

router = APIRouter(include_in_schema=False, prefix="/projects/{project}/agent")
PAGE = 50


@router.get("/trust")
def show_trust(
    db: Db, answer: Answering, project: AnnotatorProject, run: int | None = None
) -> Response:
    """What was learned last of the agents, or by the ensemble of a run: the curve, and how far each is trusted."""
    if run is not None:
        get_agent_run(db, project.id, run)
    trust = keeping.find_trust(db, project, agent_run_id=run)
    return answer.show(
        "trust/trust.html",
        trust=trust,
        run=run,
        report=ReportOut.model_validate(trust.report) if trust else None,
        points=points,
    )


@router.post("/trust")
def submit_learning(
    db: Db, answer: Answering, project: LeadProject, person: CurrentPerson
) -> Response:
    """Learn anew; the job's page tells when that is done."""
    job = keeping.ask_to_learn(db, project, by=person)
    return RedirectResponse(answer.path("show_job", project=project.slug, job_id=job.id), 303)


@router.get("/{run_id}/differences", dependencies=[Depends(refuse_hidden)])
def show_differences(
    run_id: int,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    key: str | None = None,
    polarity: str | None = None,
    after: str | None = None,
) -> Response:
    """Where the runs that an ensemble is made of differ, image by image. Whoever sees it has seen the suggestions of
    these images.
    """
    run, ensemble = get_ensemble(db, project, run_id)
    side, place = get_side(db, project, key, polarity), read_place(after)
    found = keeping.find_differences(db, run, ensemble, side=side, after=place, limit=PAGE + 1)
    note_told(db, [each.image.id for each in found[:PAGE]], person)
    members = {run_id: db.get_one(AgentRun, run_id) for run_id in ensemble.runs}
    return answer.show(
        "trust/differences.html",
        run=run,
        members=members,
        differences=found[:PAGE],
        next=write_place(found, PAGE),
        key=key if side else None,
        polarity=polarity if side else None,
        node=found[0].node if side and found else None,
    )
