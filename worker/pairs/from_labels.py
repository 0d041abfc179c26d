"""Pairs from the labels of a dataset: of two pictures the one with fewer negative attributes wins.

Partners are looked for among the pictures of the same prompt, and for a picture that gets no pair
there among those of the most similar prompts; never in another split. Rules: docs/pairs.md.
"""

import hashlib
import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from method.items import Failures, attempt
from method.manifests import SPLITS, read_bytes
from method.training.failures import InvalidDataset
from worker.pairs.building import (
    BrokenImage,
    Built,
    CannotBuild,
    DecidedPair,
    Images,
    Side,
    finish,
    unfinished,
)
from worker.pairs.comparing import Counts, compare, describe
from worker.pairs.nearest_prompts import MEASURE, find_nearest
from worker.training.examples import Dataset, read_dataset


@dataclass(frozen=True, slots=True)
class Rule:
    """How pairs are chosen."""

    max_pairs_per_image: int
    min_difference: int
    nearest: int
    with_unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture with what is known of it."""

    image_id: str
    sha256: str
    path: Path
    prompt: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Match:
    """Two pictures of which the first is preferred; `similarity` is None for the same prompt."""

    winner: Labelled
    loser: Labelled
    similarity: float | None = None


def from_labels(
    dataset_folder: Path,
    out: Path,
    *,
    name: str,
    max_pairs_per_image: int = 4,
    min_difference: int = 1,
    nearest: int = 5,
    with_unfinished: bool = False,
) -> Built:
    """Build a pair dataset from a dataset folder; `nearest` 0 leaves it at equal prompts.

    Images whose labels were not finished, or contradict one another, are left out and counted: their
    counts say nothing. `with_unfinished` takes the former.

    Raises InvalidDataset for a bad dataset folder, CannotBuild where nothing comes out or `out`
    cannot be written.
    """
    if min(max_pairs_per_image, min_difference) < 1 or nearest < 0:
        raise CannotBuild("max_pairs_per_image and min_difference must be 1 at least, nearest 0")
    rule = Rule(max_pairs_per_image, min_difference, nearest, with_unfinished)
    dataset = read_dataset(dataset_folder, "all", with_sizes=False)
    by_split, left_out = _pictures(dataset, rule)
    dropped: Counter[str] = Counter()
    matches = {split: match(pictures, rule, dropped) for split, pictures in by_split.items()}
    used = {
        each.sha256 for found in matches.values() for m in found for each in (m.winner, m.loser)
    }
    left_out["without_pair"] = sum(map(len, by_split.values())) - len(used)
    with unfinished(out, name) as making:
        images = Images(making / "images")
        failures = Failures()
        pairs = [
            pair
            for split, found in matches.items()
            for pair in failures.kept(
                attempt(partial(_decided, split, images), each, _names) for each in found
            )
        ]
        dropped["unreadable_picture"] += failures.number
        return finish(
            making,
            out,
            images,
            pairs,
            name=name,
            source="labels",
            made_from=_origin(dataset, rule),
            counts={
                "candidates": len(pairs) + dropped.total(),
                "dropped": dropped,
                "dataset_images": len(dataset.examples),
                "left_out": {reason: number for reason, number in left_out.items() if number},
            },
            problems=[f"{each.name}: {each.reason}" for each in failures.named],
        )


def match(pictures: Sequence[Labelled], rule: Rule, dropped: Counter[str]) -> list[Match]:
    """Pair the pictures of one split and count in `dropped` the candidates that gave no pair."""
    room = Counter({each.sha256: rule.max_pairs_per_image for each in pictures})
    by_prompt: defaultdict[str, list[Labelled]] = defaultdict(list)
    for each in pictures:
        by_prompt[each.prompt].append(each)
    matches = [
        found
        for _, group in sorted(by_prompt.items())
        for found in _match_group(group, rule, room, dropped)
    ]
    lonely = [each for each in pictures if room[each.sha256] == rule.max_pairs_per_image]
    if rule.nearest and lonely:
        matches += _match_nearest(lonely, by_prompt, rule, room, dropped)
    return matches


def _match_group(
    group: Sequence[Labelled], rule: Rule, room: Counter[str], dropped: Counter[str]
) -> list[Match]:
    """Pair pictures of one prompt: the best first, each with the worst that still have room.

    Goes by classes of equal counts, because one prompt may have thousands of pictures.
    """
    classes: defaultdict[Counts, deque[Labelled]] = defaultdict(deque)
    for each in group:
        classes[each.counts].append(each)
    ranked = sorted(classes, key=lambda counts: counts.rank)
    sizes = {counts: len(members) for counts, members in classes.items()}
    possible = _count_possible(ranked, sizes, rule, dropped)
    matches = [
        Match(winner, loser)
        for better in ranked
        for winner in tuple(classes[better])
        for worse in reversed(ranked)
        if compare(better, worse, rule.min_difference) == "first"
        for loser in _take_losers(winner, classes[worse], room)
    ]
    dropped["image_has_enough_pairs"] += possible - len(matches)
    return matches


def _count_possible(
    ranked: Sequence[Counts], sizes: dict[Counts, int], rule: Rule, dropped: Counter[str]
) -> int:
    """How many two pictures of the group could be a pair; the others are counted as dropped."""
    possible = 0
    for index, better in enumerate(ranked):
        dropped["tie"] += sizes[better] * (sizes[better] - 1) // 2
        for worse in ranked[index + 1 :]:
            number = sizes[better] * sizes[worse]
            verdict = compare(better, worse, rule.min_difference)
            if verdict == "first":
                possible += number
            else:
                dropped[verdict] += number
    return possible


def _take_losers(
    winner: Labelled, candidates: deque[Labelled], room: Counter[str]
) -> Iterable[Labelled]:
    """The next candidates in turn, as many as the winner has room for; full ones leave the queue."""
    for _ in range(min(room[winner.sha256], len(candidates))):
        loser = candidates.popleft()
        room[winner.sha256] -= 1
        room[loser.sha256] -= 1
        if room[loser.sha256]:
            candidates.append(loser)
        yield loser


def _match_nearest(
    lonely: Sequence[Labelled],
    by_prompt: dict[str, list[Labelled]],
    rule: Rule,
    room: Counter[str],
    dropped: Counter[str],
) -> list[Match]:
    """Pair lonely pictures with those of similar prompts: the most similar first, then the clearest."""
    asked = sorted({each.prompt for each in lonely})
    near = find_nearest(sorted(by_prompt), asked, rule.nearest)
    candidates = {
        _both(one, other): (similarity, one, other)
        for one in lonely
        for prompt, similarity in near[one.prompt]
        for other in by_prompt[prompt]
    }
    matches = []
    for _, (similarity, one, other) in sorted(candidates.items(), key=_clearest_first):
        verdict = compare(one.counts, other.counts, rule.min_difference)
        if verdict in ("tie", "too_close"):
            dropped[verdict] += 1
        elif not (room[one.sha256] and room[other.sha256]):
            dropped["image_has_enough_pairs"] += 1
        else:
            room[one.sha256] -= 1
            room[other.sha256] -= 1
            winner, loser = (one, other) if verdict == "first" else (other, one)
            matches.append(Match(winner, loser, similarity))
    return matches


def _both(one: Labelled, other: Labelled) -> tuple[str, str]:
    return min(one.sha256, other.sha256), max(one.sha256, other.sha256)


def _clearest_first(
    candidate: tuple[tuple[str, str], tuple[float, Labelled, Labelled]],
) -> tuple[Any, ...]:
    hashes, (similarity, one, other) = candidate
    negatives = abs(one.counts.negative - other.counts.negative)
    positives = abs(one.counts.positive - other.counts.positive)
    return -similarity, -negatives, -positives, hashes


def _pictures(dataset: Dataset, rule: Rule) -> tuple[dict[str, list[Labelled]], Counter[str]]:
    """The pictures of each split that can be in a pair, and how many cannot and why.

    A picture that stands in the dataset again (the same bytes, or another size or compression of it) is
    taken once: it cannot be better than itself.
    """
    by_split: dict[str, list[Labelled]] = {split: [] for split in SPLITS}
    left_out: Counter[str] = Counter()
    known = _read_known(dataset.folder)
    seen: set[str] = set()
    for example in dataset.examples:
        prompt, facts = example.texts.content, known[example.image_id]
        if not prompt:
            left_out["without_prompt"] += 1
        elif facts.picture in seen:
            left_out["repeated_picture"] += 1
        elif not (facts.is_finished or rule.with_unfinished):
            left_out["unfinished"] += 1
        elif facts.contradicts:
            left_out["contradicting"] += 1
        else:
            seen.add(facts.picture)
            counts = Counts(example.num_negative, facts.positive)
            by_split[example.split].append(
                Labelled(example.image_id, example.sha256, example.path, prompt, counts)
            )
    return by_split, left_out


@dataclass(frozen=True, slots=True)
class Facts:
    """What a line says of an image beside its prompt; lines of earlier releases say less.

    `picture` is the same for all files of one picture.
    """

    positive: int
    is_finished: bool
    contradicts: bool
    picture: str


def _read_known(folder: Path) -> dict[str, Facts]:
    """Facts by image id; `read_dataset` has checked the lines."""
    return {
        str(row["image_id"]): Facts(
            len(row["positive"]),
            row.get("is_finished", True) is True,
            bool(row.get("contradictions")),
            str(row.get("picture_sha256") or row["sha256"]),
        )
        for path in sorted(folder.glob("*/examples.jsonl"))
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n")
        if line.strip()
        for row in (json.loads(line),)
    }


def _names(found: Match) -> str:
    return f"the pair of {found.winner.path.name} and {found.loser.path.name}"


def _decided(split: str, images: Images, found: Match) -> DecidedPair:
    winner, loser = found.winner, found.loser
    reason = describe(winner.counts, loser.counts)
    if found.similarity is not None:
        reason |= {
            "similarity": found.similarity,
            "prompts": {"winner": winner.prompt, "loser": loser.prompt},
        }
    # The winner's prompt, because training pulls toward the winner: it must be what the prompt says.
    return DecidedPair(split, winner.prompt, _copy(winner, images), _copy(loser, images), reason)


def _copy(picture: Labelled, images: Images) -> Side:
    name = picture.path.name
    try:
        content = read_bytes(picture.path)
    except InvalidDataset as error:
        raise BrokenImage(f"{name} cannot be read") from error
    if hashlib.sha256(content).hexdigest() != picture.sha256:
        raise BrokenImage(f"{name}: its content is not what the dataset recorded")
    file = f"{picture.sha256}{picture.path.suffix.lower()}"
    images.write(file, content)
    return Side(picture.image_id, file)


def _origin(dataset: Dataset, rule: Rule) -> dict[str, Any]:
    return {
        "dataset": {"name": dataset.name, "sha256": dataset.sha256},
        "criteria": {"name": dataset.criteria, "sha256": dataset.criteria_sha256},
        "rule": {
            "max_pairs_per_image": rule.max_pairs_per_image,
            "min_difference": rule.min_difference,
            "nearest": rule.nearest,
            "with_unfinished": rule.with_unfinished,
            "similarity": MEASURE,
        },
    }
