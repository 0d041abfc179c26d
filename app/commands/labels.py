"""`morelli labels`: hands on the labels of a project."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.output import ProjectSlug, database, place, say, writing
from app.errors import WrongUse

if TYPE_CHECKING:
    from app.labels.export_formats import ExportFormat

labels_cli = typer.Typer(
    help="Hand on the labels of a project.", no_args_is_help=True, rich_markup_mode=None
)


@labels_cli.callback()
def _group() -> None:
    """Typer makes a command of a group that has one alone."""


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


def _format_of(to: str, wanted: str) -> "ExportFormat":
    from app.labels.export_formats import FORMATS

    for name, each in FORMATS.items():
        if name == wanted or (not wanted and to.endswith(each.ending)):
            return name
    raise WrongUse(
        f"“{wanted}” is no format." if wanted else f"The ending of {to} says no format.",
        hint=f"Say --format: {', '.join(FORMATS)}.",
    )
