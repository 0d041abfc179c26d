"""Checkpoints: whole or not there, verified before use.

Each is a folder step-000020 with the weights (loadable like the final ones), the training state, and a
manifest with the hash of both, written last. It is built under another name, brought to disk and
renamed, so a power cut leaves the checkpoints before it intact.
"""

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from method.files import hash_file, sync
from method.manifests import MANIFEST
from method.run_folder import checkpoint_folders, checkpoint_name
from method.training.failures import Ended
from worker.training.disk import writing
from worker.training.run_folder import refuse_different

log = logging.getLogger(__name__)

FORMAT = "morelli-checkpoint/2"
STATE_NAME = "training_state.pt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint: its folder, its step, and what run it belongs to."""

    folder: Path
    step: int
    identity: dict[str, Any]

    def load_state(self) -> dict[str, Any]:
        """The training state; nothing but tensors and plain values is unpickled."""
        state = torch.load(self.folder / STATE_NAME, map_location="cpu", weights_only=True)
        assert isinstance(state, dict)
        return state


def save_checkpoint(
    folder: Path,
    step: int,
    identity: Mapping[str, Any],
    state: Mapping[str, Any],
    write_weights: Callable[[Path], object],
    keep: int,
) -> Path:
    """Write the checkpoint of a step, then remove all but the newest `keep`.

    Raises Ended where there is no room for it; the checkpoints before it stay.
    """
    final = folder / checkpoint_name(step)
    unfinished = folder / f".unfinished-{step:06d}"
    with writing(final, f"the checkpoint of step {step}"):
        try:
            _fill(unfinished, step, identity, state, write_weights)
        except BaseException:
            # What is half there would take the room that is missing.
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        if final.exists():
            # Only an incomplete one of this step can stand here: a complete one was resumed from.
            shutil.rmtree(final)
        unfinished.rename(final)
        sync(folder)
        for _, old in checkpoint_folders(folder)[:-keep]:
            shutil.rmtree(old)
    return final


def _fill(
    unfinished: Path,
    step: int,
    identity: Mapping[str, Any],
    state: Mapping[str, Any],
    write_weights: Callable[[Path], object],
) -> None:
    """Write a checkpoint's files and bring them to disk, the manifest last."""
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    write_weights(unfinished)
    torch.save(dict(state), unfinished / STATE_NAME)
    files = sorted(path for path in unfinished.iterdir())
    manifest = {
        "format": FORMAT,
        "step": step,
        "identity": dict(identity),
        "files": [
            {"path": path.name, "sha256": hash_file(path), "bytes": path.stat().st_size}
            for path in files
        ],
    }
    (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    for path in (*files, unfinished / MANIFEST, unfinished):
        sync(path)


def newest_checkpoint(folder: Path, last: int | None = None) -> Checkpoint | None:
    """The newest complete checkpoint, of step `last` at the latest where that is given; broken ones are
    passed over with a line in the log.
    """
    for unfinished in folder.glob(".unfinished-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    for number, place in reversed(checkpoint_folders(folder)):
        if last is not None and number > last:
            continue
        problem, manifest = _verify(place)
        if problem is None:
            return Checkpoint(place, manifest["step"], manifest["identity"])
        log.warning("Checkpoint %s is not used: %s", place.name, problem)
    return None


def older_checkpoint(folder: Path, step: int) -> Checkpoint | None:
    """Remove the checkpoints from a step on, and return the newest complete one before it."""
    for number, place in checkpoint_folders(folder):
        if number >= step:
            shutil.rmtree(place)
    return newest_checkpoint(folder)


def refuse_other(checkpoint: Checkpoint, identity: Mapping[str, Any]) -> None:
    """Raise Ended when the checkpoint belongs to a run with other inputs, or that computes something else."""
    before = checkpoint.identity.get("computed")
    if isinstance(before, dict):
        # Of options that came with a later version an older checkpoint knows nothing.
        now = {name: value for name, value in identity["computed"].items() if name in before}
        refuse_different(now, before, str(checkpoint.folder))
    for name, value in identity.items():
        if name != "computed" and checkpoint.identity.get(name) != value:
            raise Ended(
                f"{checkpoint.folder}: was made with another {name} "
                f"({checkpoint.identity.get(name)}, now {value}); use another run folder"
            )


def _verify(folder: Path) -> tuple[str | None, dict[str, Any]]:
    """What is wrong with a checkpoint, and its manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            return f"its format is {manifest['format']}", {}
        for entry in manifest["files"]:
            if hash_file(folder / entry["path"]) != entry["sha256"]:
                return f"{entry['path']} was changed", {}
        if not isinstance(manifest["identity"], dict) or folder.name != checkpoint_name(
            manifest["step"]
        ):
            return "its manifest belongs elsewhere", {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}", {}
    return None, manifest
