"""Pairs from generated images: several for each prompt, ranked by an agent that counts attributes.

A folder of images has an index.jsonl with a line {prompt, seed, file, model} for each; `generate_images`
makes one with any model. Images that could not be made stand in a failed.jsonl, {prompt, seed, reason}.
"""

import hashlib
import io
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NoReturn

from PIL import Image

from method.agents import JUDGE
from method.dataset_folder import CRITERIA, read_facts, traits_of_prompts
from method.files import write_file, write_lines
from method.items import NO_MEMORY, Failed, attempt
from method.saved_texts import UnreadableText, read_text
from method.training.failures import OutOfMemory
from taxonomy import tree
from taxonomy.applicability import UNKNOWN, Applicability, Traits
from taxonomy.formats.json import read_json
from taxonomy.tree import Criteria, InvalidCriteria
from worker.agents.agent import Account, NoMemory, open_agent
from worker.pairs.building import (
    BrokenImage,
    Built,
    CannotBuild,
    DecidedPair,
    Images,
    Side,
    finish,
    keep,
    locked,
    unfinished,
)
from worker.pairs.comparing import Counts, compare, describe
from worker.pairs.reading import WrongRow, picture_path, read_content, read_rows

INDEX = "index.jsonl"
FIELDS: dict[str, type] = {"prompt": str, "seed": int, "file": str, "model": str}
FAILED = "failed.jsonl"
FAILED_FIELDS: dict[str, type] = {"prompt": str, "seed": int, "reason": str}

Generate = Callable[[str, int], Image.Image]
"""(prompt, seed) to a picture; the same ones give the same picture."""

Judge = Callable[[Image.Image, str], tuple[int, int]]
"""A picture and its prompt to the numbers of negative and positive attributes in it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A generated picture and what the judge counted in it."""

    side: Side
    seed: int
    model: str
    counts: Counts


def generate_images(
    folder: Path,
    prompts: Sequence[str],
    *,
    images_per_prompt: int,
    seed: int,
    model: str,
    generate: Generate,
    say: Callable[[str], None],
) -> Path:
    """Make a folder of images: for each prompt one from each of the seeds `seed`, `seed` + 1, ...

    `model` says what made them, so that it must change whenever the weights or the sampling do. The
    folder takes its name when it is whole; called again after a kill, it goes on with the images that
    are missing. An image that cannot be made is left out. Raises CannotBuild, and OutOfMemory where there was
    room for none.
    """
    prompts = list(dict.fromkeys(prompt.strip() for prompt in prompts))
    if images_per_prompt < 2 or not all(prompts):
        raise CannotBuild(
            "Pairs need two images per prompt at least, and prompts that say something"
        )
    if folder.exists():
        raise CannotBuild(f"{folder}: exists already; name a folder that does not exist yet")
    making = folder.with_name(f".{folder.name}.unfinished")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(making):
            asked = [(p, s) for p in prompts for s in range(seed, seed + images_per_prompt)]
            _generate_missing(making, asked, model, generate, say)
            keep(making, folder)
    except OSError as error:
        raise CannotBuild(f"{error.filename or folder}: {error.strerror or error}") from error
    return folder


def _generate_missing(
    making: Path,
    asked: Sequence[tuple[str, int]],
    model: str,
    generate: Generate,
    say: Callable[[str], None],
) -> None:
    rows, failed, reasons = [], [], []
    for number, (prompt, seed) in enumerate(asked, 1):
        identity = json.dumps([model, prompt, seed])
        path = making / f"{hashlib.sha256(identity.encode()).hexdigest()[:20]}.png"
        if not path.exists():
            say(f"Generating {number} of {len(asked)}.")
            made = attempt(lambda each: generate(*each), (prompt, seed), _name_of)
            if isinstance(made, Failed):
                say(f"Left out: {made.name}. {made.reason}")
                failed.append({"prompt": prompt, "seed": seed, "reason": made.reason})
                reasons.append(made.reason)
                continue
            _save_png(path, made)
        rows.append({"prompt": prompt, "seed": seed, "file": path.name, "model": model})
    if not rows:
        _end_without_images(reasons)
    # What was left by a build of other prompts, seeds or model, or half written.
    names = {each["file"] for each in rows}
    for left in making.iterdir():
        if left.name not in names:
            left.unlink()
    if failed:
        write_lines(making / FAILED, failed)
    write_lines(making / INDEX, rows)


def _name_of(asked: tuple[str, int]) -> str:
    return f"{asked[0]}, seed {asked[1]}"


def _end_without_images(reasons: Sequence[str]) -> NoReturn:
    """End generating that made nothing: with OutOfMemory where that was all that failed, else with CannotBuild."""
    if set(reasons) == {NO_MEMORY}:
        raise OutOfMemory("Out of memory: generate at a lower resolution.")
    raise CannotBuild(f"None of {len(reasons)} images could be made. {reasons[0]}")


def _save_png(path: Path, image: Image.Image) -> None:
    """Write a picture so that under its name it is always whole."""
    out = io.BytesIO()
    image.convert("RGB").save(out, format="PNG")
    half = path.with_suffix(".half")
    try:
        write_file(half, out.getvalue())
        os.replace(half, path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


def agent_judge(
    criteria_file: Path | None = None, dataset_folder: Path | None = None
) -> tuple[Judge, dict[str, Any]]:
    """An agent as a judge, and what identifies it.

    With a criteria.json only its pairs count; with the folder of a dataset those of its criteria, as they
    mean it for the images that a prompt is of (`taxonomy.applicability`). Raises CannotBuild where it
    cannot be read, or the agent decides none of its pairs; InvalidDataset where the folder is none.
    """
    agent, criteria = open_agent(JUDGE), None
    who = agent.identity
    identity: dict[str, Any] = {"agent": who.name, "version": who.version}
    known: Mapping[str, Traits] = {}
    if dataset_folder is not None:
        criteria_file, known = dataset_folder / CRITERIA, _read_traits(dataset_folder)
        identity["dataset_sha256"] = read_facts(dataset_folder).sha256
    if criteria_file is not None:
        content = read_content(criteria_file)
        try:
            criteria = read_json(read_text(content).text)
        except (UnreadableText, InvalidCriteria) as error:
            reason = " ".join(str(error).split())
            raise CannotBuild(f"{criteria_file}: cannot be read as criteria: {reason}") from error
        identity["criteria_sha256"] = hashlib.sha256(content).hexdigest()
    reader = agent.under(criteria)
    if not reader.decides:
        raise CannotBuild(
            f"{criteria_file}: has no attribute pair that the {JUDGE} agent decides, so there is "
            "nothing to rank images by"
        )
    identity["pairs_decided"] = len({side.key for side in reader.decides})
    applicability = Applicability(criteria or Criteria(""))

    def judge(image: Image.Image, prompt: str) -> tuple[int, int]:
        found = reader.label(image, Account(), NoMemory())
        held = (tree.Side(each.key, each.polarity) for each in found)
        read = applicability.sort(held, known.get(prompt, UNKNOWN))
        return len(read.negative), len(read.positive)

    return judge, identity


def _read_traits(dataset_folder: Path) -> dict[str, Traits]:
    try:
        return traits_of_prompts(dataset_folder, "train")
    except OSError as error:
        raise CannotBuild(f"{dataset_folder}: cannot be read: {error.strerror or error}") from error


def from_generated(
    images_folder: Path,
    out: Path,
    *,
    name: str,
    judge: Judge,
    judged_by: Mapping[str, Any],
    all_pairs: bool = False,
    min_difference: int = 1,
    say: Callable[[str], None],
) -> Built:
    """Build a pair dataset from a folder of images with index.jsonl: per prompt the best and the worst.

    `all_pairs` takes every two images of a prompt. All pairs are for training: they go to train.
    Raises CannotBuild.
    """
    if min_difference < 1:
        raise CannotBuild("min_difference must be 1 at least")
    index = images_folder / INDEX
    with unfinished(out, name) as making:
        images = Images(making / "images")
        problems: list[str] = []
        by_prompt, left_out = _judge_all(index, images, judge, problems, say)
        _note_failed(images_folder / FAILED, problems, left_out)
        models = sorted({each.model for group in by_prompt.values() for each in group})
        dropped: Counter[str] = Counter()
        pairs = [
            pair
            for prompt, group in sorted(by_prompt.items())
            for pair in _rank(prompt, group, dropped, min_difference, all_pairs=all_pairs)
        ]
        return finish(
            making,
            out,
            images,
            pairs,
            name=name,
            source="generated",
            made_from={
                "index_sha256": hashlib.sha256(read_content(index)).hexdigest(),
                "models": models,
                "judge": dict(judged_by),
                "rule": {
                    "pairs": "all" if all_pairs else "best_and_worst",
                    "min_difference": min_difference,
                },
            },
            counts={
                "candidates": len(pairs) + dropped.total(),
                "dropped": dropped,
                "generated_images": sum(map(len, by_prompt.values())) + left_out.total(),
                "prompts": len(by_prompt),
                "left_out": dict(left_out),
            },
            problems=problems,
        )


def _judge_all(
    index: Path, images: Images, judge: Judge, problems: list[str], say: Callable[[str], None]
) -> tuple[dict[str, list[Judged]], Counter[str]]:
    """Every image of the index by prompt; of equal ones of a prompt the first is taken. What one line or
    its image does is added to `problems`, and the others go on.
    """
    by_prompt: defaultdict[str, dict[str, Judged]] = defaultdict(dict)
    left_out: Counter[str] = Counter()
    names: dict[str, str] = {}

    def take(line: tuple[str, dict[str, Any]]) -> None:
        place, row = line
        if row["file"] in names:
            raise WrongRow(place, f"{row['file']} stands in {names[row['file']]}, too")
        names[row["file"]] = place
        content = read_content(picture_path(index.parent, row["file"], place))
        try:
            file = images.add(content)
        except BrokenImage as error:
            raise WrongRow(place, f"{row['file']} cannot be used: {error}") from error
        if file in by_prompt[row["prompt"]]:
            left_out["repeated_picture"] += 1
            return
        say(f"Judging image {len(names)}.")
        with Image.open(io.BytesIO(content)) as image:
            counts = Counts(*judge(image, row["prompt"]))
        # The file's own name is no id: another prompt's line may name the same content.
        side = Side(file.partition(".")[0], file)
        by_prompt[row["prompt"]][file] = Judged(side, row["seed"], row["model"], counts)

    for line in read_rows(index, FIELDS, problems):
        done = attempt(take, line, lambda each: each[0])
        if isinstance(done, Failed):
            problems.append(f"{done.name}: {done.reason}")
    if problems:
        left_out["wrong_line"] = len(problems)
    return {prompt: list(group.values()) for prompt, group in by_prompt.items() if group}, left_out


def _note_failed(path: Path, problems: list[str], left_out: Counter[str]) -> None:
    if not path.exists():
        return
    for _, row in read_rows(path, FAILED_FIELDS, problems):
        problems.append(f"{row['prompt']}, seed {row['seed']}: {row['reason']}")
        left_out["not_generated"] += 1


def _rank(
    prompt: str,
    group: Sequence[Judged],
    dropped: Counter[str],
    min_difference: int,
    *,
    all_pairs: bool,
) -> Iterator[DecidedPair]:
    ranked = sorted(group, key=lambda each: (*each.counts.rank, each.seed, each.side.file))
    if len(ranked) == 1:
        dropped["single_image"] += 1
        return
    chosen = combinations(ranked, 2) if all_pairs else [(ranked[0], ranked[-1])]
    for better, worse in chosen:
        verdict = compare(better.counts, worse.counts, min_difference)
        if verdict == "first":
            reason = describe(better.counts, worse.counts) | {
                "seed": {"winner": better.seed, "loser": worse.seed},
                "model": {"winner": better.model, "loser": worse.model},
            }
            yield DecidedPair("train", prompt, better.side, worse.side, reason)
        else:
            dropped[verdict] += 1
