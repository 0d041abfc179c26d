"""`morelli labels`: hands on the labels of a project, takes some in, and recounts them."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.commands.output import AsJson, ProjectSlug, database, place, say, show, writing
from app.errors import WrongUse

if TYPE_CHECKING:
    from app.labels.export_formats import ExportFormat

labels_cli = typer.Typer(
    help="Hand on the labels of a project, take some in, recount them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
TELL_SECONDS = 2.0


@labels_cli.command("export")
def export_labels(
    project: ProjectSlug,
    to: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="The file to write; its ending says the format: .jsonl, .csv, .parquet, or .json for Label"
            " Studio. With - it goes to stdout.",
        ),
    ],
    format_: Annotated[
        str,
        typer.Option("--format", help="jsonl, csv, parquet or label-studio, whatever the ending."),
    ] = "",
) -> None:
    """Write every label of every image in use, proposed and rejected ones too."""
    from app.database import unit_of_work
    from app.labels.export_formats import FORMATS
    from app.projects.founding import get_project

    chosen = FORMATS[_format_of(to, format_)]
    with database():
        with unit_of_work() as db:
            project_id = get_project(db, project).id
        written = chosen.export(project_id)
        if to == "-":
            sys.stdout.buffer.writelines(written)
            return
        with writing(place(to)) as file:
            file.writelines(written)
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


@labels_cli.command("import")
def import_labels(
    project: ProjectSlug,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Labels as .jsonl, .csv or .parquet, or the .json of a Label Studio project.",
            parser=place,
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would change.")
    ] = False,
    by: Annotated[
        str, typer.Option(metavar="EMAIL", help="Which member imports; else the one lead.")
    ] = "",
    contradictions: Annotated[
        Literal["keep", "replace"],
        typer.Option(help="What becomes of decisions that the file contradicts."),
    ] = "keep",
    attributes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Which attribute words of the file mean: an object of words to `key/positive`,"
            " `key/negative` or an empty text, which leaves them out.",
            parser=place,
        ),
    ] = None,
    without_unknown_images: Annotated[
        bool, typer.Option(help="Leave out the labels of images that are not in the project.")
    ] = False,
    absent: Annotated[
        Literal["leave", "reject"],
        typer.Option(help="Label Studio: what was predicted and is not in the annotation."),
    ] = "leave",
    as_json: AsJson = False,
) -> None:
    """Store the labels of a file: new ones, and decisions on what is only proposed.

    A person's decision stays where the file says otherwise. Nothing is stored where a line makes no sense,
    or names an attribute or an image that is not known; all of them are told, with their lines.
    """
    from app.label_imports.importing import import_path
    from app.label_imports.options import Options

    if not file.is_file():
        raise WrongUse(f"There is no file {file}.", hint="Check the path.")
    options = Options(contradictions, without_unknown_images, _answers(attributes), absent)
    with database():
        found = import_path(
            project,
            file,
            options,
            by=by,
            dry_run=dry_run,
            report=_teller(),
            tell=lambda found: say(_found(found)),
        )
    show(found, as_json=as_json, words=lambda: _taken(found))


BulkKind = Literal["confirm", "add", "reject", "doubt", "done", "reopen", "assign"]
By = Annotated[str, typer.Option(metavar="EMAIL", help="Which member acts; else the one lead.")]


@labels_cli.command("bulk")
def change_in_bulk(
    project: ProjectSlug,
    kind: Annotated[BulkKind, typer.Argument(help="What is to be done to the images.")],
    attribute: Annotated[
        str, typer.Option(metavar="KEY/SIDE", help="Such as clear-edges/positive.")
    ] = "",
    filter_: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="QUERY",
            help="Which images: what the wall's address asks, such as show=undone&key=clear-edges. Else all.",
        ),
    ] = "",
    person: Annotated[
        int | None, typer.Option(help="Who is given the images: the number of a member.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also change what people decided otherwise.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would change.")
    ] = False,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Do one thing to all images of a filter: confirm, add, reject or doubt an attribute, mark them as done or not,
    give them to a person. It can be taken back in one step: `morelli labels undo-bulk`.
    """
    from app.bulk.asking import Wish
    from app.bulk.at_once import do

    key, _, polarity = attribute.rpartition("/")
    wish = Wish(kind, key, polarity, person_id=person, query=filter_, replace=replace)
    with database():
        done = do(
            project,
            wish,
            by=by,
            dry_run=dry_run,
            report=_images_teller(),
            tell=lambda found: say(_bulk_found(found)),
        )
    show(done, as_json=as_json, words=lambda: _bulk_taken(done))


@labels_cli.command("undo-bulk")
def undo_bulk(
    project: ProjectSlug,
    bulk: Annotated[int, typer.Argument(help="The number of the bulk action.")],
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Take a bulk action back: all is as before, but for what was changed since, which stays."""
    from app.bulk.at_once import take_back

    with database():
        done = take_back(project, bulk, by=by, report=_images_teller())
    words = f"{done['undone']} images as before; {done['stays']} stay as somebody changed them."
    show(done, as_json=as_json, words=lambda: words)


def _images_teller() -> Callable[[int, int | None], None]:
    told = time.monotonic()

    def tell(done: int, total: int | None) -> None:
        nonlocal told
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            say(f"{done}{f' of {total}' if total else ''} images")

    return tell


def _bulk_found(found: dict[str, Any]) -> str:
    return (
        f"{found['images']} images: {found['change']} change ({found['contradicting']} with contradictions),"
        f" {found['same']} are so already, {found['kept']} are kept, {found['none']} have none"
    )


def _bulk_taken(done: dict[str, Any]) -> str:
    if "taken" not in done:
        return "Nothing was changed."
    taken = done["taken"]
    return f"Bulk action {done['bulk']}: {taken['changed']} changed, {taken['passed']} passed over."


def _answers(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongUse(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(said, dict) or not all(isinstance(each, str) for each in said.values()):
        raise WrongUse(f"{path} is no object of texts.")
    return said


def _teller() -> Callable[[int], None]:
    told = time.monotonic()

    def tell(rows: int) -> None:
        nonlocal told
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            say(f"{rows} labels read")

    return tell


def _found(found: dict[str, Any]) -> str:
    counts = ", ".join(
        f"{found[name]} {words}"
        for name, words in (
            ("new", "new"),
            ("decides", "decide a proposal"),
            ("same", "same"),
            ("contradicting", "contradict a decision"),
        )
    )
    lines = [f"{found['rows']} labels: {counts}"]
    lines += [f"line {each['line']}: it {each['reason']}" for each in found["problems"]["first"]]
    for kind in ("unknown_attributes", "unknown_images"):
        lines += [
            f"line {each['line']}: {each['words']} ({each['labels']} labels): {each['reason']}"
            for each in found[kind]["first"]
        ]
    return "\n".join(lines)


def _taken(found: dict[str, Any]) -> str:
    if "taken" not in found:
        return "Nothing was stored."
    taken = found["taken"]
    return f"Stored: {taken['new']} new, {taken['decides']} decided, {taken['contradicting']} replaced."
