"""What all commands share: how they tell what came of them, and where they find the database."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

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
