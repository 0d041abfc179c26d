"""What an audit found, in detail: a branch of the criteria with its pictures, the report, and the files."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.audits import results as outcome
from app.audits import verdicts
from app.audits.access import get_audit, instrument
from app.audits.exporting import write_latex, write_results, write_verdicts
from app.audits.models import Audit
from app.audits.plotting import axis_of
from app.audits.practising import find_practice_positions
from app.audits.probing import find_missed
from app.audits.protocol import caption, describe
from app.audits.verdicts import OPINIONS, Opinion
from app.labels.showing import note_told
from app.participants.notices import get_notice
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.web.answer import Answering
from app.web.dependencies import Db
from taxonomy.tree import Polarity

router = APIRouter(include_in_schema=False)
ROOM = "/projects/{project}/audits/{audit_id}"
PICTURES = 60


@router.get(ROOM + "/labels")
def show_audited(
    audit_id: int,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    key: Annotated[str, Query(max_length=200)] = "",
    polarity: Polarity | Literal[""] = "",
    opinion: Opinion | Literal[""] = "",
    kind: Literal["label", "decoy", ""] = "label",
    after: int = 0,
) -> Response:
    """Labels of the sample with their pictures and what was said of them: all, or those at a node of the criteria,
    with its figures.
    """
    audit = get_audit(db, project, audit_id)
    branch = outcome.get_branch(db, audit, key) if key else None
    found = verdicts.find_judged(
        db,
        audit,
        key=key or None,
        polarity=polarity or None,
        opinion=opinion or None,
        kind=kind or None,
        after=after,
        limit=PICTURES + 1,
    )
    note_told(db, [each.image_id for each in found[:PICTURES]], person)
    rows = [branch.row, *branch.dimensions, *branch.attributes] if branch else []
    return answer.show(
        "audits/audited.html",
        audit=audit,
        facts=outcome.get_facts(db, audit),
        branch=branch,
        axis=axis_of(row.score for row in rows),
        labels=found[:PICTURES],
        next=found[PICTURES - 1].id if len(found) > PICTURES else None,
        opinions=OPINIONS,
        asked={"key": key, "polarity": polarity, "opinion": opinion, "kind": kind},
    )


@router.get(ROOM + "/report")
def show_audit_report(
    audit_id: int, db: Db, answer: Answering, project: AnnotatorProject
) -> Response:
    """How the audit was done and what it found, to print or to copy into a paper."""
    audit = get_audit(db, project, audit_id)
    facts, found = outcome.get_facts(db, audit), outcome.results(db, audit)
    notice = get_notice(db, instrument(audit))
    practice = len(find_practice_positions(db, audit))
    rows = [*found.dimensions, *found.polarities, found.overall]
    return answer.show(
        "audits/report.html",
        audit=audit,
        facts=facts,
        results=found,
        axis=axis_of(row.score for row in rows),
        missed=find_missed(db, audit),
        caption=caption(found),
        paragraphs=describe(audit, facts, found, notice, practice=practice),
        notice=notice,
        latex=_latex(project, audit, found),
    )


def _latex(project: Project, audit: Audit, found: outcome.Results) -> str:
    label = f"tab:audit-{project.slug}-{audit.id}"
    return write_latex(found, caption=caption(found), label=label)


def _file(project: Project, audit: Audit, what: str, text: str, media_type: str) -> Response:
    name = f"{project.slug}-audit-{audit.id}{what}"
    return Response(
        text,
        media_type=f"{media_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get(ROOM + "/verdicts.csv")
def export_verdicts(audit_id: int, db: Db, project: LeadProject) -> Response:
    """Every verdict as CSV; participants are codes."""
    audit = get_audit(db, project, audit_id)
    text = write_verdicts(verdicts.iterate_verdicts(db, audit))
    return _file(project, audit, ".csv", text, "text/csv")


@router.get(ROOM + "/results.csv")
def export_audit_results(audit_id: int, db: Db, project: AnnotatorProject) -> Response:
    """Every figure as CSV: overall, by polarity, dimension, sub-dimension and attribute."""
    audit = get_audit(db, project, audit_id)
    return _file(
        project, audit, "-results.csv", write_results(outcome.all_rows(db, audit)), "text/csv"
    )


@router.get(ROOM + "/results.tex")
def export_audit_table(audit_id: int, db: Db, project: AnnotatorProject) -> Response:
    """The table of accuracies as LaTeX, in the form of the paper's Table S5."""
    audit = get_audit(db, project, audit_id)
    text = _latex(project, audit, outcome.results(db, audit))
    return _file(project, audit, "-table.tex", text, "application/x-tex")
