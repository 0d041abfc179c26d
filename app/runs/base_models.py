"""Base models: the pretrained models that runs adapt."""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.errors import Conflict, Invalid
from app.jobs.models import OPEN_STATES, Job
from app.jobs.queueing import submit
from app.projects.models import Project
from app.settings import settings
from method.places import find_existing

log = logging.getLogger("morelli.runs")
TINY = "tiny-sdxl"
INDEX = "model_index.json"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True)
class BaseModel:
    """A model folder in diffusers layout."""

    name: str
    folder: Path


def find_base_models() -> Sequence[BaseModel]:
    """The models in this installation's models folder, by name; what is no model folder, or may not be
    looked at, is passed over.
    """
    home = settings().models_folder
    if not home.is_dir():
        return []
    return [BaseModel(each.name, each) for each in sorted(home.iterdir()) if _is_model(each)]


def _is_model(folder: Path) -> bool:
    # A name that is no text (a folder copied from a system with another encoding) can be shown nowhere.
    if folder.name.startswith(".") or not folder.name.isprintable():
        return False
    try:
        return (folder / INDEX).is_file()
    except OSError as error:
        log.warning("a folder of the models cannot be looked at (%s)", error.strerror)
        return False


def model_path(name: str) -> str:
    """What a config calls a base model: the folder of a listed one, one in a folder that the operator
    opened, or the hub id of one that is here.

    Raises Invalid where it is none of them; whether anything lies elsewhere is nobody's business.
    """
    name = name.strip()
    if not name:
        raise Invalid("Please choose a base model.", field="base_model")
    for each in find_base_models():
        if each.name == name:
            return str(each.folder)
    if name.startswith(("/", "~")):
        return str(_open_folder(name))
    if HUB_ID.fullmatch(name) and (name in settings().hub_models or is_in_hub_cache(name)):
        return name
    raise Invalid(
        f"There is no base model “{name[:200]}” here.",
        field="base_model",
        hint="Give a listed name, a folder below one that the operator opened with "
        "MORELLI_MODEL_FOLDERS, or the hub id (organisation/name) of a model in this machine's cache.",
    )


def _open_folder(name: str) -> Path:
    folder = find_existing(name, [*settings().model_folders, settings().models_folder])
    if folder is None or not (folder / INDEX).is_file():
        raise Invalid(
            "There is no model in diffusers layout there, or the folder is not open for training.",
            field="base_model",
            hint=f"Such a folder holds a {INDEX}. The operator opens folders with "
            "MORELLI_MODEL_FOLDERS.",
        )
    return folder


def is_in_hub_cache(hub_id: str) -> bool:
    """Whether the hub's cache on this machine has a model in diffusers layout of that id.

    The layout of the cache is documented by huggingface_hub, which the web installation lacks.
    """
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub")).expanduser()
    versions = cache / f"models--{hub_id.replace('/', '--')}" / "snapshots"
    return any(versions.glob(f"*/{INDEX}"))


def model_name(path: str) -> str:
    """What people call the model at a config's path."""
    home = settings().models_folder
    folder = Path(path)
    return folder.name if folder.parent == home else path


def make_base_model(
    db: Session, project: Project, *, by: Person | None, name: str = TINY, seed: int = 0
) -> Job:
    """Ask for a tiny model: it paints nothing worth hanging up, and trains in a minute on a CPU.

    Raises Invalid for a name that is no folder name, Conflict where it exists or is being made.
    """
    if not NAME.fullmatch(name):
        raise Invalid(
            "A name has small letters, digits, dots, dashes and underscores.", field="name"
        )
    if not 0 <= seed < 2**31:
        raise Invalid("The seed is a number from 0 to 2147483647.", field="seed")
    if (settings().models_folder / name).exists():
        raise Conflict(f"The base model “{name}” exists already.", field="name")
    if find_making(db, name) is not None:
        raise Conflict(f"The base model “{name}” is being made already.", field="name")
    spec = {"name": name, "seed": seed}
    return submit(db, project=project, kind="base_model", spec=spec, by=by)


def find_making(db: Session, name: str = TINY) -> Job | None:
    """The open job that makes a base model of this name, in whichever project it was asked for."""
    return db.scalar(
        select(Job)
        .where(
            Job.kind == "base_model",
            Job.state.in_(OPEN_STATES),
            Job.spec["name"].as_string() == name,
        )
        .order_by(Job.id)
        .limit(1)
    )
