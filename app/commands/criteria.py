"""`morelli criteria`: checking, showing and comparing trees, and taking them in and out of a project."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from app.commands.output import AsJson, ProjectSlug, database, place, say, show, writing
from app.errors import AppError, WrongUse
from method.saved_texts import UnreadableText, read_text

criteria_cli = typer.Typer(
    help="Check, show, compare, import and export criteria trees.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A criteria tree: YAML, JSON, CSV, Excel, SKOS or Label Studio.",
        parser=place,
    ),
]
Source = Annotated[str, typer.Argument(help="A criteria file, or a project's address.")]
Version = Annotated[
    int | None, typer.Option(help="A published version of the project; else the working criteria.")
]
FormatOption = Annotated[
    str, typer.Option("--format", help="yaml, json, csv, xlsx, turtle, jsonld or label-studio.")
]


@criteria_cli.command("check")
def check_criteria(file: File, as_json: AsJson = False) -> None:
    """Check a criteria file; needs no server. Exit code 1 where a problem is an error, 2 where it cannot be read."""
    from taxonomy.report import report

    found = report(lambda: read_criteria_file(file))
    show(found, as_json=as_json, words=lambda: _check_words(found))
    if any(each["severity"] == "error" for each in found["problems"]):
        raise typer.Exit(1)


def _check_words(found: dict[str, Any]) -> str:
    size = (
        f"{found['name'] or 'No criteria'}: {found['root_dimensions']} root dimensions, {found['levels']} levels, "
        f"{found['attribute_pairs']} attribute pairs"
    )
    lines = [
        f"{each['severity']}: {each['message']} [{each['code']}]" for each in found["problems"]
    ]
    return "\n".join([size, *lines, f"{len(found['problems'])} problems"])


def read_criteria_file(file: Path) -> Any:
    """The criteria in a file of any format. Raises WrongUse where it cannot be read as a text, and
    InvalidCriteria where it is not criteria.
    """
    from taxonomy.formats.existing import Existing
    from taxonomy.formats.files import read_file

    return read_file(file.name, read_bytes(file), Existing(), lambda data: _text_of(file, data))


def read_bytes(file: Path) -> bytes:
    """A file's content, as far as it is read at all. Raises WrongUse where it cannot be read."""
    from taxonomy.formats.data import MAX_BYTES

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise WrongUse(f"There is no file {file}.", hint="Check the path.") from error
    except IsADirectoryError as error:
        raise WrongUse(f"{file} is a folder; name a file in it.") from error
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise WrongUse(f"{file} cannot be read: {said}.") from error


def _text_of(file: Path, data: bytes) -> str:
    try:
        return read_text(data).text
    except UnreadableText as error:
        raise WrongUse(f"{file} cannot be read. {error.reason}") from error


def read_tree(source: str, number: int | None) -> Any:
    """The criteria of a file, or of a project (working, or a published version)."""
    # A mistyped file is not looked for among projects, which may start the servers first.
    if Path(source).exists() or not re.fullmatch("[a-z0-9][a-z0-9-]{0,62}", source):
        return read_criteria_file(place(source))
    from app.criteria import reading
    from app.database import unit_of_work
    from app.projects.founding import get_project

    with database(), unit_of_work() as db:
        project = get_project(db, source)
        if number is None:
            return reading.working_criteria(db, project)
        return reading.version_criteria(reading.get_version(db, project, number))


@criteria_cli.command("show")
def show_criteria(source: Source, version: Version = None, as_json: AsJson = False) -> None:
    """Show a criteria tree: a file's, or a project's."""
    from taxonomy.formats.json import write_json
    from taxonomy.tree import Pair

    tree = read_tree(source, version)
    if as_json:
        typer.echo(write_json(tree))
        return
    for entry in tree.walk():
        node = entry.node
        indent = "  " * (entry.level - 1)
        if isinstance(node, Pair):
            typer.echo(f"{indent}+ {node.positive.name}  − {node.negative.name}  [{node.key}]")
        else:
            typer.echo(f"{indent}{node.name}  [{node.key}]")


@criteria_cli.command("diff")
def diff_criteria(
    old: Source,
    new: Source,
    old_version: Version = None,
    new_version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Say in words what changed from one criteria tree to another."""
    from dataclasses import asdict

    from taxonomy.changes import difference

    changes = difference(read_tree(old, old_version), read_tree(new, new_version))
    show(
        [asdict(each) for each in changes],
        as_json=as_json,
        words=lambda: "\n".join(each.sentence for each in changes) or "No difference.",
    )


@criteria_cli.command("export")
def export_criteria(
    source: Source,
    to: Annotated[
        Path,
        typer.Argument(
            metavar="TO", help="The file to write; its ending says the format.", parser=place
        ),
    ],
    version: Version = None,
    format_: FormatOption = "",
) -> None:
    """Write a criteria tree in any format; what a format cannot hold is said."""
    from typing import cast

    from taxonomy.formats.files import FORMATS, FormatName, format_of

    name = format_ or format_of(to.name) or ""
    if name not in FORMATS:
        raise AppError(
            f"{to} has no ending that is known.", hint=f"Say --format: {', '.join(FORMATS)}."
        )
    chosen = FORMATS[cast(FormatName, name)]
    content = chosen.write(read_tree(source, version))
    with writing(to) as file:
        file.write(content)
    for each in chosen.left_out:
        say(f"{chosen.title} does not hold {each}.")
    say(f"{to} written.")


DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
]
NamesMoved = Annotated[
    Literal["keep", "follow"] | None,
    typer.Option(help="What becomes of labels where a name goes to another attribute."),
]


@criteria_cli.command("import")
def import_criteria(
    project: ProjectSlug,
    file: File,
    dry_run: DryRun = False,
    names_moved: NamesMoved = None,
    as_json: AsJson = False,
) -> None:
    """Put a file in the place of a project's criteria, as recorded changes; nothing is thrown away.

    What the file lacks is retired. A project without criteria is given those of the file.
    """
    from app.criteria import importing, loading, reading, uploads
    from app.database import unit_of_work
    from app.projects.founding import get_project
    from app.versions.importing import foresee_labels
    from app.versions.importing import import_criteria as put_in_place

    with database(), unit_of_work() as db:
        here = get_project(db, project)
        new = uploads.read_upload(db, here, file.name, read_bytes(file))
        found = importing.foresee(db, here, new)
        labels = foresee_labels(db, here, found)
        if dry_run:
            pass
        elif reading.find_nodes(db, here):
            put_in_place(db, here, new, based_on=found.based_on, by=None, names_moved=names_moved)
        else:
            loading.load_criteria(db, here, new, by=None)
    _show_foreseen(found, labels, dry_run=dry_run, as_json=as_json)


@criteria_cli.command("take-over")
def take_edition_over(
    project: ProjectSlug,
    theirs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Of a text that both changed take the edition's, such as clear-edges/positive.name; for "
            "several texts several times.",
        ),
    ] = None,
    dry_run: DryRun = False,
    names_moved: NamesMoved = None,
    as_json: AsJson = False,
) -> None:
    """Take the newest edition of the criteria that come with Morelli over, as recorded changes.

    For a project that began with an older one. Labels follow when the criteria are published next; nodes and
    texts of the project's own stay. Texts that the edition changed too are named, and stay unless --theirs says
    otherwise.
    """
    from app.criteria import importing
    from app.criteria.editions import get_newer_edition
    from app.database import unit_of_work
    from app.projects.founding import get_project
    from app.versions.importing import foresee_labels
    from app.versions.importing import import_criteria as put_in_place

    with database(), unit_of_work() as db:
        here = get_project(db, project)
        newer = get_newer_edition(db, here, theirs or ())
        new = newer.criteria
        found = importing.foresee(db, here, new)
        labels = foresee_labels(db, here, found)
        if not dry_run:
            put_in_place(db, here, new, based_on=found.based_on, by=None, names_moved=names_moved)
    chosen = [(each, each.place in (theirs or ())) for each in newer.both]
    _show_foreseen(found, labels, dry_run=dry_run, as_json=as_json, both=chosen)


def _show_foreseen(
    found: Any,
    labels: Any,
    *,
    dry_run: bool,
    as_json: bool,
    both: Sequence[tuple[Any, bool]] | None = None,
) -> None:
    """Say what an import or a takeover changes; of a takeover `both` has what the project and the edition both
    changed, and whether it becomes the edition's.
    """
    from dataclasses import asdict

    from app.versions.schemas import show_succession, show_touched

    moved = [show_succession(each).model_dump() for each in labels.succession]
    show(
        {
            "dry_run": dry_run,
            "changes": [asdict(each) for each in found.changes],
            "problems": [asdict(each) for each in found.problems],
            "touched": [show_touched(each).model_dump() for each in labels.touched],
            "succession": moved,
            **(
                {}
                if both is None
                else {
                    "both": [
                        {
                            "place": each.place,
                            **asdict(each),
                            "taken": "theirs" if taken else "ours",
                        }
                        for each, taken in both
                    ]
                }
            ),
        },
        as_json=as_json,
        words=lambda: "\n".join(
            [
                *(each.sentence for each in found.changes),
                *(f"{each.severity}: {each.message} [{each.code}]" for each in found.problems),
                *map(_moving_words, (each for each in moved if each["images"])),
                *(_both_words(each, taken=taken) for each, taken in both or ()),
                f"{len(found.changes)} changes{', none made' if dry_run else ' made'}.",
            ]
        ),
    )


def _both_words(each: Any, *, taken: bool) -> str:
    words = f"both changed {each.place}: here “{each.ours}”, in the edition “{each.theirs}”; "
    return words + ("the edition's is taken." if taken else "yours is kept.")


def _moving_words(each: dict[str, Any]) -> str:
    number = each["proposed"] + each["confirmed"] + each["rejected"] + each["unsure"]
    return f"labels: {each['sentence']}: {number} on {each['images']} images."
