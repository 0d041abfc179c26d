"""`morelli studies`: hands on what studies found."""

from typing import Annotated, Literal

import typer

from app.commands.output import AsJson, ProjectSlug, database, place, say, show, writing

studies_cli = typer.Typer(
    help="List the studies of a project, and hand on what they found.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
MOST_LISTED = 1000
What = Literal["results", "answers", "latex", "pairs"]


@studies_cli.command("list")
def list_studies(project: ProjectSlug, as_json: AsJson = False) -> None:
    """List the project's studies, newest first."""
    from app.database import unit_of_work
    from app.projects.founding import get_project
    from app.studies.results import find_studies

    with database(), unit_of_work() as db:
        found = find_studies(db, get_project(db, project), limit=MOST_LISTED)
    rows = [
        {
            "id": each.study.id,
            "name": each.study.name,
            "state": each.study.state,
            "pairs": each.pairs,
            "finished": each.people.finished,
        }
        for each in found
    ]
    show(
        rows,
        as_json=as_json,
        words=lambda: "\n".join(
            f"{row['id']:>6}  {row['state']:<6}  {row['name']}: {row['pairs']} pairs, {row['finished']} finished"
            for row in rows
        ),
    )


@studies_cli.command("export")
def export_study(
    project: ProjectSlug,
    study: Annotated[
        int, typer.Argument(help="The study's number, as `morelli studies list` says.")
    ],
    to: Annotated[
        str, typer.Argument(metavar="FILE", help="The file to write. With - it goes to stdout.")
    ],
    what: Annotated[
        What,
        typer.Option(
            help="results: every figure as CSV. answers: every answer as CSV, participants as codes."
            " latex: tables for a paper. pairs: lines of JSON that `morelli pairs study` takes."
        ),
    ] = "results",
) -> None:
    """Write what a study found. Participants whose link was revoked are left out."""
    with database():
        text = _written(project, study, what)
    if to == "-":
        typer.echo(text, nl=False)
        return
    with writing(place(to)) as file:
        file.write(text.encode())
    say(f"{to} written.")


def _written(project: str, study_id: int, what: What) -> str:
    from app.database import unit_of_work
    from app.projects.founding import get_project
    from app.studies import exporting
    from app.studies.access import get_study
    from app.studies.protocol import caption
    from app.studies.results import results

    with unit_of_work() as db:
        found = get_project(db, project)
        study = get_study(db, found, study_id)
        if what == "answers":
            return exporting.write_choices(exporting.iterate_choices(db, study))
        if what == "pairs":
            return "".join(exporting.iterate_judgements(db, study))
        outcome = results(db, study)
    if what == "latex":
        label = f"tab:study-{project}-{study_id}"
        return exporting.write_latex(outcome, caption=caption(outcome), label=label)
    return exporting.write_results(outcome)
