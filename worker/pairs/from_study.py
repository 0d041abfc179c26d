"""Pairs from a pairwise study: people saw two images for a prompt and said which is better.

One line of judgements.jsonl is {prompt, image_a, image_b, choice: "a" | "b" | "tie", participant,
dimension?}; docs/pairs.md is its contract.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from method.items import Failed, attempt
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
from worker.pairs.reading import WrongRow, picture_path, read_content, read_rows

TIE = "tie"
FIELDS = dict.fromkeys(("prompt", "image_a", "image_b", "choice", "participant"), str)

Question = tuple[str, str, str]
"""Prompt and the two files below images/, in their order as text."""
Answers = defaultdict[Question, defaultdict[str, list[str]]]
"""Question to participant to what they chose, a file or a tie, once for each dimension."""


def from_study(
    judgements: Path,
    images_folder: Path,
    out: Path,
    *,
    name: str,
    min_agreement: float = 0.5,
) -> Built:
    """Build a pair dataset from a study's judgements; its images lie in `images_folder`.

    Each participant has one voice per pair, the majority of their answers; the winner has more voices
    than the other image and at least the share `min_agreement` of all. Raises CannotBuild.
    """
    if not 0 <= min_agreement <= 1:
        raise CannotBuild("min_agreement is a share: 0 to 1")
    with unfinished(out, name) as making:
        images = Images(making / "images")
        problems: list[str] = []
        answers, sides = _collect(judgements, images_folder, images, problems)
        dropped: Counter[str] = Counter()
        pairs = [
            pair
            for question, voices in sorted(answers.items())
            for pair in _decide(
                question, map(_voice, voices.values()), min_agreement, sides, dropped
            )
        ]
        return finish(
            making,
            out,
            images,
            pairs,
            name=name,
            source="study",
            made_from={
                "judgements_sha256": hashlib.sha256(read_content(judgements)).hexdigest(),
                "rule": {"min_agreement": min_agreement},
            },
            counts={
                "candidates": len(answers),
                "dropped": dropped,
                "judgements": sum(len(each) for v in answers.values() for each in v.values()),
                # Only how many: who they were is nothing that training needs.
                "participants": len({who for voices in answers.values() for who in voices}),
                **({"left_out": {"wrong_line": len(problems)}} if problems else {}),
            },
            problems=problems,
        )


def _collect(
    judgements: Path, images_folder: Path, images: Images, problems: list[str]
) -> tuple[Answers, dict[str, Side]]:
    """All answers, and the side of each file below images/ with the first name it had. What one
    judgement does is added to `problems`, and the others go on.
    """
    answers: Answers = defaultdict(lambda: defaultdict(list))
    files: dict[str, str] = {}
    sides: dict[str, Side] = {}

    def take(line: tuple[str, dict[str, Any]]) -> None:
        place, row = line
        _check_row(row, place)
        for key in ("image_a", "image_b"):
            if row[key] not in files:
                files[row[key]] = _add(images, images_folder, row[key], place)
                sides.setdefault(files[row[key]], Side(row[key], files[row[key]]))
        both = {"a": files[row["image_a"]], "b": files[row["image_b"]]}
        if both["a"] == both["b"]:
            raise WrongRow(place, "image_a and image_b are the same picture")
        question = (row["prompt"], min(both.values()), max(both.values()))
        answers[question][row["participant"]].append(both.get(row["choice"], TIE))

    for line in read_rows(judgements, FIELDS, problems):
        done = attempt(take, line, lambda each: each[0])
        if isinstance(done, Failed):
            problems.append(f"{done.name}: {done.reason}")
    return answers, sides


def _check_row(row: dict[str, Any], place: str) -> None:
    if row["choice"] not in ("a", "b", TIE):
        raise WrongRow(place, f"choice is {row['choice']!r}; it must be a, b or tie")
    if not isinstance(row.get("dimension", ""), str):
        raise WrongRow(place, "dimension must be text, or left out")


def _add(images: Images, folder: Path, name: str, place: str) -> str:
    try:
        return images.add(read_content(picture_path(folder, name, place)))
    except BrokenImage as error:
        raise WrongRow(place, f"{name} cannot be used: {error}") from error


def _voice(chosen: list[str]) -> str:
    """What a participant prefers over all their answers on a pair: one image, or neither."""
    wins = Counter(each for each in chosen if each != TIE).most_common()
    if not wins or (len(wins) == 2 and wins[0][1] == wins[1][1]):
        return TIE
    return wins[0][0]


def _decide(
    question: Question,
    voices: Iterable[str],
    min_agreement: float,
    sides: dict[str, Side],
    dropped: Counter[str],
) -> Iterable[DecidedPair]:
    prompt, *both = question
    counted = Counter(voices)
    winner, loser = sorted(both, key=lambda file: -counted[file])
    if counted[winner] == counted[loser]:
        dropped["tie"] += 1
    elif counted[winner] < min_agreement * counted.total():
        dropped["too_little_agreement"] += 1
    else:
        voices_of = {"winner": counted[winner], "loser": counted[loser], "neither": counted[TIE]}
        reason = {"participants": voices_of}
        yield DecidedPair("train", prompt, sides[winner], sides[loser], reason)
