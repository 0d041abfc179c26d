"""What all commands share: how they tell what came of them, and where they find the database."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from app.errors import AppError
from method.files import replacing
from method.places import expand

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def place(text: str) -> Path:
    """A path on the command line, where a shell has left `~` or `$NAME` in it. Raises BadParameter."""
    try:
        return expand(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


ProjectSlug = Annotated[str, typer.Argument(help="The project's address, such as `paintings`.")]


def say(text: str) -> None:
    """Progress goes to stderr, so that stdout holds only data."""
    typer.echo(text, err=True)


def show(data: Any, *, as_json: bool, words: Callable[[], str]) -> None:
    """Print data as JSON or in words."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2) if as_json else words())


@contextmanager
def database() -> Iterator[None]:
    """The installation's database for one command."""
    from app.up import installation

    with installation(say):
        yield


@contextmanager
def writing(to: Path) -> Iterator[BinaryIO]:
    """A file that is there whole at the end; what was there stays where that fails. Raises AppError."""
    try:
        if to.exists() and not to.is_file():
            # /dev/stdout and the like are written to, not replaced.
            with to.open("wb") as file:
                yield file
        else:
            with replacing(to.resolve(), durable=False) as file:
                yield file
    except OSError as error:
        raise AppError(f"{to} cannot be written: {error.strerror}.") from error
