"""A pair dataset's folder: its files, and which of two pictures is preferred for a prompt, read and checked.

    manifest.json
    images/                      each picture once, named by its hash
    train/, validation/, test/   pairs.jsonl with a line for each pair

Format: docs/pairs.md.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from method.manifests import (
    MANIFEST,
    check_types,
    from_json,
    prompts_of,
    read_listed,
    read_manifest,
    splits_of,
)
from method.training.failures import InvalidDataset

FORMAT = "morelli-pairs/1"
PAIRS = "pairs.jsonl"
IMAGES = "images"
SOURCES = ("labels", "generated", "study", "import")


@dataclass(frozen=True, slots=True)
class PairImage:
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
    manifest = _read_manifest(folder)
    listed = _listed_files(folder, manifest["files"])
    placed = [each for name in splits_of(split) for each in _read_split(folder, name, listed)]
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


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    wanted = {"name": str, "source": str, "made_from": dict, "counts": dict}
    manifest = read_manifest(folder, FORMAT, wanted)
    for index, entry in enumerate(manifest["files"]):
        check_types(entry, {"bytes": int}, f"{path}: files[{index}]")
    if manifest["source"] not in SOURCES:
        raise InvalidDataset(
            f"{path}: source is {manifest['source']!r}; it must be one of {', '.join(SOURCES)}"
        )
    return manifest


def _listed_files(folder: Path, entries: list[dict[str, Any]]) -> dict[str, str]:
    """The hash of every file by its path; the folder must hold these files and no others."""
    listed = {entry["path"]: entry["sha256"] for entry in entries}
    if len(listed) < len(entries):
        raise InvalidDataset(f"{folder / MANIFEST}: lists a file twice")
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    # Hidden files are what desktops and network drives leave behind; nothing reads them.
    names = {path.as_posix() for path in found if not any(p.startswith(".") for p in path.parts)}
    names.discard(MANIFEST)
    for name in sorted(listed.keys() - names):
        raise InvalidDataset(f"{folder / name}: is in the manifest but not in the folder")
    for name in sorted(names - listed.keys()):
        raise InvalidDataset(f"{folder / name}: is not in the manifest; take it out of the folder")
    return listed


def _read_split(folder: Path, split: str, listed: Mapping[str, str]) -> list[tuple[str, Pair]]:
    """The pairs of a split, each with its place in the file for messages."""
    name = f"{split}/{PAIRS}"
    if name not in listed:
        return []
    path = folder / name
    content = read_listed(path, listed[name])
    return [
        (place, _read_line(line, folder, listed, place))
        for number, line in enumerate(content.split(b"\n"), 1)
        if line.strip()
        for place in (f"{path}, line {number}",)
    ]


def _read_line(line: bytes, folder: Path, listed: Mapping[str, str], place: str) -> Pair:
    row = from_json(line, place)
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
    sha256 = listed.get(f"{IMAGES}/{name}")
    if sha256 is None:
        raise InvalidDataset(f"{place}: images/{name} is not in the manifest")
    if not name.startswith(f"{sha256}."):
        raise InvalidDataset(f"{place}: images/{name} does not bear its own hash, {sha256}")
    return PairImage(row[f"{side}_id"], sha256, folder / IMAGES / name)


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


def prompts(folder: Path, split: str) -> Iterator[str]:
    """The prompts of a split, unchecked; none where the split is empty."""
    return prompts_of(folder, split, PAIRS)
