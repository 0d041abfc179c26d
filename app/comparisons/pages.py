"""Two agent runs side by side."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from app.accounts.access import CurrentPerson
from app.agents.launching import available_agents, default_agent
from app.comparisons.comparing import Compared, ask_comparison, get_compared, get_side_images
from app.comparisons.forms import OtherRunForm
from app.comparisons.models import AgentComparisonSide
from app.images.narrowing import LabelWish, Narrowing
from app.jobs.models import OPEN_STATES
from app.labels.access import Sight
from app.labels.showing import note_told
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.web.answer import Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(include_in_schema=False, prefix="/projects/{project}/agent")


@router.get("/{run_id}/compare/{other_id}")
def show_comparison(
    run_id: int, other_id: int, db: Db, answer: Answering, project: AnnotatorProject
) -> Response:
    """What a comparison came to, the attributes that differ most first."""
    found = get_compared(db, project, run_id, other_id)
    rows = found.asked_by("both")
    differing = [row for row in rows if row.side.in_both or _differences(row.side)]
    return answer.show(
        "comparisons/comparison.html",
        fragment="comparisons/_comparison.html",
        found=found,
        is_live=found.job.state in OPEN_STATES,
        rows=sorted(differing, key=lambda row: -_differences(row.side)),
        num_silent=len(rows) - len(differing),
        alone=found.asked_by("first") + found.asked_by("second"),
        has_verdicts=_has_verdicts(found),
        default=default_agent(project),
        agents=available_agents(),
    )


def _differences(side: AgentComparisonSide) -> int:
    return side.only_first + side.only_second


def _has_verdicts(found: Compared) -> bool:
    figures = found.figures
    if figures is None:
        return False
    shares = (figures.precision_first, figures.precision_second, figures.recall_first)
    return any(each.of for each in shares)


@router.post("/{run_id}/compare")
def submit_comparison(
    run_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[OtherRunForm], Depends(submitted(OtherRunForm))],
) -> Response:
    """Have a run compared with another one, or compared anew."""
    other = form.checked().other
    ask_comparison(db, project, run_id, other, by=person)
    return RedirectResponse(_address(answer, project, run_id, other), 303)


def _address(answer: Answering, project: Project, run_id: int, other: int) -> str:
    return answer.path("show_comparison", project=project.slug, run_id=run_id, other_id=other)


@router.get("/{run_id}/compare/{other_id}/attributes/{place}")
def show_compared_images(
    run_id: int,
    other_id: int,
    place: int,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    sight: Sight,
) -> Response:
    """Images that one run alone found an attribute in; none for a browser that hides suggestions. Whoever sees them
    is blind for these images no more.
    """
    found = get_compared(db, project, run_id, other_id)
    images = get_side_images(db, found, place)
    if sight:
        note_told(db, images.image_ids, person)
    wishes = {
        run.id: Narrowing(
            (LabelWish(images.row.nodes[0].key, images.row.side.polarity, run=run.id),)
        ).query
        for run in (found.first, found.second)
    }
    return answer.show(
        "comparisons/images.html", found=found, images=images, sight=sight, wishes=wishes
    )
