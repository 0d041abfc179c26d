"""Reads a pair dataset folder: which of two pictures is preferred for a prompt, checked."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from method.training.failures import InvalidDataset
from worker.training.examples import SPLITS, check_types, manifest_hash, read_bytes

FORMAT = "morelli-pairs/1"
SOURCES = ("labels", "generated", "study", "import")


@dataclass(frozen=True, slots=True)
class PairImage:
    """One side of a pair."""

    image_id: str
    sha256: str
    """Of the file, from the manifest."""
    path: Path


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures for one prompt, of which the first is preferred."""

    pair_id: str
    prompt: str
    winner: PairImage
    loser: PairImage


@dataclass(frozen=True, slots=True)
class PairDataset:
    """A pair dataset's identity and the pairs of the chosen split."""

    folder: Path
    name: str
    sha256: str
    source: str
    """What the preferences come from: labels, generated, study or import."""
    pairs: tuple[Pair, ...]


def read_pairs(folder: Path, split: str, *, allow_empty: bool = False) -> PairDataset:
    """Read and check a pair dataset folder; `split` is train, validation, test or all.

    Pictures are checked when their pixels are read. Raises InvalidDataset naming the file, and the
    line where there is one.
    """
    manifest = _read_manifest(folder / "manifest.json")
    listed = _listed_files(folder, manifest["files"])
    placed = [
        each
        for name in (SPLITS if split == "all" else (split,))
        for each in _read_split(folder, name, listed)
    ]
    if not placed and not allow_empty:
        raise InvalidDataset(f"{folder}: split {split} has no pairs")
    _refuse_repeats(placed)
    return PairDataset(
        folder=folder,
        name=manifest["name"],
        sha256=manifest["sha256"],
        source=manifest["source"],
        pairs=tuple(pair for _, pair in placed),
    )


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = _from_json(read_bytes(path), str(path))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InvalidDataset(f"{path}: its format is not {FORMAT}")
    wanted = {
        "name": str,
        "source": str,
        "made_from": dict,
        "counts": dict,
        "files": list,
        "sha256": str,
    }
    check_types(manifest, wanted, str(path))
    for index, entry in enumerate(manifest["files"]):
        check_types(entry, {"path": str, "sha256": str, "bytes": int}, f"{path}: files[{index}]")
    if manifest["sha256"] != manifest_hash(manifest):
        raise InvalidDataset(
            f"{path}: was changed after the pair dataset was made: its hash differs"
        )
    if manifest["source"] not in SOURCES:
        raise InvalidDataset(
            f"{path}: source is {manifest['source']!r}; it must be one of {', '.join(SOURCES)}"
        )
    return manifest


def _listed_files(folder: Path, entries: list[dict[str, Any]]) -> dict[str, str]:
    """The hash of every file by its path; the folder must hold these files and no others."""
    listed = {entry["path"]: entry["sha256"] for entry in entries}
    if len(listed) < len(entries):
        raise InvalidDataset(f"{folder / 'manifest.json'}: lists a file twice")
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    # Hidden files are what desktops and network drives leave behind; nothing reads them.
    names = {path.as_posix() for path in found if not any(p.startswith(".") for p in path.parts)}
    names.discard("manifest.json")
    for name in sorted(listed.keys() - names):
        raise InvalidDataset(f"{folder / name}: is in the manifest but not in the folder")
    for name in sorted(names - listed.keys()):
        raise InvalidDataset(f"{folder / name}: is not in the manifest; take it out of the folder")
    return listed


def _read_split(folder: Path, split: str, listed: Mapping[str, str]) -> list[tuple[str, Pair]]:
    """The pairs of a split, each with its place in the file for messages."""
    name = f"{split}/pairs.jsonl"
    if name not in listed:
        return []
    path = folder / name
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != listed[name]:
        raise InvalidDataset(
            f"{path}: was changed after the pair dataset was made: its hash differs"
        )
    return [
        (place, _read_line(line, folder, listed, place))
        for number, line in enumerate(content.split(b"\n"), 1)
        if line.strip()
        for place in (f"{path}, line {number}",)
    ]


def _read_line(line: bytes, folder: Path, listed: Mapping[str, str], place: str) -> Pair:
    row = _from_json(line, place)
    texts = ("pair_id", "prompt", "winner", "loser", "winner_id", "loser_id")
    check_types(row, dict.fromkeys(texts, str), place)
    for key in texts:
        if not row[key].strip():
            raise InvalidDataset(f"{place}: {key} is empty")
    if not isinstance(row.get("reason"), str | dict) or not row["reason"]:
        raise InvalidDataset(f"{place}: reason must be a sentence or a mapping that says something")
    winner, loser = (_side(row, side, folder, listed, place) for side in ("winner", "loser"))
    if winner.sha256 == loser.sha256:
        raise InvalidDataset(f"{place}: pairs a picture with itself")
    return Pair(row["pair_id"], row["prompt"].strip(), winner, loser)


def _side(
    row: Mapping[str, str], side: str, folder: Path, listed: Mapping[str, str], place: str
) -> PairImage:
    name = row[side]
    if not re.fullmatch(r"[0-9a-f]{64}\.[a-z0-9]+", name):
        raise InvalidDataset(
            f"{place}: {side} {name!r} is not a picture's file name: a SHA-256 and an ending"
        )
    sha256 = listed.get(f"images/{name}")
    if sha256 is None:
        raise InvalidDataset(f"{place}: images/{name} is not in the manifest")
    if not name.startswith(f"{sha256}."):
        raise InvalidDataset(f"{place}: images/{name} does not bear its own hash, {sha256}")
    return PairImage(row[f"{side}_id"], sha256, folder / "images" / name)


def _refuse_repeats(placed: list[tuple[str, Pair]]) -> None:
    """Refuse two pairs of one id or of the same pictures and prompt, and one id for two pictures."""
    ids: dict[str, str] = {}
    judged: dict[tuple[str, frozenset[str]], tuple[str, str]] = {}
    pictures: dict[str, str] = {}
    for place, pair in placed:
        before = ids.setdefault(pair.pair_id, place)
        if before != place:
            raise InvalidDataset(f"{place}: pair_id {pair.pair_id} stands in {before}, too")
        sides = frozenset((pair.winner.sha256, pair.loser.sha256))
        before, preferred = judged.setdefault((pair.prompt, sides), (place, pair.winner.sha256))
        if before != place:
            same = preferred == pair.winner.sha256
            raise InvalidDataset(f"{place}: {'repeats' if same else 'contradicts'} {before}")
        for image in (pair.winner, pair.loser):
            if pictures.setdefault(image.image_id, image.sha256) != image.sha256:
                raise InvalidDataset(f"{place}: image_id {image.image_id} names two pictures")


def _from_json(content: bytes, place: str) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidDataset(f"{place}: is not JSON: {error}") from error
