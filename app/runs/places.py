"""Options of a run that name a place of the server: the operator names the places, leads choose a name.

A config holds the name; the place itself, which may carry a password, is filled in when the run starts.
"""

from collections.abc import Callable, Mapping

from app.errors import Invalid
from app.settings import settings

PLACES: dict[str, tuple[str, Callable[[], Mapping[str, object]]]] = {
    "tracking.mlflow": ("MORELLI_MLFLOW", lambda: settings().mlflow),
    "scale.accelerate_config": (
        "MORELLI_ACCELERATE_CONFIGS",
        lambda: settings().accelerate_configs,
    ),
}


def named(path: str) -> list[str]:
    """The names that the operator gives for an option."""
    return sorted(PLACES[path][1]())


def place_of(path: str, name: str) -> str:
    """The place behind a name. Raises Invalid naming the option where the operator names none so."""
    setting, places = PLACES[path]
    if name not in places():
        known = ", ".join(named(path)) or "none yet"
        raise Invalid(
            f"The operator names the places for {path}; there is {known}.",
            field=path,
            hint=f"The setting is {setting}.",
        )
    return str(places()[name])
