"""`morelli labels`: hands on the labels of a project, and recounts them."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.output import AsJson, ProjectSlug, database, place, say, show, writing
from app.errors import WrongUse

if TYPE_CHECKING:
    from app.labels.export_formats import ExportFormat

labels_cli = typer.Typer(
    help="Hand on the labels of a project; recount them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@labels_cli.command("export")
def export_labels(
    project: ProjectSlug,
    to: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="The file to write; its ending says the format: .jsonl, .csv, or .json for Label Studio."
            " With - it goes to stdout.",
        ),
    ],
    format_: Annotated[
        str, typer.Option("--format", help="jsonl, csv or label-studio, whatever the ending.")
    ] = "",
) -> None:
    """Write every label of every image in use, proposed and rejected ones too."""
    from app.database import unit_of_work
    from app.labels.export_formats import FORMATS
    from app.labels.exporting import export_images
    from app.projects.founding import get_project

    chosen = FORMATS[_format_of(to, format_)]
    with database():
        with unit_of_work() as db:
            project_id = get_project(db, project).id
        texts = chosen.write(export_images(project_id))
        if to == "-":
            sys.stdout.writelines(texts)
            return
        with writing(place(to)) as file:
            file.writelines(text.encode() for text in texts)
    say(f"{to} written.")


@labels_cli.command("recount")
def recount_labels(
    check: Annotated[
        bool, typer.Option("--check", help="Only say what differs; then the exit code is 1.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the counts that pages show with the labels and images that are there, and put right what differs.

    The database keeps these counts itself, so nothing should ever differ. Reads every label of every project:
    about a minute for 25 million. Others may go on working meanwhile.
    """
    from app.database import unit_of_work
    from app.labels.recounting import find_drift, recount

    with database(), unit_of_work() as db:
        found = find_drift(db) if check else recount(db)
    wrong = [each for each in found if each.groups]
    show(
        [{"counts": each.counts, "differ": each.groups} for each in found],
        as_json=as_json,
        words=lambda: (
            "\n".join(f"Counts of {each.counts}: {each.groups} differ" for each in wrong)
            or "All counts are right."
        ),
    )
    if check and wrong:
        raise typer.Exit(1)


def _format_of(to: str, wanted: str) -> "ExportFormat":
    from app.labels.export_formats import FORMATS

    for name, each in FORMATS.items():
        if name == wanted or (not wanted and to.endswith(each.ending)):
            return name
    raise WrongUse(
        f"“{wanted}” is no format." if wanted else f"The ending of {to} says no format.",
        hint=f"Say --format: {', '.join(FORMATS)}.",
    )
