"""Reads a dataset folder: what is in it, checked and put into words, and its pictures as tensors."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from method import pictures
from method.dataset_folder import Facts, Line, read_criteria, read_facts, read_lines
from method.manifests import check_types, hash_manifest, read_bytes, splits_of
from method.training.config import Words
from method.training.failures import InvalidDataset
from taxonomy.applicability import UNKNOWN, Traits
from taxonomy.prompt import Conditions, Style, conditions
from taxonomy.tree import Criteria
from worker.training.reducing import (
    Names,
    Tallies,
    binary_labels,
    count_labels,
    median_score,
    scalar_labels,
)

# Scripts that make dataset folders of their own sign them by this name.
manifest_hash = hash_manifest

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
    traits: Traits = UNKNOWN
    """What is known of the image's style and content."""


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
    facts = read_facts(folder)
    lines = [line for name in splits_of(split) for line in read_lines(facts, name)]
    if not lines and not allow_empty:
        raise InvalidDataset(f"{folder}: split {split} has no images")
    _refuse_repeats(lines, folder)
    return Dataset(
        folder=folder,
        name=facts.name,
        sha256=facts.sha256,
        criteria=facts.criteria,
        criteria_sha256=facts.criteria_sha256,
        examples=_make_examples(
            lines,
            words,
            _make_reducer(facts, words),
            _read_sizes(lines) if with_sizes else [(0, 0)] * len(lines),
        ),
    )


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


def _refuse_repeats(lines: Iterable[Line], folder: Path) -> None:
    seen: set[str] = set()
    for line in lines:
        if line.image_id in seen:
            raise InvalidDataset(f"{folder}: image_id {line.image_id} stands there twice")
        seen.add(line.image_id)


def _make_examples(
    lines: Sequence[Line],
    words: Words,
    reduce: Callable[[Line], Names],
    sizes: Sequence[tuple[int, int]],
) -> tuple[Example, ...]:
    return tuple(
        _make_example(line, size, words, *reduce(line))
        for line, size in zip(lines, sizes, strict=True)
    )


def _read_sizes(lines: Sequence[Line]) -> list[tuple[int, int]]:
    # Several at a time: on a network drive most of the time is waiting.
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(read_size, [line.path for line in lines]))


def _make_example(
    line: Line, size: tuple[int, int], words: Words, positive: list[str], negative: list[str]
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
        traits=_read_traits(line),
    )


def _read_traits(line: Line) -> Traits:
    said = line.row.get("traits")
    if said is None:
        return UNKNOWN
    try:
        return Traits.of(said)
    except TypeError as error:
        raise InvalidDataset(
            f"{line.place}: its traits are no lists of styles and content"
        ) from error


def _by_name(name: str) -> tuple[str, str]:
    """As people sort; the name itself decides where only the capitals differ."""
    return name.casefold(), name


def _make_reducer(facts: Facts, words: Words) -> Callable[[Line], Names]:
    """What makes a line's labels as coarse as the config asks for (Table 2)."""
    if words.reducer == "complex":
        return lambda line: (line.row["positive"], line.row["negative"])
    criteria = read_criteria(facts)
    if words.reducer == "binary":
        return lambda line: binary_labels(_count_labels(line, criteria))
    # Always all training images: neither the split that is read nor a share of the data moves it.
    training = read_lines(facts, "train")
    typical = median_score(_count_labels(line, criteria) for line in training)
    if typical is None:
        raise InvalidDataset(
            f"{facts.folder}: split train has no labels; the scalar reducer compares images with them"
        )
    return lambda line: scalar_labels(_count_labels(line, criteria), typical)


def _count_labels(line: Line, criteria: Criteria) -> Tallies:
    check_types(line.row, {"positive_keys": list, "negative_keys": list}, line.place)
    try:
        return count_labels(criteria, line.row["positive_keys"], line.row["negative_keys"])
    except (KeyError, TypeError) as error:
        raise InvalidDataset(
            f"{line.place}: its keys do not fit criteria.json: {error.args[0]}"
        ) from error
