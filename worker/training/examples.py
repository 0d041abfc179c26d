"""Reads a dataset folder: what is in it, checked and put into words, and its pictures as tensors."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from method import pictures
from method.training.config import Words
from method.training.failures import InvalidDataset
from taxonomy.formats.json import read_json
from taxonomy.prompt import SEPARATOR, TEMPLATE_ID, Conditions, Style, conditions
from taxonomy.tree import Criteria, InvalidCriteria
from worker.training.reducing import (
    Names,
    Tallies,
    binary_labels,
    count_labels,
    median_score,
    scalar_labels,
)

FORMAT = "morelli-dataset/1"
SPLITS = ("train", "validation", "test")
AS_WRITTEN = Words()


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled image and the texts it can be conditioned on."""

    image_id: str
    sha256: str
    """Of the file, from the manifest. The line's own is that of the uploaded original, which the dataset
    holds re-encoded where it was not plain sRGB."""
    path: Path
    size: tuple[int, int]
    """Width and height as the picture is displayed, in pixels; (0, 0) where sizes were not asked for."""
    split: str
    texts: Conditions
    num_negative: int
    """Negative labels that the texts are made of; what stands for A_neg where there are none is not
    counted. With 0, whether there is something to learn depends on `Words.empty_neg`."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset folder's identity and the examples of the chosen split."""

    folder: Path
    name: str
    sha256: str
    criteria: str
    criteria_sha256: str
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as the model wants it."""

    pixels_CHW: Tensor
    """In [-1, 1]."""
    size_ids: tuple[int, ...]
    """SDXL's six: original height and width, top and left of the crop, target height and width."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A checked line of examples.jsonl."""

    image_id: str
    sha256: str
    path: Path
    split: str
    row: Mapping[str, Any]
    place: str


def read_dataset(
    folder: Path,
    split: str,
    words: Words = AS_WRITTEN,
    *,
    allow_empty: bool = False,
    with_sizes: bool = True,
) -> Dataset:
    """Read and check a dataset folder, and make each image's texts the way `words` asks for.

    `split` is train, validation, test or all. A split without images is refused unless `allow_empty`;
    then there are no examples. Of the pictures only the sizes are read, and nothing unless `with_sizes`:
    who needs the texts alone can do without a picture that is lost. Their content is checked when
    their pixels are read. Raises InvalidDataset naming the file, and the line where there is one.
    """
    manifest = _read_manifest(folder / "manifest.json")
    listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    lines = [
        line
        for name in (SPLITS if split == "all" else (split,))
        for line in _read_split(folder, name, listed)
    ]
    if not lines and not allow_empty:
        raise InvalidDataset(f"{folder}: split {split} has no images")
    _refuse_repeats(lines, folder)
    criteria = manifest["criteria"]
    return Dataset(
        folder=folder,
        name=manifest["name"],
        sha256=manifest["sha256"],
        criteria=f"{criteria['name']} {criteria['number']}",
        criteria_sha256=criteria["sha256"],
        examples=_make_examples(
            lines,
            words,
            _make_reducer(folder, listed, words),
            _read_sizes(lines) if with_sizes else [(0, 0)] * len(lines),
        ),
    )


def read_criteria(folder: Path) -> Criteria:
    """Read the criteria of a dataset folder. Raises InvalidDataset where they are not the recorded ones."""
    manifest = _read_manifest(folder / "manifest.json")
    listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    return _read_criteria(folder / "criteria.json", listed)


def choose_share(examples: Sequence[Example], share: float) -> tuple[Example, ...]:
    """The given share of the images, at least one, in their order (Table 3).

    Which ones depends on their ids alone, and a smaller share is contained in a larger one.
    """
    chosen = share_of_ids([each.image_id for each in examples], share)
    return tuple(each for each in examples if each.image_id in chosen)


def share_of_ids(ids: Sequence[str], share: float) -> frozenset[str]:
    """The given share of different ids, at least one, ranked by their hashes."""
    number = max(1, round(share * len(ids)))
    return frozenset(sorted(ids, key=lambda each: hashlib.sha256(each.encode()).digest())[:number])


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """The SHA-256 a manifest carries: of its canonical JSON (sorted, compact, UTF-8) without it."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is displayed, from the file's headers alone.

    Raises InvalidDataset when the file is no image.
    """
    try:
        return pictures.read_size(path)
    except (OSError, pictures.ImageRefused) as error:
        raise _unreadable(path, error) from error


def read_picture(path: Path, sha256: str, size: tuple[int, int]) -> Picture:
    """Decode, convert to sRGB, scale until it covers `size` (width, height) and crop the centre.

    Raises InvalidDataset when the file is not the image the dataset was made with.
    """
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InvalidDataset(f"{path}: its content is not what the dataset recorded")
    try:
        image = pictures.decode(content, formats=None).image
    except pictures.ImageRefused as error:
        raise _unreadable(path, error) from error
    cropped, left, top = pictures.scale_to_cover(image, size)
    values_HWC = torch.from_numpy(np.array(cropped, dtype=np.float32))
    return Picture(
        pixels_CHW=values_HWC.permute(2, 0, 1).contiguous() / 127.5 - 1,
        size_ids=(image.height, image.width, top, left, size[1], size[0]),
    )


def _unreadable(path: Path, error: BaseException) -> InvalidDataset:
    reason = getattr(error, "strerror", None) or error
    return InvalidDataset(f"{path}: cannot be read as an image: {reason}")


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(read_bytes(path))
    except ValueError as error:
        raise InvalidDataset(f"{path}: is not JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InvalidDataset(f"{path}: its format is not {FORMAT}")
    wanted = {
        "name": str,
        "criteria": dict,
        "template": str,
        "files": list,
        "sha256": str,
    }
    check_types(manifest, wanted, str(path))
    check_types(
        manifest["criteria"],
        {"name": str, "number": int, "sha256": str},
        f"{path}: criteria",
    )
    for index, entry in enumerate(manifest["files"]):
        check_types(entry, {"path": str, "sha256": str}, f"{path}: files[{index}]")
    if manifest["sha256"] != manifest_hash(manifest):
        raise InvalidDataset(f"{path}: was changed after the dataset was made: its hash differs")
    if manifest["template"] != TEMPLATE_ID or manifest.get("separator", SEPARATOR) != SEPARATOR:
        raise InvalidDataset(
            f"{path}: its prompts follow template {manifest['template']!r} with separator "
            f"{manifest.get('separator')!r}; this version writes {TEMPLATE_ID!r} with "
            f"{SEPARATOR!r}. Build the dataset anew"
        )
    return manifest


def _read_split(folder: Path, split: str, listed: Mapping[str, str]) -> list[_Line]:
    path = folder / split / "examples.jsonl"
    name = f"{split}/examples.jsonl"
    if name not in listed:
        if path.exists():
            raise InvalidDataset(f"{path}: is not in the manifest")
        return []
    content = _read_listed(path, listed[name])
    lines = content.decode("utf-8", errors="replace").split("\n")
    return [
        _read_line(line, folder / split, split, listed, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _read_line(line: str, folder: Path, split: str, listed: Mapping[str, str], place: str) -> _Line:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InvalidDataset(f"{place}: is not JSON: {error}") from error
    texts = ("file_name", "sha256", "prompt", "text")
    check_types(row, dict.fromkeys(texts, str) | {"positive": list, "negative": list}, place)
    for key in ("positive", "negative"):
        if not all(isinstance(name, str) and name for name in row[key]):
            raise InvalidDataset(f"{place}: {key} must be a list of attribute names")
    if not isinstance(row.get("image_id"), str | int):
        raise InvalidDataset(f"{place}: image_id is missing")
    if not re.fullmatch(r"[^/\\\0]+", row["file_name"]) or row["file_name"] in (
        ".",
        "..",
    ):
        raise InvalidDataset(f"{place}: file_name {row['file_name']!r} is not a plain file name")
    file_sha256 = listed.get(f"{split}/{row['file_name']}")
    if file_sha256 is None:
        raise InvalidDataset(f"{place}: {row['file_name']} is not in the manifest")
    written = conditions(row["prompt"], row["positive"], row["negative"])
    if row["text"] != written.all:
        raise InvalidDataset(
            f"{place}: text is not what its prompt and attributes give: {written.all!r}"
        )
    return _Line(
        image_id=str(row["image_id"]),
        sha256=file_sha256,
        path=folder / row["file_name"],
        split=split,
        row=row,
        place=place,
    )


def _refuse_repeats(lines: Iterable[_Line], folder: Path) -> None:
    seen: set[str] = set()
    for line in lines:
        if line.image_id in seen:
            raise InvalidDataset(f"{folder}: image_id {line.image_id} stands there twice")
        seen.add(line.image_id)


def _make_examples(
    lines: Sequence[_Line],
    words: Words,
    reduce: Callable[[_Line], Names],
    sizes: Sequence[tuple[int, int]],
) -> tuple[Example, ...]:
    return tuple(
        _make_example(line, size, words, *reduce(line))
        for line, size in zip(lines, sizes, strict=True)
    )


def _read_sizes(lines: Sequence[_Line]) -> list[tuple[int, int]]:
    # Several at a time: on a network drive most of the time is waiting.
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(read_size, [line.path for line in lines]))


def _make_example(
    line: _Line, size: tuple[int, int], words: Words, positive: list[str], negative: list[str]
) -> Example:
    num_negative = len(negative)
    if words.order == "name":
        positive, negative = (sorted(each, key=_by_name) for each in (positive, negative))
    if not negative and words.empty_neg == "generic":
        negative = [words.generic_neg]
    return Example(
        image_id=line.image_id,
        sha256=line.sha256,
        path=line.path,
        size=size,
        split=line.split,
        texts=conditions(line.row["prompt"], positive, negative, Style(words.polarity_markers)),
        num_negative=num_negative,
    )


def _by_name(name: str) -> tuple[str, str]:
    """As people sort; the name itself decides where only the capitals differ."""
    return name.casefold(), name


def _make_reducer(
    folder: Path, listed: Mapping[str, str], words: Words
) -> Callable[[_Line], Names]:
    """What makes a line's labels as coarse as the config asks for (Table 2)."""
    if words.reducer == "complex":
        return lambda line: (line.row["positive"], line.row["negative"])
    criteria = _read_criteria(folder / "criteria.json", listed)
    if words.reducer == "binary":
        return lambda line: binary_labels(_count_labels(line, criteria))
    # Always all training images: neither the split that is read nor a share of the data moves it.
    training = _read_split(folder, "train", listed)
    typical = median_score(_count_labels(line, criteria) for line in training)
    if typical is None:
        raise InvalidDataset(
            f"{folder}: split train has no labels; the scalar reducer compares images with them"
        )
    return lambda line: scalar_labels(_count_labels(line, criteria), typical)


def _read_criteria(path: Path, listed: Mapping[str, str]) -> Criteria:
    if path.name not in listed:
        raise InvalidDataset(f"{path}: is not in the manifest")
    try:
        return read_json(_read_listed(path, listed[path.name]).decode("utf-8"))
    except (UnicodeDecodeError, InvalidCriteria) as error:
        reason = " ".join(str(error).split())
        raise InvalidDataset(f"{path}: cannot be read as criteria: {reason}") from error


def _count_labels(line: _Line, criteria: Criteria) -> Tallies:
    check_types(line.row, {"positive_keys": list, "negative_keys": list}, line.place)
    try:
        return count_labels(criteria, line.row["positive_keys"], line.row["negative_keys"])
    except (KeyError, TypeError) as error:
        raise InvalidDataset(
            f"{line.place}: its keys do not fit criteria.json: {error.args[0]}"
        ) from error


def _read_listed(path: Path, sha256: str) -> bytes:
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InvalidDataset(f"{path}: was changed after the dataset was made: its hash differs")
    return content


def check_types(row: object, wanted: Mapping[str, type], place: str) -> None:
    """Refuse what is no mapping, or lacks a key, or has another type under it (InvalidDataset)."""
    names = {str: "text", int: "a whole number", list: "a list", dict: "a mapping"}
    if not isinstance(row, dict):
        raise InvalidDataset(f"{place}: must be a mapping")
    for key, kind in wanted.items():
        if key not in row:
            raise InvalidDataset(f"{place}: {key} is missing")
        if not isinstance(row[key], kind):
            raise InvalidDataset(f"{place}: {key} must be {names[kind]}")


def read_bytes(path: Path) -> bytes:
    """A file's content; InvalidDataset when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidDataset(f"{path}: cannot be read: {error.strerror or error}") from error
