"""What follows from audits: deciding labels again, attributes under the bar, two audits side by side."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.audits import comparing, doubting
from app.audits.access import get_audit
from app.audits.forms import AgainForm, BarForm
from app.audits.results import get_facts
from app.criteria.reading import working_criteria
from app.errors import AppError
from app.labels.questioning import Questioned
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from taxonomy.tree import Pair

router = APIRouter(include_in_schema=False)
ROOM = "/projects/{project}/audits"


def _in_words(done: Questioned) -> str:
    """What was done, for the page after it."""
    if not done.asked_again and not done.waiting:
        return "No such label stands as confirmed or proposed: there is nothing to decide again."
    said = f"{done.asked_again:,} confirmed {_labels(done.asked_again)} again to be decided"
    if done.waiting:
        said += f"; {done.waiting:,} {_labels(done.waiting)} already"
    if done.reopened:
        said += (
            f"; {done.reopened:,} {'image is' if done.reopened == 1 else 'images are'} open again"
        )
    return f"{said}."


def _labels(number: int) -> str:
    return "label waits" if number == 1 else "labels wait"


@router.post(ROOM + "/{audit_id}/refuted-again")
def submit_refuted_again(
    audit_id: int, db: Db, answer: Answering, project: LeadProject, person: CurrentPerson
) -> Response:
    """Have the labels that most participants refuted decided again."""
    audit = get_audit(db, project, audit_id)
    done = doubting.ask_refuted_again(db, project, audit, by=person)
    return answer.show(
        "audits/asked_again.html",
        said=_in_words(done),
        back=answer.path("show_audited", project=project.slug, audit_id=audit.id)
        + "?opinion=refuted",
        done=done,
    )


@router.post(ROOM + "/attributes/again")
def submit_attribute_again(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[AgainForm], Depends(submitted(AgainForm))],
) -> Response:
    """Have every label of an attribute decided again."""
    if not form.errors:
        with form.attempt():
            asked = form.values
            done = doubting.ask_attribute_again(db, project, asked.key, asked.polarity, by=person)
            back = answer.path("show_audited_attributes", project=project.slug)
            return answer.show(
                "audits/asked_again.html", said=_in_words(done), back=back, done=done
            )
    return _show_attributes(db, answer, project, Form(), status=422)


def _show_attributes(
    db: Db, answer: Answer, project: Project, form: Form[BarForm], *, status: int = 200
) -> Response:
    tree = working_criteria(db, project)
    standings = doubting.find_standings(db, project)
    bar = doubting.get_bar(project)
    return answer.show(
        "audits/attributes.html",
        status=status,
        form=form,
        bar=bar,
        rows=[
            (each, entry, entry.node.attribute(each.side.polarity).name, each.accuracy < bar)
            for each in standings
            if (entry := tree.find(each.side.key)) is not None and isinstance(entry.node, Pair)
        ],
        least=doubting.LEAST_ANSWERS,
    )


@router.get(ROOM + "/attributes")
def show_audited_attributes(db: Db, answer: Answering, project: AnnotatorProject) -> Response:
    """Every attribute that closed audits say enough about, and which are under the bar."""
    return _show_attributes(db, answer, project, Form())


@router.post(ROOM + "/attributes")
def submit_bar(
    db: Db,
    answer: Answering,
    project: LeadProject,
    form: Annotated[Form[BarForm], Depends(submitted(BarForm))],
) -> Response:
    """Choose under which accuracy attributes are flagged."""
    if not form.errors:
        with form.attempt():
            doubting.set_bar(project, form.values.bar / 100)
            return answer.done(go_to=answer.path("show_audited_attributes", project=project.slug))
    return _show_attributes(db, answer, project, form, status=422)


@router.get(ROOM + "/{audit_id}/compare/{other_id}")
def show_audit_comparison(
    audit_id: int, other_id: int, db: Db, answer: Answering, project: AnnotatorProject
) -> Response:
    """The first audit against the second, over the images that both drew."""
    audit, other = get_audit(db, project, audit_id), get_audit(db, project, other_id)
    found, problem = None, None
    try:
        found = comparing.compare(db, audit, other)
    except AppError as error:
        problem = error
    return answer.show(
        "audits/comparison.html",
        first=audit,
        second=other,
        facts=(get_facts(db, audit), get_facts(db, other)),
        found=found,
        problem=problem,
    )
