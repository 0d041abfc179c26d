"""Which parts of Morelli are installed on this machine, and how to get the others."""

from importlib.util import find_spec

from app.errors import AppError

# Each extra of pyproject.toml by a package that only it brings, and what it is for.
MARKS = {"web": ("sqlalchemy", "The web application"), "train": ("torch", "Training")}


def is_installed(extra: str) -> bool:
    return find_spec(MARKS[extra][0]) is not None


def missing(extra: str) -> AppError:
    """That an extra is not installed here, and the command that installs it."""
    return AppError(
        f"{MARKS[extra][1]} is not installed here.",
        hint=f"Install it with `pip install 'morelli[{extra}]'`, or from a checkout with `make install`.",
    )


def require(extra: str) -> None:
    """Raise AppError where an extra is not installed."""
    if not is_installed(extra):
        raise missing(extra)
