"""What a run learns from: labelled images or pairs, which of them, and in which shape."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from method.pair_folder import read_pairs
from method.training.config import Config
from method.training.failures import InvalidConfig, InvalidDataset
from worker.training.buckets import Size, make_buckets, nearest_bucket
from worker.training.cropping import about_crops, size_of
from worker.training.encodings import Encodings
from worker.training.examples import choose_share, read_dataset, share_of_ids
from worker.training.objectives import Encoded, Objective
from worker.training.plan import Shape

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset's or pair dataset's identity and its items."""

    name: str
    sha256: str
    criteria: str | None
    criteria_sha256: str | None
    items: tuple[Any, ...]
    validation: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The usable items, each with its shape."""

    source: Source
    items: tuple[Any, ...]
    shapes: tuple[Shape, ...]
    num_skipped: int
    """Items in which there is nothing to learn from."""
    num_chunked: int
    """Items with a prompt of several windows."""
    notes: tuple[str, ...] = ()
    """What is not seen of the pictures, a sentence each."""


def read_source(config: Config) -> Source:
    """Read and check the dataset that the config names. Raises InvalidDataset."""
    data, wants_validation = config.data, config.validation.every > 0
    if config.objective.facts.reads_pairs:
        folder = Path(str(config.pairs_folder))
        pairs = read_pairs(folder, data.split)
        chosen = share_of_ids([pair.pair_id for pair in pairs.pairs], data.share)
        items = tuple(pair for pair in pairs.pairs if pair.pair_id in chosen)
        held_out = (
            read_pairs(folder, "validation", allow_empty=True).pairs if wants_validation else ()
        )
        return Source(pairs.name, pairs.sha256, None, None, items, held_out)
    folder, words = Path(str(config.dataset_folder)), config.text
    if config.objective.facts.makes_expert:
        # What stands for missing negatives is for stage 2: the expert must not learn it of flawless images.
        words = replace(words, empty_neg="skip")
    dataset = read_dataset(folder, data.split, words)
    examples = choose_share(dataset.examples, data.share)
    validation = (
        read_dataset(folder, "validation", words, allow_empty=True).examples
        if wants_validation
        else ()
    )
    return Source(
        dataset.name,
        dataset.sha256,
        dataset.criteria,
        dataset.criteria_sha256,
        examples,
        validation,
    )


def choose_inputs(
    config: Config, source: Source, objective: Objective, encodings: Encodings
) -> Inputs:
    """The items to learn from. Raises InvalidDataset where none is left."""
    usable = tuple(item for item in source.items if objective.is_usable(item))
    num_skipped = len(source.items) - len(usable)
    if not usable:
        raise InvalidDataset(
            f"{config.dataset_folder}: no image of split {config.data.split} has a negative "
            "attribute, and stage 2 learns from those only"
        )
    num_chunked = sum(
        any(len(encodings.split(text)) > 1 for text in objective.texts(item)) for item in usable
    )
    if num_skipped:
        log.info("%d images have no negative attribute and are skipped.", num_skipped)
    if num_chunked:
        log.info("%d images have a prompt longer than one window; none is cut.", num_chunked)
    shapes = shapes_of(config, usable, objective, encodings)
    cropped = (
        (picture, (shape[0], shape[1]))
        for item, shape in zip(usable, shapes, strict=True)
        for picture in objective.pictures(item)
    )
    notes = () if config.objective.facts.samples_itself else tuple(about_crops(cropped))
    return Inputs(source, usable, shapes, num_skipped, num_chunked, notes)


def shapes_of(
    config: Config, items: Sequence[Any], objective: Encoded, encodings: Encodings
) -> tuple[Shape, ...]:
    """The shape of each item. Raises InvalidConfig where the model cannot have such pictures."""
    sizes = _sizes_of(config, items, objective, encodings)
    return tuple((*size, *objective.windows(item)) for item, size in zip(items, sizes, strict=True))


def _sizes_of(
    config: Config, items: Sequence[Any], objective: Encoded, encodings: Encodings
) -> tuple[Size, ...]:
    data, unit = config.data, encodings.backbone.unit
    if data.resolution % unit:
        raise InvalidConfig(
            f"data.resolution: must be a multiple of {unit} for this model; got {data.resolution}"
        )
    square = (data.resolution, data.resolution)
    if not data.buckets:
        return (square,) * len(items)
    buckets = make_buckets(data.resolution, data.bucket_step, data.bucket_aspect, unit)
    if len(buckets) == 1:
        return (square,) * len(items)
    return tuple(nearest_bucket(size_of(objective.pictures(item)[0]), buckets) for item in items)
