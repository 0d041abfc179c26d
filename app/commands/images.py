"""`morelli images`: lists, sets aside, restores, replaces and erases the images of a project."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from app.commands.output import AsJson, ProjectSlug, database, place, say, show
from app.errors import AppError, Conflict, NotFound, WrongUse

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.erasing.schemas import ErasedOut
    from app.images.models import Image
    from app.projects.models import Project

images_cli = typer.Typer(
    help="List, set aside, restore, replace and erase images.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
T = TypeVar("T")
PAGE = 500

Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="The numbers of the images.")]


@images_cli.command("list")
def list_images(
    project: ProjectSlug,
    state: Annotated[
        Literal["all", "undone", "new", "done", "proposed", "unsure", "contradictory", "aside"]
        | None,
        typer.Option(help="Which images, as on the wall; `all` are those that are not set aside."),
    ] = None,
    aside: Annotated[bool, typer.Option("--aside", help="The same as --state aside.")] = False,
    search: Annotated[
        str, typer.Option(help="Words of name, metadata or prompt; best first.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the images of a project: number, state, file name, prompt."""
    if aside and state not in (None, "aside"):
        raise typer.BadParameter(f"--aside and --state {state} exclude each other.")
    chosen = "aside" if aside else state or "all"
    with database():
        if as_json:
            show(list(_walk(project, chosen, search)), as_json=True, words=str)
            return
        for each in _walk(project, chosen, search):
            typer.echo(_line(each))


def _walk(project: str, state: str, search: str) -> Iterator[dict[str, Any]]:
    """Images as the API describes them, a page in one transaction at a time."""
    from app.database import unit_of_work
    from app.images.finding import count_labels, find_images
    from app.images.schemas import ImageOut
    from app.projects.founding import get_project

    after: int | None = None
    while True:
        with unit_of_work() as db:
            here = get_project(db, project)
            page = find_images(db, here, after=after, limit=PAGE, show=state, text=search)
            counts = count_labels(db, page.images)
            found = [ImageOut.of(each, counts[each.id]) for each in page.images]
        yield from (each.model_dump(mode="json") for each in found)
        after = page.after
        if after is None:
            return


def _line(image: dict[str, Any]) -> str:
    state = "aside" if image["state"] == "aside" else "done" if image["is_done"] else "open"
    said = image["state_reason"] if state == "aside" else image["prompt"]
    return f"{image['id']:>8}  {state:<5}  {image['name']}  {said}".rstrip()


@images_cli.command("aside")
def set_images_aside(
    project: ProjectSlug,
    ids: Ids,
    reason: Annotated[
        str, typer.Option(help="Why; it is shown with the image.")
    ] = "set aside on the command line",
    as_json: AsJson = False,
) -> None:
    """Leave images out of the queue, agent runs, new audits, datasets and counts, until restored."""
    from app.images.removing import set_aside

    _change_each(
        project,
        ids,
        lambda db, here, each: set_aside(db, here, each, reason=reason, by=None),
        words=lambda out: f"image {out['id']}, {out['name']}: set aside ({out['state_reason']})",
        as_json=as_json,
    )


@images_cli.command("restore")
def restore_images(project: ProjectSlug, ids: Ids, as_json: AsJson = False) -> None:
    """Take images that were set aside back in."""
    from app.images.removing import take_back

    _change_each(
        project,
        ids,
        lambda db, here, each: take_back(db, here, each, by=None),
        words=lambda out: f"image {out['id']}, {out['name']}: in use",
        as_json=as_json,
    )


@images_cli.command("replace")
def replace_image(
    project: ProjectSlug,
    image_id: Annotated[int, typer.Argument(metavar="ID", help="The number of the image.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new picture.", parser=place)],
    as_json: AsJson = False,
) -> None:
    """Give an image another file. Its labels stay, and it is open again; the earlier file is kept, set aside."""
    from app.images.replacing import read_picture, replace_with_file

    try:
        data = read_picture(file)
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}.") from error
    with database():
        out = _on_one(
            project,
            lambda db, here: _out(
                db, replace_with_file(db, here, image_id, name=file.name, data=data, by=None)
            ),
        )
    show(
        out,
        as_json=as_json,
        words=lambda: (
            f"image {out['id']}, {out['name']}: {out['width']} × {out['height']} pixels now,"
            f" {out['format']}; its labels stay"
        ),
    )


@images_cli.command("erase")
def erase_images(
    project: ProjectSlug,
    ids: Ids,
    reason: Annotated[
        str, typer.Option(help="Why; it stays with the trace.")
    ] = "erased on the command line",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase images for good: files, texts and labels. What is left of each, a trace, is printed.

    To leave images out and keep them, set them aside.
    """
    from app.erasing.erasing import erase
    from app.erasing.schemas import ErasedOut

    with database():
        if not yes:
            _on_one(project, lambda db, here: _ask(db, here, ids))
        done, failed = _each(
            project,
            ids,
            lambda db, here, each: ErasedOut.of(erase(db, here, each, reason=reason, by=None)),
        )
    if as_json:
        erased = [each.model_dump(mode="json") for each in done]
        show({"erased": erased, "failed": failed}, as_json=True, words=str)
    _end(failed, [] if as_json else [_trace(each) for each in done])


def _ask(db: "Session", project: "Project", ids: list[int]) -> None:
    """Say what will be lost, and go no further without a yes."""
    from app.erasing.erasing import find_holding
    from app.images.finding import count_labels, get_image

    for each in dict.fromkeys(ids):
        image = get_image(db, project, each)
        labels = count_labels(db, [image])[image.id]
        holding = len(find_holding(db, project, image))
        say(
            f"image {image.id}, {image.name}: {labels.confirmed + labels.proposed} labels,"
            f" a copy in {holding} frozen datasets"
        )
    typer.echo("Erase for good? This cannot be undone. [y/N]: ", err=True, nl=False)
    # Not `confirm`, which leaves a blank on stdout.
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise AppError("Nothing was erased.", hint="Answer y, or give --yes.")


def _trace(erased: "ErasedOut") -> str:
    held = [f"dataset {each}" for each in erased.datasets]
    held += [f"pair dataset {each}" for each in erased.pair_datasets]
    copies = f"; a copy stays in {', '.join(held)}, marked" if held else ""
    return (
        f"image {erased.id}: erased with {erased.labels} labels. Left: its number, SHA-256"
        f" {erased.sha256}, when, and why ({erased.reason}){copies}"
    )


def _change_each(
    project: str,
    ids: list[int],
    change: "Callable[[Session, Project, int], Image]",
    *,
    words: Callable[[dict[str, Any]], str],
    as_json: bool,
) -> None:
    with database():
        done, failed = _each(project, ids, lambda db, here, each: _out(db, change(db, here, each)))
    if as_json:
        show({"images": done, "failed": failed}, as_json=True, words=str)
    _end(failed, [] if as_json else [words(each) for each in done])


def _on_one(project: str, do: "Callable[[Session, Project], T]") -> T:
    from app.database import unit_of_work
    from app.projects.founding import get_project

    with unit_of_work() as db:
        return do(db, get_project(db, project))


def _each(
    project: str, ids: list[int], do: "Callable[[Session, Project, int], T]"
) -> tuple[list[T], list[dict[str, Any]]]:
    """What came of each image, and which could not be done and why: the others go on."""
    from app.database import unit_of_work
    from app.projects.founding import get_project

    with unit_of_work() as db:
        get_project(db, project)  # one that is not there is said once
    done, failed = [], []
    for each in dict.fromkeys(ids):
        try:
            with unit_of_work() as db:
                done.append(do(db, get_project(db, project), each))
        except (NotFound, Conflict) as error:
            failed.append({"id": each, "reason": error.message})
    return done, failed


def _end(failed: list[dict[str, Any]], lines: list[str]) -> None:
    """Print what was done and what was not; exit 1 where something was not."""
    for line in lines:
        typer.echo(line)
    for each in failed:
        say(f"morelli: {each['reason']}")
    if failed:
        raise typer.Exit(1)


def _out(db: "Session", image: "Image") -> dict[str, Any]:
    """The image as the API describes it."""
    from app.images.finding import count_labels
    from app.images.schemas import ImageOut

    return ImageOut.of(image, count_labels(db, [image])[image.id]).model_dump(mode="json")
