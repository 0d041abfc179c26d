"""Where the files are that are no Python: beside `app` in a checkout, inside it in a wheel."""

from pathlib import Path

APP = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder of `templates` or `migrations` that belongs to this code."""
    # Only a wheel has `shipped`: pyproject.toml puts the folders there.
    in_wheel = APP / "shipped" / name
    return in_wheel if in_wheel.is_dir() else APP.parent / name
