"""Reads a dataset folder: what is in it, checked, and its pictures as tensors."""

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from taxonomy.prompt import SEPARATOR, TEMPLATE_ID, Conditions, conditions
from worker.training.failures import InvalidDataset

FORMAT = "morelli-dataset/1"
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled image and the texts it can be conditioned on."""

    image_id: str
    sha256: str
    """Of the file, from the manifest. The line's own is that of the uploaded original, which the dataset
    holds re-encoded where it was not plain sRGB."""
    path: Path
    texts: Conditions
    num_negative: int


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


def read_dataset(folder: Path, split: str) -> Dataset:
    """Read and check a dataset folder; images are checked when their pixels are read.

    Raises InvalidDataset naming the file, and the line where there is one.
    """
    manifest = _read_manifest(folder / "manifest.json")
    listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    examples = tuple(
        example
        for name in (SPLITS if split == "all" else (split,))
        for example in _read_split(folder, name, listed)
    )
    if not examples:
        raise InvalidDataset(f"{folder}: split {split} has no images")
    _refuse_repeats(examples, folder)
    criteria = manifest["criteria"]
    return Dataset(
        folder=folder,
        name=manifest["name"],
        sha256=manifest["sha256"],
        criteria=f"{criteria['name']} {criteria['number']}",
        criteria_sha256=criteria["sha256"],
        examples=examples,
    )


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """The SHA-256 a manifest carries: of its canonical JSON (sorted, compact, UTF-8) without it."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_picture(example: Example, resolution: int) -> Picture:
    """Decode, convert to sRGB, scale the short side to `resolution` and crop the centre.

    Raises InvalidDataset when the file is not the image the dataset was made with.
    """
    content = _read_bytes(example.path)
    if hashlib.sha256(content).hexdigest() != example.sha256:
        raise InvalidDataset(f"{example.path}: its content is not what the dataset recorded")
    try:
        with Image.open(io.BytesIO(content)) as opened:
            image = _to_srgb(ImageOps.exif_transpose(opened))
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise InvalidDataset(f"{example.path}: cannot be read as an image: {error}") from error
    width, height = image.size
    factor = resolution / min(width, height)
    scaled = (
        max(resolution, round(width * factor)),
        max(resolution, round(height * factor)),
    )
    left, top = (scaled[0] - resolution) // 2, (scaled[1] - resolution) // 2
    square = image.resize(scaled, Image.Resampling.LANCZOS).crop(
        (left, top, left + resolution, top + resolution)
    )
    values = torch.from_numpy(np.array(square, dtype=np.float32))
    return Picture(
        pixels_CHW=values.permute(2, 0, 1).contiguous() / 127.5 - 1,
        size_ids=(height, width, top, left, resolution, resolution),
    )


def _to_srgb(image: Image.Image) -> Image.Image:
    """Honour the embedded colour profile, and show what is transparent on white."""
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        image = Image.new("RGBA", layered.size, "white")
        image.alpha_composite(layered)
    elif profile:
        try:
            embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                image, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            image = converted or image
        except (ImageCms.PyCMSError, OSError):
            # A broken profile says nothing; browsers show such an image as sRGB too.
            return image.convert("RGB")
    return image.convert("RGB")


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(_read_bytes(path))
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
    _check_types(manifest, wanted, str(path))
    _check_types(
        manifest["criteria"],
        {"name": str, "number": int, "sha256": str},
        f"{path}: criteria",
    )
    for index, entry in enumerate(manifest["files"]):
        _check_types(entry, {"path": str, "sha256": str}, f"{path}: files[{index}]")
    if manifest["sha256"] != manifest_hash(manifest):
        raise InvalidDataset(f"{path}: was changed after the dataset was made: its hash differs")
    if manifest["template"] != TEMPLATE_ID or manifest.get("separator", SEPARATOR) != SEPARATOR:
        raise InvalidDataset(
            f"{path}: its prompts follow template {manifest['template']!r} with separator "
            f"{manifest.get('separator')!r}; this version writes {TEMPLATE_ID!r} with "
            f"{SEPARATOR!r}. Build the dataset anew"
        )
    return manifest


def _read_split(folder: Path, split: str, listed: Mapping[str, str]) -> list[Example]:
    path = folder / split / "examples.jsonl"
    name = f"{split}/examples.jsonl"
    if name not in listed:
        if path.exists():
            raise InvalidDataset(f"{path}: is not in the manifest")
        return []
    content = _read_bytes(path)
    if hashlib.sha256(content).hexdigest() != listed[name]:
        raise InvalidDataset(f"{path}: was changed after the dataset was made: its hash differs")
    lines = content.decode("utf-8", errors="replace").split("\n")
    return [
        _read_line(line, folder / split, split, listed, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _read_line(
    line: str, folder: Path, split: str, listed: Mapping[str, str], place: str
) -> Example:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InvalidDataset(f"{place}: is not JSON: {error}") from error
    texts = ("file_name", "sha256", "prompt", "text")
    _check_types(row, dict.fromkeys(texts, str) | {"positive": list, "negative": list}, place)
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
    return Example(
        image_id=str(row["image_id"]),
        sha256=file_sha256,
        path=folder / row["file_name"],
        texts=written,
        num_negative=len(row["negative"]),
    )


def _refuse_repeats(examples: tuple[Example, ...], folder: Path) -> None:
    seen: set[str] = set()
    for example in examples:
        if example.image_id in seen:
            raise InvalidDataset(f"{folder}: image_id {example.image_id} stands there twice")
        seen.add(example.image_id)


def _check_types(row: object, wanted: Mapping[str, type], place: str) -> None:
    names = {str: "text", int: "a whole number", list: "a list", dict: "a mapping"}
    if not isinstance(row, dict):
        raise InvalidDataset(f"{place}: must be a mapping")
    for key, kind in wanted.items():
        if key not in row:
            raise InvalidDataset(f"{place}: {key} is missing")
        if not isinstance(row[key], kind):
            raise InvalidDataset(f"{place}: {key} must be {names[kind]}")


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidDataset(f"{path}: cannot be read: {error.strerror or error}") from error
