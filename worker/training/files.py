"""Files that a run writes and reads back: whole or not there, checked before they are believed.

What is read back is checked here or by a hash in a manifest; what is damaged is made anew where that is
possible, with a line in the log.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from method import files
from method.files import sync
from worker.training.backbones.weights import open_to_readers, tensor_bytes
from worker.training.disk import writing

log = logging.getLogger(__name__)

ENTRY = "morelli-entry/1"


# Text ---------------------------------------------------------------------------------------------


def replace_file(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace a file so that readers see the old or the new text, never half of one.

    Raises Ended where it cannot be written; the old one stays then.
    """
    with writing(path):
        files.replace_file(path, text, durable=durable)


def overwrite(path: Path, text: str) -> None:
    """Write over a short file in the room that it has: the last resort on a disk without any.

    Raises OSError where not even that goes.
    """
    data = text.encode()
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        # Blanks at the end of JSON mean nothing; a file cut first might give its only block away.
        file.write(data.ljust(size))
        file.truncate(max(len(data), size))


def read_json(path: Path, wanted: Mapping[str, type]) -> dict[str, Any] | None:
    """Read a JSON object with these keys; None where there is none, or it is damaged, which is logged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and all(
            isinstance(found.get(key), kind) for key, kind in wanted.items()
        ):
            return found
        problem = f"it lacks {', '.join(wanted)}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
    log.warning("%s is damaged and not used: %s", path, problem)
    return None


# Tensors ------------------------------------------------------------------------------------------


def read_tensors(path: Path) -> dict[str, Tensor] | None:
    """Read an entry of a cache; None where there is none, or a broken one that has to be made anew.

    An entry carries its own name and the hash of its tensors: a file system that was cut off leaves files
    of the right length with nothing in them.
    """
    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        about = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        tensors: dict[str, Tensor] = load(content)
        if about != _about(path, tensors):
            raise ValueError("its content is not what its checksum says")
    except FileNotFoundError:
        return None
    except (
        SafetensorError,
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as error:
        log.warning("Cache file %s is broken and made anew: %s", path, " ".join(str(error).split()))
        return None
    return tensors


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write an entry of a cache, whole or not at all: runs that share the folder never read half of one.

    Raises Ended where the folder cannot be written to, or is full.
    """
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    unfinished = path.with_name(f".{path.stem}.{uuid4().hex}.tmp")
    other = "name another folder in data.cache_folder and teacher.cache_folder"
    with writing(path, "the cache", other):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(save(whole, metadata=_about(path, whole)))
            open_to_readers(unfinished)
            sync(unfinished)
            unfinished.replace(path)
        finally:
            with suppress(OSError):
                unfinished.unlink()


def _about(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\n{tensor.dtype}\n{tuple(tensor.shape)}\n".encode())
        digest.update(tensor_bytes(tensor))
    return {"format": ENTRY, "name": path.stem, "sha256": digest.hexdigest()}


# Folders ------------------------------------------------------------------------------------------


def replace_folder(folder: Path, fill: Callable[[Path], object]) -> None:
    """Write a folder anew: readers see the old one, none for an instant, or the new one whole.

    Raises Ended where it cannot be written.
    """
    unfinished, old = (folder.with_name(f".{folder.name}.{end}") for end in ("unfinished", "old"))
    with writing(folder):
        for rest in (unfinished, old):
            shutil.rmtree(rest, ignore_errors=True)
        try:
            unfinished.mkdir(parents=True)
            fill(unfinished)
            for path in (*unfinished.iterdir(), unfinished):
                sync(path)
        except BaseException:
            # What is half there would take the room that is missing.
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        if folder.exists():
            folder.rename(old)
        unfinished.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
        sync(folder.parent)
