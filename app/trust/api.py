"""How far agents are to be trusted, and where they differ, as JSON."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.accounts.access import CurrentPerson
from app.agents.launching import get_agent_run
from app.criteria.reading import nodes_by_key
from app.labels.access import refuse_hidden
from app.labels.showing import note_told
from app.projects.access import AnnotatorProject, LeadProject
from app.trust import keeping
from app.trust.models import COUNTS
from app.trust.reading import get_ensemble, get_side, read_place, write_place
from app.trust.schemas import (
    AgreementOut,
    AgreementsOut,
    DifferenceOut,
    DifferencesOut,
    LearningOut,
    Polarity,
    ReportOut,
    TrustOut,
)
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["agent runs"])


@router.get("/agent-trust")
def api_get_trust(db: Db, project: AnnotatorProject, run: int | None = None) -> TrustOut:
    """How far agents are to be trusted, as learned last from answers that were given without their suggestions in view;
    with `run` as the ensemble of that number learned it.
    """
    if run is not None:
        get_agent_run(db, project.id, run)
    found = keeping.find_trust(db, project, agent_run_id=run)
    if found is None:
        return TrustOut(made_at=None, agent_run=run, report=None)
    report = ReportOut.model_validate(found.report)
    return TrustOut(made_at=found.made_at, agent_run=found.agent_run_id, report=report)


@router.post("/agent-trust", status_code=202)
def api_learn(db: Db, project: LeadProject, person: CurrentPerson) -> LearningOut:
    """Learn anew from all blind answers about the newest run of each agent; the job tells when that is done."""
    return LearningOut(job_id=keeping.ask_to_learn(db, project, by=person).id)


@router.get("/agent-runs/{run_id}/agreement")
def api_get_run_agreement(run_id: int, db: Db, project: AnnotatorProject) -> AgreementsOut:
    """Where the runs that an ensemble is made of agree and differ, by attribute, where they differ most first."""
    run, ensemble = get_ensemble(db, project, run_id)
    keys = {node.id: node.key for node in nodes_by_key(db, project).values()}
    return AgreementsOut(
        runs=list(ensemble.runs),
        at_least=ensemble.at_least,
        items=[
            AgreementOut.model_validate(
                {"key": keys[row.node_id], "polarity": row.polarity}
                | {name: getattr(row, name) for name in COUNTS}
            )
            for row in keeping.find_agreements(db, run)
        ],
    )


@router.get("/agent-runs/{run_id}/differences", dependencies=[Depends(refuse_hidden)])
def api_list_differences(
    run_id: int,
    db: Db,
    project: AnnotatorProject,
    person: CurrentPerson,
    key: str | None = None,
    polarity: Polarity | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> DifferencesOut:
    """Where the runs that an ensemble is made of differ, by image; of one attribute (`key` and `polarity`) or of all.
    403 for a browser that hides suggestions; whoever reads it has seen the suggestions of these images.
    """
    run, ensemble = get_ensemble(db, project, run_id)
    side, place = get_side(db, project, key, polarity), read_place(after)
    found = keeping.find_differences(db, run, ensemble, side=side, after=place, limit=limit + 1)
    note_told(db, [each.image.id for each in found[:limit]], person)
    return DifferencesOut(
        items=[_difference(each) for each in found[:limit]], next=write_place(found, limit)
    )


def _difference(each: keeping.Difference) -> DifferenceOut:
    return DifferenceOut(
        image_id=each.image.id,
        image=each.image.name,
        key=each.node.key,
        polarity="positive" if each.row.polarity == "positive" else "negative",
        says=each.says,
        does_not=each.does_not,
        probability=each.row.probability,
        is_proposed=each.row.is_proposed,
    )
