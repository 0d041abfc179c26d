"""Pages of studies for the project's people; `judging_pages` has those of participants."""

import math
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria.reading import current_version, version_criteria
from app.database import LARGEST_KEY
from app.datasets.pairing import pair_by_study
from app.images.access import PICTURE_HEADERS, PathKey, UploadedFiles
from app.participants.forms import LinksForm, NoticeForm
from app.participants.inviting import MOST
from app.participants.notices import find_notices, get_notice
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.settings import settings
from app.studies import collecting, exporting, founding, inviting, looking, opening, practising
from app.studies import results as outcome
from app.studies.access import get_study, instrument
from app.studies.evaluations import find_evaluated
from app.studies.forms import GroupForm, OpenForm, PairsForm, PlanForm, StudyForm
from app.studies.models import Study
from app.studies.notice import DEFAULT_NOTICE
from app.studies.planning import MOST_PAIRS, Plan, plan
from app.studies.protocol import caption, describe
from app.studies.sharing import people_for
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(include_in_schema=False)
PAGE = 20
ROOM = "/projects/{project}/studies"
# As the paper's study, with a few checks.
SUGGESTED = {
    "prompts": 150,
    "people": 10,
    "share": 64,
    "has_ties": "on",
    "identical_percent": 3,
    "repeated_percent": 5,
}


@router.get(ROOM)
def show_studies(
    db: Db, answer: Answering, project: AnnotatorProject, before: int | None = None
) -> Response:
    """The project's studies, newest first."""
    found = outcome.find_studies(db, project, before=before, limit=PAGE + 1)
    return answer.show(
        "studies/list.html",
        studies=found[:PAGE],
        next=found[PAGE - 1].study.id if len(found) > PAGE else None,
    )


# Making one -----------------------------------------------------------------------------------------


def _show_form(
    db: Db, answer: Answer, project: Project, form: Form[StudyForm], *, status: int = 200
) -> Response:
    suggested = SUGGESTED | {"seed": secrets.randbelow(1_000_000), "notice": DEFAULT_NOTICE}
    return answer.show(
        "studies/new.html",
        status=status,
        form=form,
        suggested=suggested,
        plan=_plan(db, project, SUGGESTED | form.typed),
        is_published=current_version(db, project) is not None,
    )


def _plan(db: Db, project: Project, typed: Mapping[str, object]) -> Plan | None:
    """What a study of these numbers would tell; None where they make no sense."""
    version = current_version(db, project)
    prompts, people, share = (_number(typed.get(name)) for name in ("prompts", "people", "share"))
    if version is None or not (prompts and people and share):
        return None
    if not (prompts <= MOST_PAIRS and people <= MOST and 0 < share < 100):
        return None
    judges, each = (_number(typed.get(name)) for name in ("judges", "prompts_each"))
    if judges and each:
        people = min(MOST, math.ceil(prompts * judges / each))
    return plan(
        pairs=int(prompts),
        people=int(people),
        share=share / 100,
        dimensions=len(version_criteria(version).dimensions) or 1,
        judges=int(judges) if judges and each else None,
    )


def _number(typed: object) -> float | None:
    try:
        number = float(str(typed))
    except ValueError:
        return None
    return number if 1 <= number < 1_000_000 else None


@router.get(ROOM + "/new")
def show_new_study(db: Db, answer: Answering, project: LeadProject) -> Response:
    """The form of a new study."""
    return _show_form(db, answer, project, Form())


@router.get(ROOM + "/plan")
def show_study_plan(
    db: Db, answer: Answering, project: LeadProject, typed: Annotated[PlanForm, Query()]
) -> Response:
    """What a study of these numbers would tell, while the form is being filled in."""
    return answer.show("studies/_plan.html", plan=_plan(db, project, typed.model_dump()))


@router.post(ROOM)
def submit_study(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[StudyForm], Depends(submitted(StudyForm))],
) -> Response:
    """Make a draft."""
    if not form.errors:
        with form.attempt():
            values = form.values
            study = founding.create_study(
                db, project, name=values.name, design=values.design, notice=values.notice, by=person
            )
            return answer.done(go_to=_path(answer, project, study.id))
    return _show_form(db, answer, project, form, status=422)


# One study ------------------------------------------------------------------------------------------


def _path(answer: Answer, project: Project, study_id: int) -> str:
    return answer.path("show_study", project=project.slug, study_id=study_id)


def _show_study(
    db: Db,
    answer: Answer,
    project: Project,
    study: Study,
    *,
    form: Form[Any] | None = None,
    links: list[tuple[int, str]] | None = None,
) -> Response:
    is_draft = study.state == "draft"
    return answer.show(
        "studies/draft.html" if is_draft else "studies/study.html",
        fragment="studies/_gathered.html" if is_draft else "studies/_live.html",
        status=422 if form and form.errors else 200,
        study=study,
        form=form or Form(),
        notice=get_notice(db, instrument(study)),
        **(_of_draft(db, answer, project, study) if is_draft else _of_results(db, study)),
        links=links or [],
    )


def _of_draft(db: Db, answer: Answer, project: Project, study: Study) -> dict[str, object]:
    there = opening.get_gathering(db, study)
    return {
        "there": there,
        "job": collecting.find_last_job(db, project, study),
        "is_taking": collecting.find_open_job(db, project, study) is not None,
        "evaluated": [] if answer.wants_fragment else find_evaluated(db, project),
        "limit_mb": settings().max_upload_mb,
        "next_group": f"G{len(there.groups) + 1}",
        "facts": outcome.get_facts(db, study),
    }


def _of_results(db: Db, study: Study) -> dict[str, object]:
    return {
        "facts": outcome.get_facts(db, study),
        "results": outcome.results(db, study),
        "participants": inviting.find_participants(db, study, limit=MOST),
        "p_words": exporting.p_words,
        "people_needed": people_for(study),
        "practice": len(practising.find_practice_positions(db, study)),
        "may_say": practising.may_say(db, study),
        "unsaid": practising.count_unsaid(db, study),
    }


@router.get(ROOM + "/{study_id}")
def show_study(study_id: int, db: Db, answer: Answering, project: AnnotatorProject) -> Response:
    """One study: its images while it is a draft, then its participants and its results as they stand."""
    return _show_study(db, answer, project, get_study(db, project, study_id))


@router.post(ROOM + "/{study_id}/uploads")
def submit_study_images(
    study_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    source: UploadedFiles,
) -> Response:
    """Take the images of an upload in."""
    collecting.collect_upload(db, project, study_id, source, by=person)
    return answer.done(go_to=_path(answer, project, study_id))


@router.post(ROOM + "/{study_id}/groups")
def submit_study_group(
    study_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[GroupForm], Depends(submitted(GroupForm))],
) -> Response:
    """Take the images of evaluated models in, as one group."""
    if not form.errors:
        with form.attempt():
            values = form.values
            collecting.collect_evaluations(
                db, project, study_id, group=values.group, models=values.models, by=person
            )
            return answer.done(go_to=_path(answer, project, study_id))
    return _show_study(db, answer, project, get_study(db, project, study_id), form=form)


@router.post(ROOM + "/{study_id}/images/remove")
def remove_study_images(study_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """Take all images out of a draft."""
    collecting.remove_images(db, project, study_id)
    return answer.done(go_to=_path(answer, project, study_id))


@router.post(ROOM + "/{study_id}/open")
def open_study(
    study_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    form: Annotated[Form[OpenForm], Depends(submitted(OpenForm))],
) -> Response:
    """Draw the prompts and make the pairs."""
    if not form.errors:
        with form.attempt():
            opening.open_study(db, project, study_id, prompts=form.values.prompts)
            return answer.done(go_to=_path(answer, project, study_id))
    return _show_study(db, answer, project, get_study(db, project, study_id), form=form)


@router.post(ROOM + "/{study_id}/close")
def close_study(study_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """Take no more answers."""
    inviting.close_study(db, get_study(db, project, study_id))
    return answer.done(go_to=_path(answer, project, study_id))


@router.post(ROOM + "/{study_id}/participants")
def submit_study_participants(
    study_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    form: Annotated[Form[LinksForm], Depends(submitted(LinksForm))],
) -> Response:
    """Make participants; their links are on this page once and nowhere else."""
    study = get_study(db, project, study_id)
    links: list[tuple[int, str]] = []
    if not form.errors:
        with form.attempt():
            made = inviting.invite_participants(db, study, form.values.count)
            links = [(number, _link(answer, token)) for number, token in made]
    return _show_study(db, answer, project, study, form=form, links=links)


def _link(answer: Answer, token: str) -> str:
    return settings().public_address + answer.path("show_study_seat", token=token)


@router.post(ROOM + "/{study_id}/participants/{number}/revoke")
def revoke_study_participant(
    study_id: int, number: int, db: Db, answer: Answering, project: LeadProject
) -> Response:
    """Make a participant's link useless and leave their answers out."""
    inviting.revoke_participant(db, get_study(db, project, study_id), number)
    return answer.done(go_to=_path(answer, project, study_id))


@router.post(ROOM + "/{study_id}/pair-datasets")
def submit_pairs_by_study(
    study_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[PairsForm], Depends(submitted(PairsForm))],
) -> Response:
    """Ask for the pair dataset of what participants preferred."""
    study = get_study(db, project, study_id)
    if not form.errors:
        with form.attempt():
            made = pair_by_study(
                db,
                project,
                name=form.values.name,
                study_id=study.id,
                min_agreement=form.values.min_agreement / 100,
                by=person,
            )
            return answer.done(
                go_to=answer.path(
                    "show_pair_dataset", project=project.slug, pair_dataset_id=made.id
                )
            )
    return _show_study(db, answer, project, study, form=form)


@router.get(ROOM + "/{study_id}/pairs")
def show_study_pairs(
    study_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    after: Annotated[int, Query(ge=0, le=LARGEST_KEY)] = 0,
) -> Response:
    """The pairs with their pictures, and what was said of them; for leads, because others may take part."""
    study = get_study(db, project, study_id)
    found = looking.find_looked_at(db, study, after=after, limit=PAGE + 1)
    return answer.show(
        "studies/pairs.html",
        study=study,
        pairs=found[:PAGE],
        after=after,
        next=found[PAGE - 1].id if len(found) > PAGE else None,
    )


@router.get(ROOM + "/{study_id}/images/{image_id}")
def get_compared_image(study_id: int, image_id: PathKey, db: Db, project: LeadProject) -> Response:
    """The bytes of one image of a study."""
    shown = looking.read_picture(db, get_study(db, project, study_id), image_id)
    return Response(shown, media_type="image/jpeg", headers=PICTURE_HEADERS)


# The notice -----------------------------------------------------------------------------------------


def _show_notice(
    db: Db, answer: Answer, study: Study, form: Form[NoticeForm], *, status: int = 200
) -> Response:
    return answer.show(
        "studies/notice.html",
        status=status,
        study=study,
        form=form,
        notices=find_notices(db, instrument(study)),
    )


@router.get(ROOM + "/{study_id}/notice")
def show_study_notice(study_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """What participants read, what earlier ones read, and the form of another text."""
    return _show_notice(db, answer, get_study(db, project, study_id), Form())


@router.post(ROOM + "/{study_id}/notice")
def submit_study_notice(
    study_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[NoticeForm], Depends(submitted(NoticeForm))],
) -> Response:
    """Another text for those who have not agreed yet."""
    study = get_study(db, project, study_id)
    if not form.errors:
        with form.attempt():
            values = form.values
            inviting.rewrite_notice(db, study, values.notice, by=person, based_on=values.based_on)
            path = answer.path("show_study_notice", project=project.slug, study_id=study.id)
            return answer.done(go_to=path)
    return _show_notice(db, answer, study, form, status=422)


# What it found --------------------------------------------------------------------------------------


@router.get(ROOM + "/{study_id}/report")
def show_study_report(
    study_id: int, db: Db, answer: Answering, project: AnnotatorProject
) -> Response:
    """How the study was done and what it found, to print or to copy into a paper."""
    study = get_study(db, project, study_id)
    facts, found = outcome.get_facts(db, study), outcome.results(db, study)
    notice = get_notice(db, instrument(study))
    return answer.show(
        "studies/report.html",
        study=study,
        facts=facts,
        results=found,
        p_words=exporting.p_words,
        caption=caption(found),
        paragraphs=describe(study, facts, found, notice),
        notice=notice,
        latex=_latex(project, study, found),
    )


def _latex(project: Project, study: Study, found: outcome.Results) -> str:
    label = f"tab:study-{project.slug}-{study.id}"
    return exporting.write_latex(found, caption=caption(found), label=label)


def _file(project: Project, study: Study, what: str, text: str, media_type: str) -> Response:
    name = f"{project.slug}-study-{study.id}{what}"
    return Response(
        text,
        media_type=f"{media_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get(ROOM + "/{study_id}/answers.csv")
def export_study_answers(study_id: int, db: Db, project: LeadProject) -> Response:
    """Every answer as CSV; participants are codes."""
    study = get_study(db, project, study_id)
    text = exporting.write_choices(exporting.iterate_choices(db, study))
    return _file(project, study, "-answers.csv", text, "text/csv")


@router.get(ROOM + "/{study_id}/results.csv")
def export_study_results(study_id: int, db: Db, project: AnnotatorProject) -> Response:
    """Every comparison as CSV."""
    study = get_study(db, project, study_id)
    text = exporting.write_results(outcome.results(db, study))
    return _file(project, study, "-results.csv", text, "text/csv")


@router.get(ROOM + "/{study_id}/results.tex")
def export_study_table(study_id: int, db: Db, project: AnnotatorProject) -> Response:
    """The preferences as LaTeX tables, in the form of the paper's Figure S8."""
    study = get_study(db, project, study_id)
    text = _latex(project, study, outcome.results(db, study))
    return _file(project, study, "-table.tex", text, "application/x-tex")
